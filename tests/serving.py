"""The service in this process, for tests: small models behind the HTTP API, and requests from an export."""

from __future__ import annotations

import datetime as dt
import functools
import html
import json
import re
from collections.abc import Iterable
from typing import Any, get_args

import anyio
import httpx
import pandas as pd
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from conversion.config.attribute_kinds import Flag, Number
from conversion.config.attribute_names import flag_name
from conversion.config.params import FeatureGroup
from conversion.leads.lead_files import LeadFiles, Manifest
from conversion.leads.lead_tables import DECIMALS
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import describe
from conversion.pages.track_record import TrackRecord
from conversion.serving.contract_messages import build_messages
from conversion.serving.lead_pages import LeadList
from conversion.serving.limits import Limits
from conversion.serving.messages import Error, RegisteredModel
from conversion.serving.prediction_log import WritePredictions
from conversion.serving.predictor import Predictor, make_predictor
from conversion.serving.routes import http_api
from conversion.serving.state import ServiceState
from conversion.serving.telemetry import Telemetry
from tests.contract_files import hubspot, projects
from tests.exports import MEASURES, projects_export
from tests.pipeline import Pipeline, dirty_export, small_params

MESSAGES, PROJECTS = build_messages(hubspot()), build_messages(projects())
Summary, History, UsageWeek = MESSAGES.summary, MESSAGES.history, MESSAGES.usage_week
SHA256 = "0123456789abcdef" * 4
VERSION = SHA256[:12]
LOADED = dt.datetime(2020, 4, 27, 6, 30, tzinfo=dt.UTC)
JSON = {"content-type": "application/json"}
TOKEN = "a token with spaces"

EXAMPLE: dict[str, Any] = {
    "id": 123,
    "ALEXA_RANK": 50000,
    "EMPLOYEE_RANGE": "26 to 50",
    "INDUSTRY": "COMPUTER_SOFTWARE",
    "total_actions": 150,
    "total_users": 5,
    "days_active": 30,
    "activity_frequency": 5.0,
}
"""The summary of the README and of the original framework."""


@functools.cache
def small_pipeline(
    model_type: str = "logistic_regression",
    as_of: str | None = None,
    groups: tuple[str, ...] = get_args(FeatureGroup),
) -> Pipeline:
    """Return the pipeline of `tests.pipeline.dirty_export`, one for all tests of a process."""
    params = small_params(model__type=model_type, data__as_of=as_of, features__groups=list(groups))
    return Pipeline(dirty_export(), params)


@functools.cache
def projects_pipeline(model_type: str = "logistic_regression") -> Pipeline:
    """Return the pipeline of `tests.exports.projects_export`, one for all tests of a process."""
    params = small_params(
        model__type=model_type,
        features__groups=list(get_args(FeatureGroup)),
        model__logistic_regression__quadratic=["auto"],
    )
    return Pipeline(projects_export(companies=240, weeks=40), params, projects())


def predictor_of(pipeline: Pipeline, model: ConversionModel | None = None) -> Predictor:
    """Load a pipeline's model, or another of the same params, as the service does beside the list."""
    model = pipeline.model if model is None else model
    description = describe(model, pipeline.train, pipeline.as_of, pipeline.params) | {"sha256": SHA256}
    predictor = make_predictor(model, description, pipeline.params)
    return predictor.beside(pipeline.ranked.cuts, pipeline.evidence)


def leads_of(pipeline: Pipeline) -> LeadList:
    """Return a pipeline's lead list as the service reads it from the files."""
    ranked, converted = pipeline.ranked, pipeline.converted
    manifest = Manifest(
        as_of=pipeline.as_of.date(),
        prospects=len(ranked.leads),
        tier_cuts=ranked.cuts,
        model_sha256=SHA256,
        inputs={},
        files={},
    )
    files = LeadFiles(
        manifest=manifest,
        leads=ranked.leads.round(DECIMALS),
        usage=pipeline.usage,
        contributions=ranked.contributions,
        converted=converted.companies,
        converted_contributions=converted.contributions,
        evidence=pipeline.evidence,
    )
    return LeadList(files, MESSAGES if pipeline.contract is hubspot() else PROJECTS)


def state_of(
    pipeline: Pipeline,
    token: str | None = None,
    leads: LeadList | None = None,
    log_predictions: WritePredictions | None = None,
    registered_model: RegisteredModel | None = None,
    track_record: TrackRecord | None = None,
    **settings: Any,
) -> ServiceState:
    """Make what the routes answer from; ``settings`` are those of ``serve`` in params.yaml."""
    given = pipeline.params.serve.model_dump() | settings
    serve = type(pipeline.params.serve).model_validate_json(json.dumps(given))
    return ServiceState(
        predictor=predictor_of(pipeline),
        model_type=pipeline.params.model.type,
        registered_model=registered_model,
        leads=leads_of(pipeline) if leads is None else leads,
        track_record=track_record,
        delivery=None,
        loaded=LOADED,
        settings=serve,
        token=token,
        telemetry=Telemetry("conversion", "test"),
        log_predictions=log_predictions,
        limits=Limits.of(serve),
    )


def known(value: Any) -> Any:
    """Return a table's cell as JSON has it: null if it is missing."""
    return None if pd.isna(value) else value


def firmographics(pipeline: Pipeline, company: int | str) -> dict[str, Any]:
    """Return a company's attributes as exports write them, and its id."""
    row = pipeline.companies.set_index("id").loc[company]
    attributes = {}
    for name, attribute in pipeline.contract.companies.attributes.items():
        value = known(row[name])
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            value = attribute.not_applicable if row[flag_name(name, attribute)] == 1.0 else value
        if isinstance(attribute, Flag) and value is not None:
            value = bool(value)
        attributes[name] = value
    return {"id": company if isinstance(company, str) else int(company)} | attributes


def history(pipeline: Pipeline, company: int | str, as_of: str | None = None) -> dict[str, Any]:
    """Make the request for one company of a pipeline: its attributes and all its usage rows."""
    contract = pipeline.contract
    rows = pipeline.usage[pipeline.usage["id"] == company]
    counts = rows[list(contract.counts)].to_dict("records")
    days = rows[contract.usage.time].dt.strftime("%Y-%m-%d")
    usage = [
        {contract.usage.time: day} | {str(name): int(count) for name, count in row.items()}
        for day, row in zip(days, counts, strict=True)
    ]
    return firmographics(pipeline, company) | {"as_of": as_of, "usage": usage}


def histories(pipeline: Pipeline, companies: Iterable[int | str], as_of: str | None = None) -> list[Any]:
    """Make the validated requests for some companies."""
    model = (MESSAGES if pipeline.contract is hubspot() else PROJECTS).history
    return [model.model_validate_json(json.dumps(history(pipeline, company, as_of))) for company in companies]


def summary(**values: Any) -> Any:
    """Make a validated summary of nothing but the given values."""
    return Summary(**{"id": 1} | values)


def week(day: str, **counts: int) -> dict[str, Any]:
    """Make a usage row; counts that are not given are 0."""
    return {"WHEN_TIMESTAMP": day} | dict.fromkeys(MEASURES, 0) | counts


def with_token(value: bytes) -> dict[str, Any]:
    """Return the options of a request with JSON and this ``Authorization``."""
    return {"headers": [(b"content-type", b"application/json"), (b"authorization", value)]}


def error_of(response: httpx.Response, status: int) -> Error:
    """Check that a refusal is what the contract says, whatever went wrong."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert tuple(response.json()) == ("error", "detail")
    error = Error.model_validate_json(response.content, strict=True, extra="forbid")
    assert error.error
    assert error.error.splitlines() == [error.error]
    for secret in ("Traceback", "/work", ".py", "site-packages", "pydantic"):
        assert secret not in response.text
    return error


def fields_of(response: httpx.Response) -> list[str]:
    """List the fields that a 422 names."""
    return [fault.field for fault in error_of(response, 422).detail]


async def bentoml_stand_in(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any path, as BentoML's app would some."""
    await PlainTextResponse(f"bentoml {scope['path']}")(scope, receive, send)


class Client:
    """Speaks HTTP to an app in this process; what the app raises after its answer is left to its server.

    Starlette's own test client asks for another HTTP library than the one that BentoML brings.
    """

    def __init__(self, state: ServiceState, bentoml_app: ASGIApp = bentoml_stand_in) -> None:
        self.state = state
        self.app = http_api(state, bentoml_app)

    def request(self, method: str, path: str, address: str = "127.0.0.1", **options: Any) -> httpx.Response:
        """Send one request from an address and wait for the answer."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 123))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                return await client.request(method, path, **options)

        return anyio.run(send)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        """Send a POST with JSON: text as it is, anything else dumped."""
        content = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.request("POST", path, **{"content": content, "headers": JSON} | options)


def first_id(client: Client) -> int | str:
    assert client.state.leads is not None
    found = client.state.leads.leads["id"].iloc[0]
    return found if isinstance(found, str) else int(found)


def page_of(response: httpx.Response, status: int = 200) -> str:
    """Check what every page has, and return its text on one line."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert not re.search(r"<style|\sstyle=|<script(?! src=)", response.text)
    return " ".join(html.unescape(response.text).split())
