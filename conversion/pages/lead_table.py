"""A lead list held as columns: what it is searched, filtered and sorted by is prepared once."""

from __future__ import annotations

import datetime as dt
import functools
import operator
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.pages.company_words import given_name
from conversion.pages.lead_filters import (
    MAX_CHOICES,
    MAX_FILTERS,
    MAX_SHOWN_CHOICES,
    NONE,
    PEEK,
    Filter,
    attribute_filter,
    filter_of,
    tier_filter,
)
from conversion.pages.words import words_of
from conversion.stats.numeric import Floats

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

SPACES: Final = r"[\p{Z}\x09-\x0d\x1c-\x1f\x{85}]+"
"""What `str.split` splits at, in Arrow's syntax."""
KEPT: Final = 8
"""Selections of leads that are kept, as the next page has the same one."""
ORDERS: Final = {"value": "by_value", "rose": "by_rise", "fell": "by_fall", "name": "by_name"}
"""The orders that are not by rank, and the properties that have them."""


@dataclass(frozen=True)
class Selected:
    """Leads that filters and words leave.

    Attributes
    ----------
    mask
        Which these are; None: all.
    total
        How many.
    """

    mask: Mask | None
    total: int


class LeadTable:
    """A lead list.

    Parameters
    ----------
    leads
        In rank order, see `conversion.leads.lead_list.lead_columns`.
    usage
        Clean usage rows, sorted by ``id`` and week.
    contract
        Names the columns of both.
    as_of
        Moment of the list.
    """

    def __init__(self, leads: pd.DataFrame, usage: pd.DataFrame, contract: Contract, as_of: dt.date) -> None:
        self.leads = leads
        self.usage = usage
        self.contract = contract
        self.as_of = as_of
        self._ordered: dict[str, Floats] = {}
        self._places_in: dict[str, Positions] = {}
        self._selected: OrderedDict[tuple[Any, ...], Selected] = OrderedDict()
        self._lock = threading.Lock()  # pages are answered on threads

    def __len__(self) -> int:
        return len(self.leads)

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that show who a company is."""
        return self.contract.companies.shown

    @property
    def has_value(self) -> bool:
        """Whether leads have an expected value."""
        return "expected_mrr" in self.leads

    @cached_property
    def has_reps(self) -> bool:
        """Whether the list says who calls."""
        return "rep" in self.leads and bool(self.leads["rep"].notna().any())

    @cached_property
    def was_delivered(self) -> bool:
        """Whether the list says what moved since the one that went out before."""
        return "moved" in self.leads and bool(self.leads["moved"].notna().any())

    @cached_property
    def has_past(self) -> bool:
        """Whether any lead was on the list before."""
        return "rank_before" in self.leads and bool(self.leads["rank_before"].notna().any())

    # Selecting

    def selected(self, filters: Mapping[str, str], words: tuple[str, ...]) -> Selected:
        """Return which leads have all of some values and words."""
        if not filters and not words:
            return Selected(None, len(self))
        key = (tuple(sorted(filters.items())), tuple(sorted(set(words))))
        with self._lock:
            if key in self._selected:
                self._selected.move_to_end(key)
                return self._selected[key]
        masks = [self.has(column, value) for column, value in filters.items()]
        masks += [self.matches(word) for word in dict.fromkeys(words)]
        mask = functools.reduce(operator.and_, masks)
        found = Selected(mask, int(np.count_nonzero(mask)))
        with self._lock:
            self._selected[key] = found
            while len(self._selected) > KEPT:
                self._selected.popitem(last=False)
        return found

    # Searching

    @cached_property
    def texts(self) -> pa.Array:
        """Id and shown columns of each lead, folded."""
        columns = [_texts(self.leads[name]) for name in ("id", *self.shown)]
        joined = pc.binary_join_element_wise(
            *columns, pa.scalar("\n", pa.large_string()), null_handling="replace", null_replacement=""
        )
        return folded(joined)

    def matches(self, word: str) -> NDArray[np.bool_]:
        """Return which leads have a word in their id or a shown column, in any case."""
        found = pc.match_substring(self.texts, folded(pa.array([word], pa.large_string()))[0].as_py())
        return np.asarray(found.to_numpy(zero_copy_only=False))

    # Filtering

    def has(self, column: str, value: str) -> NDArray[np.bool_]:
        """Return which leads have a value in one of `filter_columns`, be it a choice of `filters` or not."""
        known = self.filters.get(column) or self.other_filter(column)
        if known is not None:
            return known.has(value)
        if column not in self.leads:  # the rep, where nobody calls
            return np.full(len(self), value == NONE)
        # As queries and `filter_of` have texts.
        texts = pc.replace_substring_regex(_texts(self.leads[self._filtered(column)]), SPACES, " ")
        texts = pc.utf8_trim_whitespace(texts)
        found = pc.is_null(texts) if value == NONE else pc.equal(texts, pa.scalar(value, pa.large_string()))
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False))

    def _filtered(self, column: str) -> str:
        """Name the column that a filter looks at: of a category with groups, that of the groups."""
        attribute = self.contract.companies.attributes.get(column)
        grouped = isinstance(attribute, Category) and attribute.groups is not None
        return encoded_names(column, attribute)[0] if grouped and attribute is not None else column

    def other_filter(self, column: str) -> Filter | None:
        """Return the filter of an attribute, be it one of `filters` or not."""
        attribute = self.contract.companies.attributes.get(column)
        return None if attribute is None else attribute_filter(self.leads, column, attribute)

    @cached_property
    def filters(self) -> Mapping[str, Filter]:
        """The filters of few values, which people choose from, tier first."""
        companies = self.contract.companies
        found = [tier_filter(self.leads["tier"])]
        texts = [name for name in ("rep", *self.shown) if name in self.leads]
        found += [each for name in texts if (each := self._shown_filter(name)) is not None]
        for name in companies.attributes:
            each = self.other_filter(name)
            if each is not None and 1 < len(each.choices) <= MAX_CHOICES:
                found.append(each)
        return {each.column: each for each in found[:MAX_FILTERS]}

    def _shown_filter(self, name: str) -> Filter | None:
        values = self.leads[name]
        if values.iloc[:PEEK].nunique() > MAX_SHOWN_CHOICES:
            return None
        found = filter_of(values, name, words_of(name))
        return found if 1 < len(found.choices) <= MAX_SHOWN_CHOICES else None

    # Sorting

    @cached_property
    def moved(self) -> Floats:
        """By how much each lead's probability rose since the list before; NaN: it is new."""
        now: Floats = self.leads["probability"].to_numpy(dtype=np.float64)
        before: Floats = self.leads["probability_before"].to_numpy(dtype=np.float64, na_value=np.nan)
        return now - before

    @cached_property
    def by_value(self) -> Positions:
        """Positions of the leads by expected value, the largest first."""
        return _descending(self.leads["expected_mrr"].to_numpy(dtype=np.float64))

    @cached_property
    def by_rise(self) -> Positions:
        """Positions of the leads by how much their probability rose; new ones last."""
        return _descending(self.moved)

    @cached_property
    def by_fall(self) -> Positions:
        """Positions of the leads by how much their probability fell; new ones last."""
        return _descending(-self.moved)

    @cached_property
    def by_name(self) -> Positions:
        """Positions of the leads by the column that they are called by; those without one last."""
        if not self.shown and self.contract.companies.ids == "whole":
            return np.asarray(np.argsort(self.leads["id"].to_numpy(), kind="stable"))
        names = folded(_texts(self.leads[self.shown[0] if self.shown else "id"]))
        return np.asarray(pc.array_sort_indices(names, null_placement="at_end").to_numpy().astype(np.int64))

    def order(self, sort: str) -> Positions:
        """Return the positions of the leads in one of `ORDERS`."""
        order: Positions = getattr(self, ORDERS[sort])
        return order

    def places_in(self, sort: str) -> Positions:
        """Return the place of each lead in one of `ORDERS`."""
        if sort not in self._places_in:
            places = np.empty(len(self), dtype=np.int64)
            places[self.order(sort)] = np.arange(len(self))
            self._places_in[sort] = places
        return self._places_in[sort]

    # Single leads

    @cached_property
    def _places(self) -> pd.Index[Any]:
        index: pd.Index[Any] = pd.Index(self.leads["id"])
        return index

    def position(self, company_id: int | str) -> int | None:
        """Return the position of a company on the list; None: it is not there."""
        try:
            place = self._places.get_loc(company_id)
        except (KeyError, OverflowError):  # the latter of a number that no column holds
            return None
        assert isinstance(place, int), "each company is on the list once"
        return place

    def id_at(self, position: int) -> int | str:
        """Return the id of the lead at a position."""
        company_id = self.leads["id"].iloc[position]
        return company_id if isinstance(company_id, str) else int(company_id)

    def rows(self, positions: Positions) -> list[dict[str, Any]]:
        """Return leads as values by column; what is missing is None."""
        # By column, as a selection of rows would copy every column's whole block of some of them.
        columns = {str(name): _plain(self.leads[name].array.take(positions)) for name in self.leads}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def frame(self, positions: Positions) -> pd.DataFrame:
        """Return leads as a table of the list's columns."""
        return self.leads.iloc[np.asarray(positions)]

    def name_of(self, row: Mapping[str, Any]) -> str:
        """Return what a lead is called: its first shown column, or its id."""
        return given_name(row, self.shown) or str(row["id"])

    def ordered(self, column: str) -> Floats | None:
        """Return a column's numbers, ascending; None: the list does not have it."""
        if column not in self.leads:
            return None
        if column not in self._ordered:
            values = self.leads[column].to_numpy(dtype=np.float64, na_value=np.nan)
            self._ordered[column] = np.sort(values[~np.isnan(values)])
        return self._ordered[column]

    # Usage

    @cached_property
    def _spans(self) -> tuple[Positions, Positions]:
        """For each lead, where its usage rows begin and end."""
        ids = self.usage["id"]
        first = np.flatnonzero(~ids.duplicated().to_numpy())
        ends = np.append(first[1:], len(ids))
        found = pd.Index(ids.iloc[first]).get_indexer(self._places)
        if not len(first):
            return np.zeros(len(self), dtype=np.int64), np.zeros(len(self), dtype=np.int64)
        return np.where(found < 0, 0, first[found]), np.where(found < 0, 0, ends[found])

    @cached_property
    def weekly_actions(self) -> Floats:
        """The actions of each usage row."""
        return np.asarray(self.usage[list(self.contract.actions)].to_numpy(dtype=np.float64).sum(axis=1))

    @cached_property
    def weeks_back(self) -> Positions:
        """For each usage row, how many weeks before the list it was; the last complete week is 1."""
        days = self.usage[self.contract.usage.time].to_numpy().astype("datetime64[D]")
        return (np.datetime64(self.as_of, "D") - days).astype(np.int64) // 7

    def usage_of(self, position: int) -> pd.DataFrame:
        """Return a lead's usage rows."""
        begin, end = self._spans
        return self.usage.iloc[int(begin[position]) : int(end[position])]

    def activity_of(self, position: int, weeks: int) -> list[float]:
        """Return a lead's actions in each of the last weeks, oldest first."""
        begin, end = self._spans
        span = slice(int(begin[position]), int(end[position]))
        back, actions = self.weeks_back[span], self.weekly_actions[span]
        recent = (back >= 1) & (back <= weeks)
        totals = np.zeros(weeks)
        totals[weeks - back[recent]] = actions[recent]
        return totals.tolist()


def _plain(values: Any) -> list[Any]:
    """Return an array's values as Python's own; what is missing is None."""
    objects = np.asarray(values, dtype=object)
    objects[np.asarray(pd.isna(values), dtype=np.bool_)] = None
    plain: list[Any] = objects.tolist()
    return plain


def _texts(values: pd.Series[Any]) -> Any:
    """Return a column as Arrow's large strings."""
    if values.dtype.kind in "iu":
        return pc.cast(pa.array(values.to_numpy()), pa.large_string())
    made = pa.array(values, from_pandas=True)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    return pc.cast(made, pa.large_string())


def folded(texts: Any) -> Any:
    """Write texts in one form whatever their case and the way that accents are composed."""
    return pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))


def _descending(values: Floats) -> Positions:
    """Return the order of values, the largest first, the first of equals first, NaN last."""
    return np.asarray(np.argsort(-values, kind="stable"))
