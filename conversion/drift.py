"""How far a distribution has moved since training."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from conversion.arrays import Floats
from conversion.bins import bin_edges
from conversion.portable_math import log

_SMALLEST_SHARE: Final = 1e-4


def population_stability_index(
    expected: ArrayLike, actual: ArrayLike, expected_weight: ArrayLike | None = None, bins: int = 10
) -> float:
    """How far the distribution of a feature or a score has moved: the sum of (a - e) ln(a / e) over bins.

    The measure is that of N. Siddiqi, *Credit Risk Scorecards* (Wiley 2006); it is the symmetric
    Kullback-Leibler divergence of the binned shares. His reading: below 0.10 no change, to 0.25 some, above
    it a shift. Bins are quantiles of ``expected`` (its values themselves when there are at most ``bins``),
    and missing values are a bin of their own. Shares below 0.0001 count as that, so an empty bin is finite.

    Parameters
    ----------
    expected
        Values at training time; NaN is missing.
    actual
        Values now.
    expected_weight
        How many rows each expected value stands for; None: one.
    bins
        Bins for values that are not missing.

    Returns
    -------
    float
        0 where nothing moved; NaN where one side is empty.
    """
    old, new = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    weight = np.ones_like(old) if expected_weight is None else np.asarray(expected_weight, dtype=np.float64)
    if not weight.sum() > 0 or not len(new):
        return float("nan")
    known = ~np.isnan(old)
    edges = bin_edges(old[known], weight[known], np.arange(1, bins) / bins)
    before = _shares(old, weight, edges)
    after = _shares(new, np.ones_like(new), edges)
    return float(np.sum((after - before) * log(after / before)))


def _shares(values: Floats, weight: Floats, edges: Floats) -> Floats:
    group = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    counts = np.bincount(group, weight, len(edges) + 2)
    shares: Floats = np.maximum(counts / counts.sum(), _SMALLEST_SHARE)
    return shares
