"""Runs in a tracking store, for tests: as the pipeline tracks them, with small backtests and toy models."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient

from conversion.tracking.run_record import PREDICTIONS

EXPERIMENT = "conversion"


def model_file(name: str) -> bytes:
    """Give the bytes that stand for a run's model file."""
    return f"the model of {name}".encode()


def sha256_of(name: str) -> str:
    """Hash a run's model file."""
    return hashlib.sha256(model_file(name)).hexdigest()


@dataclass(frozen=True)
class ToyModel:
    """Answers the same to everything; `mlflow.pyfunc.load_model` makes it by `_load_pyfunc`."""

    answer: float

    def predict(self, rows: list[float]) -> list[float]:
        """Answer."""
        return [self.answer for _ in rows]


def _load_pyfunc(path: str) -> ToyModel:
    return ToyModel(float(Path(path).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Store:
    """A store of runs in a folder of its own.

    Attributes
    ----------
    uri
        For MLFLOW_TRACKING_URI.
    client
        Connected to it.
    """

    uri: str
    client: MlflowClient

    @classmethod
    def made_in(cls, folder: Path) -> Store:
        """Make an empty store."""
        folder.mkdir(exist_ok=True)
        uri = f"sqlite:///{folder}/mlflow.db"
        mlflow.set_tracking_uri(uri)
        client = MlflowClient(uri)
        client.create_experiment(EXPERIMENT, (folder / "mlartifacts").as_uri())
        return cls(uri, client)

    def track(self, name: str, predictions: pd.DataFrame | None, answer: float | None) -> str:
        """Track a run, with a backtest and a model that answers ``answer`` where given; give its id."""
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_experiment(EXPERIMENT)
        tags = {"model_sha256": sha256_of(name), "git_commit": f"commit of {name}"}
        with (
            tempfile.TemporaryDirectory() as temporary,
            warnings.catch_warnings(),
            mlflow.start_run(run_name=name, tags=tags) as run,
        ):
            warnings.simplefilter("ignore")
            if answer is not None:
                path = Path(temporary, "answer.txt")
                path.write_text(str(answer), encoding="utf-8")
                mlflow.pyfunc.log_model(
                    name="model", loader_module=__name__, data_path=str(path), pip_requirements=["mlflow"]
                )
            if predictions is not None:
                path = Path(temporary, Path(PREDICTIONS).name)
                predictions.to_parquet(path)
                mlflow.log_artifact(str(path), str(Path(PREDICTIONS).parent))
        return str(run.info.run_id)
