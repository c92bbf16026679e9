"""Entity tags: name what an answer shows, so that a client that has it need not get it again."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from conversion.pages.layout import HEADERS, NOT_STORED
from conversion.runtime.seals import sha256_of

DIGITS: Final = 32


def etag_of(*parts: object) -> str:
    """Return the tag of an answer that depends on these parts alone.

    Examples
    --------
    >>> etag_of("list", {"limit": 5}) == etag_of("list", {"limit": 5})
    True
    >>> etag_of("list", {"limit": 5}) == etag_of("list", {"limit": 6})
    False
    """
    return f'"{sha256_of(json.dumps(parts, sort_keys=True).encode())[:DIGITS]}"'


def is_known(request: Request, etag: str) -> bool:
    """Return whether the client says by ``If-None-Match`` that it has the answer of a tag."""
    given = ",".join(request.headers.getlist("if-none-match"))
    tags = [each.strip().removeprefix("W/") for each in given.split(",")]
    return etag in tags or tags == ["*"]


def not_modified(etag: str) -> Response:
    """Tell a client that what it has is still right."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={**HEADERS, **NOT_STORED, "ETag": etag})
