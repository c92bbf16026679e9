"""What is asked of the list by a query, of its page or of the API: search, filters, order, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from conversion.pages.lead_filters import filter_columns
from conversion.pages.lead_table import LeadTable, Mask, Positions

BY: Final = "by."
"""Begins the name of a filter's parameter; tier has none, as it is no column of the export."""
MAX_SEARCH: Final = 100
MAX_PAGE: Final = 10**6
MAX_GIVEN: Final = 80
"""Characters of a wrong value that an error repeats."""
SORTS: Final = {
    "rank": "Rank",
    "value": "Expected value",
    "rose": "Rose most since the list before",
    "fell": "Fell most since the list before",
    "name": "Name",
}
"""The orders, and what people call them."""


class QueryError(ValueError):
    """A query that is not one; the message is a sentence for people."""


class ParameterError(QueryError):
    """A parameter of the list that is not one.

    Attributes
    ----------
    field
        Its name.
    given
        Its value, or what else is wrong with it.
    allowed
        What it may be.
    """

    def __init__(self, sentence: str, field: str, given: str, allowed: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.given = given
        self.allowed = allowed


@dataclass(frozen=True)
class ListQuery:
    """What is asked of the list.

    Attributes
    ----------
    search
        Words that the id or a shown column must have.
    filters
        By column of `filter_columns`, the value that leads must have.
    sort
        One of `SORTS`.
    page
        From 1 on.
    """

    search: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = "rank"
    page: int = 1

    @property
    def is_narrowed(self) -> bool:
        """Whether leads are left out."""
        return bool(self.search or self.filters)

    def parameters(self, page: int = 1) -> dict[str, str]:
        """Return the query's parameters for another page; what is as usual is left out."""
        given = {"q": self.search, "sort": "" if self.sort == "rank" else self.sort}
        given |= {parameter_of(column): value for column, value in self.filters.items()}
        given["page"] = "" if page == 1 else str(page)
        return {name: value for name, value in given.items() if value}


def parameter_of(column: str) -> str:
    """Name the parameter of a filter."""
    return column if column == "tier" else f"{BY}{column}"


def sorts_of(table: LeadTable) -> tuple[str, ...]:
    """List the orders that a list has."""
    value = ("value",) if table.has_value else ()
    return ("rank", *value, *(("rose", "fell") if table.has_past else ()), "name")


def read_query(given: Sequence[tuple[str, str]], table: LeadTable) -> ListQuery:
    """Read the query of a page; an empty value asks for nothing, as forms send their empty fields too.

    Raises
    ------
    ParameterError
        A parameter is unknown, or given twice, or its value is not one.
    """
    filters = _filters(table)
    values: dict[str, str] = {}
    for name, value in given:
        if name not in {"q", "sort", "page"} and name not in filters:
            raise _not_a_filter(name, filters)
        if name in values:
            raise ParameterError(f"“{_shown(name)}” is given twice.", name, "it twice", "each parameter once")
        values[name] = value
    query, faults = read_parameters(values, table)
    if faults:
        raise faults[0]
    return query


def read_parameters(values: Mapping[str, str], table: LeadTable) -> tuple[ListQuery, list[ParameterError]]:
    """Read parameters by name; return the query of those that are right, and what is wrong with others."""
    filters, faults = _filters(table), []
    values = {name: text for name, value in values.items() if (text := " ".join(value.split()))}
    found = ListQuery(
        filters={filters[name]: value for name, value in values.items() if name in filters},
        search=values.get("q", ""),
        sort=values.get("sort", "rank"),
    )
    checks = {"tier": _check_tier, "q": _check_search, "sort": _check_sort, "page": _check_page}
    for name in (*checks, *sorted(values.keys() - checks.keys())):
        if name not in values:
            continue
        try:
            if name in checks:
                checks[name](values[name], table)
            elif name not in filters:
                raise _not_a_filter(name, filters)
        except ParameterError as fault:
            faults.append(fault)
    if "page" in values and not faults:
        found = replace(found, page=int(values["page"]))
    return found, faults


def _filters(table: LeadTable) -> dict[str, str]:
    return {parameter_of(column): column for column in filter_columns(table.contract)}


def _not_a_filter(name: str, filters: Mapping[str, str]) -> ParameterError:
    sentence = f"The list cannot be narrowed by “{_shown(name)}”."
    return ParameterError(
        sentence, name, "a filter of this name", f"one of {', '.join(('q', 'sort', *filters))}"
    )


def _check_tier(name: str, table: LeadTable) -> None:
    choices = table.filters["tier"].choices
    if name not in choices:
        raise ParameterError(
            f"There is no tier “{_shown(name)}”.", "tier", name, f"one of {', '.join(choices)}"
        )


def _check_search(text: str, _: LeadTable) -> None:
    if len(text) > MAX_SEARCH:
        sentence = f"A search can have {MAX_SEARCH} characters at most, this one has {len(text)}."
        raise ParameterError(sentence, "q", f"{len(text)} characters", f"{MAX_SEARCH} characters at most")


def _check_sort(name: str, table: LeadTable) -> None:
    sorts = sorts_of(table)
    if name not in sorts:
        sentence = f"The list cannot be sorted by “{_shown(name)}”."
        raise ParameterError(sentence, "sort", name, f"one of {', '.join(sorts)}")


def _check_page(text: str, _: LeadTable) -> None:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(MAX_PAGE)) and int(text) > 0):
        sentence = f"There is no page “{_shown(text)}”."
        raise ParameterError(sentence, "page", text, f"a whole number from 1 to {MAX_PAGE - 1}")


def _shown(text: str) -> str:
    short = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return short if len(short) <= MAX_GIVEN else f"{short[: MAX_GIVEN - 1]}…"


BLOCK: Final = 1 << 16
"""Leads that are looked at in one step, from the nearer end of the list, until a page is full."""
SPARSE: Final = 64
"""Where one lead of so many or fewer is asked for, these are sorted and the list's order is not walked."""


class Selection:
    """The leads that a query asks for, in its order: how many, and some of them.

    Parameters
    ----------
    table
        The list.
    query
        Its page does not matter.
    """

    def __init__(self, table: LeadTable, query: ListQuery) -> None:
        self._table, self._sort = table, query.sort
        found = table.selected(query.filters, tuple(query.search.split()))
        self._mask, self.total = found.mask, found.total

    def between(self, begin: int, end: int) -> Positions:
        """Return the positions of those from one place to another; places beyond the last have none."""
        begin, end = min(begin, self.total), min(end, self.total)
        order = None if self._sort == "rank" else self._table.order(self._sort)
        if self._mask is None:
            return np.arange(begin, end) if order is None else np.asarray(order[begin:end], dtype=np.int64)
        if begin == end:
            return np.zeros(0, dtype=np.int64)
        if order is not None and self.total * SPARSE <= len(self._mask):
            places = np.sort(self._table.places_in(self._sort)[np.flatnonzero(self._mask)])
            return np.asarray(order[places[begin:end]], dtype=np.int64)
        if begin <= self.total - end:
            return _walk(self._mask, order, begin, end)
        return _walk(self._mask, order, self.total - end, self.total - begin, backwards=True)


def _walk(mask: Mask, order: Positions | None, begin: int, end: int, backwards: bool = False) -> Positions:
    """Return some of the marked positions of an order, by blocks; backwards, places count from the end."""
    count, seen, found = len(mask), 0, []
    for step in range(0, count, BLOCK):
        first, last = (max(count - step - BLOCK, 0), count - step) if backwards else (step, step + BLOCK)
        if order is None:
            marked = np.flatnonzero(mask[first:last]) + first
        else:
            block = order[first:last]
            marked = block[mask[block]]
        if backwards:
            marked = marked[::-1]
        if seen + len(marked) > begin:
            found.append(marked[max(begin - seen, 0) : end - seen])
        seen += len(marked)
        if seen >= end:
            break
    positions = np.concatenate(found).astype(np.int64, copy=False)
    return positions[::-1] if backwards else positions


def select(table: LeadTable, query: ListQuery) -> Positions:
    """Return the positions of the leads that a query asks for, in its order, of all pages."""
    mask = table.selected(query.filters, tuple(query.search.split())).mask
    if query.sort == "rank":
        return np.arange(len(table)) if mask is None else np.flatnonzero(mask)
    order = table.order(query.sort)
    return order if mask is None else order[mask[order]]
