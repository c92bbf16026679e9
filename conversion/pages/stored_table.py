"""A lead list that stays in files: a page reads the rows that it shows, and arrays that workers share.

The arrays are those that `conversion.pages.lead_table.LeadTable` makes of a list in memory, so that both
answer a query with the same leads in the same order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from conversion.config.data_contract import Contract
from conversion.pages.lead_filters import Filter
from conversion.pages.lead_table import LeadTable, Mask, Positions, folded
from conversion.pages.stored_rows import Store, StoredRows, full_schema
from conversion.pages.text_search import TextSearch
from conversion.stats.hashing import tie_break
from conversion.stats.numeric import Floats

LEADS: Final = "leads"
USAGE: Final = "usage"
CONTRIBUTIONS: Final = "contributions"
TEXTS: Final = "texts"
PARTS: Final = ("fit", "activity")
"""Columns of which a company's page says how many leads have less."""


class StoredColumns:
    """The columns of a stored table, each read as a whole when it is asked for.

    Parameters
    ----------
    rows
        The table.
    """

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows.schema.names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows.schema.names

    def __getitem__(self, name: str) -> pd.Series[Any]:
        return frame_of(pa.table({name: self._rows.column(name)}))[name]


class StoredTable(LeadTable):
    """A lead list in files.

    Parameters
    ----------
    store
        What `conversion.pages.stored_arrays.write_derived` describes, with the tables of this module's names.
    contract, as_of
        See `LeadTable`.
    """

    def __init__(self, store: Store, contract: Contract, as_of: dt.date) -> None:
        self._rows = store.tables[LEADS]
        super().__init__(columns_of(self._rows), pd.DataFrame(), contract, as_of)
        self._usage = store.tables[USAGE]
        self._added = store.tables[CONTRIBUTIONS]
        self._arrays = store.arrays
        self._says: Mapping[str, Any] = store.about["says"]
        filters = [_filter(each, self._arrays) for each in store.about["filters"]]
        self._shown = {name: filters[place] for name, place in store.about["shown_filters"].items()}
        self._known = {name: filters[place] for name, place in store.about["known_filters"].items()}
        self._search = TextSearch(store.tables[TEXTS], self._arrays["gram_blocks"], self._arrays["gram_ends"])

    # What the whole list says

    @cached_property
    def has_reps(self) -> bool:
        """Whether the list says who calls."""
        return bool(self._says["has_reps"])

    @cached_property
    def was_delivered(self) -> bool:
        """Whether the list says what moved since the one that went out before."""
        return bool(self._says["was_delivered"])

    @cached_property
    def has_past(self) -> bool:
        """Whether any lead was on the list before."""
        return bool(self._says["has_past"])

    @cached_property
    def filters(self) -> Mapping[str, Filter]:
        """The filters of few values, which people choose from, tier first."""
        return self._shown

    # Selecting

    def has(self, column: str, value: str) -> Mask:
        """Return which leads have a value in one of `filter_columns`, be it a choice of `filters` or not."""
        known = self._known.get(column)
        return super().has(column, value) if known is None else known.has(value)

    def matches(self, word: str) -> Mask:
        """Return which leads have a word in their id or a shown column, in any case."""
        return self._search.matches(folded(pa.array([word], pa.large_string()))[0].as_py())

    def order(self, sort: str) -> Positions:
        """Return the positions of the leads in one of `conversion.pages.lead_table.ORDERS`."""
        return self._arrays[sort]

    def places_in(self, sort: str) -> Positions:
        """Return the place of each lead in one of `conversion.pages.lead_table.ORDERS`."""
        return self._arrays[f"{sort}_places"]

    def ordered(self, column: str) -> Floats | None:
        """Return a column's numbers, ascending; None: the list does not have it."""
        return self._arrays[f"{column}_ordered"] if column in PARTS else super().ordered(column)

    # Single leads

    def position(self, company_id: int | str) -> int | None:
        """Return the position of a company on the list; None: it is not there."""
        has_texts = self._rows.schema.field("id").type == pa.large_string()
        if isinstance(company_id, str) != has_texts:
            return None
        try:
            key = tie_break([company_id])[0]
        except OverflowError:  # of a number that no column holds
            return None
        keys = self._arrays["keys"]
        place = int(np.searchsorted(keys, key))
        if place == len(keys) or keys[place] != key:
            return None
        position = int(self._arrays["key_positions"][place])
        return position if self.id_at(position) == company_id else None

    def id_at(self, position: int) -> int | str:
        """Return the id of the lead at a position."""
        found: int | str = self._rows.take(np.array([position]), ["id"]).column("id")[0].as_py()
        return found

    def rows(self, positions: Positions) -> list[dict[str, Any]]:
        """Return leads as values by column; what is missing is None."""
        found: list[dict[str, Any]] = self._rows.take(positions).to_pylist()
        return found

    def frame(self, positions: Positions) -> pd.DataFrame:
        """Return leads as a table of the list's columns."""
        return frame_of(self._rows.take(positions))

    def usage_of(self, position: int) -> pd.DataFrame:
        """Return a lead's usage rows."""
        begin, end = self._spans
        return frame_of(self._usage.between(int(begin[position]), int(end[position])))

    def contributions_of(self, position: int) -> dict[str, float]:
        """Return what each fact adds to a lead's score, by its key, and the base."""
        (found,) = self._added.take(np.array([position])).to_pylist()
        return dict(found)

    @property
    def contribution_columns(self) -> tuple[str, ...]:
        """The keys of `contributions_of`."""
        return tuple(self._added.schema.names)

    @cached_property
    def _spans(self) -> tuple[Positions, Positions]:
        return self._arrays["usage_begin"], self._arrays["usage_end"]

    @cached_property
    def weekly_actions(self) -> Floats:
        """The actions of each usage row."""
        return self._arrays["row_actions"]

    @cached_property
    def weeks_back(self) -> Positions:
        """For each usage row, how many weeks before the list it was; the last complete week is 1."""
        return self._arrays["row_weeks_back"]


def columns_of(rows: StoredRows) -> pd.DataFrame:
    """Return a stored table as the columns that a `LeadTable` looks at, each read when it is asked for."""
    return cast(pd.DataFrame, StoredColumns(rows))


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table with the types that reading a list into memory gives it."""
    flags = [field.name for field in table.schema if field.type == pa.bool_()]
    frame: pd.DataFrame = table.cast(full_schema(table.schema)).to_pandas()
    return frame.astype(dict.fromkeys(flags, "boolean"))


def _filter(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> Filter:
    choices, labels = tuple(about["choices"]), tuple(about["labels"])
    return Filter(about["column"], about["title"], choices, labels, arrays[about["codes"]])
