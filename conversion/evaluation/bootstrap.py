"""The bootstrap of companies: the samples, and the 95 % percentile intervals.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.columns_on_disk import new_column, new_columns
from conversion.evaluation.predictions import (
    Companies,
    Cutoff,
    Places,
    companies_of,
    cutoffs_of,
    places_among,
    rows_by_cutoff,
)
from conversion.runtime.progress import counting_bar
from conversion.stats import resampling
from conversion.stats.numeric import Floats, Ints, blocks, rounded
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.resampling import percentiles

SAMPLES_AT_ONCE: Final = 256
"""Most samples that the lists are measured on at a time."""
WEIGHTS_AT_ONCE: Final = 1 << 30
"""Weights of companies, a byte each, in which lists are looked up at a time: they need to be in memory."""
ROWS_AT_ONCE: Final = 1 << 14
"""Rows whose columns are summed while they are in the processor's cache."""
SAMPLES_WRITTEN: Final = 16
"""Samples of many companies that are written at a time."""
CELLS: Final = 1 << 25
"""Sums of companies in memory at a time, 8 bytes each."""
CELLS_ON_DISK: Final = 1 << 28
"""Most sums of companies on disk at a time; one way to group the rows may need more."""


class Measured(NamedTuple):
    """A measure of all companies, and of each bootstrap sample of them."""

    value: float
    sampled: Floats


def company_weights(companies: int, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Draw samples of companies behind a progress bar; see `conversion.stats.resampling.company_weights`."""
    with counting_bar(what="bootstrap", unit="samples", total=samples) as bar:
        for weights in resampling.company_weights(companies, samples, seed):
            yield weights
            bar.update(weights.shape[1])


class Draws:
    """Everyone once, and bootstrap samples of companies, kept small to be taken again for each cutoff.

    Parameters
    ----------
    companies, samples, seed
        See `company_weights`.
    folder
        As for `conversion.evaluation.backtest.backtest`.

    Attributes
    ----------
    samples
        The number of samples, everyone included.
    """

    def __init__(self, companies: int, samples: int, seed: int, folder: Path | None = None) -> None:
        self.samples = 1 + samples
        at_once = min(SAMPLES_AT_ONCE, max(1, WEIGHTS_AT_ONCE // max(companies, 1)))
        self._places = [*blocks(0, self.samples, at_once)]
        # One array for each block: numpy.take copies an array that is not contiguous as a whole first.
        self._blocks: list[NDArray[Any]] = [
            new_columns(companies, places.stop - places.start, np.uint8, folder) for places in self._places
        ]
        self._keep(0, np.ones((companies, 1)))
        start = 1
        for weights in _together_at_least(SAMPLES_WRITTEN, company_weights(companies, samples, seed)):
            self._keep(start, weights)
            start += weights.shape[1]

    def _keep(self, start: int, weights: NDArray[Any]) -> None:
        """Put the weights of samples from a place on into their blocks."""
        for number, (places, block) in enumerate(self.blocks()):
            at = start - places.start
            own = weights[:, max(-at, 0) : max(block.shape[1] - at, 0)]
            if own.max(initial=0) > np.iinfo(block.dtype).max:
                block = self._blocks[number] = block.astype(np.uint32)
            block[:, max(at, 0) : max(at, 0) + own.shape[1]] = own

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the places of some samples, everyone's is 0, and their weights, companies by samples.

        Take all lists by one block before the next: lists meet companies in any order.
        """
        yield from zip(self._places, self._blocks, strict=True)


def _together_at_least(samples: int, drawn: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[Any]]:
    """Put samples together: a row of a file is near its neighbours, so each write goes through all of it."""
    waiting: list[NDArray[Any]] = []
    for weights in drawn:
        waiting.append(weights.astype(np.min_scalar_type(int(weights.max(initial=0)))))
        if sum(each.shape[1] for each in waiting) >= samples:
            yield np.concatenate(waiting, axis=1)
            waiting = []
    if waiting:
        yield np.concatenate(waiting, axis=1)


@dataclass(frozen=True)
class Resampled:
    """Predictions, and bootstrap samples of their companies: drawn once for all measures.

    Attributes
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    companies, draws
        The companies of the predictions, and their samples.
    orders
        From `conversion.evaluation.predictions.rank_orders`, of rankers that are asked for more than once.
    folder
        As for `conversion.evaluation.backtest.backtest`.
    """

    predictions: pd.DataFrame
    companies: Companies
    draws: Draws
    orders: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    folder: Path | None = None

    @cached_property
    def lists(self) -> list[Places]:
        """Return the places of each cutoff's rows, in time order, found once: that reads a whole column."""
        return [places for _, places in rows_by_cutoff(self.predictions)]

    def cutoffs(self) -> Iterator[Cutoff]:
        """Split the predictions; see `conversion.evaluation.predictions.cutoffs_of`."""
        return cutoffs_of(self.predictions, self.companies, self.orders)


def resample(
    predictions: pd.DataFrame,
    samples: int,
    seed: int,
    orders: Mapping[str, NDArray[np.int32]] | None = None,
    folder: Path | None = None,
) -> Resampled:
    """Draw samples of the companies of the predictions.

    Parameters
    ----------
    predictions, orders, folder
        See `Resampled`. Without orders lists are sorted when it is asked for.
    samples, seed
        See `company_weights`.
    """
    companies = companies_of(predictions, folder)
    draws = Draws(companies.count, samples, seed, folder)
    return Resampled(predictions, companies, draws, orders or {}, folder)


@dataclass(frozen=True)
class Grouped:
    """How the rows of the predictions fall into groups.

    Attributes
    ----------
    count
        Number of groups.
    of
        From the rows of a cutoff to the number of each one's group, from 0.
    """

    count: int
    of: Callable[[pd.DataFrame], Ints]


def everyone(rows: pd.DataFrame) -> Ints:
    """Put all rows into one group."""
    return np.zeros(len(rows), dtype=np.int64)


ONE_GROUP: Final = Grouped(1, everyone)


def resampled_sums(
    of: Resampled,
    columns_of: Callable[[pd.DataFrame], Iterable[Floats]],
    *groups: Grouped,
) -> tuple[Floats, Floats]:
    """Sum columns of the rows, over all companies and over each bootstrap sample of them.

    What each company has is summed cutoff by cutoff, for some companies at a time, to bound the memory.

    Parameters
    ----------
    of
        What is summed.
    columns_of
        Gives the columns of some rows of a cutoff, one after the other. A row's values do not depend on the
        other rows.
    *groups
        Each group is summed apart. Several ways to group the rows come one after the other; none: all rows
        are one group.

    Returns
    -------
    ndarray of float64, ndarray of float64
        Groups by columns; samples by groups by columns.
    """
    count = sum(1 for _ in columns_of(of.predictions.iloc[:0]))
    cells = CELLS if of.folder is None else CELLS_ON_DISK
    most = max(1, cells // (count * max(of.companies.count, 1)))
    found = [_sums(of, columns_of, count, by) for by in _together(groups or (ONE_GROUP,), most)]
    return np.concatenate([total for total, _ in found]), np.concatenate([each for _, each in found], axis=1)


def _together(groups: Sequence[Grouped], most: int) -> Iterator[list[Grouped]]:
    """Yield ways to group the rows that have at most so many groups together, or one way with more."""
    some: list[Grouped] = []
    for each in groups:
        if some and sum(grouped.count for grouped in (*some, each)) > most:
            yield some
            some = []
        some.append(each)
    yield some


def _sums(
    of: Resampled,
    columns_of: Callable[[pd.DataFrame], Iterable[Floats]],
    count: int,
    by: Sequence[Grouped],
) -> tuple[Floats, Floats]:
    """Return what `resampled_sums` does, of so many columns."""
    companies, width = of.companies.count, sum(each.count for each in by)
    groups = _groups_of_rows(of, by)
    sums = new_columns(width * count, companies, np.float64, of.folder)
    at_once = max(1, CELLS // len(sums))
    for some in blocks(0, companies, at_once):
        sums[:, some] = _company_sums(of, columns_of, groups, some, (width, count)).reshape(len(sums), -1)
    sampled = np.concatenate([sums_at_counts(weights, sums.T) for _, weights in of.draws.blocks()])
    return sums.sum(axis=-1).reshape(width, count), sampled[1:].reshape(-1, width, count)  # behind everyone


def _groups_of_rows(of: Resampled, by: Sequence[Grouped]) -> list[NDArray[np.unsignedinteger[Any]]]:
    """Return the number of each row's group, for each way to group the rows, all numbered together."""
    groups, first = [], 0
    dtype = np.min_scalar_type(sum(each.count for each in by))
    for each in by:
        column = new_column(len(of.predictions), dtype, of.folder)
        for places in of.lists:
            column[places] = each.of(of.predictions.iloc[places]) + first
        groups.append(column)
        first += each.count
    return groups


def _company_sums(
    of: Resampled,
    columns_of: Callable[[pd.DataFrame], Iterable[Floats]],
    groups: Sequence[NDArray[np.unsignedinteger[Any]]],
    companies: slice,
    shape: tuple[int, int],
) -> Floats:
    """Return groups by columns by the companies with these numbers."""
    size = companies.stop - companies.start
    sums = np.zeros((*shape, size))
    flat, group_size = sums.reshape(-1), shape[1] * size
    for list_places in of.lists:
        for places in _places_of(companies, of.companies, list_places):
            values = [*columns_of(of.predictions.iloc[places])]
            company = of.companies.numbers[places] - np.int64(companies.start)
            for group in groups:
                cell = group[places].astype(np.int64) * group_size + company
                for column in values:
                    flat[cell] += column  # a company has one row at a cutoff, so no cell is twice
                    cell += size
    return sums


def _places_of(companies: slice, of: Companies, list_places: Places) -> Iterator[Places]:
    """Yield the places on a list of the companies with these numbers, some at a time."""
    numbers, (start, stop) = of.numbers[list_places], (companies.start, companies.stop)
    if isinstance(list_places, slice) and of.in_order:
        ends = np.searchsorted(numbers, np.array([start, stop], dtype=numbers.dtype))
        first, last = (list_places.start + int(end) for end in ends)
        yield from blocks(first, last, ROWS_AT_ONCE)
        return
    places = places_among(list_places, np.flatnonzero((numbers >= start) & (numbers < stop)))
    yield from (places[some] for some in blocks(0, len(places), ROWS_AT_ONCE))


def interval(value: float, sampled: Floats) -> dict[str, float | None]:
    """Return the ``value`` with the bounds ``low`` and ``high`` of its interval; None where undefined."""
    low, high = percentiles(sampled)
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def difference(first: Measured, second: Measured, *, less_is_better: bool) -> dict[str, float | None]:
    """Compare two measures of the same samples.

    Parameters
    ----------
    first, second
        What is compared.
    less_is_better
        True for a loss.

    Returns
    -------
    dict
        ``difference``, second minus first, with the bounds ``low`` and ``high`` of its interval; and
        ``probability_better``: the share of samples in which the second is better, ties counting half. None
        where undefined.
    """
    sampled = second.sampled - first.sampled
    low, high = percentiles(sampled)
    gain = -sampled if less_is_better else sampled
    known = gain[~np.isnan(gain)]
    better = np.mean((known > 0) + 0.5 * (known == 0)) if len(known) else np.nan
    return {
        "difference": rounded(second.value - first.value),
        "low": rounded(low),
        "high": rounded(high),
        "probability_better": rounded(better),
    }
