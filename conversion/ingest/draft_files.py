"""The first rows of a table's files, CSV in any dialect or Parquet: a bounded number, whatever their size."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as arrow_csv

from conversion.ingest.cells import MISSING
from conversion.ingest.csv_bytes import OTHER_FORMATS
from conversion.ingest.faults import UnreadableError
from conversion.ingest.folders import Place, TableFiles
from conversion.ingest.parquet_chunks import ParquetTable, describe_parquet

MAX_ROWS: Final = 100_000
MAX_CELLS: Final = 2_000_000
MAX_BYTES: Final = 2**28
"""How much of one table is read: the first bound that is reached ends it."""
MAX_FILES: Final = 32
"""Files of a table that are opened, spread over all of them."""
MAX_COLUMNS: Final = 2_000
BATCH_ROWS: Final = 10_000
HEAD_BYTES: Final = 2**18
DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_VALUE = re.compile(r"[+-]?[\d.,]*\d|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([ T].*)?|[^\s@]+@[^\s@]+\.[^\s@]+")


class SkippedError(Exception):
    """A file that is not read, and why; the reason holds none of its values."""


@dataclass(frozen=True)
class FirstRows:
    """What was read of one file, or of all files of a table."""

    names: list[str]
    """All columns, as they are called."""
    columns: dict[str, pa.ChunkedArray]
    """Those whose name is there once."""
    rows: int
    is_all: bool
    """Whether there are no more."""
    notes: tuple[str, ...] = ()
    """How a CSV file is written, where load reads no such files."""
    ragged: int = 0
    """Rows left out for having another number of fields."""

    def first(self, rows: int) -> FirstRows:
        """Return no more than so many rows."""
        if rows >= self.rows:
            return self
        columns = {name: column.slice(0, rows) for name, column in self.columns.items()}
        return replace(self, columns=columns, rows=rows, is_all=False)


def first_rows(files: TableFiles) -> FirstRows:
    """Read the first rows of a table, or of a part of each of its files.

    Parameters
    ----------
    files
        One file, or those of a folder, of which at most `MAX_FILES` are read.

    Raises
    ------
    SkippedError
        One of them cannot be read, or lacks a column of the first.
    """
    chosen = spread(files)
    places = chosen.files()
    described = _described(chosen) if files.suffix.casefold() == ".parquet" else None
    most_bytes = MAX_BYTES // len(places)
    found: list[FirstRows] = []
    level: int | None = None
    for name, file in places:
        with _of_part(name):
            if described is None:
                rows = _csv_rows(file, level, most_bytes)
                _refuse_other_columns(rows, found)
            else:
                rows = _parquet_rows(replace(described, files=((name, file),)), level, most_bytes)
        found.append(rows)
        level = min(level or MAX_ROWS, fair_share([each.rows for each in found], most_rows(len(rows.names))))
        found = [each.first(level) for each in found]
    return _joined(found, len(files.files()))


def spread(files: TableFiles) -> TableFiles:
    """Return at most `MAX_FILES` files of a table, from the first to the last.

    >>> from pathlib import Path
    >>> spread(TableFiles(Path("usage"), tuple(f"{number:03}.csv" for number in range(94)))).names[-1]
    '093.csv'
    """
    if files.names is None or len(files.names) <= MAX_FILES:
        return files
    last = len(files.names) - 1
    chosen = [files.names[number * last // (MAX_FILES - 1)] for number in range(MAX_FILES)]
    return replace(files, names=tuple(chosen))


def fair_share(counts: Sequence[int], most: int) -> int:
    """Return how many rows of each file to keep, so that there are at most so many of all.

    >>> fair_share([20, 3, 20], 13), fair_share([2, 3], 13)
    (5, 13)
    """
    left = most
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            return share
        left -= count
    return most


def most_rows(width: int) -> int:
    """Return how many rows of a table with so many columns are read."""
    return min(MAX_ROWS, MAX_CELLS // max(width, 1))


@contextmanager
def _of_part(name: str | None) -> Iterator[None]:
    """Say in the block in which file of a folder a fault is; a table of one file has no such name."""
    try:
        yield
    except SkippedError as reason:
        if name is None:
            raise
        raise SkippedError(f"{name}: {reason}") from reason
    except UnreadableError as fault:
        raise skipped(fault.in_file(name)) from fault


def skipped(fault: UnreadableError) -> SkippedError:
    """Return the reason for which a table is not read."""
    part = "" if fault.part is None else f"{fault.part}: "
    if fault.expected == "a Parquet table":
        return SkippedError(f"{part}it is no Parquet table, or damaged")
    return SkippedError(
        f"{part}{fault.column}: expected {fault.expected}; found {fault.found}; {fault.remedy}"
    )


def _refuse_other_columns(rows: FirstRows, before: Sequence[FirstRows]) -> None:
    for name in before[0].columns if before else ():
        if name not in rows.columns:
            raise SkippedError(f"it does not have the column {name} of the first file once")


def _joined(found: Sequence[FirstRows], files: int) -> FirstRows:
    """Put the rows of files under each other, and say which ones these are."""
    first, rows = found[0], sum(each.rows for each in found)
    is_all = len(found) == files and all(each.is_all for each in found)
    notes: list[str] = []
    if not is_all and files == 1:
        notes = [f"the first {rows:,} rows were looked at"]
    elif not is_all:
        which = f"{len(found):,} of its {files:,} files" if len(found) < files else f"its {files:,} files"
        most = max(each.rows for each in found)
        are_whole = all(each.is_all for each in found)
        rest = "" if are_whole else f", at most {most:,} of each"
        notes = [f"{'all' if are_whole else 'the first'} rows of {which} were looked at{rest}"]
    notes += dict.fromkeys(note for each in found for note in each.notes)
    columns = {
        name: pa.chunked_array([chunk for each in found for chunk in each.columns[name].chunks], column.type)
        for name, column in first.columns.items()
    }
    ragged = sum(each.ragged for each in found)
    return FirstRows(first.names, columns, rows, is_all, tuple(notes), ragged)


def _described(files: TableFiles) -> ParquetTable:
    """Read what the ends of Parquet files say."""
    first = files if files.names is None else replace(files, names=files.names[:1])
    try:
        names = describe_parquet(first, ()).names
        _refuse_wide(names)
        return describe_parquet(files, tuple(dict.fromkeys(names)))
    except UnreadableError as fault:
        raise skipped(fault) from fault


def _parquet_rows(table: ParquetTable, level: int | None, most_bytes: int) -> FirstRows:
    """Read the first rows of one Parquet file."""
    most = min(level or MAX_ROWS, most_rows(len(table.names)))
    kept: list[dict[str, pa.ChunkedArray]] = []
    rows = size = 0
    is_all = True
    for piece in table.pieces(BATCH_ROWS):
        count = len(next(iter(piece.columns.values())))
        if rows + count > most or size > most_bytes:
            count, is_all = max(min(most - rows, count), 0), False
        kept.append({name: column.slice(0, count) for name, column in piece.columns.items()})
        rows += count
        if not is_all:
            break
        size += sum(column.nbytes for column in piece.columns.values())
    columns = {
        name: pa.chunked_array([chunk for each in kept for chunk in each[name].chunks], kind)
        for name, kind in table.types.items()
    }
    return FirstRows(table.names, columns, rows, is_all)


def _csv_rows(file: Place, level: int | None, most_bytes: int) -> FirstRows:
    """Read the first rows of one CSV file."""
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise SkippedError(f"it is {kind}")
    if not start:
        raise SkippedError("it is empty")
    encoding = _encoding(head)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    lines = io.StringIO(text, newline="")
    hint = re.match(r"\"?sep=(.)\"?\r?\n", text, re.IGNORECASE)
    if hint:
        lines.readline()
    delimiter = hint[1] if hint else _delimiter(text)
    try:
        names = next(csv.reader(lines, delimiter=delimiter), [])
    except csv.Error as error:
        raise SkippedError("its header cannot be split into names") from error
    check_names(names)
    most = min(level or MAX_ROWS, most_rows(len(names)))
    table, ragged, is_all = _split(file, encoding, delimiter, len(names), bool(hint), most, most_bytes)
    notes: tuple[str, ...] = ()
    if encoding != "utf-8" or delimiter != ",":
        marks = DELIMITERS.get(delimiter, repr(delimiter))
        written = f"{encoding.upper()} separated by {marks}"
        notes = (f"read as {written}; load reads only UTF-8 separated by commas: export the table so",)
    elif hint:
        notes = ("line 1 is a hint for Excel, which load does not read: delete the line",)
    columns = {name: table.column(place) for place, name in enumerate(names) if names.count(name) == 1}
    return FirstRows(names, columns, len(table), is_all, notes, ragged)


def _encoding(head: bytes) -> str:
    """Guess the encoding of a text from its first bytes."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.count(0) > len(head) / 4:  # UTF-16 without a mark: every second byte of ASCII is zero
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut at the end of what was read.
        return "utf-8" if error.start > len(head) - 4 and len(head) == HEAD_BYTES else "cp1252"
    return "utf-8"


def _delimiter(text: str) -> str:
    """Find the delimiter that splits the first lines into the same number of fields, and into most."""
    best, found = (0.0, 1), ","
    for delimiter in DELIMITERS:
        try:
            rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 20))
        except csv.Error:
            continue
        widths = [len(row) for row in rows if row]
        if not widths or widths[0] == 1:
            continue
        same = widths.count(widths[0]) / len(widths)
        if (same, widths[0]) > best:
            best, found = (same, widths[0]), delimiter
    return found


def check_names(names: list[str]) -> None:
    """Check that a first line has the columns' names, not too many."""
    if not any(name.strip() for name in names):
        raise SkippedError("line 1 is blank, not the columns' names")
    _refuse_wide(names)
    if any(_VALUE.fullmatch(name.strip()) for name in names):
        raise SkippedError("line 1 holds a number, a date or an address, not the columns' names")


def _refuse_wide(names: list[str]) -> None:
    if len(names) > MAX_COLUMNS:
        raise SkippedError(f"it has {len(names):,} columns; at most {MAX_COLUMNS:,} are looked at")


def _split(
    file: Place, encoding: str, delimiter: str, width: int, skip: bool, most: int, most_bytes: int
) -> tuple[pa.Table, int, bool]:
    """Read the first rows as text; the names are a row like the others, and taken off at the end."""
    ragged = 0

    def skip_row(_: object) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    positions = [str(place) for place in range(width)]
    try:
        with file.open("rb") as opened:
            reader = arrow_csv.open_csv(
                opened,
                arrow_csv.ReadOptions(column_names=positions, encoding=encoding, skip_rows=int(skip)),
                arrow_csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip_row
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(positions, pa.string()),
                    null_values=sorted(MISSING),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
            table, is_all = _gathered(reader, most + 1, most_bytes)
    except (UnicodeError, pa.ArrowInvalid):
        # A byte that is no character may stand anywhere; Arrow's own messages would show rows.
        if encoding in ("utf-8", "cp1252"):
            return _split(file, "latin-1", delimiter, width, skip, most, most_bytes)
        raise SkippedError("it cannot be split into rows and columns; look for a stray quote") from None
    return table.slice(1), ragged, is_all


def _gathered(reader: Any, most: int, most_bytes: int) -> tuple[pa.Table, bool]:
    """Collect batches up to the bounds; return whether these are all rows."""
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        if rows + batch.num_rows > most or size > most_bytes:
            kept.append(batch.slice(0, max(most - rows, 0)))
            return pa.Table.from_batches(kept, reader.schema), False
        kept.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    return pa.Table.from_batches(kept, reader.schema), True
