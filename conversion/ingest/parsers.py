"""Parsers of single values: text and Parquet values to typed ones, or what was expected instead."""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from conversion.ingest.faults import (
    ALL_DIGITS,
    DATE,
    FINITE,
    MAX_SHOWN,
    MAX_TEXT,
    NAIVE,
    NUMBER,
    SHOWN_TEXT,
    TEXT,
    TEXT_ID,
    TIMESTAMP,
    WHOLE,
    BadCellError,
    one_of,
)

Parser = Callable[[Any], Any]
"""Takes a value that is not missing, text without white space around it."""

NUMBER_PATTERN: Final = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
WHOLE_PATTERN: Final = r"[+-]?\d{1,18}(?:\.0*)?"
_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def parse_number(value: Any, expected: str = NUMBER) -> float:
    """Parse a finite number with a decimal point."""
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
_WHOLE = re.compile(WHOLE_PATTERN, re.ASCII)


def parse_whole(value: Any, exact_below: int = 2**53) -> int:
    """Parse a whole number; a float only below ``exact_below``, where its type holds every whole number."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _WHOLE.fullmatch(value) else _parse_exponent(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE:
        return value
    number = parse_number(value, WHOLE)
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
    parse_number(text, WHOLE)
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
_ZONED = re.compile(
    rf"(?P<moment>{_DATE.pattern})\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)", re.ASCII | re.IGNORECASE
)


def parse_timestamp(value: Any, expected: str = TIMESTAMP) -> dt.datetime:
    """Parse a date, with a time of day or without, in no time zone."""
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


def zoned_parser(zone: str) -> Parser:
    """Make the parser of timestamps in a time zone: those with a zone or an offset are converted to it.

    UTC is what a contract has that states no zone: there, zones and offsets are refused.
    """
    return parse_timestamp if zone == "UTC" else converting_parser(zone)


def converting_parser(zone: str) -> Parser:
    """Make the parser of timestamps that converts those with a zone or an offset to a time zone, UTC too."""
    own = zoneinfo.ZoneInfo(zone)

    def parse_zoned(value: Any) -> dt.datetime:
        if isinstance(value, str) and (found := _ZONED.fullmatch(value)):
            moment = parse_timestamp(found["moment"])
            zone_of = found["zone"] if found["zone"][0] in "+-" else "+00"
            try:
                offset = dt.datetime.fromisoformat(f"2000-01-01 00:00{zone_of}")
            except ValueError as error:
                raise BadCellError(TIMESTAMP) from error
            value = moment.replace(tzinfo=offset.tzinfo)
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.astimezone(own).replace(tzinfo=None)
        return parse_timestamp(value)

    return parse_zoned


def parse_day(value: Any) -> dt.datetime:
    """Parse a day. The time of day is dropped, which changes no label, as weeks start at midnight."""
    return dt.datetime.combine(parse_timestamp(value, DATE).date(), dt.time())


def day_parser(zone: str) -> Parser:
    """Make the parser of days; moments with a zone or an offset are days of a time zone."""
    parse = converting_parser(zone)

    def parse_day_in_zone(value: Any) -> dt.datetime:
        try:
            return dt.datetime.combine(parse(value).date(), dt.time())
        except BadCellError as error:
            raise BadCellError(DATE) from error

    return parse_day_in_zone


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_text(value: Any) -> str:
    """Return text of at most `MAX_TEXT` characters without control characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or _CONTROL.search(value):
        raise BadCellError(TEXT)
    return value


def parse_word(value: Any) -> str:
    """Return a word, number or truth value as text, as a CSV would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return parse_text(str(value) if isinstance(value, int | float) else value)


def parse_text_id(value: Any) -> str:
    """Parse an id that is text; a whole number, as Parquet may have it, is its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or _CONTROL.search(value):
        raise BadCellError(TEXT_ID)
    return value


def parse_shown(value: Any) -> str:
    """Return what is only shown as text: text as it is, dates and numbers as a CSV would have them."""
    if isinstance(value, dt.datetime):
        text = value.isoformat(" ").removesuffix(" 00:00:00")
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))
    else:
        text = str(value)
    if len(text) > MAX_SHOWN or _CONTROL.search(text):
        raise BadCellError(SHOWN_TEXT)
    return text


def describe_shown(value: object) -> str:
    """Say what is wrong with a value that `parse_shown` refuses, without the text itself."""
    text = str(value)
    bad = _CONTROL.search(text)
    if bad is None:
        return f"{len(text)} characters"
    name = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}.get(bad[0], "a control character")
    return f"{name} ({bad[0]!r}) at character {bad.start() + 1} of {len(text)}"


_YES_NO: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def flag_parser(yes: Iterable[str], no: Iterable[str]) -> Parser:
    """Make the parser of a flag.

    Parameters
    ----------
    yes, no
        The contract's words, in any case; truth values and 0 or 1 are read too, unless they are among these.
    """
    words = _YES_NO | {word.strip().casefold(): True for word in yes}
    words |= {word.strip().casefold(): False for word in no}
    expected = one_of((*yes, *no))

    def parse_flag(value: Any) -> bool:
        found = words.get(str(value).casefold())
        if found is None:
            raise BadCellError(expected)
        return found

    return parse_flag
