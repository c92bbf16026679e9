"""The page of the week's list: which leads a query asks for, and what is said of each."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from markupsafe import Markup

from conversion.delivery.leavers import Leaver
from conversion.features.words import capitalised
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.lead_tables import WHOLE
from conversion.pages import words
from conversion.pages.charts import share_bar, sparkline
from conversion.pages.layout import Site, render
from conversion.pages.lead_filters import NONE, Filter
from conversion.pages.lead_table import LeadTable
from conversion.pages.left_section import left_section
from conversion.pages.list_query import SORTS, ListQuery, Selection, parameter_of, select, sorts_of
from conversion.pages.words import words_of
from conversion.runtime.files import without_formulas

PAGE_ROWS: Final = 50
WEEKS: Final = 13
"""Weeks of a sparkline."""
CSV_ROWS: Final = 5_000
"""Rows of a download that are written at once."""


@dataclass(frozen=True)
class Moved:
    """What changed since the list before.

    Attributes
    ----------
    kind
        ``new``, ``up``, ``down`` or ``same``.
    text
        A few words.
    more
        What the probability was; empty: the same.
    why
        What changed, in a sentence, where that is known; empty otherwise.
    """

    kind: str
    text: str
    more: str
    why: str = ""


@dataclass(frozen=True)
class Row:
    """What the list says of a lead."""

    rank: int
    name: str
    address: str
    details: tuple[tuple[str, str], ...]
    probability: float
    bar: Markup
    tier: str
    value: float | None
    activity: Markup
    reason: str | None
    moved: Moved | None
    rep: str | None


@dataclass(frozen=True)
class AboutList:
    """What the list is, as its page says it.

    Attributes
    ----------
    version
        Of the model that scored it.
    of_served_model
        Whether that model is the one that answers now.
    record
        One honest line on how good such lists were; None: not known.
    horizon_days
        Within how many days companies convert; None: not known.
    currency
        Of values; empty: not known.
    scorecard
        One line on what became of the lists that went out; None: not known.
    left
        Who left the call list since the delivery before.
    """

    version: str
    of_served_model: bool
    record: str | None
    horizon_days: int | None
    currency: str
    scorecard: str | None = None
    left: tuple[Leaver, ...] = ()


def list_page(table: LeadTable, query: ListQuery, about: AboutList, site: Site) -> str:
    """Render a page of the list."""
    found = Selection(table, query)
    last = max(-(-found.total // PAGE_ROWS), 1)
    page = min(query.page, last)
    begin = (page - 1) * PAGE_ROWS
    positions = found.between(begin, begin + PAGE_ROWS)
    rows = [
        _row(table, int(position), row, site)
        for position, row in zip(positions, table.rows(positions), strict=True)
    ]
    return render(
        "list.html",
        site,
        about=about,
        table=table,
        query=query,
        rows=rows,
        found=found.total,
        first=begin + 1,
        page=page,
        last=last,
        pages={name: _address(site, query, number) for name, number in _neighbours(page, last).items()},
        csv=f"{site.to('/leads.csv')}{_query(query.parameters())}",
        sorts={name: SORTS[name] for name in sorts_of(table)},
        fields=[_field(each, query) for each in table.filters.values()],
        called=words_of(table.shown[0]) if table.shown else "Company",
        searched=searched(table),
        left=left_section(about.left, query, table, site),
    )


def searched(table: LeadTable) -> str:
    """Say what the search looks at."""
    columns = [words_of(name) for name in table.shown[:2]] or ["Id"]
    return f"{', '.join(columns)}…"


def _neighbours(page: int, last: int) -> dict[str, int]:
    numbers = {"first": 1, "previous": page - 1, "next": page + 1, "last": last}
    return {name: number for name, number in numbers.items() if 1 <= number <= last and number != page}


def _address(site: Site, query: ListQuery, page: int) -> str:
    return f"{site.to('/')}{_query(query.parameters(page))}"


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""


@dataclass(frozen=True)
class FilterField:
    """A filter as a field of the form: its parameter, options as value and label, and the chosen one."""

    name: str
    title: str
    options: tuple[tuple[str, str], ...]
    chosen: str


def _field(each: Filter, query: ListQuery) -> FilterField:
    chosen = query.filters.get(each.column, "")
    options = list(zip(each.choices, each.labels, strict=True))
    if chosen and chosen not in each.choices:  # of the list of another week
        options.append((chosen, chosen))
    labelled = tuple((value, "none" if label == NONE else label) for value, label in options)
    return FilterField(parameter_of(each.column), each.title, labelled, chosen)


def _row(table: LeadTable, position: int, row: Mapping[str, Any], site: Site) -> Row:
    activity = table.activity_of(position, WEEKS)
    probability = float(row["probability"])
    return Row(
        rank=int(row["rank"]),
        name=table.name_of(row),
        address=site.company(row["id"]),
        details=details_of(table, row),
        probability=probability,
        bar=share_bar(probability),
        tier=str(row["tier"]),
        value=row.get("expected_mrr"),
        activity=sparkline(activity, activity_label(activity)),
        reason=row[REASON_COLUMNS[0]],
        moved=moved_of(row) if table.has_past else None,
        rep=row.get("rep"),
    )


def details_of(table: LeadTable, row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the shown columns beside the one that a lead is called by, with what is known."""
    return tuple((words_of(name), str(row[name])) for name in table.shown[1:] if row[name] is not None)


def activity_label(activity: list[float]) -> str:
    """Say what a sparkline shows.

    Examples
    --------
    >>> activity_label([0.0, 2.0, 1_500.0]), activity_label([0.0, 0.0])
    ('3 weeks of actions, 1,500 in the last', 'no actions in 2 weeks')
    """
    if not any(activity):
        return f"no actions in {len(activity)} weeks"
    return f"{len(activity)} weeks of actions, {words.count(activity[-1])} in the last"


def moved_of(row: Mapping[str, Any]) -> Moved:
    """Say what changed for a lead since the list before.

    Examples
    --------
    >>> moved_of({"rank": 3, "probability": 0.5, "rank_before": 15, "probability_before": 0.41})
    Moved(kind='up', text='Up from 15', more='was 41 %', why='')
    >>> moved_of({"rank": 3, "probability": 0.5, "rank_before": None, "probability_before": None})
    Moved(kind='new', text='New', more='', why='')
    """
    why = capitalised((row.get("moved") or "").partition(": ")[2])
    rank, before = int(row["rank"]), None if row["rank_before"] is None else int(row["rank_before"])
    text = words.moved(rank, before).capitalize()
    if before is None:
        return Moved("new", text, "", why)
    kind = "up" if rank < before else "down" if rank > before else "same"
    was, now = words.percent(row["probability_before"]), words.percent(row["probability"])
    return Moved(kind, text, "" if was == now else f"was {was}", why)


# The download


def csv_of(table: LeadTable, query: ListQuery) -> Iterator[str]:
    """Write the leads that a query asks for as CSV without formulas, some rows at a time.

    It begins with the mark by which spreadsheets know UTF-8.
    """
    found = select(table, query)
    for begin in range(0, max(len(found), 1), CSV_ROWS):
        part = table.frame(found[begin : begin + CSV_ROWS])
        rows = without_formulas(part.astype({name: "Int64" for name in WHOLE if name in part}))
        # Texts are quoted, as a lone carriage return in one would end its row.
        text = rows.to_csv(index=False, header=begin == 0, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        yield text if begin else f"\ufeff{text}"
