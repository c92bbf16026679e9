"""The routes of the HTTP contract: from a request to an answer or a refusal."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final, Literal, TypeVar

import anyio.to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from conversion.pages.list_query import BY, ListQuery, read_parameters
from conversion.serving.batch_queue import ByteLimit
from conversion.serving.etags import etag_of, is_known, not_modified
from conversion.serving.lead_pages import LeadList, find_lead, lead_page
from conversion.serving.limits import MAX_SINGLE_BYTES
from conversion.serving.messages import (
    Error,
    Fault,
    Health,
    History,
    LeadPath,
    LeadsQuery,
    Prediction,
    Summary,
)
from conversion.serving.middleware import (
    BENTOML_FOLDER,
    BENTOML_PATHS,
    ObserveMiddleware,
    PrefixMiddleware,
    TokenMiddleware,
    json_response,
)
from conversion.serving.openapi import DOCS_PAGE
from conversion.serving.page_routes import Pages
from conversion.serving.predictor import predict
from conversion.serving.refusals import MAX_SHOWN, RefusalError, invalid_fields, refusal_of, shown
from conversion.serving.request_arrays import places_of
from conversion.serving.request_body import JSON, read_body
from conversion.serving.state import ServiceState

REQUEST_SECONDS: Final = 30

Asked = TypeVar("Asked", LeadPath, LeadsQuery)

log = logging.getLogger(__name__)


def http_api(state: ServiceState, bentoml_app: ASGIApp) -> ASGIApp:
    """Make the app that answers the contract's routes, and passes BentoML's own paths on to it.

    Parameters
    ----------
    state
        What to answer from.
    bentoml_app
        BentoML's app.

    Returns
    -------
    ASGI app
    """
    origins = list(state.settings.cors_origins)
    cors = [Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])]
    ids = state.messages.contract.companies.ids
    routes = [*http_routes(ids), *Pages(state).routes(ids)]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(PrefixMiddleware, prefix=state.settings.root_path),
            Middleware(ObserveMiddleware, telemetry=state.telemetry, routes=routes),
            *(cors if origins else []),
            Middleware(
                TokenMiddleware,
                sessions=state.sessions,
                attempts=state.limits.attempts,
                telemetry=state.telemetry,
                prefix=state.settings.root_path,
            ),
        ],
        exception_handlers={
            RefusalError: _send_refusal,
            HTTPException: _send_http_error,
            ClientDisconnect: _send_nothing,
            Exception: _send_server_error,
        },
    )
    app.state.service = state
    app.state.singles = state.limits.singles
    app.router.default = _only(bentoml_app)
    app.router.redirect_slashes = False
    return app


class _AnyText(StringConvertor):
    """Reads text of any characters, also slashes and line feeds, to the end of the path."""

    regex = "(?s:.*)"


def http_routes(ids: Literal["whole", "text"] = "whole") -> list[Route]:
    """List the routes; any other path is BentoML's, or not found."""
    register_url_convertor("any_text", _AnyText())
    lead = "/leads/{id:any_text}" if ids == "text" else "/leads/{id}"
    return [
        Route("/predict/single", predict_single, methods=["POST"]),
        Route("/predict", predict_batch, methods=["POST"]),
        Route("/leads", list_leads),
        Route(lead, show_lead),
        Route("/health", health),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
        Route("/docs.json", openapi),
        Route("/docs", docs),
    ]


async def predict_single(request: Request) -> Response:
    """Predict one company."""
    state = _state(request)
    limit = min(MAX_SINGLE_BYTES, state.settings.max_body_bytes)
    singles: ByteLimit = request.app.state.singles
    with singles.hold() as held:
        company = state.company.parse(await read_body(request, limit, held))
        predictions = _predicted(state, [company], [""])
    return json_response(predictions[0])


async def predict_batch(request: Request) -> Response:
    """Predict companies in the order given, on a thread: a large batch must not hold up probes."""
    state = _state(request)
    with state.limits.batches.bodies.hold() as held:
        body = await read_body(request, state.settings.max_body_bytes, held)
        return await state.limits.batches.run(partial(_answer_batch, state), body)


def _answer_batch(state: ServiceState, body: bytearray) -> Response:
    companies = state.companies.parse(body).companies
    predictions = _predicted(state, companies, places_of(companies))
    answer = state.messages.predictions(predictions=predictions, model_version=state.predictor.version)
    return json_response(answer)


async def list_leads(request: Request) -> Response:
    """Show the leads that a query asks for, a page at a time."""
    given = _given_once(request)
    if _state(request).leads is None:  # what is wrong with the query comes first, as where there is a list
        _read(LeadsQuery, {name: value for name, value in given.items() if not name.startswith(BY)})
    leads = _lead_list(request)
    query, limit, offset = await anyio.to_thread.run_sync(_leads_query, given, leads)
    etag = _etag(request, leads, query.parameters(), limit, offset)
    if is_known(request, etag):
        return not_modified(etag)
    answer = await anyio.to_thread.run_sync(lead_page, leads, query, limit, offset)
    return json_response(answer, headers={"ETag": etag})


async def show_lead(request: Request) -> Response:
    """Show one lead with its weekly usage."""
    company_id = _read(_state(request).messages.lead_path, request.path_params).id
    leads = _lead_list(request)
    lead = await anyio.to_thread.run_sync(find_lead, leads, company_id)
    if lead is None:
        named = company_id if isinstance(company_id, int) else shown(company_id)
        raise RefusalError(HTTPStatus.NOT_FOUND, "not_found", f"company {named} is not on the lead list")
    etag = _etag(request, leads, company_id)
    return not_modified(etag) if is_known(request, etag) else json_response(lead, headers={"ETag": etag})


def _etag(request: Request, leads: LeadList, *asked: object) -> str:
    """Return the tag of an answer about a list: another list, query or form of answers has another."""
    return etag_of(leads.sha256, _state(request).form, *asked)


async def health(request: Request) -> Response:
    """Show which model is served, to clients without a token too."""
    state = _state(request)
    return json_response(
        Health(
            status="ok",
            model_loaded=True,
            model_version=state.predictor.version,
            trained_as_of=state.predictor.trained_as_of,
            model_type=state.model_type,
            registered_model=state.registered_model,
            lead_list=state.served_list,
        )
    )


async def metrics(request: Request) -> Response:
    """Show the metrics of all workers in Prometheus' format."""
    content, media_type = _state(request).telemetry.exposition()
    return Response(content, media_type=media_type)


async def openapi(request: Request) -> Response:
    """Show the OpenAPI document."""
    return Response(_state(request).document, media_type=JSON)


async def docs(request: Request) -> Response:  # noqa: ARG001 - a route's signature
    """Show the interactive documentation."""
    return HTMLResponse(DOCS_PAGE)


def _state(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state


def _predicted(
    state: ServiceState, companies: Sequence[Summary | History], where: Sequence[str]
) -> list[Prediction]:
    predictions = predict(state.predictor, companies, where)
    state.telemetry.count_predictions(predictions)
    state.telemetry.count_unseen(state.predictor.reader.unseen_levels(companies))
    if state.log_predictions is not None:
        state.log_predictions(companies, predictions)
    return predictions


def _lead_list(request: Request) -> LeadList:
    leads = _state(request).leads
    if leads is None:
        raise RefusalError(HTTPStatus.NOT_FOUND, "not_found", "there is no lead list; run 'dvc repro score'")
    return leads


def _given_once(request: Request) -> dict[str, str]:
    """Return the parameters of a query by name, each given once."""
    given = request.query_params.multi_items()
    first = {name: place for place, (name, _) in reversed(list(enumerate(given)))}
    repeated = [
        Fault(field=name, given="it twice", allowed="each parameter once")
        for place, (name, _) in enumerate(given)
        if first[name] != place
    ]
    if repeated:
        raise invalid_fields(repeated)
    return dict(given)


def _leads_query(given: dict[str, str], leads: LeadList) -> tuple[ListQuery, int, int]:
    """Read what is asked of the list, its limit and its offset.

    Raises
    ------
    RefusalError
        Lists all that is wrong, first with tier, limit and offset.
    """
    filters = {name: value for name, value in given.items() if name.startswith(BY)}
    plain = {name: value for name, value in given.items() if name not in filters}
    narrowed = {name: value for name, value in plain.items() if name in {"q", "sort"}} | filters
    query, wrong = read_parameters(narrowed, leads.table)
    faults = [Fault(field=each.field, given=shown(each.given), allowed=each.allowed) for each in wrong]
    try:
        asked = LeadsQuery.model_validate_strings({n: v for n, v in plain.items() if n not in narrowed})
    except ValidationError as error:
        if not faults:
            raise refusal_of(error) from error
        raise invalid_fields([*refusal_of(error).body.detail, *faults]) from error
    if faults:
        raise invalid_fields(faults)
    if asked.tier is not None:
        query = replace(query, filters={"tier": asked.tier, **query.filters})
    return query, asked.limit, asked.offset


def _read(model: type[Asked], texts: dict[str, str]) -> Asked:
    try:
        return model.model_validate_strings(texts)
    except ValidationError as error:
        raise refusal_of(error) from error


async def _send_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    _state(request).telemetry.count_refused(error.reason)
    return json_response(error.body, error.status, error.headers)


async def _send_http_error(request: Request, error: Exception) -> Response:
    """Send 404 and 405 with the contract's body."""
    assert isinstance(error, HTTPException)
    state = _state(request)
    state.telemetry.count_refused("not_found" if error.status_code == HTTPStatus.NOT_FOUND else "method")
    allowed = (error.headers or {}).get("Allow")
    what = f"{request.method} {request.url.path[:MAX_SHOWN]}: {error.detail.lower()}"
    docs_path = f"{state.settings.root_path}/docs"
    sentence = f"{what}; allowed is {allowed}" if allowed else f"{what}; see {docs_path}"
    return json_response(Error(error=sentence, detail=[]), error.status_code, dict(error.headers or {}))


async def _send_nothing(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    """End a request whose client left before it had sent the whole; nobody gets the answer."""
    _state(request).telemetry.count_refused("disconnect")
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _send_server_error(request: Request, error: Exception) -> Response:
    """Log a failure of the service with its traceback, and keep it out of the answer."""
    log.error("request failed", extra={"path": request.url.path}, exc_info=error)
    body = Error(error="the service failed; its log says why", detail=[])
    return json_response(body, HTTPStatus.INTERNAL_SERVER_ERROR)


def _only(bentoml_app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path not in BENTOML_PATHS and not path.startswith(BENTOML_FOLDER):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await bentoml_app(scope, receive, send)

    return answer
