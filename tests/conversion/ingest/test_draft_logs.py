"""Logs of events, times and tables whose columns are not called as they are in English."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.ingest.draft import Draft
from conversion.ingest.draft_columns import describe
from conversion.ingest.export import read_export
from tests.conversion.ingest.test_draft_extras import events_export
from tests.drafts import Tables, drafted

FRENCH = {
    "account_id": "société",
    "user_id": "utilisateur",
    "event_name": "événement",
    "occurred_at": "horodatage",
}


def french_export() -> Tables:
    """A log and subscriptions whose ids are the companies', under names of another language."""
    tables = events_export()
    log = tables["log"][list(FRENCH)].rename(columns=FRENCH)
    log["partition"] = [f"{at % 32:02d}" for at in range(len(log))]
    subscriptions = tables["subscriptions"][["account_id", "start_date", "end_date", "mrr"]]
    subscriptions = subscriptions.set_axis(["société", "début", "fin", "prix"], axis=1)
    accounts = tables["accounts"].rename(columns={"account_id": "Identifiant société"})
    return {"Sociétés": accounts, "Abonnements": subscriptions, "x": log}


@pytest.fixture(scope="module")
def french(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contract, Draft]:
    return drafted(tmp_path_factory.mktemp("french"), french_export())


def test_events_are_found_by_their_values(french: tuple[Contract, Draft]) -> None:
    contract, draft = french
    usage = contract.usage
    assert (usage.table, usage.id, usage.grain, usage.event) == ("x", "société", "event", "événement")
    assert usage.user == "utilisateur"
    assert "its name says nothing: check it" in " ".join(draft.text.replace("#", " ").split())


def test_the_column_that_joins_a_table_is_named(french: tuple[Contract, Draft]) -> None:
    note = next(note for note in french[1].notes if note.startswith("table Abonnements: "))
    assert "société has ids of companies, several rows each, with dates (début, fin)" in note
    assert "companies.subscriptions" in note


def test_texts_of_companies_and_devices_are_no_events(tmp_path: Path) -> None:
    tables = french_export()
    log = tables["x"].drop(columns="événement")
    tables["x"] = log.assign(
        device=np.resize(["web", "app"], len(log)), pays="pays " + log["société"].str[-1]
    )
    usage = drafted(tmp_path, tables)[0].usage
    assert (usage.table, usage.event, list(usage.modules)) == ("x", None, ["product"])


def test_a_log_without_events_is_read_as_one_module(tmp_path: Path) -> None:
    tables = events_export()
    tables["log"] = tables["log"][["account_id", "user_id", "occurred_at"]]
    contract, _ = drafted(tmp_path, tables)
    assert (contract.usage.grain, contract.usage.event, contract.usage.user) == ("event", None, "user_id")
    weeks = read_export(tmp_path, contract).tables["log"]
    assert weeks["actions_product"].sum() == len(tables["log"])


@pytest.mark.parametrize("name", ["message_id", "eventId", "event_uuid"])
def test_what_identifies_an_event_is_found(name: str, tmp_path: Path) -> None:
    tables = events_export()
    log = tables["log"].drop(columns="event_id")
    identified = log.assign(**{name: [f"m-{at:x}" for at in range(len(log))], "row_id": range(len(log))})
    once, _ = drafted(tmp_path / "once", {**tables, "log": log})
    more = pd.concat([identified, identified.iloc[::3]])
    contract, _ = drafted(tmp_path / "more", {**tables, "log": more})
    assert contract.usage.event_id == name
    expected = read_export(tmp_path / "once", once).tables["log"]
    pd.testing.assert_frame_equal(read_export(tmp_path / "more", contract).tables["log"], expected)


def test_one_name_of_an_event_is_a_log(tmp_path: Path) -> None:
    tables = events_export()
    users = tables["log"]["user_id"].str[1:].astype(int)
    log = tables["log"].assign(event_name="login", user_id=users)
    tables["log"] = log[["account_id", "user_id", "event_name", "occurred_at"]]
    contract, draft = drafted(tmp_path, tables)
    assert (contract.usage.grain, contract.usage.event, contract.usage.user) == (
        "event",
        "event_name",
        "user_id",
    )
    assert contract.usage.modules["login"].events == ("login",)
    assert not [note for note in draft.notes if "not weeks" in note]


@pytest.mark.parametrize(
    ("unit", "words"), [("s", "seconds"), ("ms", "milliseconds"), ("us", "microseconds")]
)
def test_times_since_1970_are_times(unit: str, words: str, tmp_path: Path) -> None:
    tables = events_export()
    times = pd.to_datetime(tables["log"]["occurred_at"]).astype(f"datetime64[{unit}]").astype("int64")
    days = pd.to_datetime(tables["accounts"]["signed_up_on"]).astype("datetime64[s]").astype("int64")
    tables["log"] = tables["log"].assign(occurred_at=times)
    tables["accounts"] = tables["accounts"].assign(signed_up_on=days)
    contract, draft = drafted(tmp_path, tables)
    assert (contract.usage.table, contract.usage.time, contract.usage.grain) == (
        "log",
        "occurred_at",
        "event",
    )
    assert contract.companies.signed_up == "signed_up_on"
    assert not {"signed_up_on"} & {*contract.companies.attributes}
    assert (
        f"occurred_at: times in {words} since 1970; load does not read them; write them as times like "
        "2019-12-30 14:05:00Z"
    ) in draft.notes
    assert "signed_up_on: dates in seconds since 1970; load reads dates like 2019-12-31" in draft.notes


@pytest.mark.parametrize("name", ["revenue", "company_id", "format"])
def test_other_whole_numbers_are_no_times(name: str) -> None:
    numbers = pd.Series([str(1_700_000_000 + at) for at in range(100)])
    assert describe(name, numbers).kind == "whole"
    assert describe("created_at", numbers).kind == "date"


def test_attributes_are_unchecked_where_no_conversion_was_found(tmp_path: Path) -> None:
    tables = events_export()
    del tables["subscriptions"]
    notes = drafted(tmp_path, tables)[1].notes
    assert any("attributes were not checked" in note for note in notes)


def test_columns_called_as_features_of_usage_get_features_of_other_names(tmp_path: Path) -> None:
    tables = events_export()
    texts = np.resize(["a", "b", "c"], len(tables["accounts"]))
    tables["accounts"] = tables["accounts"].assign(users_max_1w=texts, Trend=texts)
    attributes = drafted(tmp_path, tables)[0].companies.attributes
    features = [attributes[name].feature for name in ("users_max_1w", "Trend")]
    assert [each and each.name for each in features] == ["users_max_1w_2", "trend_2"]
