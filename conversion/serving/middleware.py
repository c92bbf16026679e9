"""Token authentication, the prefix of a proxy, and request metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from conversion.pages.layout import HEADERS, NOT_STORED
from conversion.pages.words import plural
from conversion.runtime.errors import ServiceError
from conversion.serving.login import LIST, Attempts, Sessions, address_of, is_page, is_same_origin
from conversion.serving.messages import Error
from conversion.serving.request_body import JSON
from conversion.serving.telemetry import Telemetry

TOKEN: Final = "CONVERSION_API_TOKEN"  # noqa: S105 - the variable's name
# What BentoML answers: probes, the schema that its client reads, the files of the documentation page.
BENTOML_PATHS: Final = ("/livez", "/readyz", "/healthz", "/schema.json")
BENTOML_FOLDER: Final = "/static_content/"
# Open without a token, as they show nothing about any company.
OPEN_PATHS: Final = (
    *("/health", "/livez", "/readyz", "/healthz", "/docs", "/docs.json", "/openapi.json"),
    *("/login", "/logout"),
)
STATIC_FOLDER: Final = "/static/"
SAFE_METHODS: Final = ("GET", "HEAD")


def json_response(
    answer: BaseModel, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    """Return an answer of the contract as JSON, which browsers neither run nor keep."""
    sent = HEADERS | NOT_STORED | (headers or {})
    return Response(answer.model_dump_json(), status_code=status, media_type=JSON, headers=sent)


def token_from(environment: Mapping[str, str]) -> str | None:
    """Read the token that clients must send; None: none is set.

    Raises
    ------
    ServiceError
        It is set but empty, which would let everybody in, or no client can send it.
    """
    token = environment.get(TOKEN)
    if token is None:
        return None
    if not token.strip():
        raise ServiceError(f"{TOKEN}: set, but empty; give it a value, or unset it to serve without a token")
    check_token(token)
    return token


def check_token(token: str) -> None:
    """Check that clients can send the token.

    Raises
    ------
    ServiceError
        It has a control character, such as a line end, or a space at one end. No header keeps these, so the
        service would refuse everybody.
    """
    control = re.search(r"[\x00-\x08\x0a-\x1f\x7f]", token)
    if control:
        hint = "; $(cat FILE) takes a file's last line end off" if control[0] in "\r\n" else ""
        raise ServiceError(f"{TOKEN}: has {control[0]!r} in it, which no client can send{hint}")
    if token != token.strip(" \t"):
        raise ServiceError(f"{TOKEN}: begins or ends with a space, which no client can send; take it off")


class PrefixMiddleware:
    """Strips the prefix that a proxy in front leaves before the paths.

    Proxies that strip it themselves work as well: a path without the prefix stays as it is.

    Parameters
    ----------
    app
        Answers the paths without the prefix.
    prefix
        Like ``/crm``; empty: there is none.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request."""
        path: str = scope["path"]
        if self.prefix and f"{path}/".startswith(f"{self.prefix}/"):
            scope = {**scope, "path": path.removeprefix(self.prefix) or "/"}
        await self.app(scope, receive, send)


class TokenMiddleware:
    """Refuses requests without the token or the cookie of a login, except those to `OPEN_PATHS`.

    Visitors of pages are sent to the login. The cookie counts only for requests that change nothing, or that
    come from a page of the service. An address that has sent too many wrong tokens must wait, also with the
    right one, which it could have guessed.

    Parameters
    ----------
    app
        Answers the other requests.
    sessions
        Know the token and the cookies; None: clients need no token.
    attempts
        Wrong tokens by address, those of the login's form too.
    telemetry
        Counts the refused requests.
    prefix
        Of the login's address.
    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions | None,
        attempts: Attempts,
        telemetry: Telemetry,
        prefix: str,
    ) -> None:
        self.app = app
        self.sessions = sessions
        self.attempts = attempts
        self.telemetry = telemetry
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request."""
        if self.sessions is None or self._open(scope["path"]):
            return await self.app(scope, receive, send)
        answer = self._refusal(scope, self.sessions) or self.app
        return await answer(scope, receive, send)

    def _refusal(self, scope: Scope, sessions: Sessions) -> Response | None:
        """Return the answer to a request that is not let in; None: it is."""
        token, address = _bearer_token(scope), address_of(scope)
        wait = 0 if token is None else self.attempts.wait_of(address)
        has_token = token is not None and not wait and sessions.is_token(token)
        if has_token or self._has_cookie(scope, sessions):
            return None
        if wait:
            self.telemetry.count_refused("unauthorized")
            return _too_many(wait)
        if token is not None:
            self.attempts.count(address)
        if scope["method"] in SAFE_METHODS and is_page(scope["path"]):
            return self._to_login(scope)
        self.telemetry.count_refused("unauthorized")
        body = Error(error="Authorization: a bearer token is required, or the one given is wrong", detail=[])
        return json_response(body, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})

    def _has_cookie(self, scope: Scope, sessions: Sessions) -> bool:
        headers = Headers(scope=scope)
        return sessions.signed_in(headers) and (scope["method"] in SAFE_METHODS or is_same_origin(headers))

    def _to_login(self, scope: Scope) -> Response:
        query: bytes = scope["query_string"]
        following = quote(scope["path"], safe="/") + (f"?{query.decode('latin-1')}" if query else "")
        asked = "" if following == LIST else f"?{urlencode({'next': following})}"
        return RedirectResponse(f"{self.prefix}/login{asked}", HTTPStatus.SEE_OTHER, HEADERS | NOT_STORED)

    def _open(self, path: str) -> bool:
        return path in OPEN_PATHS or path.startswith((BENTOML_FOLDER, STATIC_FOLDER))


def _bearer_token(scope: Scope) -> bytes | None:
    """Return the token of the first ``Authorization``; None: there is none, or it is of another scheme."""
    given: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = given.partition(b" ")
    return token.lstrip(b" ") if scheme.lower() == b"bearer" else None


def _too_many(wait: int) -> Response:
    sentence = f"Authorization: too many wrong tokens; try again in {plural(wait, 'second')}"
    headers = {"Retry-After": str(wait)}
    return json_response(Error(error=sentence, detail=[]), HTTPStatus.TOO_MANY_REQUESTS, headers)


class ObserveMiddleware:
    """Counts and times requests by route.

    Parameters
    ----------
    app
        Answers the requests.
    telemetry
        Counts them.
    routes
        Their paths are the names; other requests are BentoML's own paths, or ``other``.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, routes: Sequence[Route]) -> None:
        self.app = app
        self.telemetry = telemetry
        self.paths: dict[Callable[..., Any] | None, str] = {
            route.endpoint: route.path_format for route in routes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request."""
        with self.telemetry.request() as observed:

            async def send_observed(message: Any) -> None:
                if message["type"] == "http.response.start":
                    observed.status = message["status"]
                await send(message)

            try:
                await self.app(scope, receive, send_observed)
            finally:
                observed.endpoint = self._endpoint(scope)

    def _endpoint(self, scope: Scope) -> str:
        """Name the route, not the path: clients can make up any number of paths."""
        path: str = scope["path"]
        return self.paths.get(scope.get("endpoint"), path if path in BENTOML_PATHS else "other")
