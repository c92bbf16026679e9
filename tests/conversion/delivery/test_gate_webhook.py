from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conversion.config.gate_params import WebhookSettings
from conversion.delivery.gate_webhook import VARIABLE, notify

QUICK = WebhookSettings(timeout_seconds=0.3, attempts=3)
VERDICT = {"status": "watch", "as_of": "2020-04-27", "checks": []}


class Received:
    def __init__(self) -> None:
        self.bodies: list[tuple[str, str, bytes]] = []


@contextmanager
def server(statuses: list[int]) -> Iterator[tuple[str, Received]]:
    """Run a server on a free port that answers with each status in turn, then with the last."""
    received = Received()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.bodies.append((self.path, self.headers["Content-Type"], body))
            self.send_response(statuses[min(len(received.bodies), len(statuses)) - 1])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as opened:
        thread = threading.Thread(target=opened.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{opened.server_address[1]}/hook?key=secret", received
        finally:
            opened.shutdown()
            thread.join()


def test_the_verdict_is_posted_as_json() -> None:
    with server([200]) as (url, received):
        assert notify({VARIABLE: url}, VERDICT, QUICK)
    [(path, kind, body)] = received.bodies
    assert (path, kind) == ("/hook?key=secret", "application/json")
    assert json.loads(body) == VERDICT


def test_it_is_tried_again() -> None:
    with server([500, 503, 204]) as (url, received):
        assert notify({VARIABLE: url}, VERDICT, QUICK)
    assert len(received.bodies) == 3


def test_a_server_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with server([500]) as (url, received):
        assert not notify({VARIABLE: url}, VERDICT, QUICK)
    assert len(received.bodies) == 3
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.__dict__["reason"] == "it answered 500"
    assert "secret" not in str(record.__dict__)


def test_a_server_that_hangs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert not notify({VARIABLE: url}, VERDICT, QUICK.model_copy(update={"attempts": 2}))
    assert caplog.records[-1].__dict__["reason"] == "it did not answer in time"


def test_a_server_that_is_not_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    assert not notify({VARIABLE: url}, VERDICT, QUICK)
    assert caplog.records[-1].__dict__["reason"] == "ConnectionRefusedError"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "example.com/hook", "http://[", "ftp://host/x"])
def test_what_is_no_web_address_is_not_called(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not notify({VARIABLE: url}, VERDICT, QUICK)
    assert VARIABLE in caplog.records[-1].getMessage()


def test_without_a_url_nothing_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    assert not notify({}, VERDICT, QUICK)
    assert not notify({VARIABLE: " "}, VERDICT, QUICK)
    assert not caplog.records
