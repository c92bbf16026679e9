"""A real uvicorn in this process, whose connections are bounded; deadlines are short."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
import uvicorn.config
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from benchmarks.servers import free_port
from conversion.serving import connections
from conversion.serving.connections import BoundedConnection, connection_limit, use_bounded_connections

SHORT = 0.4
PATIENCE = 30
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FULL = 10


class Slow:
    """What answers to /slow wait for, and how many do."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.waiting = 0


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def keep_alive() -> int:
    return PATIENCE


@pytest.fixture
def port(slow: Slow, keep_alive: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", SHORT)
    monkeypatch.setattr(connections, "ANSWER_SECONDS", SHORT)
    monkeypatch.setattr(connections, "connection_limit", lambda: FULL)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            slow.waiting += 1
            while not slow.release.is_set():
                await asyncio.sleep(0.01)
        text = "x" * 50_000_000 if scope["path"] == "/large" else "ok"
        await PlainTextResponse(text)(scope, receive, send)

    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", "nothing")
    use_bounded_connections()
    port = free_port()
    config = uvicorn.Config(app, port=port, lifespan="off", log_config=None, timeout_keep_alive=keep_alive)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    assert config.http_protocol_class is BoundedConnection
    yield port
    slow.release.set()
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def ends(connection: socket.socket) -> bool:
    """Wait until the other end closes."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def answer(connection: socket.socket) -> bytes:
    """Read one answer of the app, in however many pieces it comes."""
    read = b""
    while not read.endswith(b"\r\n\r\nok"):
        piece = connection.recv(4096)
        assert piece, read
        read += piece
    return read


def ask(port: int) -> bytes:
    with connect(port) as connection:
        connection.sendall(HEAD)
        return answer(connection)


def test_a_silent_connection_is_closed(port: int) -> None:
    with connect(port) as connection:
        assert connection.recv(1) == b""


def test_a_head_that_comes_in_drops_is_not_waited_for(port: int) -> None:
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        for drop in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000:
            connection.sendall(bytes([drop]))
            time.sleep(SHORT / 10)
    assert ask(port).startswith(b"HTTP/1.1 200")


def test_a_second_head_in_drops_is_not_waited_for_either(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD)
        assert answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET")
        assert ends(connection)


def test_an_idle_connection_is_kept_as_long_as_the_server_is_told(port: int) -> None:
    """Longer than a head may take: proxies keep connections open."""
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(HEAD)
            assert answer(connection).startswith(b"HTTP/1.1 200")
            time.sleep(2 * SHORT)


def test_an_answer_that_takes_longer_than_a_head_is_given(port: int, slow: Slow) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD.replace(b"/ ", b"/slow "))
        time.sleep(2 * SHORT)
        slow.release.set()
        assert answer(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("keep_alive", [1])
def test_an_answer_that_nobody_reads_is_dropped(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(HEAD.replace(b"/ ", b"/large "))
        time.sleep(1 + 4 * SHORT)
        received = 0
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(1_000_000):
                received += len(chunk)
        assert received < 50_000_000


def test_a_new_connection_takes_the_place_of_the_longest_silent(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", PATIENCE)
    with contextlib.ExitStack() as stack:
        silent = []
        for _ in range(FULL):
            silent.append(stack.enter_context(connect(port)))
            time.sleep(0.02)
        assert ask(port).startswith(b"HTTP/1.1 200")
        assert ends(silent[0])
        silent[-1].sendall(HEAD)
        assert answer(silent[-1]).startswith(b"HTTP/1.1 200")


def test_where_all_are_being_answered_a_new_one_is_told_to_come_back(port: int, slow: Slow) -> None:
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(connect(port)) for _ in range(FULL)]
        for connection in busy:
            connection.sendall(HEAD.replace(b"/ ", b"/slow "))
        wait_until(lambda: slow.waiting == FULL)
        with connect(port) as late:
            said = b""
            while piece := late.recv(4096):
                said += piece
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in head
            assert body == b'{"error":"too many connections; try again later","detail":[]}'
        slow.release.set()
        for connection in busy:
            assert answer(connection).startswith(b"HTTP/1.1 200")
    assert ask(port).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("files", "connections"),
    [(256, 156), (1024, 924), (1100, 1000), (10**6, 1000), (50, 1), (resource.RLIM_INFINITY, 1000)],
)
def test_the_limit_leaves_files_for_other_things(
    files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connection_limit() == connections
