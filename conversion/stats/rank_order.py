"""The order of a list: highest score first, ties in an order that does not depend on the file."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from conversion.stats.hashing import tie_break
from conversion.stats.numeric import Ints, finite


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
    return np.lexsort((tie_break(ids), -finite(score)))


def ranks(score: ArrayLike, ids: ArrayLike) -> Ints:
    """Return the place of each row in `rank_order`, counted from 1."""
    order = rank_order(score, ids)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places
