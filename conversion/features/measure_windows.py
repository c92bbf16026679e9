"""Weekly measures beside the counts: their sum, largest or last known value in windows of weeks.

A week without the number is unknown. A week without a usage row adds 0 to a sum, as it has 0 actions, and has
no largest or last value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from conversion.config.usage_contract import Measure
from conversion.features.usage_block import Layout, Windows, back, maxima, running_sums


class MeasurePlaces(NamedTuple):
    """Which measures are combined in which way."""

    sums: np.ndarray
    maxima: np.ndarray
    last: np.ndarray


def measure_places(measures: tuple[tuple[str, Measure], ...]) -> MeasurePlaces:
    """Sort measures by how they are combined."""
    ways = [measure.combine for _, measure in measures]
    sums, largest, last = (
        np.array([place for place, each in enumerate(ways) if each == way], dtype=np.intp)
        for way in ("sum", "max", "last")
    )
    return MeasurePlaces(sums, largest, last)


def measure_windows(
    block: np.ndarray, at: np.ndarray, layout: Layout, windows: Windows, places: MeasurePlaces
) -> np.ndarray:
    """Compute the measures of a block in each window and, last, the lifetime, at each position ``at``.

    Parameters
    ----------
    block
        Shape (companies, weeks, columns); what stands in a week without a usage row is not read.

    Returns
    -------
    numpy.ndarray of float64, shape (as_ofs, windows + 1, measures, companies)
        NaN where nothing is known.
    """
    companies, weeks, _ = block.shape
    values = np.full((weeks + 1, layout.measures, companies), np.nan)
    rows = np.zeros((weeks + 1, 1, companies), dtype=np.bool_)
    columns = block.transpose(1, 2, 0)
    rows[1:] = columns[:, [layout.counts]] > 0
    np.copyto(values[1:], columns[:, layout.counts + 1 :], where=rows[1:])
    found = np.empty((len(at), len(windows.weeks), layout.measures, companies))
    if len(places.sums):
        found[:, :, places.sums] = _sums(values[:, places.sums], rows, at, windows)
    if len(places.maxima):
        summits = maxima(_or(values[:, places.maxima], -np.inf), at, windows)
        found[:, :, places.maxima] = np.where(summits == -np.inf, np.nan, summits)
    if len(places.last):
        found[:, :, places.last] = _last(values[:, places.last], at, windows)
    return found


def _sums(values: np.ndarray, rows: np.ndarray, at: np.ndarray, windows: Windows) -> np.ndarray:
    """Sum what is known; NaN in windows that have usage rows, but none with the number.

    A window is cut into spans whose length is a power of two, each with the sum of two halves. A difference
    of running sums, as counts have, would not be exact here.
    """
    known = _or(values, 0.0) + 0.0  # without negative zeros: adding a week of zeros changes no bit
    spans = [known]
    for level in range(1, windows.level_count):
        half = 2 ** (level - 1)
        wide = spans[-1].copy()
        wide[half:] += spans[-1][:-half]
        spans.append(wide)
    sums = np.zeros((len(at), len(windows.weeks), *values.shape[1:]))
    for window, length in enumerate(windows.weeks[:-1].tolist()):
        passed = 0
        for level in reversed(range(windows.level_count)):
            if length >> level & 1:
                sums[:, window] += spans[level].take(np.maximum(at - passed, 0), axis=0)
                passed += 1 << level
    sums[:, -1] = running_sums(known).take(at, axis=0)
    counted = running_sums(np.concatenate([np.isfinite(values), rows], axis=1).astype(np.float64))
    inside = counted.take(at, axis=0)[:, None] - counted.take(back(at, windows.weeks), axis=0)
    unknown = (inside[:, :, :-1] == 0) & (inside[:, :, -1:] > 0)
    return np.where(unknown, np.nan, sums)


def _last(values: np.ndarray, at: np.ndarray, windows: Windows) -> np.ndarray:
    positions = np.arange(len(values))[:, None, None]
    last = np.maximum.accumulate(~np.isnan(values) * positions, axis=0)
    # Position 0 has no value, so it stands for none.
    value = np.take_along_axis(values, last, axis=0).take(at, axis=0)[:, None]
    inside = last.take(at, axis=0)[:, None] > (at[:, None] - windows.weeks)[:, :, None, None]
    return np.where(inside, value, np.nan)


def _or(values: np.ndarray, other: float) -> np.ndarray:
    return np.where(np.isnan(values), other, values)
