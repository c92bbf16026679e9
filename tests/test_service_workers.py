"""The workers of `bentoml serve`: shared metrics, logs of predictions, restarts, and the end by SIGTERM."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from tests.server import Server, copy_of, set_serve, total
from tests.serving import EXAMPLE, week

pytestmark = pytest.mark.slow

BATCH = 1000


@pytest.fixture
def copied(served: Path, tmp_path: Path) -> Path:
    return copy_of(served, tmp_path / "copied")


def test_two_workers_share_metrics_and_each_logs_predictions(copied: Path, tmp_path: Path) -> None:
    set_serve(copied, log_predictions=True)
    config = copied / "conversion" / "serving" / "prediction_log.yaml"
    text, small = config.read_text(encoding="utf-8"), 20_000
    config.write_text(re.sub(r"maxBytes: \d+", f"maxBytes: {small}", text), encoding="utf-8")
    env = {"BENTOML_CONFIG_OPTIONS": "services.conversion.workers=2"}
    sent = 0
    with Server(copied, tmp_path / "home", env=env) as server:
        workers = set(server.workers())
        assert len(workers) == 2
        logs = copied / "logs" / "predictions" / "data"
        deadline = time.monotonic() + 60
        # The system hands each new connection to a worker; both have to have had some.
        while len({path.name.split(".log")[0] for path in logs.glob("*")}) < 2 or sent < 200:
            assert time.monotonic() < deadline, "one worker gets no request"
            with server.client() as client:
                client.post("/predict/single", json=EXAMPLE | {"id": sent}).raise_for_status()
                companies = [EXAMPLE | {"id": sent + 1}, {"id": sent + 2, "usage": [], "as_of": "2019-10-14"}]
                client.post("/predict", json={"companies": companies}).raise_for_status()
                client.post("/predict/single", json={"id": 0.5})
            sent += 3
        with server.client() as client:
            assert total(client, "conversion_predictions_total") == sent
            assert total(client, "conversion_predictions_total", basis="history") == sent / 3
            assert total(client, "conversion_score_count") == sent
            posted = {"endpoint": "/predict/single", "http_response_code": "200"}
            assert total(client, "bentoml_service_request_total", **posted) == sent / 3
            version = client.get("/health").json()["model_version"]
        assert set(server.workers()) == workers
    files = sorted(logs.glob("*"))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    assert sorted(record["input"]["id"] for record in records) == list(range(sent))
    for record in records:
        assert record["model_version"] == version
        assert 0 < record["conversion_probability"] < 1
        assert record["basis"] == ("history" if "usage" in record["input"] else "summary")
        assert record["timestamp"]
    assert [path for path in files if re.search(r"\.log\.\d+$", path.name)], files
    assert max(path.stat().st_size for path in files) <= small


def test_predictions_that_cannot_be_logged_are_answered(copied: Path, tmp_path: Path) -> None:
    set_serve(copied, log_predictions=True)
    (copied / "logs").touch()  # where its folder should be
    with Server(copied, tmp_path / "home") as server, server.client() as client:
        for _ in range(3):
            assert client.post("/predict/single", json=EXAMPLE).status_code == httpx.codes.OK
            assert client.post("/predict", json={"companies": [EXAMPLE]}).status_code == httpx.codes.OK
        assert server.log().count("predictions are answered, but cannot be logged") == 1
        (copied / "logs").unlink()
        assert client.post("/predict/single", json=EXAMPLE).status_code == httpx.codes.OK
        assert server.log().count("predictions are logged again requests_lost=6") == 1
        assert "Traceback" not in server.log()
    (path,) = (copied / "logs" / "predictions" / "data").glob("*")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_while_a_killed_worker_is_started_again_the_other_answers(served: Path, tmp_path: Path) -> None:
    env = {"BENTOML_CONFIG_OPTIONS": "services.conversion.workers=2"}
    with Server(served, tmp_path / "home", env=env) as server:
        killed, other = server.workers()
        os.kill(killed, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(killed)] if psutil.pid_exists(killed) else [], timeout=30)
        for _ in range(50):
            with server.client() as client:
                assert client.post("/predict/single", json=EXAMPLE).status_code == httpx.codes.OK
        assert other in server.workers()


def test_the_prediction_log_keeps_requests_apart(copied: Path, tmp_path: Path) -> None:
    """Batches are answered on threads: what they log must not get mixed up."""
    set_serve(copied, log_predictions=True)
    batches = [[{"id": 50 * k + j, "total_users": 50 * k + j} for j in range(50)] for k in range(40)]
    with Server(copied, tmp_path / "home") as server, server.client() as client:

        def ask(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
            single = client.post("/predict/single", json=batch[0] | {"id": -1 - batch[0]["id"]})
            several = client.post("/predict", json={"companies": batch})
            return [single.raise_for_status().json(), *several.raise_for_status().json()["predictions"]]

        with ThreadPoolExecutor(16) as threads:
            answers = [answer for some in threads.map(ask, batches) for answer in some]
    (path,) = (copied / "logs" / "predictions" / "data").glob("*")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(records) == len(answers) == 40 * 51
    probabilities = {answer["company_id"]: answer["conversion_probability"] for answer in answers}
    assert {record["input"]["id"]: record["conversion_probability"] for record in records} == probabilities


def test_no_request_in_flight_is_lost_on_sigterm(served: Path, tmp_path: Path) -> None:
    body = json.dumps(EXAMPLE).encode()
    head = "POST /predict/single HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
    with Server(served, tmp_path / "home") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:20])
            time.sleep(0.5)
            server.terminate()
            time.sleep(2)
            connection.sendall(body[20:])
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["company_id"] == EXAMPLE["id"]
        assert server.wait() == 0


def test_a_large_batch_in_flight_is_answered_on_sigterm(served: Path, tmp_path: Path) -> None:
    mondays = pd.date_range(end="2019-10-07", periods=100, freq="W-MON").strftime("%Y-%m-%d")
    usage = [week(monday, ACTIONS_EMAIL=12, USERS_EMAIL=3) for monday in mondays]
    companies = [{"id": place, "usage": usage} for place in range(BATCH)]
    with Server(served, tmp_path / "home") as server, server.client() as client:
        with ThreadPoolExecutor(1) as thread:
            asked = thread.submit(client.post, "/predict", json={"companies": companies})
            # Its size alone takes a second and more: on the way, or being answered.
            time.sleep(0.5)
            server.terminate()
            answer = asked.result()
        assert answer.status_code == httpx.codes.OK
        assert [item["company_id"] for item in answer.json()["predictions"]] == list(range(BATCH))
        assert server.wait() == 0
