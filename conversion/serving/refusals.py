"""Requests that are refused: the status, and which field, what was given, what is allowed."""

from __future__ import annotations

import codecs
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conversion.serving.messages import MAX_EXACT, Error, Fault

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
    "disconnect",
]

MAX_SHOWN: Final = 80
MAX_FAULTS: Final = 20
"""Faults that one answer lists at most."""
MAX_LISTED: Final = 100_000
"""Faults of which any is listed, as pydantic gives all or none, and takes a kilobyte for each."""

# What stands before the field in the location of a fault of a union: the name of its member.
_MEMBERS: Final = ("summary", "history")

# How bodies begin that are no UTF-8; UTF-32 before UTF-16, whose mark begins its own.
_OTHER_THAN_UTF8: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
    (b"\x1f\x8b", "compressed with gzip"),
)


class RefusalError(Exception):
    """A request that is refused.

    Attributes
    ----------
    status
        4xx.
    reason
        Short name of the kind, for metrics.
    body
        What the client is told.
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
    """Show what was given, on one line and not too long."""
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
    """Write a location as clients would, like ``companies[3].usage[0].USERS_EMAIL``.

    Examples
    --------
    >>> path_of(("companies", 3, "usage", 0, "USERS_EMAIL"))
    'companies[3].usage[0].USERS_EMAIL'
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{_line(part) or shown(part)}" for part in location)
    return "".join(parts).removeprefix(".")


def invalid_fields(faults: list[Fault], count: int | None = None) -> RefusalError:
    """Refuse a request for its fields; the first fault is told in the sentence too.

    Parameters
    ----------
    faults
        At least one.
    count
        How many there are; None: all are given.
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


def refusal_of(error: ValidationError) -> RefusalError:
    """Turn pydantic's faults into a refusal: 400 where the body is no JSON at all, else 422."""
    if error.error_count() > MAX_LISTED:
        given, allowed = f"{error.error_count()} faults", "none; send one company to be told each of its own"
        return invalid_fields([Fault(field="", given=given, allowed=allowed)])
    details = error.errors(include_url=False)
    if details[0]["type"] == "json_invalid":
        return RefusalError(
            HTTPStatus.BAD_REQUEST, "invalid_json", f"the body is not JSON: {_cause(details[0])}"
        )
    return invalid_fields([_fault(detail) for detail in details[:MAX_FAULTS]], len(details))


def refuse_repeated_names(body: bytes | bytearray) -> None:
    """Refuse a body in which an object has a name twice: which of the two values counts, no client can know.

    Parameters
    ----------
    body
        JSON, parsed already, so that it is neither broken nor nested too deep.

    Raises
    ------
    RefusalError
        It names each such name.
    """
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    # Nothing is kept of a large batch; numbers stay text, as Python refuses to read very long ones.
    _walk(body, look)
    if found:
        paths = list(_repeated(_walk(body, _Pairs), ()))
        faults = [
            Fault(field=path_of(path), given="it twice", allowed="each name once")
            for path in paths[:MAX_FAULTS]
        ]
        raise invalid_fields(faults, len(paths))


class _Pairs(tuple[tuple[str, Any], ...]):
    """An object of JSON with all its names."""


def _walk(body: bytes | bytearray, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    return json.loads(body, object_pairs_hook=hook, parse_int=str, parse_float=str, parse_constant=str)


def _repeated(value: Any, path: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    inner = value if isinstance(value, _Pairs) else enumerate(value) if isinstance(value, list) else ()
    seen = set()
    for name, part in inner:
        if name in seen:
            yield (*path, name)
        seen.add(name)
        yield from _repeated(part, (*path, name))


def _cause(detail: ErrorDetails) -> str:
    start = detail["input"][:4] if isinstance(detail["input"], bytes | bytearray) else b""
    for mark, what in _OTHER_THAN_UTF8:
        if start.startswith(mark):
            return f"it is {what}; send plain UTF-8"
    return str(detail.get("ctx", {}).get("error", detail["msg"]))


def _fault(detail: ErrorDetails) -> Fault:
    location = list(detail["loc"])
    position = 2 if location[:1] == ["companies"] else 0
    # A name that is not allowed may be a member's.
    is_name = detail["type"] == "extra_forbidden" and len(location) == position + 1
    if location[position : position + 1] and location[position] in _MEMBERS and not is_name:
        del location[position]
    if detail["type"] == "missing":
        given = "nothing"
    elif detail["type"] == "too_long":
        given = f"{len(detail['input'])} items"
    else:
        given = shown(detail["input"])
    return Fault(field=path_of(location), given=given, allowed=_allowed(detail))


def _allowed(detail: ErrorDetails) -> str:
    context: dict[str, Any] = detail.get("ctx", {})
    special = {
        "missing": "a value: the field is required",
        "extra_forbidden": "no field of this name",
        "literal_error": f"one of {context.get('expected')}",
        "date_type": "a day like 2020-04-20",
        "too_long": f"{context.get('max_length')} items at most",
        "finite_number": "a finite number",
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "list_type": "a list",
        "model_type": "an object",
        "union_tag_not_found": "an object",
    }
    if detail["type"] == "int_type" and isinstance(detail["input"], float) and detail["input"].is_integer():
        return f"a whole number without point or exponent, which are exact up to {MAX_EXACT} only"
    if detail["type"] in special:
        return special[detail["type"]]
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input ")
