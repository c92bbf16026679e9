"""The OpenAPI document of the service, built from the messages' models, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field, TypeAdapter, create_model
from pydantic.json_schema import models_json_schema

from conversion.config.attribute_kinds import AnyAttribute, Category, Flag
from conversion.config.data_contract import Contract
from conversion.pages.lead_filters import NONE, YES_NO, filter_columns
from conversion.pages.list_query import parameter_of
from conversion.serving.contract_messages import Messages
from conversion.serving.examples import history_example, summary_example
from conversion.serving.message_types import MAX_ID, TextId
from conversion.serving.messages import (
    Companies,
    Error,
    Fault,
    Health,
    History,
    Leads,
    LeadsQuery,
    LeadWithUsage,
    Prediction,
    Predictions,
    Summary,
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
    HTTPStatus.TOO_MANY_REQUESTS: "Too much is being received or waits already, or too many wrong tokens "
    "came from this address; Retry-After says when to try again.",
}
ON_BODIES: Final = tuple(status for status in REFUSALS if status is not HTTPStatus.NOT_FOUND)
ON_TOKENS: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
ON_LEADS: Final = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
OPEN: Final[Json] = {"security": [{}]}
ETAG: Final[Json] = {
    "ETag": {
        "description": "names this answer: the same until the list, the query or the form of answers changes",
        "schema": {"type": "string"},
    }
}
IF_NONE_MATCH: Final[Json] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of an answer that the client has: 304 if it is still right",
    "schema": {"type": "string"},
}

DESCRIPTION: Final = """\
How likely free-tier companies convert to paying within `featurize.horizon_days` (30 days), and why.

A company is sent as a **history** (with `usage`, its weekly usage), which gives the probability of the lead
list, or as a **summary** (lifetime totals only). A summary cannot tell last week's activity from last
year's, so its answers rank worse. Each answer says its `basis`.

Numbers without a fraction may be written as `5` or `5.0`. A name given twice in an object is refused.

{days}
"""

MONDAYS: Final = """\
Days: a day given as `{time}` or `as_of` counts for the Monday of its week. Only weeks that are over
at `as_of` may be given, each once, not more than 520 weeks back"""
SUNDAYS: Final = """\
Days: a day given as `{time}` counts for the Sunday of its week, and one given as `as_of` for its Monday. Only
weeks that are over at `as_of` may be given, each once, not more than 520 weeks back"""
USERS: Final = """\
, and in each module at least as many actions
as users"""

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


def openapi_document(messages: Messages, max_companies: int, root_path: str = "") -> bytes:
    """Write the OpenAPI 3.1 document.

    Parameters
    ----------
    messages
        Of the served model's contract.
    max_companies
        Most companies in one ``POST /predict``.
    root_path
        Prefix of the paths that a proxy in front strips; empty: there is none.

    Returns
    -------
    bytes
        JSON.
    """
    description = DESCRIPTION.replace("{days}", _days(messages.contract))
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Who converts next", "version": "1.0.0", "description": description},
        "servers": [{"url": root_path or "/"}],
        "paths": _paths(messages),
        "components": {
            "schemas": _schemas(messages, max_companies),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        # Both: the service may ask for a token or not.
        "security": [{}, {"token": []}],
    }
    return json.dumps(document).encode()


def _days(contract: Contract) -> str:
    """Describe which days and counts a history may have."""
    opening = SUNDAYS if contract.usage.week_starts == "sunday" else MONDAYS
    return opening.replace("{time}", contract.usage.time) + (USERS if contract.users else "") + "."


def _schemas(messages: Messages, max_companies: int) -> Json:
    sent = [messages.summary, messages.history, messages.companies(max_companies), messages.usage_week]
    got = [messages.prediction, messages.predictions, messages.leads, messages.lead_with_usage, Health]
    inputs: Any = [(model, "validation") for model in sent]
    outputs: Any = [(model, "serialization") for model in (*got, _error(messages.contract))]
    _, definitions = models_json_schema([*inputs, *outputs], ref_template=REFERENCE)
    return dict(definitions["$defs"])


def _error(contract: Contract) -> type[Error]:
    """Return `Error` with an example of the contract's fields."""
    path = f"companies[3].usage[0].{contract.counts[-1]}"
    described = Field(description=f"which field, like {path}; empty: the whole")
    fault = create_model("Fault", __base__=Fault, __doc__=Fault.__doc__, field=(str, described))
    detail = Error.model_fields["detail"].description
    return create_model(
        "Error",
        __base__=Error,
        __doc__=Error.__doc__,
        detail=(list[fault], Field(description=detail)),  # type: ignore[valid-type]
    )


def _paths(messages: Messages) -> Json:
    company = {"oneOf": [_reference(Summary), _reference(History)]}
    made = {"summary": summary_example(messages), "history": history_example(messages)}
    examples = {name: {"value": example} for name, example in made.items()}
    batch = {"both": {"value": {"companies": list(made.values())}}}
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
                "Show the leads that a query asks for, a page at a time",
                Leads,
                ON_LEADS,
                tagged=True,
                parameters=[*_query_parameters(), *_filter_parameters(messages.contract), IF_NONE_MATCH],
            )
        },
        "/leads/{id}": {
            "get": _operation(
                "show_lead",
                "Show one lead with its weekly usage",
                LeadWithUsage,
                ON_LEADS,
                tagged=True,
                parameters=[_id_parameter(messages.contract), IF_NONE_MATCH],
            )
        },
        "/health": {"get": _operation("health", "Tell which model is served", Health, **OPEN)},
        "/livez": {"get": _operation("livez", "Answer if the process is alive", None, **OPEN)},
        "/readyz": {"get": _operation("readyz", "Answer once requests can be served", None, **OPEN)},
        "/metrics": {"get": _operation("metrics", "Give Prometheus metrics", None, ON_TOKENS)},
    }


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _operation(
    name: str,
    summary: str,
    answer: type[BaseModel] | None,
    refusals: Iterable[HTTPStatus] = (),
    tagged: bool = False,
    **more: Any,
) -> Json:
    """Describe an operation; without an ``answer`` it answers plain text, ``tagged`` with an ``ETag``."""
    responses: Json = {
        "200": {"description": answer.__doc__, "content": _json(_reference(answer))}
        if answer
        else {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    if tagged:
        responses["200"]["headers"] = ETAG
        responses["304"] = {"description": "The answer is the one that If-None-Match names.", "headers": ETAG}
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


def _filter_parameters(contract: Contract) -> list[Json]:
    """Describe the filters by columns; their values are of the list, and not for everybody to read."""
    columns = [column for column in filter_columns(contract) if column != "tier"]
    attributes = contract.companies.attributes
    return [
        {
            "name": parameter_of(column),
            "in": "query",
            "required": False,
            "description": f"only leads with this {column}, {_values_of(attributes.get(column))}",
            "schema": {"type": "string"},
        }
        for column in columns
    ]


def _values_of(attribute: AnyAttribute | None) -> str:
    """Say what the values of a filter are."""
    if isinstance(attribute, Flag):
        return f"{YES_NO[0]} or {YES_NO[1]}; {NONE}: not known"
    grouped = isinstance(attribute, Category) and attribute.groups is not None
    return f"one of its groups; {NONE}: none" if grouped else f"whole and in this case; {NONE}: none"


def _without_null(schema: Json) -> Json:
    """Remove null from what may be given: a query has no null, a parameter is left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    return kinds[0] if kinds else schema


def _id_parameter(contract: Contract) -> Json:
    schema: Json = {"type": "integer", "minimum": -MAX_ID, "maximum": MAX_ID}
    if contract.companies.ids == "text":
        schema = TypeAdapter(TextId).json_schema()
    return {"name": "id", "in": "path", "required": True, "schema": schema}
