"""Days in sentences: the same in every locale."""

from __future__ import annotations

import datetime as dt
from typing import Final

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def day_of(day: dt.date) -> str:
    """Write a day.

    Examples
    --------
    >>> day_of(dt.date(2020, 4, 27))
    '27 April 2020'
    """
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"
