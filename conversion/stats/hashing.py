"""Hashes instead of random numbers: a row's number depends on its keys and the seed, not on other rows."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def tie_break(ids: ArrayLike) -> NDArray[np.uint64]:
    """Return a fixed pseudo-random sort key for each company: the splitmix64 hash of its id.

    Neither file order nor id order may decide ties. If customers have the lowest ids, or come first in the
    file, a ranker with many ties (any rule) would look better than it is.

    Parameters
    ----------
    ids
        Company ids: whole numbers or text.

    Returns
    -------
    ndarray of uint64
        To sort by, ascending. Different whole numbers have different values; of a million texts, two have the
        same with a probability of 3 in 100 million.
    """
    return _splitmix64(_as_uint64(ids))


def uniform_hash(*keys: ArrayLike, seed: int) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1) that depend only on the keys and the seed, not on the order of rows.

    Parameters
    ----------
    *keys
        Whole numbers or texts, or arrays of them that broadcast together, for example ids and week numbers.
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


PARTS_SEED: Final = 1
"""Parts are independent of every other draw."""


def part_of(ids: ArrayLike, parts: int) -> NDArray[np.int64]:
    """Return the part, from 0 to ``parts`` - 1, that each company's rows are in."""
    found: NDArray[np.int64] = (uniform_hash(ids, seed=PARTS_SEED) * parts).astype(np.int64)
    return found


def _as_uint64(values: ArrayLike) -> NDArray[np.uint64]:
    array = np.asarray(values)
    if array.size and array.dtype.kind in "OU" and all(isinstance(each, str) for each in array.flat):
        return _digests(array)
    return np.asarray(values, dtype=np.int64).astype(np.uint64)


def _digests(texts: NDArray[Any]) -> NDArray[np.uint64]:
    """Turn texts into 64 bits each, the same on every machine, unlike Python's own hash."""
    codes, distinct = pd.factorize(texts.ravel().astype(object))
    # JSON may hold half of a surrogate pair, which strict UTF-8 has no bytes for.
    digests = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in distinct]
    whole = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
    return whole[codes].reshape(texts.shape)


def _splitmix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers one to one (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
