"""Contacts are known at their own time, and no byte of the list depends on them unless they are a feature."""

from __future__ import annotations

import functools
import io

import joblib
import numpy as np
import pandas as pd

from conversion.config.contacts_contract import TEAM_CONTACTS
from conversion.config.data_contract import Contract
from conversion.data.timeline import WEEK
from tests.contract_files import hubspot
from tests.pipeline import Pipeline, Tables, cut_at, dirty_export, small_params

AS_OF = pd.Timestamp("2019-07-22")
OUTCOMES = ("Talked", "not interested", "short call", "voicemail", None)


def with_contacts(feature: bool = False) -> Contract:
    keys = {
        "contacts": {
            "table": "contacts", "id": "id", "when": "day", "who": "rep", "outcome": "outcome",
            "outcomes": {
                "talking": ["talked"], "refused": ["not interested"], "reached": ["short call"],
                "missed": ["voicemail"],
            },
            "feature": feature,
        },
        "objections": {"table": "objections", "id": "company"},
    }  # fmt: skip
    return Contract.model_validate(hubspot().model_dump() | keys)


def called_export() -> Tables:
    rng = np.random.default_rng(3)
    tables = dirty_export()
    ids = pd.concat([tables["customers"]["id"], tables["noncustomers"]["id"]]).drop_duplicates().to_numpy()
    rows = 400
    contacts = pd.DataFrame(
        {
            "id": rng.choice([*ids, 999_999_001], rows),
            "day": (pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D")),
            "rep": rng.choice(["Ann", "Bo"], rows),
            "outcome": rng.choice(np.array(OUTCOMES, dtype=object), rows),
        }
    )
    objections = pd.DataFrame({"company": [*ids[:3], ids[0], 999_999_002]})
    return tables | {"contacts": contacts, "objections": objections}


def cut_with_contacts(as_of: pd.Timestamp) -> Tables:
    tables = called_export()
    contacts = tables["contacts"]
    known = contacts[contacts["day"] < as_of].reset_index(drop=True)
    return cut_at(tables, as_of) | {"contacts": known, "objections": tables["objections"]}


@functools.cache
def travelled(feature: bool) -> Pipeline:
    return Pipeline(called_export(), small_params(data__as_of=f"{AS_OF:%Y-%m-%d}"), with_contacts(feature))


@functools.cache
def cut(feature: bool) -> Pipeline:
    return Pipeline(cut_with_contacts(AS_OF), small_params(), with_contacts(feature))


def dumped(model: object) -> bytes:
    file = io.BytesIO()
    joblib.dump(model, file)
    return file.getvalue()


def test_time_travel_gives_the_contacts_and_objections_of_an_export_cut_by_hand() -> None:
    then, now = travelled(feature=False), cut(feature=False)
    assert now.as_of == then.as_of == AS_OF
    for name in ("contacts", "objections"):
        found, expected = getattr(now.clean, name), getattr(then.clean, name)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    contacts, objections = then.clean.contacts, then.clean.objections
    assert contacts is not None
    assert objections is not None
    assert contacts["when"].max() < AS_OF
    assert len(contacts) > 200
    assert then.quarantine.contacts is not None
    assert (then.quarantine.contacts["rule"] == "after_as_of").sum() > 50
    assert len(objections) == 3


def test_without_the_feature_no_byte_of_features_model_or_list_depends_on_contacts() -> None:
    plain = Pipeline(dirty_export(), small_params(data__as_of=f"{AS_OF:%Y-%m-%d}"))
    called = travelled(feature=False)
    for name in ("usage", "companies", "train", "backtest", "latest", "previous", "leads"):
        pd.testing.assert_frame_equal(getattr(called, name), getattr(plain, name), check_exact=True)
    assert dumped(called.model) == dumped(plain.model)


def test_with_the_feature_time_travel_holds_too() -> None:
    then, now = travelled(feature=True), cut(feature=True)
    for name in ("usage", "train", "latest", "previous", "leads"):
        pd.testing.assert_frame_equal(getattr(now, name), getattr(then, name), check_exact=True)


def test_with_the_feature_each_known_contact_is_counted_in_its_week() -> None:
    then = travelled(feature=True)
    usage, contacts = then.usage, then.clean.contacts
    assert contacts is not None
    first = usage["WHEN_TIMESTAMP"].min()
    counted = contacts[contacts["when"] >= first]
    assert usage[TEAM_CONTACTS].sum() == len(counted) > 100
    row = counted.iloc[len(counted) // 2]
    monday = row["when"] - pd.Timedelta(days=row["when"].day_of_week)
    own = usage[(usage["id"] == row["id"]) & (usage["WHEN_TIMESTAMP"] == monday)]
    same = counted[(counted["id"] == row["id"]) & (counted["when"] >= monday)]
    assert own[TEAM_CONTACTS].tolist() == [float((same["when"] < monday + WEEK).sum())]
    assert any(TEAM_CONTACTS in name for name in then.latest.columns)
    assert not any(TEAM_CONTACTS in name for name in travelled(feature=False).latest.columns)
