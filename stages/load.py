"""Stage ``load``: checks the export and writes typed Parquet, or reports every fault and writes nothing."""

from __future__ import annotations

import csv
import datetime as dt
import io
import logging
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from conversion.config import contract
from conversion.config.params import load_params
from conversion.data.firmographics import is_listed
from conversion.data.timeline import WEEK
from conversion.runtime.cli import run
from conversion.runtime.errors import ExportError
from conversion.runtime.files import VERIFIED, write_json, write_parquet, writer_of

TYPED: Final = Path("data/typed")
PROFILE: Final = Path("metrics/data_quality.json")
KEYS: Final = {
    contract.CUSTOMERS: ("id",),
    contract.NONCUSTOMERS: ("id",),
    contract.USAGE_ACTIONS: ("id", "WHEN_TIMESTAMP"),
}
COMPANIES: Final = (contract.CUSTOMERS, contract.NONCUSTOMERS)
FIRST_DAY: Final = dt.datetime(2000, 1, 1)
LAST_DAY: Final = dt.datetime(2100, 12, 31)
MAX_COUNT: Final = 2**31 - 1
MAX_MRR: Final = 1e9
MAX_RECORD_BYTES: Final = 65_536
BLOCK_BYTES: Final = 2**20
MAX_TEXT: Final = 200
TITLE_LINES: Final = 20
OTHER_FORMATS: Final = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet table, whose name should end with .parquet",
    b"%PDF": "a PDF document",
    b"<": "an HTML or XML page",
    **dict.fromkeys((b'{"', b"{\n", b"[{", b"[\n"), "JSON"),
}
"""By the bytes that such a file begins with, after blanks."""
MISSING: Final = frozenset({"", "nan", "NaN", "null", "NULL"})
SAID_OF_MISSING: Final = frozenset(
    {"na", "n/a", "#n/a", "<na>", "nat", "none", "nil", "null", "nan", "undefined", "unknown", "missing"}
    | {"no value", "not available", "not set", "blank", "empty", "-", "--", "?", r"\n"}
)
"""By what, in small letters and without brackets, exports say that a value is missing; read as a value."""

SHOWN_KEYS: Final = 5
SHOWN_VALUES: Final = 3
MAX_LOOKED_AT: Final = 1000
SHOWN_CHARACTERS: Final = 40
PROFILE_VALUES: Final = 10
PROFILE_DIGITS: Final = 6
KEPT_DIGITS: Final = 15
LEAST_CUT_IDS: Final = 3
"""Fewer may end in zeros by chance."""
MOST_WITHOUT_USAGE: Final = 2 / 3
"""A fifth to a half is usual: many companies convert in the week they come. Of trials' starts it is all."""
LEAST_CUSTOMERS: Final = 20
"""Fewer may be so by chance."""

WHOLE: Final = "a whole number of at most 18 digits"
ALL_DIGITS: Final = "every digit of a whole number"
NUMBER: Final = "a number with a decimal point and no thousands separators"
FINITE: Final = "a finite number"
DATE: Final = "a date like 2019-12-31"
TIMESTAMP: Final = "a timestamp like 2019-12-30 00:00:00"
NAIVE: Final = "a time without time zone"
TEXT: Final = f"text of at most {MAX_TEXT} characters, no control characters"
PRESENT: Final = "a value in each row"
NAMES_FIRST: Final = "the columns' names in line 1"
TO_UTF_8: Final = "save it as UTF-8 (in Excel: CSV UTF-8)"
ROW_REMEDY: Final = "correct these rows"
EMPTY_CELL: Final = "where a value is missing, leave the cell empty"
REMEDIES: Final = {
    PRESENT: "fill in the missing values or leave these rows out",
    NAIVE: "export times without zones or offsets",
    ALL_DIGITS: "here digits may be lost: export this column with all of them, without an exponent (in R: "
    "options(scipen = 999)), and not by way of a spreadsheet, which shortens long numbers",
}

log = logging.getLogger(__name__)

Positions = npt.NDArray[np.int64]
Parser = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the export: where, what was expected, how many rows, and what to do."""

    file: str
    column: str
    expected: str
    remedy: str
    rows: int = 0
    keys: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.file}: {self.column}: expected {self.expected}"]
        if self.rows:
            shown = ", ".join([*self.keys, *(["..."] if self.rows > len(self.keys) else [])])
            parts.append(f"{self.rows} {'row' if self.rows == 1 else 'rows'} ({shown})")
        if self.found:
            parts.append(f"found {', '.join(self.found)}")
        return "; ".join([*parts, self.remedy])


class UnreadableError(Exception):
    """A fault that leaves no table to look at for others."""

    def __init__(self, column: str, expected: str, remedy: str, found: str) -> None:
        super().__init__(expected)
        self.column, self.expected, self.remedy, self.found = column, expected, remedy, found

    def at(self, file: str) -> Fault:
        """Give the fault as one of ``file``."""
        return Fault(file, self.column, self.expected, self.remedy, found=(self.found,))


@dataclass(frozen=True)
class Header:
    """Which of the contract's columns a file has exactly once, and what is wrong with its others."""

    columns: tuple[str, ...]
    duplicated: frozenset[str]
    hints: dict[str, str]
    """Of missing columns, a name in the file that is almost theirs."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Source:
    """The contract's columns of one file, before their values are parsed."""

    file: str
    header: Header
    columns: dict[str, pa.ChunkedArray]
    label: Callable[[int], str]
    """Where a row stands in the file, the line of a CSV, the row of a Parquet file."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Typed:
    """A parsed table; cells that could not be parsed are missing in ``cells`` and marked in ``bad``."""

    source: Source
    cells: pd.DataFrame
    bad: dict[str, npt.NDArray[np.bool_]]
    faults: tuple[Fault, ...]

    def key(self, row: int) -> str:
        """Name a row by its company, or by its place in the file if the id is no id."""
        if "id" in self.cells and not pd.isna(value := self.cells["id"].iloc[row]):
            return f"id {value}"
        return self.source.label(row)

    def fault(self, column: str, expected: str, rows: Positions, found: Iterable[object] = ()) -> Fault:
        """Describe rows whose value in ``column`` is not what was expected."""
        name = self.source.label if column == "id" else self.key
        keys = tuple(name(row) for row in rows[:SHOWN_KEYS])
        distinct = list(dict.fromkeys(found))
        values = tuple(map(_shorten, distinct[:SHOWN_VALUES]))
        remedy = REMEDIES.get(expected, ROW_REMEDY)
        if any(map(_says_missing, distinct)):
            remedy += f"; {EMPTY_CELL}" if column in contract.FIRMOGRAPHICS else f"; {REMEDIES[PRESENT]}"
        return Fault(self.source.file, column, expected, remedy, len(rows), keys, values)


# Reading: which file, and what its bytes hold


def read_export(folder: Path) -> dict[str, pd.DataFrame]:
    """Read and check the three tables of an export.

    Parameters
    ----------
    folder
        Holds each table as ``.csv`` or ``.parquet``.

    Returns
    -------
    dict of DataFrame
        The tables with the contract's columns, in its order and types; rows in the order of the files.

    Raises
    ------
    ExportError
        With all faults of all three tables, one a line.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        stage = writer_of(folder)
        remedy = "point data.dir in params.yaml at the export's folder" + (
            f", or run 'dvc repro {stage}', which writes this one" if stage else ""
        )
        raise ExportError(str(Fault(str(folder), "data.dir", "a folder", remedy, found=(found,))))
    faults: list[Fault] = []
    typed: dict[str, Typed] = {}
    for name in contract.COLUMNS:
        try:
            source = _read_table(folder, name)
        except UnreadableError as fault:
            faults.append(fault.at(_shown_file(folder, name)))
            continue
        typed[name] = _parse(source)
        faults += [
            *source.header.faults,
            *source.faults,
            *typed[name].faults,
            *_check(typed[name], SCHEMAS[name]()),
        ]
    faults += _check_disjoint(typed)
    if faults:
        raise ExportError("\n".join(map(str, faults)))
    return {name: _final_types(table.cells[list(contract.COLUMNS[name])]) for name, table in typed.items()}


def _candidates(folder: Path, name: str) -> list[Path]:
    return [path for suffix in (".csv", ".parquet") if (path := folder / f"{name}{suffix}").exists()]


def _shown_file(folder: Path, name: str) -> str:
    found = _candidates(folder, name)
    return str(found[0] if len(found) == 1 else folder / name)


def _read_table(folder: Path, name: str) -> Source:
    found = _candidates(folder, name)
    if len(found) != 1:
        expected = f"one of {name}.csv and {name}.parquet"
        if found:
            raise UnreadableError("the file", expected, "remove the one that is out of date", "both")
        near = [path.name for path in sorted(folder.iterdir()) if path.name.casefold().startswith(f"{name}.")]
        seen = f"neither, but {', '.join(near)}" if near else "neither"
        remedy = f"save it as {name}.csv or {name}.parquet" if near else "put the table into the folder"
        raise UnreadableError("the file", expected, remedy, seen)
    path = found[0]
    if not path.is_file():
        raise UnreadableError("the file", "a file", "replace it by the table", "a folder or device")
    try:
        if path.suffix == ".csv":
            return _read_csv(path, path.read_bytes(), contract.COLUMNS[name])
        return _read_parquet(path, contract.COLUMNS[name])
    except PermissionError as error:
        fault = "one without permission to read it"
        raise UnreadableError("the file", "a readable file", "see to its permissions", fault) from error
    except OSError as error:
        raise UnreadableError(
            "the file", "a readable file", "export the table again", _one_line(error)
        ) from error


def _read_csv(path: Path, data: bytes, wanted: tuple[str, ...]) -> Source:
    data = _checked_bytes(data)
    # first: to a reader of commas such a file is full of stray quotes and cut-off lines
    _refuse_other_headers(data, wanted)
    data, breaks = _without_empty_end(str(path), data, _record_breaks(data))
    longest, too_long = _too_long(data, breaks)
    end = breaks[0] if len(breaks) else len(data)
    names = next(csv.reader(io.StringIO(data[:end].decode(), newline="")), [])
    if not names:
        raise UnreadableError("the header", NAMES_FIRST, "add them", "a blank line")
    header = _check_header(str(path), names, wanted)
    positions = [names.index(name) for name in header.columns]
    for start, stop in too_long:
        if not _is_long_where_ignored(data[start:stop], len(names), positions):
            _refuse_long_record(data, start, stop)
    body = data[end + 1 :]
    if not body.strip():
        raise UnreadableError(
            "the file", "rows after the header", "export the table again", "nothing but the header"
        )
    table, ragged = _split_fields(body, len(names), positions, longest)
    lines = _record_lines(data, breaks)
    faults = (_ragged(str(path), len(names), lines[ragged]),) if ragged else ()
    kept_lines = np.delete(lines, ragged)
    columns = dict(zip(header.columns, table.columns, strict=True))
    return Source(str(path), header, columns, lambda row: f"line {kept_lines[row]}", faults)


def _split_fields(
    body: bytes, width: int, wanted: list[int], longest: int = MAX_RECORD_BYTES
) -> tuple[pa.Table, list[int]]:
    """Give the wanted columns as text, and which records were left out for their number of fields."""
    ragged: list[int] = []

    def skip(row: Any) -> str:
        ragged.append(row.number - 1)
        return "skip"

    positions = [str(number) for number in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(body),
            read_options=arrow_csv.ReadOptions(
                column_names=positions,
                use_threads=False,  # else the handler is told no row numbers
                block_size=max(BLOCK_BYTES, longest + 1),  # or a record does not fit
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(positions, pa.string()),
                # no names at all would mean all columns
                include_columns=[positions[number] for number in wanted] or positions[:1],
            ),
        )
    except pa.ArrowInvalid as error:
        raise UnreadableError(
            "the file", "a CSV table", "export the table again", _one_line(error)
        ) from error
    return table.select(range(len(wanted))), ragged


def _ragged(file: str, fields: int, lines: Positions) -> Fault:
    keys = tuple(f"line {line}" for line in lines[:SHOWN_KEYS])
    remedy = "quote values that contain commas, complete lines that were cut off"
    return Fault(file, "all columns", f"{fields} fields in each line", remedy, len(lines), keys)


def _checked_bytes(data: bytes) -> bytes:
    """Give the bytes without byte order mark and carriage returns; refuse what is no UTF-8 text."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    start = data[:MAX_RECORD_BYTES]
    for magic, kind in OTHER_FORMATS.items():
        if start.lstrip().startswith(magic):
            raise UnreadableError("the file", "a CSV table", "save it as CSV, in UTF-8", kind)
    # Without a mark it shows in every second byte of what is mostly ASCII.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) > len(start) / 4:
        found = "UTF-16, which spreadsheets call Unicode text"
        raise UnreadableError("the file", "UTF-8 text", TO_UTF_8, found)
    if not data.strip():
        raise UnreadableError("the file", "a header and rows", "export the table again", "an empty file")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (at := data.find(b"\0")) >= 0:
        found = f"a NUL byte in line {_line(data, at)}"
        raise UnreadableError("the file", "text without NUL bytes", "export the table again", found)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        found = f"byte {data[error.start]:#04x} in line {_line(data, error.start)}"
        raise UnreadableError("the file", "UTF-8 text", TO_UTF_8, found) from error
    return data


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _record_breaks(data: bytes) -> Positions:
    """Find the line ends that end a record: those with an even number of quotes before them."""
    characters = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(characters == ord("\n"))
    quotes = np.flatnonzero(characters == ord('"'))
    _refuse_stray_quotes(data, characters, quotes)
    return np.asarray(newlines[np.searchsorted(quotes, newlines) % 2 == 0])


def _without_empty_end(file: str, data: bytes, breaks: Positions) -> tuple[bytes, Positions]:
    """Cut off the records at the end that have nothing but delimiters, as spreadsheets leave them."""
    kept, end, skipped = len(breaks), len(data), 0
    while kept and _is_empty(record := data[breaks[kept - 1] + 1 : end]):
        kept -= 1
        end = int(breaks[kept])
        skipped += bool(record.strip())
    if skipped:
        log.info("empty rows at the end skipped", extra={"file": file, "count": skipped})
    return data[:end], breaks[:kept]


def _is_empty(record: bytes) -> bool:
    if record.strip(b', \t\n"') or len(record) > MAX_RECORD_BYTES:
        return False
    fields = next(csv.reader(io.StringIO(record.decode(), newline="")), [])
    return not any(field.strip() for field in fields)


def _too_long(data: bytes, breaks: Positions) -> tuple[int, list[tuple[int, int]]]:
    """Give the bytes of the longest record, and where those begin and end that are too long."""
    edges = np.concatenate([[-1], breaks, [len(data)]])
    lengths = np.diff(edges) - 1
    if lengths[0] > MAX_RECORD_BYTES:
        _refuse_long_record(data, 0, int(lengths[0]))
    long = np.flatnonzero(lengths > MAX_RECORD_BYTES)
    return int(lengths.max()), [(int(edges[at]) + 1, int(edges[at + 1])) for at in long]


def _refuse_long_record(data: bytes, start: int, stop: int) -> NoReturn:
    found = f"{stop - start} bytes in line {_line(data, start)}"
    expected = f"lines of at most {MAX_RECORD_BYTES} bytes, but for columns that are ignored"
    raise UnreadableError("the file", expected, "look for a stray quote or a lost line end", found)


def _is_long_where_ignored(record: bytes, width: int, wanted: list[int]) -> bool:
    """Tell a long text in a column that nothing reads from records that ran into each other."""
    table, ragged = _split_fields(record, width, wanted, len(record))
    if ragged or any(len(column[0].as_py() or "") > MAX_RECORD_BYTES for column in table.columns):
        return False
    # A lost quote makes the rows up to the next one a single value.
    *lines, last = record.split(b"\n")[1:] or [b""]
    rows = (line.split(b",") for line in [*lines, last.partition(b'"')[0]])
    return not any(len(row) == width and row[at].strip().isdigit() for row in rows for at in wanted[:1])


def _refuse_stray_quotes(data: bytes, characters: npt.NDArray[np.uint8], quotes: Positions) -> None:
    """Refuse quotes that neither surround a value nor are doubled inside one: readers disagree on them."""
    beside = np.frombuffer(b',\n"', dtype=np.uint8)
    edged = np.concatenate([beside[:1], characters, beside[:1]])
    opening, closing = quotes[::2], quotes[1::2]
    stray = [
        *opening[~np.isin(edged[opening], beside)][:1],
        *closing[~np.isin(edged[closing + 2], beside)][:1],
        *quotes[-1:][: len(quotes) % 2],
    ]
    if stray:
        found = f"a stray one in line {_line(data, int(min(stray)))}"
        raise UnreadableError("the file", "quotes in pairs around values", 'close or double it ("")', found)


def _record_lines(data: bytes, breaks: Positions) -> Positions:
    """Give the line numbers of the records after the header; blank lines are no records."""
    newlines = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n"))
    starts, ends = breaks + 1, np.append(breaks[1:], len(data))
    return np.searchsorted(newlines, starts[ends > starts]) + 1


def _check_header(file: str, names: list[str], wanted: tuple[str, ...]) -> Header:
    counts = {name: names.count(name) for name in wanted}
    if extra := [name for name in names if name not in counts]:
        shown = [_shorten(name) for name in extra[:10]]
        log.warning("extra columns dropped", extra={"file": file, "count": len(extra), "columns": shown})
    folded = {name.strip().casefold(): name for name in extra}
    return Header(
        columns=tuple(name for name in wanted if counts[name] == 1),
        duplicated=frozenset(name for name in wanted if counts[name] > 1),
        hints={name: folded[name.casefold()] for name in wanted if name.casefold() in folded},
        faults=tuple(
            Fault(file, name, "one column of this name", "remove the others", found=(f"{count} of them",))
            for name, count in counts.items()
            if count > 1
        ),
    )


def _refuse_other_headers(data: bytes, wanted: tuple[str, ...]) -> None:
    """Refuse a header with other delimiters than commas, or one that does not stand in line 1."""
    lines = data[:MAX_RECORD_BYTES].decode(errors="ignore").split("\n")[:TITLE_LINES]
    if (hint := lines[0].strip(' "')).casefold().startswith("sep="):
        remedy = "delete this line" + ("" if hint[4:] == "," else "; export with commas")
        raise UnreadableError("the header", NAMES_FIRST, remedy, f"{_shorten(hint)}, a hint for Excel")
    if _delimiter(lines[0], wanted, 1) == "," or not lines[0].strip():
        return
    for number, line in enumerate(lines, start=1):
        # one name may stand in a title
        delimiter = _delimiter(line, wanted, 1 if number == 1 else 2)
        if delimiter and number > 1:
            remedy = "delete the lines above" + ("" if delimiter == "," else "; export with commas")
            raise UnreadableError("the header", NAMES_FIRST, remedy, f"them in line {number}")
        if delimiter:
            found = f"a header that looks like {delimiter!r}-separated"
            raise UnreadableError("the header", "','-separated columns", "export it with commas", found)


def _delimiter(line: str, wanted: tuple[str, ...], least: int) -> str | None:
    """Find by what a line is to be split to have at least so many of the wanted names."""
    for delimiter in (",", ";", "\t", "|"):
        names = {name.strip(' "').casefold() for name in line.split(delimiter)}
        if sum(name.casefold() in names for name in wanted) >= least:
            return delimiter
    return None


def _read_parquet(path: Path, wanted: tuple[str, ...]) -> Source:
    if path.stat().st_size == 0:
        raise UnreadableError("the file", "a Parquet table", "export the table again", "an empty file")
    try:
        with parquet.ParquetFile(path, **VERIFIED) as file:
            header = _check_header(str(path), file.schema_arrow.names, wanted)
            if file.metadata.num_rows == 0:
                raise UnreadableError("the file", "rows", "export the table again", "none")
            table = file.read(columns=list(header.columns))
            table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        found = _one_line(error)
        raise UnreadableError("the file", "a Parquet table", "export the table again", found) from error
    columns = {name: table.column(name) for name in header.columns}
    return Source(str(path), header, columns, lambda row: f"row {row + 1}", ())


def _says_missing(value: object) -> bool:
    text = str(value).strip().casefold()
    return text in SAID_OF_MISSING or text.strip("()[]") in SAID_OF_MISSING


def _shorten(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_TEXT]


# Parsing: each distinct value once, by functions of one value


class UnfitError(ValueError):
    """A value that is not what its column expects; the text says what that is."""


_WHOLE = re.compile(r"[+-]?\d{1,18}(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_EXPONENT = re.compile(r"[+-]?\d*(?:\.(?P<decimals>\d*))?[eE](?P<exponent>[+-]?\d{1,4})", re.ASCII)
_SHORT = re.compile(r"[+-]?\de\+?0{0,2}[0-5]", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?", re.ASCII)
_ZONED = re.compile(_DATE.pattern + r"\s?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)", re.ASCII | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_WHOLE = 10**18
_EXACT_BELOW: Final = {pa.float16(): 2**11, pa.float32(): 2**24}


def _number(value: Any, expected: str = NUMBER) -> float:
    if isinstance(value, str):
        if _INFINITE.fullmatch(value):
            raise UnfitError(FINITE)
        if not _NUMBER.fullmatch(value):
            raise UnfitError(expected)
    elif isinstance(value, bool | dt.date):
        raise UnfitError(expected)
    number = float(value)
    if not math.isfinite(number):
        raise UnfitError(FINITE)
    return number


def _whole(value: Any, exact_below: int = 2**53) -> int:
    """Read a whole number; floats, whose type holds those below ``exact_below``, only where it does."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _WHOLE.fullmatch(value) else _whole_of_exponent(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE:
        return value
    number = _number(value, WHOLE)
    if abs(number) >= exact_below:
        raise UnfitError(ALL_DIGITS)
    if not number.is_integer():
        raise UnfitError(WHOLE)
    return int(number)


def _whole_of_exponent(text: str) -> int:
    """Read a whole number that is written with an exponent, unless digits of it may be lost.

    None is lost where the decimals reach down to the units: ``1.89945123456E+11``. ``1.89945E+11`` may be
    any of a million numbers, as spreadsheets and C's ``%g`` round long ones to six digits, and ``1.6E+07`` or
    ``1E+05`` what a spreadsheet makes of a narrow column. One digit, a small ``e`` and an exponent up to 5
    is no rounding but how R writes a round number, ``1e+05``: ``%g`` writes six digits out, and spreadsheets
    have a capital ``E``.
    """
    _number(text, WHOLE)
    parts = _EXPONENT.fullmatch(text)
    if parts is None:
        raise UnfitError(WHOLE)
    if len(parts["decimals"] or "") < int(parts["exponent"]) and not _SHORT.fullmatch(text):
        raise UnfitError(ALL_DIGITS)
    number = Decimal(text)
    if number != number.to_integral_value() or abs(number) >= _MAX_WHOLE:
        raise UnfitError(WHOLE)
    return int(number)


def _timestamp(value: Any, expected: str = TIMESTAMP) -> dt.datetime:
    if isinstance(value, str):
        if not _DATE.fullmatch(value):
            raise UnfitError(NAIVE if _ZONED.fullmatch(value) else expected)
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise UnfitError(expected) from error
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            raise UnfitError(NAIVE)
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    raise UnfitError(expected)


def _day(value: Any) -> dt.datetime:
    """Parse a day; a time of day is cut off, which changes no label because weeks start at midnight."""
    return dt.datetime.combine(_timestamp(value, DATE).date(), dt.time())


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or _CONTROL.search(value):
        raise UnfitError(TEXT)
    return value


PLAIN_TYPES: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_null,
)

PARSERS: Final[dict[str, tuple[Parser, str]]] = {
    "id": (_whole, "Int64"),
    "CLOSEDATE": (_day, "datetime64[us]"),
    "WHEN_TIMESTAMP": (_timestamp, "datetime64[us]"),
    "MRR": (_number, "float64"),
    "ALEXA_RANK": (_whole, "Int64"),
    "EMPLOYEE_RANGE": (_text, "str"),
    "INDUSTRY": (_text, "str"),
    **dict.fromkeys(contract.MEASURES, (_whole, "Int64")),
}


def _parse(source: Source) -> Typed:
    cells: dict[str, Any] = {}
    bad: dict[str, npt.NDArray[np.bool_]] = {}
    unfit: list[tuple[str, str, Positions, list[object]]] = []
    faults: list[Fault] = []
    for name, column in source.columns.items():
        parser, dtype = PARSERS[name]
        try:
            codes, distinct = _encode(column)
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            faults.append(_not_plain(source.file, name, column))
            cells[name] = pd.Series([None] * len(column), dtype=dtype).array
            bad[name] = np.ones(len(column), dtype=np.bool_)
            continue
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if parser is _whole and kind in _EXACT_BELOW:
            parser = partial(_whole, exact_below=_EXACT_BELOW[kind])
        parsed, reasons = _parse_distinct(distinct, parser)
        # code -1 (missing) takes the last one
        cells[name] = pd.Series([*parsed, None], dtype=dtype).array.take(codes)
        bad[name] = np.isin(codes, list(reasons))
        for expected in dict.fromkeys(reasons.values()):
            rows = np.flatnonzero(np.isin(codes, [code for code in reasons if reasons[code] == expected]))
            unfit.append((name, expected, rows, [distinct[code] for code in codes[rows[:MAX_LOOKED_AT]]]))
    typed = Typed(source, pd.DataFrame(cells), bad, ())
    faults += [typed.fault(name, expected, rows, found) for name, expected, rows, found in unfit]
    return replace(typed, faults=tuple(faults))


def _not_plain(file: str, name: str, column: pa.ChunkedArray) -> Fault:
    remedy = "export the column as plain numbers, text or dates"
    return Fault(file, name, "plain values", remedy, found=(f"type {column.type}"[:MAX_TEXT],))


def _encode(column: pa.ChunkedArray) -> tuple[Positions, list[Any]]:
    """Give each row the number of its distinct value; -1 for null, NaN and what stands for them."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if not any(is_plain(column.type) for is_plain in PLAIN_TYPES):
        raise TypeError(column.type)
    encoded = column.combine_chunks().dictionary_encode()
    codes: Positions = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct = encoded.dictionary.to_pylist()
    distinct = [value.strip() if isinstance(value, str) else value for value in distinct]
    missing = [code for code, value in enumerate(distinct) if _is_missing(value)]
    codes[np.isin(codes, missing)] = -1
    return codes, distinct


def _is_missing(value: Any) -> bool:
    # only NaN differs from itself
    return value is None or value in MISSING or bool(value != value)


def _parse_distinct(distinct: list[Any], parser: Parser) -> tuple[list[Any], dict[int, str]]:
    parsed: list[Any] = []
    reasons: dict[int, str] = {}
    for code, value in enumerate(distinct):
        try:
            parsed.append(None if _is_missing(value) else parser(value))
        except UnfitError as error:
            parsed.append(None)
            reasons[code] = str(error)
    return parsed, reasons


def _final_types(table: pd.DataFrame) -> pd.DataFrame:
    whole = [name for name in table if name == "id" or name in contract.MEASURES]
    ranks = {"ALEXA_RANK": "float64"} if "ALEXA_RANK" in table else {}
    return table.astype(dict.fromkeys(whole, "int64") | ranks)


# Checking: ranges and keys of parsed values


def _between(low: Any, high: Any, expected: str) -> pandera.Check:
    return pandera.Check.in_range(low, high, error=expected)


def _is_week(times: pd.Series[Any]) -> pd.Series[bool]:
    result: pd.Series[bool] = (times.dt.day_of_week == 0) & (times == times.dt.normalize())
    return result


def _date_column(*checks: pandera.Check) -> pandera.Column:
    era = _between(FIRST_DAY, LAST_DAY, f"a date from {FIRST_DAY.year} to {LAST_DAY.year}")
    return pandera.Column("datetime64[us]", [era, *checks])


def _firmographics() -> dict[str, pandera.Column]:
    ranges = pandera.Check.isin(
        contract.EMPLOYEE_RANGES,
        error="one of " + ", ".join(f"'{name}'" for name in contract.EMPLOYEE_RANGES),
    )
    rank = pandera.Check.ge(1, error="a rank of at least 1")
    return {
        "ALEXA_RANK": pandera.Column("Int64", rank, nullable=True),
        "EMPLOYEE_RANGE": pandera.Column("str", ranges, nullable=True),
        "INDUSTRY": pandera.Column("str", nullable=True),
    }


def customers_schema() -> pandera.DataFrameSchema:
    """Build what a parsed ``customers`` table must satisfy."""
    amount = _between(-MAX_MRR, MAX_MRR, f"an amount within ±{MAX_MRR:.0e}")
    return pandera.DataFrameSchema(
        {
            "id": pandera.Column("Int64"),
            "CLOSEDATE": _date_column(),
            "MRR": pandera.Column("float64", amount),
            **_firmographics(),
        }
    )


def noncustomers_schema() -> pandera.DataFrameSchema:
    """Build what a parsed ``noncustomers`` table must satisfy."""
    return pandera.DataFrameSchema({"id": pandera.Column("Int64"), **_firmographics()})


def usage_schema() -> pandera.DataFrameSchema:
    """Build what a parsed ``usage_actions`` table must satisfy; negative counts pass."""
    monday = pandera.Check(_is_week, error="a Monday 00:00")
    count = _between(-MAX_COUNT, MAX_COUNT, f"a count of at most {MAX_COUNT}")
    return pandera.DataFrameSchema(
        {
            "id": pandera.Column("Int64"),
            "WHEN_TIMESTAMP": _date_column(monday),
            **{name: pandera.Column("Int64", count) for name in contract.MEASURES},
        }
    )


SCHEMAS: Final[dict[str, Callable[[], pandera.DataFrameSchema]]] = {
    contract.CUSTOMERS: customers_schema,
    contract.NONCUSTOMERS: noncustomers_schema,
    contract.USAGE_ACTIONS: usage_schema,
}


def _check(typed: Typed, schema: pandera.DataFrameSchema) -> list[Fault]:
    try:
        schema.validate(typed.cells, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    absent = cases["check"] == "column_in_dataframe"
    missing = set(cases.loc[absent, "failure_case"]) - typed.source.header.duplicated
    faults = [_missing_column(typed.source, name) for name in schema.columns if name in missing]
    for (column, check), group in cases[~absent].groupby(["column", "check"], sort=False):
        rows = group["index"].to_numpy(dtype=np.int64)
        fresh = ~typed.bad[column][rows]
        found = group["failure_case"][fresh].head(MAX_LOOKED_AT)
        expected, shown = (PRESENT, []) if check == "not_nullable" else (check, found.tolist())
        if fresh.any():
            faults.append(typed.fault(column, expected, np.sort(rows[fresh]), shown))
    return faults


def _missing_column(source: Source, name: str) -> Fault:
    hint = source.header.hints.get(name)
    remedy = f"rename {_shorten(hint)}" if hint is not None else "add it to the export"
    return Fault(source.file, name, "this column", remedy, found=("no such column",))


def _check_disjoint(typed: dict[str, Typed]) -> list[Fault]:
    tables = [typed[name] for name in COMPANIES if name in typed]
    if len(tables) < 2 or any("id" not in table.cells for table in tables):
        return []
    customers, others = (table.cells["id"].dropna() for table in tables)
    shared = customers[customers.isin(others)].drop_duplicates()
    if shared.empty:
        return []
    return [
        Fault(
            file=" and ".join(table.source.file for table in tables),
            column="id",
            expected="each company in one of the two tables",
            remedy="leave customers out of noncustomers",
            rows=len(shared),
            keys=tuple(f"id {value}" for value in shared.head(SHOWN_KEYS)),
        )
    ]


# The profile


def profile(table: pd.DataFrame, key: Sequence[str]) -> dict[str, Any]:
    """Describe a table without naming any company.

    Parameters
    ----------
    table
        A checked table.
    key
        The columns that should name a row.

    Returns
    -------
    dict
        Rows, rows that repeat an earlier one's key, and for each column its missing share, distinct values
        and range, or for text the most frequent values' counts; the same for any order of rows.
    """
    return {
        "rows": len(table),
        "key": ", ".join(key),
        "duplicate_keys": int(table.duplicated(list(key)).sum()),
        "columns": {str(name): _profile_column(table[name]) for name in table},
    }


def _profile_column(column: pd.Series[Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "missing_share": round(float(column.isna().mean()), PROFILE_DIGITS),
        "distinct": int(column.nunique()),
    }
    known = column.dropna()
    if column.name == "id" or known.empty:
        return facts
    if pd.api.types.is_string_dtype(column):
        counts = sorted(known.value_counts().items(), key=lambda item: (-item[1], item[0]))
        return facts | {"most_frequent": {str(value): int(n) for value, n in counts[:PROFILE_VALUES]}}
    return facts | {"min": _plain(known.min()), "max": _plain(known.max())}


def _plain(value: Any) -> str | int | float:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return int(value) if float(value).is_integer() else round(float(value), PROFILE_DIGITS)


# What tells the files apart: no feature should know which file a row came from


@dataclass(frozen=True)
class Tell:
    """Something beside behaviour that could tell customers from non-customers."""

    low: float
    high: float
    """ROC AUCs beyond these are warned of; 0.5 tells nothing, 0 and 1 tell all."""
    least_customers: int
    """Of fewer customers it may do so by chance."""
    meaning: str
    """What it would mean, and what this project does about it."""


TELLS: Final = {
    # Ids given in order of signing up may tell a little: older companies had more time to convert.
    "id_order": Tell(
        *(0.2, 0.8, 1),
        "ids separate customers from non-customers, so who saw them would know who has converted; "
        "the id is never a feature and no tie is broken by its order",
    ),
    # Missing values may be a cause: where they are one, in the sample, the ROC AUC is 0.59.
    "missing_firmographics": Tell(
        *(0.35, 0.65, 50),
        "which firmographics are missing separates customers from non-customers, so they may have been "
        "filled in when a company converted, which no backtest on one export can show; "
        "compare with a model without them (features.groups: [usage]) before trusting the results",
    ),
    # Within a week nothing but chance should decide the order of rows.
    "usage_row_order": Tell(
        *(0.35, 0.65, 50),
        "the order of rows in usage_actions separates customers from non-customers within the same weeks, so "
        "whoever uses it would know who has converted; here the order of rows changes nothing",
    ),
}


def separation(
    score: pd.Series[float], customer: pd.Series[bool], stratum: pd.Series[Any] | None = None
) -> float:
    """ROC AUC of a score for "is a customer's".

    Parameters
    ----------
    score
        A number a row.
    customer
        Whether the row is a customer's.
    stratum
        Compare rows of the same stratum only; None: all.

    Returns
    -------
    float
        0.5 if the score tells nothing, 0 or 1 if it tells everything; tied pairs count half. NaN where there
        is no pair.

    Examples
    --------
    >>> separation(pd.Series([7, 8, 1, 2, 9]), pd.Series([True, True, False, False, False]))
    0.6666666666666666
    """
    rows = pd.DataFrame({"customer": customer, "stratum": 0 if stratum is None else stratum})
    rows["rank"] = score.groupby(rows["stratum"]).rank().where(customer, 0.0)
    by_stratum = rows.groupby("stratum").agg(
        rows=("customer", "size"), customers=("customer", "sum"), ranks=("rank", "sum")
    )
    customers = by_stratum["customers"]
    pairs = (customers * (by_stratum["rows"] - customers)).sum()
    won = (by_stratum["ranks"] - customers * (customers + 1) / 2).sum()
    return float(won / pairs) if pairs else float("nan")


def separations(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Measure how well each of `TELLS` separates customers from non-customers.

    Parameters
    ----------
    tables
        Checked, in the order of the files' rows.

    Returns
    -------
    dict of float
        ROC AUCs. ``id_order``: of the id. ``missing_firmographics``: of the share of customers among the
        companies with the same firmographics missing, taken from companies with even ids for those with odd
        ids and the other way round; companies with and without usage are not compared with each other.
        ``usage_row_order``: of a usage row's position in the file, among rows of the same week.
    """
    usage = tables[contract.USAGE_ACTIONS]
    companies = pd.concat(
        [tables[name].assign(customer=name == contract.CUSTOMERS) for name in COMPANIES], ignore_index=True
    )
    customer = companies["customer"]
    missing = companies[list(contract.FIRMOGRAPHICS)].isna().to_numpy()
    pattern = pd.Series(missing @ (1 << np.arange(missing.shape[1])))
    half = companies["id"] % 2
    known = customer.groupby([pattern, half]).mean()
    share = pd.Series(known.reindex([*zip(pattern, 1 - half, strict=True)]).to_numpy())
    position = pd.Series(np.arange(len(usage)), index=usage.index)
    owners = usage["id"].isin(tables[contract.CUSTOMERS]["id"])
    return {
        "id_order": separation(companies["id"], customer),
        "missing_firmographics": separation(
            share.fillna(customer.mean()), customer, 2 * companies["id"].isin(usage["id"]) + half
        ),
        "usage_row_order": separation(position, owners, usage["WHEN_TIMESTAMP"]),
    }


def warn_of_tells(measured: dict[str, float], customers: int) -> dict[str, Any]:
    """Log a warning for each of `TELLS` that separates too well.

    Parameters
    ----------
    measured
        From `separations`.
    customers
        How many there are.

    Returns
    -------
    dict
        By name ``roc_auc`` (None where there is nothing to compare), the bounds ``low`` and ``high``, and
        ``warned``.
    """
    facts: dict[str, Any] = {}
    for name, auc in measured.items():
        tell = TELLS[name]
        beyond = auc < tell.low or auc > tell.high  # NaN is neither
        warned = beyond and customers >= tell.least_customers
        if warned:
            log.warning(tell.meaning, extra={"tell": name, "roc_auc": auc})
        value = None if math.isnan(auc) else round(auc, PROFILE_DIGITS)
        facts[name] = {"roc_auc": value, "low": tell.low, "high": tell.high, "warned": warned}
    return facts


# What the three tables say of each other


def orphaned_usage(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Find the usage rows of companies that neither company table lists."""
    usage = tables[contract.USAGE_ACTIONS]
    return usage[~usage["id"].isin(pd.concat([tables[name]["id"] for name in COMPANIES]))]


def check_orphans(tables: dict[str, pd.DataFrame], folder: Path, most: float) -> dict[str, Any]:
    """Refuse an export much of whose usage belongs to no company; warn of a little.

    Parameters
    ----------
    tables
        Checked.
    folder
        Of the export.
    most
        ``data.max_orphan_share``.

    Returns
    -------
    dict
        ``rows`` that are orphaned, ``companies`` they name, their ``share`` of all rows.

    Raises
    ------
    ExportError
        The share is above ``most``.
    """
    usage, orphans = tables[contract.USAGE_ACTIONS], orphaned_usage(tables)
    share = len(orphans) / len(usage)
    ids = orphans["id"].drop_duplicates()
    idle = {name: int((~tables[name]["id"].isin(usage["id"])).sum()) for name in COMPANIES}
    if share > most:
        fault = Fault(
            file=_shown_file(folder, contract.USAGE_ACTIONS),
            column="id",
            expected=f"ids of {' or '.join(COMPANIES)} in all rows but a share of {most:g}",
            rows=len(orphans),
            keys=tuple(f"id {value}" for value in ids.head(SHOWN_KEYS)),
            found=(
                f"a share of {share:.3f} of others",
                *(f"no usage for {rows} of {len(tables[name])} {name}" for name, rows in idle.items()),
            ),
            remedy="compare the ids of the three tables, of which one may have lost digits or be of another "
            "time; if these companies are left out on purpose, raise data.max_orphan_share",
        )
        raise ExportError(str(fault))
    facts = {"rows": len(orphans), "companies": len(ids), "share": round(share, PROFILE_DIGITS)}
    if len(orphans):
        log.warning(
            "usage of companies that are in neither company table is left out",
            extra=facts | {f"{name}_without_usage": rows for name, rows in idle.items()},
        )
    return facts


def warn_of_cut_ids(tables: dict[str, pd.DataFrame]) -> None:
    """Warn of ids that look as if a spreadsheet had written them, which keeps 15 digits and adds zeros."""
    for name, table in tables.items():
        long = table.loc[table["id"].abs() >= 10**KEPT_DIGITS, "id"].abs().drop_duplicates().astype(str)
        if len(long) >= LEAST_CUT_IDS and (long.str[KEPT_DIGITS:].str.strip("0") == "").all():
            log.warning(
                "all ids of more than 15 digits end in zeros, as a spreadsheet leaves them: different "
                "companies may have become one; export them as text",
                extra={"table": name, "ids": len(long)},
            )


def usage_before_conversion(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Measure how many customers have no week of usage that was over when they converted, and warn of most.

    Parameters
    ----------
    tables
        Checked.

    Returns
    -------
    dict
        ``customers``: those with usage, and a conversion after the export's first week was over, so that
        usage before it could be there. ``without``: their share that has none. ``warned``.
    """
    usage = tables[contract.USAGE_ACTIONS]
    converted = tables[contract.CUSTOMERS].groupby("id")["CLOSEDATE"].min()
    known_from = usage.groupby("id")["WHEN_TIMESTAMP"].min().reindex(converted.index) + WEEK
    compared = known_from.notna() & (converted >= usage["WHEN_TIMESTAMP"].min() + WEEK)
    without = float((converted < known_from)[compared].mean()) if compared.any() else 0.0
    warned = without > MOST_WITHOUT_USAGE and int(compared.sum()) >= LEAST_CUSTOMERS
    facts = {"customers": int(compared.sum()), "without": round(without, PROFILE_DIGITS), "warned": warned}
    if warned:
        log.warning(
            "most customers have no week of usage before CLOSEDATE, so nothing precedes their conversions: "
            "CLOSEDATE should be the day they began to pay, not to sign up or to try",
            extra={name: facts[name] for name in ("customers", "without")},
        )
    return facts


def unlisted_industries(tables: dict[str, pd.DataFrame]) -> dict[str, int]:
    """Count the companies whose industry is in neither taxonomy, and its labels; warn of them.

    Parameters
    ----------
    tables
        Checked.

    Returns
    -------
    dict
        ``companies``, ``labels``.
    """
    given = pd.concat([tables[name][["id", "INDUSTRY"]] for name in COMPANIES]).dropna()
    rows = given.drop_duplicates()
    counts = rows["INDUSTRY"].value_counts()
    unlisted = {str(label): int(n) for label, n in counts.items() if not is_listed(str(label))}
    of_unlisted = rows["INDUSTRY"].isin(list(unlisted))
    facts = {"companies": int(rows.loc[of_unlisted, "id"].nunique()), "labels": len(unlisted)}
    if unlisted:
        frequent = sorted(unlisted, key=lambda label: (-unlisted[label], label))
        log.warning(
            "industries that are in neither taxonomy count as unknown; use the labels of one%s",
            f"; {EMPTY_CELL}" if any(map(_says_missing, unlisted)) else "",
            extra=facts | {"most_frequent": [_shorten(label) for label in frequent[:SHOWN_KEYS]]},
        )
    return facts


def main() -> None:
    """Read the export, and write typed tables and their profile; or nothing, with every fault reported."""
    settings = load_params().data
    folder = Path(settings.dir)
    tables = read_export(folder)
    warn_of_cut_ids(tables)
    across = {
        "orphaned_usage": check_orphans(tables, folder, settings.max_orphan_share),
        "usage_before_conversion": usage_before_conversion(tables),
        "unlisted_industries": unlisted_industries(tables),
    }
    tells = warn_of_tells(separations(tables), len(tables[contract.CUSTOMERS]))
    for name, table in tables.items():
        write_parquet(TYPED / f"{name}.parquet", table)
        log.info("loaded", extra={"table": name, "rows": len(table)})
    profiles = {name: profile(table, KEYS[name]) for name, table in tables.items()}
    write_json(PROFILE, profiles | across | {"file_of_origin": tells})


if __name__ == "__main__":
    run(main)
