"""The service answers whatever clients send with 2xx or 4xx, and as its document says.

Most bodies go to the app in this process, which is quicker. The real server gets what schemathesis makes of
the document, each media type and encoding, some more bodies, and the large ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from conversion.serving.messages import Error, Prediction, Predictions
from tests.pipeline import Pipeline
from tests.server import ROOT, Server, environment
from tests.serving import EXAMPLE, Client, projects_pipeline, small_pipeline, state_of

pytestmark = pytest.mark.slow

HOOKS = ROOT / "tests" / "schemathesis_hooks.py"
EXAMPLES = 150  # of schemathesis, an operation and phase
CASES = 2000  # that it must make at least
FEW_EXAMPLES, FEW_CASES = 40, 500  # with a second contract
BODIES = 5000
FEW_BODIES = 1500
BODIES_TO_THE_SERVER = 200
LARGE = 50_000_000

ROUTES: dict[str, type[Prediction | Predictions]] = {"/predict/single": Prediction, "/predict": Predictions}
# What a body must not tell: where the service is installed, what it is made of.
INSIDES = re.compile(
    r"Traceback|site-packages|\.py\b|/(?:home|root|tmp|usr|work)/|pydantic|starlette|line \d+, in"
)

WEEK = {
    "WHEN_TIMESTAMP": "2019-09-30",
    "ACTIONS_CRM_CONTACTS": 42,
    "ACTIONS_CRM_COMPANIES": 7,
    "ACTIONS_CRM_DEALS": 0,
    "ACTIONS_EMAIL": 12,
    "USERS_CRM_CONTACTS": 4,
    "USERS_CRM_COMPANIES": 2,
    "USERS_CRM_DEALS": 0,
    "USERS_EMAIL": 3,
}
FIRMOGRAPHICS = {"id": 7, "ALEXA_RANK": 16000001, "EMPLOYEE_RANGE": "1", "INDUSTRY": "REAL_ESTATE"}
HISTORY = FIRMOGRAPHICS | {"as_of": "2019-10-14", "usage": [WEEK, WEEK | {"WHEN_TIMESTAMP": "2019-08-05"}]}
GOOD = (EXAMPLE, HISTORY, {"companies": [EXAMPLE, HISTORY]})

# Of the contract of `tests.contract_files.projects`.
TASKS = {
    "week": "2019-09-02",
    "projects_actions": 42,
    "automation_runs": 7,
    "invoices_sent": 0,
    "projects_users": 4,
    "invoices_users": 0,
}
ACCOUNT = {"id": "007", "country": "DE", "plan": "team", "head_count": 12, "is_partner": True}
ACCOUNT_TOTALS = ACCOUNT | {"total_actions": 150, "total_users": 5, "days_active": 30}
ACCOUNT_WEEKS = ACCOUNT | {"as_of": "2019-09-09", "usage": [TASKS, TASKS | {"week": "2019-08-05"}]}
GOOD_PROJECTS = (ACCOUNT_TOTALS, ACCOUNT_WEEKS, {"companies": [ACCOUNT_TOTALS, ACCOUNT_WEEKS]})

TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)  # lone surrogates too
DAYS = st.sampled_from(
    ["0001-01-01", "9999-12-31", "2019-10-13", "2019-10-14T00:00:00", "2019-10-14T01:00:00", "2019-02-30"]
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1.5, 2**31, 2**63, 2**64, 10**18, -(10**18), 10**400, 1e308, -1e308, 5e-324]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, DAYS)
OURS = (*EXAMPLE, *HISTORY, *WEEK, *ACCOUNT_TOTALS, *TASKS, "companies")
NAMES = st.one_of(st.sampled_from(OURS), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)
JSON = "application/json"
MEDIA_TYPES = (
    "APPLICATION/JSON; charset=utf-8",
    "application/json; charset=utf-16",
    "application/jsonp",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "*/*",
    "",
    ";",
    "application/vnd.bentoml+pickle",
    "application/json\xff",
)
ENCODINGS = ("gzip", "br", "identity", "nonsense")


@pytest.fixture(scope="module")
def server(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(served, tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def projects_server(served_projects: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(served_projects, tmp_path_factory.mktemp("home")) as server:
        yield server
        assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_schemathesis_finds_nothing(server: Server, tmp_path: Path) -> None:
    assert generated_by_schemathesis(server, tmp_path, EXAMPLES, "hubspot") >= CASES


def test_schemathesis_finds_nothing_of_another_contract(projects_server: Server, tmp_path: Path) -> None:
    assert generated_by_schemathesis(projects_server, tmp_path, FEW_EXAMPLES, "projects") >= FEW_CASES


def generated_by_schemathesis(server: Server, tmp_path: Path, examples: int, contract: str) -> int:
    """Let schemathesis ask a server what its document allows and what not; return how many cases it made."""
    with server.client() as client:
        as_of = client.get("/health").json()["trained_as_of"]
    env = environment(
        tmp_path, PYTHONPATH=str(ROOT), SCHEMATHESIS_HOOKS=str(HOOKS), COLUMNS="110",
        HOOKS_CONTRACT=contract, HOOKS_AS_OF=as_of,
    )  # fmt: skip
    done = subprocess.run(
        ["schemathesis", "run", f"{server.url}/openapi.json", "--checks=all", "--seed=1", "--no-color",
         f"--max-examples={examples}", "--generation-deterministic"],
        cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Operations:       8 selected / 8 total" in done.stdout
    generated = re.search(r"^ +(\d+) generated", done.stdout, flags=re.MULTILINE)
    assert generated, done.stdout
    return int(generated[1])


def check(path: str, answer: httpx.Response) -> None:
    """Check an answer to a POST: a prediction, or a refusal in the contract's words."""
    assert 200 <= answer.status_code < 300 or 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == httpx.codes.OK:
        ROUTES[path].model_validate_json(answer.content)
        return
    body = Error.model_validate_json(answer.content)
    assert answer.json().keys() == {"error", "detail"}
    assert body.error
    assert "\n" not in body.error
    assert len(answer.content) < 20_000
    assert not INSIDES.search(answer.text), answer.text


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the paths of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places_in(part, (*path, key))


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """Copy a JSON value and change one place of it."""
    copy = json.loads(json.dumps(value))
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return copy


@st.composite
def mutants(draw: st.DrawFn, good: Sequence[Any]) -> Any:
    """Draw a good body and spoil some places of it."""
    body: Any = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 2))):
        places = list(places_in(body))
        if not places:
            break
        path, value, name = draw(st.sampled_from(places)), draw(VALUES), draw(NAMES)

        def put(holder: Any, key: Any, value: Any = value) -> None:
            holder[key] = value

        def drop(holder: Any, key: Any) -> None:
            del holder[key]

        def add(holder: Any, key: Any, value: Any = value, name: str = name) -> None:
            holder.insert(key, value) if isinstance(holder, list) else holder.update({name: value})

        def twice(holder: Any, key: Any) -> None:
            holder.append(holder[key]) if isinstance(holder, list) else holder.update(
                {key: [holder[key]] * 2}
            )

        body = changed(body, path, draw(st.sampled_from([put, drop, add, twice])))
    return body


@st.composite
def encoded(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """Draw a JSON value and write it: escaped or not, seldom in another encoding than UTF-8."""
    value, plainly = draw(values), draw(st.booleans())
    text = json.dumps(value, ensure_ascii=plainly)
    encoding = draw(st.sampled_from(["utf-8"] * 9 + ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"]))
    return text.encode(encoding, "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn, good: Sequence[Any]) -> bytes:
    """Draw a good body whose text is cut, spliced or repeated."""
    text = bytearray(json.dumps(draw(st.sampled_from(good))).encode())
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    text[start:end] = draw(
        st.binary(max_size=8) | st.sampled_from([b"", b"\0", b'"', b"{", b"}", b",", b"NaN"])
    )
    return bytes(text)


@st.composite
def nested(draw: st.DrawFn) -> bytes:
    """Draw a body so deep that a recursive parser would not come back."""
    depth, (opening, closing) = (
        draw(st.sampled_from([10, 127, 128, 200, 1000, 100_000])),
        draw(st.sampled_from([("[", "]"), ('{"companies":', "}"), ('{"usage":[', "]}"), ('{"id":', "}")])),
    )
    text = opening * depth + "1" + closing * draw(st.sampled_from([depth, 0]))
    return (
        draw(st.sampled_from(['{"id": 1, "x": %s}', '{"companies": [%s]}', "%s"]))
        .replace("%s", text)
        .encode()
    )


ODD = st.sampled_from(
    [
        *(b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"true", b"\xef\xbb\xbf{}", b"\xff\xfe", b"\0"),
        *(b'{"id": NaN}', b'{"id": 1e2}', b'{"id": 1.0}', b'{"id": ' + b"9" * 5000 + b"}"),
        *(
            b'{"id": 1, "total_users": %s}' % number
            for number in (b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"0." + b"0" * 5000 + b"1")
        ),
        *(b'{"id": 1, "id": 2}', b'{"companies": [], "companies": 1}'),
        *(b'{"id": 1, "INDUSTRY": "%s"}' % text for text in (b"\\ud800", b"\xed\xa0\x80", b"x" * 100_000)),
        *(b'{"id": 1, "%s": 1}' % name for name in (b"\\u0000", b"\\ud83d", b"k" * 100_000)),
        *(b'{"companies": [%s{}]}' % (part * 5000) for part in (b"{},", b"1,", b'{"id": 1},', b"[],")),
        b'{"id": 1, "usage": [' + b"{}," * 600 + b"{}]}",
        *(b'{"id": 1} {"id": 2}', b"{'id': 1}", b"id=1&total_users=2", b"\x80\x04N.", b"\x1f\x8b\x08\x00"),
        b'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\n1\r\n--x--\r\n',
    ]
)


def requests_of(good: Sequence[Any]) -> st.SearchStrategy[tuple[str, bytes, str, str | None]]:
    """Draw a path, a body that is like good ones or not at all, a media type and an encoding."""
    bodies = st.one_of(
        *[encoded(mutants(good))] * 2, encoded(VALUES), damaged(good), nested(), ODD, st.binary()
    )
    return st.tuples(
        st.sampled_from(list(ROUTES)),
        bodies,
        st.sampled_from([JSON] * 12 + list(MEDIA_TYPES)),
        st.sampled_from([None] * 12 + list(ENCODINGS)),
    )


TOO_MUCH = [HealthCheck.too_slow, HealthCheck.data_too_large]


def headers_of(media_type: str, encoding: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", media_type.encode("latin-1"))]
    return headers + ([(b"content-encoding", encoding.encode())] if encoding else [])


async def post(app: ASGIApp, path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
    """Post a body to an app in this process, as a server would."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "root_path": ""}
    await app(scope | {"headers": headers}, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


@pytest.mark.parametrize(
    ("pipeline", "good_bodies", "bodies"),
    [(small_pipeline, GOOD, BODIES), (projects_pipeline, GOOD_PROJECTS, FEW_BODIES)],
    ids=["hubspot", "projects"],
)
def test_any_body(pipeline: Callable[[], Pipeline], good_bodies: Sequence[Any], bodies: int) -> None:
    app = Client(state_of(pipeline())).app
    good = json.dumps(good_bodies[2]).encode()
    with asyncio.Runner() as runner:

        def ask(path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> httpx.Response:
            return runner.run(post(app, path, body, headers))

        @settings(max_examples=bodies, suppress_health_check=TOO_MUCH, print_blob=True)
        @given(drawn=requests_of(good_bodies))
        def check_any(drawn: tuple[str, bytes, str, str | None]) -> None:
            path, body, media_type, encoding = drawn
            check(path, ask(path, body, headers_of(media_type, encoding)))

        before = ask("/predict", good, headers_of(JSON, None))
        assert before.status_code == httpx.codes.OK
        check_any()
        assert ask("/predict", good, headers_of(JSON, None)).json() == before.json()


# The module's server answers all examples, which is the point; and they are many.
@settings(max_examples=BODIES_TO_THE_SERVER, suppress_health_check=TOO_MUCH, print_blob=True)
@given(drawn=requests_of(GOOD))
def test_any_body_to_the_server(client: httpx.Client, drawn: tuple[str, bytes, str, str | None]) -> None:
    path, body, media_type, encoding = drawn
    check(path, client.post(path, content=body, headers=headers_of(media_type, encoding)))


@pytest.mark.parametrize("path", ROUTES)
def test_every_media_type_and_encoding(client: httpx.Client, path: str) -> None:
    body = json.dumps(GOOD[2] if path == "/predict" else GOOD[0]).encode()
    for media_type in (JSON, *MEDIA_TYPES):
        for encoding in (None, *ENCODINGS):
            check(path, client.post(path, content=body, headers=headers_of(media_type, encoding)))


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("start", "filling", "end"),
    [
        (b'{"companies": [', b'{"id": 1},', b'{"id": 1}]}'),
        (b'{"id": 1, "INDUSTRY": "', b"x", b'"}'),
        (b"", b"[", b""),
        (b"", b"\0", b""),
    ],
    ids=["companies", "text", "nested", "zeros"],
)
def test_a_large_body(client: httpx.Client, path: str, start: bytes, filling: bytes, end: bytes) -> None:
    body = start + filling * (LARGE // len(filling)) + end
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    check(path, answer)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


def test_a_large_body_without_its_length(client: httpx.Client) -> None:
    chunks = (b'{"id":' + b" " * 1_000_000 for _ in range(LARGE // 1_000_000))
    answer = client.post("/predict", content=chunks, headers={"Content-Type": "application/json"})
    check("/predict", answer)
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


@pytest.fixture(scope="module", autouse=True)
def _still_answers(client: httpx.Client, server: Server) -> Iterator[None]:
    """After all of it the same workers answer a good request as they did before; nothing went wrong."""
    before, workers = client.post("/predict", json=GOOD[2]).raise_for_status().json(), server.workers()
    yield
    assert client.post("/predict", json=GOOD[2]).raise_for_status().json() == before
    assert server.workers() == workers
    assert "Traceback" not in server.log()
