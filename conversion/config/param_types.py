"""The types of the keys of params.yaml: strict and bounded, with errors that say what is allowed."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

EARLIEST_MONDAY: Final = dt.date(2000, 1, 3)
LATEST_MONDAY: Final = dt.date(2100, 12, 27)
"""The first and last Monday among the days that an export may have, see `conversion.ingest.checks`."""


_READ_ONLY: Final = ("http", "https")


class Section(BaseModel):
    """A section of params.yaml: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _as_date(value: object) -> object:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise ValueError("should be a Monday like 2020-02-24") from error
    return value


def _must_be_monday(value: dt.date) -> dt.date:
    if value.weekday() != 0:
        raise ValueError(f"should be a Monday like 2020-02-24; {value:%Y-%m-%d} is a {value:%A}")
    if not EARLIEST_MONDAY <= value <= LATEST_MONDAY:
        raise ValueError(f"should be a Monday from {EARLIEST_MONDAY} to {LATEST_MONDAY}")
    return value


def _must_increase(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("should be in increasing order without repeats")
    return values


def must_not_repeat(values: tuple[str, ...]) -> tuple[str, ...]:
    """Check that each value is given once."""
    if len(values) != len(set(values)):
        raise ValueError("should not name anything twice")
    return values


def has_password(url: str) -> bool:
    """Return whether a URL has a password before its host, as in ``s3://name:password@host``."""
    return re.match(r"[^/@]*:[^/@]*@", url.partition("://")[2]) is not None


def _must_be_a_folder(value: str) -> str:
    protocol, separator, path = value.partition("://")
    is_url = re.fullmatch(r"[a-z][a-z0-9+.-]*", protocol) and path and protocol not in _READ_ONLY
    if value != value.strip() or has_password(value) or (separator and not is_url):
        raise ValueError(
            "should be a folder such as exports/lists, or the URL of one that can be written to, such as "
            "s3://bucket/lists, without credentials"
        )
    return value


def as_tuple(value: object) -> object:
    """Convert a YAML list to a tuple, so that frozen params stay unchanged; leave the rest to the type."""
    return tuple(value) if isinstance(value, list) else value


Monday = Annotated[dt.date, BeforeValidator(_as_date), AfterValidator(_must_be_monday)]
Folder = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_must_be_a_folder)]
PositiveInt = Annotated[int, Field(ge=1, le=1_000_000)]
Weeks = Annotated[int, Field(ge=1, le=520)]
Share = Annotated[float, Field(ge=1e-6, le=1)]
Money = Annotated[float, Field(ge=0, le=1e9)]
IncreasingInts = Annotated[
    tuple[PositiveInt, ...],
    BeforeValidator(as_tuple),
    Field(min_length=1, max_length=20),
    AfterValidator(_must_increase),
]
IncreasingWeeks = Annotated[
    tuple[Weeks, ...],
    BeforeValidator(as_tuple),
    Field(min_length=1, max_length=20),
    AfterValidator(_must_increase),
]
Names = Annotated[
    tuple[Annotated[str, Field(max_length=200)], ...],
    BeforeValidator(as_tuple),
    Field(max_length=100),
    AfterValidator(must_not_repeat),
]
