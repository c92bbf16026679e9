"""The record of a run for MLflow, read from what the stages wrote."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

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
from conversion.runtime.git import git
from conversion.runtime.parts import parts_at
from conversion.runtime.row_groups import copy_columns
from conversion.runtime.yaml_values import read_own
from conversion.tracking import outbox

LOCK: Final = Path("dvc.lock")
RESULTS: Final = ("metrics", "plots")
CARD: Final = Path("models/model_card.md")
REPORT: Final = Path("data/report.html")
CODE: Final = ("conversion", "stages")
PREDICTIONS: Final = "backtest/predictions.parquet"
"""Where a run has the predictions of its backtest."""
SHA256_TAG: Final = "model_sha256"
"""The tag with the hash of a run's model file."""
PREDICTED: Final = ("id", "as_of", "label", "MRR", "probability", "base_rate")
"""Columns of the backtest that are kept, if it has them; the baselines are the same for all models."""
EXAMPLE_ROWS: Final = 3
PACKAGE: Final = Path(conversion.__file__).parent


def flat(values: Any, path: str = "") -> dict[str, str]:
    """Map each dotted key, as DVC writes it, to its value as JSON; text stays unchanged.

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
    """Map the dotted path of each number in a metrics file to the number, without the intervals.

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
    """Return one point for each measure and cutoff of the backtest.

    Parameters
    ----------
    rows
        The rows of ``metrics/backtest.csv``, by column.

    Returns
    -------
    dict
        For ``weekly.`` and the measure: (number of the cutoff, its ``as_of`` in milliseconds, value). A week
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
    """Return the hashes of the data and the model in ``dvc.lock``, by path."""
    # The entry of this stage is still that of the last run.
    entries = (
        entry
        for name, stage in lock.get("stages", {}).items()
        if name != "track"
        for entry in (*stage.get("deps", ()), *stage.get("outs", ()))
    )
    return {
        entry["path"]: entry["md5"]
        for entry in entries
        if "md5" in entry and Path(entry["path"]).parts[0] not in CODE + RESULTS
    }


def git_tags(environment: dict[str, str]) -> dict[str, str]:
    """Return tags with the commit, whether the workspace differs from it, and the DVC experiment.

    Parameters
    ----------
    environment
        In an experiment it has DVC_EXP_NAME and DVC_EXP_BASELINE_REV. The experiment may run in a copy with
        commits of its own.

    Returns
    -------
    dict
        Empty outside a Git repository. ``dirty`` is true if anything but the stages' outputs differs from the
        commit.
    """
    commit = environment.get("DVC_EXP_BASELINE_REV") or (git("rev-parse", "HEAD") or b"").decode().strip()
    if not commit:
        return {}
    dirty = not all(map(_is_output, _changed_files(commit)))
    tags = {"git_commit": commit, "dirty": json.dumps(dirty), "mlflow.source.git.commit": commit}
    if "DVC_EXP_NAME" in environment:
        tags |= {"dvc_exp_name": environment["DVC_EXP_NAME"], "dvc_exp_baseline_rev": commit}
    return tags


def _is_output(path: str) -> bool:
    """Return whether stages write a file that is in git."""
    return Path(path).parts[0] in RESULTS or Path(path) in (CARD, LOCK)


def _changed_files(commit: str) -> Iterator[str]:
    """Yield the files of the project, which may be a folder of a repository, that differ from a commit."""
    for command in (
        ("diff", "--name-only", "--relative", "-z", commit),
        ("ls-files", "--others", "--exclude-standard", "-z"),
    ):
        yield from os.fsdecode(git(*command) or b"").split("\0")[:-1]


def identity(model: dict[str, Any]) -> dict[str, str]:
    """Return tags that identify the run by its results: the same inputs give the same tags on any machine."""
    with reading("metrics/evaluation.json"):
        evaluation = sha256("metrics/evaluation.json")
    return {
        "model_type": model["model_type"],
        "as_of": model["trained_as_of"],
        SHA256_TAG: model["sha256"],
        "evaluation_sha256": evaluation,
    }


def record(params: Params, model: dict[str, Any], who: dict[str, str], started: float) -> dict[str, Any]:
    """Assemble the JSON-ready record of the run.

    Parameters
    ----------
    params
        All of params.yaml.
    model
        The content of models/model.json.
    who
        Tags from `identity` and `git_tags`.
    started
        Seconds since 1970.
    """
    hashes = data_hashes(read_own(LOCK) if LOCK.is_file() else {})
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
        # The headline metrics have the names that `dvc metrics show` gives them.
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


def fill(folder: Path, columns: Iterable[str], shown: Collection[str] = ()) -> None:
    """Copy the run's files into ``folder``: artifacts, the model with its code, an input example.

    Parameters
    ----------
    folder
        Exists.
    columns
        The features that the model reads.
    shown
        Columns of the lead list that only its readers should see, such as names and owners: left out, and the
        report that has them too.
    """
    artifacts = folder / outbox.ARTIFACTS
    for source in _artifacts():
        copy_file(source, artifacts / source)
    for source in (CARD,) if shown else (CARD, REPORT):
        copy_file(source, artifacts / source.name)
    leads = _top_leads()
    (artifacts / "leads").mkdir()
    if shown:
        copy_without(shown, leads, artifacts / "leads" / leads.name)
    else:
        copy_file(leads, artifacts / "leads" / leads.name)
    (artifacts / PREDICTIONS).parent.mkdir()
    copy_columns(f"data/{PREDICTIONS}", artifacts / PREDICTIONS, PREDICTED, "zstd")
    for name in ("model.joblib", "model.json"):
        copy_file(f"models/{name}", folder / outbox.MODEL / name)
    for source in _code():
        copy_file(source, folder / outbox.CODE / source.relative_to(PACKAGE))
    with reading("data/features/latest.parquet"):
        latest = (pq.ParquetFile(part, **VERIFIED) for part in parts_at("data/features/latest.parquet"))
        batches = (file.iter_batches(batch_size=EXAMPLE_ROWS, columns=list(columns)) for file in latest)
        rows = next(itertools.chain.from_iterable(batches))
    pq.write_table(pa.Table.from_batches([rows]), folder / outbox.EXAMPLE, **WITH_CHECKSUMS)


def copy_without(columns: Collection[str], source: Path, target: Path) -> None:
    """Copy a lead list, .csv, .json or .parquet, without some of its columns."""
    with reading(source):
        if source.suffix == ".parquet":
            table = pq.read_table(source, **VERIFIED)
            pq.write_table(table.drop_columns([*columns]), target, **WITH_CHECKSUMS)
        elif source.suffix == ".json":
            rows = json.loads(source.read_text(encoding="utf-8"))
            kept = [{name: value for name, value in row.items() if name not in columns} for row in rows]
            target.write_text(json.dumps(kept, indent=1), encoding="utf-8")
        else:
            with (
                source.open(encoding="utf-8", newline="") as file,
                target.open("x", encoding="utf-8", newline="") as copy,
            ):
                header, *records = csv.reader(file)
                places = [place for place, name in enumerate(header) if name not in columns]
                writer = csv.writer(copy, lineterminator="\n")
                writer.writerows([[record[place] for place in places] for record in (header, *records)])


def _artifacts() -> Iterator[Path]:
    yield Path("params.yaml")
    for folder in RESULTS:
        with reading(folder):
            # A killed stage leaves a temporary file, which is not a result.
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
