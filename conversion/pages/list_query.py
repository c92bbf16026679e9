"""What is asked of the list's page by its query: search, filters, order and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from conversion.pages.lead_table import LeadTable, Positions

BY: Final = "by."
"""Begins the name of a filter's parameter; tier has none, as it is no column of the export."""
MAX_SEARCH: Final = 100
MAX_WORDS: Final = 8
MAX_PAGE: Final = 10**6
MAX_GIVEN: Final = 80
"""Characters of a wrong value that an error repeats."""
SORTS: Final = {
    "rank": "Rank",
    "value": "Expected value",
    "rose": "Rose most since last week",
    "fell": "Fell most since last week",
    "name": "Name",
}
"""The orders, and what people call them."""


class QueryError(ValueError):
    """A query that is not one; the message is a sentence for people."""


@dataclass(frozen=True)
class ListQuery:
    """What is asked of the list.

    Attributes
    ----------
    search
        Words that the id or a shown column must have.
    filters
        By column of `LeadTable.filters`, the value that leads must have.
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
    """Read a query; an empty value asks for nothing, as forms send their empty fields too.

    Raises
    ------
    QueryError
        A parameter is unknown, or given twice, or its value is not one.
    """
    filters = {parameter_of(column): column for column in table.filters}
    values: dict[str, str] = {}
    for name, value in given:
        if name not in {"q", "sort", "page"} and name not in filters:
            raise QueryError(f"The list cannot be narrowed by “{_shown(name)}”.")
        if name in values:
            raise QueryError(f"“{_shown(name)}” is given twice.")
        values[name] = " ".join(value.split())
    values = {name: value for name, value in values.items() if value}
    if "tier" in values and values["tier"] not in table.filters["tier"].choices:
        raise QueryError(f"There is no tier “{_shown(values['tier'])}”.")
    return ListQuery(
        search=_search(values.get("q", "")),
        filters={filters[name]: value for name, value in values.items() if name in filters},
        sort=_sort(values.get("sort", "rank"), table),
        page=_page(values.get("page", "1")),
    )


def _search(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > MAX_SEARCH:
        raise QueryError(f"A search can have {MAX_SEARCH} characters at most, this one has {len(text)}.")
    if len(text.split()) > MAX_WORDS:
        raise QueryError(f"A search can have {MAX_WORDS} words at most.")
    return text


def _sort(name: str, table: LeadTable) -> str:
    if name not in sorts_of(table):
        raise QueryError(f"The list cannot be sorted by “{_shown(name)}”.")
    return name


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(MAX_PAGE)) and int(text) > 0):
        raise QueryError(f"There is no page “{_shown(text)}”.")
    return int(text)


def _shown(text: str) -> str:
    short = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return short if len(short) <= MAX_GIVEN else f"{short[: MAX_GIVEN - 1]}…"


def select(table: LeadTable, query: ListQuery) -> Positions:
    """Return the positions of the leads that a query asks for, in its order, of all pages."""
    wanted = None
    for column, value in query.filters.items():
        has = table.filters[column].has(value)
        wanted = has if wanted is None else wanted & has
    for word in query.search.split():
        has = table.matches(word)
        wanted = has if wanted is None else wanted & has
    if query.sort == "rank":
        return np.arange(len(table)) if wanted is None else np.flatnonzero(wanted)
    order = _order(table, query.sort)
    return order if wanted is None else order[wanted[order]]


def _order(table: LeadTable, sort: str) -> Positions:
    orders = {"value": "by_value", "rose": "by_rise", "fell": "by_fall", "name": "by_name"}
    order: Positions = getattr(table, orders[sort])
    return order
