"""Reading of one table, CSV or Parquet: its header and the contract's columns, before cells are parsed."""

from __future__ import annotations

import csv
import difflib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.ingest.columns import Table
from conversion.ingest.csv_bytes import (
    is_long_where_ignored,
    normalized_utf8,
    overlong_records,
    record_breaks,
    record_lines,
    refuse_long_record,
    refuse_other_headers,
    split_fields,
    without_empty_end,
)
from conversion.ingest.faults import (
    NAMES_FIRST,
    SHOWN_KEYS,
    Fault,
    Positions,
    UnreadableError,
    one_line,
    quoted,
)
from conversion.ingest.parsers import parse_whole
from conversion.runtime.files import VERIFIED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Header:
    """The contract's columns that a file has exactly once, and what is wrong with the others."""

    columns: tuple[str, ...]
    duplicated: frozenset[str]
    hints: dict[str, str]
    """By missing column, what to do if the file has a name that is almost the same."""
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Source:
    """The contract's columns of one file, before their values are parsed."""

    file: str
    header: Header
    columns: dict[str, pa.ChunkedArray]
    label: Callable[[int], str]
    """Returns where a row is in the file: the line of a CSV, the row of a Parquet file."""
    faults: tuple[Fault, ...]
    last_days: dict[str, str] | None = None
    """Of days and events that were made weeks: by a week's Monday the last day with a row, as ISO dates."""


SIMILAR: Final = 0.8
"""Names that difflib finds this similar may be the same."""
MOST_COMPARED: Final = 200
"""Columns of a file that are compared with those it lacks."""


def find_file(folder: Path, table: Table) -> Path:
    """Find a table's one file.

    Raises
    ------
    UnreadableError
        There is none, there are two, or it is a folder.
    """
    name = table.name
    found = _candidates(folder, name)
    if len(found) != 1:
        expected = f"one of {name}.csv and {name}.parquet"
        if found:
            raise UnreadableError("the file", expected, "remove the one that is out of date", "both")
        near = [
            path.name
            for path in sorted(folder.iterdir())
            if path.name.casefold().startswith(f"{name.casefold()}.")
        ]
        seen = f"neither, but {', '.join(near)}" if near else "neither"
        remedy = f"save it as {name}.csv or {name}.parquet" if near else "put the table into the folder"
        key = f"the name {name}"
        raise UnreadableError("the file", expected, remedy + table.or_change(key), seen)
    if not found[0].is_file():
        raise UnreadableError("the file", "a file", "replace it with the table", "a folder or device")
    return found[0]


def read_table(folder: Path, table: Table) -> Source:
    """Read the contract's columns of a table's one file, as text or as Parquet types."""
    path = find_file(folder, table)
    try:
        if path.suffix == ".csv":
            return _read_csv(path, path.read_bytes(), table)
        return _read_parquet(path, table)
    except PermissionError as error:
        fault = "one without permission to read it"
        raise UnreadableError("the file", "a readable file", "change its permissions", fault) from error
    except OSError as error:
        raise UnreadableError(
            "the file", "a readable file", "export the table again", one_line(error)
        ) from error


def shown_file(folder: Path, name: str) -> str:
    """Return a table's file as messages show it: without a suffix if there is none, or one of each."""
    found = _candidates(folder, name)
    return str(found[0] if len(found) == 1 else folder / name)


def _candidates(folder: Path, name: str) -> list[Path]:
    return [path for suffix in (".csv", ".parquet") if (path := folder / f"{name}{suffix}").exists()]


def _read_csv(path: Path, data: bytes, table: Table) -> Source:
    wanted, whole_ids = tuple(table.columns), table.columns[table.id].parse is parse_whole
    data = normalized_utf8(data)
    # Checked first: split at commas, such a file is full of stray quotes and cut-off lines.
    refuse_other_headers(data, wanted)
    data, breaks = without_empty_end(str(path), data, record_breaks(data))
    longest, too_long = overlong_records(data, breaks)
    end = breaks[0] if len(breaks) else len(data)
    names = next(csv.reader(io.StringIO(data[:end].decode(), newline="")), [])
    if not names:
        raise UnreadableError("the header", NAMES_FIRST, "add them", "a blank line")
    header = check_header(str(path), names, wanted)
    positions = [names.index(name) for name in header.columns]
    for start, stop in too_long:
        if not is_long_where_ignored(data[start:stop], len(names), positions, whole_ids):
            refuse_long_record(data, start, stop)
    body = data[end + 1 :]
    if not body.strip():
        if table.may_be_empty:
            none = pa.chunked_array([pa.array([], pa.string())])
            return Source(str(path), header, dict.fromkeys(header.columns, none), str, ())
        raise UnreadableError(
            "the file", "rows after the header", "export the table again", "nothing but the header"
        )
    fields, ragged = split_fields(body, len(names), positions, longest)
    lines = record_lines(data, breaks)
    faults = (_ragged(str(path), len(names), lines[ragged]),) if ragged else ()
    kept_lines = np.delete(lines, ragged)
    columns = dict(zip(header.columns, fields.columns, strict=True))
    return Source(str(path), header, columns, lambda row: f"line {kept_lines[row]}", faults)


def _ragged(file: str, fields: int, lines: Positions) -> Fault:
    keys = tuple(f"line {line}" for line in lines[:SHOWN_KEYS])
    remedy = "quote values that contain commas, complete lines that were cut off"
    return Fault(file, "all columns", f"{fields} fields in each line", remedy, len(lines), keys)


def _read_parquet(path: Path, table: Table) -> Source:
    if path.stat().st_size == 0:
        raise UnreadableError("the file", "a Parquet table", "export the table again", "an empty file")
    try:
        with parquet.ParquetFile(path, **VERIFIED) as file:
            header = check_header(str(path), file.schema_arrow.names, tuple(table.columns))
            if file.metadata.num_rows == 0 and not table.may_be_empty:
                raise UnreadableError("the file", "rows", "export the table again", "none")
            read = file.read(columns=list(header.columns))
            read.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        found = one_line(error)
        raise UnreadableError("the file", "a Parquet table", "export the table again", found) from error
    columns = {name: read.column(name) for name in header.columns}
    return Source(str(path), header, columns, lambda row: f"row {row + 1}", ())


def check_header(file: str, names: list[str], wanted: tuple[str, ...]) -> Header:
    """Find the wanted columns among a file's, and say what is wrong with the others."""
    counts = {name: names.count(name) for name in wanted}
    if extra := [name for name in names if name not in counts]:
        shown = [quoted(name) for name in extra[:10]]
        log.warning("extra columns dropped", extra={"file": file, "count": len(extra), "columns": shown})
    missing = [name for name, count in counts.items() if not count]
    return Header(
        columns=tuple(name for name in wanted if counts[name] == 1),
        duplicated=frozenset(name for name in wanted if counts[name] > 1),
        hints=find_hints(missing, extra),
        faults=tuple(
            Fault(file, name, "one column of this name", "remove the others", found=(f"{count} of them",))
            for name, count in counts.items()
            if count > 1
        ),
    )


def find_hints(missing: list[str], extra: list[str]) -> dict[str, str]:
    """Return what to do for each missing column that another column may be."""
    folded = {name.strip().casefold(): name for name in extra[:MOST_COMPARED]}
    hints: dict[str, str] = {}
    for name in missing:
        if (same := folded.get(name.casefold())) is not None:
            hints[name] = f"rename {quoted(same)}"
        elif near := difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=SIMILAR):
            hints[name] = f"add it to the export, or rename {quoted(folded[near[0]])} if this is it"
    return hints
