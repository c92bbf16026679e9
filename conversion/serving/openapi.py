"""The OpenAPI document of the service, built from the contract's models, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from conversion.serving.messages import (
    MAX_ID,
    Companies,
    Error,
    Health,
    History,
    Leads,
    LeadsQuery,
    LeadWithUsage,
    Prediction,
    Predictions,
    Summary,
    UsageWeek,
    companies_message,
)

Json = dict[str, Any]

REFERENCE: Final = "#/components/schemas/{model}"

REFUSALS: Final = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON.",
    HTTPStatus.UNAUTHORIZED: "The bearer token is missing or wrong; only where the service asks for one.",
    HTTPStatus.NOT_FOUND: "There is no such lead, or no lead list.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not declared as application/json, or is compressed.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A field is wrong; detail names each one. Nothing was scored.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too much is being received or waits already; Retry-After says when to try "
    "again.",
}
ON_BODIES: Final = tuple(status for status in REFUSALS if status is not HTTPStatus.NOT_FOUND)
ON_LEADS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
OPEN: Final[Json] = {"security": [{}]}

DESCRIPTION: Final = """\
How likely free-tier companies convert to paying within `featurize.horizon_days` (30 days), and why.

A company is sent as a **history** (with `usage`, its weekly usage), which gives the probability of the lead
list, or as a **summary** (lifetime totals only). A summary cannot tell last week's activity from last
year's, so its answers rank worse. Each answer says its `basis`.

Numbers without a fraction may be written as `5` or `5.0`. A name given twice in an object is refused.

Days: a day given as `WHEN_TIMESTAMP` or `as_of` counts for the Monday of its week. Only weeks that are over
at `as_of` may be given, each once, not more than 520 weeks back, and in each module at least as many actions
as users.
"""

# The files come from the service itself, so that the page needs no internet.
DOCS_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Who converts next: HTTP API</title>
    <link rel="stylesheet" href="static_content/swagger-ui.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="static_content/swagger-ui-bundle.js"></script>
    <script>
      window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true})
    </script>
  </body>
</html>
"""


@lru_cache
def openapi_document(max_companies: int, root_path: str = "") -> bytes:
    """Write the OpenAPI 3.1 document.

    Parameters
    ----------
    max_companies
        Most companies in one ``POST /predict``.
    root_path
        Prefix of the paths that a proxy in front strips; empty: there is none.

    Returns
    -------
    bytes
        JSON.
    """
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Who converts next", "version": "1.0.0", "description": DESCRIPTION},
        "servers": [{"url": root_path or "/"}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(max_companies),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Both: the service may ask for a token or not.
        "security": [{}, {"token": []}],
    }
    return json.dumps(document).encode()


def _schemas(max_companies: int) -> Json:
    sent = [Summary, History, companies_message(max_companies)]
    got = [Prediction, Predictions, Leads, LeadWithUsage, Health, Error]
    inputs: Any = [(model, "validation") for model in (*sent, UsageWeek)]
    outputs: Any = [(model, "serialization") for model in got]
    _, definitions = models_json_schema([*inputs, *outputs], ref_template=REFERENCE)
    return dict(definitions["$defs"])


def _paths() -> Json:
    company = {"oneOf": [_reference(Summary), _reference(History)]}
    examples = {
        name: {"value": model.example} for name, model in (("summary", Summary), ("history", History))
    }
    batch = {"both": {"value": {"companies": [example["value"] for example in examples.values()]}}}
    return {
        "/predict/single": {
            "post": _operation(
                "predict_single", "Predict one company", Prediction, ON_BODIES, **_body(company, examples)
            )
        },
        "/predict": {
            "post": _operation(
                "predict",
                "Predict companies, in the order given",
                Predictions,
                ON_BODIES,
                **_body(_reference(Companies), batch),
            )
        },
        "/leads": {
            "get": _operation(
                "list_leads",
                "Show the lead list, a page at a time",
                Leads,
                ON_LEADS,
                parameters=_query_parameters(),
            )
        },
        "/leads/{id}": {
            "get": _operation(
                "show_lead",
                "Show one lead with its weekly usage",
                LeadWithUsage,
                ON_LEADS,
                parameters=[_id_parameter()],
            )
        },
        "/health": {"get": _operation("health", "Tell which model is served", Health, **OPEN)},
        "/livez": {"get": _operation("livez", "Answer if the process is alive", None, **OPEN)},
        "/readyz": {"get": _operation("readyz", "Answer once requests can be served", None, **OPEN)},
        "/metrics": {
            "get": _operation("metrics", "Give Prometheus metrics", None, (HTTPStatus.UNAUTHORIZED,))
        },
    }


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _operation(
    name: str, summary: str, answer: type[BaseModel] | None, refusals: Iterable[HTTPStatus] = (), **more: Any
) -> Json:
    """Describe an operation; without an ``answer`` it answers plain text."""
    responses = {
        "200": {"description": answer.__doc__, "content": _json(_reference(answer))}
        if answer
        else {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    for status in refusals:
        responses[str(int(status))] = {
            "description": REFUSALS[status],
            "content": _json(_reference(Error)),
        }
    return {"operationId": name, "summary": summary, "responses": responses} | more


def _json(schema: Json, **more: Json) -> Json:
    return {"application/json": {"schema": schema} | more}


def _body(schema: Json, examples: Json) -> Json:
    return {"requestBody": {"required": True, "content": _json(schema, examples=examples)}}


def _query_parameters() -> list[Json]:
    properties: Json = TypeAdapter(LeadsQuery).json_schema()["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema.pop("description"),
            "schema": _without_null(schema),
        }
        for name, schema in properties.items()
    ]


def _without_null(schema: Json) -> Json:
    """Remove null from what may be given: a query has no null, a parameter is left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return kinds[0] if kinds else schema


def _id_parameter() -> Json:
    bounded = {"type": "integer", "minimum": -MAX_ID, "maximum": MAX_ID}
    return {"name": "id", "in": "path", "required": True, "schema": bounded}
