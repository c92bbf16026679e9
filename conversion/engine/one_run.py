"""One run of a stage at a time, where runs of it would share a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from conversion.runtime.errors import EngineError
from conversion.runtime.files import writing

FOLDER: Final = Path("data")


@contextmanager
def one_run(stage: str) -> Iterator[None]:
    """Hold the lock of a stage during the block; the system lets go of it when a process ends.

    Raises
    ------
    EngineError
        Another process holds it.
    """
    path = FOLDER / f".{stage}.lock"
    with _locked(path, stage):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while the lock is held, see `_locked`


@contextmanager
def _locked(path: Path, stage: str) -> Iterator[None]:
    while True:
        with _open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EngineError(
                    f"{path}: another run of {stage} is at work in this project; nothing was changed: "
                    "wait until it has ended, then run it again"
                ) from error
            if _is_at(path, file):
                yield
                return
            # The run that held it removed the file after it was opened here: the lock is another file's now.


def _open(path: Path) -> BufferedIOBase:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _is_at(path: Path, file: BufferedIOBase) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
