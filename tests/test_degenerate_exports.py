"""Exports that can be read but from which nothing can be learned: one clear message, or a sober list."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from conversion.simulation.vocabulary import CUSTOMERS, MEASURES, NONCUSTOMERS, USAGE_ACTIONS
from tests.exports import tiny_export, write_export
from tests.pipeline import Tables, run_stages, small_params


def run_pipeline(tables: Tables, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.chdir(folder)
    export = write_export(tables, folder / "export", ".csv")
    return run_stages(folder, small_params(data__dir=str(export)))


def first_week_only(tables: Tables) -> Tables:
    usage = tables[USAGE_ACTIONS]
    return tables | {USAGE_ACTIONS: usage[usage["WHEN_TIMESTAMP"] == usage["WHEN_TIMESTAMP"].min()]}


def nobody_converts_in_time(tables: Tables) -> Tables:
    """All conversions are later than the label of any snapshot sees."""
    last_day = tables[USAGE_ACTIONS]["WHEN_TIMESTAMP"].max() + pd.Timedelta(days=6)
    late = tables[CUSTOMERS].assign(CLOSEDATE=last_day)
    return tables | {CUSTOMERS: late}


def conversions_without_revenue(tables: Tables) -> Tables:
    return tables | {CUSTOMERS: tables[CUSTOMERS].assign(MRR=0.0)}


def orphans_only(tables: Tables) -> Tables:
    return tables | {USAGE_ACTIONS: tables[USAGE_ACTIONS].assign(id=999_999_999)}


@pytest.mark.parametrize(
    ("spoil", "stage", "message"),
    [
        (first_week_only, "featurize", "no label is mature"),
        (nobody_converts_in_time, "train", "0 of"),
        (conversions_without_revenue, "train", "0 of"),
        (orphans_only, "load", "ids of customers or noncustomers"),
    ],
)
def test_nothing_to_learn_from_is_said_once_and_clearly(
    spoil: object,
    stage: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert callable(spoil)
    assert run_pipeline(spoil(tiny_export()), tmp_path, monkeypatch) == f"{stage} exits 1"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert message in errors[0].getMessage()
    assert errors[0].exc_info is None
    assert not list(Path("data").rglob("*.tmp*"))
    assert not Path("data/leads").exists()


def test_no_customers_at_all_stops_at_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tables = tiny_export()
    stopped = run_pipeline(tables | {CUSTOMERS: tables[CUSTOMERS].head(0)}, tmp_path, monkeypatch)
    assert stopped == "load exits 1"
    assert "customers" in caplog.text
    assert not Path("data/typed").exists()


def test_companies_that_never_act_are_ranked_by_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tiny_export()
    idle = tables[USAGE_ACTIONS].assign(**dict.fromkeys(MEASURES, 0))
    assert run_pipeline(tables | {USAGE_ACTIONS: idle}, tmp_path, monkeypatch) is None
    leads = pd.read_csv("data/leads/leads.csv")
    assert sorted(leads["id"]) == sorted(tables[NONCUSTOMERS]["id"])
    assert leads["probability"].between(0, 1).all()
    assert leads["last_active_week"].isna().all()
    ranking = json.loads(Path("metrics/evaluation.json").read_text(encoding="utf-8"))["ranking"]
    assert ranking["users_rule"]["roc_auc"]["value"] == 0.5
