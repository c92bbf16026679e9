from __future__ import annotations

import gzip
import json
import tracemalloc
from http import HTTPStatus

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from conversion.serving import limits, request_body
from conversion.serving.messages import Error
from conversion.serving.refusals import MAX_FAULTS, RefusalError
from conversion.serving.request_body import refuse_repeated_names
from tests.pipeline import Pipeline
from tests.serving import EXAMPLE, JSON, Client, error_of, fields_of, state_of

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
    client = Client(state_of(pipeline, max_body_bytes=2**22))
    assert error_of(client.post("/predict", " " * (2**20 + 1)), 400)
    assert error_of(client.post("/predict/single", " " * 2**20), 400)
    assert "1048577" in error_of(client.post("/predict/single", " " * (2**20 + 1)), 413).error


def test_a_long_path_is_not_echoed_whole(client: Client) -> None:
    assert len(error_of(client.get("/" + "x" * 5000), 404).error) < 150


def peak_of_a_huge_body(client: Client, path: str, *headers: tuple[bytes, bytes]) -> int:
    """Send fifty pieces of 1 MB, which are counted and thrown away; return the most bytes held."""
    left = 50
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(1_000_000), "more_body": left > 0}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": b"",
        "root_path": "", "scheme": "http", "query_string": b"", "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1), "headers": [(b"content-type", b"application/json"), *headers],
    }  # fmt: skip
    tracemalloc.start()
    try:
        anyio.run(client.app, scope, receive, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent[0]["status"] == 413
    assert b"has 50000000 bytes" in sent[1]["body"]
    assert left == 0
    return peak


def test_a_huge_body_is_not_kept(client: Client) -> None:
    assert peak_of_a_huge_body(client, "/predict/single") < 5_000_000


def test_nothing_is_kept_of_a_body_that_says_it_is_too_large(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, max_body_bytes=40_000_000))
    assert peak_of_a_huge_body(client, "/predict", (b"content-length", b"50000000")) < 5_000_000
    assert peak_of_a_huge_body(client, "/predict") > 39_000_000, "nobody knows before it is there"


@pytest.mark.parametrize("given", [b"", b"-5", b"many", b"1" * 30])
def test_a_size_that_is_no_number_counts_for_nothing(client: Client, given: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", given)]
    assert client.post("/predict", json.dumps({"companies": []}), headers=headers).status_code == 200


class Sender:
    """Sends one body and keeps its last byte back until `go_on` is set."""

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
    monkeypatch.setattr(limits, "MAX_SINGLES_BYTES", 60_000)
    client = Client(state_of(pipeline, max_body_bytes=20_000))
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
    assert client.state.limits.batches.bodies.bytes == client.app.state.singles.bytes == 0  # type: ignore[attr-defined]
    assert f'conversion_rejected_total{{reason="busy"}} {6 - fitting}.0' in client.get("/metrics").text
    assert client.post(path, text).status_code == 200


def test_large_batches_on_their_way_keep_no_single_company_out(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, max_body_bytes=20_000))
    with client.state.limits.batches.bodies.hold() as held:
        assert held.take(40_000)
        assert client.post("/predict/single", EXAMPLE).status_code == 200
        error_of(client.post("/predict", {"companies": [EXAMPLE]}), 429)


def test_a_body_that_does_not_arrive(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_SECONDS", 0.05)
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
    client = Client(state_of(pipeline))
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


# Names given twice


def repeated_in(body: str) -> list[str]:
    try:
        refuse_repeated_names(body.encode())
    except RefusalError as refusal:
        return [fault.field for fault in refusal.body.detail]
    return []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ('{"id": 1, "total_users": 2}', []),
        ('{"a": {"id": 1}, "b": [{"id": 1}, {"id": 1}]}', []),
        ('{"id": 1, "id": 1}', ["id"]),
        ('{"id": 1, "\\u0069d": 2}', ["id"]),
        ('{"id": %s, "id": 2}' % ("9" * 5000), ["id"]),
        ('{"id": NaN, "id": 2}', ["id"]),
        ('{"id": [{"x": 1, "x": 2}], "id": 2}', ["id[0].x", "id"]),
        ('{"companies": [{"id": 1}, {"usage": [{}, {"a": 1, "a": 2}]}]}', ["companies[1].usage[1].a"]),
        ('{"id": 1, "id": 2, "id": 3}', ["id", "id"]),
        ("[]", []),
    ],
)
def test_a_name_that_is_given_twice(body: str, fields: list[str]) -> None:
    assert repeated_in(body) == fields


def test_of_many_names_given_twice_some_are_listed() -> None:
    body = "[" + ",".join(['{"a": 1, "a": 2}'] * 1000) + "]"
    with pytest.raises(RefusalError) as caught:
        refuse_repeated_names(body.encode())
    refusal = caught.value
    assert (refusal.status, refusal.reason) == (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field")
    assert len(refusal.body.detail) == MAX_FAULTS
    assert refusal.body.error == "[0].a: given it twice, allowed is each name once (999 more)"


@given(st.recursive(st.integers(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_what_python_writes_has_no_name_twice(value: object) -> None:
    assert repeated_in(json.dumps(value)) == []
