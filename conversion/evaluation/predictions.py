"""The table of a backtest's predictions, which most measures take; its companies and its cutoffs.

``predictions`` has one row for each company and cutoff: ``id`` (whole number or text), ``as_of``, ``label``
(0 or 1), and a float column for each ranker: ``probability`` (the model) and the baselines. Where revenue is
recorded it has ``MRR``: the monthly revenue of the conversion if the label is 1, else 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.params import BASELINE_WEEKS
from conversion.evaluation.columns_on_disk import new_column
from conversion.stats.distinct_counts import Distinct, DistinctCounts
from conversion.stats.numeric import Bools, Floats, Ints, finite
from conversion.stats.rank_order import order_after_ties, tie_order

REVENUE: Final = "MRR"
"""The column of the conversion's monthly revenue, where that is recorded."""

OUTCOMES: Final = ("id", "as_of", "label", REVENUE)
"""The columns that say what happened; the last is optional."""

MODEL: Final = "probability"
"""The column of the model's probability; every other ranker is a baseline."""

SUMMARY: Final = "summary_only"
"""The column of the probability from attributes and lifetime totals alone."""

ORACLE: Final = "oracle"
"""The column of the true probability, where it is known; no ranker can be better."""

RANKER_NAMES: Final = {
    MODEL: "model",
    "users_rule": f"rule: most users, last {BASELINE_WEEKS} weeks",
    "actions_rule": f"rule: most actions, last {BASELINE_WEEKS} weeks",
    SUMMARY: "model that knows totals only",
    "random": "random order",
    ORACLE: "best possible order (known on the sample)",
}
"""Rankers in the order of the legend."""

Places = slice | NDArray[np.intp]
"""Positions of rows of the predictions: a slice where they are contiguous."""

BASE_RATE: Final = "base_rate"
"""The column of the prevalence known when the model was fitted, the same for all rows of a cutoff."""


@dataclass(frozen=True)
class Companies:
    """The companies of the predictions, numbered from 0 in the order of their ids.

    Attributes
    ----------
    count
        How many they are.
    numbers
        Of each row of the predictions, its company's.
    in_order
        Whether the numbers increase from row to row of each cutoff.
    """

    count: int
    numbers: NDArray[np.int32]
    in_order: bool


@dataclass(frozen=True)
class Cutoff:
    """The rows of one cutoff.

    Attributes
    ----------
    as_of
        The cutoff.
    label, mrr
        Columns as arrays; ``mrr`` is None where revenue is not recorded.
    company
        The rows' part of `Companies.numbers`.
    rows
        The rows as a table, with the rankers.
    orders
        The rows' part of `rank_orders`.
    """

    as_of: pd.Timestamp
    company: NDArray[np.int32]
    label: Ints
    mrr: Floats | None
    rows: pd.DataFrame
    orders: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    def score(self, ranker: str) -> Floats:
        """Return a ranker's scores; raise ValueError if one is not finite."""
        return finite(self.rows[ranker])

    @cached_property
    def by_ties(self) -> Ints:
        """Return the `conversion.stats.rank_order.tie_order` of the rows, for all rankers."""
        return tie_order(self.rows["id"].to_numpy())

    def order(self, ranker: str) -> Ints:
        """Return the `conversion.stats.rank_order.rank_order` of the rows by a ranker."""
        if ranker in self.orders:
            return np.asarray(self.orders[ranker], dtype=np.int64)
        return order_after_ties(self.rows[ranker], self.by_ties)


def companies_of(predictions: pd.DataFrame, folder: Path | None = None) -> Companies:
    """Return numbers for the companies, found one cutoff at a time, to bound the memory.

    Parameters
    ----------
    predictions
        See the module.
    folder
        As for `conversion.evaluation.backtest.backtest`.
    """
    ids = predictions["id"]
    by_cutoff = [rows for _, rows in rows_by_cutoff(predictions)]
    count, numbers_of = _numbering(ids, by_cutoff)
    numbers, in_order = new_column(len(ids), np.int32, folder), True
    for rows in by_cutoff:
        own = numbers_of(ids.iloc[rows])
        numbers[rows] = own
        in_order = in_order and bool((own[1:] > own[:-1]).all())
    return Companies(count, numbers, in_order)


def _numbering(
    ids: pd.Series[Any], by_cutoff: Sequence[Places]
) -> tuple[int, Callable[[pd.Series[Any]], NDArray[Any]]]:
    """Return how many companies there are, and what numbers those of some rows have."""
    if isinstance(ids.dtype, pd.CategoricalDtype):
        there = np.zeros(len(ids.cat.categories), dtype=np.bool_)
        for rows in by_cutoff:
            there[ids.iloc[rows].cat.codes] = True
        number = (np.cumsum(there) - 1).astype(np.int32)
        return int(there.sum()), lambda ids: number[ids.cat.codes]
    if not pd.api.types.is_integer_dtype(ids):
        known = pd.Index(ids.unique()).sort_values()
        return len(known), lambda ids: known.get_indexer(pd.Index(ids))
    numbers = ids.iloc[:0].to_numpy()
    for rows in by_cutoff:
        of_cutoff = ids.iloc[rows].to_numpy()
        new = of_cutoff[~search(of_cutoff, numbers)[1]]
        numbers = np.sort(np.concatenate((numbers, new)), kind="stable")  # merges the two, mostly sorted
    return len(numbers), lambda ids: np.searchsorted(numbers, ids.to_numpy())


def search(values: NDArray[Any], known: NDArray[Any]) -> tuple[NDArray[np.intp], Bools]:
    """Return where values are among known ones, which increase, and which of them are there at all.

    A search, as a table takes more memory.
    """
    if not len(known):
        return np.zeros(len(values), dtype=np.intp), np.zeros(len(values), dtype=np.bool_)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return at, np.asarray(known[at] == values)


def rows_by_cutoff(predictions: pd.DataFrame) -> list[tuple[pd.Timestamp, Places]]:
    """Return the places of each cutoff's rows, in time order."""
    as_of = predictions["as_of"]
    if not as_of.is_monotonic_increasing:
        groups = predictions.groupby("as_of", sort=True).indices
        return [(pd.Timestamp(str(each)), np.asarray(rows)) for each, rows in groups.items()]
    times, start = as_of.to_numpy(), 0
    found: list[tuple[pd.Timestamp, Places]] = []
    while start < len(times):  # a search for the end of each needs no mask of all rows
        stop = int(np.searchsorted(times, times[start], side="right"))
        found.append((pd.Timestamp(times[start]), slice(start, stop)))
        start = stop
    return found


def tables_by_cutoff(predictions: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of each cutoff, in time order."""
    return (predictions.iloc[rows] for _, rows in rows_by_cutoff(predictions))


def rank_orders(
    predictions: pd.DataFrame, rankers: Sequence[str], folder: Path | None = None
) -> dict[str, NDArray[np.int32]]:
    """Sort each list by each ranker, for measures that go through the lists again and again.

    Parameters
    ----------
    predictions
        See the module.
    rankers
        Columns to rank by.
    folder
        As for `conversion.evaluation.backtest.backtest`.

    Returns
    -------
    dict
        By ranker a column as long as the predictions: the `conversion.stats.rank_order.rank_order` of each
        cutoff's rows, in their places.
    """
    orders = {ranker: new_column(len(predictions), np.int32, folder) for ranker in rankers}
    for _, places in rows_by_cutoff(predictions):
        rows = predictions.iloc[places]
        by_ties = tie_order(rows["id"].to_numpy())
        for ranker, column in orders.items():
            column[places] = order_after_ties(rows[ranker], by_ties)
    return orders


def cutoffs_of(
    predictions: pd.DataFrame,
    companies: Companies | None = None,
    orders: Mapping[str, NDArray[np.int32]] | None = None,
) -> Iterator[Cutoff]:
    """Split the predictions by cutoff, in time order.

    Each cutoff is made when it is its turn, so that no more than one is in memory.

    Parameters
    ----------
    predictions
        See the module.
    companies
        From `companies_of`; None: each list numbers its companies by their rows.
    orders
        From `rank_orders`; by other rankers the lists are sorted when it is asked for.
    """
    for as_of, places in rows_by_cutoff(predictions):
        rows = predictions.iloc[places]
        yield Cutoff(
            as_of=as_of,
            company=np.arange(len(rows), dtype=np.int32) if companies is None else companies.numbers[places],
            label=rows["label"].to_numpy(dtype=np.int64),
            mrr=rows[REVENUE].to_numpy(dtype=np.float64) if REVENUE in rows else None,
            rows=rows,
            orders={ranker: order[places] for ranker, order in (orders or {}).items()},
        )


def conversions_of(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the companies that convert within the horizon, by cutoff."""
    label = predictions["label"].to_numpy()
    places = [places_among(rows, np.flatnonzero(label[rows] == 1)) for _, rows in rows_by_cutoff(predictions)]
    return predictions.iloc[np.concatenate(places)]


def places_among(places: Places, some: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places among all rows of some of a cutoff's, given the places of the cutoff's rows."""
    return some + places.start if isinstance(places, slice) else places[some]


def probability_counts(predictions: pd.DataFrame, column: str = MODEL) -> Distinct:
    """Count the rows and the conversions of each distinct probability; ValueError if one is not finite."""
    counts = DistinctCounts()
    for rows in tables_by_cutoff(predictions):
        counts.add(finite(rows[column]), (rows["label"] == 1).to_numpy())
    return counts.result()


def selected(
    predictions: pd.DataFrame,
    keep: Callable[[pd.DataFrame], Bools],
    columns: Sequence[str],
    orders: Mapping[str, NDArray[np.int32]],
    folder: Path | None = None,
) -> tuple[pd.DataFrame, dict[str, NDArray[np.int32]]]:
    """Return some rows of the predictions, by cutoff, and their `rank_orders`.

    Parameters
    ----------
    predictions
        See the module.
    keep
        Says which rows of a cutoff.
    columns
        To keep.
    orders
        From `rank_orders` of all rows: a part of a list is in the order of the whole.
    folder
        As for `conversion.evaluation.backtest.backtest`.
    """
    lists = rows_by_cutoff(predictions)
    ends = np.cumsum([keep(predictions.iloc[places]).sum() for _, places in lists])
    length = int(ends[-1])
    kept = {name: new_column(length, _stored(predictions[name]), folder) for name in columns}
    kept_orders = {ranker: new_column(length, np.int32, folder) for ranker in orders}
    for (_, places), end in zip(lists, ends, strict=True):
        rows = predictions.iloc[places]
        chosen = keep(rows)
        place = np.cumsum(chosen, dtype=np.int32) - 1
        of_cutoff = slice(end - chosen.sum(), end)
        for name, column in kept.items():
            column[of_cutoff] = _numbers(rows[name])[chosen]
        for ranker, order in kept_orders.items():
            whole = orders[ranker][places]
            order[of_cutoff] = place[whole[chosen[whole]]]
    table = {name: _as_before(column, predictions[name]) for name, column in kept.items()}
    return pd.DataFrame(table, copy=False), kept_orders


def collected(
    tables: Iterable[pd.DataFrame],
    sizes: pd.Series[int],
    folder: Path | None = None,
    texts: pd.Index[Any] | None = None,
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
    texts
        All ids, increasing, if they are texts: they become a category, which takes 4 bytes a row.
    """
    ends = sizes.to_numpy().cumsum()
    starts = ends - sizes.to_numpy()
    free, template = starts.copy(), pd.DataFrame()
    columns: dict[str, NDArray[Any]] = {}
    dtype = None if texts is None else pd.CategoricalDtype(texts)
    for rows in tables:
        table = rows if texts is None else rows.assign(id=pd.Categorical(rows["id"], dtype=dtype))
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
