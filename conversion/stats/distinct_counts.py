"""Counts of the distinct values of a column that is too long for memory, taken some rows at a time."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conversion.stats.numeric import Bools, Floats, Ints

_LEAST: Final = 1 << 17
"""Distinct values that wait, at least, before they are counted together with those of before."""


class Distinct(NamedTuple):
    """Distinct values, increasing; the rows that have each, and how many of these are positive."""

    distinct: Floats
    rows: Ints
    positives: Ints


class DistinctCounts:
    """Count distinct values; memory grows with these, not with the rows.

    Examples
    --------
    >>> counts = DistinctCounts()
    >>> counts.add(np.array([2.0, 1.0, 2.0]), np.array([True, False, False]))
    >>> counts.add(np.array([3.0, 1.0]))
    >>> [each.tolist() for each in counts.result()]
    [[1.0, 2.0, 3.0], [2, 2, 1], [0, 1, 0]]
    """

    def __init__(self) -> None:
        none = np.zeros(0, dtype=np.int64)
        self._counted = Distinct(np.zeros(0), none, none)
        self._waiting: list[Distinct] = []

    def add(self, values: Floats, positive: Bools | None = None) -> None:
        """Count some rows: their values, none missing, and which of them are positive."""
        positives = np.zeros(len(values)) if positive is None else positive
        self._waiting.append(_together(values, np.ones(len(values)), positives))
        # Twice as many each time, so that each value is sorted in again a few times only.
        if sum(len(each.distinct) for each in self._waiting) > max(len(self._counted.distinct), _LEAST):
            self.result()

    def result(self) -> Distinct:
        """Return what was counted so far."""
        if self._waiting:
            parts = zip(self._counted, *self._waiting, strict=True)
            self._counted, self._waiting = _together(*(np.concatenate(each) for each in parts)), []
        return self._counted


def _together(values: Floats, rows: NDArray[Any], positives: NDArray[Any]) -> Distinct:
    distinct, place = np.unique(values, return_inverse=True)
    sums = (np.bincount(place, each, len(distinct)).astype(np.int64) for each in (rows, positives))
    return Distinct(distinct, *sums)
