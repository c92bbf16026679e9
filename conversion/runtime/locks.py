"""A lock that one process holds at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from conversion.runtime.errors import UserError
from conversion.runtime.files import writing


@contextmanager
def locked(path: Path, refusal: UserError) -> Iterator[None]:
    """Hold the lock of a file during the block, and remove the file in the end.

    The system lets go of the lock when a process ends.

    Raises
    ------
    UserError
        ``refusal``, if another process holds it.
    OutputError
        The file cannot be made.
    """
    with _lock(path, refusal):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while the lock is held, see `_lock`


def _lock(path: Path, refusal: UserError) -> BufferedIOBase:
    while True:
        file = _open(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise refusal from error
        if _is_at(path, file):
            return file
        # Who held it removed the file after it was opened here: the lock is another file's now.
        file.close()


def _open(path: Path) -> BufferedIOBase:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _is_at(path: Path, file: BufferedIOBase) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
