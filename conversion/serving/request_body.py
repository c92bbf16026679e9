"""Read the JSON body of a request: declared as JSON, not too large, in time, and no name twice."""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from conversion.serving.batch_queue import HeldBytes
from conversion.serving.messages import Fault
from conversion.serving.refusals import MAX_FAULTS, RefusalError, invalid_fields, path_of, refusal_of, shown

JSON: Final = "application/json"
# Less than a request may take, so that the client gets the refusal.
BODY_SECONDS: Final = 20

T = TypeVar("T")


@dataclass(frozen=True)
class BodyReader(Generic[T]):
    """Parses and validates a body.

    Attributes
    ----------
    adapter
        Of the body's model.
    tag_depth
        See `conversion.serving.refusals.refusal_of`.
    """

    adapter: TypeAdapter[T]
    tag_depth: int

    def parse(self, body: bytearray) -> T:
        """Parse a body, whose byte order mark is cut off.

        Raises
        ------
        RefusalError
            The body is not JSON or not what its model allows, or an object has a name twice.
        """
        if body.startswith(codecs.BOM_UTF8):  # as some editors and PowerShell write it
            del body[: len(codecs.BOM_UTF8)]
        try:
            parsed = self.adapter.validate_json(body)
        except ValidationError as error:
            raise refusal_of(error, self.tag_depth) from error
        refuse_repeated_names(body)
        return parsed


async def read_body(request: Request, limit: int, held: HeldBytes) -> bytearray:
    """Read a JSON body. A body that does not fit is read to its end, so that the client gets the answer.

    Parameters
    ----------
    request
        Its body was not read yet.
    limit
        Bytes of the body at most.
    held
        Counts the body's bytes.

    Raises
    ------
    RefusalError
        The body is not declared as JSON, is too large or too slow, or too many bytes are held already.
    """
    _check_media_type(request)
    declared = _declared_size(request)
    # One buffer: as a list, pieces of a few bytes would take many times their size. Nothing is kept of a body
    # that says beforehand that it is too large.
    body, size, fits = bytearray(), 0, declared <= limit
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                fits = fits and size <= limit and held.take(len(chunk))
                if fits:
                    body += chunk
                else:
                    body.clear()
                    held.release()
    except TimeoutError as error:
        raise RefusalError(
            HTTPStatus.REQUEST_TIMEOUT,
            "timeout",
            f"{size} bytes of the body arrived within {BODY_SECONDS} seconds, not all of it",
        ) from error
    if max(size, declared) > limit:
        raise RefusalError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the body has {max(size, declared)} bytes, {limit} are allowed",
        )
    if not fits:
        raise RefusalError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "busy",
            f"bodies of {held.limit.bytes} bytes are received or wait already; send this one again later",
            headers={"Retry-After": "1"},
        )
    return body


def _declared_size(request: Request) -> int:
    """Return the size that a request gives for its body; 0: it gives none, as the body comes in chunks."""
    given = request.headers.get("content-length", "")
    return int(given) if re.fullmatch("[0-9]{1,20}", given) else 0


def _check_media_type(request: Request) -> None:
    """Refuse a body that is not declared as plain JSON: a compressed one could be a bomb."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != JSON:
        given = shown(media_type) if media_type else "none"
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            f"Content-Type: given {given}, should be {JSON}",
        )
    encoding = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding not in ("", "identity"):
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media_type",
            f"Content-Encoding: given {shown(encoding)}, should be identity; send the body uncompressed",
            headers={"Accept-Encoding": "identity"},
        )


def refuse_repeated_names(body: bytes | bytearray) -> None:
    """Refuse a body in which an object has a name twice: clients cannot know which of the values counts.

    Parameters
    ----------
    body
        JSON that was parsed before, so it is neither broken nor nested too deep.

    Raises
    ------
    RefusalError
        Lists the repeated names.
    """
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in pairs}) < len(pairs)

    # This pass keeps nothing of a large batch.
    _walk(body, look)
    if found:
        paths = list(_repeated(_walk(body, _Pairs), ()))
        faults = [
            Fault(field=path_of(path), given="it twice", allowed="each name once")
            for path in paths[:MAX_FAULTS]
        ]
        raise invalid_fields(faults, len(paths))


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object with all its names."""


def _walk(body: bytes | bytearray, hook: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    # Numbers stay text, as Python refuses to read very long ones.
    return json.loads(body, object_pairs_hook=hook, parse_int=str, parse_float=str, parse_constant=str)


def _repeated(value: Any, path: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    inner = value if isinstance(value, _Pairs) else enumerate(value) if isinstance(value, list) else ()
    seen = set()
    for name, part in inner:
        if name in seen:
            yield (*path, name)
        seen.add(name)
        yield from _repeated(part, (*path, name))
