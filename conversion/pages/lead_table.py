"""A lead list held as columns: what it is searched, filtered and sorted by is prepared once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conversion.config.attribute_kinds import AnyAttribute, Category, Flag, Ordered
from conversion.config.attribute_names import encoded_names, label
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import encode_values
from conversion.features.words import capitalised
from conversion.modelling.tiers import TIERS
from conversion.pages.company_words import given_name
from conversion.pages.words import tier_words, words_of
from conversion.stats.numeric import Floats

Positions = NDArray[np.int64]

MAX_SHOWN_CHOICES: Final = 40
"""Values of a ``shown`` column at most, for it to be a filter."""
MAX_CHOICES: Final = 200
"""Values of an attribute at most, for it to be a filter."""
MAX_FILTERS: Final = 12
PEEK: Final = 10_000
"""Rows that tell a column of many values, such as names, without looking at all of them."""
NONE: Final = "(none)"
"""Stands for a missing value in a filter."""
YES_NO: Final = ("yes", "no")


@dataclass(frozen=True)
class Filter:
    """A column that leads are filtered by.

    Attributes
    ----------
    column
        Of the list.
    title
        What people call it.
    choices
        The values to choose from; lead ``i`` has ``choices[codes[i]]``.
    labels
        What people call the choices.
    """

    column: str
    title: str
    choices: tuple[str, ...]
    labels: tuple[str, ...]
    codes: NDArray[np.int16]

    def has(self, value: str) -> NDArray[np.bool_]:
        """Return which leads have a value; none have one that is not among the choices."""
        if value not in self.choices:
            return np.zeros(len(self.codes), dtype=np.bool_)
        return np.asarray(self.codes == self.choices.index(value))


def filter_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns that leads can be filtered by."""
    companies = contract.companies
    attributes = [
        name for name, each in companies.attributes.items() if isinstance(each, Category | Flag | Ordered)
    ]
    return ("tier", "rep", *companies.shown, *attributes)


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
        """Whether any lead was on the list of the week before."""
        return "rank_before" in self.leads and bool(self.leads["rank_before"].notna().any())

    # Searching

    @cached_property
    def _text(self) -> pa.Array:
        """Id and shown columns of each lead, folded."""
        columns = [_texts(self.leads[name]) for name in ("id", *self.shown)]
        joined = pc.binary_join_element_wise(
            *columns, pa.scalar("\n", pa.large_string()), null_handling="replace", null_replacement=""
        )
        return _folded(joined)

    def matches(self, word: str) -> NDArray[np.bool_]:
        """Return which leads have a word in their id or a shown column, in any case."""
        found = pc.match_substring(self._text, _folded(pa.array([word], pa.large_string()))[0].as_py())
        return np.asarray(found.to_numpy(zero_copy_only=False))

    # Filtering

    def has(self, column: str, value: str) -> NDArray[np.bool_]:
        """Return which leads have a value in one of `filter_columns`, be it a choice of `filters` or not."""
        known = self.filters.get(column) or self._attribute_filter(column)
        if known is not None:
            return known.has(value)
        if column not in self.leads:  # the rep, where nobody calls
            return np.full(len(self), value == NONE)
        texts = pc.utf8_trim_whitespace(_texts(self.leads[self._filtered(column)]))
        found = pc.is_null(texts) if value == NONE else pc.equal(texts, pa.scalar(value, pa.large_string()))
        return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False))

    def _filtered(self, column: str) -> str:
        """Name the column that a filter looks at: of a category with groups, that of the groups."""
        attribute = self.contract.companies.attributes.get(column)
        grouped = isinstance(attribute, Category) and attribute.groups is not None
        return encoded_names(column, attribute)[0] if grouped and attribute is not None else column

    def _attribute_filter(self, column: str) -> Filter | None:
        attribute = self.contract.companies.attributes.get(column)
        return None if attribute is None else _attribute_filter(self.leads, column, attribute)

    @cached_property
    def filters(self) -> Mapping[str, Filter]:
        """The filters of few values, which people choose from, tier first."""
        companies = self.contract.companies
        found = [_tier_filter(self.leads["tier"])]
        texts = [name for name in ("rep", *self.shown) if name in self.leads]
        found += [each for name in texts if (each := self._shown_filter(name)) is not None]
        for name in companies.attributes:
            each = self._attribute_filter(name)
            if each is not None and 1 < len(each.choices) <= MAX_CHOICES:
                found.append(each)
        return {each.column: each for each in found[:MAX_FILTERS]}

    def _shown_filter(self, name: str) -> Filter | None:
        values = self.leads[name]
        if values.iloc[:PEEK].nunique() > MAX_SHOWN_CHOICES:
            return None
        found = _filter_of(values, name, words_of(name))
        return found if 1 < len(found.choices) <= MAX_SHOWN_CHOICES else None

    # Sorting

    @cached_property
    def moved(self) -> Floats:
        """By how much each lead's probability rose since the week before; NaN: it is new."""
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
        names = _folded(_texts(self.leads[self.shown[0] if self.shown else "id"]))
        return np.asarray(pc.array_sort_indices(names, null_placement="at_end").to_numpy().astype(np.int64))

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
    def _weekly_actions(self) -> Floats:
        return np.asarray(self.usage[list(self.contract.actions)].to_numpy(dtype=np.float64).sum(axis=1))

    @cached_property
    def _weeks_back(self) -> Positions:
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
        back, actions = self._weeks_back[span], self._weekly_actions[span]
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


def _folded(texts: Any) -> Any:
    """Write texts in one form whatever their case and the way that accents are composed."""
    return pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))


def _descending(values: Floats) -> Positions:
    """Return the order of values, the largest first, the first of equals first, NaN last."""
    return np.asarray(np.argsort(-values, kind="stable"))


def _tier_filter(tiers: pd.Series[Any]) -> Filter:
    codes = pd.Categorical(tiers, categories=list(TIERS)).codes.astype(np.int16)
    return Filter("tier", "Tier", TIERS, tuple(map(capitalised, map(tier_words, TIERS))), codes)


def _attribute_filter(leads: pd.DataFrame, name: str, attribute: AnyAttribute) -> Filter | None:
    title = words_of(label(name, attribute))
    if isinstance(attribute, Ordered):
        return _with_missing(name, title, attribute.levels, _level_codes(leads[name], attribute))
    if isinstance(attribute, Flag):
        codes = np.where(leads[name].isna(), -1, np.where(leads[name].fillna(False).astype(bool), 0, 1))
        return _with_missing(name, title, YES_NO, codes)
    if isinstance(attribute, Category):
        column = name if attribute.groups is None else encoded_names(name, attribute)[0]
        if leads[column].iloc[:PEEK].nunique() > MAX_CHOICES:
            return None
        return _filter_of(leads[column], column, title)
    return None


def _level_codes(values: pd.Series[Any], ordered: Ordered) -> Positions:
    """Return the position of each value's level; -1: it is missing."""
    exported = values.to_numpy(dtype=np.float64, na_value=np.nan) if ordered.cuts else values.astype(object)
    (places,) = encode_values(ordered, exported, ())
    return np.where(np.isnan(places), 0.0, places).astype(np.int64) - 1


def _filter_of(values: pd.Series[Any], name: str, title: str) -> Filter:
    """Make a filter of a column's values, in the order of the alphabet; spaces around them do not count."""
    codes, found = pd.factorize(values)
    levels = [_trimmed(str(level)) for level in found]
    ordered = tuple(sorted({*levels} - {""}, key=lambda level: (level.casefold(), level)))
    places = {level: place for place, level in enumerate(ordered)}
    # The last one is of missing values, whose code is -1.
    mapped = np.array([*(places.get(level, -1) for level in levels), -1], dtype=np.int64)
    return _with_missing(name, title, ordered, mapped[codes])


def _trimmed(text: str) -> str:
    return " ".join(text.split())


def _with_missing(name: str, title: str, levels: tuple[str, ...], codes: NDArray[Any]) -> Filter:
    """Add a choice for missing values, whose code is -1, where there are any."""
    levels, codes = tuple(map(_trimmed, levels)), np.asarray(codes, dtype=np.int64)
    missing = codes < 0
    if not missing.any():
        return Filter(name, title, levels, levels, codes.astype(np.int16))
    if NONE in levels:
        codes = np.where(missing, levels.index(NONE), codes)
    else:
        codes, levels = np.where(missing, len(levels), codes), (*levels, NONE)
    return Filter(name, title, levels, levels, codes.astype(np.int16))
