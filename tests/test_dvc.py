"""The commands that the README shows, run for real in a small clone of the project."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversion.config.params_file import load_params
from tests.clone import AFTER_FEATURIZE, Clone, stages_restored, stages_run

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(reproduced: Clone) -> Iterator[Clone]:
    """The module's clone, back at its commit after the test."""
    with reproduced.as_committed() as clone:
        yield clone


# --- what reruns what ------------------------------------------------------------------------------------


def test_repro_with_nothing_changed_runs_nothing(clone: Clone) -> None:
    assert stages_run(clone.dvc("repro")) == ()
    assert clone.status() == []


def test_a_change_of_an_inactive_family_runs_nothing(clone: Clone) -> None:
    clone.set_params({"model.random_forest.max_depth": 3, "model.random_forest.n_estimators": 20})
    assert stages_run(clone.dvc("repro")) == ()


def test_a_change_of_a_member_runs_what_the_ensemble_is_in(clone: Clone) -> None:
    """Each of three members too, of which the shipped params name two."""
    clone.set_params({"model.logistic_regression.C": 0.02})
    assert stages_run(clone.dvc("repro")) == AFTER_FEATURIZE
    members = ["xgboost", "random_forest", "logistic_regression"]
    clone.set_params({"model.ensemble.members": members})
    assert stages_run(clone.dvc("repro")) == AFTER_FEATURIZE
    clone.set_params({"model.random_forest.max_depth": 3})
    assert stages_run(clone.dvc("repro")) == AFTER_FEATURIZE
    assert list(json.loads(clone.read("models/model.json"))["params"]["model"]["members"]) == members


def test_usage_alone_is_one_experiment_away(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "-S", "features.groups=[usage]")
    assert stages_run(output) == AFTER_FEATURIZE, "the features are made for all groups"
    names = json.loads(clone.read("models/model.json"))["features"]
    assert not {"size", "sector", "log_alexa_rank", "size_missing"} & set(names)
    assert "users_max_4w" in names


def test_a_train_that_fails_leaves_the_last_model(clone: Clone) -> None:
    before = {name: clone.read(f"models/model.{name}") for name in ("joblib", "json")}
    clone.set_params({"train.history_weeks": 1})
    assert "there is nothing to learn from" in clone.dvc("repro", "train", fails=True)
    assert {name: clone.read(f"models/model.{name}") for name in before} == before
    assert clone.status() == [" M params.yaml"]


def test_a_train_that_is_killed_leaves_the_last_model(clone: Clone) -> None:
    """Also what is in git: DVC has deleted both before ``train`` starts."""
    before = clone.read("models/model.joblib")
    clone.set_params({"train.min_frequency": 8})
    with subprocess.Popen(
        ["dvc", "repro", "train"], cwd=clone.folder, env=clone.env, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        next(line for line in process.stderr if "train INFO fitting" in line)
        os.killpg(process.pid, signal.SIGKILL)
    assert clone.read("models/model.joblib") == before
    assert clone.status() == [" M params.yaml"]


def test_params_that_ran_before_are_restored_and_only_tracked_again(clone: Clone) -> None:
    clone.dvc("exp", "run", "-S", "model.type=xgboost")
    boosted = {path: clone.read(path) for path in ("models/model.joblib", "metrics/evaluation.json")}

    restored = ("train", "evaluate", "score", "report")
    back = clone.dvc("exp", "run", "-S", "model.type=ensemble")
    assert (stages_restored(back), stages_run(back)) == (restored, ("track",))
    assert clone.status() == [" M params.yaml"], (
        "DVC writes the file anew; the results are the committed ones"
    )
    assert json.loads(clone.read("models/model.json"))["model_type"] == "ensemble"

    again = clone.dvc("exp", "run", "-S", "model.type=xgboost")
    assert (stages_restored(again), stages_run(again)) == (restored, ("track",))
    assert {path: clone.read(path) for path in boosted} == boosted
    assert not any((clone.folder / path).is_symlink() for path in clone.git("ls-files").splitlines())

    clone.git("checkout", "params.yaml")
    edited = clone.dvc("repro")
    assert (stages_restored(edited), stages_run(edited)) == (restored, ("track",))
    assert clone.status() == []
    assert set(clone.git("ls-files", "metrics", "plots").splitlines()) == {
        path.relative_to(clone.folder).as_posix()
        for folder in ("metrics", "plots")
        for path in (clone.folder / folder).iterdir()
    }, "all are in git, none is ignored"


def test_a_param_that_is_edited_while_its_stage_runs_is_not_recorded(clone: Clone) -> None:
    """Nor is it lost: the next run is with the new value."""
    clone.set_params({"train.min_frequency": 6})
    with subprocess.Popen(
        ["dvc", "repro"], cwd=clone.folder, env=clone.env, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "train INFO fitting" in line)
        clone.set_params({"train.min_frequency": 7})
        said = process.stderr.read()
    assert process.returncode != 0
    assert "train.min_frequency: was 6 when train began and is 7 now; what it wrote was made with 6" in said
    assert "min_frequency: 5\n" in clone.read("dvc.lock").decode(), "as it was committed"
    assert stages_run(clone.dvc("repro")) == AFTER_FEATURIZE
    assert "min_frequency: 7\n" in clone.read("dvc.lock").decode()
    assert json.loads(clone.read("models/model.json"))["params"]["train"]["min_frequency"] == 7
    clone.run(sys.executable, "-m", "commands.check_lock")


def test_a_path_of_any_characters_can_be_given(clone: Clone, tmp_path: Path) -> None:
    """In DVC's own quotes, as the page on one's own export shows."""
    folder = tmp_path / "März 2020, all [2] #3 (new)=x"
    shutil.copytree(clone.folder / "data/sample", folder)
    clone.dvc("exp", "run", "-S", f"data.dir={folder}", "load", fails=True)
    assert stages_run(clone.dvc("exp", "run", "-S", f"data.dir='{folder}'", "load")) == ("load",)
    assert load_params(clone.folder / "params.yaml").data.dir == str(folder)


def test_a_change_of_score_runs_score_only(clone: Clone) -> None:
    clone.set_params({"score.mrr_prior": 7.0, "score.format": "json"})
    assert stages_run(clone.dvc("repro")) == ("score", "report", "track")
    leads = json.loads(clone.read("data/leads/leads.json"))
    assert json.loads(clone.read("data/leads/top_leads.json")) == leads[:50]
    assert not (clone.folder / "data/leads/leads.csv").exists()
    changed = json.loads(clone.answer("params", "diff", "--json"))["params.yaml"]
    assert changed == {
        "score.format": {"old": "csv", "new": "json"},
        "score.mrr_prior": {"old": 10.0, "new": 7.0, "diff": -3.0},
    }


def test_an_edit_of_plots_runs_evaluate_and_report_only_and_changes_no_result(clone: Clone) -> None:
    with (clone.folder / "conversion/evaluation/figures.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert stages_run(clone.dvc("repro")) == ("evaluate", "report")
    assert clone.status() == [" M conversion/evaluation/figures.py", " M dvc.lock"]


# --- experiments -----------------------------------------------------------------------------------------


def test_an_experiment_in_a_temporary_folder_can_be_compared(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "--temp", "--name", "boosted", "-S", "model.type=xgboost")
    assert stages_run(output) == AFTER_FEATURIZE
    assert clone.status() == [], "the workspace is left as it is"

    params = json.loads(clone.answer("params", "diff", "HEAD", "boosted", "--json"))["params.yaml"]
    assert params["model.type"] == {"old": "ensemble", "new": "xgboost"}
    metrics = json.loads(clone.answer("metrics", "diff", "HEAD", "boosted", "--json"))
    assert set(metrics) == {"metrics/headline.json"}, "the few numbers that tell one run from another"
    assert "diff" in metrics["metrics/headline.json"]["average_precision"]
    assert len(metrics["metrics/headline.json"]) <= 15
    targets = ("--json", "--targets", "metrics/evaluation.json")
    measures = json.loads(clone.answer("metrics", "diff", "HEAD", "boosted", *targets))[
        "metrics/evaluation.json"
    ]
    assert measures["model_type"] == {"old": "ensemble", "new": "xgboost"}
    assert "diff" in measures["ranking.probability.average_precision.value"]
    assert not any(name.startswith("ranking.oracle") for name in measures), "the oracle is the same"

    clone.dvc("plots", "diff", "HEAD", "boosted", "--out", "page")
    page = (clone.folder / "page/index.html").read_text(encoding="utf-8")
    for title in ("ROC", "Precision-recall", "Reliability", "Gains", "Confusion", "Importance", "Search"):
        assert title in page


def test_metrics_and_plots_are_shown(clone: Clone) -> None:
    shown = json.loads(clone.answer("metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {"metrics/headline.json"}
    headline = shown["metrics/headline.json"]["data"]
    assert 10 <= len(headline) <= 15
    assert all(isinstance(number, int | float) for number in headline.values())
    assert headline["share_of_oracle"] > 0
    rest = [f"metrics/{name}.json" for name in ("data_quality", "cleaning", "evaluation", "drift")]
    shown = json.loads(clone.answer("metrics", "show", "--json", *rest))[""]["data"]
    assert set(shown) == set(rest)
    assert all("error" not in metric for metric in shown.values())
    columns = clone.answer("exp", "show", "--csv").splitlines()[0].split(",")
    own = {name.strip('"') for name in columns} & set(headline)
    assert own == set(headline), "under their own names"
    assert not any(name.startswith(("ranking.", "without_never_seen.")) for name in columns)
    clone.dvc("plots", "show")
    assert (clone.folder / "dvc_plots/index.html").is_file()


# --- mistakes --------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused(clone: Clone) -> None:
    output = clone.dvc("exp", "run", "-S", "evaluate.top_kk=3", fails=True)
    assert "top_kk" in output
    assert stages_run(output) == ()
    assert clone.status() == []


def test_a_wrong_param_stops_the_stage_that_reads_it(clone: Clone) -> None:
    clone.set_params({"score.top_n": 0})
    output = clone.dvc("repro", fails=True)
    assert "params.yaml: score.top_n: given 0, should be greater than or equal to 1" in output
    assert "exited with 2" in output
    assert "Traceback" not in output
    assert clone.status() == [" M params.yaml"], "the last metrics stay"


def test_an_unknown_model_type_is_refused(clone: Clone) -> None:
    clone.set_params({"model.type": "xgbost"})
    output = clone.dvc("repro", fails=True)
    assert "model.xgbost" in output
    assert stages_run(output) == ()


def test_a_broken_export_stops_at_load_and_leaves_the_last_metrics(clone: Clone, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(clone.folder / "data/sample", broken)
    customers = broken / "customers.csv"
    customers.write_text(customers.read_text(encoding="utf-8").replace("MRR", "REVENUE", 1), encoding="utf-8")
    clone.set_params({"data.dir": str(broken)})
    output = clone.dvc("repro", fails=True)
    assert stages_run(output) == ("load",)
    assert "customers.csv: MRR: expected this column" in output
    assert "exited with 1" in output
    assert "Traceback" not in output
    assert clone.status() == [" M params.yaml"], "the last metrics stay"


def test_a_missing_export_is_named(clone: Clone, tmp_path: Path) -> None:
    clone.set_params({"data.dir": str(tmp_path / "nowhere")})
    output = clone.dvc("repro", fails=True)
    assert "nowhere" in output
    assert stages_run(output) == ()
