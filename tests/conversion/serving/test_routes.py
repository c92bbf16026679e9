from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import json
import math
import os
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from conversion.modelling.model import ConversionModel
from conversion.runtime.errors import ServiceError
from conversion.serving import routes as http_api_module
from conversion.serving.lead_pages import page
from conversion.serving.messages import (
    Error,
    Health,
    History,
    Leads,
    LeadWithUsage,
    Prediction,
    Predictions,
    RegisteredModel,
    Summary,
)
from conversion.serving.middleware import BENTOML_PATHS, check_token
from conversion.serving.openapi import DOCS_PAGE, openapi_document
from tests.pipeline import Pipeline
from tests.serving import EXAMPLE, JSON, VERSION, Client, history, leads_of, serving_of, small_pipeline, week

KEYS = (
    "company_id", "conversion_probability", "prediction", "confidence", "tier", "reasons", "basis", "as_of",
    "model_version",
)  # fmt: skip
TOKEN = "a token with spaces"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


@pytest.fixture(scope="module")
def client(pipeline: Pipeline) -> Client:
    return Client(serving_of(pipeline, max_companies=5, max_body_bytes=20_000))


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
    return [fault.field for fault in error_of(response, 422).detail]


# One company


def test_the_example_of_the_original(client: Client) -> None:
    text = (
        '{"id": 123, "ALEXA_RANK": 50000, "EMPLOYEE_RANGE": "26 to 50", "INDUSTRY": "COMPUTER_SOFTWARE", '
        '"total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 5.0}'
    )
    response = client.post("/predict/single", text)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert tuple(body) == KEYS
    assert body["company_id"] == 123
    assert 0 < body["conversion_probability"] < 1
    assert body["prediction"] in (0, 1)
    assert body["confidence"] in ("high", "medium", "low")
    assert (body["basis"], body["as_of"], body["model_version"]) == ("summary", None, VERSION)
    assert len(body["reasons"]) == 3
    assert all(reason.startswith(("+ ", "- ")) for reason in body["reasons"])
    Prediction.model_validate_json(response.content, strict=True, extra="forbid")


def test_a_history_is_the_lead_list(client: Client, pipeline: Pipeline) -> None:
    leads = pipeline.leads.set_index("id")
    for company in leads.index[:10]:
        body = client.post("/predict/single", history(pipeline, company)).json()
        assert tuple(body) == KEYS
        assert body["conversion_probability"] == pytest.approx(leads.loc[company, "probability"], abs=1e-9)
        assert (body["basis"], body["as_of"]) == ("history", f"{pipeline.as_of:%Y-%m-%d}")
        assert body["tier"] == leads.loc[company, "tier"]


def test_a_body_may_come_in_pieces_and_say_its_charset(client: Client) -> None:
    expected = client.post("/predict/single", EXAMPLE).json()
    text = json.dumps(EXAMPLE | {"INDUSTRY": "Asesoría de Marketing"}, ensure_ascii=False).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 7):
            yield text[start : start + 7]

    headers = {"content-type": "Application/JSON; charset=utf-8"}
    response = client.request("POST", "/predict/single", content=pieces(), headers=headers)
    assert response.status_code == 200
    assert response.json() == client.post("/predict/single", text).json() != expected


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ([], ""),
        ({"id": 1, "MRR": 5}, "MRR"),
        ({"id": 1, "usage": [week("2019-08-05", USERS_EMAIL=1)]}, "usage[0].USERS_EMAIL"),
        ({"id": 1, "usage": [week("2039-08-05")]}, "usage[0].WHEN_TIMESTAMP"),
        ({"id": 1, "companies": []}, "companies"),
        ('{"id": 1, "ALEXA_RANK": NaN}', "ALEXA_RANK"),
        ('{"id": 1, "ALEXA_RANK": 1e999}', "ALEXA_RANK"),
        ('{"id": 1, "ALEXA_RANK": -Infinity}', "ALEXA_RANK"),
    ],
)
def test_a_company_that_is_refused(client: Client, body: object, field: str) -> None:
    assert fields_of(client.post("/predict/single", body)) == [field]


@pytest.mark.parametrize("path", ["/predict/single", "/predict"])
@pytest.mark.parametrize("body", ["", "{", "x", b"\xff\xfe", b"\x00", "[" * 15_000, '{"a":' * 3_000])
def test_no_json(client: Client, path: str, body: str | bytes) -> None:
    assert error_of(client.post(path, body), 400).detail == []


# Many


def test_answers_keep_the_order(client: Client, pipeline: Pipeline) -> None:
    companies = [
        EXAMPLE,
        history(pipeline, pipeline.leads["id"].iloc[0]),
        {"id": 5},
        EXAMPLE,
        {"id": -5, "usage": [], "as_of": "2019-07-03"},
    ]
    response = client.post("/predict", {"companies": companies})
    assert response.status_code == 200
    assert tuple(response.json()) == ("predictions", "model_version")
    answer = Predictions.model_validate_json(response.content, strict=True, extra="forbid")
    assert answer.model_version == VERSION
    assert [one.company_id for one in answer.predictions] == [company["id"] for company in companies]
    assert answer.predictions[0] == answer.predictions[3]
    for company, found in zip(companies, response.json()["predictions"], strict=True):
        assert tuple(found) == KEYS
        alone = client.post("/predict/single", company).json()
        probability = alone.pop("conversion_probability")
        assert found.pop("conversion_probability") == pytest.approx(probability, abs=2e-9)
        assert found == alone


def test_a_batch_of_none(client: Client) -> None:
    assert client.post("/predict", {"companies": []}).json() == {
        "predictions": [],
        "model_version": VERSION,
    }


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"id": "x"}, "companies[2].id"),
        ({"id": 1, "MRR": 2}, "companies[2].MRR"),
        (
            {"id": 1, "usage": [week("2019-08-05"), week("2019-08-05")]},
            "companies[2].usage[1].WHEN_TIMESTAMP",
        ),
        ({"id": 1, "usage": [week("2019-08-05", USERS_EMAIL=1)]}, "companies[2].usage[0].USERS_EMAIL"),
        (None, "companies[2]"),
        ("usage", "companies[2]"),
    ],
)
def test_one_bad_company_refuses_all(pipeline: Pipeline, bad: object, field: str) -> None:
    recorded: list[int] = []
    client = Client(serving_of(pipeline, record=lambda companies, _: recorded.append(len(companies))))
    response = client.post("/predict", {"companies": [EXAMPLE, {"id": 1, "usage": []}, bad, EXAMPLE]})
    assert fields_of(response) == [field]
    assert recorded == []
    assert "conversion_predictions_total{" not in client.get("/metrics").text


def test_more_companies_than_allowed(client: Client) -> None:
    assert client.post("/predict", {"companies": [EXAMPLE] * 5}).status_code == 200
    response = client.post("/predict", {"companies": [EXAMPLE] * 6})
    assert fields_of(response) == ["companies"]
    assert response.json()["error"] == "companies: given 6 items, allowed is 5 items at most"


@pytest.mark.parametrize("body", [{}, [], {"companies": None}, {"companies": {}}, {"companies": [], "x": 1}])
def test_a_batch_that_is_refused(client: Client, body: object) -> None:
    assert fields_of(client.post("/predict", body)) in (["companies"], [""], ["x"])


def test_what_was_predicted_is_recorded(pipeline: Pipeline) -> None:
    recorded: list[tuple[Sequence[Summary | History], Sequence[Prediction]]] = []
    client = Client(serving_of(pipeline, record=lambda *both: recorded.append(both)))
    client.post("/predict/single", EXAMPLE)
    answer = client.post("/predict", {"companies": [{"id": 5}, {"id": 6, "usage": []}]})
    client.post("/predict/single", {"id": "x"})
    (one, _), (two, predictions) = recorded
    assert [company.id for company in (*one, *two)] == [123, 5, 6]
    assert isinstance(two[1], History)
    assert Predictions.model_validate_json(answer.content).predictions == list(predictions)


# What is sent, and how much


@pytest.mark.parametrize("path", ["/predict/single", "/predict"])
@pytest.mark.parametrize(
    "media_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", "é"],
)
def test_only_json_is_read(client: Client, path: str, media_type: str | None) -> None:
    headers = [] if media_type is None else [(b"content-type", media_type.encode("latin-1"))]
    response = client.request("POST", path, content=json.dumps(EXAMPLE), headers=headers)
    assert "application/json" in error_of(response, 415).error


@pytest.mark.parametrize("path", ["/predict/single", "/predict"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "identity, gzip", "x"])
def test_a_compressed_body_is_refused_unread(client: Client, path: str, encoding: str) -> None:
    body = gzip.compress(json.dumps(EXAMPLE).encode())
    response = client.post(path, body, headers=JSON | {"content-encoding": encoding})
    assert "Content-Encoding: given" in error_of(response, 415).error
    assert response.headers["accept-encoding"] == "identity"


def test_what_is_sent_as_it_is_may_say_so(client: Client) -> None:
    for encoding in ("identity", "Identity", ""):
        response = client.post("/predict/single", EXAMPLE, headers=JSON | {"content-encoding": encoding})
        assert response.status_code == 200


def test_a_byte_order_mark_is_passed_over(client: Client) -> None:
    mark = b"\xef\xbb\xbf"
    expected = client.post("/predict/single", EXAMPLE).json()
    assert client.post("/predict/single", mark + json.dumps(EXAMPLE).encode()).json() == expected
    batch = client.post("/predict", mark + json.dumps({"companies": [EXAMPLE]}).encode())
    assert batch.json()["predictions"] == [expected]
    error_of(client.post("/predict/single", mark * 2 + b"{}"), 400)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/predict/single", '{"id": 1, "id": 2}', "id"),
        ("/predict/single", '{"id": 1, "usage": [], "usage": []}', "usage"),
        ("/predict", '{"companies": [{"id": 1}, {"id": 1, "id": 1}]}', "companies[1].id"),
        ("/predict", '{"companies": [], "companies": []}', "companies"),
    ],
)
def test_a_name_given_twice_is_refused(client: Client, path: str, body: str, field: str) -> None:
    response = client.post(path, body)
    assert fields_of(response) == [field]
    assert response.json()["error"] == f"{field}: given it twice, allowed is each name once"


@pytest.mark.parametrize("path", ["/predict/single", "/predict"])
def test_a_body_that_is_too_large(client: Client, path: str) -> None:
    fits = client.post(path, " " * 20_000)
    assert error_of(fits, 400)
    response = client.post(path, " " * 20_001)
    assert "20001" in error_of(response, 413).error
    assert "20000" in error_of(response, 413).error


def test_a_single_company_has_a_limit_of_its_own(pipeline: Pipeline) -> None:
    client = Client(serving_of(pipeline, max_body_bytes=2**22))
    assert error_of(client.post("/predict", " " * (2**20 + 1)), 400)
    assert error_of(client.post("/predict/single", " " * 2**20), 400)
    assert "1048577" in error_of(client.post("/predict/single", " " * (2**20 + 1)), 413).error


def test_a_long_path_is_not_echoed_whole(client: Client) -> None:
    assert len(error_of(client.get("/" + "x" * 5000), 404).error) < 150


def test_a_huge_body_is_not_kept(client: Client) -> None:
    """Fifty pieces of 1 MB arrive, are counted and thrown away; then the client hears of it."""
    left = 50
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": left > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/predict/single", "raw_path": b"",
        "root_path": "", "scheme": "http", "query_string": b"", "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1), "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    tracemalloc.start()
    try:
        anyio.run(client.app, scope, receive, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent[0]["status"] == 413
    assert left == 0
    assert peak < 5_000_000


class Sender:
    """Sends one body and keeps its last byte back until it is told to go on."""

    def __init__(self, client: Client, path: str, body: bytes) -> None:
        self.client, self.path = client, path
        self.pieces = [body[:-1], body[-1:]]
        self.go_on = anyio.Event()
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if len(self.pieces) == 1:
            await self.go_on.wait()
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": bool(self.pieces)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def ask(self) -> None:
        scope = {"type": "http", "method": "POST", "path": self.path, "query_string": b"", "root_path": ""}
        scope |= {"headers": [(b"content-type", b"application/json")]}
        await self.client.app(scope, self.receive, self.send)


@pytest.mark.parametrize(
    ("path", "size", "fitting"),
    [("/predict", 20_000, 2), ("/predict/single", 20_000, 3)],
)
def test_bodies_on_their_way_are_held_up_to_a_limit(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, path: str, size: int, fitting: int
) -> None:
    """Before any of them has arrived: what waits for its last byte takes memory too."""
    monkeypatch.setattr(http_api_module, "MAX_SINGLES_BYTES", 60_000)
    client = Client(serving_of(pipeline, max_body_bytes=20_000))
    text = json.dumps(EXAMPLE if path == "/predict/single" else {"companies": [EXAMPLE]}).encode()

    async def ask_all() -> list[Sender]:
        senders = [Sender(client, path, text.ljust(size)) for _ in range(6)]
        async with anyio.create_task_group() as tasks:
            for sender in senders:
                tasks.start_soon(sender.ask)
            await anyio.wait_all_tasks_blocked()
            for sender in senders:
                sender.go_on.set()
        return senders

    senders = anyio.run(ask_all)
    assert [sender.sent[0]["status"] for sender in senders] == [200] * fitting + [429] * (6 - fitting)
    busy = senders[-1].sent
    assert (b"retry-after", b"1") in busy[0]["headers"]
    sentence = Error.model_validate_json(busy[1]["body"]).error
    assert sentence.endswith("bytes are received or wait already; send this one again later")
    assert client.serving.batches.bodies.bytes == client.app.state.singles.bytes == 0  # type: ignore[attr-defined]
    assert f'conversion_rejected_total{{reason="busy"}} {6 - fitting}.0' in client.get("/metrics").text
    assert client.post(path, text).status_code == 200


def test_large_batches_on_their_way_keep_no_single_company_out(pipeline: Pipeline) -> None:
    client = Client(serving_of(pipeline, max_body_bytes=20_000))
    with client.serving.batches.bodies.hold() as held:
        assert held.take(40_000)
        assert client.post("/predict/single", EXAMPLE).status_code == 200
        error_of(client.post("/predict", {"companies": [EXAMPLE]}), 429)


def test_a_body_that_does_not_arrive(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api_module, "BODY_SECONDS", 0.05)
    sent: list[Message] = []
    parts: list[Message] = [{"type": "http.request", "body": b'{"id"', "more_body": True}]

    async def receive() -> Message:
        if not parts:
            await anyio.sleep(30)
        return parts.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict/single", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"application/json")], "root_path": ""}
    anyio.run(client.app, scope, receive, send)
    assert sent[0]["status"] == 408
    assert Error.model_validate_json(sent[1]["body"]).error.startswith("5 bytes of the body arrived")


def test_a_client_that_leaves(pipeline: Pipeline) -> None:
    """Half of a body, and then nobody is there: counted, and no fault of the service."""
    client = Client(serving_of(pipeline))
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"id"', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        assert message.get("status", 400) == 400

    scope = {"type": "http", "method": "POST", "path": "/predict/single", "query_string": b""}
    scope |= {"headers": [(b"content-type", b"application/json")], "root_path": ""}
    anyio.run(client.app, scope, receive, send)
    assert 'conversion_rejected_total{reason="disconnect"} 1.0' in client.get("/metrics").text


# Routes


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
        },
    }
    Health.model_validate_json(response.content, strict=True, extra="forbid")


def test_a_list_of_another_model_is_told_by_health_and_on_each_page(pipeline: Pipeline) -> None:
    other = dataclasses.replace(leads_of(pipeline), as_of=dt.date(2019, 9, 2), model_sha256="ab" * 32)
    client = Client(serving_of(pipeline, leads=other))
    assert client.get("/health").json()["lead_list"] == {
        "as_of": "2019-09-02",
        "model_version": "ab" * 6,
        "of_served_model": False,
    }
    answer = client.get("/leads?limit=1").json()
    assert (answer["as_of"], answer["model_version"]) == ("2019-09-02", "ab" * 6)


def test_health_names_the_registered_version(pipeline: Pipeline) -> None:
    registered = RegisteredModel(name="conversion", version="3", aliases=["champion"])
    response = Client(serving_of(pipeline, registered_model=registered)).get("/health")
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
    index = client.get("/")
    assert index.is_redirect
    assert index.headers["location"] == "docs", "relative: a proxy may have taken a prefix off"
    for path in ("/openapi.json", "/docs.json"):
        assert client.get(path).content == openapi_document(5)
        assert client.get(path).headers["content-type"] == "application/json"


# Behind a proxy

PREFIX = "/crm/conversion"


@pytest.fixture(scope="module")
def prefixed(pipeline: Pipeline) -> Client:
    return Client(serving_of(pipeline, token=TOKEN, max_companies=5, root_path=PREFIX))


@pytest.mark.parametrize("prefix", [PREFIX, ""], ids=["left", "taken off"])
def test_a_proxy_may_leave_the_prefix_or_take_it_off(prefixed: Client, prefix: str) -> None:
    assert prefixed.get(f"{prefix}/health").status_code == 200
    assert prefixed.get(f"{prefix}/docs").text == DOCS_PAGE
    assert prefixed.get(f"{prefix}/livez").text == "bentoml /livez"
    index = prefixed.get(f"{prefix}/")
    assert index.headers["location"] == f"{PREFIX}/docs"
    document = prefixed.get(f"{prefix}/openapi.json")
    assert document.content == openapi_document(5, PREFIX)
    assert document.json()["servers"] == [{"url": PREFIX}]
    right = with_token(f"Bearer {TOKEN}".encode())
    assert prefixed.post(f"{prefix}/predict/single", EXAMPLE, **right).status_code == 200
    assert error_of(prefixed.get(f"{prefix}/nowhere", **right), 404).error.endswith(f"see {PREFIX}/docs")
    for path in ("/leads", "/metrics", "/nowhere"):
        error_of(prefixed.get(f"{prefix}{path}"), 401)
    assert 'endpoint="/predict/single"' in prefixed.get(f"{prefix}/metrics", **right).text


def test_the_prefix_alone_is_the_root(prefixed: Client) -> None:
    assert prefixed.get(PREFIX).headers["location"] == f"{PREFIX}/docs"


@pytest.mark.parametrize(
    "path", ["/crm", "/crm/conversionhealth", "/conversion/health", f"{PREFIX}{PREFIX}/docs"]
)
def test_other_paths_are_not_taken_for_the_prefix(prefixed: Client, path: str) -> None:
    error_of(prefixed.get(path), 401)
    error_of(prefixed.get(path, **with_token(f"Bearer {TOKEN}".encode())), 404)


# Leads


def test_a_page_of_leads(client: Client) -> None:
    assert client.serving.leads is not None
    for query, expected in (
        ("", page(client.serving.leads, None, 50, 0)),
        ("?limit=3&offset=2", page(client.serving.leads, None, 3, 2)),
        ("?tier=low&limit=1000", page(client.serving.leads, "low", 1000, 0)),
        ("?tier=very_high", page(client.serving.leads, "very_high", 50, 0)),
        ("?offset=1000000000", page(client.serving.leads, None, 50, 10**9)),
    ):
        response = client.get(f"/leads{query}")
        assert response.status_code == 200
        assert Leads.model_validate_json(response.content, strict=True, extra="forbid") == expected
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
        LeadWithUsage.model_validate_json(response.content, strict=True, extra="forbid")
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


@pytest.mark.parametrize(
    "company",
    ["x", "1.0", "1_0", "+1", "%201", "1e5", "NaN", "9" * 19, "9" * 5000, "%00", "%FF", "٣", "null"],
)
def test_a_lead_that_is_no_number(client: Client, company: str) -> None:
    assert fields_of(client.get(f"/leads/{company}")) == ["id"]


def test_without_a_lead_list(pipeline: Pipeline) -> None:
    client = Client(dataclasses.replace(serving_of(pipeline), leads=None))
    for path in ("/leads", "/leads/5"):
        assert "there is no lead list" in error_of(client.get(path), 404).error
    assert client.post("/predict/single", EXAMPLE).status_code == 200


# Who may ask


@pytest.fixture(scope="module")
def guarded(pipeline: Pipeline) -> Client:
    return Client(serving_of(pipeline, token=TOKEN))


def with_token(value: bytes) -> dict[str, Any]:
    return {"headers": [(b"content-type", b"application/json"), (b"authorization", value)]}


@pytest.mark.parametrize(
    "given",
    [
        b"", b"Bearer", b"Bearer ", b"Bearer x", b"Bearer a token with space", b"Bearer a token with spacesx",
        b"a token with spaces", b"Basic a token with spaces", "Bearer ü".encode(), b"Bearer \xff\xfe",
    ],
)  # fmt: skip
def test_a_wrong_token(guarded: Client, given: bytes) -> None:
    for method, path in (("POST", "/predict/single"), ("GET", "/leads"), ("GET", "/metrics"), ("GET", "/x")):
        response = guarded.request(method, path, content=json.dumps(EXAMPLE), **with_token(given))
        assert error_of(response, 401).detail == []
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


def test_no_token(guarded: Client, client: Client) -> None:
    for path in ("/leads", "/leads/5", "/metrics", "/nowhere", "/predict"):
        error_of(guarded.get(path), 401)
    error_of(guarded.post("/predict/single", EXAMPLE), 401)
    error_of(guarded.post("/predict/single", "{"), 401)
    assert client.post("/predict/single", EXAMPLE, **with_token(b"Bearer x")).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
def test_the_right_token(guarded: Client, scheme: str) -> None:
    """Schemes are case-insensitive, and any number of spaces may follow."""
    right = with_token(f"{scheme} {TOKEN}".encode())
    assert guarded.post("/predict/single", EXAMPLE, **right).status_code == 200
    assert guarded.get("/leads", **right).status_code == 200
    assert guarded.get("/metrics", **right).status_code == 200
    error_of(guarded.get("/nowhere", **right), 404)


def test_a_token_may_be_any_text(pipeline: Pipeline) -> None:
    client = Client(serving_of(pipeline, token="Schlüssel"))
    assert client.get("/leads", **with_token("Bearer Schlüssel".encode())).status_code == 200
    error_of(client.get("/leads", **with_token(b"Bearer Schl\xfcssel")), 401)


def test_a_token_that_is_no_utf8_is_taken_byte_by_byte(pipeline: Pipeline) -> None:
    client = Client(serving_of(pipeline, token=os.fsdecode(b"Schl\xfcssel")))
    assert client.get("/leads", **with_token(b"Bearer Schl\xfcssel")).status_code == 200
    error_of(client.get("/leads", **with_token("Bearer Schlüssel".encode())), 401)


@pytest.mark.parametrize("token", ["a", "a token with spaces", "a\ttab", "Schlüssel", "\xa0"])
def test_a_token_that_can_be_sent(token: str) -> None:
    assert check_token(token) == token
    assert check_token(None) is None


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (
            "s3cret\n",
            r"has '\n' in it, which no client can send; $(cat FILE) takes a file's last line end off",
        ),
        (
            "s3cret\r\n",
            r"has '\r' in it, which no client can send; $(cat FILE) takes a file's last line end off",
        ),
        ("s3\x00cret", r"has '\x00' in it, which no client can send"),
        ("s3cret\x7f", r"has '\x7f' in it, which no client can send"),
        (" s3cret", "begins or ends with a space, which no client can send; take it off"),
        ("s3cret\t", "begins or ends with a space, which no client can send; take it off"),
    ],
)
def test_a_token_that_no_client_can_send(token: str, why: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_token(token)
    assert str(caught.value) == f"CONVERSION_API_TOKEN: {why}"
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/health", "/livez", "/readyz", "/healthz", "/docs", "/openapi.json", "/static_content/a.css"]
)
def test_what_is_open_to_all(guarded: Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


# Web pages of other origins


def preflight(client: Client, origin: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "content-type,authorization"
    return client.request("OPTIONS", "/predict/single", headers=asked)


def test_cors_is_off(client: Client) -> None:
    response = client.post("/predict/single", EXAMPLE, headers=JSON | {"origin": "https://crm.example.com"})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control")]
    error_of(preflight(client, "https://crm.example.com"), 405)


def test_cors_is_on_for_the_origins_of_the_params(pipeline: Pipeline) -> None:
    origin = "https://crm.example.com"
    client = Client(serving_of(pipeline, token=TOKEN, cors_origins=[origin]))
    allowed = preflight(client, origin)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == origin
    assert preflight(client, "https://elsewhere.example.com").status_code == 400
    for response in (
        client.post("/predict/single", EXAMPLE, headers=JSON | {"origin": origin}),
        client.get("/health", headers={"origin": origin}),
    ):
        assert response.headers["access-control-allow-origin"] == origin, "a page can read why it is refused"
    other = client.get("/health", headers={"origin": "https://elsewhere.example.com"})
    assert "access-control-allow-origin" not in other.headers


# Faults of ours


class BrokenError(RuntimeError):
    pass


def test_a_fault_of_the_service_tells_nothing(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise BrokenError("/work/secret.py: a secret")

    client = Client(serving_of(pipeline, record=fail))
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

    error_of(Client(serving_of(pipeline), broken).get("/readyz"), 500)


def test_nothing_but_http_is_left_to_the_caller(client: Client) -> None:
    """Requests that no client of ours sends are answered all the same."""
    for host in (b"[", b"]:x", b"a b", b"", b"\xff"):
        headers = [(b"host", host)]
        assert client.get("/health", headers=headers).status_code == 200
        error_of(client.get("/nowhere", headers=headers), 404)


def test_the_model_is_asked_once_for_each_kind(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is two calls, however many companies it has."""
    asked: list[int] = []
    original = ConversionModel.probability_with_contributions

    def count(model: ConversionModel, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(values))
        return original(model, values)

    monkeypatch.setattr(ConversionModel, "probability_with_contributions", count)
    body = {"companies": [{"id": 1}, {"id": 2, "usage": []}, {"id": 3}, {"id": 4, "usage": []}, {"id": 5}]}
    answers = Client(serving_of(pipeline)).post("/predict", body).json()["predictions"]
    assert sorted(asked) == [2, 3]
    assert all(math.isfinite(answer["conversion_probability"]) for answer in answers)
