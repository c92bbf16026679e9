"""MLflow tells the same story as DVC: real runs, experiments, servers and models in a small clone."""

from __future__ import annotations

import concurrent.futures
import json
import re
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.servers import free_port
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.tracking import outbox
from tests.clone import Clone, stages_run
from tests.server import HttpServer

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PREDICT = """
import json, sys
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.read_parquet(sys.argv[2])
print(json.dumps(model.predict(rows[model.metadata.get_input_schema().input_names()])["probability"].tolist()))
"""


QUEUED = {"weak": 0.5, "strong": 0.001, "stronger": 0.0001}
EXPERIMENTS = ("boosted", *QUEUED)


@pytest.fixture(scope="module")
def reproduced(first_run: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The small project after its first run, and after tracking was turned on: that runs ``track`` alone."""
    clone = first_run.copy_to(tmp_path_factory.mktemp("project"))
    clone.set_params({"tracking.enabled": True})
    clone.commit("tracking on")
    assert stages_run(clone.dvc("repro")) == ("track",)
    assert clone.status() == [" M dvc.lock"]
    clone.commit("the tracked run")
    return clone


@pytest.fixture
def clone(reproduced: Clone) -> Iterator[Clone]:
    """The module's clone, back at its commit after the test; what was tracked stays."""
    with reproduced.as_committed() as clone:
        yield clone


@pytest.fixture(scope="module")
def experiments(reproduced: Clone) -> str:
    """Run `EXPERIMENTS`, one in a temporary folder, the others by two workers; return the queue's status."""
    assert reproduced.status() == []
    reproduced.dvc("exp", "run", "--temp", "--name", "boosted", "-S", "model.type=xgboost")
    for name, C in QUEUED.items():
        reproduced.dvc("exp", "run", "--queue", "--name", name, "-S", f"model.logistic_regression.C={C}")
    reproduced.dvc("exp", "run", "--run-all", "--jobs", "2")
    return reproduced.dvc("queue", "status")


def store(clone: Clone) -> Any:
    """Give a client of the clone's database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's, at its import
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{clone.folder}/mlflow.db")


def runs_of(clone: Clone, filter_string: str = "") -> list[Any]:
    client = store(clone)
    experiment = client.get_experiment_by_name("conversion")
    return list(client.search_runs([experiment.experiment_id], filter_string, order_by=["start_time"]))


def earliest_run(clone: Clone) -> Any:
    return runs_of(clone)[0]


def model_folder(clone: Clone, run: Any) -> Path:
    (output,) = run.outputs.model_outputs
    location = store(clone).get_logged_model(output.model_id).artifact_location
    return Path(location.removeprefix("file://"))


def latest(clone: Clone) -> pd.DataFrame:
    return pd.read_parquet(clone.folder / "data/features/latest.parquet")


def expected(clone: Clone, rows: pd.DataFrame) -> np.ndarray:
    """Score with models/model.joblib itself."""
    model, _ = load_model(ConversionModel, clone.folder / "models")
    return np.asarray(model.predict_proba(rows)[:, 1])


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Give features as a client has them: the sector as text."""
    return rows.drop(columns=["id", "as_of"]).astype({"sector": "str"})


# --- what a run is ---------------------------------------------------------------------------------------


def test_a_run_that_changes_nothing_is_not_logged_again(clone: Clone) -> None:
    before = len(runs_of(clone))
    assert stages_run(clone.dvc("repro")) == ()
    assert len(runs_of(clone)) == before >= 1


def test_the_run_has_the_params_and_the_metrics_that_dvc_has(clone: Clone) -> None:
    run = earliest_run(clone)
    assert run.info.status == "FINISHED"
    params = yaml.safe_load(clone.read("params.yaml"))
    assert run.data.params["model.type"] == params["model"]["type"]
    assert run.data.params["featurize.windows"] == "[1, 4, 13]"
    assert run.data.params["model.xgboost.n_estimators"] == "15"
    assert run.data.params["data.as_of"] == "null"
    assert run.data.params["evaluate.bootstrap_samples"] == "20"
    evaluation = json.loads(clone.read("metrics/evaluation.json"))
    ranking = evaluation["ranking"]
    for ranker, measure in [("probability", "average_precision"), ("users_rule", "recall_at_50")]:
        assert run.data.metrics[f"ranking.{ranker}.{measure}"] == ranking[ranker][measure]["value"]
    assert run.data.metrics["probability.log_loss"] == evaluation["probability"]["log_loss"]["value"]
    assert run.data.metrics["converters"] == evaluation["converters"]
    headline = json.loads(clone.read("metrics/headline.json"))
    assert {name: run.data.metrics[name] for name in headline} == headline, "the names that DVC shows"


def test_the_run_has_each_cutoff_as_a_step(clone: Clone) -> None:
    weekly = pd.read_csv(clone.folder / "metrics/backtest.csv", parse_dates=["as_of"])
    history = store(clone).get_metric_history(earliest_run(clone).info.run_id, "weekly.prospects")
    points = sorted((point.step, point.timestamp, point.value) for point in history)
    assert [value for _, _, value in points] == weekly["prospects"].tolist()
    assert [step for step, _, _ in points] == list(range(len(weekly)))
    assert pd.to_datetime([time for _, time, _ in points], unit="ms").tolist() == weekly["as_of"].tolist()


def test_the_run_says_which_code_data_and_model_it_was(clone: Clone) -> None:
    tags = earliest_run(clone).data.tags
    assert tags["git_commit"] == clone.git("rev-parse", "HEAD~1").strip()
    assert tags["dirty"] == "false", "what the stages write is no change"
    model = json.loads(clone.read("models/model.json"))
    assert (tags["model_type"], tags["as_of"]) == (model["model_type"], model["trained_as_of"])
    assert tags["model_sha256"] == model["sha256"]
    lock = yaml.safe_load(clone.read("dvc.lock"))["stages"]
    (typed,) = lock["load"]["outs"][:1]
    assert tags[f"dvc.{typed['path']}"] == typed["md5"]
    assert json.loads(clone.read("data/run.json"))["model_sha256"] == tags["model_sha256"]


def test_the_run_has_the_files(clone: Clone) -> None:
    client, run_id = store(clone), earliest_run(clone).info.run_id

    def names(folder: str | None) -> set[str]:
        return {each.path for each in client.list_artifacts(run_id, folder)}

    folders = {"backtest", "leads", "metrics", "plots"}
    assert names(None) == {*folders, "params.yaml", "model_card.md", "report.html"}
    assert {"plots/roc.png", "plots/gains.csv", "plots/importance.png"} <= names("plots")
    assert {"metrics/evaluation.json", "metrics/classification_report.txt"} <= names("metrics")
    assert names("leads") == {"leads/top_leads.csv"}
    folder = Path(earliest_run(clone).info.artifact_uri.removeprefix("file://"))
    assert folder.is_relative_to(clone.folder)
    assert (folder / "params.yaml").read_bytes() == clone.git("show", "HEAD:params.yaml").encode()
    predictions = pd.read_parquet(folder / "backtest/predictions.parquet")
    assert list(predictions) == ["id", "as_of", "label", "MRR", "probability", "base_rate"]


# --- the model -------------------------------------------------------------------------------------------


def test_the_logged_model_gives_the_probabilities_of_the_model_file(clone: Clone, tmp_path: Path) -> None:
    plain(latest(clone)).to_parquet(tmp_path / "rows.parquet")
    model = model_folder(clone, earliest_run(clone))
    # From an empty folder: the project's code is the model's own copy.
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(model), "rows.parquet"],
        cwd=tmp_path, env=clone.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    np.testing.assert_array_equal(json.loads(done.stdout), expected(clone, latest(clone)))


def test_the_served_model_gives_the_probabilities_of_the_model_file(clone: Clone, tmp_path: Path) -> None:
    some = latest(clone).head(200)
    rows = plain(some).astype("object")
    body = {"dataframe_split": rows.where(rows.notna(), None).to_dict("split", index=False)}
    folder = str(model_folder(clone, earliest_run(clone)))
    command = ["mlflow", "models", "serve", "--model-uri", folder, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    with HttpServer(tmp_path, command, clone.env, tmp_path, "/ping") as server, server.client() as client:
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 200, answer.text
        served = [row["probability"] for row in answer.json()["predictions"]]
        np.testing.assert_array_equal(served, expected(clone, some))
        assert client.post("/invocations", json={"dataframe_records": [{"size": 3.0}]}).status_code == 400


def test_the_logged_model_has_a_signature_an_example_and_pinned_requirements(clone: Clone) -> None:
    folder = model_folder(clone, earliest_run(clone))
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    inputs = {column["name"]: column["type"] for column in json.loads(described["signature"]["inputs"])}
    assert list(inputs) == list(json.loads(clone.read("models/model.json"))["features"])
    assert {name for name, kind in inputs.items() if kind == "string"} == {"sector"}
    assert (folder / "input_example.json").is_file()
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", pin) for pin in pins), pins
    assert {"scikit-learn", "mlflow"} <= {pin.split("==")[0] for pin in pins}


# --- experiments -----------------------------------------------------------------------------------------


def test_experiments_wherever_they_run_land_in_the_main_store(clone: Clone, experiments: str) -> None:
    assert experiments.count("Success") == len(QUEUED), experiments
    head = clone.git("rev-parse", "HEAD").strip()
    for name in EXPERIMENTS:
        (run,) = runs_of(clone, f"tags.dvc_exp_name = '{name}'")
        assert run.info.run_name == name
        assert run.data.tags["dvc_exp_baseline_rev"] == run.data.tags["git_commit"] == head
        assert run.data.tags["dirty"] == "true", "the params differ from the commit"
        shown = json.loads(clone.answer("metrics", "diff", "HEAD", name, "--all", "--json"))
        value = shown["metrics/headline.json"]["average_precision"]["new"]
        assert run.data.metrics["average_precision"] == value
        assert run.data.metrics["ranking.probability.average_precision"] == value
    assert not outbox.waiting_runs(clone.folder)
    assert clone.status() == []


def test_runs_at_the_same_time_are_all_logged(clone: Clone, tmp_path: Path) -> None:
    """Into a database that is not there yet, which is when processes collide."""
    database = tmp_path / "new.db"
    env = clone.env | {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"}

    def track(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stages.track"], cwd=clone.folder, env=env, capture_output=True, text=True
        )

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(track, range(6)))
    assert [each.returncode for each in done] == [0] * 6
    assert not any("WARNING" in each.stderr for each in done), [each.stderr for each in done]
    with sqlite3.connect(database) as connection:
        assert connection.execute("select status, count(*) from runs group by status").fetchall() == [
            ("FINISHED", 6)
        ]


# --- the registry ----------------------------------------------------------------------------------------


def promote(clone: Clone, *arguments: str, fails: bool = False) -> str:
    return clone.run(sys.executable, "-m", "commands.promote", *arguments, fails=fails)


@pytest.mark.usefixtures("experiments")
def test_the_workspace_s_model_becomes_the_champion_and_another_only_if_it_is_better(
    clone: Clone, tmp_path: Path
) -> None:
    """On backtests of the pipeline, with the models that it logged."""
    output = promote(clone)
    assert "no champion yet" in output
    assert "version 1, the champion" in output
    model = json.loads(clone.read("models/model.json"))
    registered = json.loads(clone.read("models/registered.json"))
    assert registered["versions"][model["sha256"]]["version"] == "1"
    assert registered["versions"][model["sha256"]]["aliases"] == ["champion"]
    assert clone.status() == []

    plain(latest(clone)).to_parquet(tmp_path / "rows.parquet")
    uri = {"MLFLOW_TRACKING_URI": f"sqlite:///{clone.folder}/mlflow.db"}
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, "models:/conversion@champion", "rows.parquet"],
        cwd=tmp_path, env=clone.env | uri, capture_output=True, text=True, check=True,
    )  # fmt: skip
    np.testing.assert_array_equal(json.loads(done.stdout), expected(clone, latest(clone)))

    assert "already" in promote(clone)
    (other,) = runs_of(clone, "tags.dvc_exp_name = 'stronger'")
    refused = promote(clone, "--run", other.info.run_id, fails=True)
    assert "average precision" in refused
    assert "is not promoted" in refused
    assert "Traceback" not in refused
    assert json.loads(clone.read("models/registered.json")) == registered
    forced = promote(clone, "--run", other.info.run_id, "--force", "to see it served")
    assert "Reason: to see it served" in forced
    assert "version 2, the champion" in forced


# --- what can go wrong -----------------------------------------------------------------------------------


def test_a_server_that_is_down_costs_a_warning_and_the_run_is_logged_later(clone: Clone) -> None:
    before = len(runs_of(clone))
    clone.set_params({"score.top_n": 9})
    clone.env["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    try:
        output = clone.dvc("repro")
        refused = clone.run(sys.executable, "-m", "commands.track_replay", fails=True)
    finally:
        del clone.env["MLFLOW_TRACKING_URI"]
    # The backtest's tiers depend on it too.
    assert stages_run(output) == ("evaluate", "score", "report", "track")
    warned = [line for line in output.splitlines() if "WARNING" in line]
    assert len(warned) == 1
    assert "make track-replay" in warned[0]
    assert "Traceback" not in output + refused
    assert len(clone.read("data/leads/top_leads.csv").splitlines()) == 10, "the results are written"
    assert len(outbox.waiting_runs(clone.folder)) == 1
    assert len(runs_of(clone)) == before

    clone.run(sys.executable, "-m", "commands.track_replay")
    assert not outbox.waiting_runs(clone.folder)
    assert len(runs_of(clone)) == before + 1
    assert "no run waits" in clone.run(sys.executable, "-m", "commands.track_replay")


def test_switched_off_nothing_is_logged_and_the_bytes_are_the_same(clone: Clone) -> None:
    before, lock = len(runs_of(clone)), yaml.safe_load(clone.read("dvc.lock"))["stages"]
    clone.set_params({"tracking.enabled": False})
    assert stages_run(clone.dvc("repro")) == ("track",)
    assert len(runs_of(clone)) == before
    after = yaml.safe_load(clone.read("dvc.lock"))["stages"]
    assert {name: stage.get("outs") for name, stage in after.items()} == {
        name: stage.get("outs") for name, stage in lock.items()
    }
    assert sorted(clone.status()) == [" M dvc.lock", " M params.yaml"]


def test_mlflow_ui_shows_the_runs(clone: Clone, tmp_path: Path) -> None:
    command = ["mlflow", "ui", "--port", "{port}"]
    server = HttpServer(clone.folder, command, clone.env, tmp_path, "/health")
    with server, server.client() as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "<title>MLflow</title>" in page.text
        experiments = client.post("/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 10})
        (ours,) = [each for each in experiments.json()["experiments"] if each["name"] == "conversion"]
        found = client.post(
            "/ajax-api/2.0/mlflow/runs/search", json={"experiment_ids": [ours["experiment_id"]]}
        ).json()["runs"]
        assert len(found) == len(runs_of(clone))
        run_id = found[0]["info"]["run_id"]
        picture = client.get("/get-artifact", params={"path": "plots/roc.png", "run_uuid": run_id})
        assert picture.content.startswith(b"\x89PNG")
    assert clone.status() == []
