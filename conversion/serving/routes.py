"""The routes of the HTTP contract: reading requests, refusing what is wrong, sending answers."""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import anyio.to_thread
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from conversion.serving.batch_queue import ByteLimit, Held
from conversion.serving.lead_pages import LeadList, find, page
from conversion.serving.messages import (
    Error,
    Fault,
    Health,
    History,
    LeadPath,
    LeadsQuery,
    Prediction,
    Predictions,
    Summary,
)
from conversion.serving.middleware import (
    BENTOML_FOLDER,
    BENTOML_PATHS,
    JSON,
    ObserveMiddleware,
    PrefixMiddleware,
    TokenMiddleware,
    json_response,
)
from conversion.serving.openapi import DOCS_PAGE, openapi_document
from conversion.serving.predictor import predict
from conversion.serving.refusals import (
    MAX_SHOWN,
    RefusalError,
    invalid_fields,
    refusal_of,
    refuse_repeated_names,
    shown,
)
from conversion.serving.request_arrays import places_of
from conversion.serving.state import Serving

# Seven times a company with all the weeks it may have; it is read on the event loop, so it must be quick.
MAX_SINGLE_BYTES: Final = 2**20
# Single companies have room of their own, so that no batch, however large, keeps them out.
MAX_SINGLES_BYTES: Final = 32 * MAX_SINGLE_BYTES
REQUEST_SECONDS: Final = 30
# Less than that, so that the client hears what was wrong.
BODY_SECONDS: Final = 20

T = TypeVar("T")
Asked = TypeVar("Asked", LeadPath, LeadsQuery)

log = logging.getLogger(__name__)


def http_api(serving: Serving, bentoml_app: ASGIApp) -> ASGIApp:
    """Make the app that answers the contract's routes, and leaves BentoML's own paths to it.

    Parameters
    ----------
    serving
        What to answer from.
    bentoml_app
        BentoML's app.

    Returns
    -------
    ASGI app
    """
    origins = list(serving.settings.cors_origins)
    cors = [Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])]
    routes = http_routes()
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(PrefixMiddleware, prefix=serving.settings.root_path),
            Middleware(ObserveMiddleware, telemetry=serving.telemetry, routes=routes),
            *(cors if origins else []),
            Middleware(TokenMiddleware, token=serving.token, telemetry=serving.telemetry),
        ],
        exception_handlers={
            RefusalError: _send_refusal,
            HTTPException: _send_http_error,
            ClientDisconnect: _send_nothing,
            Exception: _send_server_error,
        },
    )
    app.state.serving = serving
    app.state.singles = ByteLimit(MAX_SINGLES_BYTES)
    app.router.default = _only(bentoml_app)
    app.router.redirect_slashes = False
    return app


def http_routes() -> list[Route]:
    """List the routes; what is not among them is BentoML's, or not found."""
    return [
        Route("/predict/single", predict_single, methods=["POST"]),
        Route("/predict", predict_batch, methods=["POST"]),
        Route("/leads", list_leads),
        Route("/leads/{id}", show_lead),
        Route("/health", health),
        Route("/metrics", metrics),
        Route("/openapi.json", openapi),
        Route("/docs.json", openapi),
        Route("/docs", docs),
        Route("/", index),
    ]


async def predict_single(request: Request) -> Response:
    """Predict one company."""
    serving: Serving = request.app.state.serving
    limit = min(MAX_SINGLE_BYTES, serving.settings.max_body_bytes)
    singles: ByteLimit = request.app.state.singles
    with singles.hold() as held:
        company = _parsed(serving.company, await _body(request, limit, held))
        predictions = _predicted(serving, [company], [""])
    return json_response(predictions[0])


async def predict_batch(request: Request) -> Response:
    """Predict companies in the order given, beside the event loop: a large batch must not hold up probes."""
    serving: Serving = request.app.state.serving
    with serving.batches.bodies.hold() as held:
        body = await _body(request, serving.settings.max_body_bytes, held)
        return await serving.batches.run(partial(_answer_batch, serving), body)


def _answer_batch(serving: Serving, body: bytearray) -> Response:
    companies = _parsed(serving.companies, body).companies
    predictions = _predicted(serving, companies, places_of(companies))
    answer = Predictions(predictions=predictions, model_version=serving.predictor.version)
    return json_response(answer)


async def list_leads(request: Request) -> Response:
    """Show a page of the lead list."""
    query = _query(request)
    leads = _lead_list(request)
    answer = await anyio.to_thread.run_sync(page, leads, query.tier, query.limit, query.offset)
    return json_response(answer)


async def show_lead(request: Request) -> Response:
    """Show one lead with its weekly usage."""
    company_id = _read(LeadPath, request.path_params).id
    lead = await anyio.to_thread.run_sync(find, _lead_list(request), company_id)
    if lead is None:
        raise RefusalError(HTTPStatus.NOT_FOUND, "not_found", f"company {company_id} is not on the lead list")
    return json_response(lead)


async def health(request: Request) -> Response:
    """Tell which model is served; open to all."""
    serving: Serving = request.app.state.serving
    return json_response(
        Health(
            status="ok",
            model_loaded=True,
            model_version=serving.predictor.version,
            trained_as_of=serving.predictor.trained_as_of,
            model_type=serving.model_type,
            registered_model=serving.registered_model,
            lead_list=serving.served_list,
        )
    )


async def metrics(request: Request) -> Response:
    """Give all workers' metrics in Prometheus' format."""
    serving: Serving = request.app.state.serving
    content, media_type = serving.telemetry.exposition()
    return Response(content, media_type=media_type)


async def openapi(request: Request) -> Response:
    """Give the OpenAPI document."""
    serving: Serving = request.app.state.serving
    settings = serving.settings
    return Response(openapi_document(settings.max_companies, settings.root_path), media_type=JSON)


async def docs(request: Request) -> Response:  # noqa: ARG001 - a route's signature
    """Show the interactive documentation."""
    return HTMLResponse(DOCS_PAGE)


async def index(request: Request) -> Response:
    """Lead people who open the root to the documentation."""
    serving: Serving = request.app.state.serving
    prefix = serving.settings.root_path
    # Relative where no prefix is set: a proxy may have taken off one that nobody told of.
    return RedirectResponse(f"{prefix}/docs" if prefix else "docs")


def _predicted(
    serving: Serving, companies: Sequence[Summary | History], where: Sequence[str]
) -> list[Prediction]:
    predictions = predict(serving.predictor, companies, where)
    serving.telemetry.count_predictions(predictions)
    if serving.record is not None:
        serving.record(companies, predictions)
    return predictions


def _lead_list(request: Request) -> LeadList:
    serving: Serving = request.app.state.serving
    if serving.leads is None:
        raise RefusalError(HTTPStatus.NOT_FOUND, "not_found", "there is no lead list; run 'dvc repro score'")
    return serving.leads


def _query(request: Request) -> LeadsQuery:
    given = request.query_params.multi_items()
    first = {name: place for place, (name, _) in reversed(list(enumerate(given)))}
    repeated = [
        Fault(field=name, given="it twice", allowed="each parameter once")
        for place, (name, _) in enumerate(given)
        if first[name] != place
    ]
    if repeated:
        raise invalid_fields(repeated)
    return _read(LeadsQuery, dict(given))


def _read(model: type[Asked], texts: dict[str, str]) -> Asked:
    try:
        return model.model_validate_strings(texts)
    except ValidationError as error:
        raise refusal_of(error) from error


def _parsed(adapter: TypeAdapter[T], body: bytearray) -> T:
    if body.startswith(codecs.BOM_UTF8):  # as some editors and PowerShell write it
        del body[: len(codecs.BOM_UTF8)]
    try:
        parsed = adapter.validate_json(body)
    except ValidationError as error:
        raise refusal_of(error) from error
    refuse_repeated_names(body)
    return parsed


async def _body(request: Request, limit: int, held: Held) -> bytearray:
    """Read a JSON body; one there is no room for is read to its end, so that the client hears the answer."""
    _check_media(request)
    # One buffer: as a list, pieces of a few bytes would take many times their size.
    body, size, room = bytearray(), 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                room = room and size <= limit and held.take(len(chunk))
                if room:
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
    if size > limit:
        raise RefusalError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the body has {size} bytes, {limit} are allowed",
        )
    if not room:
        raise RefusalError(
            HTTPStatus.TOO_MANY_REQUESTS,
            "busy",
            f"bodies of {held.limit.bytes} bytes are received or wait already; send this one again later",
            headers={"Retry-After": "1"},
        )
    return body


def _check_media(request: Request) -> None:
    """Refuse what is not declared as plain JSON: a compressed body could be a bomb."""
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


async def _send_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    serving: Serving = request.app.state.serving
    serving.telemetry.count_rejected(error.reason)
    return json_response(error.body, error.status, error.headers)


async def _send_http_error(request: Request, error: Exception) -> Response:
    """Say 404 and 405 in the contract's words."""
    assert isinstance(error, HTTPException)
    serving: Serving = request.app.state.serving
    serving.telemetry.count_rejected("not_found" if error.status_code == HTTPStatus.NOT_FOUND else "method")
    allowed = (error.headers or {}).get("Allow")
    what = f"{request.method} {request.url.path[:MAX_SHOWN]}: {error.detail.lower()}"
    docs_path = f"{serving.settings.root_path}/docs"
    sentence = f"{what}; allowed is {allowed}" if allowed else f"{what}; see {docs_path}"
    return json_response(Error(error=sentence, detail=[]), error.status_code, dict(error.headers or {}))


async def _send_nothing(request: Request, error: Exception) -> Response:  # noqa: ARG001 - a handler's signature
    """End a request whose client left before its end; nobody hears the answer."""
    serving: Serving = request.app.state.serving
    serving.telemetry.count_rejected("disconnect")
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _send_server_error(request: Request, error: Exception) -> Response:
    """Keep a fault of ours out of the answer; it is logged with its traceback."""
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
