"""The types of single values in messages: ids, days, counts and totals, and the bases of all messages."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

MAX_ID: Final = 10**18 - 1
MAX_COUNT: Final = 10**9
MAX_TOTAL: Final = 1e12
MAX_MEASURE: Final = 1e15
"""Of a weekly measure, such as bytes stored; as in exports."""
MAX_WEEKS: Final = 520
"""Weeks of history that one company may have, and that its rows may reach back."""

MAX_TEXT: Final = 200
"""Characters of an id that is text, and of a category's level."""

MAX_EXACT: Final = 2**53 - 1
"""Whole numbers up to here stay exact when JSON writes them with a point or an exponent."""

# A day, or as exports write it a day with the time 00:00.
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0{1,6})?)?)?", re.ASCII)


def _day_of(value: object) -> object:
    """Read a day, in JSON or in Python; pydantic refuses any other value."""
    if not isinstance(value, str):
        return value
    if not _DAY.fullmatch(value):  # pydantic would read '0' too, as seconds since 1970
        raise ValueError("a day like 2020-04-20, if with a time then 00:00")
    try:
        return dt.date.fromisoformat(value[:10])
    except ValueError:
        return value


def _without_point(value: object) -> object:
    """Read 5.0 as 5; pydantic refuses any value that is not an exact whole number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT:
        return int(value)
    return value


class _Whole:
    """Accepts 5.0 as 5, as JSON Schema does, but not true, "5" or 5.5.

    Only values that are not strict integers reach Python: a large batch has hundreds of thousands of counts.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read the number first, then check the bounds of the annotated integer."""
        readings: list[CoreSchema | tuple[CoreSchema, str]] = [
            core_schema.int_schema(strict=True),
            core_schema.no_info_plain_validator_function(_without_point),
        ]
        first = core_schema.union_schema(readings, mode="left_to_right")
        return core_schema.chain_schema([first, handler(source)])

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the bounded integer; pydantic would describe the first step of the chain."""
        assert schema["type"] == "chain"
        return handler(schema["steps"][-1])


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError("a whole number")
    return value


Day = Annotated[
    dt.date,
    BeforeValidator(_day_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date"},
                {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}[T ]00:00(:00(\.0{1,6})?)?$"},
            ]
        }
    ),
]
WholeId = Annotated[int, Field(ge=-MAX_ID, le=MAX_ID), _Whole()]
TextId = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""An id that is text; it has no control characters."""
Count = Annotated[int, Field(ge=0, le=MAX_COUNT), _Whole()]
Total = Annotated[float, Field(ge=0, le=MAX_TOTAL)]
WholeNumber = Annotated[int, BeforeValidator(_digits)]
"""A number in a query: digits only, fewer forms than Python accepts."""


class Message(BaseModel):
    """What clients send: strictly typed, unknown fields refused by name, no NaN or infinity."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, serialize_by_alias=True
    )


class Answer(BaseModel):
    """What clients get."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)
