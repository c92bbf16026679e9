"""Real servers, for tests: on a free port, stopped by the process id."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import bentoml
import httpx
import pandas as pd
import psutil
import yaml

from benchmarks.servers import free_port
from conversion.config.params_file import load_params
from tests.exports import projects_export, write_export
from tests.pipeline import dirty_export, run_stages, small_params

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT = 120
STOP_TIMEOUT = 30

# What lies in the project's root for `bentoml serve` and `bentoml build`, beside what the stages write.
PROJECT_FILES = ("bentofile.yaml", "requirements-serve.txt")

DIRTY_EXPORTS = 12
DIRTY_COMPANIES = 130


def environment(home: Path, **given: str) -> dict[str, str]:
    """Return the environment of BentoML's commands: none of our variables except the ``given`` ones."""
    ours = ("BENTO", "CONVERSION_", "COV_", "GIT_", "PROMETHEUS_", "PYTEST_", "PYTHON")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONDONTWRITEBYTECODE": "1",
        **given,
    }


class HttpServer:
    """A command that serves HTTP on 127.0.0.1 while the block runs.

    Parameters
    ----------
    folder
        The folder that it starts in.
    command
        What is run; ``{port}`` in it is the port.
    env
        The whole environment; ``{port}`` in a value is the port.
    logs
        Folder for what it prints.
    ready
        Path that answers 200 when it is ready.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], env: Mapping[str, str], logs: Path, ready: str
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._env = {name: value.replace("{port}", str(self.port)) for name, value in env.items()}
        self._log = logs / f"serve-{self.port}.log"
        self._ready = ready

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            # A group of its own: nothing that it started can be left over, whatever becomes of it.
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder, env=self._env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            error.add_note(f"the server's log ends with:\n{self.log()[-4000:]}")

    @property
    def pid(self) -> int:
        """The process that was started; its children are the workers."""
        return self._process.pid

    def log(self) -> str:
        """Return what the server has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def client(self, **options: Any) -> httpx.Client:
        """Make a client with a pool of connections of its own."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)

    def terminate(self) -> None:
        """Ask the server to stop, as an operator's SIGTERM does, and do not wait."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Wait until the server has exited; return its exit code."""
        return self._process.wait(timeout)

    def stop(self) -> None:
        """Stop the server and all that it started."""
        if self._process.poll() is None:
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with self.client() as client:
            while time.monotonic() < deadline:
                code = self._process.poll()
                assert code is None, f"{self._command} exits {code}\n{self.log()}"
                with contextlib.suppress(httpx.TransportError):
                    if client.get(self._ready).status_code == httpx.codes.OK:
                        return
                time.sleep(0.1)
        raise AssertionError(f"{self._command} is not ready after {START_TIMEOUT} s\n{self.log()}")


class Server(HttpServer):
    """A `bentoml serve` that runs in the block.

    Parameters
    ----------
    folder
        The folder that it starts in.
    home
        BentoML's folder, made if it is not there.
    arguments
        Of ``bentoml serve``: a bento, options.
    env
        Added to the environment.
    """

    def __init__(
        self, folder: Path, home: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        home.mkdir(exist_ok=True)
        whole = environment(home, BENTOML_HOST="127.0.0.1", BENTOML_PORT="{port}", **(env or {}))
        super().__init__(folder, ["bentoml", "serve", *arguments], whole, home, "/readyz")

    def workers(self) -> list[int]:
        """List the process ids of the workers."""
        return [
            child.pid for child in psutil.Process(self.pid).children() if "--worker-id" in child.cmdline()
        ]


@contextlib.contextmanager
def bentoml_client(server: Server, token: str | None = None) -> Iterator[Any]:
    """Make BentoML's own client."""
    with warnings.catch_warnings():
        # Of BentoML's own models, when it is imported.
        warnings.filterwarnings("ignore", "The `__get_pydantic_core_schema__`", DeprecationWarning)
        client = bentoml.SyncHTTPClient(server.url, token=token)
    with client:
        yield client
    client._temp_dir.cleanup()  # or it warns that nobody has done it


def refusal_to_start(folder: Path, home: Path, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run `bentoml serve` in a folder where it must not start; return its exit code and what it printed."""
    done = subprocess.run(
        ["bentoml", "serve"],
        cwd=folder, env=environment(home, BENTOML_PORT=str(free_port()), **(env or {})),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=START_TIMEOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def lay_out(folder: Path) -> Path:
    """Lay a folder out like the project's root after ``dvc repro``, with a small model of dirty exports.

    Parameters
    ----------
    folder
        Empty; gets the code that is served, params.yaml, data/ and models/.

    Returns
    -------
    Path
        The folder.
    """
    parts = [dirty_export(seed, DIRTY_COMPANIES) for seed in range(DIRTY_EXPORTS)]
    export = {
        name: pd.concat(
            [part[name].assign(id=part[name]["id"] + 1000 * place) for place, part in enumerate(parts)],
            ignore_index=True,
        )
        for name in parts[0]
    }
    write_export(export, folder / "export", ".parquet")
    return _run_in(folder)


def lay_out_projects(folder: Path) -> Path:
    """Lay a folder out as `lay_out` does, with an export of the contract `tests.contract_files.projects`."""
    write_export(projects_export(companies=240, weeks=40), folder / "export", ".parquet")
    (folder / "contracts").mkdir()
    shutil.copy2(ROOT / "tests" / "contracts" / "projects.yaml", folder / "contracts")
    return _run_in(
        folder, data__contract="contracts/projects.yaml", model__logistic_regression__quadratic=["auto"]
    )


def _run_in(folder: Path, **given: Any) -> Path:
    """Add the code to a folder with an export, and run the stages there; return the folder."""
    for name in PROJECT_FILES:
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conversion", folder / "conversion", ignore=shutil.ignore_patterns("__pycache__"))
    ours = load_params(ROOT / "params.yaml")
    params = small_params(
        data__dir="export", model__type=ours.model.type, features__groups=list(ours.features.groups), **given
    )
    with contextlib.chdir(folder):
        stopped = run_stages(folder, params)
    assert stopped is None, stopped
    return folder


def copy_of(folder: Path, to: Path) -> Path:
    """Copy a folder made by `lay_out`, to change something in it."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__", "logs")))


def set_serve(folder: Path, **changed: Any) -> None:
    """Change keys of ``serve`` in params.yaml."""
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["serve"] |= changed
    path.write_text(yaml.safe_dump(values), encoding="utf-8")


def samples(client: httpx.Client, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Read one metric from /metrics: its values by their labels."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", client.get("/metrics").text, flags=re.MULTILINE)
    return {tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels))): float(value) for labels, value in found}


def total(client: httpx.Client, name: str, **labels: str) -> float:
    """Sum one metric's values over all labels but the given ones."""
    return sum(
        value for found, value in samples(client, name).items() if labels.items() <= dict(found).items()
    )


def history_of(company: Mapping[str, Any], usage: pd.DataFrame) -> dict[str, Any]:
    """Make the request of one company as a client would: its row and its usage rows of the data contract."""
    known = {name: None if pd.isna(value) else value for name, value in company.items()}
    rows = usage.drop(columns="id").assign(WHEN_TIMESTAMP=usage["WHEN_TIMESTAMP"].dt.strftime("%Y-%m-%d"))
    return known | {"usage": rows.to_dict("records")}
