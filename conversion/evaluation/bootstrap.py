"""The bootstrap of companies: the samples, and the 95 % percentile intervals.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.predictions import Companies, Cutoff, companies_of, cutoffs_of, rows_by_cutoff
from conversion.runtime.progress import counting_bar
from conversion.stats import resampling
from conversion.stats.numeric import Floats, Ints, rounded
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.resampling import percentiles

SAMPLES_AT_ONCE: Final = 256
"""Samples that a list is measured on at a time."""
ROWS_AT_ONCE: Final = 1 << 14
"""Rows whose columns are summed while they are in the processor's cache."""
CELLS: Final = 1 << 25
"""Sums of companies in memory at a time, 8 bytes each."""


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

    Attributes
    ----------
    samples
        The number of samples, everyone included.
    """

    def __init__(self, companies: int, samples: int, seed: int) -> None:
        self.samples = 1 + samples
        starts = range(0, self.samples, SAMPLES_AT_ONCE)
        # An array of its own for each block: numpy takes rows of a part of a wider array from a copy of it.
        self._blocks: list[NDArray[Any]] = [
            np.empty((companies, min(SAMPLES_AT_ONCE, self.samples - start)), dtype=np.uint8)
            for start in starts
        ]
        self._keep(0, np.ones((companies, 1)))
        start = 1
        for weights in company_weights(companies, samples, seed):
            self._keep(start, weights)
            start += weights.shape[1]

    def _keep(self, start: int, weights: NDArray[Any]) -> None:
        """Put the weights of samples from a place on into their blocks."""
        for number, block in enumerate(self._blocks):
            at = start - number * SAMPLES_AT_ONCE
            own = weights[:, max(-at, 0) : max(block.shape[1] - at, 0)]
            if own.max(initial=0) > np.iinfo(block.dtype).max:
                block = self._blocks[number] = block.astype(np.uint32)
            block[:, max(at, 0) : max(at, 0) + own.shape[1]] = own

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the places of some samples, everyone's is 0, and their weights, companies by samples."""
        for number, block in enumerate(self._blocks):
            start = number * SAMPLES_AT_ONCE
            yield slice(start, start + block.shape[1]), block


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
    """

    predictions: pd.DataFrame
    companies: Companies
    draws: Draws
    orders: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

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
    predictions, orders
        See `Resampled`; None: lists are sorted when it is asked for.
    samples, seed
        See `company_weights`.
    folder
        As for `conversion.evaluation.backtest.backtest`.
    """
    companies = companies_of(predictions, folder)
    return Resampled(predictions, companies, Draws(companies.count, samples, seed), orders or {})


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

    What each company has is summed cutoff by cutoff. If companies, groups and columns are many, that is done
    for some groups or columns at a time, to bound the memory.

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
    by = groups or (ONE_GROUP,)
    count = sum(1 for _ in columns_of(of.predictions.iloc[:0]))
    total = np.empty((sum(each.count for each in by), count))
    sampled = np.empty((of.draws.samples - 1, *total.shape))
    cells = max(1, CELLS // max(of.companies.count, 1))
    for block, columns in _passes(cells, *total.shape):
        sums = _company_sums(of, columns_of, by, block, columns)
        total[block, columns] = sums.sum(axis=-1)
        by_company = sums.reshape(-1, of.companies.count).T
        flat = np.concatenate([sums_at_counts(weights, by_company) for _, weights in of.draws.blocks()])
        sampled[:, block, columns] = flat[1:].reshape(-1, *sums.shape[:-1])  # behind everyone
    return total, sampled


def _passes(cells: int, groups: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Yield which groups and columns are summed at a time, at most so many cells a company."""
    groups_at_once, columns_at_once = max(1, cells // columns), min(cells, columns)
    for group in range(0, groups, groups_at_once):
        block = slice(group, min(group + groups_at_once, groups))
        for column in range(0, columns, columns_at_once):
            yield block, slice(column, min(column + columns_at_once, columns))


def _company_sums(
    of: Resampled,
    columns_of: Callable[[pd.DataFrame], Iterable[Floats]],
    by: Sequence[Grouped],
    block: slice,
    columns: slice,
) -> Floats:
    """Return a block of groups by some columns by companies."""
    width, companies = block.stop - block.start, of.companies.count
    # One more group takes what belongs to no group of the block.
    sums = np.zeros((width + 1, columns.stop - columns.start, companies))
    flat, group_size = sums.reshape(-1), sums.shape[1] * companies
    for _, places in rows_by_cutoff(of.predictions):
        of_cutoff, numbers = of.predictions.iloc[places], of.companies.numbers[places]
        groups_of_rows = _groups_in(block, by, of_cutoff)
        for start in range(0, len(of_cutoff), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            values = [*islice(columns_of(of_cutoff.iloc[some]), columns.start, columns.stop)]
            for groups in groups_of_rows:
                cell = groups[some].astype(np.int64) * group_size + numbers[some]
                for column in values:
                    flat[cell] += column  # a company has one row at a cutoff, so no cell is twice
                    cell += companies
    return sums[:-1]


def _groups_in(block: slice, by: Sequence[Grouped], rows: pd.DataFrame) -> list[NDArray[np.int32]]:
    """Return the rows' places in a block of groups, its width for those outside.

    There is one array for each way to group them that has some in the block.
    """
    starts = np.cumsum([0, *(each.count for each in by)]).tolist()
    width, found = block.stop - block.start, []
    for each, start in zip(by, starts, strict=False):
        if start < block.stop and start + each.count > block.start:
            place = each.of(rows).astype(np.int32) + np.int32(start - block.start)
            found.append(np.where((place >= 0) & (place < width), place, np.int32(width)))
    return found


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
