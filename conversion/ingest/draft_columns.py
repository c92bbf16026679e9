"""What a column of text holds: numbers, dates, ranges, yes and no, or text; for the draft of a contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conversion.ingest.cells import is_missing_word

Kind = Literal["empty", "date", "whole", "decimal", "text"]
ENOUGH: Final = 0.99
"""Share of the values that must be of a kind; the others may be faults, which load reports."""
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+", re.ASCII)
_CURRENCY = re.compile(r"^[$€£¥]\s*|\s*[$€£¥]$")
_LEADING_ZERO = re.compile(r"0\d+", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?", re.ASCII)
ZONED: Final = "with a time zone"
"""`Column.style` of ISO dates with a zone or an offset."""
EPOCHS: Final = {
    "s": "in seconds since 1970",
    "ms": "in milliseconds since 1970",
    "us": "in microseconds since 1970",
}
"""By NumPy's unit, `Column.style` of times that are whole numbers."""
_EPOCH_YEARS: Final = np.array(["1990", "2100"], dtype="datetime64[s]").astype(np.int64)
_TIME_WORDS: Final = {
    *("ts", "time", "timestamp", "datetime", "date", "day", "at", "on", "when"),
    *("since", "until", "from", "to"),
    *("epoch", "unix", "created", "updated", "started", "ended", "start", "end", "occurred"),
    *("horodatage", "depuis", "datum", "zeit", "zeitpunkt", "seit", "fecha", "hora", "desde", "data"),
}
"""Words in names of times; whole numbers with other names may be ids."""
_OTHER_DAYS: Final = (
    ("31.12.2019", r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    ("31/12/2019", r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    ("12/31/2019", r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y"),
    ("2019/12/31", r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
)
_TIMES: Final = (
    ("", "", ""),
    (" 14:05", r" \d{1,2}:\d\d", " %H:%M"),
    (" 14:05:59", r" \d{1,2}:\d\d:\d\d", " %H:%M:%S"),
    (" 2:05 PM", r" \d{1,2}:\d\d [AaPp][Mm]", " %I:%M %p"),
    (" 2:05:59 PM", r" \d{1,2}:\d\d:\d\d [AaPp][Mm]", " %I:%M:%S %p"),
)
_OTHER_DATES: Final = tuple(
    (day + time, re.compile(day_pattern + time_pattern), day_layout + time_layout)
    for day, day_pattern, day_layout in _OTHER_DAYS
    for time, time_pattern, time_layout in _TIMES
)


def words(name: str) -> list[str]:
    """Split a column's name into words, in small letters.

    Examples
    --------
    >>> words("accountId"), words("CLOSE_DATE")
    (['account', 'id'], ['close', 'date'])
    """
    return [word.casefold() for word in parts(name)]


def parts(name: str) -> list[str]:
    """Split a name into words as they are written."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name))


def begins(name: str, hints: tuple[str, ...]) -> int | None:
    """Return the place of the first hint that a word of the name begins with; None: of none."""
    found = words(name)
    return next((place for place, hint in enumerate(hints) if any(w.startswith(hint) for w in found)), None)


@dataclass(frozen=True)
class Column:
    """One column: its distinct values, and which of them is in each row."""

    name: str
    codes: NDArray[np.int64]
    """By row, the position in ``levels``; -1 where missing or a word for that."""
    levels: tuple[str, ...]
    missing_words: tuple[str, ...]
    """Words such as ``n/a`` that were found."""
    kind: Kind
    parsed: NDArray[Any]
    """By level: float64 of numbers, datetime64 of dates, empty for text."""
    style: str
    """How numbers or dates are written where load might not read them so; else empty."""
    is_part: bool = False
    """Whether the table has more rows than were looked at."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each row has a value."""
        return self.codes >= 0

    @cached_property
    def rows(self) -> int:
        """How many rows have a value."""
        return int(self.present.sum())

    @property
    def filled(self) -> float:
        """Share of rows with a value."""
        return self.rows / max(len(self.codes), 1)

    @property
    def uniqueness(self) -> float:
        """Distinct values for each row with a value: 1 for a key."""
        return len(self.levels) / max(self.rows, 1)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many rows have each level."""
        return np.bincount(self.codes[self.present], minlength=len(self.levels))

    @cached_property
    def values(self) -> NDArray[Any]:
        """By row, the number or date, NaN or NaT where missing."""
        nothing = np.datetime64("NaT") if self.kind == "date" else np.nan
        return np.append(self.parsed, np.array([nothing], dtype=self.parsed.dtype))[self.codes]

    @cached_property
    def keys(self) -> frozenset[str]:
        """The distinct values as ids: ``12.0``, as floats are written, is ``12``."""
        return frozenset(
            re.sub(r"(?<=\d)\.0*$", "", level) if "." in level else level for level in self.levels
        )

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in ("whole", "decimal")


def is_refused_date(column: Column) -> bool:
    """Return whether these are dates that ``load`` does not read; those with a time zone are converted."""
    return column.kind == "date" and column.style not in ("", ZONED)


def note_on_dates(column: Column) -> str:
    """Say what ``load`` does with dates in another style than ``2019-12-31``."""
    advice = "load reads dates like 2019-12-31"
    if column.style == ZONED:
        advice = "load converts them to usage.time_zone; of grain week, only if that is not UTC"
    return f"{column.name}: dates {column.style}; {advice}"


def describe(name: str, texts: pd.Series[Any], is_part: bool = False) -> Column:
    """Look at a column of text.

    Parameters
    ----------
    name
        The column's name.
    texts
        By row its text, None or NaN where missing.
    is_part
        Whether the table has more rows.
    """
    codes, found = pd.factorize(texts.to_numpy(dtype=object), use_na_sentinel=True)
    stripped = [str(value).strip() for value in found]
    missing = {place for place, level in enumerate(stripped) if _says_nothing(level)}
    kept = sorted({level for place, level in enumerate(stripped) if place not in missing})
    places = {level: place for place, level in enumerate(kept)}
    table = np.array([-1 if at in missing else places[level] for at, level in enumerate(stripped)] + [-1])
    codes = table[codes].astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(kept))
    kind, parsed, style = _parse(kept, counts)
    if kind == "whole" and (epoch := _epoch(name, parsed, counts)) is not None:
        kind, (parsed, style) = "date", epoch
    missing_words = tuple(sorted({stripped[place] for place in missing} - {""}))
    return Column(name, codes, tuple(kept), missing_words, kind, parsed, style, is_part)


def _says_nothing(level: str) -> bool:
    # Most levels of long columns are numbers: a look at the first character is quicker.
    return not level or (not level[0].isdigit() and is_missing_word(level))


def _parse(levels: list[str], counts: NDArray[np.int64]) -> tuple[Kind, NDArray[Any], str]:
    nothing = np.empty(0)
    if not levels:
        return "empty", np.empty(0), ""
    if any(level[0] == "0" and _LEADING_ZERO.fullmatch(level) for level in levels):
        return "text", nothing, ""
    total = counts.sum()
    numbers, style = _numbers(levels)
    if counts[~np.isnan(numbers)].sum() >= ENOUGH * total:
        known = numbers[~np.isnan(numbers)]
        kind: Kind = "whole" if (known == np.round(known)).all() else "decimal"
        return kind, numbers, style
    for days, style in _dates(levels):
        if counts[~np.isnat(days)].sum() >= ENOUGH * total:
            return "date", days, style
    return "text", nothing, ""


def _epoch(
    name: str, numbers: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[Any], str] | None:
    """Read whole numbers as times since 1970; None where they are not called and sized so."""
    if not set(words(name)) & _TIME_WORDS:
        return None
    for power, (unit, style) in enumerate(EPOCHS.items()):
        first, last = _EPOCH_YEARS * 1000**power
        within = (numbers >= first) & (numbers < last)
        if counts[within].sum() >= ENOUGH * counts.sum():
            times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[us]")
            times[within] = numbers[within].astype(np.int64).astype(f"datetime64[{unit}]")
            return times, style
    return None


def _numbers(levels: list[str]) -> tuple[NDArray[np.float64], str]:
    texts = pa.array(levels, pa.string())
    if pc.all(pc.match_substring_regex(texts, f"^({_PLAIN_NUMBER.pattern})$")).as_py():
        return _finite(np.array(levels, dtype=np.float64)), ""
    numbers, styles = np.full(len(levels), np.nan), set()
    amounts = [_CURRENCY.sub("", level) for level in levels]
    comma = any(_COMMA.fullmatch(amount) and not _GROUPED.fullmatch(amount) for amount in amounts)
    for place, (written, level) in enumerate(zip(levels, amounts, strict=True)):
        if level != written:
            styles.add("with a currency sign")
        if _PLAIN_NUMBER.fullmatch(level):
            numbers[place] = float(level)
        elif comma and _COMMA.fullmatch(level):
            styles.add("with a decimal comma")
            numbers[place] = float(level.replace(".", "").replace(",", "."))
        elif _GROUPED.fullmatch(level):
            styles.add("with thousands separators")
            numbers[place] = float(level.replace(",", ""))
    return _finite(numbers), " and ".join(sorted(styles))


def _finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isinf(numbers), np.nan, numbers)


def _dates(levels: list[str]) -> list[tuple[NDArray[Any], str]]:
    """Read levels as dates in each way of writing them that the first ones fit."""
    found = []
    if any(_ISO.fullmatch(level) for level in levels[:100]):
        iso = [level if _ISO.fullmatch(level) else None for level in levels]
        days = pd.to_datetime(pd.Series(iso, dtype=object), format="ISO8601", errors="coerce", utc=True)
        zoned = any(re.search(r"[ T].*(Z|UTC|[+-]\d\d:?\d\d)$", level) for level in levels[:100])
        found.append((_naive(days.dt.tz_localize(None)), ZONED if zoned else ""))
    for example, pattern, layout in _OTHER_DATES:
        if any(pattern.fullmatch(level) for level in levels[:100]):
            days = pd.to_datetime(pd.Series(levels, dtype=object), format=layout, errors="coerce")
            found.append((_naive(days), f"like {example}"))
    return found


def _naive(days: pd.Series[Any]) -> NDArray[Any]:
    return days.to_numpy().astype("datetime64[us]")
