"""The prefix of a proxy, tokens, and web pages of other origins."""

from __future__ import annotations

import json
import os

import httpx
import pytest

from conversion.runtime.errors import ServiceError
from conversion.serving.login import ATTEMPTS, COOKIE, WINDOW_SECONDS, Sessions
from conversion.serving.middleware import TOKEN as TOKEN_VARIABLE
from conversion.serving.middleware import check_token, token_from
from conversion.serving.openapi import DOCS_PAGE, openapi_document
from tests.pipeline import Pipeline
from tests.serving import EXAMPLE, JSON, MESSAGES, TOKEN, Client, error_of, state_of, with_token

# Behind a proxy

PREFIX = "/crm/conversion"


@pytest.fixture(scope="module")
def prefixed(pipeline: Pipeline) -> Client:
    return Client(state_of(pipeline, token=TOKEN, max_companies=5, root_path=PREFIX))


@pytest.mark.parametrize("prefix", [PREFIX, ""], ids=["left", "taken off"])
def test_a_proxy_may_leave_the_prefix_or_take_it_off(prefixed: Client, prefix: str) -> None:
    assert prefixed.get(f"{prefix}/health").status_code == 200
    assert prefixed.get(f"{prefix}/docs").text == DOCS_PAGE
    assert prefixed.get(f"{prefix}/livez").text == "bentoml /livez"
    index = prefixed.get(f"{prefix}/")
    assert index.headers["location"] == f"{PREFIX}/login"
    document = prefixed.get(f"{prefix}/openapi.json")
    assert document.content == openapi_document(MESSAGES, 5, PREFIX)
    assert document.json()["servers"] == [{"url": PREFIX}]
    right = with_token(f"Bearer {TOKEN}".encode())
    assert prefixed.post(f"{prefix}/predict/single", EXAMPLE, **right).status_code == 200
    assert error_of(prefixed.get(f"{prefix}/nowhere", **right), 404).error.endswith(f"see {PREFIX}/docs")
    for path in ("/leads", "/metrics", "/nowhere"):
        error_of(prefixed.get(f"{prefix}{path}"), 401)
    assert 'endpoint="/predict/single"' in prefixed.get(f"{prefix}/metrics", **right).text


def test_the_prefix_alone_is_the_root(prefixed: Client) -> None:
    assert prefixed.get(PREFIX).headers["location"] == f"{PREFIX}/login"


@pytest.mark.parametrize(
    "path", ["/crm", "/crm/conversionhealth", "/conversion/health", f"{PREFIX}{PREFIX}/docs"]
)
def test_other_paths_are_not_taken_for_the_prefix(prefixed: Client, path: str) -> None:
    error_of(prefixed.get(path), 401)
    error_of(prefixed.get(path, **with_token(f"Bearer {TOKEN}".encode())), 404)


# Who may ask


@pytest.fixture
def guarded(pipeline: Pipeline) -> Client:
    """Return a client of a service that no address has sent a wrong token to."""
    return Client(state_of(pipeline, token=TOKEN))


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


RIGHT = with_token(f"Bearer {TOKEN}".encode())
WRONG = with_token(b"Bearer wrong")


@pytest.mark.parametrize("path", ["/leads", "/", "/leads.csv", "/nowhere"])
def test_wrong_tokens_are_limited_whichever_way_they_come(guarded: Client, path: str) -> None:
    for _ in range(ATTEMPTS):
        assert guarded.get(path, **WRONG).status_code in (303, 401)
    for given in (WRONG, RIGHT):
        response = guarded.get(path, **given)
        assert "too many wrong tokens" in error_of(response, 429).error
        assert 1 <= int(response.headers["retry-after"]) <= WINDOW_SECONDS + 1
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    assert guarded.request("POST", "/login", content=f"token={TOKEN}", headers=form).status_code == 429
    assert guarded.get("/leads", address="10.0.0.2", **RIGHT).status_code == 200
    metrics = guarded.get("/metrics", address="10.0.0.2", **RIGHT).text
    refused = ATTEMPTS + 2 if path in ("/leads", "/nowhere") else 2  # the others were sent to the login
    assert f'conversion_rejected_total{{reason="unauthorized"}} {refused}.0' in metrics


def test_an_address_waits_no_longer_than_it_must(guarded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(guarded.state.limits.attempts, "_clock", lambda: now)
    for _ in range(ATTEMPTS):
        error_of(guarded.get("/leads", **WRONG), 401)
    error_of(guarded.get("/leads", **RIGHT), 429)
    now = WINDOW_SECONDS
    assert guarded.get("/leads", **RIGHT).status_code == 200


def test_a_request_without_a_token_is_no_attempt(guarded: Client) -> None:
    """Those signed in go on, too: their cookie is no guess, whatever else comes from their address."""
    for given in (JSON, {"authorization": "Basic dXNlcjpwYXNz"}):
        for _ in range(2 * ATTEMPTS):
            error_of(guarded.get("/leads", headers=given), 401)
    assert guarded.get("/leads", **RIGHT).status_code == 200
    for _ in range(2 * ATTEMPTS):
        guarded.get("/leads", **WRONG)
    cookie = f"{COOKIE}={Sessions(TOKEN).value()}"
    assert guarded.get("/leads", headers={"cookie": cookie}).status_code == 200


def test_any_number_of_right_tokens_is_let_in(guarded: Client) -> None:
    for _ in range(ATTEMPTS - 1):
        error_of(guarded.get("/leads", **WRONG), 401)
    for _ in range(3 * ATTEMPTS):
        assert guarded.get("/leads", **RIGHT).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
def test_the_right_token(guarded: Client, scheme: str) -> None:
    """Schemes are case-insensitive, and any number of spaces may follow."""
    right = with_token(f"{scheme} {TOKEN}".encode())
    assert guarded.post("/predict/single", EXAMPLE, **right).status_code == 200
    assert guarded.get("/leads", **right).status_code == 200
    assert guarded.get("/metrics", **right).status_code == 200
    error_of(guarded.get("/nowhere", **right), 404)


def test_a_token_may_be_any_text(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, token="Schlüssel"))
    assert client.get("/leads", **with_token("Bearer Schlüssel".encode())).status_code == 200
    error_of(client.get("/leads", **with_token(b"Bearer Schl\xfcssel")), 401)


def test_a_token_that_is_no_utf8_is_taken_byte_by_byte(pipeline: Pipeline) -> None:
    client = Client(state_of(pipeline, token=os.fsdecode(b"Schl\xfcssel")))
    assert client.get("/leads", **with_token(b"Bearer Schl\xfcssel")).status_code == 200
    error_of(client.get("/leads", **with_token("Bearer Schlüssel".encode())), 401)


def test_without_the_variable_nobody_is_asked_for_a_token() -> None:
    assert token_from({}) is None


def test_the_token_is_taken_as_it_is() -> None:
    assert token_from({TOKEN_VARIABLE: "s3 cret", "OTHER": "x"}) == "s3 cret"


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_token_lets_nobody_in_by_mistake(empty: str) -> None:
    with pytest.raises(ServiceError, match=f"{TOKEN_VARIABLE}: set, but empty"):
        token_from({TOKEN_VARIABLE: empty})


@pytest.mark.parametrize("token", ["a", "a token with spaces", "a\ttab", "Schlüssel", "\xa0"])
def test_a_token_that_can_be_sent(token: str) -> None:
    check_token(token)  # does not raise


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
        token_from({TOKEN_VARIABLE: token})
    assert str(caught.value) == f"CONVERSION_API_TOKEN: {why}"
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        *("/health", "/livez", "/readyz", "/healthz", "/docs", "/openapi.json", "/static_content/a.css"),
        *("/login", "/static/page.css"),
    ],
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
    client = Client(state_of(pipeline, token=TOKEN, cors_origins=[origin]))
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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/leads"),
        ("GET", "/nothing"),
        ("POST", "/"),
        ("GET", "/health"),
        ("GET", "/"),
        ("PUT", "/login"),
    ],
)
def test_no_browser_runs_or_keeps_what_is_no_page(pipeline: Pipeline, method: str, path: str) -> None:
    headers = Client(state_of(pipeline, token=TOKEN)).request(method, path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
