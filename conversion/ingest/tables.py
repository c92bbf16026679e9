"""Reading of one table, CSV or Parquet: its header and the contract's columns, before cells are parsed."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from conversion.ingest.columns import Table
from conversion.ingest.csv_chunks import CHUNK_BYTES, Wanted, csv_pieces
from conversion.ingest.faults import (
    SHOWN_KEYS,
    SHOWN_VALUES,
    Fault,
    Positions,
    UnreadableError,
    in_file,
    one_line,
    quoted,
)
from conversion.ingest.folders import Place, TableFiles, find_table
from conversion.ingest.parquet_chunks import CHUNK_ROWS, describe_parquet
from conversion.ingest.parsers import parse_whole

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

    @property
    def rows(self) -> int:
        """How many rows it has; none if it has no columns."""
        return len(next(iter(self.columns.values()), ()))


SIMILAR: Final = 0.8
"""Names that difflib finds this similar may be the same."""
MOST_COMPARED: Final = 200
"""Columns of a file that are compared with those it lacks."""


def read_table(folder: Place, table: Table) -> Source:
    """Read the contract's columns of a table, as text or as Parquet types."""
    return joined(list(_pieces(folder, table, CHUNK_BYTES, CHUNK_ROWS)))


def read_chunks(
    folder: Place, table: Table, chunk_bytes: int = CHUNK_BYTES, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Source]:
    """Read what `read_table` reads, a bounded piece at a time; together they are the same.

    Parameters
    ----------
    folder
        Holds the table.
    table
        The table and its columns.
    chunk_bytes
        How much of a CSV file is in a piece, about.
    chunk_rows
        How many rows of Parquet files, or of many small CSV files, are in a piece, about.

    Yields
    ------
    Source
        At least one, in the order of the files. Rows are labelled as in the whole table.

    Raises
    ------
    UnreadableError
        There is no such table, or a file of it cannot be read; some pieces may have been read before.
    """
    waiting: list[Source] = []
    for piece in _pieces(folder, table, chunk_bytes, chunk_rows):
        if waiting and sum(each.rows for each in waiting) + piece.rows > chunk_rows:
            yield joined(waiting)
            waiting = []
        waiting.append(piece)
    yield joined(waiting)


def joined(pieces: Sequence[Source]) -> Source:
    """Put pieces of a table together; faults of the same file and kind become one."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    # Not the pieces: their columns would be kept as long as the label is.
    ends, labels = np.cumsum([piece.rows for piece in pieces]), [piece.label for piece in pieces]

    def label(row: int) -> str:
        at = int(np.searchsorted(ends, row, side="right"))
        return labels[at](row - int(ends[at - 1] if at else 0))

    columns = {
        name: pa.chunked_array(
            [chunk for piece in pieces for chunk in piece.columns[name].chunks], column.type
        )
        for name, column in first.columns.items()
    }
    faults = merged_faults(fault for piece in pieces for fault in piece.faults)
    return replace(first, columns=columns, label=label, faults=faults)


def merged_faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Add up the rows of faults that are the same but for their rows, in the order of the first ones."""
    merged: dict[tuple[str, ...], Fault] = {}
    for fault in faults:
        key = (fault.file, fault.column, fault.expected, fault.remedy)
        if (known := merged.get(key)) is not None:
            keys = (*known.keys, *fault.keys)[:SHOWN_KEYS]
            found = tuple(dict.fromkeys((*known.found, *fault.found)))[:SHOWN_VALUES]
            fault = replace(known, rows=known.rows + fault.rows, keys=keys, found=found)
        merged[key] = fault
    return tuple(merged.values())


def _pieces(folder: Place, table: Table, chunk_bytes: int, chunk_rows: int) -> Iterator[Source]:
    """Read a table piece by piece, at least one; see `read_chunks`."""
    files = find_table(folder, table)
    try:
        if files.suffix == ".csv":
            yield from _csv_sources(files, table, chunk_bytes)
        else:
            yield from _parquet_sources(files, table, chunk_rows)
    except PermissionError as error:
        fault = "one without permission to read it"
        raise UnreadableError("the file", "a readable file", "change its permissions", fault) from error
    except OSError as error:
        raise UnreadableError(
            "the file", "a readable file", "export the table again", one_line(error)
        ) from error


def _csv_sources(files: TableFiles, table: Table, chunk_bytes: int) -> Iterator[Source]:
    wanted = Wanted(tuple(table.columns), table.columns[table.id].parse is parse_whole)
    header: Header | None = None
    empty = True
    for name, file in files.files():
        shown = str(file)
        with in_file(name), file.open("rb") as opened:
            for piece in csv_pieces(opened, shown, wanted, chunk_bytes):
                header = header or _check_header(str(files.place), piece.names, wanted.names)
                _refuse_other_columns(header, piece.names, files.names)
                faults = (_ragged(shown, len(piece.names), piece.ragged),) if len(piece.ragged) else ()
                if len(piece.lines) or faults:
                    empty = False
                    label = _label_in(name, partial(_line_label, piece.lines))
                    yield Source(str(files.place), header, piece.columns, label, faults)
    if header is not None and empty:
        if not table.may_be_empty:
            raise UnreadableError(
                "the file", "rows after the header", "export the table again", "nothing but the header"
            )
        none = pa.chunked_array([pa.array([], pa.string())])
        yield Source(str(files.place), header, dict.fromkeys(header.columns, none), str, ())


def _line_label(lines: Positions, row: int) -> str:
    return f"line {lines[row]}"


def _row_label(above: int, row: int) -> str:
    return f"row {above + row + 1}"


def _label_in(name: str | None, label: Callable[[int], str]) -> Callable[[int], str]:
    return label if name is None else lambda row: f"{name} {label(row)}"


def _refuse_other_columns(header: Header, names: list[str], files: tuple[str, ...] | None) -> None:
    """Refuse a file of a folder that lacks columns of the first, or has them twice."""
    if files is None:
        return
    for column in header.columns:
        if (count := names.count(column)) != 1:
            found = f"{count} of them" if count else "no such column"
            expected = f"this column once, as in {files[0]}"
            raise UnreadableError(column, expected, "export the whole table again", found)


def _ragged(file: str, fields: int, lines: Positions) -> Fault:
    keys = tuple(f"line {line}" for line in lines[:SHOWN_KEYS])
    remedy = "quote values that contain commas, complete lines that were cut off"
    return Fault(file, "all columns", f"{fields} fields in each line", remedy, len(lines), keys)


def _parquet_sources(files: TableFiles, table: Table, chunk_rows: int) -> Iterator[Source]:
    place = str(files.place)
    described = describe_parquet(files, tuple(table.columns))
    header = _check_header(place, described.names, tuple(table.columns))
    if not described.rows and not table.may_be_empty:
        raise UnreadableError("the file", "rows", "export the table again", "none")
    empty = True
    for piece in described.pieces(chunk_rows):
        empty = False
        label = _label_in(piece.file, partial(_row_label, piece.above))
        yield Source(place, header, piece.columns, label, ())
    if empty:
        none = {name: pa.chunked_array([], kind) for name, kind in described.types.items()}
        yield Source(place, header, none, str, ())


def _check_header(file: str, names: list[str], wanted: tuple[str, ...]) -> Header:
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
