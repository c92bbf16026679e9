"""Run a server on a free port of 127.0.0.1 while a block runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.http_load import http_request

START_SECONDS = 120
STOP_SECONDS = 30


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, home: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server in the block.

    Parameters
    ----------
    command
        ``{port}`` in it is replaced by the port.
    folder
        The folder that it starts in.
    home
        Folder for its log and for BentoML's files.
    environment
        Added to this process's.
    """
    port = free_port()
    log = home / f"{port}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=folder, env=_environment(home, port) | dict(environment or {}), stdin=subprocess.DEVNULL,
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_ready(process, port, log)
        yield Server(port, process.pid)
    finally:
        _stop(process)


@dataclass(frozen=True)
class Server:
    """A running server: its port and the process that was started."""

    port: int
    pid: int


def _environment(home: Path, port: int) -> dict[str, str]:
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "BENTOML_HOME": str(home),
        "BENTOML_HOST": "127.0.0.1",
        "BENTOML_PORT": str(port),
        "BENTOML_DO_NOT_TRACK": "True",
    }


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    request = http_request("GET", "/readyz")
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(request)
            if connection.recv(12).endswith(b"200"):
                return
        time.sleep(0.2)
    sys.exit(f"{process.args!r} is not ready\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, then kill what is left: BentoML's workers have process groups of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        for child in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if process.poll() is None:
        process.kill()
    process.wait()


def free_port() -> int:
    """Find a port that nobody listens on, outside the range that the system gives to clients."""
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port among 100")


def stop_servers_when_terminated() -> None:
    """Exit on SIGTERM as on Ctrl-C: through the ends of all blocks."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
