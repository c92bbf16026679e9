"""Bins of about equal count; equal values share a bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion.stats.distinct_counts import Distinct
from conversion.stats.numeric import Floats


def quantile_edges(counts: Distinct, levels: int | Sequence[float] = 10) -> Floats:
    """Return the largest value of each quantile bin but the last.

    Parameters
    ----------
    counts
        Finite values, counted.
    levels
        How many bins of about equal count, or the increasing levels in (0, 1) between the bins.

    Returns
    -------
    ndarray of float64
        Increasing; ties can leave fewer bins.

    Examples
    --------
    >>> quantile_edges(Distinct(np.array([1.0, 5, 7, 9]), np.array([3, 1, 1, 1]), np.zeros(4)), 3).tolist()
    [1.0, 5.0]
    """
    cuts = np.arange(1, levels) / levels if isinstance(levels, int) else np.asarray(levels, dtype=np.float64)
    return bin_edges(counts.distinct, counts.rows, cuts)


def bin_edges(distinct: Floats, weight: NDArray[Any], levels: Floats) -> Floats:
    """Return the largest value of each bin but the last; if there are few distinct values, each is a bin.

    Parameters
    ----------
    distinct
        Finite numbers, increasing.
    weight
        How many rows each value stands for.
    levels
        The increasing levels in (0, 1) between the bins.

    Returns
    -------
    ndarray of float64
        Increasing.
    """
    if len(distinct) <= len(levels) + 1:
        return distinct[:-1]
    cumulated = np.cumsum(weight)
    at = np.searchsorted(cumulated / cumulated[-1], levels, side="left")
    return np.unique(distinct[at[at < len(distinct) - 1]])
