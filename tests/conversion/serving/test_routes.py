from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from starlette.types import Receive, Scope, Send

from conversion.pages.list_query import ListQuery
from conversion.serving.lead_pages import lead_page
from conversion.serving.messages import Health, RegisteredModel
from conversion.serving.middleware import BENTOML_PATHS
from conversion.serving.openapi import DOCS_PAGE, openapi_document
from tests.pipeline import Pipeline
from tests.serving import (
    EXAMPLE,
    MESSAGES,
    VERSION,
    Client,
    error_of,
    fields_of,
    history,
    leads_of,
    state_of,
)

# Paths, methods and pages


@pytest.mark.parametrize("path", ["/nowhere", "/predict/", "/predict/single/5", "/leads/5/usage", "/Health"])
def test_unknown_paths(client: Client, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        error = error_of(client.request(method, path), 404)
        assert error.error == f"{method} {path}: not found; see /docs"
        assert error.detail == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict/single", {"POST"}),
        ("PUT", "/predict", {"POST"}),
        ("POST", "/leads", {"GET", "HEAD"}),
        ("DELETE", "/leads/5", {"GET", "HEAD"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
        ("OPTIONS", "/predict", {"POST"}),
    ],
)
def test_other_methods(client: Client, method: str, path: str, allowed: set[str]) -> None:
    response = client.request(method, path)
    error = error_of(response, 405)
    assert set(response.headers["allow"].split(", ")) == allowed
    assert f"allowed is {response.headers['allow']}" in error.error


@pytest.mark.parametrize("path", [*BENTOML_PATHS, "/static_content/swagger-ui.css"])
def test_bentoml_answers_its_own_paths(client: Client, path: str) -> None:
    assert client.get(path).text == f"bentoml {path}"


@pytest.mark.parametrize("path", ["/docs.json", "/metrics", "/predict", "/openapi.json", "/"])
def test_bentoml_answers_nothing_else(client: Client, path: str) -> None:
    assert "bentoml /" not in client.get(path).text


def test_health(client: Client, pipeline: Pipeline) -> None:
    response = client.get("/health")
    assert response.json() == {
        "status": "ok",
        "model_loaded": True,
        "model_version": VERSION,
        "trained_as_of": f"{pipeline.as_of:%Y-%m-%d}",
        "model_type": "logistic_regression",
        "registered_model": None,
        "lead_list": {
            "as_of": f"{pipeline.as_of:%Y-%m-%d}",
            "model_version": VERSION,
            "of_served_model": True,
            "delivery": None,
            "loaded": "2020-04-27T06:30:00Z",
        },
    }
    Health.model_validate_json(response.content, strict=True, extra="forbid")


def test_a_list_of_another_model_is_told_by_health_and_on_each_page(pipeline: Pipeline) -> None:
    listed = leads_of(pipeline)
    changed = {"as_of": dt.date(2019, 9, 2), "model_sha256": "ab" * 32}
    manifest = listed.files.manifest.model_copy(update=changed)
    other = dataclasses.replace(listed, files=dataclasses.replace(listed.files, manifest=manifest))
    client = Client(state_of(pipeline, leads=other))
    assert client.get("/health").json()["lead_list"] == {
        "as_of": "2019-09-02",
        "model_version": "ab" * 6,
        "of_served_model": False,
        "delivery": None,
        "loaded": "2020-04-27T06:30:00Z",
    }
    answer = client.get("/leads?limit=1").json()
    assert (answer["as_of"], answer["model_version"]) == ("2019-09-02", "ab" * 6)


def test_health_names_the_registered_version(pipeline: Pipeline) -> None:
    registered = RegisteredModel(name="conversion", version="3", aliases=["champion"])
    response = Client(state_of(pipeline, registered_model=registered)).get("/health")
    assert response.json()["registered_model"] == {
        "name": "conversion",
        "version": "3",
        "aliases": ["champion"],
    }
    Health.model_validate_json(response.content, strict=True, extra="forbid")


def test_the_documentation(client: Client) -> None:
    page_of = client.get("/docs")
    assert page_of.text == DOCS_PAGE
    assert page_of.headers["content-type"].startswith("text/html")
    for path in ("/openapi.json", "/docs.json"):
        assert client.get(path).content == openapi_document(MESSAGES, 5)
        assert client.get(path).headers["content-type"] == "application/json"


# Leads


def test_a_page_of_leads(client: Client) -> None:
    assert client.state.leads is not None
    for query, expected in (
        ("", lead_page(client.state.leads, ListQuery(), 50, 0)),
        ("?limit=3&offset=2", lead_page(client.state.leads, ListQuery(), 3, 2)),
        ("?tier=low&limit=1000", lead_page(client.state.leads, ListQuery(filters={"tier": "low"}), 1000, 0)),
        ("?tier=very_high", lead_page(client.state.leads, ListQuery(filters={"tier": "very_high"}), 50, 0)),
        ("?offset=1000000000", lead_page(client.state.leads, ListQuery(), 50, 10**9)),
    ):
        response = client.get(f"/leads{query}")
        assert response.status_code == 200
        assert MESSAGES.leads.model_validate_json(response.content, strict=True, extra="forbid") == expected
        assert response.json() == expected.model_dump(mode="json")


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("limit=0", ["limit"]), ("limit=1001", ["limit"]), ("limit=x", ["limit"]), ("limit=", ["limit"]),
        ("limit=1.0", ["limit"]), ("limit=1_0", ["limit"]), ("offset=-1", ["offset"]), ("tier=top", ["tier"]),
        ("tier=", ["tier"]), ("page=2", ["page"]), ("summary=2", ["summary"]), ("limit=1&limit=2", ["limit"]),
        ("tier=top&limit=0&offset=x", ["tier", "limit", "offset"]), ("limit=%FF", ["limit"]),
        ("limit=" + "9" * 5000, ["limit"]), ("%00=1", ["\x00"]),
    ],
)  # fmt: skip
def test_a_query_that_is_refused(client: Client, query: str, fields: list[str]) -> None:
    assert fields_of(client.get(f"/leads?{query}")) == fields


def test_one_lead(client: Client, pipeline: Pipeline) -> None:
    leads = client.get("/leads?limit=1000").json()["leads"]
    for lead in leads:
        response = client.get(f"/leads/{lead['id']}")
        assert response.status_code == 200
        MESSAGES.lead_with_usage.model_validate_json(response.content, strict=True, extra="forbid")
        body = response.json()
        assert body.pop("usage") == history(pipeline, lead["id"])["usage"]
        assert body == lead


def test_a_lead_and_its_prediction_agree(client: Client) -> None:
    """What one route gives the other takes: the usage of a lead makes its probability."""
    leads = client.get("/leads?limit=1000").json()["leads"]
    assert {None, 16_000_001} < {lead["ALEXA_RANK"] for lead in leads}
    for lead in leads[::7]:
        known = {name: lead[name] for name in ("id", "ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY")}
        usage = client.get(f"/leads/{lead['id']}").json()["usage"]
        found = client.post("/predict/single", known | {"usage": usage}).json()
        assert found["conversion_probability"] == pytest.approx(lead["probability"], abs=1e-9)
        assert found["reasons"] == lead["reasons"]


@pytest.mark.parametrize("company", ["0", "-1", "999999999999999999"])
def test_an_unknown_lead(client: Client, company: str) -> None:
    assert (
        error_of(client.get(f"/leads/{company}"), 404).error == f"company {company} is not on the lead list"
    )


def ids_of(client: Client, query: str) -> list[int]:
    answer = client.get(f"/leads?limit=1000&{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["leads"])
    return [lead["id"] for lead in answer.json()["leads"]]


def test_leads_are_searched_filtered_and_sorted_as_on_the_page(client: Client) -> None:
    leads = client.get("/leads?limit=1000").json()["leads"]
    level = leads[0]["EMPLOYEE_RANGE"] or "2 to 5"
    same = [lead["id"] for lead in leads if lead["EMPLOYEE_RANGE"] == level]
    assert 0 < len(same) < len(leads)
    assert ids_of(client, f"by.EMPLOYEE_RANGE={level}") == same
    unknown = [lead["id"] for lead in leads if lead["EMPLOYEE_RANGE"] is None]
    assert unknown
    assert ids_of(client, "by.EMPLOYEE_RANGE=(none)") == unknown
    both = [lead["id"] for lead in leads if lead["EMPLOYEE_RANGE"] == level and lead["tier"] == "low"]
    assert ids_of(client, f"tier=low&by.EMPLOYEE_RANGE={level}") == both
    assert ids_of(client, f"q={leads[3]['id']}") == [
        lead["id"] for lead in leads if str(leads[3]["id"]) in str(lead["id"])
    ]
    assert ids_of(client, "sort=name") == sorted(lead["id"] for lead in leads)
    assert ids_of(client, "q=&sort=&by.INDUSTRY=") == [lead["id"] for lead in leads], "nothing is asked"
    page = client.get(f"/leads?limit=2&offset=1&by.EMPLOYEE_RANGE={level}").json()
    assert ([lead["id"] for lead in page["leads"]], page["total"]) == (same[1:3], len(same))


@pytest.mark.parametrize(
    ("query", "fields", "allowed"),
    [
        ("sort=size", ["sort"], "one of rank, value, "),
        ("by.MRR=5", ["by.MRR"], "by.EMPLOYEE_RANGE"),
        ("by.tier=low", ["by.tier"], "tier"),
        ("q=" + "x" * 101, ["q"], "100 characters at most"),
        ("sort=size&limit=0&tier=top&by.MRR=5", ["tier", "limit", "sort", "by.MRR"], "one of 'very_high'"),
    ],
)
def test_a_query_names_each_wrong_parameter(
    client: Client, query: str, fields: list[str], allowed: str
) -> None:
    response = client.get(f"/leads?{query}")
    assert fields_of(response) == fields
    assert allowed in response.json()["detail"][0]["allowed"]
    assert response.json()["detail"][0]["given"]


def test_what_a_client_has_is_not_sent_again(client: Client, pipeline: Pipeline) -> None:
    company = client.get("/leads?limit=1").json()["leads"][0]["id"]
    tags = {}
    for path in (
        "/leads",
        "/leads?limit=3",
        "/leads?limit=3&sort=name",
        "/leads?tier=low",
        f"/leads/{company}",
    ):
        whole = client.get(path)
        tags[path] = whole.headers["etag"]
        for given in (tags[path], f'"other", W/{tags[path]}', "*"):
            again = client.get(path, headers={"If-None-Match": given})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == tags[path]
        other = client.get(path, headers={"If-None-Match": tags[path].replace('"', "")})
        assert other.content == whole.content
    assert len(set(tags.values())) == len(tags)
    assert client.get("/leads?offset=0&limit=50&q=").headers["etag"] == tags["/leads"], "asks the same"
    listed = leads_of(pipeline)
    manifest = listed.files.manifest.model_copy(update={"files": {"leads.csv": "ab" * 32}})
    newer = dataclasses.replace(listed, files=dataclasses.replace(listed.files, manifest=manifest))
    now = Client(state_of(pipeline, leads=newer, max_companies=5, max_body_bytes=20_000))
    for path, tag in tags.items():
        assert now.get(path, headers={"If-None-Match": tag}).status_code == 200
    headers = {"If-None-Match": "*"}
    assert fields_of(client.get("/leads?limit=0", headers=headers)) == ["limit"], "a refusal stays one"
    error_of(client.get("/leads/0", headers=headers), 404)


@pytest.mark.parametrize(
    "company",
    ["x", "1.0", "1_0", "+1", "%201", "1e5", "NaN", "9" * 19, "9" * 5000, "%00", "%FF", "٣", "null"],
)
def test_a_lead_that_is_no_number(client: Client, company: str) -> None:
    assert fields_of(client.get(f"/leads/{company}")) == ["id"]


def test_without_a_lead_list(pipeline: Pipeline) -> None:
    client = Client(dataclasses.replace(state_of(pipeline), leads=None))
    for path in ("/leads", "/leads/5"):
        assert "there is no lead list" in error_of(client.get(path), 404).error
    assert client.post("/predict/single", EXAMPLE).status_code == 200


# Failures of the service


class BrokenError(RuntimeError):
    pass


def test_a_fault_of_the_service_tells_nothing(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise BrokenError("/work/secret.py: a secret")

    client = Client(state_of(pipeline, log_predictions=fail))
    for path, body in (("/predict/single", EXAMPLE), ("/predict", {"companies": [EXAMPLE]})):
        caplog.clear()
        response = client.post(path, body)
        error = error_of(response, 500)
        assert error.error == "the service failed; its log says why"
        assert "secret" not in response.text
        (record,) = caplog.records
        assert (record.getMessage(), record.__dict__["path"]) == ("request failed", path)
        assert record.exc_info is not None
        assert record.exc_info[0] is BrokenError
        counted = f'endpoint="{path}",http_response_code="500"'
        assert counted in client.get("/metrics").text


def test_a_fault_of_bentoml_tells_nothing(pipeline: Pipeline) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise BrokenError("/work/secret.py")

    error_of(Client(state_of(pipeline), broken).get("/readyz"), 500)


def test_nothing_but_http_is_left_to_the_caller(client: Client) -> None:
    """Requests that no client of ours sends are answered all the same."""
    for host in (b"[", b"]:x", b"a b", b"", b"\xff"):
        headers = [(b"host", host)]
        assert client.get("/health", headers=headers).status_code == 200
        error_of(client.get("/nowhere", headers=headers), 404)
