"""Parsing of cells: text and Parquet values to typed ones, and each cell that cannot be parsed as a fault."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from conversion.config import contract
from conversion.ingest.faults import (
    ALL_DIGITS,
    DATE,
    EMPTY_CELL,
    FINITE,
    MAX_LOOKED_AT,
    MAX_TEXT,
    NAIVE,
    NUMBER,
    PRESENT,
    REMEDIES,
    ROW_REMEDY,
    SHOWN_KEYS,
    SHOWN_VALUES,
    TEXT,
    TIMESTAMP,
    WHOLE,
    BadCellError,
    Fault,
    Positions,
    quoted,
)
from conversion.ingest.tables import Source

Parser = Callable[[Any], Any]
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
    cells: pd.DataFrame
    unparsed: dict[str, npt.NDArray[np.bool_]]
    faults: tuple[Fault, ...]

    def key(self, row: int) -> str:
        """Return the name of a row: its company, or its place in the file if the id is none."""
        if "id" in self.cells and not pd.isna(value := self.cells["id"].iloc[row]):
            return f"id {value}"
        return self.source.label(row)

    def fault(self, column: str, expected: str, rows: Positions, found: Iterable[object] = ()) -> Fault:
        """Return the fault of rows whose value in ``column`` is not what was expected."""
        name = self.source.label if column == "id" else self.key
        keys = tuple(name(row) for row in rows[:SHOWN_KEYS])
        distinct = list(dict.fromkeys(found))
        values = tuple(map(quoted, distinct[:SHOWN_VALUES]))
        remedy = REMEDIES.get(expected, ROW_REMEDY)
        if any(map(is_missing_word, distinct)):
            remedy += f"; {EMPTY_CELL}" if column in contract.FIRMOGRAPHICS else f"; {REMEDIES[PRESENT]}"
        return Fault(self.source.file, column, expected, remedy, len(rows), keys, values)


_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def _parse_number(value: Any, expected: str = NUMBER) -> float:
    if isinstance(value, str):
        if _INFINITE.fullmatch(value):
            raise BadCellError(FINITE)
        if not _NUMBER.fullmatch(value):
            raise BadCellError(expected)
    elif isinstance(value, bool | dt.date):
        raise BadCellError(expected)
    number = float(value)
    if not math.isfinite(number):
        raise BadCellError(FINITE)
    return number


_MAX_WHOLE = 10**18
_WHOLE = re.compile(r"[+-]?\d{1,18}(?:\.0*)?", re.ASCII)


def _parse_whole(value: Any, exact_below: int = 2**53) -> int:
    """Parse a whole number; a float only below ``exact_below``, where its type holds every whole number."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _WHOLE.fullmatch(value) else _parse_exponent(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE:
        return value
    number = _parse_number(value, WHOLE)
    if abs(number) >= exact_below:
        raise BadCellError(ALL_DIGITS)
    if not number.is_integer():
        raise BadCellError(WHOLE)
    return int(number)


_EXPONENT = re.compile(r"[+-]?\d*(?:\.(?P<decimals>\d*))?[eE](?P<exponent>[+-]?\d{1,4})", re.ASCII)
_ROUND_IN_R = re.compile(r"[+-]?\de\+?0{0,2}[0-5]", re.ASCII)


def _parse_exponent(text: str) -> int:
    """Parse a whole number with an exponent, unless digits of it may have been lost.

    No digit is lost where the decimals reach down to the units: ``1.89945123456E+11``. But ``1.89945E+11``
    may be any of a million numbers, since spreadsheets and C's ``%g`` round long ones to six digits, and
    spreadsheets write ``1.6E+07`` or ``1E+05`` for numbers in a narrow column. One digit, a lower-case ``e``
    and an exponent up to 5 is not rounded: R writes round numbers as ``1e+05``, while ``%g`` writes six
    digits in full, and spreadsheets use a capital ``E``.
    """
    _parse_number(text, WHOLE)
    parts = _EXPONENT.fullmatch(text)
    if parts is None:
        raise BadCellError(WHOLE)
    if len(parts["decimals"] or "") < int(parts["exponent"]) and not _ROUND_IN_R.fullmatch(text):
        raise BadCellError(ALL_DIGITS)
    number = Decimal(text)
    if number != number.to_integral_value() or abs(number) >= _MAX_WHOLE:
        raise BadCellError(WHOLE)
    return int(number)


_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?", re.ASCII)
_ZONED = re.compile(_DATE.pattern + r"\s?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)", re.ASCII | re.IGNORECASE)


def _parse_timestamp(value: Any, expected: str = TIMESTAMP) -> dt.datetime:
    if isinstance(value, str):
        if not _DATE.fullmatch(value):
            raise BadCellError(NAIVE if _ZONED.fullmatch(value) else expected)
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise BadCellError(expected) from error
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            raise BadCellError(NAIVE)
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    raise BadCellError(expected)


def _parse_day(value: Any) -> dt.datetime:
    """Parse a day. The time of day is dropped, which changes no label, as weeks start at midnight."""
    return dt.datetime.combine(_parse_timestamp(value, DATE).date(), dt.time())


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _parse_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or _CONTROL.search(value):
        raise BadCellError(TEXT)
    return value


PARSERS: Final[dict[str, tuple[Parser, str]]] = {
    "id": (_parse_whole, "Int64"),
    "CLOSEDATE": (_parse_day, "datetime64[us]"),
    "WHEN_TIMESTAMP": (_parse_timestamp, "datetime64[us]"),
    "MRR": (_parse_number, "float64"),
    "ALEXA_RANK": (_parse_whole, "Int64"),
    "EMPLOYEE_RANGE": (_parse_text, "str"),
    "INDUSTRY": (_parse_text, "str"),
    **dict.fromkeys(contract.MEASURES, (_parse_whole, "Int64")),
}
# The bounds below which these types hold every whole number; float64 does below 2**53.
_EXACT_BELOW: Final = {pa.float16(): 2**11, pa.float32(): 2**24}


def parse_cells(source: Source) -> ParsedTable:
    """Parse each distinct value of each column once; mark the cells that cannot be parsed."""
    cells: dict[str, Any] = {}
    unparsed: dict[str, npt.NDArray[np.bool_]] = {}
    bad_cells: list[tuple[str, str, Positions, list[object]]] = []
    faults: list[Fault] = []
    for name, column in source.columns.items():
        parser, dtype = PARSERS[name]
        try:
            codes, distinct = _encode(column)
        except (pa.ArrowException, ValueError, OverflowError, TypeError):
            faults.append(_not_plain(source.file, name, column))
            cells[name] = pd.Series([None] * len(column), dtype=dtype).array
            unparsed[name] = np.ones(len(column), dtype=np.bool_)
            continue
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if parser is _parse_whole and kind in _EXACT_BELOW:
            parser = partial(_parse_whole, exact_below=_EXACT_BELOW[kind])
        parsed, reasons = _parse_distinct(distinct, parser)
        # Code -1 (missing) takes the last value.
        cells[name] = pd.Series([*parsed, None], dtype=dtype).array.take(codes)
        unparsed[name] = np.isin(codes, list(reasons))
        for expected in dict.fromkeys(reasons.values()):
            rows = np.flatnonzero(np.isin(codes, [code for code in reasons if reasons[code] == expected]))
            bad_cells.append((name, expected, rows, [distinct[code] for code in codes[rows[:MAX_LOOKED_AT]]]))
    typed = ParsedTable(source, pd.DataFrame(cells), unparsed, ())
    faults += [typed.fault(name, expected, rows, found) for name, expected, rows, found in bad_cells]
    return replace(typed, faults=tuple(faults))


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


def _encode(column: pa.ChunkedArray) -> tuple[Positions, list[Any]]:
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
    distinct = [value.strip() if isinstance(value, str) else value for value in distinct]
    missing = [code for code, value in enumerate(distinct) if _is_missing(value)]
    codes[np.isin(codes, missing)] = -1
    return codes, distinct


def _is_missing(value: Any) -> bool:
    # Only NaN differs from itself.
    return value is None or value in MISSING or bool(value != value)


def _parse_distinct(distinct: list[Any], parser: Parser) -> tuple[list[Any], dict[int, str]]:
    parsed: list[Any] = []
    reasons: dict[int, str] = {}
    for code, value in enumerate(distinct):
        try:
            parsed.append(None if _is_missing(value) else parser(value))
        except BadCellError as error:
            parsed.append(None)
            reasons[code] = str(error)
    return parsed, reasons


def final_types(table: pd.DataFrame) -> pd.DataFrame:
    """Convert a table without faults: whole numbers to int64, the Alexa rank to float64."""
    whole = [name for name in table if name == "id" or name in contract.MEASURES]
    ranks = {"ALEXA_RANK": "float64"} if "ALEXA_RANK" in table else {}
    return table.astype(dict.fromkeys(whole, "int64") | ranks)
