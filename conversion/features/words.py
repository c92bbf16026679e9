"""Counts, weeks and names as people say them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from conversion.config.contract_types import VALUE

_IN_WORDS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    "twelve",
)
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_WEEKS_IN_A_YEAR: Final = 52
_DAYS_IN_WEEKS: Final = 14  # from so many days on, weeks are said
MOST_CHARACTERS: Final = 40
"""Length of a contract's word or level in a sentence, so that the sentence stays one."""


def day_of(day: dt.date) -> str:
    """Write a day, the same in every locale.

    Examples
    --------
    >>> day_of(dt.date(2020, 4, 27))
    '27 April 2020'
    """
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def number(count: float) -> str:
    """Write a whole number: up to twelve in words.

    Examples
    --------
    >>> number(12), number(13), number(1234.0)
    ('twelve', '13', '1,234')
    """
    return _IN_WORDS[int(count)] if 0 <= count < len(_IN_WORDS) else f"{count:,.0f}"


def amount(value: float) -> str:
    """Write a number with two decimals where it has some, or as many as show that it is not zero.

    Examples
    --------
    >>> amount(1234.0), amount(0.5), amount(0.00034), amount(-2.0)
    ('1,234', '0.50', '0.00034', '-2')
    """
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:,.2f}"


def counted(count: float, one: str, many: str) -> str:
    """Write a count of things.

    Examples
    --------
    >>> counted(0, "action", "actions"), counted(1, "person", "people"), counted(40, "action", "actions")
    ('no actions', 'one person', '40 actions')
    """
    return f"{'no' if count == 0 else number(count)} {one if count == 1 else many}"


def weeks_ago(weeks: float) -> str:
    """Say when a week began; 1 is last week.

    Examples
    --------
    >>> weeks_ago(1), weeks_ago(2), weeks_ago(14), weeks_ago(60), weeks_ago(110)
    ('last week', 'two weeks ago', '14 weeks ago', 'over a year ago', 'over two years ago')
    """
    if weeks <= _WEEKS_IN_A_YEAR:
        return "last week" if weeks == 1 else f"{number(weeks)} weeks ago"
    return f"over {_years((weeks - 1) // _WEEKS_IN_A_YEAR)} ago"


def in_last_weeks(weeks: float) -> str:
    """Say since when something has not happened.

    Examples
    --------
    >>> in_last_weeks(1), in_last_weeks(3), in_last_weeks(60)
    ('last week', 'in the last three weeks', 'in over a year')
    """
    if weeks <= _WEEKS_IN_A_YEAR:
        return "last week" if weeks == 1 else f"in the last {number(weeks)} weeks"
    return f"in over {_years((weeks - 1) // _WEEKS_IN_A_YEAR)}"


def days_ago(days: float) -> str:
    """Say how long ago a day was.

    Examples
    --------
    >>> days_ago(1), days_ago(13), days_ago(45), days_ago(800)
    ('one day ago', '13 days ago', 'six weeks ago', 'over two years ago')
    """
    if days < _DAYS_IN_WEEKS:
        return f"{counted(days, 'day', 'days')} ago"
    return weeks_ago(days // 7)


def _years(years: float) -> str:
    return "a year" if years == 1 else f"{number(years)} years"


def listed(names: Sequence[str]) -> str:
    """Join names.

    Examples
    --------
    >>> listed(["deals"]), listed(["contacts", "deals", "email"])
    ('deals', 'contacts, deals and email')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def capitalised(text: str) -> str:
    """Return text with a capital at its start."""
    return text[:1].upper() + text[1:]


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    r"""Return a word of a contract on one line, cut where it has more than so many characters.

    Examples
    --------
    >>> plain("deals\n and\t offers"), len(plain("x" * 99))
    ('deals and offers', 40)
    """
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if not line:
        return "blank"
    return line if len(line) <= most else line[: most - 3].rstrip() + "..."


def filled(sentence: str) -> Callable[[str], str]:
    """Return what puts a value in its place in a contract's sentence; no other braces have a meaning.

    Examples
    --------
    >>> filled("They have {value} seats {sic}")("12")
    'They have 12 seats {sic}'
    """
    before, _, after = sentence.partition(VALUE)
    return lambda value: f"{before}{value}{after}"


def spoken(name: str, say: str | None) -> str:
    """Return what to call something that a contract has under a name.

    Examples
    --------
    >>> spoken("TEAM_CHAT", "chat"), spoken("TEAM_CHAT", None), spoken("headCount", None)
    ('chat', 'team chat', 'headCount')
    """
    if say is not None:
        return plain(say)
    words = plain(name.replace("_", " "))
    return words.lower() if words.isupper() else words


def is_plural(words: str) -> bool:
    """Return whether a name is most likely of several things.

    Examples
    --------
    >>> [is_plural(each) for each in ("employees", "open tasks", "people", "status", "web rank", "class")]
    [True, True, True, False, False, False]
    """
    last = words.rpartition(" ")[2].casefold()
    if last == "people":
        return True
    return last.isalpha() and len(last) > 3 and last.endswith("s") and not last.endswith(("ss", "us", "is"))


def singular(words: str) -> str:
    """Return what one of several things is called.

    Examples
    --------
    >>> singular("employees"), singular("companies"), singular("people")
    ('employee', 'company', 'person')
    """
    rest, space, last = words.rpartition(" ")
    if last.casefold() == "people":
        return f"{rest}{space}person"
    return f"{words[:-3]}y" if words.casefold().endswith("ies") else words[:-1]
