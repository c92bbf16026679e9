"""The real server: `bentoml serve` in a folder like the project's root, over HTTP."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.lead_files import read_lead_files
from conversion.leads.reasons import REASONS
from conversion.modelling.registered_versions import RegisteredVersion, RegisteredVersions, write_registered
from conversion.serving.connections import HEAD_SECONDS
from conversion.serving.predictor import NO_USAGE
from tests.clone import ROOT
from tests.contract_files import hubspot, projects
from tests.exports import UNRANKED
from tests.server import Server, bentoml_client, copy_of, history_of, samples, total
from tests.serving import EXAMPLE

pytestmark = pytest.mark.slow

SAMPLE = 1000
BATCH = 100
TOKEN = "s3cret token"
OPEN_FILES = 256
ASKED = {"company_id", "conversion_probability", "prediction", "confidence"}
ADDED = {
    *("model_version", "tier", "reasons", "caution", "evidence", "fit", "activity", "basis", "as_of"),
}

# As the original framework documents it, but for the port.
CURL = """\
curl -X POST http://localhost:8000/predict/single -H "Content-Type: application/json" -d '{"id": 123, \
"ALEXA_RANK": 50000, "EMPLOYEE_RANGE": "26 to 50", "INDUSTRY": "COMPUTER_SOFTWARE", "total_actions": 150, \
"total_users": 5, "days_active": 30, "activity_frequency": 5.0}'"""


@pytest.fixture(scope="module")
def server(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(served, tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def leads(served: Path) -> pd.DataFrame:
    written = read_lead_files(served, hubspot())
    assert written is not None
    return written.leads


@pytest.fixture(scope="module")
def histories(served: Path, leads: pd.DataFrame) -> list[dict[str, Any]]:
    """The requests of sampled prospects, from what the exports say of them."""
    companies = pd.read_parquet(served / "data" / "clean" / "companies.parquet").set_index("id", drop=False)
    usage = pd.read_parquet(served / "data" / "clean" / "usage.parquet")
    ranks = companies["ALEXA_RANK"].mask(companies["unranked"] == 1.0, float(UNRANKED))
    firmographics = companies.assign(ALEXA_RANK=ranks)[["id", "ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY"]]
    by_company = dict(iter(usage.groupby("id")))
    chosen = leads["id"].sample(SAMPLE, random_state=0)
    return [
        history_of(firmographics.loc[company].to_dict(), by_company.get(company, usage.iloc[:0]))
        for company in chosen
    ]


@pytest.fixture
def copied(served: Path, tmp_path: Path) -> Path:
    return copy_of(served, tmp_path / "copied")


class TestPredictions:
    def test_the_curl_of_the_issue(self, server: Server) -> None:
        command = shlex.split(CURL.replace("http://localhost:8000", server.url))
        assert json.loads(command[-1]) == EXAMPLE
        if shutil.which("curl"):
            done = subprocess.run([*command, "--silent", "--show-error"], capture_output=True, check=True)
            answer = json.loads(done.stdout)
        else:
            answer = httpx.post(command[3], json=EXAMPLE).json()
        assert answer.keys() == ASKED | ADDED
        assert answer["company_id"] == 123
        assert 0 < answer["conversion_probability"] < 1
        assert answer["prediction"] in (0, 1)
        assert answer["confidence"] in ("high", "medium", "low")
        assert answer["tier"] in ("very_high", "high", "medium", "low")
        assert 1 <= len(answer["reasons"]) <= REASONS
        assert answer["evidence"].startswith("Of ")
        assert (answer["basis"], answer["as_of"]) == ("summary", None)

    @pytest.mark.parametrize("size", [1, BATCH])
    def test_histories_answer_what_the_lead_list_says(
        self, client: httpx.Client, leads: pd.DataFrame, histories: list[dict[str, Any]], size: int
    ) -> None:
        answers = []
        for start in range(0, SAMPLE, size):
            some = histories[start : start + size]
            if size == 1:
                answer = client.post("/predict/single", json=some[0]).raise_for_status()
                answers.append(answer.json())
            else:
                answer = client.post("/predict", json={"companies": some}).raise_for_status()
                answers += answer.json()["predictions"]
        assert [answer["company_id"] for answer in answers] == [history["id"] for history in histories]
        expected = leads.set_index("id").loc[[history["id"] for history in histories]]
        online = np.array([answer["conversion_probability"] for answer in answers])
        np.testing.assert_allclose(online, expected["probability"], rtol=0, atol=1e-9)
        assert [answer["tier"] for answer in answers] == expected["tier"].tolist()
        for answer, (_, lead) in zip(answers, expected.iterrows(), strict=True):
            assert_said(answer, lead)
        assert {answer["basis"] for answer in answers} == {"history"}

    def test_the_sample_has_something_of_everything(
        self, leads: pd.DataFrame, histories: list[dict[str, Any]]
    ) -> None:
        assert len({history["id"] for history in histories}) == SAMPLE
        assert {"medium", "low"} <= set(leads["tier"])
        lengths = [len(history["usage"]) for history in histories]
        assert min(lengths) == 0
        assert max(lengths) > 5
        assert {type(history["ALEXA_RANK"]) for history in histories} == {float, type(None)}

    def test_bentoml_client(self, server: Server, client: httpx.Client, histories: list[Any]) -> None:
        history = max(histories, key=lambda history: len(history["usage"]))
        expected = [client.post("/predict/single", json=company).json() for company in (EXAMPLE, history)]
        assert [answer["basis"] for answer in expected] == ["summary", "history"]
        with bentoml_client(server) as theirs:
            assert [theirs.predict_single(company) for company in (EXAMPLE, history)] == expected
            batch = theirs.predict(companies=[history, EXAMPLE])
        assert batch["predictions"] == expected[::-1]
        assert batch["model_version"] == expected[0]["model_version"]

    def test_one_bad_company_refuses_the_batch(self, client: httpx.Client) -> None:
        scored = total(client, "conversion_predictions_total")
        answer = client.post("/predict", json={"companies": [EXAMPLE, EXAMPLE | {"total_users": -1}]})
        assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert [fault["field"] for fault in answer.json()["detail"]] == ["companies[1].total_users"]
        assert total(client, "conversion_predictions_total") == scored

    @pytest.mark.parametrize("as_of", ["0001-01-01", "0001-01-08", "0010-06-01", "9999-12-31"])
    @pytest.mark.parametrize("week", ["0001-01-01", "2019-10-07", "9999-12-31"])
    def test_the_ends_of_the_calendar(
        self, client: httpx.Client, histories: list[dict[str, Any]], as_of: str, week: str
    ) -> None:
        row = next(history["usage"][0] for history in histories if history["usage"])
        request = {"id": 1, "as_of": as_of, "usage": [row | {"WHEN_TIMESTAMP": week}]}
        assert client.post("/predict/single", json=request).status_code in (200, 422)


class TestLeads:
    def test_a_page(self, client: httpx.Client, leads: pd.DataFrame) -> None:
        answer = client.get("/leads", params={"limit": 7, "offset": 3}).json()
        assert [lead["id"] for lead in answer["leads"]] == leads["id"].iloc[3:10].tolist()
        assert (answer["total"], answer["limit"], answer["offset"]) == (len(leads), 7, 3)

    def test_one_tier(self, client: httpx.Client, leads: pd.DataFrame) -> None:
        answer = client.get("/leads", params={"tier": "medium"}).json()
        assert {lead["tier"] for lead in answer["leads"]} == {"medium"}
        assert answer["total"] == int((leads["tier"] == "medium").sum())

    def test_one_lead(self, client: httpx.Client, leads: pd.DataFrame, histories: list[Any]) -> None:
        history = max(histories, key=lambda history: len(history["usage"]))
        answer = client.get(f"/leads/{history['id']}").json()
        assert answer["usage"] == history["usage"]
        assert answer["probability"] == leads.set_index("id").loc[history["id"], "probability"]

    def test_the_client_of_the_examples(self, server: Server, leads: pd.DataFrame) -> None:
        check_the_client(server, leads)

    def test_no_such_lead(self, client: httpx.Client) -> None:
        answer = client.get("/leads/1")
        assert answer.status_code == httpx.codes.NOT_FOUND
        assert answer.json() == {"error": "company 1 is not on the lead list", "detail": []}


class TestProbesMetricsAndDocs:
    def test_health(self, served: Path, client: httpx.Client) -> None:
        description = json.loads((served / "models" / "model.json").read_text(encoding="utf-8"))
        health = client.get("/health").json()
        loaded = dt.datetime.fromisoformat(health["lead_list"].pop("loaded"))
        assert dt.timedelta(0) <= dt.datetime.now(dt.UTC) - loaded < dt.timedelta(hours=1)
        assert health == {
            "status": "ok",
            "model_loaded": True,
            "model_version": description["sha256"][:12],
            "trained_as_of": description["trained_as_of"][:10],
            "model_type": description["model_type"],
            "registered_model": None,
            "lead_list": {
                "as_of": description["trained_as_of"],
                "model_version": description["sha256"][:12],
                "of_served_model": True,
                "delivery": None,
            },
        }

    @pytest.mark.parametrize("path", ["/livez", "/readyz"])
    def test_probes(self, client: httpx.Client, path: str) -> None:
        assert client.get(path).status_code == httpx.codes.OK

    def test_metrics(self, client: httpx.Client) -> None:
        names = ("conversion_predictions_total", "conversion_score_count", "conversion_rejected_total")
        before = [total(client, name) for name in names]
        route = {"endpoint": "/leads/{id}", "http_response_code": "404", "service_name": "conversion"}
        asked = total(client, "bentoml_service_request_total", **route)
        tier = client.post("/predict/single", json=EXAMPLE).json()["tier"]
        client.post("/predict/single", json=EXAMPLE | {"total_users": -1})
        for company in (1, 2, 3):
            client.get(f"/leads/{company}")
        assert [total(client, name) for name in names] == [before[0] + 1, before[1] + 1, before[2] + 4]
        assert (("basis", "summary"), ("tier", tier)) in samples(client, "conversion_predictions_total")
        assert total(client, "conversion_rejected_total", reason="invalid_field") >= 1
        assert total(client, "bentoml_service_request_total", **route) == asked + 3
        durations = samples(client, "bentoml_service_request_duration_seconds_count")
        endpoints = {dict(labels)["endpoint"] for labels in durations}
        assert endpoints <= {
            "/predict/single", "/predict", "/leads", "/leads/{id}", "/health", "/metrics", "/docs",
            "/openapi.json", "/docs.json", "/", "/livez", "/readyz", "/healthz", "/schema.json", "other",
        }  # fmt: skip

    def test_the_documentation_needs_no_other_server(self, client: httpx.Client) -> None:
        page = client.get("/docs").raise_for_status()
        assert page.headers["content-type"].startswith("text/html")
        linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert any(link.endswith(".js") for link in linked)
        for link in linked:
            if not link.startswith("data:"):
                assert "//" not in link
                answer = client.get(f"/{link}")
                assert answer.status_code == httpx.codes.OK, link
                assert len(answer.content) > 1000, link
        document = re.search(r'url: "([^"]+)"', page.text)
        assert document
        assert client.get(f"/{document[1]}").json()["openapi"].startswith("3.")

    def test_the_root_is_the_list_and_links_to_the_documentation(self, client: httpx.Client) -> None:
        answer = client.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "Who to call this week" in answer.text
        assert 'href="/docs"' in answer.text

    def test_cors_is_off(self, client: httpx.Client) -> None:
        answer = client.get("/health", headers={"Origin": "https://crm.example.com"})
        assert not [name for name in answer.headers if name.startswith("access-control")]

    def test_it_listens_on_this_machine_only(self, server: Server) -> None:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", server.port)) != 0

    def test_nothing_is_logged_by_default(self, served: Path, client: httpx.Client) -> None:
        client.post("/predict/single", json=EXAMPLE).raise_for_status()
        assert not (served / "logs").exists()


def logged(server: Server, part: str) -> str:
    """Return the one line of the log with this part; the access log has it just after the answer."""
    deadline = time.monotonic() + 10
    while not (lines := [line for line in server.log().split("\n") if part in line]):
        assert time.monotonic() < deadline, f"not logged: {part}"
        time.sleep(0.05)
    (line,) = lines
    return line


class TestConnections:
    def test_silent_connections_keep_nobody_out(self, server: Server) -> None:
        """More of them than the worker may have files open."""
        (worker,) = server.workers()
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (OPEN_FILES, before[1]))
        try:
            with contextlib.ExitStack() as stack:
                address = ("127.0.0.1", server.port)
                silent = [
                    stack.enter_context(socket.create_connection(address)) for _ in range(OPEN_FILES + 50)
                ]
                for _ in range(10):
                    with server.client() as client:
                        assert client.post("/predict/single", json=EXAMPLE).status_code == httpx.codes.OK
                silent[0].settimeout(30)
                assert silent[0].recv(1) == b"", "it gave its place up"
        finally:
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)

    def test_a_silent_connection_is_closed(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=6 * HEAD_SECONDS) as connection:
            connection.sendall(b"POST /predict HTT")
            assert connection.recv(1) == b""

    def test_a_path_ends_no_line_of_the_access_log(self, server: Server, client: httpx.Client) -> None:
        assert client.get("/odd%0d%0a2026-01-01%20forged%00%1b[31m").status_code == httpx.codes.NOT_FOUND
        line = logged(server, "path=/odd")
        assert r"path=/odd\r\n2026-01-01 forged\x00\x1b[31m," in line
        assert "status=404" in line

    def test_no_credentials_reach_the_access_log(self, server: Server, client: httpx.Client) -> None:
        sent = "/see/https%3A%2F%2Fann%3Apa%0d%0a55%40crm.example.com%2Fx"
        assert client.get(sent).status_code == httpx.codes.NOT_FOUND
        line = logged(server, "path=/see/")
        assert "path=/see/https://***@crm.example.com/x," in line


def test_a_token_is_asked_for_where_one_is_set(served: Path, tmp_path: Path) -> None:
    with (
        Server(served, tmp_path / "home", env={"CONVERSION_API_TOKEN": TOKEN}) as server,
        server.client() as client,
    ):
        guarded = [("POST", "/predict/single"), ("POST", "/predict"), ("GET", "/leads"), ("GET", "/leads/1")]
        guarded += [("GET", "/metrics"), ("GET", "/schema.json"), ("GET", "/nowhere")]
        for place, (method, path) in enumerate(guarded):
            wrong = [None, "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}"]
            for given in wrong:
                # From addresses of their own, so that none has to wait.
                headers = {"X-Forwarded-For": f"10.0.0.{place}"}
                headers |= {} if given is None else {"Authorization": given}
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == httpx.codes.UNAUTHORIZED, (path, given)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json()["detail"] == []
                assert TOKEN not in answer.text
        for path in ("/health", "/livez", "/readyz", "/docs", "/openapi.json"):
            assert client.get(path).status_code == httpx.codes.OK, path
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert client.post("/predict/single", json=EXAMPLE).status_code == httpx.codes.OK
        assert client.get("/leads").status_code == httpx.codes.OK
        assert total(client, "conversion_rejected_total", reason="unauthorized") == 6 * len(guarded)
        with bentoml_client(server, TOKEN) as theirs:
            assert theirs.predict_single(EXAMPLE)["company_id"] == EXAMPLE["id"]
        assert TOKEN not in server.log()


def test_health_names_the_registered_version_that_is_served(copied: Path, tmp_path: Path) -> None:
    description = json.loads((copied / "models" / "model.json").read_text(encoding="utf-8"))
    others = {"0" * 64: RegisteredVersion(version="1", aliases=["champion"], run_id="first")}
    served = {description["sha256"]: RegisteredVersion(version="2", aliases=[], run_id="second")}
    registered = RegisteredVersions(model_name="prospects", versions=others | served)
    write_registered(registered, copied)
    with Server(copied, tmp_path / "home") as server, server.client() as client:
        health = client.get("/health").json()
    assert health["registered_model"] == {"name": "prospects", "version": "2", "aliases": []}
    assert health["model_version"] == description["sha256"][:12]


def check_the_client(server: Server, listed: pd.DataFrame) -> None:
    """Run the example of a client: it shows the first leads, and predicts the first one as the list does."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "client.py", server.url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line.split()[2] for line in lines[:10:2]] == [str(each) for each in listed["id"].head(5)]
    assert [line.strip() for line in lines[1:10:2]] == listed["evidence"].head(5).tolist()
    first = listed.iloc[0]
    assert lines[10:] == [
        f"company {first['id']} again: {first['probability']:.3f}",
        *(f"  {first[name]}" for name in REASON_COLUMNS if pd.notna(first[name])),
        *([f"  But: {first['caution']}"] if pd.notna(first["caution"]) else []),
    ]


def assert_said(answer: dict[str, Any], lead: pd.Series) -> None:
    """Check what a prediction says against the list; of who never used the product it may say that alone."""
    if answer["reasons"] == [NO_USAGE]:
        assert pd.isna(lead["last_active_week"])
        assert answer["confidence"] == "low"
        return
    assert answer["reasons"] == lead[list(REASON_COLUMNS)].dropna().tolist()
    assert answer["caution"] == (None if pd.isna(lead["caution"]) else lead["caution"])
    assert answer["evidence"] == lead["evidence"]
    for name in ("fit", "activity"):
        assert answer[name] == pytest.approx(lead[name], abs=1e-6)


def test_a_service_of_another_contract(served_projects: Path, tmp_path: Path) -> None:
    """Text ids, and the fields of that contract, to BentoML's client too."""
    listed = read_lead_files(served_projects, projects())
    assert listed is not None
    with Server(served_projects, tmp_path / "home") as server, server.client() as client:
        for row in listed.leads.head(20).to_dict("records"):
            lead = client.get(f"/leads/{row['id']}").raise_for_status().json()
            assert lead["name"] == row["name"]
            known = {name: lead[name] for name in ("id", *projects().companies.attributes)}
            history = known | {"usage": lead["usage"]}
            answer = client.post("/predict/single", json=history).raise_for_status().json()
            assert answer["company_id"] == row["id"]
            assert answer["conversion_probability"] == pytest.approx(row["probability"], abs=1e-9)
            assert_said(answer, pd.Series(row))
        check_the_client(server, listed.leads)
        schema = client.get("/schema.json").json()
        with bentoml_client(server) as theirs:
            assert theirs.predict_single(history) == answer
            assert theirs.predict(companies=[history])["predictions"] == [answer]
    output = next(route["output"] for route in schema["routes"] if route["name"] == "predict_single")
    assert output["properties"]["company_id"]["type"] == "string"
    assert "automation_runs" in json.dumps(schema)
