"""Runs on their way to the tracking server: each waits in a folder of its own until it has been logged.

A run is written here first, whole or not at all. Whoever logs holds the lock and logs all that wait, so a
server that is down, a killed process and two experiments at once lose nothing and log nothing twice.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from conversion.runtime.files import is_leftover, read_json, write_json, writing

FOLDER: Final = ".tracking"
RECORD: Final = "run.json"
ARTIFACTS: Final = "artifacts"
MODEL: Final = "model"
CODE: Final = "code/conversion"
EXAMPLE: Final = "example.parquet"
NAME: Final = re.compile(r"\d{20}-[0-9a-f]{8}")


def project_root() -> Path:
    """Find the main checkout: DVC runs some experiments in temporary copies, but tells where that is."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def put(root: Path, record: dict[str, Any], fill: Callable[[Path], None]) -> Path:
    """Add a run.

    Parameters
    ----------
    root
        The main checkout.
    record
        What is told of the run, JSON-ready; see `stages.track`.
    fill
        Called with a folder, to put the run's files into.

    Returns
    -------
    pathlib.Path
        The run's folder. Names sort by time.

    Raises
    ------
    OutputError
        The disk is full, or the folder cannot be written.
    """
    waiting = root / FOLDER
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
    unfinished, finished = _unfinished(waiting / name), waiting / name
    with writing(finished):
        unfinished.mkdir(parents=True)
        try:
            fill(unfinished)
            write_json(unfinished / RECORD, record)
            unfinished.replace(finished)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return finished


def _unfinished(run: Path) -> Path:
    """Name a run's folder while this process fills or empties it."""
    return run.with_name(f".{run.name}.{os.getpid()}.tmp")


def waiting_runs(root: Path) -> list[Path]:
    """List the folders of the runs that wait, oldest first."""
    return sorted(path.parent for path in (root / FOLDER).glob(f"[0-9]*/{RECORD}"))


def read_record(run: Path) -> dict[str, Any]:
    """Read what is told of a run."""
    return dict(read_json(run / RECORD))


def remove(run: Path) -> None:
    """Take a run out that has been logged."""
    # Under another name first: what is half removed must not look like a run that waits.
    leaving = _unfinished(run)
    with writing(run):
        run.replace(leaving)
        shutil.rmtree(leaving)


def remove_leftovers(root: Path) -> None:
    """Remove what killed processes left half written or half removed."""
    for path in (root / FOLDER).glob(".*.tmp"):
        nobody_s = NAME.fullmatch(path.stem.removeprefix("."))  # names no process: of an older version
        if nobody_s or is_leftover(path):
            with writing(path):
                shutil.rmtree(path)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the one lock on logging, waiting for it: SQLite lets one write at a time."""
    lock = FileLock(root / FOLDER / "lock")
    with writing(root / FOLDER / "lock"):
        (root / FOLDER).mkdir(exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
