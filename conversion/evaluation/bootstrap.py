"""The bootstrap of companies: the samples, and the 95 % percentile intervals.

A company is on many lists, so its rows are not independent evidence. A sample draws companies, and each row
has the weight of its company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
    rows_by_cutoff,
)
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
    folder
        As for `conversion.evaluation.backtest.backtest`.

    Attributes
    ----------
    sampled
        How often each sample drew each company, whole numbers, companies by samples.
    """

    def __init__(self, companies: int, samples: int, seed: int, folder: Path | None = None) -> None:
        self.sampled: NDArray[Any] = new_columns(companies, samples, np.uint8, folder)
        start = 0
        for weights in company_weights(companies, samples, seed):
            if weights.max(initial=0.0) > np.iinfo(self.sampled.dtype).max:
                self.sampled = self.sampled.astype(np.uint32)  # a few companies only are drawn so often
            self.sampled[:, start : start + weights.shape[1]] = weights
            start += weights.shape[1]

    @property
    def samples(self) -> int:
        """Return the number of samples, everyone included."""
        return 1 + int(self.sampled.shape[1])

    def blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the places of some samples, everyone's is 0, and their weights, companies by samples."""
        yield slice(0, 1), np.ones((len(self.sampled), 1), dtype=np.uint8)
        for start in range(0, self.sampled.shape[1], SAMPLES_AT_ONCE):
            block = self.sampled[:, start : start + SAMPLES_AT_ONCE]
            yield slice(1 + start, 1 + start + block.shape[1]), block


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
    """Draw samples of the companies of the predictions; see `company_weights` and `Resampled`."""
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
    groups: Grouped = ONE_GROUP,
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
    groups
        Each group is summed apart.

    Returns
    -------
    ndarray of float64, ndarray of float64
        Groups by columns; samples by groups by columns.
    """
    count = sum(1 for _ in columns_of(of.predictions.iloc[:0]))
    group = _groups(of, groups)
    sums = new_columns(of.companies.count, groups.count * count, np.float64, of.folder)
    at_once = max(1, CELLS // sums.shape[1])
    for start in range(0, len(sums), at_once):
        _sum_up(of, columns_of, group, start, sums[start : start + at_once].reshape(-1, groups.count, count))
    sampled = sums_at_counts(of.draws.sampled, sums)
    return sums.sum(axis=0).reshape(groups.count, count), sampled.reshape(-1, groups.count, count)


def _groups(of: Resampled, groups: Grouped) -> NDArray[np.unsignedinteger[Any]]:
    """Return the number of each row's group."""
    found = new_column(len(of.predictions), np.min_scalar_type(groups.count), of.folder)
    for _, places in rows_by_cutoff(of.predictions):
        found[places] = groups.of(of.predictions.iloc[places])
    return found


def _sum_up(
    of: Resampled,
    columns_of: Callable[[pd.DataFrame], Iterable[Floats]],
    group: NDArray[np.unsignedinteger[Any]],
    first: int,
    sums: Floats,
) -> None:
    """Sum the rows of the companies from one number on; ``sums`` are companies by groups by columns."""
    sums[...] = 0.0
    companies, width, count = sums.shape
    by_cell = sums.reshape(companies * width, count)
    for _, places in rows_by_cutoff(of.predictions):
        for rows in _rows_of(of.companies, places, first, first + companies):
            values = np.column_stack([*columns_of(of.predictions.iloc[rows])])
            company = of.companies.number[rows].astype(np.int64) - first
            by_cell[company * width + group[rows]] += values  # a company has one row at a cutoff


def _rows_of(companies: Companies, of_cutoff: Places, start: int, stop: int) -> Iterator[Places]:
    """Yield the places of a cutoff's rows whose companies have these numbers, some at a time."""
    number = companies.number[of_cutoff]
    if isinstance(of_cutoff, slice) and companies.in_order:
        ends = np.searchsorted(number, np.array([start, stop], dtype=number.dtype))
        first, last = (of_cutoff.start + int(end) for end in ends)
        for row in range(first, last, ROWS_AT_ONCE):
            yield slice(row, min(row + ROWS_AT_ONCE, last))
        return
    places = np.arange(len(companies.number))[of_cutoff][(number >= start) & (number < stop)]
    for row in range(0, len(places), ROWS_AT_ONCE):
        yield places[row : row + ROWS_AT_ONCE]


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
