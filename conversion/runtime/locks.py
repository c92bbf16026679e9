"""A lock that one process holds at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conversion.runtime.errors import UserError
from conversion.runtime.files import writing


@contextmanager
def locked(path: Path, refusal: UserError) -> Iterator[None]:
    """Hold the lock of a file during the block; the system lets go of it when a process ends.

    The file stays: another process may be about to lock it.

    Raises
    ------
    UserError
        ``refusal``, if another process holds it.
    OutputError
        The file cannot be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal from error
        yield
