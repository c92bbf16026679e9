"""Numbers, days and names as people read them: the same in every locale."""

from __future__ import annotations

import datetime as dt
from typing import Final

from conversion.features.words import MONTHS, capitalised, day_of
from conversion.modelling.doubts import RULE_NAMES

RANKERS: Final = {
    "probability": "the model",
    "summary_only": "a model that knows lifetime totals only",
    "users_rule": f"the rule: {RULE_NAMES['users_rule']}",
    "actions_rule": f"the rule: {RULE_NAMES['actions_rule']}",
    "random": "random order",
    "oracle": "the best possible order, known of the sample alone",
}
"""What the columns are called that the backtest ranks by."""
UNKNOWN: Final = "-"
"""Stands for a number that is not known."""


def percent(share: float | None) -> str:
    """Write a share as per cent, with two significant digits below 10.

    Examples
    --------
    >>> percent(0.524), percent(0.0964), percent(0.0025), percent(0.0), percent(0.00001), percent(None)
    ('52 %', '9.6 %', '0.25 %', '0 %', '0.001 %', '-')
    """
    if share is None:
        return UNKNOWN
    value = share * 100.0
    if value == 0.0:
        return "0 %"
    if value >= 9.95:
        return f"{value:.0f} %"
    decimals = next((places for places in range(1, 5) if abs(value) >= 10.0 ** (1 - places) - 1e-12), 5)
    text = f"{value:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.')} %" if "." in text else f"{text} %"


def percent_interval(low: float | None, high: float | None) -> str:
    """Write an interval of shares.

    Examples
    --------
    >>> percent_interval(0.44, 0.587), percent_interval(None, None)
    ('44 % to 59 %', '-')
    """
    return UNKNOWN if low is None or high is None else f"{percent(low)} to {percent(high)}"


def of_hundred(share: float | None) -> str:
    """Write a share as a count of one hundred.

    Examples
    --------
    >>> of_hundred(0.524), of_hundred(0.004), of_hundred(0.0)
    ('52 of 100', 'fewer than 1 of 100', '0 of 100')
    """
    if share is None:
        return UNKNOWN
    if 0.0 < share < 0.005:
        return "fewer than 1 of 100"
    return f"{share * 100.0:.0f} of 100"


def count(value: float | None) -> str:
    """Write a whole number with commas.

    Examples
    --------
    >>> count(715498), count(-12), count(None)
    ('715,498', '-12', '-')
    """
    return UNKNOWN if value is None else f"{value:,.0f}"


def decimal(value: float | None, places: int = 2) -> str:
    """Write a number with a fixed number of decimals.

    Examples
    --------
    >>> decimal(1.1258), decimal(None)
    ('1.13', '-')
    """
    return UNKNOWN if value is None else f"{value:,.{places}f}"


def money(value: float | None, currency: str = "") -> str:
    """Write an amount, without cents from 100 on.

    Examples
    --------
    >>> money(170.67, "USD"), money(12.5, "EUR"), money(522000.0), money(None, "EUR")
    ('USD 171', 'EUR 12.50', '522,000', '-')
    """
    if value is None:
        return UNKNOWN
    text = f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:,.2f}"
    return f"{currency} {text}" if currency else text


def plural(number: int, singular: str, several: str | None = None) -> str:
    """Write a count and its noun.

    Examples
    --------
    >>> plural(1, "list"), plural(37, "list"), plural(2, "company", "companies")
    ('1 list', '37 lists', '2 companies')
    """
    return f"{number:,} {singular if number == 1 else several or f'{singular}s'}"


def long_day(day: str) -> str:
    """Write a day.

    Examples
    --------
    >>> long_day("2020-04-27")
    '27 April 2020'
    """
    return day_of(dt.date.fromisoformat(day[:10]))


def short_day(day: str) -> str:
    """Write a day without its year.

    Examples
    --------
    >>> short_day("2020-04-27")
    '27 Apr'
    """
    read = dt.date.fromisoformat(day[:10])
    return f"{read.day} {MONTHS[read.month - 1][:3]}"


def month_of(day: str) -> str:
    """Write the month of a day.

    Examples
    --------
    >>> month_of("2020-04-27"), month_of("2020-04")
    ('Apr 2020', 'Apr 2020')
    """
    year, month = day.split("-")[:2]
    return f"{MONTHS[int(month) - 1][:3]} {year}"


def words_of(column: str) -> str:
    """Write a column's name as people would.

    Examples
    --------
    >>> words_of("account_owner"), words_of("ID")
    ('Account owner', 'ID')
    """
    text = " ".join(column.replace("_", " ").split())
    return capitalised(text)


def moved(rank: int, before: int | None) -> str:
    """Say where a company was on the list before.

    Examples
    --------
    >>> moved(3, None), moved(3, 3), moved(3, 15), moved(15, 3)
    ('new', 'same place', 'up from 15', 'down from 3')
    """
    if before is None:
        return "new"
    if before == rank:
        return "same place"
    return f"{'up' if rank < before else 'down'} from {before:,}"


def tier_words(tier: str) -> str:
    """Write a tier.

    Examples
    --------
    >>> tier_words("very_high")
    'very high'
    """
    return tier.replace("_", " ")
