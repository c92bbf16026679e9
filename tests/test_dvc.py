"""The commands that the README shows, run for real in a small clone of the project."""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from conversion import schemas
from tests.clone import Clone, stages_run
from tests.exports import write_export
from tests.pipeline import cut_at

ALL = ["simulate", "load", "clean", "featurize", "train", "evaluate", "score"]
AFTER_SIMULATE, AFTER_FEATURIZE = ALL[1:], ALL[4:]
QUEUE_SECONDS = 240

pytestmark = pytest.mark.slow
one = pytest.mark.xdist_group("dvc_one")
two = pytest.mark.xdist_group("dvc_two")


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone after its first ``dvc repro``, with everything committed."""
    clone = Clone.of_project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home"))
    assert stages_run(clone.dvc("repro")) == ALL
    assert clone.status() == ["?? dvc.lock", "?? metrics/", "?? plots/"], (
        "data and models are ignored as committed"
    )
    clone.commit("the first run")
    yield clone
    clone.dvc("queue", "stop", "--kill")


@pytest.fixture
def clone(reproduced: Clone) -> Iterator[Clone]:
    """The same clone, back at its commit after the test."""
    yield reproduced
    reproduced.reset()


# --- what reruns what ------------------------------------------------------------------------------------


@one
def test_repro_with_nothing_changed_runs_nothing(clone: Clone) -> None:
    assert stages_run(clone.dvc("repro")) == []
    assert clone.status() == []


@one
def test_a_change_of_an_inactive_family_runs_nothing(clone: Clone) -> None:
    clone.set_params({"model.random_forest.max_depth": 3, "model.xgboost.learning_rate": 0.2})
    assert stages_run(clone.dvc("repro")) == []


@one
def test_a_change_of_score_runs_score_only(clone: Clone) -> None:
    clone.set_params({"score.top_n": 7, "score.format": "json"})
    assert stages_run(clone.dvc("repro")) == ["score"]
    leads = json.loads(clone.read("data/leads/leads.json"))
    assert json.loads(clone.read("data/leads/top_leads.json")) == leads[:7]
    assert not (clone.folder / "data/leads/leads.csv").exists()
    changed = json.loads(clone.answer("params", "diff", "--json"))["params.yaml"]
    assert changed == {
        "score.format": {"old": "csv", "new": "json"},
        "score.top_n": {"old": 50, "new": 7},
    }


@one
def test_an_edit_of_plots_runs_evaluate_only_and_changes_no_result(clone: Clone) -> None:
    with (clone.folder / "conversion/plots.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert stages_run(clone.dvc("repro")) == ["evaluate"]
    assert clone.status() == [" M conversion/plots.py", " M dvc.lock"]


# --- experiments -----------------------------------------------------------------------------------------


@one
def test_an_experiment_in_a_temporary_folder_can_be_compared(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "--temp", "--name", "boosted", "-S", "model.type=xgboost")
    assert stages_run(output) == AFTER_FEATURIZE
    assert clone.status() == [], "the workspace is left as it is"

    params = json.loads(clone.answer("params", "diff", "HEAD", "boosted", "--json"))["params.yaml"]
    assert params["model.type"] == {"old": "logistic_regression", "new": "xgboost"}
    metrics = json.loads(clone.answer("metrics", "diff", "HEAD", "boosted", "--json"))
    measures = metrics["metrics/evaluation.json"]
    assert measures["model_type"] == {"old": "logistic_regression", "new": "xgboost"}
    assert "diff" in measures["ranking.probability.average_precision.value"]
    assert not any(name.startswith("ranking.oracle") for name in measures), "the oracle is the same"

    clone.dvc("plots", "diff", "HEAD", "boosted", "--out", "page")
    page = (clone.folder / "page/index.html").read_text(encoding="utf-8")
    for title in ("ROC", "Precision-recall", "Reliability", "Gains", "Confusion", "Importance"):
        assert title in page


@one
def test_metrics_and_plots_are_shown(clone: Clone) -> None:
    shown = json.loads(clone.answer("metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {
        f"metrics/{name}.json" for name in ("data_quality", "cleaning", "evaluation", "drift")
    }
    assert all("error" not in metric for metric in shown.values())
    assert shown["metrics/evaluation.json"]["data"]["share_of_oracle_average_precision"] > 0
    clone.dvc("plots", "show")
    assert (clone.folder / "dvc_plots/index.html").is_file()


@one
def test_queued_experiments_are_run_by_a_worker(clone: Clone) -> None:
    for name, top_n in (("short", 5), ("long", 90)):
        clone.dvc("exp", "run", "--queue", "--name", name, "-S", f"score.top_n={top_n}")
    clone.dvc("queue", "start")
    try:
        status = wait_for_queue(clone)
    finally:
        clone.dvc("queue", "stop", "--kill")
    assert status.count("Success") == 2, status + clone.dvc("queue", "logs", "short")
    rows = list(csv.DictReader(io.StringIO(clone.answer("exp", "show", "--csv"))))
    top_n = {row["Experiment"]: row["score.top_n"] for row in rows}
    assert (top_n["short"], top_n["long"]) == ("5", "90")
    assert clone.status() == []


def wait_for_queue(clone: Clone) -> str:
    """Wait until no experiment is queued or running; give the last status."""
    end = time.monotonic() + QUEUE_SECONDS
    while time.monotonic() < end:
        status = clone.dvc("queue", "status")
        if "Queued" not in status and "Running" not in status:
            return status
        time.sleep(2)
    pytest.fail(f"the queue was not done after {QUEUE_SECONDS} s:\n{status}")


# --- other data, other times -----------------------------------------------------------------------------


@one
def test_time_travel_gives_the_lead_list_of_an_export_cut_at_that_date(clone: Clone, tmp_path: Path) -> None:
    as_of = "2019-05-06"
    cut = write_export(cut_at(read_sample(clone), pd.Timestamp(as_of)), tmp_path / "cut")

    output = clone.dvc("exp", "run", "-S", f"data.as_of={as_of}")
    assert stages_run(output) == ALL[2:]
    leads, top = clone.read("data/leads/leads.csv"), clone.read("data/leads/top_leads.csv")
    evaluation = json.loads(clone.read("metrics/evaluation.json"))
    assert evaluation["as_of"] == as_of
    assert "oracle" in evaluation["ranking"]
    assert stages_run(clone.dvc("repro")) == [], "the date is written as it is read"

    output = clone.dvc("exp", "run", "-S", "data.as_of=null", "-S", f"data.dir={cut}")
    assert stages_run(output) == AFTER_SIMULATE
    assert clone.read("data/leads/leads.csv") == leads
    assert clone.read("data/leads/top_leads.csv") == top
    ours = json.loads(clone.read("metrics/evaluation.json"))
    assert "oracle" not in ours["ranking"]
    assert not any("oracle" in name for name in ours), "another export has no known truth"
    assert ours["ranking"]["probability"] == evaluation["ranking"]["probability"]


def read_sample(clone: Clone) -> dict[str, pd.DataFrame]:
    folder = clone.folder / "data/sample"
    dates = {schemas.CUSTOMERS: ["CLOSEDATE"], schemas.USAGE_ACTIONS: ["WHEN_TIMESTAMP"]}
    return {
        name: pd.read_csv(folder / f"{name}.csv", parse_dates=dates.get(name, [])) for name in schemas.COLUMNS
    }


# --- mistakes --------------------------------------------------------------------------------------------


@one
def test_an_unknown_key_is_refused(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "-S", "evaluate.top_kk=3", fails=True)
    assert "top_kk" in output
    assert stages_run(output) == []
    assert clone.status() == []


@one
def test_a_wrong_param_stops_the_stage_that_reads_it(clone: Clone) -> None:
    clone.set_params({"score.top_n": 0})
    output = clone.dvc("repro", fails=True)
    assert "params.yaml: score.top_n: given 0, should be greater than or equal to 1" in output
    assert "exited with 2" in output
    assert "Traceback" not in output
    assert clone.status() == [" M params.yaml"], "the last metrics stay"


@one
def test_an_unknown_model_type_is_refused(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "-S", "model.type=xgbost", fails=True)
    assert "model.xgbost" in output
    assert stages_run(output) == []


@one
def test_a_broken_export_stops_at_load_and_leaves_the_last_metrics(clone: Clone, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(clone.folder / "data/sample", broken)
    customers = broken / "customers.csv"
    customers.write_text(customers.read_text(encoding="utf-8").replace("MRR", "REVENUE", 1), encoding="utf-8")
    output = clone.dvc("exp", "run", "-S", f"data.dir={broken}", fails=True)
    assert stages_run(output) == ["load"]
    assert "customers.csv: MRR: expected this column" in output
    assert "exited with 1" in output
    assert "Traceback" not in output
    assert clone.status() == [" M params.yaml"], "the last metrics stay"


@one
def test_a_missing_export_is_named(clone: Clone, tmp_path: Path) -> None:
    output = clone.dvc("exp", "run", "-S", f"data.dir={tmp_path / 'nowhere'}", fails=True)
    assert "nowhere" in output
    assert stages_run(output) == []


# --- the same again --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def branched(reproduced: Clone) -> Clone:
    """The clone with one branch for each model type, each holding what an experiment of it wrote."""
    for model_type in ("xgboost", "random_forest"):
        output = reproduced.dvc("exp", "run", "--name", model_type, "-S", f"model.type={model_type}")
        assert stages_run(output) == AFTER_FEATURIZE
        assert json.loads(reproduced.read("models/model.json"))["model_type"] == model_type
        reproduced.dvc("exp", "branch", model_type, f"branch_{model_type}")
        reproduced.reset()
    assert stages_run(reproduced.dvc("exp", "run", "-S", "model.type=logistic_regression")) == []
    reproduced.git("branch", "branch_logistic_regression")
    return reproduced


@pytest.fixture(scope="module")
def fresh(branched: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A second clone, without the first one's cache."""
    return branched.clone_to(tmp_path_factory.mktemp("fresh"))


@two
@pytest.mark.parametrize("model_type", ["logistic_regression", "random_forest", "xgboost"])
def test_repro_without_cache_changes_nothing_that_is_committed(fresh: Clone, model_type: str) -> None:
    fresh.git("checkout", "--quiet", f"branch_{model_type}")
    ran = stages_run(fresh.dvc("repro"))
    assert ran == (ALL if model_type == "logistic_regression" else AFTER_FEATURIZE)
    assert fresh.status() == [], fresh.git("diff")
    assert json.loads(fresh.read("metrics/evaluation.json"))["model_type"] == model_type
