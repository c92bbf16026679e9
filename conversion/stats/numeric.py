"""Types of arrays, and small helpers for the numbers in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]


def finite(values: ArrayLike) -> Floats:
    """Return the values as float64; raise ValueError if one is missing or infinite."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"scores must be finite, {int((~np.isfinite(array)).sum())} of {array.size} are not")
    return array


def blocks(start: int, stop: int, size: int) -> Iterator[slice]:
    """Cut the rows from ``start`` to ``stop`` into slices of ``size`` rows; the last may be shorter.

    Examples
    --------
    >>> list(blocks(2, 7, 3))
    [slice(2, 5, None), slice(5, 7, None)]
    """
    return (slice(first, min(first + size, stop)) for first in range(start, stop, size))


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is 0; the two broadcast."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def rounded(value: float | np.floating[Any]) -> float | None:
    """Round to the six digits that are written; return None for NaN and infinity."""
    return round(float(value), 6) if np.isfinite(value) else None
