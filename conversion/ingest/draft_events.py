"""What the columns of a log of events are: names, users, modules; for the draft of a contract."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import numpy as np

from conversion.ingest.draft_columns import Column, words
from conversion.ingest.draft_levels import yes_and_no

EVENT: Final = ("event", "events", "eventname", "action", "activity", "verb", "name", "type", "kind")
"""Words in names of columns of events, the surest first."""
USER: Final = {
    *("user", "users", "userid", "member", "person", "who", "actor", "visitor", "seat"),
    *("utilisateur", "nutzer", "benutzer", "usuario", "utente", "gebruiker"),
}
OTHER_TEXTS: Final = {
    *("device", "browser", "os", "platform", "country", "city", "region", "language", "locale", "timezone"),
    *("source", "channel", "referrer", "plan", "role", "version", "status", "outcome", "result", "currency"),
}
"""Words in names of texts that differ from row to row, too, and are no events."""
NO_COUNT: Final = {"id", "ids", "uuid", "guid", "key", "session", "seq", "row"}
"""Words in names of whole numbers that count nothing."""
IDENTIFIED: Final = {"event", "message", "insert", "deduplication", "dedup"}
"""Words before ``id`` in names of columns that identify an event; a row's own number does not tell copies."""
EVENT_IDS: Final = {"uuid", "guid", "eventid", "messageid", "insertid"}
MOSTLY_UNIQUE: Final = 0.5
MAX_NAMES: Final = 200
"""More different texts are no names of events."""
LEAST_REPEATS: Final = 3
LEAST_VARIED: Final = 1.5
"""Different texts a company from which on a text tells its rows apart, not companies."""
TIMED: Final = 0.5
"""Share of rows with a time of day from which on rows are events."""
_IN_PARTS = re.compile(r"\w[ .:/_-]\w")
_NAME = re.compile(r"[\w .:/\-]{1,60}")
OTHERS: Final = {"bot", "bots", "robot", "crawler", "internal", "staff", "test", "employee"}
"""What rows are called that are not of a company's users."""
GROUPED_BY: Final = 0.8
"""Share of the events that have a sign between module and rest."""


def is_timed(column: Column) -> bool:
    """Return whether most dates of a column have a time of day."""
    known = column.values[~np.isnat(column.values)]
    return bool(len(known)) and float((known != known.astype("datetime64[D]")).mean()) > TIMED


def event_column(columns: dict[str, Column], key: str) -> str | None:
    """Find the column of events' names; None where the table is no log of events.

    Parameters
    ----------
    columns
        All of the table's columns.
    key
        The column of the company's id.
    """
    named = named_event_column(columns, key)
    return _event_by_values(columns, key) if named is None else named


def named_event_column(columns: dict[str, Column], key: str) -> str | None:
    """Find the column of events' names that is called so; None where the table has none.

    One with a single name of an event tells a log from counts only where the table has no counts.
    """
    if not has_times(columns):
        return None
    least = 1 if not _has_counts(columns, key) else 2
    found = []
    for name, column in columns.items():
        places = [EVENT.index(word) for word in words(name) if word in EVENT]
        if name != key and places and len(column.levels) >= least and _may_be_events(column):
            found.append((len(column.levels) == 1, min(places), name))
    return min(found)[2] if found else None


def has_times(columns: dict[str, Column]) -> bool:
    """Return whether most rows have a time of day."""
    return any(each.kind == "date" and is_timed(each) for each in columns.values())


def is_log(columns: dict[str, Column], key: str) -> bool:
    """Return whether rows are events by their values: many a company, each with a time, without counts."""
    ids = columns[key]
    many = ids.rows >= LEAST_REPEATS * max(len(ids.levels), 1)
    return many and has_times(columns) and not _has_counts(columns, key)


def _may_be_events(column: Column) -> bool:
    return (
        column.kind == "text"
        and len(column.levels) <= MAX_NAMES
        and column.rows >= LEAST_REPEATS * max(len(column.levels), 1)
        and yes_and_no(column.levels) is None
        and all(map(_NAME.fullmatch, column.levels))
    )


def _has_counts(columns: dict[str, Column], key: str) -> bool:
    return any(
        column.kind == "whole" and name != key and not set(words(name)) & (NO_COUNT | USER)
        for name, column in columns.items()
    )


def _event_by_values(columns: dict[str, Column], key: str) -> str | None:
    """Find the column of events' names in a log by its values: few texts that repeat in each company.

    Names in parts, such as ``invoice.sent``, go before others, then the one with most of them.
    """
    if not is_log(columns, key):
        return None
    found = []
    for name, column in columns.items():
        other = set(words(name)) & (OTHER_TEXTS | USER)
        lettered = all(any(map(str.isalpha, level)) for level in column.levels)
        if name == key or other or len(column.levels) < 2 or not lettered or not _may_be_events(column):
            continue
        pairs = len(np.unique(columns[key].codes * (len(column.levels) + 1) + column.codes))
        if LEAST_VARIED * len(columns[key].levels) <= pairs <= column.rows / 2:
            in_parts = float(np.mean([bool(_IN_PARTS.search(level)) for level in column.levels]))
            found.append((in_parts >= GROUPED_BY, len(column.levels), name))
    return max(found)[2] if found else None


def user_column(columns: dict[str, Column]) -> str | None:
    """Find the column of users; None where there is none."""
    found = [
        name
        for name, column in columns.items()
        if set(words(name)) & USER and column.kind in ("text", "whole") and len(column.levels) > 2
    ]
    return found[0] if found else None


def event_id_column(columns: dict[str, Column]) -> str | None:
    """Find the column that identifies an event, by which copies are found; None where there is none."""
    found = [
        name
        for name, column in columns.items()
        if _identifies_events(set(words(name))) and column.filled == 1 and column.uniqueness > MOSTLY_UNIQUE
    ]
    return found[0] if found else None


def _identifies_events(found: set[str]) -> bool:
    return bool(found & EVENT_IDS) or ("id" in found and bool(found & IDENTIFIED))


def excluded_rows(columns: dict[str, Column]) -> dict[str, list[str]]:
    """Find columns that mark rows of bots or of the own staff, and the values that do."""
    found = {}
    for name, column in columns.items():
        pair = yes_and_no(column.levels)
        if pair and set(words(name)) & OTHERS:
            found[name] = [pair[0]]
        elif len(column.levels) <= MAX_NAMES and column.kind == "text":
            named = [level for level in column.levels if level.casefold() in OTHERS]
            if named and len(named) < len(column.levels):
                found[name] = named
    return found


def patterns_of(column: Column) -> dict[str, list[str]]:
    """Group the names of events by module: what stands before or after a sign that most of them have.

    Returns
    -------
    dict of list
        Patterns by the module, the most frequent module first.
    """
    counts = dict(zip(column.levels, column.counts.tolist(), strict=True))
    sign, last = _sign_between(list(counts))
    patterns: dict[str, dict[str, None]] = {}
    sizes: Counter[str] = Counter()
    for name, rows in counts.items():
        module, pattern = name, _literal(name)
        if sign and sign in name:
            module = name.rpartition(sign)[2] if last else name.partition(sign)[0]
            pattern = f"*{sign}{_literal(module)}" if last else f"{_literal(module)}{sign}*"
        patterns.setdefault(module, {})[pattern] = None
        sizes[module] += rows
    return {each: list(patterns[each]) for each in sorted(sizes, key=lambda name: (-sizes[name], name))}


def _sign_between(names: list[str]) -> tuple[str, bool]:
    """Return the sign between module and rest, and whether the module is last; an empty one if there is none.

    Which of ``created_project`` is the module is told by which side repeats more.
    """
    for sign in (".", ":", "/", "_", " ", "-"):
        with_sign = [name for name in names if sign in name.strip(sign)]
        if len(with_sign) < GROUPED_BY * len(names):
            continue
        first = len({name.partition(sign)[0] for name in with_sign})
        last = len({name.rpartition(sign)[2] for name in with_sign})
        if min(first, last) < len(with_sign):
            return sign, last < first and sign in "_ -"
    return "", False


def _literal(text: str) -> str:
    """Return the pattern of a text itself."""
    return re.sub(r"([*?\[])", r"[\1]", text)
