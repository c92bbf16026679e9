"""Runs in MLflow. The one module that imports mlflow, and it takes seconds: import it where it is needed."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

from conversion import spool
from conversion.errors import TrackingError
from conversion.files import verified_parquet

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlartifacts"
MODEL_NAME: Final = "model"
WAITING_TAG: Final = "waiting_run"
"""Names the folder in which a run waited, so that logging that was cut short goes on in the same run."""
LOADER: Final = "conversion.pyfunc"
MODEL_REQUIREMENTS: Final = (
    "joblib",
    "numpy",
    "pandas",
    "pydantic",
    "PyYAML",
    "scikit-learn",
    "scipy",
    "xgboost-cpu",
    "xgboost",
    "mlflow",
)
EXPERIMENT_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
"""So that the user interface shows models, not language models."""
BATCH: Final = 1000  # metrics that MLflow takes at once
PARAMS_BATCH: Final = 100

# What keeps us from a store: MLflow's own errors, the network and files, its database, a missing driver.
UNREACHABLE: Final = (MlflowException, OSError, SQLAlchemyError, ImportError)

Store = MlflowClient


def tracking_uri(root: Path) -> str:
    """Name the store: MLFLOW_TRACKING_URI, else the database in the main checkout.

    A relative SQLite path is the main checkout's, as some experiments run in temporary folders.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{DATABASE}"
    relative = given.removeprefix("sqlite:///")
    if relative == given or Path(relative).is_absolute():
        return given
    return f"sqlite:///{root / relative}"


def open_store(root: Path) -> MlflowClient:
    """Connect to the store and see whether it answers.

    Parameters
    ----------
    root
        The main checkout.

    Returns
    -------
    mlflow.MlflowClient

    Raises
    ------
    TrackingError
        It does not answer.
    """
    # MLflow would try for minutes; what cannot be logged now is logged later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    uri = tracking_uri(root)
    with asking(f"{uri} does not answer"):
        mlflow.set_tracking_uri(uri)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def log_waiting(root: Path, experiment: str) -> int:
    """Log every run that waits, oldest first.

    Parameters
    ----------
    root
        The main checkout.
    experiment
        Name of the MLflow experiment; it is made if there is none.

    Returns
    -------
    int
        Runs logged.

    Raises
    ------
    TrackingError
        The store does not answer, or did not take some run; these still wait.
    """
    failed: list[str] = []
    logged = 0
    with spool.locked(root):
        client = open_store(root)
        waiting = spool.waiting_runs(root)
        if waiting:
            with asking(f"experiment {experiment}"):
                experiment_id = _experiment_id(client, root, experiment)
        for run in waiting:
            try:
                with asking(run.name):
                    _log_run(client, experiment_id, run)
            except TrackingError as error:
                failed.append(str(error))
            else:
                spool.remove(run)
                logged += 1
    if failed:
        raise TrackingError("; ".join(failed))
    return logged


def _experiment_id(client: MlflowClient, root: Path, name: str) -> str:
    """Find or make the experiment; artifacts beside the database, where it is ours."""
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    ours = tracking_uri(root) == f"sqlite:///{root / DATABASE}"
    location = (root / ARTIFACTS).as_uri() if ours else None
    return str(client.create_experiment(name, location, tags=EXPERIMENT_TAGS))


def _log_run(client: MlflowClient, experiment_id: str, waiting: Path) -> None:
    record = spool.read_record(waiting)
    time = int(record["time_ms"])
    run_id = _run_id(client, experiment_id, waiting.name, record)
    params = [Param(key, value) for key, value in record["params"].items()]
    for start in range(0, len(params), PARAMS_BATCH):
        client.log_batch(run_id, params=params[start : start + PARAMS_BATCH])
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in record["tags"].items()])
    client.log_inputs(
        run_id,
        [
            DatasetInput(Dataset(each["name"], each["digest"], "dvc", each["name"]))
            for each in record["datasets"]
        ],
    )
    client.log_artifacts(run_id, str(waiting / spool.ARTIFACTS))
    model_id = _log_model(client, experiment_id, run_id, waiting, record["columns"])
    metrics = [Metric(key, value, time, 0, model_id=model_id) for key, value in record["metrics"].items()]
    metrics += [
        Metric(key, value, at, step) for key, points in record["weekly"].items() for step, at, value in points
    ]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])
    client.set_terminated(run_id)


def _run_id(client: MlflowClient, experiment_id: str, waiting: str, record: dict[str, Any]) -> str:
    begun = client.search_runs([experiment_id], f"tags.{WAITING_TAG} = '{waiting}'", max_results=1)
    if begun:
        return str(begun[0].info.run_id)
    run = client.create_run(
        experiment_id, start_time=record["time_ms"], tags={WAITING_TAG: waiting}, run_name=record["name"]
    )
    return str(run.info.run_id)


def _log_model(
    client: MlflowClient, experiment_id: str, run_id: str, waiting: Path, columns: dict[str, str]
) -> str:
    """Log the model's own two files, with the code that reads them; give the logged model's id.

    `mlflow.pyfunc.log_model` would also load the model and ask it, which takes as long as all the rest.
    """
    logged = client.create_logged_model(experiment_id, name=MODEL_NAME, source_run_id=run_id)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / MODEL_NAME
        _save_model(folder, Model(run_id=run_id, model_id=logged.model_id), waiting, columns)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def _save_model(folder: Path, mlflow_model: Model, waiting: Path, columns: dict[str, str]) -> None:
    """Lay the model out as MLflow loads and serves it; ``columns`` are what it takes, by MLflow's types."""
    kinds = {name: DataType[kind] for name, kind in columns.items()}
    inputs: list[ColSpec | TensorSpec] = [ColSpec(kind, name) for name, kind in kinds.items()]
    example = verified_parquet(waiting / spool.EXAMPLE)
    mlflow.pyfunc.save_model(
        folder,
        mlflow_model=mlflow_model,
        loader_module=LOADER,
        data_path=str(waiting / spool.MODEL),
        code_paths=[str(waiting / spool.CODE)],
        signature=ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, "probability")])),
        input_example=example.astype({name: kind.to_pandas() for name, kind in kinds.items()}),
        pip_requirements=_pinned(),
    )


def _pinned() -> list[str]:
    """Pin what it takes to read the model, to the versions that are installed."""
    pins = []
    for name in MODEL_REQUIREMENTS:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # xgboost goes by two names
            continue
    return pins


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Keep MLflow off the screen; say what could not be asked or told, in one line.

    Raises
    ------
    TrackingError
        Whatever keeps us from the store in the block.
    """
    with _quiet():
        try:
            yield
        except UNREACHABLE as error:
            raise TrackingError(f"{what}: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what MLflow and its libraries say of themselves off the user's screen; errors are raised."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    chatty = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3")]
    levels = [logger.level for logger in chatty]
    for logger in chatty:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)


def first_line(error: Exception) -> str:
    """Take the first line of what an error says, which in MLflow may be a page."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
