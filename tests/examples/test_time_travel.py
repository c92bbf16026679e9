"""The list of an example at an earlier moment is byte for byte that of an export cut by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml

from conversion.runtime.files import read_value, write_csv, write_parquet
from examples import documents, projects
from stages import clean, evaluate, featurize, load, score, train
from tests.contract_files import ROOT
from tests.pipeline import small_params

Tables = dict[str, pd.DataFrame]
ACCOUNTS, WEEKS, SEED = 800, 44, 5
AS_OF = {"projects": "2024-08-12", "documents": "2024-05-13"}
"""Eleven or twelve weeks before the end of the export."""
FIRST_CUTOFF = {"projects": "2024-06-24", "documents": "2024-03-25"}
"""Some have converted before it, and some do afterwards."""


def cut_projects(tables: Tables, as_of: str) -> Tables:
    accounts, subscriptions, plans = (tables[name] for name in ("accounts", "subscriptions", "plans"))
    plans = plans[plans["since"] < as_of]
    last = plans.drop_duplicates("account", keep="last").set_index("account")["plan"]
    accounts = accounts[accounts["created"] < as_of]
    subscriptions = subscriptions[subscriptions["started"] < as_of]
    later = subscriptions["ended"] >= as_of
    events = tables["events"]
    return {
        "accounts": accounts.assign(plan=accounts["account_id"].map(last)),
        "subscriptions": subscriptions.assign(ended=subscriptions["ended"].mask(later)),
        "plans": plans,
        "merged": tables["merged"],
        "events": events[events["at"] < pd.Timestamp(as_of, tz=projects.ZONE)],
    }


def cut_documents(tables: Tables, as_of: str) -> Tables:
    accounts = tables["accounts"]
    accounts = accounts[accounts["registered"] < as_of]
    known = accounts["converted"] < as_of
    usage = tables["daily_usage"]
    return {
        "accounts": accounts.assign(
            converted=accounts["converted"].where(known),
            monthly_value=accounts["monthly_value"].where(known),
            cancelled=accounts["cancelled"].mask(accounts["cancelled"] >= as_of),
            verified=accounts["verified"].mask(accounts["verified"] >= as_of),
        ),
        "daily_usage": usage[usage["day"] < as_of],
    }


EXAMPLES: dict[str, tuple[ModuleType, Callable[[Tables, str], Tables]]] = {
    "projects": (projects, cut_projects),
    "documents": (documents, cut_documents),
}


@functools.cache
def drawn(example: str) -> Tables:
    tables: Tables = EXAMPLES[example][0].export(ACCOUNTS, WEEKS, SEED)
    return tables


def listed(
    folder: Path, example: str, tables: Tables, as_of: str | None, monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    """Run the stages up to the list on an export; return what belongs to the list but for its manifest."""
    for name, table in tables.items():
        if name in EXAMPLES[example][0].IN_PARQUET:
            write_parquet(folder / f"export/{name}.parquet", table)
        else:
            write_csv(folder / f"export/{name}.csv", table)
    params = small_params(
        data__dir="export",
        data__contract=str(ROOT / f"examples/{example}.yaml"),
        data__as_of=as_of,
        model__type="xgboost",
        evaluate__first_cutoff=FIRST_CUTOFF[example],
    )
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    monkeypatch.chdir(folder)
    for stage in (load, clean, featurize, train, evaluate, score):
        stage.main()
    return {
        path.name: path.read_bytes()
        for path in (folder / "data/leads").iterdir()
        if path.name != "manifest.json"
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_earlier_list_is_that_of_a_cut_export(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, as_of, cut = drawn(example), AS_OF[example], EXAMPLES[example][1]
    travelled = listed(tmp_path / "whole", example, whole, as_of, monkeypatch)
    there = listed(tmp_path / "cut", example, cut(whole, as_of), None, monkeypatch)
    assert read_value(tmp_path / "cut/data/clean/export.json", "as_of") == as_of
    assert len(travelled["leads.csv"].splitlines()) > 300
    assert travelled == there
