"""Writing and reading a Parquet file table by table, for tables that do not fit into memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.runtime.files import VERIFIED, WITH_CHECKSUMS, reading, require_columns

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def parquet_writer(path: Path, schema: pa.Schema, compression: str = "snappy") -> Iterator[pq.ParquetWriter]:
    """Open a Parquet file to write, with checksums, and close it at the end of the block."""
    writer = pq.ParquetWriter(path, schema, compression=compression, **WITH_CHECKSUMS)
    try:
        yield writer
    finally:
        try:
            writer.close()
        finally:
            # Where the disk is full, its destructor would try again and print a traceback.
            writer.is_open = False


@contextmanager
def row_group_writer(path: Path, compression: str = "snappy") -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that appends tables of the same columns to a Parquet file, as row groups of their own.

    Without a table there is no file.
    """
    with ExitStack() as opened:
        writer: pq.ParquetWriter | None = None

        def append(table: pd.DataFrame) -> None:
            nonlocal writer
            if writer is None:
                rows = pa.Table.from_pandas(table, preserve_index=False)
                writer = opened.enter_context(parquet_writer(path, rows.schema, compression))
            else:
                rows = as_first(table, writer.schema)
            writer.write_table(rows)

        yield append


def as_first(table: pd.DataFrame, first: pa.Schema) -> pa.Table:
    """Turn a table into Arrow's as ``Table.from_pandas`` does, whose schema for the first one is known.

    For wide tables this takes a fifth of the time.
    """
    kinds = [field.type for field in first]
    columns = [_array(column, kind) for (_, column), kind in zip(table.items(), kinds, strict=True)]
    return pa.Table.from_arrays(columns, names=[*table.columns])


def _array(column: pd.Series[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(kind) and len(column) and isinstance(column.dtype, np.dtype):
        values = column.to_numpy(dtype=kind.to_pandas_dtype())
        # Arrow looks for missing values one by one; numpy's maximum is NaN if one is.
        if not np.isnan(values.max()):
            return pa.array(values)
    return pa.Array.from_pandas(column, type=kind)


def copy_columns(
    source: str | Path, target: Path, columns: Collection[str], compression: str = "snappy"
) -> None:
    """Copy those columns of a Parquet file that it has, a row group at a time.

    Parameters
    ----------
    source
        The file; see `conversion.runtime.files.reading` for errors.
    target
        The copy.
    columns
        To copy.
    compression
        Of the copy.
    """
    with reading(source):
        file = pq.ParquetFile(source, **VERIFIED)
    there = file.schema_arrow
    fields = [each for each in there if each.name in columns]
    schema, names = pa.schema(fields, there.metadata), [each.name for each in fields]
    with file, parquet_writer(target, schema, compression) as writer:
        for group in range(file.num_row_groups):
            with reading(source):
                rows = file.read_row_group(group, names)
            writer.write_table(rows)


def tables_of_values(
    path: str | Path, key: str, columns: Sequence[str], last: int | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the rows of one value of a column after the other, from a Parquet file that is sorted by it.

    No more than the rows of a value and a row group are in memory.

    Parameters
    ----------
    path
        The file; see `conversion.runtime.files.reading` for errors. One that is not sorted is one of them.
    key
        The column, one of ``columns``.
    columns
        To read.
    last
        So many values, the last ones; None: all.
    """
    import pandas as pd  # imported here: commands that read no table need not wait for it

    with reading(path):
        file = pq.ParquetFile(path, **VERIFIED)
    with file:
        with reading(path):
            require_columns(file.schema_arrow.names, columns)
            first, wanted = _first_group(file, key, last)
        rest = None
        for group in range(first, file.num_row_groups):
            with reading(path):
                rows = file.read_row_group(group, list(columns)).to_pandas()
            rows = rows if last is None else rows[rows[key].isin(wanted)]
            rows = rows if rest is None else pd.concat([rest, rows], ignore_index=True)
            with reading(path):
                if not rows[key].is_monotonic_increasing:
                    raise ValueError(f"its rows are not in the order of {key}")
            tables = [table for _, table in rows.groupby(key, sort=False)]
            yield from tables[:-1]
            rest = tables[-1] if tables else None
        if rest is not None:
            yield rest


def _first_group(file: pq.ParquetFile, key: str, last: int | None) -> tuple[int, list[Any]]:
    """Return the row group in which the last values of a column begin, and these values."""
    values: dict[Any, None] = {}
    for group in reversed(range(file.num_row_groups)):
        found = file.read_row_group(group, [key])[key].unique().to_pylist()
        values |= dict.fromkeys(reversed(found))
        if last is not None and len(values) > last:
            return group, list(values)[:last]
    return 0, list(values)
