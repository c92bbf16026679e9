"""The routes of the pages: the list, a company, the model, the download, static files, and the login."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import Final, Literal

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from conversion.pages import words
from conversion.pages.company_page import WhatIf, company_page
from conversion.pages.layout import HEADERS, NOT_STORED, STATIC, Site, render, static_file
from conversion.pages.list_page import csv_of, list_page
from conversion.pages.list_query import QueryError, read_query
from conversion.pages.model_page import model_page
from conversion.serving import login
from conversion.serving.etags import is_known
from conversion.serving.page_data import Given, PageData
from conversion.serving.state import ServiceState

BODY_SECONDS: Final = 10
STATIC_SECONDS: Final = 365 * 24 * 3600


class Pages:
    """Answers the routes of the pages.

    Parameters
    ----------
    state
        What the service answers from.
    """

    def __init__(self, state: ServiceState) -> None:
        self.state = state
        self.site = Site(state.settings.root_path, signs_out=state.token is not None)
        self.data = None if state.leads is None else PageData(state, state.leads)
        self.attempts = state.limits.attempts
        self.threads = state.limits.pages

    def routes(self, ids: Literal["whole", "text"]) -> list[Route]:
        """List the routes."""
        company = "/companies/{id:any_text}" if ids == "text" else "/companies/{id}"
        return [
            Route("/", self.list_page),
            Route(company, self.company_page),
            Route("/model", self.model_page),
            Route("/leads.csv", self.leads_csv),
            Route("/static/{name}", self.static),
            Route("/login", self.sign_in, methods=["GET", "POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
        ]

    # Pages

    async def list_page(self, request: Request) -> Response:
        """Show a page of the list."""
        return await self._shown(lambda data: self._list(data, _given(request)))

    def _list(self, data: PageData, given: Given) -> Response:
        query = read_query(given, data.table)
        return _page(list_page(data.table, query, data.about, self.site))

    async def company_page(self, request: Request) -> Response:
        """Show a company."""
        return await self._shown(lambda data: self._company(data, request))

    def _company(self, data: PageData, request: Request) -> Response:
        given = _given(request)
        text = request.path_params["id"]
        if not text:  # see `conversion.pages.layout.company_path`
            text = dict(given).get("id", "")
            given = [(name, value) for name, value in given if name != "id"]
        position = data.position(text)
        if position is None:
            return self._message(
                HTTPStatus.NOT_FOUND, "Not on the list", "This company is not on the list of the week."
            )
        company = data.company(position, given)
        is_refused = isinstance(company.what_if, WhatIf) and company.what_if.refusal is not None
        status = HTTPStatus.BAD_REQUEST if is_refused else HTTPStatus.OK
        return _page(company_page(data.table, position, company, data.about, self.site), status)

    async def leads_csv(self, request: Request) -> Response:
        """Download the leads that a query asks for."""
        return await self._shown(lambda data: self._csv(data, _given(request)))

    def _csv(self, data: PageData, given: Given) -> Response:
        query = read_query(given, data.table)
        name = f"leads-{data.table.as_of}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', **HEADERS, **NOT_STORED}
        return StreamingResponse(
            csv_of(data.table, query), media_type="text/csv; charset=utf-8", headers=headers
        )

    async def model_page(self, request: Request) -> Response:  # noqa: ARG002 - a route's signature
        """Show how good the model is."""
        return await anyio.to_thread.run_sync(self._model, limiter=self.threads)

    def _model(self) -> Response:
        if self._model_text is None:
            return self._message(
                HTTPStatus.NOT_FOUND, "Not known yet", "There is no track record; dvc repro report writes it."
            )
        return _page(self._model_text)

    @cached_property
    def _model_text(self) -> str | None:
        """The page of the model, which is the same for everybody; None: there is no track record."""
        record, state = self.state.track_record, self.state
        if record is None:
            return None
        is_served = record.about.model_sha256.startswith(state.predictor.version)
        return model_page(record, state.messages.contract, is_served, self.site, state.scorecard)

    async def _shown(self, answer: Callable[[PageData], Response]) -> Response:
        """Answer on a thread, so that predictions go on."""
        data = self.data
        if data is None:
            return self._message(
                HTTPStatus.NOT_FOUND, "There is no list yet", "The pipeline writes it: dvc repro score."
            )
        try:
            return await anyio.to_thread.run_sync(answer, data, limiter=self.threads)
        except QueryError as error:
            self.state.telemetry.count_refused("invalid_field")
            return self._message(HTTPStatus.BAD_REQUEST, "That cannot be shown", str(error))

    def _message(self, status: HTTPStatus, title: str, sentence: str) -> Response:
        return _page(render("message.html", self.site, title=title, sentence=sentence), status)

    # Static files

    async def static(self, request: Request) -> Response:
        """Send a file that pages link to; browsers keep it as long as its address stays."""
        name = request.path_params["name"]
        if name not in STATIC:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        file = static_file(name)
        is_current = request.query_params.get("v") == file.hash
        caching = f"public, max-age={STATIC_SECONDS}, immutable" if is_current else "no-cache"
        etag = f'"{file.hash}"'
        headers = {"ETag": etag, "Cache-Control": caching, **HEADERS}
        if is_known(request, etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    # Login

    async def sign_in(self, request: Request) -> Response:
        """Show the form, or sign a visitor in who sends the token."""
        sessions = self.state.sessions
        if request.method != "POST":
            following = login.next_page(request.query_params.get("next", login.LIST))
            if sessions is None or sessions.signed_in(request.headers):
                return self._redirect(following)
            return self._login_form(HTTPStatus.OK, following)
        if sessions is None:
            return self._redirect(login.LIST)
        if not login.is_same_origin(request.headers):
            return self._login_form(HTTPStatus.FORBIDDEN, login.LIST, "Please sign in on this page.")
        body = await _form(request)
        if body is None:
            return self._login_form(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, login.LIST, "This is not the form of this page."
            )
        token, following = login.login_form(body)
        return await self._with_token(request, sessions, token, following)

    async def _with_token(
        self, request: Request, sessions: login.Sessions, token: bytes, following: str
    ) -> Response:
        address = login.address_of(request.scope)
        if wait := self.attempts.wait_of(address):
            self.state.telemetry.count_refused("login")
            sentence = f"Too many wrong tokens. Try again in {words.plural(wait, 'second')}."
            answer = self._login_form(HTTPStatus.TOO_MANY_REQUESTS, following, sentence)
            answer.headers["Retry-After"] = str(wait)
            return answer
        if not sessions.is_token(token):
            self.attempts.count(address)
            self.state.telemetry.count_refused("login")
            await asyncio.sleep(login.FAILURE_SECONDS)
            return self._login_form(HTTPStatus.UNAUTHORIZED, following, "This is not the access token.")
        return self._redirect(following, self._cookie(request, sessions.value()))

    async def sign_out(self, request: Request) -> Response:
        """Sign a visitor out."""
        if self.state.sessions is None or not login.is_same_origin(request.headers):
            return self._redirect(login.LIST)
        return self._redirect("/login", self._cookie(request, ""))

    def _cookie(self, request: Request, value: str) -> str:
        is_secure = login.is_secure(request.url.scheme, request.headers)
        return login.cookie(value, self.site.prefix, is_secure)

    def _login_form(self, status: HTTPStatus, following: str, refusal: str | None = None) -> Response:
        site = replace(self.site, signs_out=False)
        text = render("login.html", site, next=following, refusal=refusal, hours=login.SESSION_HOURS)
        return _page(text, status)

    def _redirect(self, path: str, cookie: str | None = None) -> Response:
        headers = {**HEADERS, **NOT_STORED} | ({} if cookie is None else {"Set-Cookie": cookie})
        return RedirectResponse(f"{self.site.prefix}{path}", HTTPStatus.SEE_OTHER, headers)


def _page(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return HTMLResponse(text, status, {**HEADERS, **NOT_STORED})


def _given(request: Request) -> Given:
    return request.query_params.multi_items()


async def _form(request: Request) -> bytes | None:
    """Read a form; None: it is none, or too large or too slow."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body, fits = bytearray(), media_type == "application/x-www-form-urlencoded"
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                fits = fits and len(body) + len(chunk) <= login.MAX_FORM_BYTES
                if fits:
                    body += chunk
    except TimeoutError:
        return None
    return bytes(body) if fits else None
