"""A tiny export of events, subscriptions, aliases and histories, and its contract, worked out by hand."""

from __future__ import annotations

from functools import cache
from tempfile import TemporaryDirectory

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.ingest.export import read_export
from tests.contract_files import ROOT
from tests.exports import write_export


@cache
def events() -> Contract:
    """Return the contract of `events_export`."""
    return load_contract(ROOT / "tests/contracts/events.yaml")


def events_export() -> dict[str, pd.DataFrame]:
    """Return the tables as text; ``a1`` was merged into ``a2``, and ``a3`` is a customer.

    In the week of Monday 2026-01-05, Berlin: a1 has three events of projects by two users, and one of a bot;
    a2 has one invoice. In the week before, a3 has one: on Sunday 23:30 in Berlin, 22:30 in UTC.
    """
    rows = [
        ("a1", "u1", "project.made", "2026-01-05 10:00:00", "", "1.5", "0.1"),
        ("a1", "u2", "board.viewed", "2026-01-11 23:59:59", "", "2.5", "0.2"),
        ("a1", "u1", "project.made", "2026-01-04 23:00:00Z", "", "9", ""),
        ("a1", "u9", "project.made", "2026-01-06 10:00:00", "Bot", "99", "99"),
        ("a2", "u5", "invoice.sent", "2026-01-07 12:00:00+02:00", "", "", ""),
        ("a3", "u7", "invoice.sent", "2026-01-04 22:30:00Z", "", "", "4"),
        ("a3", "u7", "login", "2026-01-14 08:00:00", "", "7.25", ""),
    ]
    log = pd.DataFrame(rows, columns=["account", "who", "name", "at", "kind", "gb", "spent"])
    accounts = pd.DataFrame(
        {
            "account": ["a1", "a2", "a3", "a4"],
            "created": ["2025-12-01", "2025-12-02", "2025-12-03", "2026-01-20"],
            "name": ["Ärzte & Co", "B", "C", "D"],
            "country": ["DE", "FR", "", "DE"],
            "founded": ["1987-05-01", "", "2019-01-01", "2020-02-29"],
        }
    )
    subscriptions = pd.DataFrame(
        {
            "account": ["a3", "a3", "a2"],
            "starts": ["2025-12-20", "2026-01-10", "2026-01-08"],
            "ends": ["2026-01-03", "", ""],
            "mrr": ["0", "49.50", "10"],
            "plan": ["trial", "team", "team"],
            "paid": ["true", "true", "false"],
        }
    )
    history = pd.DataFrame(
        {
            "account": ["a1", "a1", "a4"],
            "since": ["2025-12-01", "2026-01-06 10:00:00", "2026-01-20"],
            "seats": ["5", "10", ""],
            "plan_name": ["free", "team", "free"],
        }
    )
    merges = pd.DataFrame({"old": ["a1"], "new": ["a2"]})
    return {
        "accounts": accounts,
        "events": log,
        "subscriptions": subscriptions,
        "merges": merges,
        "account_history": history,
    }


def typed_events() -> dict[str, pd.DataFrame]:
    """Return the tables of `events_export` as ``stages.load`` writes them."""
    with TemporaryDirectory() as folder:
        return read_export(write_export(events_export(), folder), events()).tables
