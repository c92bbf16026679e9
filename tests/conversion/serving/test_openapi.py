from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.routing import Route

from conversion.pages.lead_filters import filter_columns
from conversion.pages.list_query import SORTS
from conversion.serving import messages
from conversion.serving.middleware import BENTOML_PATHS
from conversion.serving.openapi import openapi_document
from conversion.serving.page_routes import Pages
from tests.contract_files import hubspot
from tests.exports import EMPLOYEE_RANGES
from tests.serving import EXAMPLE, MESSAGES, Client, History, Summary, UsageWeek, small_pipeline, state_of

# Pages about the service, not of it.
PAGES = {"/docs", "/docs.json", "/openapi.json"}
# What BentoML's own client reads, and a second name of /livez.
NOT_SHOWN = {"/healthz", "/schema.json"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(openapi_document(MESSAGES, 1000))


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inside in value.values():
            yield from nodes(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from nodes(inside)


def at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema | {"components": document["components"]})


def bodies(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the content of each route's request."""
    return {
        path: operations["post"]["requestBody"]["content"]["application/json"]
        for path, operations in document["paths"].items()
        if "post" in operations
    }


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document, cls=OpenAPIV31SpecValidator)
    assert document["openapi"].startswith("3.1")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = [node["$ref"] for node in nodes(document) if "$ref" in node]
    assert references
    reached = {reference.rpartition("/")[2] for reference in references}
    for reference in references:
        assert isinstance(at(document, reference), dict)
    assert reached == set(document["components"]["schemas"]), "every schema is used"
    for name in reached:
        assert hasattr(messages, name), "schemas are the contract's models"


def test_the_paths_are_the_routes(document: dict[str, Any]) -> None:
    state = state_of(small_pipeline())
    app = Client(state).app
    assert isinstance(app, Starlette)
    for_people = PAGES | {route.path for route in Pages(state).routes("whole")}
    routes = {route.path: route.methods or set() for route in app.routes if isinstance(route, Route)}
    assert set(document["paths"]) == (set(routes) - for_people) | (set(BENTOML_PATHS) - NOT_SHOWN)
    for path, operations in document["paths"].items():
        methods = {method.upper() for method in operations}
        assert methods == routes.get(path, {"GET"}) - {"HEAD"}
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_the_size_of_a_batch_follows_the_params(most: int) -> None:
    document = json.loads(openapi_document(MESSAGES, most))
    assert document["components"]["schemas"]["Companies"]["properties"]["companies"]["maxItems"] == most
    assert Client(state_of(small_pipeline(), max_companies=most)).get("/openapi.json").json() == document


def test_the_server_is_where_a_proxy_puts_it(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/"}]
    behind = json.loads(openapi_document(MESSAGES, 1000, "/crm"))
    validate(behind, cls=OpenAPIV31SpecValidator)
    assert behind["servers"] == [{"url": "/crm"}]
    assert {**behind, "servers": None} == {**document, "servers": None}


def test_5_0_is_an_integer_to_the_schema_and_to_the_service(document: dict[str, Any]) -> None:
    schema = bodies(document)["/predict/single"]["schema"]
    client = Client(state_of(small_pipeline()))
    for text, allowed in (("5.0", True), ("5e0", True), ("5.5", False), ("true", False), ('"5"', False)):
        body = f'{{"id": {text}}}'
        assert validator(document, schema).is_valid(json.loads(body)) is allowed
        assert client.post("/predict/single", body).status_code == (200 if allowed else 422)


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    for content in bodies(document).values():
        assert content["examples"]
        for example in content["examples"].values():
            validator(document, content["schema"]).validate(example["value"])
    for name, schema in document["components"]["schemas"].items():
        reference = {"$ref": f"#/components/schemas/{name}"}
        for example in schema.get("examples", []):
            validator(document, reference).validate(example)


def test_every_example_is_accepted(document: dict[str, Any]) -> None:
    by_path = bodies(document)
    adapters: dict[str, TypeAdapter[Any]] = {
        "/predict/single": MESSAGES.company,
        "/predict": TypeAdapter(MESSAGES.companies(1000)),
    }
    assert set(by_path) == set(adapters)
    client = Client(state_of(small_pipeline()))
    for path, content in by_path.items():
        for example in content["examples"].values():
            adapters[path].validate_python(example["value"] | {}, strict=False)
            adapters[path].validate_json(json.dumps(example["value"]))
            # The weeks of the example are over when it says they are.
            assert client.post(path, example["value"]).status_code == 200
    singles = by_path["/predict/single"]["examples"]
    assert singles["summary"]["value"] == EXAMPLE
    adapter = adapters["/predict/single"]
    for kind, model in (("summary", Summary), ("history", History)):
        assert isinstance(adapter.validate_json(json.dumps(singles[kind]["value"])), model)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"id": "x"}, {"id": 1, "MRR": 1}, {"id": 1, "ALEXA_RANK": 0}, {"id": 1, "EMPLOYEE_RANGE": "x"},
        {"id": 1, "total_users": -1}, {"id": 1, "usage": [{}]}, {"id": 1, "usage": [], "total_users": 1},
        {"id": 1, "usage": [], "as_of": 5}, {"id": 10**18}, {"id": 1, "INDUSTRY": "x" * 201}, [], None,
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_service_does(document: dict[str, Any], body: object) -> None:
    schema = bodies(document)["/predict/single"]["schema"]
    assert not validator(document, schema).is_valid(body)
    assert Client(state_of(small_pipeline())).post("/predict/single", json.dumps(body)).status_code == 422


@pytest.mark.parametrize("model", [Summary, History, UsageWeek])
def test_unknown_fields_are_refused_by_the_schema_too(document: dict[str, Any], model: type[Any]) -> None:
    schema = document["components"]["schemas"][model.__name__]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == list(model.model_fields)


def test_choices_are_listed(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    choices = schemas["Summary"]["properties"]["EMPLOYEE_RANGE"]["anyOf"][0]["enum"]
    assert choices == list(EMPLOYEE_RANGES)
    assert schemas["Prediction"]["properties"]["tier"]["enum"] == list(get_args(messages.Tier))


def test_every_answer_is_described(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            for status, response in operation["responses"].items():
                assert response["description"]
                if status == "304":
                    assert "content" not in response
                    assert set(response["headers"]) == {"ETag"}
                    continue
                (media_type,) = response["content"]
                if status != "200":
                    assert media_type == "application/json"
                    reference = response["content"][media_type]["schema"]["$ref"]
                    assert reference == "#/components/schemas/Error", (path, status)


def test_query_parameters_are_the_contracts(document: dict[str, Any]) -> None:
    parameters = {entry["name"]: entry for entry in document["paths"]["/leads"]["get"]["parameters"]}
    filters = [f"by.{column}" for column in filter_columns(hubspot()) if column != "tier"]
    assert list(parameters) == [*messages.LeadsQuery.model_fields, *filters, "If-None-Match"]
    assert parameters["sort"]["schema"]["enum"] == ["", *SORTS]
    assert parameters["tier"]["schema"]["enum"] == list(get_args(messages.Tier))
    limit = parameters["limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, messages.MAX_LEADS, 50)
    assert not any(entry["required"] for entry in parameters.values())
