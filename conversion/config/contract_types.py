"""The kinds of values that a data contract has, apart from its sections."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from conversion.config.param_types import as_tuple, must_not_repeat

MAX_MODULES: Final = 50
MAX_ATTRIBUTES: Final = 50
MAX_LEVELS: Final = 1000

Column = Annotated[str, Field(min_length=1, max_length=200)]
TableName = Annotated[
    # A file is called so: without slashes and a leading dot.
    str, Field(max_length=100, pattern=r"^[^./\\\x00][^/\\\x00]*$")
]
VALUE: Final = "{value}"
"""Stands for the value in a contract's sentences."""


def _must_have_the_value(sentence: str) -> str:
    if sentence.count(VALUE) != 1:
        raise ValueError(f"should have {VALUE} once, where the value goes")
    return sentence


Sentence = Annotated[str, Field(max_length=80), AfterValidator(_must_have_the_value)]
Columns = Annotated[
    tuple[Column, ...],
    BeforeValidator(as_tuple),
    Field(max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]
Levels = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(as_tuple),
    Field(min_length=2, max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]


def _as_text(value: object) -> object:
    """Write YAML's yes, no and whole numbers as a table has them; leave the rest to the type."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _must_be_a_time_zone(name: str) -> str:
    expected = "should be the name of a time zone, such as Europe/Berlin"
    if name == "localtime":  # Differs from machine to machine.
        raise ValueError(expected)
    try:
        if name != "UTC":  # Known even where the system has no zones.
            zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(expected) from error
    return name


TimeZone = Annotated[str, AfterValidator(_must_be_a_time_zone)]
Word = Annotated[str, BeforeValidator(_as_text), Field(min_length=1, max_length=200)]
Values = Annotated[
    tuple[Word, ...],
    BeforeValidator(as_tuple),
    Field(min_length=1, max_length=MAX_LEVELS),
    AfterValidator(must_not_repeat),
]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
Direction = Literal[-1, 0, 1]
