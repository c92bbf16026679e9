"""The table of a backtest's predictions, which most measures take; its companies and its cutoffs.

``predictions`` has one row for each company and cutoff: ``id`` (whole number or text), ``as_of``, ``label``
(0 or 1), and a float column for each ranker: ``probability`` (the model) and the baselines. Where revenue is
recorded it has ``MRR``: the monthly revenue of the conversion if the label is 1, else 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.columns_on_disk import new_column
from conversion.stats.numeric import Floats, Ints, finite

REVENUE: Final = "MRR"
"""The column of the conversion's monthly revenue, where that is recorded."""

OUTCOMES: Final = ("id", "as_of", "label", REVENUE)
"""The columns that say what happened; the last is optional."""

MODEL: Final = "probability"
"""The column of the model's probability; every other ranker is a baseline."""

ORACLE: Final = "oracle"
"""The column of the true probability, where it is known; no ranker can be better."""

BASE_RATE: Final = "base_rate"
"""The column of the prevalence known when the model was fitted, the same for all rows of a cutoff."""


@dataclass(frozen=True)
class Companies:
    """Which rows belong to which company.

    Attributes
    ----------
    index
        Each row's company, from 0 to ``count`` - 1.
    count
        Number of companies.
    """

    index: Ints
    count: int


@dataclass(frozen=True)
class Cutoff:
    """The rows of one cutoff.

    Attributes
    ----------
    as_of
        The cutoff.
    ids, label, mrr
        Columns as arrays; ``mrr`` is None where revenue is not recorded.
    company
        The rows' `Companies.index`.
    rows
        The rows as a table, with the rankers.
    """

    as_of: pd.Timestamp
    ids: NDArray[Any]
    company: Ints
    label: Ints
    mrr: Floats | None
    rows: pd.DataFrame

    def score(self, ranker: str) -> Floats:
        """Return a ranker's scores; raise ValueError if one is not finite."""
        return finite(self.rows[ranker])


def companies_of(predictions: pd.DataFrame) -> Companies:
    """Return which rows of the predictions belong to which company."""
    ids = predictions["id"]
    if not pd.api.types.is_integer_dtype(ids):
        index, distinct = pd.factorize(ids, sort=True)
        return Companies(index.astype(np.int32), len(distinct))
    numbers = ids.to_numpy()
    some = [rows for _, rows in rows_by_cutoff(predictions)]
    known = np.zeros(0, dtype=numbers.dtype)
    for rows in some:  # one cutoff at a time, to bound the memory
        known = np.union1d(known, numbers[rows])
    index = np.empty(len(numbers), dtype=np.int32)
    for rows in some:
        index[rows] = np.searchsorted(known, numbers[rows])
    return Companies(index, len(known))


def company_sums(
    predictions: pd.DataFrame,
    companies: Companies,
    columns_of: Callable[[pd.DataFrame], Sequence[Floats]],
    group: NDArray[np.integer[Any]] | None = None,
    groups: int = 1,
) -> Floats:
    """Sum columns of the rows by company and group, cutoff by cutoff, to bound the memory.

    Parameters
    ----------
    predictions, companies
        The rows, and which company each belongs to.
    columns_of
        Returns the columns of some rows.
    group
        Each row's group, from 0 to ``groups`` - 1; None: the same for all.
    groups
        Number of groups.

    Returns
    -------
    ndarray of float64
        Companies by groups by columns.
    """
    sums = np.zeros((companies.count, groups, len(columns_of(predictions.iloc[:0]))))
    by_cell = sums.reshape(companies.count * groups, sums.shape[2])
    for _, places in rows_by_cutoff(predictions):
        cell = companies.index[places].astype(np.int64) * groups
        if group is not None:
            cell += group[places]
        for number, column in enumerate(columns_of(predictions.iloc[places])):
            by_cell[:, number] += np.bincount(cell, column, len(by_cell))
    return sums


def rows_by_cutoff(predictions: pd.DataFrame) -> list[tuple[pd.Timestamp, slice | NDArray[np.intp]]]:
    """Return the places of each cutoff's rows, in time order: a slice where they are one after the other."""
    as_of = predictions["as_of"]
    if not as_of.is_monotonic_increasing:
        groups = predictions.groupby("as_of", sort=True).indices
        return [(pd.Timestamp(str(each)), np.asarray(rows)) for each, rows in groups.items()]
    times = as_of.to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], times[1:] != times[:-1]))[: len(times)]).tolist()
    return [
        (pd.Timestamp(times[start]), slice(start, stop))
        for start, stop in zip(starts, [*starts[1:], len(times)], strict=True)
    ]


def cutoffs_of(predictions: pd.DataFrame, company: Ints) -> Iterator[Cutoff]:
    """Split the predictions by cutoff, in time order; ``company`` is the rows' `Companies.index`.

    Each cutoff is made when it is its turn, so that no more than one is in memory.
    """
    for as_of, places in rows_by_cutoff(predictions):
        rows = predictions.iloc[places]
        yield Cutoff(
            as_of=as_of,
            ids=rows["id"].to_numpy(),
            company=company[places],
            label=rows["label"].to_numpy(dtype=np.int64),
            mrr=rows[REVENUE].to_numpy(dtype=np.float64) if REVENUE in rows else None,
            rows=rows,
        )


def collected(
    tables: Iterable[pd.DataFrame], sizes: pd.Series[int], folder: Path | None = None
) -> pd.DataFrame:
    """Put the rows of tables in order, by cutoff and id.

    Parameters
    ----------
    tables
        With the same columns, in any order.
    sizes
        Rows of each cutoff in all of them, by cutoff, in time order.
    folder
        As for `conversion.evaluation.backtest.backtest`.
    """
    ends = sizes.to_numpy().cumsum()
    starts = ends - sizes.to_numpy()
    free, template = starts.copy(), pd.DataFrame()
    columns: dict[str, NDArray[Any]] = {}
    for table in tables:
        if not columns:
            template = table.iloc[:0]
            columns = {str(each): new_column(int(ends[-1]), _stored(table[each]), folder) for each in table}
        at = sizes.index.get_indexer(pd.Index(table["as_of"]))
        order = np.argsort(at, kind="stable")
        counts = np.bincount(at, minlength=len(sizes))
        within = np.arange(len(table)) - np.repeat(counts.cumsum() - counts, counts)
        places = free[at[order]] + within
        for name, column in columns.items():
            column[places] = _numbers(table[name])[order]
        free += counts
    for start, end in zip(starts, ends, strict=True):
        _sort_by_id(columns, slice(start, end))
    return pd.DataFrame(
        {name: _as_before(column, template[name]) for name, column in columns.items()}, copy=False
    )


def _stored(column: pd.Series[Any]) -> np.dtype[Any]:
    """Return the type that a column's `_numbers` have; texts stay objects."""
    return _numbers(column.iloc[:0]).dtype


def _numbers(column: pd.Series[Any]) -> NDArray[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    return column.to_numpy() if column.dtype.kind in "iufM" else column.to_numpy(dtype=object)


def _as_before(numbers: NDArray[Any], like: pd.Series[Any]) -> pd.Series[Any]:
    if isinstance(like.dtype, pd.CategoricalDtype):
        return pd.Series(pd.Categorical.from_codes(numbers, dtype=like.dtype), copy=False)
    return pd.Series(numbers, dtype=like.dtype, copy=False)


def _sort_by_id(columns: dict[str, NDArray[Any]], rows: slice) -> None:
    """Sort the rows of one cutoff, whatever parts they came from."""
    ids = columns["id"][rows]
    if (ids[1:] >= ids[:-1]).all():
        return
    order = np.argsort(ids, kind="stable")
    for column in columns.values():
        column[rows] = column[rows][order]
