"""Hashes instead of random numbers: a row's number depends on its keys and the seed, not on other rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def tie_break(ids: ArrayLike) -> NDArray[np.uint64]:
    """Return a fixed pseudo-random sort key for each company: the splitmix64 hash of its id.

    Neither file order nor id order may decide ties. If customers have the lowest ids, or come first in the
    file, a ranker with many ties (any rule) would look better than it is.

    Parameters
    ----------
    ids
        Company ids.

    Returns
    -------
    ndarray of uint64
        To sort by, ascending; different ids have different values.
    """
    return _splitmix64(_as_uint64(ids))


def uniform_hash(*keys: ArrayLike, seed: int) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1) that depend only on the keys and the seed, not on the order of rows.

    Parameters
    ----------
    *keys
        Integer arrays or integers that broadcast together, for example ids and week numbers.
    seed
        Another seed gives independent numbers.

    Returns
    -------
    ndarray of float64
        One number for each combination of keys.

    Examples
    --------
    >>> uniform_hash(np.array([1, 2]), 7, seed=0).round(4).tolist()
    [0.2869, 0.2117]
    """
    mixed = _splitmix64(_as_uint64(seed))
    for key in keys:
        mixed = _splitmix64(mixed ^ _splitmix64(_as_uint64(key)))
    uniform: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _as_uint64(values: ArrayLike) -> NDArray[np.uint64]:
    return np.asarray(values, dtype=np.int64).astype(np.uint64)


def _splitmix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers one to one (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
