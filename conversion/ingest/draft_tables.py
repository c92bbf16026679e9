"""The first rows of each table of a folder, as text: what a draft of a contract is guessed from."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from conversion.ingest.cells import MISSING
from conversion.ingest.csv_bytes import OTHER_FORMATS
from conversion.runtime.errors import ExportError
from conversion.runtime.files import VERIFIED

MAX_ROWS: Final = 100_000
MAX_CELLS: Final = 2_000_000
MAX_BYTES: Final = 2**28
"""How much of one table is read: the first bound that is reached ends it."""
MAX_COLUMNS: Final = 2_000
MAX_NAME: Final = 200
HEAD_BYTES: Final = 2**18
DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm")
EXCEL_READER: Final = "openpyxl"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_VALUE = re.compile(r"[+-]?[\d.,]*\d|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([ T].*)?|[^\s@]+@[^\s@]+\.[^\s@]+")


class SkippedError(Exception):
    """A file that is not read, and why; the reason holds none of its values."""


@dataclass(frozen=True)
class Sample:
    """The first rows of one table."""

    name: str
    columns: pd.DataFrame
    """All values as text, missing ones None; the columns with a name of their own."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Columns that cannot be used, and why."""
    notes: tuple[str, ...] = ()


def read_samples(folder: Path) -> tuple[list[Sample], list[str]]:
    """Read the first rows of every table in a folder.

    Returns
    -------
    tuple
        The samples in the order of their names, and what to tell of files that were not read.

    Raises
    ------
    ExportError
        There is no such folder, or it has no table that can be read.
    """
    if not folder.is_dir():
        raise ExportError(f"{folder}: expected a folder of tables, found {_what_is_at(folder)}")
    suffixes = (*TEXT_SUFFIXES, ".parquet", *EXCEL_SUFFIXES)
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.casefold() in suffixes and path.is_file() and not path.name.startswith((".", "~$"))
    ]
    if not files:
        raise ExportError(f"{folder}: has no tables; put .csv or .parquet files there, one a table")
    samples: dict[str, Sample] = {}
    notes: list[str] = []
    for path in files:
        try:
            found = _read(path)
        except SkippedError as reason:
            notes.append(f"{path.name}: not read: {reason}")
            continue
        for sample in found:
            if sample.name in samples:
                notes.append(f"{path.name}: not read: there is another table {sample.name}; keep one of them")
            samples.setdefault(sample.name, sample)
    if not samples:
        raise ExportError("\n".join([f"{folder}: has no table that can be read", *notes]))
    return list(samples.values()), notes


def _what_is_at(path: Path) -> str:
    return "a file" if path.exists() else "nothing"


def _read(path: Path) -> list[Sample]:
    suffix = path.suffix.casefold()
    try:
        if suffix in EXCEL_SUFFIXES:
            return _read_excel(path)
        return [_read_parquet(path) if suffix == ".parquet" else _read_csv(path)]
    except PermissionError as error:
        raise SkippedError("no permission to read it") from error
    except OSError as error:
        raise SkippedError(f"it cannot be read ({error.strerror or 'damaged'})") from error


def _read_csv(path: Path) -> Sample:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
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
    _check_names(names)
    table, ragged, complete = _first_rows(path, encoding, delimiter, len(names), bool(hint))
    notes = [f"the first {len(table):,} rows were looked at"] if not complete else []
    if encoding != "utf-8" or delimiter != ",":
        marks = DELIMITERS.get(delimiter, repr(delimiter))
        notes.append(
            f"read as {encoding.upper()} separated by {marks}; load reads only UTF-8 separated by commas: "
            "export the table so"
        )
    if ragged:
        rows = "1 row" if ragged == 1 else f"{ragged:,} rows"
        notes.append(f"not looked at: {rows} with too many or too few fields")
    return _sample(path.stem, names, table, notes)


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


def _check_names(names: list[str]) -> None:
    if not any(name.strip() for name in names):
        raise SkippedError("line 1 is blank, not the columns' names")
    if len(names) > MAX_COLUMNS:
        raise SkippedError(f"it has {len(names):,} columns; at most {MAX_COLUMNS:,} are looked at")
    if any(_VALUE.fullmatch(name.strip()) for name in names):
        raise SkippedError("line 1 holds a number, a date or an address, not the columns' names")


def _first_rows(
    path: Path, encoding: str, delimiter: str, width: int, skip: bool
) -> tuple[pa.Table, int, bool]:
    """Read the first rows as text; the names are a row like the others, and taken off at the end."""
    ragged = 0

    def skip_row(_: object) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    positions = [str(place) for place in range(width)]
    try:
        reader = arrow_csv.open_csv(
            path,
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
        table, complete = _gathered(reader, reader.schema, most_rows(width) + 1)
    except (UnicodeError, pa.ArrowInvalid):
        # A byte that is not UTF-8 may stand anywhere; Arrow's own messages would show rows.
        if encoding == "utf-8":
            return _first_rows(path, "latin-1", delimiter, width, skip)
        raise SkippedError("it cannot be split into rows and columns; look for a stray quote") from None
    return table.slice(1), ragged, complete


def most_rows(width: int) -> int:
    """Return how many rows of a table with so many columns are read."""
    return min(MAX_ROWS, MAX_CELLS // max(width, 1))


def _gathered(batches: Any, schema: pa.Schema, most: int) -> tuple[pa.Table, bool]:
    """Collect batches up to the bounds; return whether these are all rows."""
    kept: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if rows + batch.num_rows > most or size > MAX_BYTES:
            kept.append(batch.slice(0, max(most - rows, 0)))
            return pa.Table.from_batches(kept, schema), False
        kept.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
    return pa.Table.from_batches(kept, schema), True


def _read_parquet(path: Path) -> Sample:
    try:
        with parquet.ParquetFile(path, **VERIFIED) as file:
            names = file.schema_arrow.names
            if len(names) > MAX_COLUMNS:
                raise SkippedError(f"it has {len(names):,} columns; at most {MAX_COLUMNS:,} are looked at")
            batches = file.iter_batches(batch_size=10_000)
            table, complete = _gathered(batches, file.schema_arrow, most_rows(len(names)))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise SkippedError("it is no Parquet table, or damaged") from error
    columns, dropped = [], {}
    for name, column in zip(names, table.columns, strict=True):
        try:
            columns.append(_as_text(column))
        except pa.ArrowException:
            dropped[name] = f"type {column.type}, not plain numbers, text or dates"
            columns.append(pa.nulls(len(table), pa.string()))
    notes = [] if complete else [f"the first {len(table):,} rows were looked at"]
    texts = pa.Table.from_arrays(columns, [str(place) for place in range(len(names))])
    return _sample(path.stem, names, texts, notes, dropped)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False)
    return column.cast(pa.string())


def _read_excel(path: Path) -> list[Sample]:
    try:
        sheets = pd.read_excel(
            path, sheet_name=None, header=None, dtype=object, nrows=MAX_ROWS, engine=EXCEL_READER
        )
    except ImportError as error:
        raise SkippedError(
            f"Excel needs {EXCEL_READER}: pip install {EXCEL_READER}, or save each sheet as CSV"
        ) from error
    except (ValueError, KeyError, OSError) as error:
        raise SkippedError("it is no Excel workbook, or damaged") from error
    samples = []
    for title, sheet in sheets.items():
        if len(sheet) == 0:
            continue
        texts = sheet.astype(object).map(str, na_action="ignore")
        names = ["" if pd.isna(name) else str(name) for name in texts.iloc[0]]
        _check_names(names)
        name = path.stem if len(sheets) == 1 else str(title)
        table = pa.Table.from_arrays(
            [pa.array(texts.iloc[1:, place], pa.string(), from_pandas=True) for place in range(len(names))],
            [str(place) for place in range(len(names))],
        )
        samples.append(_sample(name, names, table, [f"save it as {name}.csv: load reads no Excel"]))
    return samples


def _sample(
    name: str, names: list[str], table: pa.Table, notes: list[str], dropped: dict[str, str] | None = None
) -> Sample:
    """Name the columns; leave out those without a name of their own."""
    stripped = [each.strip() for each in names]
    counts = Counter(stripped)
    reasons = {each.strip(): why for each, why in (dropped or {}).items()}
    for place, each in enumerate(stripped, start=1):
        if not each:
            reasons[f"column {place}"] = "it has no name"
        elif len(each) > MAX_NAME or _CONTROL.search(each):
            reasons[f"column {place}"] = "its name is too long, or has a line break or control character"
        elif counts[each] > 1:
            reasons[each] = f"{counts[each]} columns have this name; rename all but one"
    kept = {
        each: table.column(place).to_pandas().astype(object)
        for place, each in enumerate(stripped)
        if each not in reasons and f"column {place + 1}" not in reasons
    }
    frame = pd.DataFrame(kept, index=range(len(table)))
    if [each for each in names if each != each.strip()]:
        notes = [*notes, "there are spaces around names of columns"]
    return Sample(name, frame, reasons, tuple(notes))
