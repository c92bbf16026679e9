"""Latency and throughput of the service, of a BentoML no-op and of the original's way: `make bench-serving`.

    python -m benchmarks.serving [--rounds N] [--requests N] [--models NAME ...]

For each model type three servers of one worker run side by side on 127.0.0.1, and each round asks all of
their endpoints in turn, so that whatever else the machine does hits all alike:

- the floor: a BentoML endpoint that reads one pydantic model and answers with another, sync (BentoML runs it
  in a thread) and async; the faster of both counts, each for latency and for throughput;
- ours: a summary, a history of 26 weeks, and batches of 1,000 of each (histories by 4 clients, not 32);
- the original's way: FastAPI on uvicorn makes a one-row DataFrame of each request, takes it through imputer,
  scaler and one-hot encoder, each fitted by itself, and asks the same kind of estimator, fitted likewise.

Medians over the rounds, but for the largest latency, which is that of all. Clients keep their connections.
This module's imports are few, as the servers that are measured import it too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import gc
import json
import math
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
MODEL_TYPES = ("ensemble", "logistic_regression", "xgboost", "random_forest")
JUDGED = ("ensemble", "logistic_regression", "xgboost")
CLIENTS = 32
BATCH = 1000
WEEKS = 26
START_SECONDS = 120
STOP_SECONDS = 30

# What `bentoml serve` needs and what stages.train reads, of a project in which `dvc repro` has run.
SERVED = (
    "conversion",
    "stages",
    "bentofile.yaml",
    "params.yaml",
    "data/clean/export.json",
    "data/features/train.parquet",
    "data/leads",
)

SUMMARY = {
    "id": 123,
    "ALEXA_RANK": 50000,
    "EMPLOYEE_RANGE": "26 to 50",
    "INDUSTRY": "COMPUTER_SOFTWARE",
    "total_actions": 150,
    "total_users": 5,
    "days_active": 30,
    "activity_frequency": 5.0,
}
FIRMOGRAPHICS = ("id", "ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY")
NUMBERS = ["ALEXA_RANK", "total_actions", "total_users", "days_active", "activity_frequency"]
CATEGORIES = ["EMPLOYEE_RANGE", "INDUSTRY"]
USAGE = {
    "ACTIONS_CRM_CONTACTS": 42,
    "ACTIONS_CRM_COMPANIES": 7,
    "ACTIONS_CRM_DEALS": 0,
    "ACTIONS_EMAIL": 12,
    "USERS_CRM_CONTACTS": 4,
    "USERS_CRM_COMPANIES": 2,
    "USERS_CRM_DEALS": 0,
    "USERS_EMAIL": 3,
}

NOOP = "noop"
OURS = "ours"
ORIGINAL = "original"
ORIGINAL_PARTS = "original.joblib"
NOOP_MODULE = "from benchmarks.serving import noop_service\n\nNoop = noop_service()\n"


# What is measured: the two servers that are not ours.


class Asked(BaseModel):
    """A summary, as both other servers read it."""

    id: int
    ALEXA_RANK: float | None = None
    EMPLOYEE_RANGE: str | None = None
    INDUSTRY: str | None = None
    total_actions: float | None = None
    total_users: float | None = None
    days_active: float | None = None
    activity_frequency: float | None = None


class Answered(BaseModel):
    """An answer in the original's words."""

    company_id: int
    conversion_probability: float
    prediction: int
    confidence: str


def noop_service() -> Any:
    """Make the BentoML service that does nothing, with BentoML's defaults."""
    import bentoml

    @bentoml.service(name="noop")
    class Noop:
        @bentoml.api(route="/sync")
        def answer(self, company: Asked, /) -> Answered:
            return Answered(company_id=company.id, conversion_probability=0.5, prediction=0, confidence="low")

        @bentoml.api(route="/async")
        async def answer_async(self, company: Asked, /) -> Answered:
            return Answered(company_id=company.id, conversion_probability=0.5, prediction=0, confidence="low")

    return Noop


def original_app() -> Any:
    """Make the FastAPI app that predicts the original's way; it reads `ORIGINAL_PARTS`."""
    import joblib
    import pandas as pd
    from fastapi import FastAPI

    app = FastAPI()
    imputer, scaler, encoder, estimator = joblib.load(ORIGINAL_PARTS)

    # Not in a thread, as FastAPI would run a plain function: that takes longer.
    @app.post("/predict/single")
    async def predict(company: Asked) -> Answered:
        rows = pd.DataFrame([company.model_dump()])
        probability = float(estimator.predict_proba(_original_columns(rows, imputer, scaler, encoder))[0, 1])
        confidence = "high" if abs(probability - 0.5) > 0.3 else "low"
        return Answered(
            company_id=company.id,
            conversion_probability=probability,
            prediction=int(probability >= 0.5),
            confidence=confidence,
        )

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {}

    return app


def _original_columns(rows: Any, imputer: Any, scaler: Any, encoder: Any) -> Any:
    """Take a DataFrame of summaries through transformers that were fitted one by one."""
    import pandas as pd

    numbers = pd.DataFrame(imputer.transform(rows[NUMBERS].astype(float)), columns=NUMBERS, index=rows.index)
    numbers = pd.DataFrame(scaler.transform(numbers), columns=NUMBERS, index=rows.index)
    names = encoder.get_feature_names_out(CATEGORIES)
    texts = rows[CATEGORIES].fillna("Unknown")
    categories = pd.DataFrame(encoder.transform(texts), columns=names, index=rows.index)
    return pd.concat([numbers, categories], axis=1)


def fit_original(folder: Path) -> None:
    """Fit transformers, each by itself, and a clone of the served estimator on the training snapshots."""
    import joblib
    import numpy as np
    import pandas as pd
    from sklearn.base import clone
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from conversion.config.contract import EMPLOYEE_RANGES
    from conversion.modelling.artifact import load_model
    from conversion.modelling.model import ConversionModel
    from conversion.runtime.files import verified_parquet

    with contextlib.chdir(folder):
        model, _ = load_model(ConversionModel)
    columns = [*NUMBERS[1:], "log_alexa_rank", "size", "sector", "label", "weight"]
    train = verified_parquet(folder / "data/features/train.parquet", columns=columns)
    ranges = dict(enumerate(EMPLOYEE_RANGES, start=1))
    rows = train.assign(
        ALEXA_RANK=np.exp(train["log_alexa_rank"]),
        EMPLOYEE_RANGE=train["size"].map(ranges).astype(object),
        INDUSTRY=train["sector"].astype(object),
    )
    imputer = SimpleImputer(strategy="median").fit(rows[NUMBERS])
    filled = pd.DataFrame(imputer.transform(rows[NUMBERS]), columns=NUMBERS)
    scaler = StandardScaler().fit(filled)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit(rows[CATEGORIES].fillna("Unknown"))
    # Of an ensemble it has the first member, as it knows no ensembles.
    estimator = clone(next(iter(model.members_.values())).scorer.estimator_)
    if "monotone_constraints" in estimator.get_params():  # of columns that this one has not got
        estimator.set_params(monotone_constraints=None)
    design = _original_columns(rows, imputer, scaler, encoder)
    estimator.fit(design, train["label"].to_numpy(), sample_weight=train["weight"].to_numpy())
    joblib.dump((imputer, scaler, encoder, estimator), folder / ORIGINAL_PARTS)


# What is sent.


@dataclass(frozen=True)
class Case:
    """An endpoint and the body that it is sent.

    ``share`` of the requests that others get are sent to it, as it takes longer; its throughput is that of so
    many ``clients`` at once.
    """

    name: str
    server: str
    path: str
    body: Mapping[str, Any]
    share: float = 1.0
    clients: int = CLIENTS

    @property
    def companies(self) -> int:
        """Companies in the body."""
        return len(self.body.get("companies", [0]))

    def request(self) -> bytes:
        """Give the request as it goes over the wire."""
        return http_request("POST", self.path, json.dumps(self.body).encode())


def history(weeks: int = WEEKS, last: dt.date = dt.date(2020, 4, 20)) -> dict[str, Any]:
    """Make a history whose last week begins on ``last``."""
    days = [str(last - dt.timedelta(weeks=back)) for back in range(weeks)][::-1]
    usage = [{"WHEN_TIMESTAMP": day, **USAGE} for day in days]
    as_of = str(last + dt.timedelta(weeks=1))
    return {name: SUMMARY[name] for name in FIRMOGRAPHICS} | {"as_of": as_of, "usage": usage}


def cases() -> list[Case]:
    """List what is measured, in the order of each round."""
    single, batch = "/predict/single", "/predict"
    return [
        Case("no-op sync", NOOP, "/sync", SUMMARY),
        Case("no-op async", NOOP, "/async", SUMMARY),
        Case("summary", OURS, single, SUMMARY),
        Case("history", OURS, single, history()),
        Case("original's way", ORIGINAL, single, SUMMARY, share=0.25),
        Case("1,000 summaries", OURS, batch, {"companies": [SUMMARY] * BATCH}, share=0.03),
        # 32 at once, of 6 MB each, would take longer than the service lets a request take; what is refused
        # goes on in its thread then, into the next measurement.
        Case("1,000 histories", OURS, batch, {"companies": [history()] * BATCH}, share=0.015, clients=4),
    ]


def http_request(method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
    """Write an HTTP request out."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    if body:
        lines.append(f"Content-Type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode() + body


# Who sends it.


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def status_and_length(head: bytes) -> tuple[int, int]:
    """Read an answer's status and the length of its body."""
    found = _LENGTH.search(head)
    if found is None:
        raise ConnectionError(f"an answer without Content-Length: {head[:200]!r}")
    return int(head[9:12]), int(found[1])


def latencies(port: int, request: bytes, count: int) -> list[float]:
    """Send one request after the other over one connection; give the milliseconds of each."""
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
    """A connection that is kept, for one of many clients at once; opened when it is first needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; give the answer's status and body."""
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
        """Close it; the next exchange opens it anew."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(frozen=True)
class Load:
    """What many clients at once got."""

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
    """Keep the client's own collections of garbage out of what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# The servers.


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
        Where it is started.
    home
        Gets its log, and what BentoML keeps.
    environment
        Added to this process's.
    """
    port = free_port()
    log = home / f"{port}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=folder, env=_environment(home, port) | (environment or {}), stdin=subprocess.DEVNULL,
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
    sys.exit(f"{process.args} is not ready\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop; end what is left of it, as BentoML's workers have groups of their own."""
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
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def copy_served(folder: Path) -> None:
    """Copy what is served, without a model."""
    missing = [name for name in SERVED if not (ROOT / name).exists()]
    if missing:
        sys.exit(f"{', '.join(missing)}: not found; run 'dvc repro' first")
    for name in SERVED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def train(folder: Path, model_type: str) -> None:
    """Train a model of a type in a copy of the project, with params.yaml as it is but for ``model.type``."""
    params = folder / "params.yaml"
    text, replaced = re.subn(r"(?m)^(model:\n  type:) *\w+", rf"\1 {model_type}", params.read_text())
    if replaced != 1:
        sys.exit(f"params.yaml: found {replaced} lines of model.type, should be one")
    params.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "stages.train"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(f"stages.train with {model_type}: {done.stdout.decode(errors='replace')}")


# The measurement.


@dataclass
class Measured:
    """What the rounds gave for one case."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    longest: list[float] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def add(self, times: list[float], load: Load) -> None:
        """Add a round."""
        self.p50.append(quantile(times, 0.5))
        self.p99.append(quantile(times, 0.99))
        self.longest.append(max(times))
        self.loads.append(load)

    def row(self) -> Row:
        """Sum the rounds up."""
        return Row(
            p50=statistics.median(self.p50),
            p99=statistics.median(self.p99),
            longest=max(self.longest),
            per_second=statistics.median(load.per_second for load in self.loads),
            client_ms=statistics.median(load.client_ms for load in self.loads),
            failed=sum(load.failed for load in self.loads),
        )


@dataclass(frozen=True)
class Row:
    """Milliseconds at concurrency 1; requests per second at 32, what the clients cost, and what failed."""

    p50: float
    p99: float
    longest: float
    per_second: float
    client_ms: float
    failed: int


@dataclass(frozen=True)
class Inside:
    """Milliseconds of a batch in the endpoint, without HTTP."""

    parse: float
    predict: float
    serialise: float

    @property
    def companies_per_second(self) -> float:
        """Companies that one worker could answer."""
        return BATCH * 1e3 / (self.parse + self.predict + self.serialise)


def quantile(values: list[float], share: float) -> float:
    """Give the smallest value that at least ``share`` of the values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def measure(ports: Mapping[str, int], rounds: int, requests: int) -> dict[str, Row]:
    """Ask every endpoint in every round; the first round warms up and does not count."""
    measured: dict[str, Measured] = {case.name: Measured() for case in cases()}
    for turn in range(rounds + 1):
        progress(f"  round {turn} of {rounds}" if turn else "  warming up")
        for case in cases():
            count = max(round(requests * case.share * (1 if turn else 0.2)), 5)
            times = latencies(ports[case.server], case.request(), count)
            load = throughput(ports[case.server], case.request(), max(2 * count, case.clients), case.clients)
            if turn:
                measured[case.name].add(times, load)
    return {name: rows.row() for name, rows in measured.items()}


def measure_inside(folder: Path, rounds: int) -> dict[str, Inside]:
    """Time the parts of a batch in this process, as the endpoint goes through them."""
    from threadpoolctl import threadpool_limits

    from conversion.config.params_file import load_params
    from conversion.serving.messages import Predictions
    from conversion.serving.predictor import predict
    from conversion.serving.state import make_serving

    with contextlib.chdir(folder), threadpool_limits(limits=1):
        serving = make_serving(load_params(), None, "benchmark", None)
        gc.collect()
        gc.freeze()  # as the service does
        inside = {}
        for case in cases():
            if case.companies < BATCH:
                continue
            body = json.dumps(case.body).encode()
            where = [f"companies[{place}]." for place in range(BATCH)]
            parts: list[tuple[float, float, float]] = []
            for _ in range(2 + 3 * rounds):
                parse, given = timed(lambda body=body: serving.companies.validate_json(body))
                infer, made = timed(
                    lambda given=given, where=where: predict(serving.predictor, given.companies, where)
                )
                answer = Predictions(predictions=made, model_version=serving.predictor.version)
                serialise, _ = timed(answer.model_dump_json)
                parts.append((parse, infer, serialise))
            inside[case.name] = Inside(*[statistics.median(part) for part in zip(*parts[2:], strict=True)])
        gc.unfreeze()
    return inside


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Give the milliseconds that something took, and what it gave."""
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1e3, result


def measure_model(
    folder: Path, home: Path, model_type: str, noop: Server, rounds: int, requests: int
) -> tuple[dict[str, Row], dict[str, Inside]]:
    """Train a model, serve it in both ways, and measure."""
    progress(f"{model_type}: training")
    train(folder, model_type)
    fit_original(folder)
    inside = measure_inside(folder, rounds)
    uvicorn = [
        "uvicorn",
        "--factory",
        "benchmarks.serving:original_app",
        "--port",
        "{port}",
        "--no-access-log",
    ]
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(running(["bentoml", "serve"], folder, home))
        original = stack.enter_context(running(uvicorn, folder, home, {"PYTHONPATH": str(ROOT)}))
        ports = {NOOP: noop.port, OURS: ours.port, ORIGINAL: original.port}
        return measure(ports, rounds, requests), inside


# The report.


@dataclass(frozen=True)
class Target:
    """What a figure has to reach: at most, or at least, a limit."""

    name: str
    value: float
    limit: float
    at_most: bool

    def line(self, judged: bool) -> str:
        """Say whether it is met."""
        met = self.value <= self.limit if self.at_most else self.value >= self.limit
        verdict = ("met" if met else "NOT MET") if judged else "no target"
        wanted = f"{'<=' if self.at_most else '>='} {self.limit:,g}"
        return f"  {self.name:<50}{self.value:>10,.2f}  {wanted:<10}{verdict}"


def floor_of(rows: Mapping[str, Row]) -> tuple[float, float]:
    """Take the lower p50 and the higher throughput of both no-ops."""
    both = [rows["no-op sync"], rows["no-op async"]]
    return min(row.p50 for row in both), max(row.per_second for row in both)


def targets(rows: Mapping[str, Row], inside: Mapping[str, Inside]) -> list[Target]:
    """Compare with what the service must reach."""
    p50, per_second = floor_of(rows)
    found = []
    for name, limit in (("summary", 1.5), ("history", 2.0)):
        row = rows[name]
        found += [
            Target(f"{name}: p50 / floor's", row.p50 / p50, limit, True),
            Target(f"{name}: requests/s at {CLIENTS} / floor's", row.per_second / per_second, 0.6, False),
            Target(
                f"{name}: p50 of the original's way / ours", rows["original's way"].p50 / row.p50, 3, False
            ),
            Target(f"{name}: p99 / p50", row.p99 / row.p50, 5, True),
        ]
    for name, parts in inside.items():
        found.append(Target(f"{name}: companies/s inside", parts.companies_per_second, 50_000, False))
    return found


def report(model_type: str, rows: Mapping[str, Row], inside: Mapping[str, Inside]) -> list[str]:
    """Write one model type's tables."""
    p50, per_second = floor_of(rows)
    head = f"{'':<18}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'p50/floor':>11}"
    lines = [model_type, f"{head}{'req/s':>9}{'/floor':>8}{'client ms':>11}{'failed':>8}"]
    for name, row in rows.items():
        lines.append(
            f"  {name:<16}{row.p50:>9.2f}{row.p99:>9.2f}{row.longest:>9.1f}{row.p50 / p50:>11.2f}"
            f"{row.per_second:>9.1f}{row.per_second / per_second:>8.2f}{row.client_ms:>11.3f}{row.failed:>8}"
        )
    lines += ["", f"{'inside, ms':<18}{'parse':>9}{'predict':>9}{'serialise':>11}{'companies/s':>13}"]
    for name, parts in inside.items():
        each = f"{parts.parse:>9.2f}{parts.predict:>9.2f}{parts.serialise:>11.2f}"
        lines.append(f"  {name:<16}{each}{parts.companies_per_second:>13,.0f}")
    lines += ["", *[target.line(model_type in JUDGED) for target in targets(rows, inside)], ""]
    return lines


def stop_servers_when_terminated() -> None:
    """Leave by SIGTERM as by Ctrl-C: through the ends of all blocks."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def progress(what: str) -> None:
    """Say what is going on, apart from the table."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="latency and throughput of the service, with one worker")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--requests", type=int, default=1000, help="at concurrency 1, a round; twice that at 32"
    )
    parser.add_argument("--models", nargs="+", default=MODEL_TYPES, metavar="NAME", help="model types")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the servers
    stop_servers_when_terminated()
    rounds, requests = arguments.rounds, arguments.requests
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        home = Path(temporary)
        folder = home / "project"
        copy_served(folder)
        (home / "noop.py").write_text(NOOP_MODULE)
        with running(["bentoml", "serve", "noop:Noop"], home, home, {"PYTHONPATH": str(ROOT)}) as noop:
            for model_type in arguments.models:
                rows, inside = measure_model(folder, home, model_type, noop, rounds, requests)
                print("\n".join(report(model_type, rows, inside)), flush=True)


if __name__ == "__main__":
    main()
