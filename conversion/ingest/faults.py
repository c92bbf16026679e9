"""Faults of an export: where each is, what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
# What is expected; each may have a remedy of its own in `REMEDIES`.
WHOLE: Final = "a whole number of at most 18 digits"
ALL_DIGITS: Final = "every digit of a whole number"
NUMBER: Final = "a number with a decimal point and no thousands separators"
FINITE: Final = "a finite number"
DATE: Final = "a date like 2019-12-31"
TIMESTAMP: Final = "a timestamp like 2019-12-30 00:00:00"
NAIVE: Final = "a time without time zone"
MAX_TEXT: Final = 200
TEXT: Final = f"text of at most {MAX_TEXT} characters, no control characters"
TEXT_ID: Final = f"text of 1 to {MAX_TEXT} characters, no control characters"
MAX_SHOWN: Final = 1000
SHOWN_TEXT: Final = f"text of at most {MAX_SHOWN} characters, no control characters"
PRESENT: Final = "a value in each row"
NAMES_FIRST: Final = "the columns' names in line 1"
ROW_REMEDY: Final = "correct these rows"
EMPTY_CELL: Final = "where a value is missing, leave the cell empty"
TO_UTF_8: Final = "save it as UTF-8 (in Excel: CSV UTF-8)"
REMEDIES: Final = {
    PRESENT: "fill in the missing values or leave these rows out",
    NAIVE: "export times without zones or offsets",
    ALL_DIGITS: "digits may have been lost: export this column with all of them, without an exponent (in R: "
    "options(scipen = 999)), and not through a spreadsheet, which shortens long numbers",
}
# How much of what was found a message shows.
SHOWN_KEYS: Final = 5
SHOWN_VALUES: Final = 3
SHOWN_CHARACTERS: Final = 40
MAX_LOOKED_AT: Final = 1000
"""Cells among which a message looks for different values."""
SHOWN_LEVELS: Final = 12
"""Allowed values that a message lists."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the export: where, what was expected, how many rows, and what to do."""

    file: str
    column: str
    expected: str
    remedy: str
    rows: int = 0
    keys: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.file}: {self.column}: expected {self.expected}"]
        if self.rows:
            shown = ", ".join([*self.keys, *(["..."] if self.rows > len(self.keys) else [])])
            parts.append(f"{self.rows} {'row' if self.rows == 1 else 'rows'} ({shown})")
        if self.found:
            parts.append(f"found {', '.join(self.found)}")
        return "; ".join([*parts, self.remedy])


class UnreadableError(Exception):
    """A fault that makes a file unreadable, so that no other fault can be looked for."""

    def __init__(self, column: str, expected: str, remedy: str, found: str) -> None:
        super().__init__(expected)
        self.column, self.expected, self.remedy, self.found = column, expected, remedy, found
        self.part: str | None = None

    def in_file(self, part: str | None) -> Self:
        """Say in which file of a table that is a folder it is; None: the table is one file."""
        self.part = self.part or part
        return self

    def at(self, file: str) -> Fault:
        """Return it as a fault of ``file``, or of the file in it."""
        place = f"{file}/{self.part}" if self.part else file
        return Fault(place, self.column, self.expected, self.remedy, found=(self.found,))


@contextmanager
def in_file(part: str | None) -> Iterator[None]:
    """Say of a fault in the block in which file of a table that is a folder it is."""
    try:
        yield
    except UnreadableError as fault:
        fault.in_file(part)
        raise


class BadCellError(ValueError):
    """A cell that is not what its column expects; the text says what that is."""


def quoted(value: object) -> str:
    """Return a value in quotes, cut after `SHOWN_CHARACTERS`."""
    text = str(value)
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...")


def row_key(column: str, value: object) -> str:
    """Return how a message names a company: the column of its id, and the id."""
    return f"{column} {quoted(value) if isinstance(value, str) else value}"


def one_of(levels: Sequence[str]) -> str:
    """Return what is expected of a value that has to be one of some levels."""
    more = ["..."] if len(levels) > SHOWN_LEVELS else []
    return "one of " + ", ".join([*(f"'{level}'" for level in levels[:SHOWN_LEVELS]), *more])


def one_line(error: Exception) -> str:
    """Return an error's text on one line, cut after `MAX_TEXT` characters."""
    return " ".join(str(error).split())[:MAX_TEXT]
