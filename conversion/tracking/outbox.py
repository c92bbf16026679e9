"""Runs on their way to the tracking server: each waits in its own folder until it is logged.

A run is written here first, completely or not at all. The process that logs holds a lock and logs all
waiting runs. So nothing is lost or logged twice if the server is down, a process is killed or two experiments
run at once.
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
    """Return the main checkout, which DVC names when it runs an experiment in a temporary copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def put(root: Path, record: dict[str, Any], fill: Callable[[Path], None]) -> Path:
    """Add a run to the outbox.

    Parameters
    ----------
    root
        The main checkout.
    record
        The JSON-ready record of the run; see `conversion.tracking.run_record`.
    fill
        Called with a folder to write the run's files into.

    Returns
    -------
    pathlib.Path
        The run's folder. The names sort by time.

    Raises
    ------
    OutputError
        The disk is full or the folder cannot be written.
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
    """Return the name of a run's folder while this process fills or empties it."""
    return run.with_name(f".{run.name}.{os.getpid()}.tmp")


def waiting_runs(root: Path) -> list[Path]:
    """List the folders of the waiting runs, oldest first."""
    return sorted(path.parent for path in (root / FOLDER).glob(f"[0-9]*/{RECORD}"))


def read_record(run: Path) -> dict[str, Any]:
    """Read the record of a run."""
    return dict(read_json(run / RECORD))


def remove(run: Path) -> None:
    """Remove a run that has been logged."""
    # Renamed first, so that a partly removed folder does not look like a waiting run.
    leaving = _unfinished(run)
    with writing(run):
        run.replace(leaving)
        shutil.rmtree(leaving)


def remove_leftovers(root: Path) -> None:
    """Remove what killed processes left partly written or partly removed."""
    for path in (root / FOLDER).glob(".*.tmp"):
        nobody_s = NAME.fullmatch(
            path.stem.removeprefix(".")
        )  # an older version wrote it, without a process id
        if nobody_s or is_leftover(path):
            with writing(path):
                shutil.rmtree(path)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Wait for and hold the lock on logging: SQLite allows one writer at a time."""
    lock = FileLock(root / FOLDER / "lock")
    with writing(root / FOLDER / "lock"):
        (root / FOLDER).mkdir(exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
