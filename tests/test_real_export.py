"""The whole pipeline on a real export, if there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion.config.params_file import load_params
from conversion.data.period import find_period
from conversion.data.timeline import WEEK
from tests.conftest import ROOT
from tests.contract_files import hubspot
from tests.pipeline import run_stages


@pytest.fixture(scope="module")
def results(crm_export_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Run the pipeline on the export with the project's own params; return the folder and the evaluation."""
    folder = tmp_path_factory.mktemp("real")
    params = load_params(ROOT / "params.yaml")
    data = params.data.model_copy(update={"dir": str(crm_export_dir.resolve())})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_stages(folder, params.model_copy(update={"data": data})) is None
    return folder, json.loads((folder / "metrics/evaluation.json").read_text(encoding="utf-8"))


def test_every_prospect_is_listed_once_in_order(results: tuple[Path, dict[str, Any]]) -> None:
    leads = pd.read_csv(results[0] / "data/leads/leads.csv")
    companies = pd.read_parquet(results[0] / "data/clean/companies.parquet")
    assert sorted(leads["id"]) == companies.loc[companies["CLOSEDATE"].isna(), "id"].tolist()
    assert leads["rank"].tolist() == list(range(1, len(leads) + 1))
    assert leads["probability"].is_monotonic_decreasing


def test_the_model_looks_forward_better_than_the_rules_and_no_better_than_is_honest(
    results: tuple[Path, dict[str, Any]],
) -> None:
    ranking = results[1]["ranking"]
    model = ranking["probability"]
    for rule in ("users_rule", "actions_rule"):
        for measure in ("roc_auc", "average_precision"):
            assert model[measure]["value"] > ranking[rule][measure]["value"], (rule, measure)
    assert model["average_precision"]["value"] < 0.2, "at this base rate a leak until proven otherwise"


def test_the_first_fifty_are_told_apart_by_tiers_that_keep_their_order(
    results: tuple[Path, dict[str, Any]],
) -> None:
    folder, evaluation = results
    top = pd.read_csv(folder / "data/leads/top_leads.csv")
    assert top["tier"].nunique() >= 2
    assert top["tier"].value_counts().max() <= 40
    rates = [tier["observed_rate"]["value"] for tier in evaluation["tiers"].values()]
    assert rates == sorted(rates, reverse=True)


def test_nothing_has_shifted_beyond_what_time_does(results: tuple[Path, dict[str, Any]]) -> None:
    drift = json.loads((results[0] / "metrics/drift.json").read_text(encoding="utf-8"))
    assert drift["against_training"]["weeks_since_first_seen"] > 0.25, "a clock moves"
    assert drift["shifted_features"] == 0


def test_the_probabilities_are_calibrated_out_of_time(results: tuple[Path, dict[str, Any]]) -> None:
    probability = results[1]["probability"]
    assert probability["log_loss_ratio"]["value"] < 0.9
    assert 0.67 < probability["expected_over_observed"]["value"] < 1.5


def test_it_ends_with_a_complete_week(results: tuple[Path, dict[str, Any]]) -> None:
    """On a Sunday night: no list is dated a week early, and no row is a stray."""
    cleaning = json.loads((results[0] / "metrics/cleaning.json").read_text(encoding="utf-8"))
    last_week = pd.read_parquet(results[0] / "data/typed/usage_actions.parquet")["WHEN_TIMESTAMP"].max()
    assert cleaning["as_of"] == f"{last_week + WEEK:%Y-%m-%d}"
    assert cleaning["usage"]["quarantined"]["stray_week"] == 0


def test_at_most_a_holiday_looks_like_an_incomplete_week(results: tuple[Path, dict[str, Any]]) -> None:
    usage = pd.read_parquet(results[0] / "data/typed/usage_actions.parquet")
    closedate = pd.read_parquet(results[0] / "data/typed/customers.parquet")["CLOSEDATE"]
    settings = load_params(ROOT / "params.yaml").clean
    early = []
    for week in sorted(usage["WHEN_TIMESTAMP"].unique())[6:]:
        as_of = week + WEEK
        known = usage[usage["WHEN_TIMESTAMP"] < as_of]
        if find_period(known, closedate[closedate < as_of], None, settings, hubspot()).as_of != as_of:
            early.append(week)
    assert all((week.month, week.day) >= (12, 20) for week in early), early
