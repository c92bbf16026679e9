"""Requests that are refused: the status, and for each wrong field what was given and what is allowed."""

from __future__ import annotations

import codecs
import reprlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conversion.serving.message_types import MAX_EXACT
from conversion.serving.messages import Error, Fault

Reason = Literal[
    "invalid_json",
    "invalid_field",
    "media_type",
    "not_found",
    "method",
    "timeout",
    "busy",
    "too_large",
    "unauthorized",
    "login",
    "disconnect",
]

MAX_SHOWN: Final = 80
MAX_FAULTS: Final = 20
"""Faults in one answer at most."""
MAX_LISTED: Final = 100_000
"""With more faults none is listed: pydantic lists all or none, and takes a kilobyte for each."""

# The first bytes of bodies that are not UTF-8. UTF-32 before UTF-16, whose mark UTF-32's begins with.
_OTHER_THAN_UTF8: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"\x1f\x8b", "compressed with gzip"),
)

# By pydantic's type of fault; in braces: its context. Other types are described by pydantic's own message.
_ALLOWED: Final = {
    "missing": "a value: the field is required",
    "extra_forbidden": "no field of this name",
    "literal_error": "one of {expected}",
    "date_type": "a day like 2020-04-20",
    "too_long": "{max_length} items at most",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "string_pattern_mismatch": "text without control characters",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object",
}


class RefusalError(Exception):
    """A request that is refused.

    Attributes
    ----------
    status
        4xx.
    reason
        Short name of the kind, for metrics.
    body
        What the client gets.
    headers
        Sent with it.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: Reason,
        error: str,
        faults: Iterable[Fault] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.reason: Reason = reason
        self.body = Error(error=error, detail=list(faults))
        self.headers = headers or {}


def shown(value: object) -> str:
    """Write a given value on one short line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = MAX_SHOWN
    short.maxlevel = 2
    names: dict[object, str] = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    return _line(short.repr(value))


def _line(text: str) -> str:
    line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode("utf-8")
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 3]}..."


def path_of(location: Iterable[int | str]) -> str:
    """Write a location as clients would, like ``companies[3].usage[0].invoices``.

    Examples
    --------
    >>> path_of(("companies", 3, "usage", 0, "invoices"))
    'companies[3].usage[0].invoices'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{_line(part) or shown(part)}" for part in location)
    return "".join(parts).removeprefix(".")


def invalid_fields(faults: list[Fault], count: int | None = None) -> RefusalError:
    """Refuse a request for its fields; the sentence describes the first fault.

    Parameters
    ----------
    faults
        At least one.
    count
        How many there are; None: ``faults`` are all.
    """
    first, more = faults[0], (len(faults) if count is None else count) - 1
    others = f" ({more} more)" if more else ""
    where = f"{first.field}: " if first.field else ""
    return RefusalError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_field",
        f"{where}given {first.given}, allowed is {first.allowed}{others}",
        faults[:MAX_FAULTS],
    )


def refusal_of(error: ValidationError, tag_depth: int | None = None) -> RefusalError:
    """Turn pydantic's faults into a refusal: 400 if the body is not JSON, else 422.

    Parameters
    ----------
    error
        What pydantic raised.
    tag_depth
        How many steps into the body its tagged union stands. There pydantic puts the tag into the location of
        each fault, though clients send none. None: the body has no union.
    """
    if error.error_count() > MAX_LISTED:
        given, allowed = f"{error.error_count()} faults", "none; send one company to be told each of its own"
        return invalid_fields([Fault(field="", given=given, allowed=allowed)])
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        return RefusalError(
            HTTPStatus.BAD_REQUEST, "invalid_json", f"the body is not JSON: {_cause(details[0])}"
        )
    return invalid_fields([_fault(detail, tag_depth) for detail in details[:MAX_FAULTS]], len(details))


def _cause(detail: ErrorDetails) -> str:
    start = detail["input"][:4] if isinstance(detail["input"], bytes | bytearray) else b""
    for mark, what in _OTHER_THAN_UTF8:
        if start.startswith(mark):
            return f"it is {what}; send plain UTF-8"
    return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _fault(detail: ErrorDetails, tag_depth: int | None) -> Fault:
    location = list(detail["loc"])
    if tag_depth is not None:
        del location[tag_depth : tag_depth + 1]
    if detail["type"] == "missing":
        given = "nothing"
    elif detail["type"] == "too_long":
        given = f"{len(detail['input'])} items"
    else:
        given = shown(detail["input"])
    return Fault(field=path_of(location), given=given, allowed=_allowed(detail))


def _allowed(detail: ErrorDetails) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return f"a whole number without point or exponent, which are exact up to {MAX_EXACT} only"
    if kind in _ALLOWED:
        context: dict[str, Any] = detail.get("ctx", {})
        return _ALLOWED[kind].format(**context)
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input ")
