"""Bins of about equal count; equal values share a bin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from conversion.stats.distinct_counts import Distinct
from conversion.stats.numeric import Floats, Ints, finite


def quantile_bins(values: ArrayLike, levels: int | Sequence[float] = 10) -> Ints:
    """Return the number of each value's quantile bin.

    Parameters
    ----------
    values
        Finite numbers.
    levels
        How many bins of about equal count, or the increasing levels in (0, 1) between the bins.

    Returns
    -------
    ndarray of int64
        From 0 (lowest); ties can leave fewer bins.

    Examples
    --------
    >>> quantile_bins([5, 1, 1, 1, 9, 7], 3).tolist()
    [1, 0, 0, 0, 2, 2]
    """
    array = finite(values)
    return np.searchsorted(quantile_edges(array, levels), array, side="left")


def quantile_edges(values: ArrayLike, levels: int | Sequence[float] = 10) -> Floats:
    """Return the largest value of each of the `quantile_bins` but the last."""
    array = finite(values)
    return bin_edges(array, np.ones_like(array), _cuts(levels))


def quantile_edges_of(counts: Distinct, levels: int | Sequence[float] = 10) -> Floats:
    """Return the `quantile_edges` of values that were counted."""
    return bin_edges(counts.distinct, counts.rows.astype(np.float64), _cuts(levels))


def bin_edges(values: Floats, weight: Floats, levels: Floats) -> Floats:
    """Return the largest value of each bin but the last; if there are few distinct values, each is a bin.

    Parameters
    ----------
    values
        Finite numbers.
    weight
        How many rows each value stands for.
    levels
        The increasing levels in (0, 1) between the bins.

    Returns
    -------
    ndarray of float64
        Increasing.
    """
    distinct, group = np.unique(values, return_inverse=True)
    if len(distinct) <= len(levels) + 1:
        return distinct[:-1]
    cumulated = np.cumsum(np.bincount(group, weight, len(distinct)))
    at = np.searchsorted(cumulated / cumulated[-1], levels, side="left")
    return np.unique(distinct[at[at < len(distinct) - 1]])


def _cuts(levels: int | Sequence[float]) -> Floats:
    return np.arange(1, levels) / levels if isinstance(levels, int) else np.asarray(levels, dtype=np.float64)
