"""Find the commands on a page, run them in order, and put their output back into the page.

An ``sh`` block has commands whose output is not shown. A ``console`` block has one command, after ``$``, and
its output. A comment on the line before a block marks an exception:

    <!-- exits: 1 -->                           the command fails with this exit code
    <!-- run by: tests/test_x.py::test_y -->    too slow or too costly to run here: that test runs it
"""

from __future__ import annotations

import os
import re
import shlex
import signal
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

from benchmarks.servers import free_port

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
    """A command that runs until it is stopped: how it begins, its port on the page, a path that answers."""

    begins: str
    port: int
    path: str


SERVERS: Final = (Server("bentoml serve", 8000, "/readyz"), Server("mlflow ui", 5000, "/health"))


@dataclass(frozen=True)
class Step:
    """The commands of one block.

    Attributes
    ----------
    command
        Shell commands, without the prompt.
    shown
        Whether the page shows the command's output.
    exits
        The expected exit code.
    run_by
        What runs it instead: a test, by pytest's name for it, or a file of the project.
    """

    command: str
    shown: bool
    exits: int = 0
    run_by: str | None = None


def steps(page: str) -> list[Step]:
    """Return the commands on a Markdown page, in order."""
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
    """Return the command after the prompt; it goes on while a line ends in a backslash or a quote is open."""
    lines = body.removeprefix(PROMPT).splitlines()
    if not body.startswith(PROMPT):
        raise SystemExit(f"a console block should begin with {PROMPT!r}, found {lines[0]!r}")
    for count in range(1, len(lines) + 1):
        command = "\n".join(lines[:count])
        if not command.endswith("\\") and _closed(command):
            return command
    raise SystemExit(f"a command that does not end: {lines[0]!r}")


def _closed(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def with_outputs(page: str, outputs: Sequence[str]) -> str:
    """Replace the output of the shown commands on a page by ``outputs``, in order."""
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
    """Run the commands of a page, top to bottom; servers run until the page ends.

    Parameters
    ----------
    page
        Markdown.
    folder
        Where to run them: a repository of the project.
    environment
        The environment of the commands, see `environment`.
    export
        The folder that replaces ``/path/to/export``.

    Returns
    -------
    list of str
        The output of each shown command, stdout and stderr.

    Raises
    ------
    SystemExit
        The exit code of a command is not the one on the page, or a server did not answer.
    """
    ports = {server.port: free_port() for server in SERVERS}
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
    """Return the environment of documented commands: this environment's tools come first, no telemetry.

    Parameters
    ----------
    home
        Where the tools may write instead of the user's folders.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "COLUMNS": "110", "BENTOML_HOME": str(home / "bentoml"), "DVC_NO_ANALYTICS": "1"}
    off = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "MAKEFLAGS": ""}
    return os.environ | own | off


def link_venv(folder: Path) -> None:
    """Link this environment into a copy of the project as a ``.venv`` that `make` finds up to date."""
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
    """Remove the folder that it ran in, and spaces at the ends of lines."""
    text = output.replace(f"file://{folder}", "file:///path/to/project").replace(f"{folder}/", "")
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def _start(
    command: str, folder: Path, environment: dict[str, str], port: int, path: str
) -> subprocess.Popen[bytes]:
    """Start a server in its own process group, and wait until it answers."""
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
    """Interrupt the server's group, as Ctrl-C in its terminal would; kill it if it does not stop."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
