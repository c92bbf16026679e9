"""A contact with an id that is no longer used, or an objection, counts for the company that it became."""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd

from conversion.config.contacts_contract import TEAM_CONTACTS
from conversion.config.data_contract import Contract
from conversion.config.deliver_params import Suppress
from conversion.data.timeline import WEEK
from conversion.delivery.call_list import call_list
from conversion.delivery.suppression import suppressed
from conversion.scorecard.contacts import first_touches
from tests.ledgers import small_design
from tests.memberships import memberships, memberships_export
from tests.pipeline import Pipeline, small_params

AS_OF = pd.Timestamp("2019-07-29")
SUPPRESS = Suppress(called_weeks=0, talking_weeks=8, refused_weeks=26)


def contract() -> Contract:
    keys = {
        "contacts": {
            "table": "calls", "id": "team", "when": "day", "outcome": "outcome", "feature": True,
            "outcomes": {"refused": ["no"], "missed": ["voicemail"]},
        },
        "objections": {"table": "do_not_call", "id": "team"},
    }  # fmt: skip
    return Contract.model_validate(memberships().model_dump() | keys)


@functools.cache
def merged() -> pd.DataFrame:
    """Return the old and new ids of merged teams that are prospects."""
    pairs = memberships_export()["merged"]
    return pairs[pairs["new"].isin(pipeline_of([], []).leads["id"])].reset_index(drop=True)


def pipeline_of(calls: list[dict[str, Any]], objections: list[str]) -> Pipeline:
    tables = memberships_export() | {
        "calls": pd.DataFrame(calls, columns=["team", "day", "outcome"]).astype(
            {"team": "str", "day": "datetime64[us]", "outcome": "str"}
        ),
        "do_not_call": pd.DataFrame({"team": pd.Series(objections, dtype="str")}),
    }
    params = small_params(data__as_of=f"{AS_OF:%Y-%m-%d}", model__logistic_regression__quadratic=["auto"])
    return Pipeline(tables, params, contract())


def test_the_company_of_today_is_suppressed_counted_and_left_out() -> None:
    pairs = merged()
    (refused, refused_now), (objects, objects_now) = pairs.head(2).itertuples(index=False)
    day = AS_OF - pd.Timedelta(days=4)
    found = pipeline_of([{"team": refused, "day": day, "outcome": "no"}], [objects])
    contacts, objections = found.clean.contacts, found.clean.objections
    assert contacts is not None
    assert objections is not None

    off = suppressed(contacts, AS_OF, SUPPRESS)
    ids = found.leads["id"]
    drawn = call_list(ids, AS_OF.date(), small_design(calls=len(ids)), off["id"], objections["id"])
    status = drawn.set_index("id")["status"]
    assert off["id"].tolist() == [refused_now]
    assert {status[refused_now], status[objects_now]} == {"suppressed", "objected"}
    assert status.drop([refused_now, objects_now]).eq("listed").all()

    monday = day - pd.Timedelta(days=day.day_of_week)
    week = found.usage[(found.usage["id"] == refused_now) & (found.usage[contract().usage.time] == monday)]
    assert week[TEAM_CONTACTS].tolist() == [1.0]

    rows = pd.DataFrame({"id": [refused_now], "as_of": [AS_OF - WEEK]})
    touched = first_touches(rows, contacts)
    assert touched[["days", "reached"]].to_numpy().tolist() == [[3.0, True]]
