"""Parsing of cells: text and Parquet values to typed ones, and each cell that cannot be parsed as a fault."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from conversion.ingest.advice import TOTALS_REMEDY, advise_on_epochs, advise_on_order_of_dates, is_total
from conversion.ingest.columns import Table
from conversion.ingest.faults import (
    DATE,
    EMPTY_CELL,
    MAX_LOOKED_AT,
    MAX_TEXT,
    PRESENT,
    REMEDIES,
    ROW_REMEDY,
    SHOWN_KEYS,
    SHOWN_VALUES,
    TIMESTAMP,
    BadCellError,
    Fault,
    Positions,
    quoted,
    row_key,
)
from conversion.ingest.number_formats import format_of, may_have_thousands
from conversion.ingest.parsers import Parser, describe_shown, parse_number, parse_whole
from conversion.ingest.tables import Source

log = logging.getLogger(__name__)
MISSING: Final = frozenset({"", "nan", "NaN", "null", "NULL"})
MISSING_WORDS: Final = frozenset(
    {"na", "n/a", "#n/a", "<na>", "nat", "none", "nil", "null", "nan", "undefined", "unknown", "missing"}
    | {"no value", "not available", "not set", "blank", "empty", "-", "--", "?", r"\n"}
)
"""Words for a missing value, in lower case without brackets. They are reported, not read as missing."""


def is_missing_word(value: object) -> bool:
    """Return whether a value is a word for a missing value, like ``n/a`` or ``(none)``."""
    text = str(value).strip().casefold()
    return text in MISSING_WORDS or text.strip("()[]") in MISSING_WORDS


@dataclass(frozen=True)
class ParsedTable:
    """A parsed table; cells that could not be parsed are missing in ``cells`` and marked in ``unparsed``."""

    source: Source
    table: Table
    cells: pd.DataFrame
    unparsed: dict[str, npt.NDArray[np.bool_]]
    faults: tuple[Fault, ...]

    def key(self, row: int) -> str:
        """Return the name of a row: its company, or its place in the file if the id is none."""
        name = self.table.id
        if name in self.cells and not pd.isna(value := self.cells[name].iloc[row]):
            return row_key(name, value)
        return self.source.label(row)

    def fault(self, column: str, expected: str, rows: Positions, found: Iterable[object] = ()) -> Fault:
        """Return the fault of rows whose value in ``column`` is not what was expected."""
        name = self.source.label if column == self.table.id else self.key
        keys = tuple(name(row) for row in rows[:SHOWN_KEYS])
        meant = self.table.columns[column]
        distinct = list(dict.fromkeys(found))
        values = tuple(map(quoted, distinct[:SHOWN_VALUES]))
        if meant.as_is:
            # Names and the like, which are only shown, do not belong in logs: what is wrong and where does.
            values = tuple(dict.fromkeys(map(describe_shown, distinct[:SHOWN_VALUES])))
            keys = tuple(f"{self.key(row)} in {self.source.label(row)}" for row in rows[:SHOWN_KEYS])
            distinct = []
        remedy = self._advice(column, expected, rows, distinct)
        if remedy is None:
            remedy = REMEDIES.get(expected, ROW_REMEDY) + self.table.or_change(meant.key_to_change(expected))
        if any(map(is_missing_word, distinct)):
            remedy += f"; {EMPTY_CELL}" if meant.nullable else f"; {REMEDIES[PRESENT]}"
        return Fault(self.source.file, column, expected, remedy, len(rows), keys, values)

    def _advice(self, column: str, expected: str, rows: Positions, found: list[object]) -> str | None:
        """Return what to do where the values, or their places, show what is wrong; None where they do not."""
        if column == self.table.id and self._are_totals(rows, found):
            return TOTALS_REMEDY
        if expected in (DATE, TIMESTAMP):
            return advise_on_order_of_dates(found) or advise_on_epochs(found)
        advise = self.table.columns[column].advise.get(expected)
        return None if advise is None else advise(self.cells[column], found, self.table.contract_file)

    def _are_totals(self, rows: Positions, found: list[object]) -> bool:
        """Return whether rows without an id of a company are the table's last one, or are called totals."""
        at_end = len(rows) == 1 and rows[0] == len(self.cells) - 1
        return all(map(is_total, found)) if found else at_end


# The bounds below which these types hold every whole number; float64 does below 2**53.
_EXACT_BELOW: Final = {pa.float16(): 2**11, pa.float32(): 2**24}


Formats = Mapping[str, Callable[[str], str]]
"""By column, what rewrites its numbers with a decimal point and without separators."""


def parse_cells(source: Source, table: Table, formats: Formats | None = None) -> ParsedTable:
    """Parse each distinct value of each column once; mark the cells that cannot be parsed.

    Parameters
    ----------
    source
        The columns.
    table
        What they mean.
    formats
        How numbers are written, as `formats_of` finds it. Of a part of a file it is given, as only all rows
        show it; None finds it.
    """
    cells: dict[str, Any] = {}
    unparsed: dict[str, npt.NDArray[np.bool_]] = {}
    bad_cells: list[tuple[str, str, Positions, list[object]]] = []
    faults: list[Fault] = []
    for name, column in source.columns.items():
        meant = table.columns[name]
        parser, dtype = meant.parse, meant.dtype
        try:
            codes, distinct = _encode(column, strip=not meant.as_is)
        except NOT_PLAIN:
            faults.append(_not_plain(source.file, name, column))
            cells[name] = pd.Series([None] * len(column), dtype=dtype).array
            unparsed[name] = np.ones(len(column), dtype=np.bool_)
            continue
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if parser is parse_whole and kind in _EXACT_BELOW:
            parser = partial(parse_whole, exact_below=_EXACT_BELOW[kind])
        parsed, reasons = _parse_distinct(distinct, parser)
        other = bool(reasons) if formats is None else name in formats
        if parser in (parse_number, parse_whole):
            if other:
                parsed, reasons = _parse_in_other_format(
                    source.file, name, distinct, parser, (parsed, reasons), formats
                )
            elif formats is None:
                _warn_of_thousands(source.file, name, distinct)
        # Code -1 (missing) takes the last value.
        cells[name] = pd.Series([*parsed, None], dtype=dtype).array.take(codes)
        unparsed[name] = np.isin(codes, list(reasons))
        for expected in dict.fromkeys(reasons.values()):
            rows = np.flatnonzero(np.isin(codes, [code for code in reasons if reasons[code] == expected]))
            bad_cells.append((name, expected, rows, [distinct[code] for code in codes[rows[:MAX_LOOKED_AT]]]))
    typed = ParsedTable(source, table, pd.DataFrame(cells), unparsed, ())
    faults += [typed.fault(name, expected, rows, found) for name, expected, rows, found in bad_cells]
    return replace(typed, faults=tuple(faults))


NOT_PLAIN: Final = (pa.ArrowException, ValueError, OverflowError, TypeError)
"""What `_encode` raises of values that are not plain."""


def _not_plain(file: str, name: str, column: pa.ChunkedArray) -> Fault:
    remedy = "export the column as plain numbers, text or dates"
    return Fault(file, name, "plain values", remedy, found=(f"type {column.type}"[:MAX_TEXT],))


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


def _encode(column: pa.ChunkedArray, strip: bool) -> tuple[Positions, list[Any]]:
    """Return for each row the position of its value among the distinct ones, -1 where it is missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if not any(is_plain(column.type) for is_plain in PLAIN_TYPES):
        raise TypeError(column.type)
    encoded = column.combine_chunks().dictionary_encode()
    codes: Positions = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct = encoded.dictionary.to_pylist()
    if strip:
        distinct = [value.strip() if isinstance(value, str) else value for value in distinct]
    missing = [code for code, value in enumerate(distinct) if _is_missing(value)]
    codes[np.isin(codes, missing)] = -1
    return codes, distinct


def _is_missing(value: Any) -> bool:
    # Only NaN differs from itself.
    return value is None or (value.strip() in MISSING if isinstance(value, str) else bool(value != value))


Parsed = tuple[list[Any], dict[int, str]]
"""The values, None where they are missing or wrong, and by position what was expected of the wrong ones."""


def _parse_distinct(distinct: list[Any], parser: Parser) -> Parsed:
    parsed: list[Any] = []
    reasons: dict[int, str] = {}
    for code, value in enumerate(distinct):
        try:
            parsed.append(None if _is_missing(value) else parser(value))
        except BadCellError as error:
            parsed.append(None)
            reasons[code] = str(error)
    return parsed, reasons


def _parse_in_other_format(
    file: str,
    column: str,
    distinct: list[Any],
    parser: Parser,
    as_they_are: Parsed,
    formats: Formats | None,
) -> Parsed:
    """Parse numbers again if all are written with decimal commas, or with separators of thousands."""
    plain = _format(file, column, distinct, parser) if formats is None else formats.get(column)
    if plain is None:
        return as_they_are
    return _parse_distinct([value if _is_missing(value) else plain(value) for value in distinct], parser)


def _written(distinct: list[Any]) -> list[str] | None:
    """Return the numbers of a column as they are written; None if they are not texts."""
    given = [value for value in distinct if not _is_missing(value)]
    return given if all(isinstance(value, str) for value in given) else None


def _format(file: str, column: str, distinct: list[Any], parser: Parser) -> Callable[[str], str] | None:
    given = _written(distinct)
    if given is None:
        return None
    known = format_of(given, lambda text: not _parse_distinct([text], parser)[1])
    if known is None:
        return None
    name, plain = known
    log.warning(
        "all numbers of a column have %s, and are read so",
        name,
        extra={"file": file, "column": column, "found": quoted(max(given, key=len))},
    )
    return plain


def _warn_of_thousands(file: str, column: str, distinct: list[Any]) -> None:
    given = _written(distinct)
    if given is not None and (found := may_have_thousands(given)) is not None:
        log.warning(
            "points are read as decimal points, but may stand between thousands: export numbers without them",
            extra={"file": file, "column": column, "found": quoted(found)},
        )


def formats_of(source: Source, table: Table) -> Formats:
    """Find the columns of a whole file whose numbers have no decimal point alone; log how they are read."""
    found = {}
    for name, column in source.columns.items():
        parser = table.columns[name].parse
        if parser in (parse_number, parse_whole):
            try:
                _, distinct = _encode(column, strip=True)
            except NOT_PLAIN:  # a fault of its own
                continue
            if _parse_distinct(distinct, parser)[1]:
                found[name] = _format(source.file, name, distinct, parser)
            else:
                _warn_of_thousands(source.file, name, distinct)
    return {name: plain for name, plain in found.items() if plain is not None}


def final_types(cells: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Convert a table without faults to its types and order in data/typed; its id column is called ``id``."""
    typed = cells[list(table.columns)].astype({name: each.final for name, each in table.columns.items()})
    return typed.rename(columns={table.id: "id", **table.renamed})
