"""The 95 % intervals of the scorecard: of a share, of a difference of shares, and by resampling companies."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from conversion.stats.numeric import Floats
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.resampling import company_weights, percentiles

Z95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


class Interval(NamedTuple):
    """A value and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


UNDEFINED: Final = Interval(float("nan"), float("nan"), float("nan"))


def share_interval(share: float, companies: float) -> Interval:
    """Compute the score interval of a share (Wilson 1927), which holds for small counts and for none.

    Parameters
    ----------
    share
        That converted, from 0 to 1.
    companies
        How many the share is of; of a weighted share, the effective number.

    Examples
    --------
    >>> [round(each, 4) for each in share_interval(0.2, 10)]
    [0.2, 0.0567, 0.5098]
    """
    if companies <= 0:
        return UNDEFINED
    spread = Z95 * Z95 / companies
    middle = (share + spread / 2) / (1 + spread)
    half = float(np.sqrt(share * (1 - share) * spread + spread * spread / 4)) / (1 + spread)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def difference_interval(first: Interval, second: Interval) -> Interval:
    """Compute the interval of a difference, first minus second, of two independent shares.

    Newcombe's hybrid of the two score intervals (1998, method 10): a normal interval is too narrow where
    a group is small or hardly anyone in it converts, as in a control group.

    Examples
    --------
    >>> found = difference_interval(share_interval(56 / 70, 70), share_interval(48 / 80, 80))
    >>> [round(each, 4) for each in found]
    [0.2, 0.0524, 0.3339]
    """
    value = first.value - second.value
    below = (first.value - first.low) ** 2 + (second.high - second.value) ** 2
    above = (first.high - first.value) ** 2 + (second.value - second.low) ** 2
    return Interval(value, value - float(np.sqrt(below)), value + float(np.sqrt(above)))


def effective_number(weight: ArrayLike) -> float:
    """Return how many equal weights would say as much (Kish 1965); 0 for none.

    Examples
    --------
    >>> effective_number([1.0, 1.0]), round(effective_number([3.0, 1.0]), 4), effective_number([])
    (2.0, 1.6, 0.0)
    """
    weights = np.asarray(weight, dtype=np.float64)
    squares = float((weights * weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def resampled_sums(by_company: Floats, samples: int, seed: int) -> Floats:
    """Sum what companies have over samples of as many companies, drawn with replacement.

    Parameters
    ----------
    by_company
        Companies by columns.
    samples, seed
        See `conversion.stats.resampling.company_weights`.

    Returns
    -------
    ndarray of float64, shape (samples, columns)
    """
    weights = company_weights(len(by_company), samples, seed)
    return np.concatenate([sums_at_counts(each, by_company) for each in weights])


def percentile_interval(value: float, sampled: Floats) -> Interval:
    """Return a value with the percentiles of the samples in which it is defined."""
    if not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    return Interval(value, *percentiles(sampled[np.isfinite(sampled)]))
