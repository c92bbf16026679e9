"""Where the snapshots of a backtest come from: a table in memory, or Parquet files read in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.runtime.files import VERIFIED, reading, require_columns
from conversion.runtime.parts import parts_at


class SnapshotSource(Protocol):
    """The snapshots of a backtest: one row for each prospect and cutoff, in any order."""

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield all rows, some at a time, with these columns or all that are needed."""


@dataclass(frozen=True)
class SnapshotTable:
    """A table in memory."""

    table: pd.DataFrame

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the table."""
        yield self.table if columns is None else self.table[list(columns)]


class SnapshotFiles:
    """A Parquet file, or a folder of parts, read a row group at a time; each page is checked.

    Parameters
    ----------
    path
        Of the file or folder; see `conversion.runtime.files.reading` for errors.
    needed
        Columns that are read, all of which it must have.
    """

    def __init__(self, path: str | Path, needed: Sequence[str]) -> None:
        self.path, self.needed = path, list(needed)
        self._parts = parts_at(path)
        for part in self._parts:
            with reading(part):
                require_columns(pq.read_schema(part).names, self.needed)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield each row group."""
        names = self.needed if columns is None else list(columns)
        for part in self._parts:
            with reading(part):
                file = pq.ParquetFile(part, **VERIFIED)
            with file:
                for group in range(file.num_row_groups):
                    with reading(part):
                        table = file.read_row_group(group, names)
                    # Columns of one type in one array: rows are taken from it, not from each column.
                    yield table.to_pandas(self_destruct=True)
        # Arrow keeps memory for its next read, half a gigabyte at times; mapped columns need it now.
        pa.default_memory_pool().release_unused()
