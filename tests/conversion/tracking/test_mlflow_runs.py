"""Runs in MLflow's own store, with small files: what happens to it and to what it was told."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from conversion.evaluation.comparison import NEEDED
from conversion.runtime.errors import TrackingError
from conversion.tracking import mlflow_runs, model_registry, outbox, run_record
from tests.backtests import backtest

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

EXPERIMENT = "conversion"
RECORD: dict[str, Any] = {
    "time_ms": 1_600_000_000_000,
    "params": {"model.type": "ensemble"},
    "tags": {"model_sha256": "0123abcd"},
    "metrics": {"converters": 7.0},
    "weekly": {},
    "datasets": [],
    "columns": {"size": "double"},
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an empty store of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copyfile(empty, folder / "mlflow.db")
    return folder


def put(root: Path, name: str) -> Path:
    """Add a run to the outbox."""

    def fill(folder: Path) -> None:
        (folder / "artifacts/backtest").mkdir(parents=True)
        backtest()[list(NEEDED)].to_parquet(folder / "artifacts" / run_record.PREDICTIONS)
        (folder / outbox.MODEL).mkdir()
        (folder / outbox.MODEL / "model.joblib").write_bytes(b"a model")
        (folder / outbox.CODE).mkdir(parents=True)
        (folder / outbox.CODE / "__init__.py").touch()
        pd.DataFrame({"size": [1.0]}).to_parquet(folder / outbox.EXAMPLE)

    return outbox.put(root, RECORD | {"name": name}, fill)


def log_run(root: Path, name: str) -> Run:
    """Track a run."""
    put(root, name)
    mlflow_runs.log_waiting(root, EXPERIMENT)
    return run_named(root, name)


def move(root: Path, name: str) -> Path:
    """Move the project, as between two commands: MLflow keeps the store's address in the environment."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return root.rename(root.with_name(name))


def client_of(root: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{root}/mlflow.db")


def run_named(root: Path, name: str) -> Run:
    client = client_of(root)
    experiments = [each.experiment_id for each in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}'")
    return run


def change(root: Path, statement: str) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as connection, connection:
        connection.execute(statement)


# --- a project that is moved or copied -------------------------------------------------------------------


@pytest.mark.parametrize("copied", [False, True])
def test_runs_of_a_project_that_was_moved_are_read_and_promoted_and_new_ones_stay_in_it(
    root: Path, copied: bool
) -> None:
    before = log_run(root, "before")
    there = move(root, "moved project")
    if copied:
        shutil.copytree(there, root)

    after = log_run(there, "after")
    assert after.info.artifact_uri == f"{(there / 'mlartifacts').as_uri()}/{after.info.run_id}/artifacts"
    assert (there / "mlartifacts" / after.info.run_id / "artifacts/backtest").is_dir()
    assert (root / "mlartifacts" / after.info.run_id).exists() is False

    store = mlflow_runs.open_store(there)
    pd.testing.assert_frame_equal(
        model_registry.read_predictions(store, before.info.run_id), backtest()[list(NEEDED)]
    )
    version = model_registry.register(
        store, EXPERIMENT, model_registry.tracked_run(store, before.info.run_id), {}
    )
    found = Path(mlflow.artifacts.download_artifacts(f"models:/{EXPERIMENT}/{version}"))
    assert (found / "data/model/model.joblib").read_bytes() == b"a model"
    if copied:
        with closing(sqlite3.connect(root / "mlflow.db")) as connection:
            uris = connection.execute("select artifact_uri from runs").fetchall()
        assert uris == [(before.info.artifact_uri,)], "the original is as it was"


def test_a_model_that_was_registered_before_the_move_is_loaded_after_it(root: Path) -> None:
    run = log_run(root, "before")
    store = mlflow_runs.open_store(root)
    version = model_registry.register(
        store, EXPERIMENT, model_registry.tracked_run(store, run.info.run_id), {}
    )
    there = move(root, "moved")
    mlflow_runs.open_store(there)
    found = Path(mlflow.artifacts.download_artifacts(f"models:/{EXPERIMENT}/{version}"))
    assert (found / "data/model/model.joblib").read_bytes() == b"a model"


# --- an incomplete database ------------------------------------------------------------------------------


def test_a_first_run_that_was_cut_short_is_mended_by_the_next(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As MLflow leaves it: tables are there, and it was to go on with those that it had made already."""
    change(root, "drop table registered_models")
    change(root, "update alembic_version set version_num = '451aebb31d03'")
    shutil.copyfile(root / "mlflow.db", root / "again.db")
    with (
        mlflow_runs.asking("MLflow alone"),
        pytest.raises(Exception, match=r"duplicate column|already exists"),
    ):
        MlflowClient(f"sqlite:///{root}/again.db").search_experiments()

    assert log_run(root, "first").info.status == "FINISHED"
    assert "was incomplete and had no run" in caplog.text


def test_a_broken_database_with_runs_stays_and_the_remedy_is_named(root: Path) -> None:
    log_run(root, "first")
    change(root, "update alembic_version set version_num = '451aebb31d03'")
    before = (root / "mlflow.db").read_bytes()
    waiting = put(root, "second")
    with pytest.raises(TrackingError, match=r"mlflow\.db: it needs an upgrade, which failed .* move it away"):
        mlflow_runs.log_waiting(root, EXPERIMENT)
    assert (root / "mlflow.db").read_bytes() == before
    assert outbox.waiting_runs(root) == [waiting]

    there = move(root, "there")  # MLflow has the old file open
    (there / "mlflow.db").unlink()
    assert mlflow_runs.log_waiting(there, EXPERIMENT) == 1, "what was named helps"


def test_a_full_disk_is_said_to_be_full() -> None:
    with pytest.raises(TrackingError) as error, mlflow_runs.asking("run r"):
        raise OSError(28, "No space left on device", "/project/mlartifacts/roc.png")
    assert str(error.value) == (
        "run r: [Errno 28] No space left on device: '/project/mlartifacts/roc.png': free some space on the "
        "disk"
    )


# --- runs that were cut short ----------------------------------------------------------------------------


def begin(root: Path, tags: dict[str, str]) -> str:
    """Begin a run and never end it."""
    client = client_of(root)
    found = client.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
    return str(client.create_run(experiment, tags=tags).info.run_id)


def test_runs_that_were_cut_short_are_closed_by_the_next(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = begin(root, {mlflow_runs.WAITING_TAG: f"{1:020d}-0123abcd"})
    by_hand = begin(root, {})
    log_run(root, "next")
    client = client_of(root)
    assert client.get_run(lost).info.status == "KILLED"
    assert client.get_run(by_hand).info.status == "RUNNING", "somebody's own"
    (warned,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert warned.message == "runs that were cut short are closed"
    assert warned.__dict__["runs"] == [lost]


def test_a_run_that_still_waits_goes_on(root: Path) -> None:
    waiting = put(root, "begun")
    begun = begin(root, {mlflow_runs.WAITING_TAG: waiting.name})
    mlflow_runs.log_waiting(root, EXPERIMENT)
    run = client_of(root).get_run(begun)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"converters": 7.0}


def test_runs_of_others_in_a_shared_store_are_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = root.with_name("another project")
    project.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
    waiting_run = f"{1:020d}-0123abcd"
    ours = {mlflow_runs.OUTBOX_TAG: f"{socket.gethostname()}:{project}/.tracking"}
    lost = begin(root, {mlflow_runs.WAITING_TAG: waiting_run} | ours)
    of_others = begin(
        root, {mlflow_runs.WAITING_TAG: waiting_run, mlflow_runs.OUTBOX_TAG: "elsewhere:/project"}
    )
    mlflow_runs.log_waiting(project, EXPERIMENT)
    assert client_of(root).get_run(lost).info.status == "KILLED"
    assert client_of(root).get_run(of_others).info.status == "RUNNING"


def test_one_run_that_cannot_be_read_does_not_keep_the_others_from_being_logged(root: Path) -> None:
    broken = put(root, "broken")
    (broken / outbox.RECORD).write_text("{", encoding="utf-8")
    put(root, "whole")
    with pytest.raises(TrackingError, match=broken.name):
        mlflow_runs.log_waiting(root, EXPERIMENT)
    assert run_named(root, "whole").info.status == "FINISHED"
    assert outbox.waiting_runs(root) == [broken]


# --- what was deleted ------------------------------------------------------------------------------------


def test_of_a_deleted_experiment_it_is_said_how_to_go_on(root: Path) -> None:
    run = log_run(root, "first")
    client, experiment = client_of(root), run.info.experiment_id
    client.delete_experiment(experiment)
    waiting = put(root, "second")
    with pytest.raises(TrackingError) as error:
        mlflow_runs.log_waiting(root, EXPERIMENT)
    assert str(error.value) == (
        "experiment conversion was deleted in MLflow: bring it back with 'mlflow experiments restore "
        f"--experiment-id {experiment}', or name another one in params.yaml (tracking.experiment)"
    )
    assert outbox.waiting_runs(root) == [waiting]
    remedy = (
        f"deleted with its experiment conversion: .*'mlflow experiments restore --experiment-id {experiment}'"
    )
    with pytest.raises(TrackingError, match=remedy):
        model_registry.run_of_model(mlflow_runs.open_store(root), "0123abcd")

    client.restore_experiment(experiment)
    assert mlflow_runs.log_waiting(root, EXPERIMENT) == 1
    assert model_registry.run_of_model(mlflow_runs.open_store(root), "0123abcd").model_sha256 == "0123abcd"


# --- credentials -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["http://ann:s3cret@127.0.0.1:9", "unknown://ann:s3cret@127.0.0.1"])
def test_a_store_s_password_is_not_said(root: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(TrackingError, match=r"^\w+://\*\*\*@127\.0\.0\.1\S* does not answer: ") as error:
        mlflow_runs.open_store(root)
    assert "s3cret" not in str(error.value)
