"""What to do about a column that is wrong in a way that shows the cause, such as days in place of weeks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import pandas as pd

MOST: Final = 0.9
"""The share of rows that have to agree on a cause."""
HALF_A_DAY: Final = pd.Timedelta(hours=12)
LEAST_WEEKDAYS: Final = 3
"""Rows of so many weekdays are not weeks."""
TOTAL_WORDS: Final = frozenset(
    {"total", "totals", "grand total", "subtotal", "total general", "total général"}
    | {"summe", "gesamt", "gesamtsumme", "totale", "totaal", "suma", "suma total", "somme"}
)
"""What spreadsheets and reports call a row of totals, in small letters."""
TOTALS_REMEDY: Final = "if this is a row of totals, remove it; else correct it"
_MONTHS: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_OTHER_DAY: Final = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d\d)\b|\d{4}[./]\d{1,2}[./]\d{1,2}\b", re.ASCII
)
"""The beginning of a date such as 12/31/2019, 31.12.19 or 2019/12/31."""
_DATE_FOR_RANGE: Final = re.compile(rf"\d{{1,2}}-(?:{_MONTHS})|(?:{_MONTHS})-\d{{2}}", re.IGNORECASE)


def is_total(value: object) -> bool:
    """Return whether an id is what a row of totals has in its place."""
    return isinstance(value, str) and value.strip().rstrip(":").casefold() in TOTAL_WORDS


def is_date_for_range(value: object) -> bool:
    """Return whether a text is a date that a spreadsheet makes of a range.

    Examples
    --------
    >>> is_date_for_range("2-May"), is_date_for_range("Nov-50"), is_date_for_range("2 to 9")
    (True, True, False)
    """
    return isinstance(value, str) and _DATE_FOR_RANGE.fullmatch(value.strip()) is not None


def advise_on_order_of_dates(found: Iterable[object]) -> str | None:
    """Return what to do where all values are days in another order or with other marks, None elsewhere.

    Examples
    --------
    >>> advise_on_order_of_dates(["12/31/2019", "1.2.19"])
    'export the dates of this column as year-month-day, with hyphens'
    >>> advise_on_order_of_dates(["12/31/2019", "yesterday"])
    """
    values = [*found]
    if not values or not all(isinstance(each, str) and _OTHER_DAY.match(each.strip()) for each in values):
        return None
    return "export the dates of this column as year-month-day, with hyphens"


EPOCHS: Final = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
FIRST_SECOND: Final = 946_684_800
"""Of the year 2000, since 1970."""
LAST_SECOND: Final = 4_102_444_800
"""Of the year 2100."""


def advise_on_epochs(found: Iterable[object]) -> str | None:
    """Return what to do where all values are numbers that count time since 1970, None elsewhere.

    Examples
    --------
    >>> advise_on_epochs(["1731888000"])
    'these look like seconds since 1970, which are not read: export dates, such as 2024-11-18 for 1731888000'
    >>> advise_on_epochs([1731888000000, 7])
    """
    try:
        values = [int(str(each).removesuffix(".0")) for each in found]
    except ValueError:
        return None
    for unit, a_second in EPOCHS.items():
        seconds = [value // a_second for value in values]
        if values and all(FIRST_SECOND <= each < LAST_SECOND for each in seconds):
            day = f"{pd.Timestamp(seconds[0], unit='s'):%Y-%m-%d}"
            return (
                f"these look like {unit} since 1970, which are not read: export dates, such as {day} for "
                f"{values[0]}"
            )
    return None


def advise_on_dates_for_ranges(
    _: pd.Series[Any], found: Iterable[object], contract_file: str | None
) -> str | None:
    """Return what to do about ranges such as 2-5 that a spreadsheet has made dates of, None if it has not."""
    del contract_file
    if not any(map(is_date_for_range, found)):
        return None
    return (
        "a spreadsheet has made dates of ranges, such as 2-May of 2-5: export the table again, and not "
        "through a spreadsheet, or format the column as text before you fill it in"
    )


def advise_on_weeks(
    starts: Literal["monday", "sunday"],
    times: pd.Series[Any],
    _: Iterable[object],
    contract_file: str | None,
) -> str | None:
    """Return what to do where most of a column are no first days of weeks, None where a few are not.

    Parameters
    ----------
    starts
        The contract's ``usage.week_starts``.
    times
        All parsed times of the column; missing where they could not be parsed.
    contract_file
        The contract's file, None if it is not the user's to change.
    """
    known = times.dropna()
    days, midnight = known.dt.day_of_week, known == known.dt.normalize()
    first, other_first, other = (0, 6, "sunday") if starts == "monday" else (6, 0, "monday")
    if known.empty or (midnight & (days == first)).mean() > 1 / 2:
        return None
    if (midnight & (days == other_first)).mean() >= MOST:
        change = _set("usage.week_starts", other, contract_file)
        return f"if weeks start on {other.title()}, {change}; if that is their last day, export the first"
    if (known + HALF_A_DAY).dt.day_of_week.eq(first).mean() >= MOST:
        return "the weeks' first days look shifted by a time zone: export days without a time"
    if days.nunique() < LEAST_WEEKDAYS:
        return None
    kind = "days" if midnight.mean() >= MOST else "single events"
    grain = "day" if midnight.mean() >= MOST else "event (or day, if rows have counts)"
    return f"these look like rows of {kind}, not of weeks: {_set('usage.grain', grain, contract_file)}"


def _set(key: str, value: str, contract_file: str | None) -> str:
    if contract_file is None:
        return f"use a contract of your own, in which {key} is {value}"
    return f"set {key} to {value} in {contract_file}"
