"""A track record and a lead list worked out by hand, for tests of what people read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.leads.lead_columns import lead_columns
from conversion.pages.track_record import (
    About,
    Bin,
    Business,
    Drift,
    Estimate,
    FactDrift,
    FactWeight,
    Gains,
    Lists,
    Note,
    Ranked,
    Slice,
    Tier,
    TrackRecord,
    Week,
    Weeks,
)

SHA256 = "ab" * 32
LINE = (
    "In 4 weekly lists of the past, 50 of 100 among the first 10 converted within 30 days; the rule "
    "(most users in the last four weeks) had 25"
)


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def ranked(key: str, name: str, first: float) -> Ranked:
    shares = {"10": estimate(first, first / 2, min(first * 1.5, 1.0)), "50": estimate(first / 2)}
    overall = {"average_precision": estimate(0.2, 0.1, 0.3), "roc_auc": estimate(0.9, 0.8, 0.95)}
    return Ranked(key=key, name=name, precision=shares, recall=shares, overall=overall)


def a_week(share: float | None) -> Week:
    around = estimate(None) if share is None else estimate(share, share / 2, min(share * 1.5, 1.0))
    return Week(precision=share, mean=around)


def some_weeks(length: int, number: int) -> Weeks:
    first = dt.date(2020, 1, 6)
    return Weeks(
        length=length,
        days=tuple(first + dt.timedelta(days=7 * place) for place in range(number)),
        model=tuple(a_week(0.5) for _ in range(number)),
        rule=tuple(a_week(0.25) for _ in range(number)),
    )


def some_gains(key: str, name: str, scale: float) -> Gains:
    calls = (0, 10, 50, 100)
    return Gains(
        key=key,
        name=name,
        calls=calls,
        shares=tuple(estimate(call / 100 * scale, 0.0, 1.0) for call in calls),
    )


def record(**changed: Any) -> TrackRecord:
    """Return a record of four weekly lists, with some of its values changed."""
    values: dict[str, Any] = {
        "line": LINE,
        "about": About(
            as_of=dt.date(2020, 4, 27),
            model_type="xgboost",
            model_sha256=SHA256,
            trained_as_of=dt.date(2020, 4, 27),
            first_snapshot=dt.date(2019, 1, 7),
            last_snapshot=dt.date(2020, 3, 23),
            snapshots=1234,
            converting_companies=89,
            base_rate=0.0025,
            horizon_days=30,
        ),
        "lists": Lists(
            count=4,
            first=dt.date(2020, 1, 6),
            last=dt.date(2020, 1, 27),
            are_weekly=True,
            converters=45,
            prevalence=0.0025,
        ),
        "rule": "users_rule",
        "lengths": (10, 50),
        "recall_length": 50,
        "ranked": (
            ranked("probability", "the model", 0.5),
            ranked("users_rule", "the rule", 0.25),
            ranked("random", "random order", 0.0),
        ),
        "weeks": (some_weeks(10, 4), some_weeks(50, 4)),
        "gains": (some_gains("probability", "the model", 0.8), some_gains("users_rule", "the rule", 0.4)),
        "bins": (
            Bin(predicted=0.001, observed=0.0, low=0.0, high=0.002, prospects=5000, conversions=0),
            Bin(predicted=0.2, observed=0.25, low=0.1, high=0.4, prospects=40, conversions=10),
        ),
        "probability": {
            "expected_over_observed": estimate(1.1, 0.9, 1.3),
            "log_loss_ratio": estimate(0.7, 0.6, 0.8),
            "ece": estimate(0.001, 0.0005, 0.002),
        },
        "slices": (
            Slice(
                name="all prospects",
                prospects=5040,
                conversions=10,
                share_of_conversions=1.0,
                expected_over_observed=estimate(1.1, 0.9, 1.3),
                recall=estimate(0.4, 0.2, 0.6),
            ),
            Slice(
                name="never seen",
                prospects=3000,
                conversions=0,
                share_of_conversions=0.0,
                expected_over_observed=estimate(None),
                recall=estimate(None),
            ),
        ),
        "tiers": (
            Tier(
                key="very_high",
                prospects=40,
                conversions=10,
                predicted=0.2,
                observed=estimate(0.25, 0.1, 0.4),
            ),
            Tier(key="low", prospects=5000, conversions=0, predicted=0.001, observed=estimate(0.0, 0.0, 0.0)),
        ),
        "facts": (
            FactWeight(
                key="people", title="How many people use it", part="activity", share=0.6, direction="up"
            ),
            FactWeight(key="attribute:x", title="Size", part="fit", share=0.4, direction=""),
        ),
        "business": Business(
            calls_a_list=10,
            calls=40,
            companies_called=25,
            conversions_among_called=9,
            conversions_not_called=36,
            currency="EUR",
            cost=1000.0,
            gross_revenue=32400.0,
            value_of_a_conversion="each conversion's monthly value in the export, times 12 months",
        ),
        "never_seen": {"share_of_prospects": 0.5, "share_of_conversions": 0.25},
        "quality": (Note(text="100 companies", is_warning=False), Note(text="no sector", is_warning=True)),
        "drift": Drift(shifted=1, facts=(FactDrift(title="Size", index=0.4, verdict="shift"),)),
    }
    return TrackRecord(**(values | changed))


def lead_frame(contract: Contract, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return leads in the layout of a contract; what a row leaves out is missing, or the usual."""
    usual: dict[str, Any] = {"probability": 0.2, "tier": "high", "fit": 0.1, "activity": 1.0}
    usual["evidence"] = "Of 9 companies scored 33 % or more, 3 converted within 30 days"
    table = [{"rank": place, "id": place, **usual, **row} for place, row in enumerate(rows, start=1)]
    return pd.DataFrame(table, columns=list(lead_columns(contract)))
