"""The usage rows behind a list, in one file: copied, or merged from those of a table in parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from conversion.runtime.files import VERIFIED, copy_file, reading, replacing
from conversion.runtime.parts import parts_at
from conversion.runtime.row_groups import parquet_writer

GROUP_ROWS: Final = 131_072
"""Rows of a row group of merged rows."""
READ_ROWS: Final = 16_384
"""Rows of a part that are held."""


def copy_usage(source: Path, target: Path) -> None:
    """Copy clean usage into one file, sorted by id; see `reading` and `writing` for errors."""
    if source.is_dir():
        _merge(parts_at(source), target)
    else:
        copy_file(source, target)


def _merge(paths: list[Path], target: Path) -> None:
    with replacing(target) as temporary, ExitStack() as opened:
        cursors = [opened.enter_context(closing(_Cursor(path))) for path in paths]
        writer = opened.enter_context(parquet_writer(temporary, cursors[0].schema))
        for group in _groups(_merged(cursors), cursors[0].schema):
            writer.write_table(group)


class _Cursor:
    """Reads a part in the order of its ids, some rows at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with reading(path):
            self._file = pq.ParquetFile(path, **VERIFIED)
        self.schema: pa.Schema = self._file.schema_arrow
        self._batches = self._file.iter_batches(READ_ROWS, use_threads=False)
        self._rows: pa.Table = self.schema.empty_table()
        self._read()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def last(self) -> Any:
        """The last id of the rows that are held; None at the end."""
        return self._rows["id"][-1].as_py() if len(self._rows) else None

    def take(self, limit: Any) -> pa.Table:
        """Return the held rows up to an id, and hold the next ones once there are none."""
        count = pc.sum(pc.less_equal(self._rows["id"], limit)).as_py() or 0
        taken, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        self._read()
        return taken

    def _read(self) -> None:
        with reading(self._path):
            while not len(self._rows) and (batch := next(self._batches, None)) is not None:
                self._rows = pa.Table.from_batches([batch], self.schema)


def _merged(cursors: list[_Cursor]) -> Iterator[pa.Table]:
    """Yield the rows of all parts sorted by id, those of a company in the order of its part."""
    while lasts := [each.last for each in cursors if each.last is not None]:
        # Every part holds, or has given, all rows up to the smallest of their last ids.
        limit = min(lasts)
        rows = pa.concat_tables([each.take(limit) for each in cursors])
        yield rows.take(pc.sort_indices(rows["id"]))


def _groups(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Cut tables anew, into row groups of `GROUP_ROWS`; one at least."""
    held, rows, groups = [schema.empty_table()], 0, 0
    for table in tables:
        held, rows = [*held, table], rows + len(table)
        if rows >= GROUP_ROWS:
            whole = pa.concat_tables(held).combine_chunks()
            for start in range(0, rows - GROUP_ROWS + 1, GROUP_ROWS):
                yield whole.slice(start, GROUP_ROWS)
                groups += 1
            rows %= GROUP_ROWS
            held = [whole.slice(len(whole) - rows)]
    if rows or not groups:
        yield pa.concat_tables(held).combine_chunks()
