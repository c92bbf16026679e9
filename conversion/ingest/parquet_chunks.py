"""The Parquet files of one table in pieces: the wanted columns alone, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.ingest.faults import UnreadableError, in_file, one_line
from conversion.ingest.folders import Place, Remote, TableFiles, size_of, values_in
from conversion.runtime.files import VERIFIED

CHUNK_ROWS: Final = 2**18
"""How many rows are read together, about."""


@dataclass(frozen=True)
class ParquetPiece:
    """Some rows of one file."""

    file: str | None
    """Its path from the table's folder; None of a table that is one file."""
    above: int
    """How many rows of the file are above."""
    columns: dict[str, pa.ChunkedArray]


@dataclass(frozen=True)
class ParquetTable:
    """What the ends of a table's files say."""

    names: list[str]
    """The columns of the first file, also those that the names of folders hold."""
    rows: int
    types: dict[str, pa.DataType]
    """Of the wanted columns that the first file has once, a type that holds the values of all files."""
    files: tuple[tuple[str | None, Place], ...]

    def pieces(self, rows: int = CHUNK_ROWS) -> Iterator[ParquetPiece]:
        """Read the files one after the other, up to so many rows at a time."""
        for name, file in self.files:
            with _reading_parquet(name), _opened(file) as opened:
                yield from self._pieces_of(name, opened, rows)

    def _pieces_of(self, name: str | None, opened: Any, rows: int) -> Iterator[ParquetPiece]:
        own = set(opened.schema_arrow.names)
        inside = [column for column in self.types if column in own]
        given = values_in(name)
        if not self.types:
            return
        above = 0
        for batch in opened.iter_batches(batch_size=rows, columns=inside):
            batch.validate(full=True)
            columns = {
                column: _as_type(pa.chunked_array([batch.column(column)]), kind)
                if column in own
                else pa.chunked_array([pa.array([given[column]] * batch.num_rows, kind)])
                for column, kind in self.types.items()
            }
            yield ParquetPiece(name, above, columns)
            above += batch.num_rows


def describe_parquet(table: TableFiles, wanted: tuple[str, ...]) -> ParquetTable:
    """Read the descriptions of a table's Parquet files.

    Raises
    ------
    UnreadableError
        One is not Parquet, or has other columns, or columns of other types, than the first.
    """
    files = tuple(table.files())
    schemas: list[tuple[str | None, pa.Schema]] = []
    rows = 0
    for name, file in files:
        with _reading_parquet(name):
            if size_of(file) == 0:
                raise UnreadableError(
                    "the file", "a Parquet table", "export the table again", "an empty file"
                )
            with _opened(file) as opened:
                schemas.append((name, opened.schema_arrow))
                rows += opened.metadata.num_rows
    schemas = [(name, _with_values(name, schema)) for name, schema in schemas]
    first_name, first = schemas[0]
    types: dict[str, pa.DataType] = {}
    for column in wanted:
        count = first.names.count(column)
        for name, schema in schemas[1:]:
            _compare_columns(column, first_name, count, name, schema.names.count(column))
        if count == 1:
            types[column] = _common_type(
                column, [(name, schema.field(column).type) for name, schema in schemas]
            )
    return ParquetTable(first.names, rows, types, files)


def _opened(file: Place) -> Any:
    if isinstance(file, Remote):
        # Only the columns that are read are fetched, those of a row group together.
        return parquet.ParquetFile(file.open(), pre_buffer=True, **VERIFIED)
    return parquet.ParquetFile(file, **VERIFIED)


@contextmanager
def _reading_parquet(file: str | None) -> Iterator[None]:
    """Turn an error of reading in the block into the fault of a file of the table."""
    with in_file(file):
        try:
            yield
        except (pa.ArrowException, UnicodeDecodeError) as error:
            found = one_line(error)
            raise UnreadableError("the file", "a Parquet table", "export the table again", found) from error


def _with_values(name: str | None, schema: pa.Schema) -> pa.Schema:
    for column in values_in(name):
        if column not in schema.names:
            schema = schema.append(pa.field(column, pa.string()))
    return schema


def _compare_columns(column: str, first: str | None, count: int, name: str | None, other: int) -> None:
    if count != other:
        found = "no such column" if not other else "one" if other == 1 else f"{other} of them"
        if not count:
            expected, remedy = f"no such column, as in {first}", "export the whole table again"
        else:
            expected, remedy = f"this column, as in {first}", "export the whole table again"
        raise UnreadableError(column, expected, remedy, found).in_file(name)


def _common_type(column: str, types: list[tuple[str | None, pa.DataType]]) -> pa.DataType:
    """Return a type that holds a column's values in all files; whatever they are, no value changes by it."""
    common = types[0][1]
    for name, kind in types[1:]:
        if kind == common:
            continue
        if not pa.types.is_null(kind) and not pa.types.is_null(common) and _family(kind) != _family(common):
            raise UnreadableError(
                column,
                f"the type {common} as in {types[0][0]}",
                "export the whole table again",
                f"type {kind}",
            ).in_file(name)
        # Arrow finds no type for a dictionary and its values, nor for two ways to keep texts.
        fields = [pa.schema([(column, _plain(each))]) for each in (common, kind)]
        common = pa.unify_schemas(fields, promote_options="permissive").field(0).type
    return common


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values, of a dictionary those in it; one type for views of texts."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string_view(values) else values


def _family(kind: pa.DataType) -> str:
    """Name the types that stand for one another."""
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_decimal(kind):
        return f"decimal {kind.scale}"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    return f"timestamp {kind.tz}" if pa.types.is_timestamp(kind) else str(kind)


def _as_type(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)
