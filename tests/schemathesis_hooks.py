"""Hook for `schemathesis run` in test_service_fuzz.py: rules that JSON schema cannot express."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import schemathesis

from conversion.config.data_contract import Contract
from conversion.serving.message_types import MAX_EXACT, MAX_WEEKS
from tests.contract_files import hubspot, projects

EARLIEST = dt.date.min + dt.timedelta(weeks=MAX_WEEKS + 1)


def contract() -> Contract:
    """Return the contract of the server that is asked."""
    return {"hubspot": hubspot, "projects": projects}[os.environ["HOOKS_CONTRACT"]]()


def trained_as_of() -> dt.date:
    """Return the moment of the server's model."""
    return dt.date.fromisoformat(os.environ["HOOKS_AS_OF"])


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001
    """Make bodies that the schema accepts keep the rules between fields too; leave the others alone."""
    positive = case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE
    if not positive or not isinstance(case.body, dict):
        return
    for company in case.body.get("companies", [case.body]):
        # 1e17 is an integer to JSON schema; the service refuses it, as digits may be lost.
        if isinstance(company["id"], int | float) and abs(company["id"]) > MAX_EXACT:
            company["id"] = int(company["id"])
        if "usage" in company:
            keep_the_rules(company)


def keep_the_rules(history: dict[str, Any]) -> None:
    """Make days real, each week over at ``as_of`` and given once, and actions at least as many as users."""
    as_of = trained_as_of()
    if history.get("as_of") is not None:
        as_of = max(day_of(history["as_of"]), EARLIEST)
        history["as_of"] = like(history["as_of"], as_of)
    monday = as_of - dt.timedelta(days=as_of.weekday())
    rows = history["usage"]
    apart = max(1, min(MAX_WEEKS // max(len(rows), 1), 1 + len(rows) % 7))
    for place, row in enumerate(rows):
        given = row[contract().usage.time]
        week = monday - dt.timedelta(weeks=1 + apart * place)
        row[contract().usage.time] = like(given, week + dt.timedelta(days=day_of(given).weekday()))
        for module in contract().usage.modules.values():
            if module.users is not None:
                counts = int(row[module.users]), int(row[module.actions])
                row[module.users], row[module.actions] = min(counts), max(counts)


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
