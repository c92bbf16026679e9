"""The order of a list: highest score first, ties in an order that does not depend on the file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conversion.stats.hashing import tie_break
from conversion.stats.numeric import Floats, Ints, finite


def rank_order(score: ArrayLike, ids: ArrayLike) -> Ints:
    """Return the positions of the rows from the highest score to the lowest, ties by `hashing.tie_break`.

    Parameters
    ----------
    score
        Higher is called earlier.
    ids
        Company ids, whole numbers or text, each once.

    Returns
    -------
    ndarray of int64
        ``score[rank_order(score, ids)]`` descends.
    """
    return order_by(score, tie_break(ids))


def first_of_order(score: ArrayLike, ids: NDArray[Any], count: int) -> Ints:
    """Return the first positions of the `rank_order`, without sorting the other rows."""
    scores = finite(score)
    least = np.partition(scores, -count)[-count] if 0 < count < len(scores) else -np.inf
    rows = np.flatnonzero(scores >= least)
    return np.asarray(rows[rank_order(scores[rows], ids[rows])[:count]])


def order_by(score: ArrayLike, ties: NDArray[np.uint64]) -> Ints:
    """Return what `rank_order` does, given what `hashing.tie_break` returned of the ids."""
    return np.lexsort((ties, -finite(score)))


def tie_order(ids: ArrayLike) -> Ints:
    """Return the positions of the rows by `hashing.tie_break`, for several scores of the same rows."""
    return np.argsort(tie_break(ids))


def order_after_ties(score: ArrayLike, by_ties: Ints) -> Ints:
    """Return what `rank_order` does, given the `tie_order` of the rows."""
    return np.asarray(by_ties[_stable_order(-finite(score)[by_ties])])


def _stable_order(values: Floats) -> Ints:
    """Return the positions of ascending values, equal ones in their order.

    That takes half the time of numpy's stable sort: its other sort uses SIMD, and only runs of equal values
    are sorted again.
    """
    order = np.argsort(values)
    ascending = values[order]
    as_before = np.concatenate(([False], ascending[1:] == ascending[:-1], [False]))
    equal = np.flatnonzero(as_before[1:] | as_before[:-1])
    group = np.cumsum(~as_before[equal]) * len(values)
    order[equal] = np.sort(group + order[equal]) - group
    return order


def ranks(score: ArrayLike, ids: ArrayLike) -> Ints:
    """Return the place of each row in `rank_order`, counted from 1."""
    return places_of(rank_order(score, ids))


def places_of(order: Ints) -> Ints:
    """Return the place of each row in an order, counted from 1."""
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places
