"""Deliveries and what became of them, worked out by hand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.scorecard.outcomes import Outcome, Today, outcomes_of
from conversion.scorecard.results import ScorecardResults
from conversion.scorecard.scorecard import Settings, scorecard
from tests.contract_files import hubspot
from tests.paid_periods import paid_periods

MONDAY = dt.date(2020, 1, 6)
SETTINGS = Settings(lengths=(1, 2), samples=200, seed=7)


def week(number: int) -> dt.date:
    """Return a Monday, 0 the first."""
    return MONDAY + dt.timedelta(weeks=number)


def companies_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return companies of a ledger: first on the list first, ranks and places where they are not given."""
    found = []
    place = 0
    for at, row in enumerate(rows, 1):
        status = row.get("status", "listed")
        place += status in {"listed", "explored"}
        defaults = {
            "rank": at,
            "rule_rank": at,
            "probability": 0.1,
            "tier": "high",
            "status": status,
            "call_probability": 1.0 if status in {"listed", "explored"} else 0.0,
            "place": place if status in {"listed", "explored"} else None,
            "rep": None,
            "fact_1": None,
        }
        found.append(defaults | dict(row))
    table = pd.DataFrame(found)
    return table.astype({"place": "Int64", "probability": "float64", "call_probability": "float64"})


def delivery(
    as_of: dt.date,
    rows: Sequence[Mapping[str, Any]],
    number: int = 1,
    holdout: float = 0.0,
    reason: str | None = None,
    horizon_days: int = 30,
) -> Any:
    """Return a delivery as the ledger reads it."""
    table = companies_frame(rows)
    manifest = SimpleNamespace(
        horizon_days=horizon_days, calls=int(table["place"].notna().sum()), holdout=holdout, reason=reason
    )

    def companies(columns: Sequence[str]) -> pd.DataFrame:
        return table[list(columns)]

    return SimpleNamespace(as_of=as_of, number=number, manifest=manifest, companies=companies)


def today(
    ids: Sequence[Any],
    converted: Mapping[Any, str],
    as_of: str = "2021-01-04",
    current: Mapping[Any, Any] | None = None,
    invalid: Sequence[Any] = (),
    contract: Contract | None = None,
) -> Today:
    """Return an export with companies and the days of their conversions."""
    contract = contract or hubspot()
    names = contract.companies
    days = pd.Series([converted.get(each) for each in ids], dtype="datetime64[us]")
    table = pd.DataFrame({"id": list(ids), names.converted: days, "conversion_valid": True})
    for column in (names.signed_up, names.ended):
        if column is not None:
            table[column] = pd.Series(pd.NaT, index=table.index, dtype="datetime64[us]")
    if names.value is not None:
        table[names.value] = np.where(days.notna(), 100.0, np.nan)
    table["conversion_valid"] = ~table["id"].isin(list(invalid))
    return Today(
        as_of=pd.Timestamp(as_of),
        companies=table,
        periods=paid_periods(table, contract),
        current=current or {},
        contract=contract,
    )


def judged(deliveries: Sequence[Any], export: Today) -> tuple[Outcome, ...]:
    """Return what became of deliveries."""
    return outcomes_of(deliveries, export)


def results_of(
    deliveries: Sequence[Any], export: Today, contacts: pd.DataFrame | None = None, forgotten: int = 0
) -> ScorecardResults:
    """Return the scorecard of deliveries."""
    return scorecard(judged(deliveries, export), export, contacts, forgotten, SETTINGS)


def a_year() -> tuple[list[Any], Today, pd.DataFrame]:
    """Return twelve lists of 30 companies with a control group and explorers, and contacts."""
    rng = np.random.default_rng(3)
    ids = [f"c{at:03d}" for at in range(200)]
    held_back = set(ids[::5])
    converted = {
        each: str(MONDAY + dt.timedelta(days=int(rng.integers(0, 120))))
        for at, each in enumerate(ids)
        if rng.random() < 0.7 - at / 400
    }
    lists = []
    for number in range(12):
        start = str(week(number))
        there = [each for each in ids if converted.get(each, "9") >= start][number : number + 60]
        rows = []
        for at, each in enumerate(there):
            status = "below"
            probability = 0.1 if each not in held_back else 0.0
            if at < 30:
                status, probability = ("held_back" if each in held_back else "listed"), 0.8
            elif each not in held_back and at % 7 == number % 7:
                status = "explored"
            rows.append(
                {
                    "id": each,
                    "status": status,
                    "call_probability": probability,
                    "probability": 0.6 - at / 120,
                    "tier": ("very_high", "high", "medium")[min(at // 15, 2)],
                    "rule_rank": (at * 17) % 60 + 1,
                    "rep": ("Ann", "Bo")[at % 2] if status in {"listed", "explored"} else None,
                    "fact_1": ("users", "size")[at % 2] if status in {"listed", "explored"} else None,
                }
            )
        lists.append(delivery(week(number), rows, holdout=0.2))
    called = [each for each in ids if each not in held_back and rng.random() < 0.6]
    contacts = pd.DataFrame({"id": called, "when": pd.Timestamp(MONDAY) + pd.Timedelta(days=1)})
    contacts["meaning"] = "reached"
    return lists, today(ids, converted), contacts
