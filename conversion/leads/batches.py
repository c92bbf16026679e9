"""Reading Parquet some rows at a time, and pieces of lists that are put aside on the way to their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.runtime.files import VERIFIED, reading, require_columns, verified_parquet, writing

_CELLS: Final = 50_000_000
"""Values that are held at a time, of single precision mostly. Each time the description of each part is read,
which takes as long as reading a few of its columns."""
_COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def table_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[pd.DataFrame]:
    """Read columns of a Parquet file, some rows at a time; of an empty table one batch without rows.

    See `conversion.runtime.files.reading` for errors.
    """
    with reading(path):
        file = pq.ParquetFile(path, **VERIFIED)
    with closing(file):
        with reading(path):
            require_columns(file.schema_arrow.names, columns)
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table().select(list(columns)).to_pandas()
        batches = _batches(file, list(columns), rows)
        while True:
            with reading(path):
                batch = next(batches, None)
                if batch is None:
                    return
                table = batch.to_pandas()
            yield table


def _batches(file: pq.ParquetFile, columns: list[str], rows: int) -> Iterator[pa.Table | pa.RecordBatch]:
    """Read row groups together as far as they are small, and in pieces where they are large."""
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    first = 0
    while first < len(sizes):
        last = first + 1
        while last < len(sizes) and sum(sizes[first : last + 1]) <= rows:
            last += 1
        groups = list(range(first, last))
        if sum(sizes[first:last]) > rows:
            yield from file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False)
        else:
            yield file.read_row_groups(groups, columns=columns, use_threads=False)
        first = last


class StoredColumns:
    """Columns of a table in parts, a few of which are held at a time.

    Parameters
    ----------
    paths
        The files of the parts.
    names
        The columns, in the order in which they will be asked for.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        self._paths, self._names = paths, list(names)
        self._at_once = max(_CELLS // max(sum(_rows(path) for path in paths), 1), 1)
        self._held: pd.DataFrame = pd.DataFrame()

    def __getitem__(self, name: str) -> pd.Series:
        """Return a column."""
        if name not in self._held:
            self._held = pd.DataFrame()
            place = self._names.index(name)
            parts = [_columns(path, self._names[place : place + self._at_once]) for path in self._paths]
            # A part without rows has no levels, with which those of the others would lose their order.
            filled = [part for part in parts if len(part)] or parts[:1]
            self._held = filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)
        return self._held[name]


def _columns(path: Path, names: list[str]) -> pd.DataFrame:
    with reading(path):
        return verified_parquet(path, names)


def _rows(path: Path) -> int:
    with reading(path):
        return int(pq.read_metadata(path).num_rows)


class PieceWriter:
    """Writes pieces of tables of the same columns into one file, each under its number: 0, 1, 2, ..."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = ExitStack()
        self._writer: pa.RecordBatchWriter | None = None

    def __enter__(self) -> Self:
        """Wait for the first piece."""
        return self

    def write(self, table: pd.DataFrame, ends: Sequence[int]) -> None:
        """Cut a table at these rows, the last of which is its length, and write the pieces."""
        rows = pa.Table.from_pandas(table, preserve_index=False)
        with writing(self._path):
            if self._writer is None:
                file = self._opened.enter_context(pa.OSFile(str(self._path), "wb"))
                created = pa.ipc.new_file(file, rows.schema, options=_COMPRESSED)
                self._writer = self._opened.enter_context(created)
            whole = pa.RecordBatch.from_arrays(
                [column.combine_chunks() for column in rows.columns], schema=rows.schema
            )
            for start, end in zip((0, *ends[:-1]), ends, strict=True):
                self._writer.write_batch(whole.slice(start, end - start))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        with writing(self._path):
            self._opened.close()


def read_pieces(path: Path, numbers: Sequence[int]) -> pd.DataFrame:
    """Read pieces that a `PieceWriter` wrote, one below the other; at least one."""
    with pa.memory_map(str(path)) as file:
        opened = pa.ipc.open_file(file)
        # Joined before pandas has them: a large list has very many small pieces.
        table: pd.DataFrame = pa.Table.from_batches(list(map(opened.get_batch, numbers))).to_pandas()
        return table
