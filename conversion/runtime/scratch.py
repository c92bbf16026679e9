"""A folder for what a run needs while it lasts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conversion.runtime.files import is_leftover, writing


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Make an empty folder beside another one, and remove it in the end.

    What runs that were killed left there is removed first; that of runs that still work stays.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    folder = beside.parent / f".{beside.name}.{os.getpid()}.tmp"
    for left in beside.parent.glob(f".{beside.name}.*.tmp"):
        # In a container, a run often has the process id of the one before.
        if left == folder or is_leftover(left):
            shutil.rmtree(left)
    with writing(folder):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        # An error of the block must not be hidden; the next run removes what is left.
        shutil.rmtree(folder, ignore_errors=True)
