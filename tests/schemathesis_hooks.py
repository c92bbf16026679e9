"""Hook for `schemathesis run` in test_service_fuzz.py: rules that JSON schema cannot express."""

from __future__ import annotations

import datetime as dt
from typing import Any

import schemathesis

from conversion.serving.message_types import MAX_EXACT, MAX_WEEKS

MODULES = ("CRM_CONTACTS", "CRM_COMPANIES", "CRM_DEALS", "EMAIL")
TRAINED_AS_OF = dt.date(2019, 10, 14)  # of the model in the folder that `tests.server.lay_out` makes
EARLIEST = dt.date.min + dt.timedelta(weeks=MAX_WEEKS + 1)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001
    """Make bodies that the schema accepts keep the rules between fields too; leave the others alone."""
    positive = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if not positive or not isinstance(case.body, dict):
        return
    for company in case.body.get("companies", [case.body]):
        # 1e17 is an integer to JSON schema; the service refuses it, as digits may be lost.
        if abs(company["id"]) > MAX_EXACT:
            company["id"] = int(company["id"])
        if "usage" in company:
            keep_the_rules(company)


def keep_the_rules(history: dict[str, Any]) -> None:
    """Make days real, each week over at ``as_of`` and given once, and actions at least as many as users."""
    as_of = TRAINED_AS_OF
    if history.get("as_of") is not None:
        as_of = max(day_of(history["as_of"]), EARLIEST)
        history["as_of"] = like(history["as_of"], as_of)
    monday = as_of - dt.timedelta(days=as_of.weekday())
    rows = history["usage"]
    apart = max(1, min(MAX_WEEKS // max(len(rows), 1), 1 + len(rows) % 7))
    for place, row in enumerate(rows):
        given = row["WHEN_TIMESTAMP"]
        week = monday - dt.timedelta(weeks=1 + apart * place)
        row["WHEN_TIMESTAMP"] = like(given, week + dt.timedelta(days=day_of(given).weekday()))
        for module in MODULES:
            users, actions = int(row[f"USERS_{module}"]), int(row[f"ACTIONS_{module}"])
            row[f"USERS_{module}"], row[f"ACTIONS_{module}"] = min(users, actions), max(users, actions)


def day_of(text: str) -> dt.date:
    """Read a day; turn text that only looks like one, such as 2020-02-31, into one."""
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        year, month, day = (int(part) for part in text[:10].split("-"))
        return dt.date(max(year, 1), min(max(month, 1), 12), min(max(day, 1), 28))


def like(given: str, day: dt.date) -> str:
    """Write a day as the given one is written, with or without the time."""
    return day.isoformat() + given[10:]
