"""The same results again: in a fresh clone, and from an export cut by hand."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from conversion.simulation import vocabulary
from tests.clone import AFTER_FEATURIZE, ALL, SMALL, Clone, stages_run
from tests.exports import write_export
from tests.pipeline import cut_at

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def branched(reproduced: Clone) -> Clone:
    """The clone with a branch that holds what an experiment wrote, of the family that the ensemble lacks."""
    output = reproduced.dvc("exp", "run", "--name", "forest", "-S", "model.type=random_forest")
    assert stages_run(output) == AFTER_FEATURIZE
    assert json.loads(reproduced.read("models/model.json"))["model_type"] == "random_forest"
    reproduced.dvc("exp", "branch", "forest", "branch_forest")
    reproduced.reset()
    assert stages_run(reproduced.dvc("exp", "run", "-S", "model.type=ensemble")) == ()
    return reproduced


@pytest.fixture(scope="module")
def fresh(branched: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A second clone, without the first one's cache, after it has run everything itself: to no change."""
    clone = branched.clone_to(tmp_path_factory.mktemp("fresh"))
    assert stages_run(clone.dvc("repro")) == ALL
    assert clone.status() == [], clone.git("diff")
    return clone


def test_repro_without_cache_changes_nothing_that_is_committed(fresh: Clone) -> None:
    """Nor for the ensemble of the other families, see the fixture."""
    assert stages_run(fresh.dvc("repro")) == ()
    fresh.git("checkout", "--quiet", "branch_forest")
    assert stages_run(fresh.dvc("repro")) == AFTER_FEATURIZE
    assert fresh.status() == [], fresh.git("diff")
    assert json.loads(fresh.read("metrics/evaluation.json"))["model_type"] == "random_forest"


def test_a_small_export_keeps_more_of_its_negatives_than_the_shares_say(first_run: Clone) -> None:
    train = pd.read_parquet(first_run.folder / "data/features/train.parquet")
    companies = len(pd.read_parquet(first_run.folder / "data/clean/companies.parquet", columns=["id"]))
    more = SMALL["featurize.keep_negatives.shares_from"] / (companies * train["as_of"].nunique())
    assert more > 1
    negatives = train[train["label"] == 0]
    for seen, name in ((1, "seen"), (0, "never_seen")):
        (weight,) = set(negatives.loc[negatives["seen"] == seen, "weight"])
        assert weight == pytest.approx(1 / (SMALL[f"featurize.keep_negatives.{name}"] * more))


def test_an_experiment_repeats_no_fit_and_gives_what_fits_made_anew_give(
    first_run: Clone, tmp_path: Path
) -> None:
    clone = first_run.copy_to(tmp_path / "project")
    fits = clone.folder / "data/.fits"

    def kept() -> set[Path]:
        return set(fits.rglob("*.fit"))

    shutil.rmtree(fits, ignore_errors=True)
    clone.dvc("repro", "--force", "--single-item", "train")
    clone.dvc("repro", "--force", "--single-item", "evaluate")
    assert clone.status() == [], clone.git("diff")
    after_ensemble = kept()
    assert after_ensemble

    assert stages_run(clone.dvc("exp", "run", "-S", "model.type=xgboost")) == AFTER_FEATURIZE
    assert kept() == after_ensemble, "the members of the ensemble were fitted again"
    written = ("models/model.json", "metrics/evaluation.json", "metrics/backtest.csv")
    expected = {name: clone.read(name) for name in written}

    for stage in ("train", "evaluate"):
        clone.run(sys.executable, "-m", f"stages.{stage}")  # by hand: all fits are made anew
    assert {name: clone.read(name) for name in written} == expected


def test_time_travel_gives_the_lead_list_of_an_export_cut_at_that_date(
    first_run: Clone, tmp_path: Path
) -> None:
    clone = first_run.copy_to(tmp_path / "project")
    as_of = "2019-05-06"
    cut = write_export(cut_at(read_sample(clone), pd.Timestamp(as_of)), tmp_path / "cut")

    output = clone.dvc("exp", "run", "-S", f"data.as_of={as_of}")
    assert stages_run(output) == ALL[2:]
    leads, top = clone.read("data/leads/leads.csv"), clone.read("data/leads/top_leads.csv")
    evaluation = json.loads(clone.read("metrics/evaluation.json"))
    assert evaluation["as_of"] == as_of
    assert "oracle" in evaluation["ranking"]
    assert stages_run(clone.dvc("repro")) == (), "the date is written as it is read"

    output = clone.dvc("exp", "run", "-S", "data.as_of=null", "-S", f"data.dir={cut}")
    assert stages_run(output) == ("load", "clean", "evaluate", "report", "track"), (
        "the clean tables came out the same"
    )
    assert clone.read("data/leads/leads.csv") == leads
    assert clone.read("data/leads/top_leads.csv") == top
    ours = json.loads(clone.read("metrics/evaluation.json"))
    assert "oracle" not in ours["ranking"]
    assert not any("oracle" in name for name in ours), "another export has no known truth"
    assert ours["ranking"]["probability"] == evaluation["ranking"]["probability"]


def read_sample(clone: Clone) -> dict[str, pd.DataFrame]:
    folder = clone.folder / "data/sample"
    dates = {vocabulary.CUSTOMERS: ["CLOSEDATE"], vocabulary.USAGE_ACTIONS: ["WHEN_TIMESTAMP"]}
    return {
        name: pd.read_csv(folder / f"{name}.csv", parse_dates=dates.get(name, []))
        for name in vocabulary.COLUMNS
    }
