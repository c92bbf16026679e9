"""Columns that are too large for memory: arrays in files without a name, which go when they are let go."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

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
    """
    kind = np.dtype(dtype)
    if folder is None or kind.hasobject or rows * kind.itemsize < LARGE:
        return np.empty(rows, dtype=dtype)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=(rows,)).view(np.ndarray)


def new_columns(rows: int, columns: int, dtype: DTypeLike, folder: Path | None) -> NDArray[Any]:
    """Return columns of one type to be filled, shape (rows, columns), row after row; see `new_column`."""
    return new_column(rows * columns, dtype, folder).reshape(rows, columns)
