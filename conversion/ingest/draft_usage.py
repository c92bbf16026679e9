"""What the columns of the usage table are: the time and the modules; for the draft of a contract."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from conversion.config.contract_types import MAX_MODULES
from conversion.ingest.draft_columns import EPOCHS, ZONED, Column, begins, parts, words
from conversion.ingest.draft_companies import Guess
from conversion.ingest.draft_events import (
    event_column,
    event_id_column,
    excluded_rows,
    is_log,
    named_event_column,
    patterns_of,
    user_column,
)
from conversion.ingest.draft_roles import looks_like_id

TIMES: Final = ("week", "when", "period", "time", "date", "day", "start")
ACTIONS: Final = {
    *("action", "actions", "event", "events", "count", "counts", "run", "runs", "sent", "created", "num"),
    *("number", "total", "cnt", "n", "uses", "of"),
}
USERS: Final = {"user", "users", "people", "members", "contributors", "seats", "visitors", "uniques"}
AROUND_USERS: Final = {"active", "distinct", "unique", "num", "number", "of", "count", "n"}
STORED: Final = {
    *("storage", "disk", "gb", "mb", "kb", "tb", "bytes", "gigabytes", "megabytes", "balance", "quota")
}
"""Words in names of levels: numbers of which the last one counts."""
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class DraftModule:
    """A module's columns, or the events that belong to it."""

    actions: str | None
    users: str | None
    why: str
    events: tuple[str, ...] = ()


@dataclass
class UsageDraft:
    """The guesses about the usage table."""

    time: Guess
    week_starts: Literal["monday", "sunday"] = "monday"
    grain: str = ""
    """What rows are, and why."""
    of: Literal["week", "day", "event"] = "week"
    event: Guess | None = None
    user: Guess | None = None
    event_id: Guess | None = None
    exclude: dict[str, list[str]] = field(default_factory=dict)
    measures: dict[str, str] = field(default_factory=dict)
    """Columns of levels by name."""
    modules: dict[str, DraftModule] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def draft_usage(columns: dict[str, Column], ids: Column) -> UsageDraft:
    """Guess the time and the modules.

    Parameters
    ----------
    columns
        The usage table's columns without the id; at least one has dates.
    ids
        The column of ids.
    """
    dates = [name for name, column in columns.items() if column.kind == "date"]
    dates.sort(key=lambda name: (-round(columns[name].filled, 1), _place(name)))
    others = f"; or {', '.join(dates[1:])}" if dates[1:] else ""
    draft = UsageDraft(Guess(dates[0], f"the date of each row{others}"))
    draft.dropped.update(dict.fromkeys(dates[1:], "a second date"))
    time = columns[dates[0]]
    others_than_dates = {name: column for name, column in columns.items() if name not in dates}
    whole = {**columns, ids.name: ids}
    event = event_column(whole, ids.name)
    if event is not None or is_log(whole, ids.name):
        named = named_event_column(whole, ids.name) is not None
        _events(others_than_dates, event, draft, named=named)
        _note_on_times(time, draft)
        return draft
    _grain(time, ids, draft)
    _note_on_times(time, draft)
    if draft.of == "day":
        draft.exclude = excluded_rows(others_than_dates)
    _modules(_without_measures(others_than_dates, draft), draft)
    return draft


def _note_on_times(time: Column, draft: UsageDraft) -> None:
    """Note what to change where times are not as ``load`` reads them."""
    if not time.style:
        return
    if time.style in EPOCHS.values():
        advice = "load does not read them; write them as times like 2019-12-30 14:05:00Z"
    elif time.style != ZONED:
        advice = "load reads times like 2019-12-30 00:00:00"
    elif draft.of == "week":
        advice = "load refuses them unless usage.time_zone is another zone than UTC"
    else:
        advice = "load converts them to usage.time_zone: set it to the zone in which your weeks begin"
    draft.notes.append(f"{time.name}: times {time.style}; {advice}")


def _events(columns: dict[str, Column], event: str | None, draft: UsageDraft, *, named: bool) -> None:
    """Guess the user, the excluded rows and the modules of a log of events."""
    draft.of, draft.grain = "event", "most rows have a time of day and the name of an event"
    if event is None:
        draft.grain = "most rows have a time of day, and none has a count or the name of an event"
    else:
        why = (
            "a text with such a name that repeats"
            if named
            else ("few texts that repeat in each company; its name says nothing: check it")
        )
        draft.event = Guess(event, why)
    draft.exclude = excluded_rows({name: column for name, column in columns.items() if name != event})
    left = {name: each for name, each in columns.items() if name not in (event, *draft.exclude)}
    if (user := user_column(left)) is not None:
        draft.user = Guess(user, "a column with such a name")
        del left[user]
    if (event_id := event_id_column(left)) is not None:
        draft.event_id = Guess(event_id, "a column with such a name; of rows with the same, one counts")
        del left[event_id]
    left = _without_measures(left, draft)
    if event is None:
        draft.modules["product"] = DraftModule(None, None, "all rows, as no column names events")
    for module, patterns in ({} if event is None else patterns_of(columns[event])).items():
        if len(draft.modules) == MAX_MODULES:
            draft.dropped[module] = f"events: a contract has at most {MAX_MODULES} modules, these come first"
            continue
        title = module_name(parts(module), draft.modules, module)
        draft.modules[title] = DraftModule(None, None, "events with such names", tuple(patterns))
    draft.dropped.update(dict.fromkeys(left, "a column that events do not need"))
    if draft.user is None:
        draft.notes.append(
            f"{event or draft.time.column}: no column of users was found, so users are not counted"
        )


def _without_measures(columns: dict[str, Column], draft: UsageDraft) -> dict[str, Column]:
    """Take out the columns of levels, such as gigabytes stored."""
    found = [name for name, each in columns.items() if each.is_number and set(words(name)) & STORED]
    for name in found[:MAX_MODULES]:
        # A measure is not called as a module is.
        draft.measures[module_name(["stored", *parts(name)], draft.modules, name)] = name
    return {name: each for name, each in columns.items() if name not in (*found, *draft.exclude)}


def _place(name: str) -> int:
    place = begins(name, TIMES)
    return len(TIMES) if place is None else place


def _grain(time: Column, ids: Column, draft: UsageDraft) -> None:
    known = time.values[~np.isnat(time.values)]
    days = known.astype("datetime64[D]")
    # 1970-01-01 was a Thursday.
    weekdays = np.bincount((days.astype(np.int64) + 3) % 7, minlength=7) / max(len(days), 1)
    day = int(weekdays.argmax())
    if weekdays[day] >= 0.99:
        draft.grain = f"one row a week: every row is of a {DAYS[day]}"
        if day == 6:
            draft.week_starts = "sunday"
        elif day != 0:
            draft.notes.append(
                f"{time.name}: weeks seem to begin on a {DAYS[day]}; a contract has weeks from Monday or "
                "Sunday"
            )
    else:
        timed = float((known != days).mean()) > 0.5
        what = "single events" if timed else "days"
        draft.grain = f"not weekly: rows of all days of the week, so of {what}"
        remedy = "sum the counts by company and week from Monday, and count each user once a week"
        if not timed:
            draft.of = "day"
            remedy = (
                "load adds them up; a week's users are those of its largest day, as days do not tell more"
            )
        draft.notes.append(f"{time.name}: the table has {what}, not weeks; {remedy}")
    stamps = (time.codes + 1) * (int(ids.codes.max(initial=0)) + 2) + ids.codes + 1
    repeated = 1 - len(np.unique(stamps)) / max(len(stamps), 1)
    if draft.of == "day" and repeated > 0.05:
        draft.notes.append(
            f"{repeated:.0%} of the rows repeat a company and day; load takes the largest of each count, and "
            "refuses many: if a row is of a user, set grain to event, name its user, and make measures of "
            "the counts; else sum the counts of a company and day"
        )
    if weekdays[day] >= 0.99 and repeated > 0.05:
        draft.notes.append(
            f"{repeated:.0%} of the rows repeat a company and week; if a column names the module or user, "
            "make it one row a company and week with a column a module"
        )


def _modules(columns: dict[str, Column], draft: UsageDraft) -> None:
    counts: dict[str, Column] = {}
    for name, column in columns.items():
        if why := _why_no_count(column):
            draft.dropped[name] = why
        else:
            counts[name] = column
            if column.style:
                draft.notes.append(f"{name}: numbers {column.style}, which load may refuse")
    users = {name: base for name in counts if (base := _users_base(name)) is not None}
    actions = [name for name in counts if name not in users]
    bases = {name: _actions_base(name) for name in actions}
    partners = _partners(bases, users)
    for name in _without_sums(actions, counts, draft):
        if len(draft.modules) == MAX_MODULES:
            draft.dropped[name] = f"a contract has at most {MAX_MODULES} modules, these come first"
            continue
        partner = partners.get(name)
        title = module_name(bases[name] or parts(name), draft.modules, name)
        draft.modules[title] = DraftModule(name, partner, _why(name, partner, counts, draft))
    for name in (each for each in users if each not in partners.values()):
        draft.dropped[name] = "users, but no column of actions with the same name"


def _partners(actions: dict[str, list[str]], users: dict[str, list[str]]) -> dict[str, str]:
    """Pair columns of actions with columns of users by what is left of their names.

    Where both are not the same, as of ``documents_edited`` and ``documents_users``, the users' may be how the
    actions' begins, if that is so of one column alone.
    """
    found: dict[str, str] = {}
    for name, base in actions.items():
        same = (each for each, of in users.items() if _stem(of) == _stem(base) and each not in found.values())
        if (partner := next(same, None)) is not None:
            found[name] = partner
    for each, of in users.items():
        begun = [name for name, base in actions.items() if of and _stem(base[: len(of)]) == _stem(of)]
        if each not in found.values() and len(begun) == 1 and begun[0] not in found:
            found[begun[0]] = each
    return found


def _why_no_count(column: Column) -> str:
    if column.kind == "empty":
        return "it has no values"
    if column.kind == "text":
        return f"text with {len(column.levels):,} different values: usage has counts"
    if column.kind == "decimal":
        return "not whole numbers: usage has counts"
    if looks_like_id(column.name) >= 2:
        return "an id"
    if float((np.nan_to_num(column.values) < 0).mean()) > 0.05:
        return "it has numbers below 0: usage has counts"
    if not (np.nan_to_num(column.values) != 0).any():
        return "it is 0 in all rows"
    return ""


def _users_base(name: str) -> list[str] | None:
    """Return what is left of a name without its words for users; None where it has none."""
    found = parts(name)
    if not any(word.casefold() in USERS for word in found):
        return None
    return [word for word in found if word.casefold() not in USERS | AROUND_USERS]


def _actions_base(name: str) -> list[str]:
    found = parts(name)
    while found and found[0].casefold() in ACTIONS:
        found = found[1:]
    while found and found[-1].casefold() in ACTIONS:
        found = found[:-1]
    return found


def _stem(base: list[str]) -> str:
    return "_".join(word.casefold().removesuffix("s") for word in base)


def _without_sums(names: list[str], counts: dict[str, Column], draft: UsageDraft) -> list[str]:
    """Leave out a column that is the sum of the others."""
    if len(names) < 3:
        return names
    values = np.array([np.nan_to_num(counts[name].values) for name in names])
    total = values.sum(axis=0)
    for place, name in enumerate(names):
        if float((2 * values[place] == total).mean()) >= 0.99:
            draft.dropped[name] = "the sum of the other columns of actions"
            return [each for each in names if each != name]
    return names


def module_name(base: list[str], taken: dict[str, DraftModule], column: str) -> str:
    """Name a module in letters, digits and underscores, not as another one is."""
    used = {name.casefold() for name in taken}
    name = _ascii(base)
    if name.casefold() in used:
        name = _ascii(parts(column))
    if not name[:1].isalpha():
        name = f"module_{name}".rstrip("_")
    name = name[:50]
    numbered = (f"{name}_{number}" for number in range(2, MAX_MODULES + 2))
    return (
        name
        if name and name.casefold() not in used
        else next(n for n in numbered if n.casefold() not in used)
    )


def _ascii(base: list[str]) -> str:
    plain = unicodedata.normalize("NFKD", "_".join(base)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")


def _why(name: str, partner: str | None, counts: dict[str, Column], draft: UsageDraft) -> str:
    if partner is None:
        return "no users: no column of users with the same name"
    more = np.nan_to_num(counts[partner].values) > np.nan_to_num(counts[name].values)
    if float(more.mean()) > 0.05:
        draft.notes.append(
            f"{partner} is above {name} in {more.mean():.0%} of the rows: are they users and actions of the "
            "same module?"
        )
    return "actions and users with the same name"
