"""HTTP clients that measure latency over one connection, and the throughput of many clients at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def http_request(method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
    """Return an HTTP request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if body:
        lines.append(f"Content-Type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_and_length(head: bytes) -> tuple[int, int]:
    """Read an answer's status and the length of its body."""
    found = _LENGTH.search(head)
    if found is None:
        raise ConnectionError(f"an answer without Content-Length: {head[:200]!r}")
    return int(head[9:12]), int(found[1])


def latencies(port: int, request: bytes, count: int) -> list[float]:
    """Send one request after the other over one connection; return the milliseconds of each."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection, no_collections():
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            start = time.perf_counter()
            connection.sendall(request)
            status, answer = _receive(connection)
            times.append((time.perf_counter() - start) * 1e3)
            _expect_ok(status, answer)
    return times


def _receive(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status, length = status_and_length(head)
    parts, missing = [body], length - len(body)
    while missing > 0:
        parts.append(_some(connection))
        missing -= len(parts[-1])
    return status, b"".join(parts)


def _some(connection: socket.socket) -> bytes:
    some = connection.recv(1 << 20)
    if not some:
        raise ConnectionError("the server closed the connection within an answer")
    return some


def _expect_ok(status: int, answer: bytes) -> None:
    if status != 200:
        sys.exit(f"an answer of {status}: {answer[:500].decode(errors='replace')}")


class Connection:
    """A connection that one of many clients keeps; it opens when the client first needs it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the answer's status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = status_and_length(head)
        body = await reader.readexactly(length)
        if b"connection: close" in head.lower():
            self.close()
        return status, body

    def close(self) -> None:
        """Close it; the next exchange opens it again."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(frozen=True)
class Load:
    """The answers that many clients at once got."""

    per_second: float  # answers of 200
    client_ms: float  # processor time of the clients, a request
    failed: int  # all other answers


def throughput(port: int, request: bytes, count: int, clients: int) -> Load:
    """Send ``count`` requests from so many clients at once, each waiting for its answer before the next."""
    turns = iter(range(count))

    async def client() -> list[int]:
        connection = Connection(port)
        statuses = [(await connection.exchange(request))[0] for _ in turns]
        connection.close()
        return statuses

    async def all_clients() -> list[int]:
        return list(chain.from_iterable(await asyncio.gather(*[client() for _ in range(clients)])))

    with no_collections():
        start, busy = time.perf_counter(), time.process_time()
        statuses = asyncio.run(all_clients())
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
    good = statuses.count(200)
    return Load(good / seconds, busy * 1e3 / count, count - good)


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Keep the client's garbage collections out of the measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
