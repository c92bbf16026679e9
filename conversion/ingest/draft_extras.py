"""Subscriptions and histories of attributes, for the draft of a contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.data_contract import TAKEN
from conversion.ingest.draft_columns import Column, begins, note_on_dates, words
from conversion.ingest.draft_companies import ENDED, VALUE, attribute_keys, why_dropped
from conversion.ingest.draft_levels import yes_and_no
from conversion.ingest.draft_roles import Roles, Table, looks_like_id, share_known

START: Final = ("start", "begin", "since", "from", "subscri", "activ", "paid", "valid", "creat", "sign")
END: Final = (*ENDED, "until", "stop")
SUBSCRIBED: Final = ("subscri", "licen", "membership", "plan", "contract")
"""Beginnings of words in names of tables of subscriptions."""
TRIALS: Final = {"free", "freemium", "demo", "test", "incomplete", "incomplete_expired"}
"""What rows are called that are not paid, in small letters; incomplete: their first payment failed."""
TRIAL_WORDS: Final = {"trial", "trialing"}
"""Words in names of trials."""
FROM: Final = ("valid", "since", "from", "effective", "chang")
CHANGED: Final = {"history", "histories", "changes", "versions", "changelog"}
LEAST_KNOWN: Final = 0.5
"""Share of a table's ids that have to be companies'."""
MAX_OF_HISTORY: Final = 10


@dataclass
class SubscriptionDraft:
    """The guesses about a table of subscriptions."""

    table: str
    id: str
    start: str
    end: str | None
    value: str | None
    trials: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_log(self) -> bool:
        """Whether the next row of a company ends one: there is no end, but there are rows not paid."""
        return self.end is None and bool(self.trials)


Attributes = dict[str, tuple[dict[str, Any], str]]
"""By column, the keys of an attribute, and why."""


@dataclass
class HistoryDraft:
    """The guesses about a table of attributes over time."""

    table: str
    attributes: Attributes


@dataclass
class Extras:
    """The guesses about tables beside companies and usage."""

    subscriptions: SubscriptionDraft | None = None
    histories: list[HistoryDraft] = field(default_factory=list)

    def attributes(self) -> Attributes:
        """Return the attributes that have a history."""
        return {name: each for history in self.histories for name, each in history.attributes.items()}


def find_subscriptions(tables: dict[str, Table], roles: Roles, ids: Column) -> SubscriptionDraft | None:
    """Find a table of subscriptions: one with a first day, and an end or a name that says so.

    Of several, it is the one with most of an end, a value and such a name.

    Parameters
    ----------
    tables
        By name.
    roles
        Which of them are companies and usage; the table is among the others.
    ids
        The companies' ids.
    """
    found: list[tuple[int, SubscriptionDraft]] = []
    for name in roles.others:
        table = tables[name]
        key = _id_of(table, roles, ids)
        if key is None:
            continue
        dates = {each: column for each, column in table.items() if column.kind == "date"}
        ends = [each for each in dates if _is_end(each) and dates[each].filled < 1]
        starts = [each for each in dates if each not in ends and begins(each, START) is not None]
        starts.sort(key=lambda each: (-round(dates[each].filled, 1), begins(each, START) or 0))
        values = [each for each in table if table[each].is_number and begins(each, VALUE) is not None]
        named = begins(name, SUBSCRIBED) is not None
        if not starts or dates[starts[0]].filled < 1 or not (named or (ends and values)):
            continue
        end, value = next(iter(ends), None), next(iter(values), None)
        draft = SubscriptionDraft(name, key, starts[0], end, value, _trials(table, {key, *dates, *values}))
        found.append(((end is not None) + (value is not None) + named, draft))
    return max(found, key=lambda each: each[0])[1] if found else None


def _is_end(name: str) -> bool:
    # "to" is no beginning of a word: that of total is the same.
    return begins(name, END) is not None or "to" in words(name)


def _id_of(table: Table, roles: Roles, ids: Column) -> str | None:
    able = [each for each, column in table.items() if column.kind in ("whole", "text") and column.filled == 1]
    named = (roles.company_id, roles.usage_id)
    for name in sorted(able, key=lambda each: (each in named, looks_like_id(each)), reverse=True):
        known = share_known(ids, table[name], len(table[name].keys))
        if known >= LEAST_KNOWN and (name in named or looks_like_id(name)):
            return name
    return None


def _trials(table: Table, others: set[str]) -> dict[str, list[str]]:
    found = {}
    for name, column in table.items():
        if name in others:
            continue
        pair = yes_and_no(column.levels)
        if pair and "trial" in words(name):
            found[name] = [pair[0]]
        elif column.kind == "text" and (trials := [level for level in column.levels if _is_unpaid(level)]):
            found[name] = trials
    return found


def _is_unpaid(level: str) -> bool:
    """Return whether nobody pays for such a subscription, as for a ``14-day trial``."""
    return level.casefold() in TRIALS or bool(TRIAL_WORDS & set(words(level)))


def notes_on_dates(draft: SubscriptionDraft, table: Table) -> list[str]:
    """Return what to change in the dates of subscriptions that are not as ``load`` reads them."""
    dates = [name for name in (draft.start, draft.end) if name is not None and table[name].style]
    return [f"{draft.table}: {note_on_dates(table[name])}" for name in dates]


def paying(draft: SubscriptionDraft, table: Table, ids: Column) -> NDArray[np.bool_]:
    """Return whether each company has a paid subscription."""
    paid = np.ones(len(table[draft.id].codes), dtype=np.bool_)
    for name, values in draft.trials.items():
        places = [place for place, level in enumerate(table[name].levels) if level in values]
        paid &= ~np.isin(table[name].codes, places)
    column = table[draft.id]
    customers = {column.levels[place] for place in np.unique(column.codes[paid]) if place >= 0}
    listed = np.array([level in customers for level in ids.levels] + [False])
    return np.asarray(listed[ids.codes])


def find_histories(
    tables: dict[str, Table], roles: Roles, ids: Column, notes: list[str]
) -> list[HistoryDraft]:
    """Find tables of what companies were from which day on, by their names or those of their columns."""
    current = {each for name in roles.companies for each in tables[name]} - {roles.company_id}
    found: list[HistoryDraft] = []
    seen: set[str] = set()
    for name in roles.others:
        table = tables[name]
        key = _id_of(table, roles, ids)
        dates = [each for each, column in table.items() if column.kind == "date" and column.filled == 1]
        since = [each for each in dates if begins(each, FROM) is not None]
        named = set(words(name)) & CHANGED or current & {*table}
        if key is None or not since or not named or table[key].uniqueness == 1:
            continue
        values = [
            each
            for each, column in table.items()
            if each not in (key, *dates, *seen, *TAKEN) and not why_dropped(column) and column.kind != "date"
        ][:MAX_OF_HISTORY]
        history = {"table": name, "id": key, "valid_from": since[0]}
        attributes: Attributes = {}
        for each in values:
            keys, why = attribute_keys(table[each], notes)
            attributes[each] = {**keys, "history": history}, f"{why}; its history is a table of its own"
        if attributes:
            found.append(HistoryDraft(name, attributes))
            seen |= {*attributes}
    return found
