"""Exports with subscriptions, aliases, histories and weekly measures, and how to cut them by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.data.timeline import WEEK
from tests.contract_files import ROOT
from tests.exports import FIRST_WEEK
from tests.pipeline import Tables

START = pd.Timestamp(FIRST_WEEK)
TYPES = {
    "teams": {
        "team": "str", "created": "datetime64[us]", "name": "str", "country": "str", "seats": "float64",
        "founded": "datetime64[us]",
    },
    "payments": {
        "team": "str", "from_day": "datetime64[us]", "to_day": "datetime64[us]", "amount": "float64",
        "kind": "str",
    },
    "merged": {"old": "str", "new": "str"},
    "grades": {"team": "str", "since": "datetime64[us]", "grade_name": "str", "region": "str"},
}  # fmt: skip


@cache
def memberships() -> Contract:
    """Return the contract."""
    return load_contract(ROOT / "tests/contracts/memberships.yaml")


def table_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table of the export with its columns and types; cells left out are missing."""
    return pd.DataFrame(rows, columns=list(TYPES[name])).astype(TYPES[name])


def memberships_export(seed: int = 0, teams: int = 120, weeks: int = 36) -> Tables:
    """Draw a valid export: half of the teams ever pay, some of them several times, and one in ten was merged.

    Parameters
    ----------
    seed
        Seed of the random generator; the same arguments give the same tables.
    teams
        Rows of the table of teams, those that were merged included.
    weeks
        Weeks of usage from Monday 2019-01-07 on. Everything else falls into the same period.
    """
    rng = np.random.default_rng(seed)
    ids = [f"{number:05d}" for number in rng.permutation(teams)]
    days = weeks * 7
    created = rng.integers(-60, days - 7, teams)

    def day(number: int) -> pd.Timestamp:
        return START + pd.Timedelta(days=int(number))

    rows: list[dict[str, Any]] = []
    payments: list[dict[str, Any]] = []
    grades: list[dict[str, Any]] = []
    for team, since in zip(ids, created, strict=True):
        rows.append(
            {
                "team": team,
                "created": day(since),
                "name": f"Team {team}",
                "country": rng.choice(["DE", "US", "FR"]),
                "seats": float(rng.integers(1, 200)),
                "founded": day(-int(rng.integers(100, 9000))),
            }
        )
        grades += [
            {
                "team": team,
                "since": day(when),
                "grade_name": rng.choice(np.array(["basic", "plus", "pro", None], dtype=object)),
                "region": rng.choice(np.array(["north", "south", f"r{team[-1]}", None], dtype=object)),
            }
            for when in rng.integers(since, days + 20, rng.integers(0, 4))
        ]
        payments += _payments(rng, team, since, days)
    merged = [{"old": old, "new": new} for old, new in zip(ids[:-1:10], ids[1::10], strict=True)]
    return {
        "teams": table_of("teams", rows),
        "payments": table_of("payments", payments),
        "merged": table_of("merged", merged),
        "grades": table_of("grades", grades),
        "activity": _activity(rng, np.array(ids, dtype=object), created, weeks),
    }


def _payments(rng: np.random.Generator, team: str, since: int, days: int) -> list[dict[str, Any]]:
    if rng.random() < 0.5:
        return []
    payments: list[dict[str, Any]] = []
    start = since + int(rng.integers(0, 90))
    while start < days and len(payments) < 6:
        length = int(rng.integers(3, 60))
        end = None if rng.random() < 0.2 else START + pd.Timedelta(days=start + length)
        payments.append(
            {
                "team": team,
                "from_day": START + pd.Timedelta(days=start),
                "to_day": end,
                "amount": rng.choice([20.0, 50.0, 90.0, 0.0], p=[0.4, 0.4, 0.15, 0.05]),
                "kind": rng.choice(["paid", "Paid", "Trial", "FREE month"], p=[0.6, 0.2, 0.1, 0.1]),
            }
        )
        # The next one renews it on the same day, or the day after, or comes after a gap.
        start += length + int(rng.choice([0, 1, 2, 15, 40]))
    return payments


def _activity(rng: np.random.Generator, ids: np.ndarray, created: np.ndarray, weeks: int) -> pd.DataFrame:
    team, week = np.nonzero(rng.random((len(ids), weeks)) < 0.35)
    there = week * 7 + 7 > created[team]
    team, week = team[there], week[there]
    rows = len(team)
    return pd.DataFrame(
        {
            "team": ids[team],
            "week": START + pd.to_timedelta(7 * week, unit="D"),
            "board_actions": rng.poisson(4, rows) + 3,
            "board_users": rng.integers(0, 3, rows),
            "file_actions": rng.poisson(2, rows),
            "gigabytes": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(1, 90, rows) / 2),
            "call_minutes": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 400, rows) / 4),
            "tasks": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 40, rows)),
        }
    )


def cut_memberships(tables: Tables, as_of: pd.Timestamp) -> Tables:
    """Cut an export by hand: the tables as they were at ``as_of``; aliases have no date."""
    teams, payments, grades, activity = (tables[name] for name in ("teams", "payments", "grades", "activity"))
    started = payments[payments["from_day"] < as_of]
    ended = started["to_day"].where(started["to_day"] < as_of)
    return {
        "teams": teams[~(teams["created"] >= as_of)].reset_index(drop=True),
        "payments": started.assign(to_day=ended).reset_index(drop=True),
        "merged": tables["merged"],
        "grades": grades[grades["since"] < as_of].reset_index(drop=True),
        "activity": activity[activity["week"] + WEEK <= as_of].reset_index(drop=True),
    }
