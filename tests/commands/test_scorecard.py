from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml

from commands import scorecard
from conversion.delivery.ledger import Forgotten
from conversion.runtime.cli import run
from conversion.runtime.files import read_json, write_json
from conversion.scorecard.results import read_scorecard
from tests.exports import lay_out_contracts, tiny_export
from tests.ledgers import deliver, small_design
from tests.pipeline import Pipeline, small_params

LISTS = ("2019-08-12", "2019-08-19")


@functools.cache
def pipeline(as_of: str | None) -> Pipeline:
    return Pipeline(tiny_export(), small_params(data__as_of=as_of))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["scorecard"])
    lay_out_contracts(tmp_path)
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8"
    )
    lay_out_export(None)
    return tmp_path


def lay_out_export(as_of: str | None) -> None:
    """Write what the stages load and clean write of the export at a moment."""
    newest = pipeline(as_of)
    write_json("data/contract.json", newest.contract.model_dump(mode="json"))
    Path("data/clean").mkdir(exist_ok=True)
    newest.companies.to_parquet("data/clean/companies.parquet")
    newest.clean.periods.to_parquet("data/clean/subscriptions.parquet")
    write_json("data/clean/export.json", {"as_of": f"{newest.as_of:%Y-%m-%d}"})


def ledger(root: Path) -> None:
    for as_of in LISTS:
        deliver(root, pipeline(as_of), small_design(holdout=0.3))


def test_it_writes_what_became_of_the_lists(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger(project)
    run(scorecard.main)
    found = read_scorecard(project)
    assert found is not None
    assert capsys.readouterr().out == f"{found.line}\n"
    assert [str(each.as_of) for each in found.lists] == [*LISTS]
    assert all(each.held_back for each in found.lists)
    converted = pipeline(None).companies.set_index("id")["CLOSEDATE"]
    companies = pd.read_parquet(project / "ledger")
    first = companies[(companies["as_of"].astype(str) == LISTS[0]) & companies["place"].notna()]
    day = first["id"].map(converted)
    start = pd.Timestamp(LISTS[0])
    by_hand = int(((day >= start) & (day < start + pd.Timedelta(days=30))).sum())
    assert found.lists[0].call_list.delivered.conversions == by_hand
    table = pd.read_csv("data/scorecard/lists.csv")
    assert set(table["part"]) == {"call_list", "first_5", "first_10"}
    assert "<!doctype html>" in Path("data/scorecard/scorecard.html").read_text(encoding="utf-8")


def test_it_writes_the_same_bytes_twice(project: Path) -> None:
    ledger(project)
    run(scorecard.main)
    files = sorted(Path("data/scorecard").iterdir())
    before = [each.read_bytes() for each in files]
    run(scorecard.main)
    assert [each.read_bytes() for each in files] == before


def test_before_the_horizon_is_over_it_says_when(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger(project)
    lay_out_export("2019-08-26")
    run(scorecard.main)
    assert "the first, of 12 August 2019, will be on 11 September 2019" in capsys.readouterr().out
    assert read_json("data/scorecard/scorecard.json")["lists"] == []


def test_without_a_ledger_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(scorecard.main)
    assert "No list has been delivered yet" in capsys.readouterr().out
    assert read_scorecard(project) is not None


def test_the_power_before_any_list_is_that_of_the_backtest(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scorecard", "--power"])
    weeks = pd.to_datetime(["2019-08-12"] * 20 + ["2019-08-19"] * 20)
    predictions = pd.DataFrame(
        {"id": [*range(20), *range(20)], "as_of": weeks, "label": [1, 0] * 20, "probability": [0.5, 0.4] * 20}
    )
    Path("data/backtest").mkdir()
    predictions.to_parquet("data/backtest/predictions.parquet")
    run(scorecard.main)
    said = capsys.readouterr().out
    assert "10 calls a week, of which 0.0 are to companies on no list before" in said
    assert "100 % of companies convert" in said
    assert not (project / "data" / "scorecard").exists()


@pytest.mark.usefixtures("project")
def test_the_power_is_that_of_the_reps_capacities(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scorecard", "--power"])
    Path("reps.csv").write_text("rep,capacity\nAnn,2\nBo,1\n", encoding="utf-8")
    params = small_params(deliver__reps="reps.csv").model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    weeks = pd.to_datetime(["2019-08-12"] * 20 + ["2019-08-19"] * 20)
    predictions = pd.DataFrame(
        {"id": [*range(20), *range(20)], "as_of": weeks, "label": [1, 0] * 20, "probability": [0.5, 0.4] * 20}
    )
    Path("data/backtest").mkdir()
    predictions.to_parquet("data/backtest/predictions.parquet")
    run(scorecard.main)
    assert "3 calls a week" in capsys.readouterr().out


def test_places_removed_on_request_are_counted_where_they_matter() -> None:
    def delivery(as_of: dt.date, number: int, *counts: tuple[str, int]) -> Any:
        forgotten = [Forgotten(status=status, tier="high", companies=count) for status, count in counts]
        return SimpleNamespace(as_of=as_of, number=number, manifest=SimpleNamespace(forgotten=forgotten))

    first, second = dt.date(2020, 1, 6), dt.date(2020, 1, 13)
    deliveries = [
        delivery(first, 1, ("listed", 5)),
        delivery(first, 2, ("listed", 1), ("held_back", 2), ("below", 7), ("suppressed", 1)),
        delivery(second, 1, ("explored", 3)),
    ]
    assert scorecard.forgotten_places(deliveries) == 6
