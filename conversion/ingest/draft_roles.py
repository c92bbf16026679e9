"""Which of a folder's tables are of companies, which one is of usage, and the column that joins them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from conversion.ingest.draft_columns import Column, words
from conversion.ingest.draft_events import is_log, named_event_column

Table = dict[str, Column]
"""A table's columns by name."""
MAX_TABLES: Final = 10
KEY_UNIQUENESS: Final = 0.95
KEY_FILLED: Final = 0.99
TIME_FILLED: Final = 0.95
SHARED_IN_PART: Final = 10
"""Ids that two tables must share where not all rows were looked at: of each, those are others by chance."""
LEAST_SHARED: Final = 0.3
"""Share of ids that two columns must have in common to join tables, if they are not called the same."""
LOOKED_AT: Final = 10
"""Columns of a table that are tried as ids: those whose names look most like one."""
_ID_WORDS: Final = {"id", "ids", "uuid", "guid", "key"}
_COMPANY_WORDS: Final = {
    *("account", "accounts", "company", "companies", "customer", "customers", "noncustomers", "prospects"),
    *("workspace", "workspaces", "organization", "organizations", "organisation", "organisations"),
    *("org", "orgs", "team", "teams", "tenant", "tenants", "client", "clients"),
}
_USAGE_WORDS: Final = {
    *("usage", "activity", "activities", "action", "actions", "events", "weekly", "daily", "week", "metrics")
}


@dataclass(frozen=True)
class Roles:
    """Tables by what they hold."""

    companies: tuple[str, ...]
    company_id: str
    usage: str | None
    usage_id: str | None
    others: dict[str, str]
    """Tables that were not placed, and why."""


@dataclass(frozen=True)
class _Link:
    """A key of one table that another one refers to."""

    table: str
    key: str
    to: str
    column: str
    score: float


def looks_like_id(column: str) -> int:
    """Return how much a column's name is one of ids: 2 says id, 1 names a company."""
    found = set(words(column))
    named = any(word.endswith("id") and word[:-2] in _COMPANY_WORDS for word in found)
    return 2 * bool(found & _ID_WORDS or named) + bool(found & _COMPANY_WORDS or named)


def find_roles(tables: dict[str, Table]) -> Roles | None:
    """Tell company tables from usage.

    Parameters
    ----------
    tables
        The tables of the folder by name.

    Returns
    -------
    Roles or None
        None where no table has one row a company.
    """
    keys = {name: _keys(table) for name, table in tables.items()}
    links = [link for name in tables for link in _links(name, keys[name], tables)]
    usage = _usage_of(tables, links)
    if usage is None:
        return _without_usage(tables, keys)
    joined = [link for link in links if link.to == usage]
    by_pair: dict[tuple[str, str], float] = defaultdict(float)
    for link in joined:
        by_pair[link.key, link.column] += link.score + _covered(tables, link)
    company_id, usage_id = max(by_pair, key=lambda pair: by_pair[pair])
    chosen = [link.table for link in joined if (link.key, link.column) == (company_id, usage_id)]
    companies, others = _without_overlap(list(dict.fromkeys(chosen)), company_id, tables)
    ids = [tables[name][company_id] for name in companies]
    for name in tables:
        if name not in (*companies, *others, usage):
            others[name] = _why_unplaced(tables[name], company_id, ids)
    return Roles(tuple(companies), company_id, usage, usage_id, others)


def _keys(table: Table) -> list[str]:
    """List the columns that could identify a company, the likeliest first."""
    found = [
        name
        for name, column in table.items()
        if column.kind in ("whole", "text")
        and column.filled >= KEY_FILLED
        and column.uniqueness >= KEY_UNIQUENESS
    ]
    return sorted(found, key=looks_like_id, reverse=True)[:LOOKED_AT]


def _links(name: str, keys: list[str], tables: dict[str, Table]) -> list[_Link]:
    """Find what other tables refer to this one's keys."""
    links = []
    for to, other in tables.items():
        if to == name:
            continue
        able = [each for each, column in other.items() if column.kind in ("whole", "text")]
        tried = sorted(able, key=looks_like_id, reverse=True)[:LOOKED_AT]
        for key in keys:
            for column in dict.fromkeys([*tried, *[each for each in able if each == key]]):
                score = _score(key, tables[name][key], column, other[column])
                if score > 0:
                    links.append(_Link(name, key, to, column, score))
    return links


def _score(key: str, ids: Column, column: str, others: Column) -> float:
    shared = share_known(ids, others, min(len(ids.keys), len(others.keys)))
    same = key.casefold() == column.casefold()
    if shared < (0.05 if same and looks_like_id(key) else LEAST_SHARED):
        return 0.0
    return shared + 0.5 * same + 0.25 * (looks_like_id(key) + looks_like_id(column))


def _covered(tables: dict[str, Table], link: _Link) -> float:
    """Return which share of the ids in another table are keys of this one.

    All ids of a small table, such as one of merged companies, may be there, and yet they are few of them.
    """
    referred = tables[link.to][link.column].keys
    return len(tables[link.table][link.key].keys & referred) / max(len(referred), 1)


def share_known(ids: Column, others: Column, of: int) -> float:
    """Return the share of ``of`` ids that both columns have.

    It is 1 where only a part of a table was looked at, both are called like ids and share some: in a small
    part of a large table, most ids of another one are missing.
    """
    common = len(ids.keys & others.keys)
    is_part = (ids.is_part or others.is_part) and looks_like_id(ids.name) and looks_like_id(others.name)
    return 1.0 if is_part and common >= SHARED_IN_PART else common / max(of, 1)


def _usage_of(tables: dict[str, Table], links: list[_Link]) -> str | None:
    """Find the table with several rows a company, a time and counts; None where there is none."""
    best: dict[str, float] = {}
    for link in links:
        table = tables[link.to]
        times = [each for each in table.values() if each.kind == "date" and each.filled >= TIME_FILLED]
        counts = [each for name, each in table.items() if each.kind == "whole" and name != link.column]
        sure = bool(counts) or named_event_column(table, link.column) is not None
        if not times or not (sure or is_log(table, link.column)):
            continue
        rows = 1 / max(table[link.column].uniqueness, 1e-9)
        named = bool(set(words(link.to)) & _USAGE_WORDS)
        if rows < 1.05 and not named:
            continue
        # A log without counts and a column called events may as well be of calls or payments.
        score = link.score + min(rows, 4) / 2 + named - (not sure)
        best[link.to] = max(best.get(link.to, -1.0), score)
    return max(best, key=lambda name: best[name]) if best else None


def _without_usage(tables: dict[str, Table], keys: dict[str, list[str]]) -> Roles | None:
    named = {
        name: (bool(set(words(name)) & _COMPANY_WORDS), looks_like_id(found[0]))
        for name, found in keys.items()
        if found
    }
    if not named:
        return None
    company = max(named, key=lambda name: named[name])
    key = keys[company][0]
    ids = [tables[company][key]]
    others = {name: _why_unplaced(table, key, ids) for name, table in tables.items() if name != company}
    return Roles((company,), key, None, None, others)


def _without_overlap(
    names: list[str], key: str, tables: dict[str, Table]
) -> tuple[list[str], dict[str, str]]:
    """Keep tables of different companies; one that has rows for the same ones holds something else."""

    def rank(name: str) -> tuple[bool, int]:
        return bool(set(words(name)) & _COMPANY_WORDS), len(tables[name][key].keys)

    kept: list[str] = []
    others: dict[str, str] = {}
    for name in sorted(names, key=rank, reverse=True):
        ids = tables[name][key].keys
        twin = next((each for each in kept if len(ids & tables[each][key].keys) > len(ids) / 2), None)
        if twin is not None:
            others[name] = f"its companies are in {twin} too; join its columns to {twin}, one row a company"
        elif len(kept) == MAX_TABLES:
            others[name] = f"there are {MAX_TABLES} company tables already"
        else:
            kept.append(name)
    return [name for name in names if name in kept], others


def _why_unplaced(table: Table, key: str, ids: list[Column]) -> str:
    if not table or not any(column.rows for column in table.values()):
        return "it has no rows"
    column = _joining(table, key, ids)
    if column is None:
        return "no column of it joins it to the others"
    if table[column].uniqueness >= KEY_UNIQUENESS:
        return f"{column} has ids of companies, one row each; join its columns to those of the companies"
    dates = [name for name, each in table.items() if each.kind == "date"]
    if not dates:
        return f"it has several rows for a value of {column}; make it one row a company and join it"
    return (
        f"{column} has ids of companies, several rows each, with dates ({', '.join(dates[:3])}), but not "
        "what usage or subscriptions are known by; if it is of subscriptions, name it under "
        "companies.subscriptions; if it is a log of events or of counts, under usage"
    )


def _joining(table: Table, key: str, ids: list[Column]) -> str | None:
    """Find the column that has most ids of companies; None where none has enough of them."""
    shares = {}
    for name, column in table.items():
        known = sum(len(each.keys & column.keys) for each in ids)
        share = known / max(min(len(column.keys), sum(len(each.keys) for each in ids)), 1)
        # Small whole numbers are in any ids of whole numbers: a name has to say that these are ids.
        named = name == key or looks_like_id(name) or column.kind == "text"
        if named and column.kind in ("whole", "text") and (share >= LEAST_SHARED or name == key):
            shares[name] = share
    return max(shares, key=lambda name: shares[name]) if shares else None
