"""Columns that are too large for memory: arrays in files without a name, which go when they are let go."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from conversion.runtime.files import writing

LARGE: Final = 1 << 24
"""Bytes from which on a column is in a file; a smaller one is in memory."""


def new_column(rows: int, dtype: DTypeLike, folder: Path | None) -> NDArray[Any]:
    """Return a column to be filled.

    Parameters
    ----------
    rows
        Its length.
    dtype
        Of its values. Objects, such as texts, are in memory, however many.
    folder
        Where a large column's file is; the system writes it out and reads it again as memory allows. None: in
        memory, however large.

    Raises
    ------
    OutputError
        The disk has no room for it.
    """
    kind = np.dtype(dtype)
    if folder is None or kind.hasobject or rows * kind.itemsize < LARGE:
        return np.empty(rows, dtype=dtype)
    with writing(folder / "a column"):
        folder.mkdir(parents=True, exist_ok=True)
        return _on_disk(rows, kind, folder)


def _on_disk(rows: int, kind: np.dtype[Any], folder: Path) -> NDArray[Any]:
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            # A file with holes would end the process without a word once the disk is full.
            os.posix_fallocate(file.fileno(), 0, rows * kind.itemsize)
        return np.memmap(file, dtype=kind, mode="w+", shape=(rows,)).view(np.ndarray)


def new_columns(rows: int, columns: int, dtype: DTypeLike, folder: Path | None) -> NDArray[Any]:
    """Return columns of one type to be filled, shape (rows, columns), row after row; see `new_column`."""
    return new_column(rows * columns, dtype, folder).reshape(rows, columns)
