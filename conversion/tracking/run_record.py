"""What MLflow gets to know of a run, read from what the stages wrote."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import conversion
from conversion.config.params import Params
from conversion.runtime.files import (
    VERIFIED,
    WITH_CHECKSUMS,
    copy_file,
    is_temporary,
    read_json,
    read_text,
    reading,
    sha256,
)
from conversion.tracking import outbox

LOCK: Final = Path("dvc.lock")
RESULTS: Final = ("metrics", "plots")
PREDICTIONS: Final = "backtest/predictions.parquet"
PREDICTED: Final = ["id", "as_of", "label", "MRR", "probability", "base_rate"]
"""What comparing two models' backtests takes; the baselines are the same for all."""
EXAMPLE_ROWS: Final = 3
PACKAGE: Final = Path(conversion.__file__).parent


def flat(values: Any, path: str = "") -> dict[str, str]:
    """Give each key its dotted path, as DVC does, and its value as JSON; text stays as it is.

    Examples
    --------
    >>> flat({"data": {"dir": "export", "as_of": None}, "top_k": [10, 50]})
    {'data.dir': 'export', 'data.as_of': 'null', 'top_k': '[10, 50]'}
    """
    if not isinstance(values, dict):
        return {path: values if isinstance(values, str) else json.dumps(values)}
    found: dict[str, str] = {}
    for key, value in values.items():
        found |= flat(value, f"{path}.{key}" if path else str(key))
    return found


def metrics_of(measured: Any, path: str = "") -> dict[str, float]:
    """Give each number its dotted path in the metrics file, without the intervals.

    Examples
    --------
    >>> metrics_of({"ranking": {"roc_auc": {"value": 0.9, "low": 0.8, "high": 1.0}}, "converters": 7})
    {'ranking.roc_auc': 0.9, 'converters': 7.0}
    """
    if isinstance(measured, dict):
        if "value" in measured:
            return metrics_of(measured["value"], path)
        found: dict[str, float] = {}
        for key, value in measured.items():
            if key not in {"low", "high"}:
                found |= metrics_of(value, f"{path}.{key}" if path else key)
        return found
    number = isinstance(measured, int | float) and not isinstance(measured, bool)
    return {path: float(measured)} if number else {}


def weekly_metrics(rows: Iterable[dict[str, str]]) -> dict[str, list[tuple[int, int, float]]]:
    """Give each measure of the backtest a point a cutoff.

    Parameters
    ----------
    rows
        Of ``metrics/backtest.csv``, by column.

    Returns
    -------
    dict
        By ``weekly.`` and the measure: (number of the cutoff, its ``as_of`` in milliseconds, value); a week
        in which the measure is undefined has no point.
    """
    points: dict[str, list[tuple[int, int, float]]] = {}
    for step, row in enumerate(rows):
        as_of = dt.datetime.fromisoformat(row["as_of"]).replace(tzinfo=dt.UTC)
        for name, value in row.items():
            if name != "as_of" and value:
                point = (step, int(as_of.timestamp() * 1000), float(value))
                points.setdefault(f"weekly.{name}", []).append(point)
    return points


def data_hashes(lock: dict[str, Any]) -> dict[str, str]:
    """Read from ``dvc.lock`` what the data and the model hash to, by path."""
    # What it says of this stage is of the last run.
    entries = (
        entry
        for name, stage in lock.get("stages", {}).items()
        if name != "track"
        for entry in (*stage.get("deps", ()), *stage.get("outs", ()))
    )
    return {
        entry["path"]: entry["md5"]
        for entry in entries
        if "md5" in entry and not entry["path"].endswith(".py") and not entry["path"].startswith(RESULTS)
    }


def git_tags(environment: dict[str, str]) -> dict[str, str]:
    """Say which commit was run, whether anything was changed in it, and as which experiment of DVC.

    Parameters
    ----------
    environment
        Has DVC_EXP_NAME and DVC_EXP_BASELINE_REV in an experiment, which may run in a copy with commits of
        its own.

    Returns
    -------
    dict
        Empty outside of a Git repository. ``dirty`` tells whether code, params or anything else differs from
        the commit, what the stages write aside.
    """
    commit = environment.get("DVC_EXP_BASELINE_REV") or _git("rev-parse", "HEAD").strip()
    if not commit:
        return {}
    changed = _git("diff", "--name-only", commit).splitlines()
    changed += _git("ls-files", "--others", "--exclude-standard").splitlines()
    dirty = any(not path.startswith((*RESULTS, str(LOCK))) for path in changed)
    tags = {"git_commit": commit, "dirty": json.dumps(dirty), "mlflow.source.git.commit": commit}
    if "DVC_EXP_NAME" in environment:
        tags |= {"dvc_exp_name": environment["DVC_EXP_NAME"], "dvc_exp_baseline_rev": commit}
    return tags


def _git(*arguments: str) -> str:
    """Ask Git; empty where there is none, or no repository or commit."""
    if shutil.which("git") is None:
        return ""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607


def identity(model: dict[str, Any]) -> dict[str, str]:
    """Tell this run from others by what it made: the same inputs give the same, wherever they are run."""
    with reading("metrics/evaluation.json"):
        evaluation = sha256("metrics/evaluation.json")
    return {
        "model_type": model["model_type"],
        "as_of": model["trained_as_of"],
        "model_sha256": model["sha256"],
        "evaluation_sha256": evaluation,
    }


def record(params: Params, model: dict[str, Any], who: dict[str, str], started: float) -> dict[str, Any]:
    """Put together what is told of the run; JSON-ready.

    Parameters
    ----------
    params
        All of params.yaml.
    model
        The model's description.
    who
        From `identity` and `git_tags`.
    started
        Seconds since 1970.
    """
    hashes = data_hashes(yaml.safe_load(LOCK.read_text(encoding="utf-8")) if LOCK.is_file() else {})
    weekly = weekly_metrics(csv.DictReader(io.StringIO(read_text("metrics/backtest.csv"))))
    summary = read_text("metrics/summary.txt")
    commit = who.get("git_commit", "")[:7]
    return {
        "name": who.get("dvc_exp_name") or f"{who['model_type']} {commit}".strip(),
        "time_ms": int(started * 1000),
        "params": flat(params.model_dump(mode="json")),
        "tags": who
        | {f"dvc.{path}": digest for path, digest in hashes.items()}
        | {"mlflow.note.content": f"```\n{summary}```", "mlflow.source.name": "dvc.yaml"},
        # The few that DVC shows have the names that DVC shows them by.
        "metrics": metrics_of(read_json("metrics/evaluation.json"))
        | metrics_of(read_json("metrics/headline.json")),
        "weekly": weekly,
        "datasets": [
            {"name": path, "digest": digest}
            for path, digest in hashes.items()
            if path.startswith("data/features/")
        ],
        "columns": {
            name: "string" if dtype == "category" else "double" for name, dtype in model["features"].items()
        },
    }


def fill(folder: Path, columns: Iterable[str]) -> None:
    """Copy the run's files into ``folder``: artifacts, the model with its code, and an input example."""
    artifacts = folder / outbox.ARTIFACTS
    for source in _artifacts():
        target = artifacts / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(source, target)
    leads = _top_leads()
    (artifacts / "leads").mkdir()
    copy_file(leads, artifacts / "leads" / leads.name)
    (artifacts / PREDICTIONS).parent.mkdir()
    with reading("data/backtest/predictions.parquet"):
        predictions = pq.read_table("data/backtest/predictions.parquet", columns=PREDICTED, **VERIFIED)
    pq.write_table(predictions, artifacts / PREDICTIONS, compression="zstd", **WITH_CHECKSUMS)
    (folder / outbox.MODEL).mkdir()
    for name in ("model.joblib", "model.json"):
        copy_file(f"models/{name}", folder / outbox.MODEL / name)
    for source in _code():
        target = folder / outbox.CODE / source.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_file(source, target)
    with reading("data/features/latest.parquet"):
        latest = pq.ParquetFile("data/features/latest.parquet", **VERIFIED)
        rows = next(latest.iter_batches(batch_size=EXAMPLE_ROWS, columns=list(columns)))
    pq.write_table(pa.Table.from_batches([rows]), folder / outbox.EXAMPLE, **WITH_CHECKSUMS)


def _artifacts() -> Iterator[Path]:
    yield Path("params.yaml")
    for folder in RESULTS:
        with reading(folder):
            # A killed stage leaves a file that it was writing; no result of any run.
            files = sorted(
                path for path in Path(folder).iterdir() if path.is_file() and not is_temporary(path)
            )
        yield from files


def _code() -> Iterator[Path]:
    """List the files of the package that reads the model."""
    yield from (
        path for path in sorted(PACKAGE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    )


def _top_leads() -> Path:
    pattern = "data/leads/top_leads.*"
    found = sorted(Path().glob(pattern))
    with reading(pattern):
        if not found:
            raise FileNotFoundError
    return found[0]
