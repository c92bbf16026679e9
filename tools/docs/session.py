"""The commands that pages show: found in the pages, run in the order of the pages, their output put back.

A block of ``sh`` has commands whose output is not shown. A block of ``console`` has one command, after ``$``,
and what it said. A comment on the line before a block says what is special about it:

    <!-- exits: 1 -->                   the command fails, as the page says
    <!-- run by: tests/test_x.py::test_y -->    takes too long, or too much, to be run here; that test runs it
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<note>exits|run by): (?P<value>.+?) -->\n)?"
    r"^```(?P<kind>sh|console)\n(?P<body>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
PROMPT: Final = "$ "
PLACEHOLDER: Final = "/path/to/export"
READY_SECONDS: Final = 120
COMMAND_SECONDS: Final = 900


class Server(NamedTuple):
    """A command that runs until it is stopped: its beginning, the port on the page, and what answers."""

    begins: str
    port: int
    path: str


SERVERS: Final = (Server("bentoml serve", 8000, "/readyz"), Server("mlflow ui", 5000, "/health"))


@dataclass(frozen=True)
class Step:
    """What a block asks for.

    Attributes
    ----------
    command
        Shell commands, without the prompt.
    shown
        Whether the page shows what the command says.
    exits
        Its exit code.
    run_by
        Where it is run instead of here: a test as pytest names it, or a file of the project.
    """

    command: str
    shown: bool
    exits: int = 0
    run_by: str | None = None


def steps(page: str) -> list[Step]:
    """Find the commands of a page's Markdown, in order."""
    return [_step(found) for found in BLOCK.finditer(page)]


def _step(found: re.Match[str]) -> Step:
    shown = found["kind"] == "console"
    command = _command(found["body"]) if shown else found["body"].rstrip("\n")
    return Step(
        command,
        shown,
        exits=int(found["value"]) if found["note"] == "exits" else 0,
        run_by=found["value"] if found["note"] == "run by" else None,
    )


def _command(body: str) -> str:
    """Read the command after the prompt; it goes on while a line ends in a backslash or a quote is open."""
    lines = body.removeprefix(PROMPT).splitlines()
    if not body.startswith(PROMPT):
        raise SystemExit(f"a console block should begin with {PROMPT!r}, found {lines[0]!r}")
    for count in range(1, len(lines) + 1):
        command = "\n".join(lines[:count])
        if not command.endswith("\\") and _closed(command):
            return command
    raise SystemExit(f"a command without an end: {lines[0]!r}")


def _closed(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def with_outputs(page: str, outputs: Sequence[str]) -> str:
    """Put what the shown commands said, in order, in place of what the page says they did."""
    left = iter(outputs)

    def fill(found: re.Match[str]) -> str:
        step = _step(found)
        if not step.shown or step.run_by:
            return found[0]
        begin = found[0][: found[0].index("```console\n")]
        return f"{begin}```console\n{PROMPT}{step.command}\n{next(left)}```"

    filled = BLOCK.sub(fill, page)
    assert next(left, None) is None, "more outputs than shown commands"
    return filled


def run(page: str, folder: Path, environment: dict[str, str], export: Path) -> list[str]:
    """Run a page's commands, top to bottom; servers run until the page ends.

    Parameters
    ----------
    page
        Markdown.
    folder
        A repository of the project.
    environment
        Of the commands, see `environment`.
    export
        Folder that stands for ``/path/to/export``.

    Returns
    -------
    list of str
        What each shown command said, stdout and stderr.

    Raises
    ------
    SystemExit
        A command ended with another exit code than the page says, or a server did not answer.
    """
    ports = {server.port: _free_port() for server in SERVERS}
    said = []
    with _stopping() as running:
        for step in steps(page):
            if step.run_by:
                continue
            command = step.command.replace(PLACEHOLDER, str(export))
            for port, free in ports.items():
                command = re.sub(rf"(?<=localhost:){port}\b|(?<=--port ){port}\b", str(free), command)
            server = next((each for each in SERVERS if command.startswith(each.begins)), None)
            if server:
                running.append(_start(command, folder, environment, ports[server.port], server.path))
                continue
            output = _run(command, folder, environment, step.exits)
            if step.shown:
                said.append(_tidy(output, folder))
    return said


def environment(home: Path) -> dict[str, str]:
    """Give the environment of documented commands: this one's tools first, telemetry and colours off.

    Parameters
    ----------
    home
        Where the tools may keep what they otherwise keep in the user's folders.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "COLUMNS": "110", "BENTOML_HOME": str(home / "bentoml"), "DVC_NO_ANALYTICS": "1"}
    off = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "MAKEFLAGS": ""}
    return os.environ | own | off


def link_venv(folder: Path) -> None:
    """Give a copy of the project this environment as its ``.venv``, which `make` finds up to date."""
    (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    for lock in folder.glob("requirements*.txt"):
        os.utime(lock, (0, 0))


def _run(command: str, folder: Path, environment: dict[str, str], exits: int) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder, env=environment, timeout=COMMAND_SECONDS, text=True, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode != exits:
        raise SystemExit(f"{command}\nexit {done.returncode}, not {exits}\n{done.stdout}")
    return done.stdout


def _tidy(output: str, folder: Path) -> str:
    """Leave out the folder it was run in, and spaces at the ends of lines."""
    text = output.replace(f"file://{folder}", "file:///path/to/project").replace(f"{folder}/", "")
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def _start(
    command: str, folder: Path, environment: dict[str, str], port: int, path: str
) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own, and wait until it answers."""
    server = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder, env=environment | {"BENTOML_PORT": str(port), "BENTOML_HOST": "127.0.0.1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + READY_SECONDS
    while not _answers(f"http://127.0.0.1:{port}{path}"):
        if server.poll() is not None or time.monotonic() > until:
            _stop(server)
            raise SystemExit(f"{command}: no answer at port {port}, exit {server.poll()}")
        time.sleep(0.5)
    return server


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def _stopping() -> Iterator[list[subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []
    try:
        yield running
    finally:
        for server in running:
            _stop(server)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the group that was started, as Ctrl-C in its terminal would; kill it if it does not go."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
