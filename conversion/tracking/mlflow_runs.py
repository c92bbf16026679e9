"""Runs in MLflow. Importing mlflow takes seconds, so import this module only where it is needed."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import mlflow
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunInfo,
    RunStatus,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

from conversion.runtime.errors import InputError, TrackingError
from conversion.runtime.files import verified_parquet
from conversion.runtime.logs import redacted
from conversion.tracking import outbox
from conversion.tracking.database import SCHEME, database_file, ensure_migrated, follow_artifacts

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlartifacts"
MODEL_NAME: Final = "model"
WAITING_TAG: Final = "waiting_run"
"""A tag with the folder in which a run waited, so that interrupted logging continues in the same run."""
OUTBOX_TAG: Final = "waiting_in"
"""A tag with the machine and folder of the outbox, so that only its own runs are closed."""
LOADER: Final = "conversion.tracking.pyfunc"
MODEL_REQUIREMENTS: Final = (
    "joblib",
    "numpy",
    "pandas",
    "pydantic",
    "PyYAML",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
    "xgboost-cpu",
    "xgboost",
    "mlflow",
)
EXPERIMENT_TAGS: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Makes the user interface show models instead of language models."""
BATCH: Final = 1000  # metrics that MLflow takes at once
PARAMS_BATCH: Final = 100

# What keeps us from a store: MLflow's own errors, the network and files, its database, a missing driver.
UNREACHABLE: Final = (MlflowException, OSError, SQLAlchemyError, ImportError)
NO_SUCH_RUN: Final = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""MLflow's error codes for an unknown and for a malformed run id."""
NO_CAUSE: Final = "(raised as a result of "
"""Start of the line in which SQLAlchemy names the operation, not the cause."""
FULL: Final = ("No space left on device", "Disk quota exceeded", "File too large", "database or disk is full")

Store = MlflowClient
log = logging.getLogger(__name__)


def tracking_uri(root: Path) -> str:
    """Return the URI of the store: MLFLOW_TRACKING_URI, else the database in the main checkout.

    A relative SQLite path is the main checkout's, as some experiments run in temporary folders.
    """
    given = os.environ.get("MLFLOW_TRACKING_URI") or f"{SCHEME}{DATABASE}"
    relative = given.removeprefix(SCHEME)
    if relative == given or Path(relative).is_absolute():
        return given
    return f"{SCHEME}{root / relative}"


def open_store(root: Path) -> MlflowClient:
    """Connect to the store and check that it answers.

    A missing database file is created, an incomplete one is completed, and ours follows a project that was
    moved.

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
    database = database_file(uri)
    if database is not None:
        ensure_migrated(database, _schema_revisions(), _migrate)
    if is_ours(root):
        follow_artifacts(root / DATABASE, root / ARTIFACTS)
    with asking(f"{redacted(uri)} does not answer"):
        mlflow.set_tracking_uri(uri)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


def _migrate(database: Path) -> None:
    """Create or upgrade the database with MLflow, as it does on opening."""
    with asking(f"MLflow cannot make or upgrade {database}"):
        MlflowClient(f"{SCHEME}{database}").search_experiments(max_results=1)


def _schema_revisions() -> list[str]:
    """List the revisions of MLflow's schema, latest first."""
    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return [script.revision for script in scripts.walk_revisions()]


def is_ours(root: Path) -> bool:
    """Return whether the store is the database in the main checkout, with its artifacts beside it."""
    return tracking_uri(root) == f"{SCHEME}{root / DATABASE}"


def log_waiting(root: Path, experiment: str) -> int:
    """Log every waiting run, oldest first, and remove what killed processes left.

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
    with outbox.locked(root):
        outbox.remove_leftovers(root)
        client = open_store(root)
        _close_abandoned(client, root)
        waiting = outbox.waiting_runs(root)
        if waiting:
            with asking(f"experiment {experiment}"):
                experiment_id = _experiment_id(client, root, experiment)
        for run in waiting:
            try:
                with asking(run.name):
                    _log_run(client, experiment_id, run, _outbox(root))
            except (TrackingError, InputError) as error:
                failed.append(str(error))
            else:
                outbox.remove(run)
                logged += 1
    if failed:
        raise TrackingError("; ".join(failed))
    return logged


def _experiment_id(client: MlflowClient, root: Path, name: str) -> str:
    """Find or create the experiment; in our own store its artifacts are beside the database."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = (root / ARTIFACTS).as_uri() if is_ours(root) else None
        return str(client.create_experiment(name, location, tags=EXPERIMENT_TAGS))
    if is_deleted(experiment):
        raise TrackingError(
            f"experiment {name} was deleted in MLflow: bring it back with 'mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}', or name another one in params.yaml "
            "(tracking.experiment)"
        )
    return str(experiment.experiment_id)


def _outbox(root: Path) -> str:
    return f"{socket.gethostname()}:{root / outbox.FOLDER}"


def _close_abandoned(client: MlflowClient, root: Path) -> None:
    """End the runs that were started here and no longer wait; MLflow would show them as running forever.

    Call it with the lock held: nobody logs from here meanwhile.
    """
    waiting = {run.name for run in outbox.waiting_runs(root)}
    with asking("runs that were cut short"):
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        abandoned = [
            run.info.run_id
            for run in client.search_runs(experiments, "attributes.status = 'RUNNING'")
            if run.data.tags.get(WAITING_TAG, "") not in {"", *waiting}
            and (is_ours(root) or run.data.tags.get(OUTBOX_TAG) == _outbox(root))
        ]
        for run_id in abandoned:
            client.set_terminated(run_id, RunStatus.to_string(RunStatus.KILLED))
    if abandoned:
        log.warning("runs that were cut short are closed", extra={"runs": abandoned})


def run_with_id(store: Store, run_id: str) -> Run | None:
    """Read a run, deleted or not; None if no run has this id."""
    with asking(f"run {run_id}"):
        try:
            return store.get_run(run_id)
        except MlflowException as error:
            if error.error_code in NO_SUCH_RUN:
                return None
            raise


def finished_runs(store: Store, condition: str, deleted_too: bool = False) -> list[Run]:
    """List the finished runs of all experiments that match a condition, latest first."""
    view = ViewType.ALL if deleted_too else ViewType.ACTIVE_ONLY
    query = f"{condition} and attributes.status = 'FINISHED'"
    with asking("the tracking store"):
        experiments = [experiment.experiment_id for experiment in store.search_experiments(view)]
        return list(store.search_runs(experiments, query, view, order_by=["attributes.start_time DESC"]))


def is_deleted(entity: Experiment | RunInfo) -> bool:
    """Return whether the run is deleted, and MLflow keeps it only until `mlflow gc`."""
    return str(entity.lifecycle_stage) == LifecycleStage.DELETED


def _log_run(client: MlflowClient, experiment_id: str, waiting: Path, outbox_id: str) -> None:
    record = outbox.read_record(waiting)
    time = int(record["time_ms"])
    run_id = _run_id(client, experiment_id, {WAITING_TAG: waiting.name, OUTBOX_TAG: outbox_id}, record)
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
    client.log_artifacts(run_id, str(waiting / outbox.ARTIFACTS))
    model_id = _log_model(client, experiment_id, run_id, waiting, record["columns"])
    metrics = [Metric(key, value, time, 0, model_id=model_id) for key, value in record["metrics"].items()]
    metrics += [
        Metric(key, value, at, step) for key, points in record["weekly"].items() for step, at, value in points
    ]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])
    client.set_terminated(run_id)


def _run_id(client: MlflowClient, experiment_id: str, tags: dict[str, str], record: dict[str, Any]) -> str:
    begun = client.search_runs([experiment_id], f"tags.{WAITING_TAG} = '{tags[WAITING_TAG]}'", max_results=1)
    if begun:
        return str(begun[0].info.run_id)
    run = client.create_run(experiment_id, start_time=record["time_ms"], tags=tags, run_name=record["name"])
    return str(run.info.run_id)


def _log_model(
    client: MlflowClient, experiment_id: str, run_id: str, waiting: Path, columns: dict[str, str]
) -> str:
    """Log the model's two files with the code that reads them; return the logged model's id.

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
    """Write the model in MLflow's layout; ``columns`` are its inputs with MLflow's types."""
    kinds = {name: DataType[kind] for name, kind in columns.items()}
    inputs: list[ColSpec | TensorSpec] = [ColSpec(kind, name) for name, kind in kinds.items()]
    example = verified_parquet(waiting / outbox.EXAMPLE)
    mlflow.pyfunc.save_model(
        folder,
        mlflow_model=mlflow_model,
        loader_module=LOADER,
        data_path=str(waiting / outbox.MODEL),
        code_paths=[str(waiting / outbox.CODE)],
        signature=ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, "probability")])),
        input_example=example.astype({name: kind.to_pandas() for name, kind in kinds.items()}),
        pip_requirements=_pinned(),
    )


def _pinned() -> list[str]:
    """Pin the libraries that reading the model needs to the installed versions."""
    pins = []
    for name in MODEL_REQUIREMENTS:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # xgboost goes by two names
            continue
    return pins


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Silence MLflow, and turn its errors into a `TrackingError` of one line.

    Raises
    ------
    TrackingError
        Whatever keeps us from the store in the block.
    """
    with _quiet():
        try:
            yield
        except UNREACHABLE as error:
            said = redacted(first_line(error))
            remedy = ": free some space on the disk" if any(words in said for words in FULL) else ""
            raise TrackingError(f"{what}: {said}{remedy}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the messages of MLflow and its libraries; errors are still raised."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    chatty = [logging.getLogger(name) for name in ("mlflow", "alembic", "urllib3")]
    levels = [logger.level for logger in chatty]
    for logger in chatty:
        logger.setLevel(logging.CRITICAL)  # as an error it would also print what it raises
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(chatty, levels, strict=True):
            logger.setLevel(level)


def first_line(error: Exception) -> str:
    r"""Return the first line of an error message, which in MLflow may fill a page.

    Examples
    --------
    >>> first_line(OSError("(raised as a result of Query-invoked autoflush)\n(sqlite3) disk is full\nSQL"))
    '(sqlite3) disk is full'
    >>> first_line(OSError())
    'OSError'
    """
    lines = [line for line in str(error).splitlines() if line.strip() and not line.startswith(NO_CAUSE)]
    return lines[0].strip() if lines else type(error).__name__
