"""What if: the fields of a company that visitors may change, and the request that the changes make."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from conversion.config.attribute_kinds import AnyAttribute, Date, Flag, Ordered, is_numeric
from conversion.config.attribute_names import label
from conversion.config.data_contract import Contract
from conversion.data.timeline import days_before_monday
from conversion.pages.lead_filters import YES_NO
from conversion.pages.list_query import QueryError
from conversion.pages.words import words_of

ATTRIBUTE: Final = "set."
"""Begins the name of an attribute's field."""
COUNT: Final = "week."
"""Begins the name of the field of a count of the last week."""
MAX_OPTIONS: Final = 200
MAX_KNOWN: Final = 1_000
"""Values of a category that are suggested."""
MAX_DIGITS: Final = 18
MAX_TEXT: Final = 200

Json = dict[str, Any]
"""The JSON of a company's history, as the HTTP API takes it."""


@dataclass(frozen=True)
class Field:
    """A field of the form.

    Attributes
    ----------
    name
        Of the parameter.
    column
        Of the request.
    title
        What people call it.
    kind
        ``number``, ``whole``, ``flag``, ``date``, ``choice`` or ``text``.
    value
        As the form has it; empty: not known.
    options
        Of a choice.
    known
        Values to suggest for a text.
    """

    name: str
    column: str
    title: str
    kind: str
    value: str
    options: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def last_week(contract: Contract, as_of: dt.date) -> str:
    """Return the first day of the last week that is over, as requests have it."""
    return (as_of - dt.timedelta(days=7 + days_before_monday(contract))).isoformat()


def attribute_fields(
    contract: Contract, history: Json, levels: Mapping[str, Sequence[str]]
) -> tuple[Field, ...]:
    """Return the fields of a company's attributes.

    Parameters
    ----------
    contract
        Names the attributes.
    history
        With their values.
    levels
        By category, the levels to choose from.
    """
    return tuple(
        _attribute_field(column, attribute, history[column], levels.get(column, ()))
        for column, attribute in contract.companies.attributes.items()
    )


def _attribute_field(column: str, attribute: AnyAttribute, value: Any, levels: Sequence[str]) -> Field:
    field = Field(ATTRIBUTE + column, column, words_of(label(column, attribute)), "text", _written(value))
    if is_numeric(attribute):
        return replace(field, kind="number")
    if isinstance(attribute, Date):
        return replace(field, kind="date")
    if isinstance(attribute, Flag):
        return replace(field, kind="flag", options=YES_NO)
    if isinstance(attribute, Ordered):
        return replace(field, kind="choice", options=attribute.levels)
    if not 1 < len(levels) <= MAX_OPTIONS:
        return replace(field, known=tuple(levels[:MAX_KNOWN]))
    its_own = () if field.value in {"", *levels} else (field.value,)
    return replace(field, kind="choice", options=(*levels, *its_own))


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


@dataclass(frozen=True)
class ModuleFields:
    """The fields of one module's counts of the last week."""

    title: str
    actions: Field
    users: Field | None


def count_fields(contract: Contract, history: Json, as_of: dt.date) -> tuple[ModuleFields, ...]:
    """Return the fields of the counts of the last week that is over."""
    first_day, time = last_week(contract, as_of), contract.usage.time
    week: Json = next((each for each in history["usage"] if each[time] == first_day), {})

    def field(column: str, title: str) -> Field:
        return Field(COUNT + column, column, title, "whole", str(week.get(column, 0)))

    made = []
    for name, module in contract.usage.modules.items():
        said = words_of(label(name, module))
        users = None if module.users is None else field(module.users, f"{said}: people")
        made.append(ModuleFields(said, field(module.actions, f"{said}: actions"), users))
    return tuple(made)


def changed(history: Json, given: Iterable[tuple[str, str]], contract: Contract, as_of: dt.date) -> Json:
    """Return a company's history with the changes of a form.

    Parameters
    ----------
    history
        Of the company as it is.
    given
        Names and values of fields.
    contract
        Of the history.
    as_of
        Moment of the list.

    Raises
    ------
    QueryError
        A field is unknown, given twice, or its value is none of its kind.
    """
    attributes = {ATTRIBUTE + column: column for column in contract.companies.attributes}
    counts = {COUNT + column: column for column in contract.counts}
    new: Json = dict(history)
    week: dict[str, int] = {}
    seen: set[str] = set()
    for name, text in given:
        if name in seen:
            raise QueryError(f"“{name[:MAX_TEXT]}” is given twice.")
        seen.add(name)
        if name in attributes:
            column = attributes[name]
            new[column] = _attribute_value(text.strip(), column, contract.companies.attributes[column])
        elif name in counts:
            week[counts[name]] = _count(text.strip(), counts[name])
        else:
            raise QueryError(f"A company has no “{name[:MAX_TEXT]}”.")
    new["usage"] = _with_week(history["usage"], week, contract, as_of)
    return new


def _with_week(
    usage: Sequence[Mapping[str, Any]], counts: Mapping[str, int], contract: Contract, as_of: dt.date
) -> list[dict[str, Any]]:
    """Put counts into the last week; a week without any usage has no row, as in exports."""
    first_day, time = last_week(contract, as_of), contract.usage.time
    weeks = [dict(week) for week in usage]
    found = next((week for week in weeks if week[time] == first_day), None)
    if found is not None:
        found.update(counts)
    elif any(counts.values()):
        weeks.append({time: first_day} | dict.fromkeys(contract.counts, 0) | dict(counts))
    return weeks


def _attribute_value(text: str, column: str, attribute: AnyAttribute) -> Any:
    title = words_of(label(column, attribute))
    if not text:
        return None
    if isinstance(attribute, Flag):
        if text not in {"yes", "no"}:
            raise QueryError(f"{title} should be yes or no.")
        return text == "yes"
    if is_numeric(attribute):
        try:
            return float(text)
        except ValueError:
            raise QueryError(f"{title} should be a number.") from None
    return text


def _count(text: str, column: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise QueryError(f"{column} should be a whole number.")
    return int(text)
