"""Tables and arrays in files that workers share: mapped into memory, read where a page needs them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

BATCH: Final = 1 << 16
"""Rows of each batch of a table but for the last."""


_FULL: Final = b"full"
"""In a narrow column's description, the type that it has in full."""


def narrow_schema(schema: pa.Schema, spans: Mapping[str, tuple[int, int]]) -> pa.Schema:
    """Return a schema with the smallest type for each column whose least and most whole numbers are known."""
    fields = []
    for field in schema:
        kind = None
        if field.name in spans and pa.types.is_int64(field.type):
            least, most = spans[field.name]
            kind = next(
                (
                    each
                    for each in (pa.int8(), pa.int16(), pa.int32())
                    if -(1 << each.bit_width - 1) <= least and most < 1 << each.bit_width - 1
                ),
                None,
            )
        fields.append(field if kind is None else pa.field(field.name, kind, metadata={_FULL: b"int64"}))
    return pa.schema(fields)


def full_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema that `narrow_schema` was given."""
    return pa.schema(
        pa.field(field.name, pa.int64()) if _FULL in (field.metadata or {}) else field for field in schema
    )


class ArrayWriter:
    """Appends to an array in a file.

    Parameters
    ----------
    folder
        Of the file, which gets the array's name.
    """

    def __init__(self, folder: Path, name: str, dtype: DTypeLike) -> None:
        self.name, self.dtype = name, np.dtype(dtype)
        self._file = (folder / name).open("wb")

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, values: NDArray[Any]) -> None:
        """Write some more values."""
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)


def write_array(folder: Path, name: str, values: NDArray[Any], dtype: DTypeLike) -> None:
    """Write an array to a file of its name."""
    with ArrayWriter(folder, name, dtype) as file:
        file.append(values)


def read_array(folder: Path, name: str, dtype: DTypeLike) -> NDArray[Any]:
    """Map an array into memory."""
    path = folder / name
    if not path.stat().st_size:
        return np.zeros(0, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))


class TableWriter:
    """Writes a table in batches of `BATCH` rows.

    Parameters
    ----------
    path
        Of the file.
    schema
        Of the table.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self._writer = pa.ipc.new_file(os.fspath(path), schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write(self._rows)
        self._writer.close()

    def append(self, batch: pa.RecordBatch) -> None:
        """Write some more rows."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= BATCH:
            self._write(self._rows - self._rows % BATCH)

    def _write(self, rows: int) -> None:
        table = pa.Table.from_batches(self._waiting, self.schema)
        whole = table.slice(0, rows).combine_chunks()
        self._writer.write_table(whole, max_chunksize=BATCH)
        rest = table.slice(rows)
        # A copy, as a slice would keep the whole alive.
        self._waiting = rest.combine_chunks().to_batches() if len(rest) else []
        self._rows = len(rest)


class StoredRows:
    """A table of `TableWriter`; only the rows that are taken are read.

    Parameters
    ----------
    path
        Of the file.

    Raises
    ------
    OSError, ValueError
        The file is not such a table.
    """

    def __init__(self, path: Path) -> None:
        with pa.ipc.open_file(pa.memory_map(os.fspath(path))) as file:
            self.schema: pa.Schema = file.schema
            self.batches: list[pa.RecordBatch] = [
                file.get_batch(number) for number in range(file.num_record_batches)
            ]
        if any(batch.num_rows != BATCH for batch in self.batches[:-1]):
            raise ValueError(f"{path}: has batches of another size")

    def __len__(self) -> int:
        return (len(self.batches) - 1) * BATCH + self.batches[-1].num_rows if self.batches else 0

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a whole column."""
        return pa.Table.from_batches(self.batches, self.schema).column(name)

    def take(self, positions: NDArray[Any], columns: Iterable[str] | None = None) -> pa.Table:
        """Return the rows at some positions, in their order."""
        positions = np.asarray(positions, dtype=np.int64)
        names = self.schema.names if columns is None else list(columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        if not len(positions):
            return schema.empty_table()
        order = np.argsort(positions, kind="stable")
        ascending = positions[order]
        numbers = ascending // BATCH
        first = np.flatnonzero(np.diff(numbers, prepend=-1))
        pieces = [
            self.batches[int(numbers[begin])].select(names).take(pa.array(ascending[begin:end] % BATCH))
            for begin, end in zip(first, [*first[1:], len(ascending)], strict=True)
        ]
        found = pa.Table.from_batches(pieces, schema).combine_chunks()
        return found.take(pa.array(np.argsort(order, kind="stable")))

    def between(self, begin: int, end: int) -> pa.Table:
        """Return the rows from one position to another."""
        pieces, number = [], begin // BATCH
        while begin < end:
            batch, offset = self.batches[number], begin % BATCH
            piece = batch.slice(offset, end - begin)
            pieces.append(piece)
            begin, number = begin + piece.num_rows, number + 1
        return pa.Table.from_batches(pieces, self.schema)


class Store:
    """The tables and arrays of a folder.

    Parameters
    ----------
    folder
        Of the files.
    about
        What describes them: ``arrays``, the type of each by name, and what else the writer says.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.about = about
        self.arrays = {name: read_array(folder, name, dtype) for name, dtype in about["arrays"].items()}
        self.tables = {name: StoredRows(folder / name) for name in about["tables"]}
