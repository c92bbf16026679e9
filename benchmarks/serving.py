"""Latency and throughput of the service, of a BentoML no-op and of the original's way: `make bench-serving`.

    python -m benchmarks.serving [--rounds N] [--requests N] [--models NAME ...]

For each model type three servers of one worker run side by side on 127.0.0.1. Each round asks all endpoints
in turn, so that other work of the machine slows all of them equally:

- the floor: a BentoML endpoint that reads one pydantic model and answers with another, sync (BentoML runs it
  in a thread) and async; the faster one counts, for latency and for throughput separately;
- ours: a summary, a history of 26 weeks, and batches of 1,000 of each (histories by 4 clients, not 32);
- the original's way, for the default contract: see `benchmarks.reference_servers`.

The figures are medians over the rounds, except the largest latency, which is that of all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.http_load import Load, http_request, latencies, throughput
from benchmarks.reference_servers import CATEGORIES, NOOP_MODULE, NUMBERS, fit_original
from benchmarks.sample_requests import SampleRequests, sample_requests
from benchmarks.servers import Server, running, stop_servers_when_terminated

ROOT = Path(__file__).resolve().parents[1]
MODEL_TYPES = ("ensemble", "logistic_regression", "xgboost", "random_forest")
JUDGED = ("ensemble", "logistic_regression", "xgboost")
CLIENTS = 32
BATCH = 1000
WEEKS = 26

# What `bentoml serve` needs and what stages.train reads, of a project in which `dvc repro` has run.
SERVED = (
    "conversion",
    "stages",
    "bentofile.yaml",
    "params.yaml",
    "data/contract.json",
    "data/clean/export.json",
    "data/features/train.parquet",
    "data/leads",
)

NOOP = "noop"
OURS = "ours"
ORIGINAL = "original"
ORIGINALS = "original's way"


# Requests.


@dataclass(frozen=True)
class Case:
    """An endpoint and the body that it is sent.

    It gets this ``share`` of the requests that others get, as it takes longer. Its throughput is measured
    with this many ``clients`` at once.
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
        """Return the request as bytes."""
        return http_request("POST", self.path, json.dumps(self.body).encode())


def has_original(of: SampleRequests) -> bool:
    """Return whether companies have the columns that the original reads: those of the default contract."""
    return of.summary.keys() >= {*NUMBERS, *CATEGORIES}


def cases(of: SampleRequests) -> list[Case]:
    """List what is measured, in the order of each round."""
    single, batch = "/predict/single", "/predict"
    summary, history = of.summary, of.history(WEEKS)
    original = [Case(ORIGINALS, ORIGINAL, single, summary, share=0.25)] if has_original(of) else []
    return [
        Case("no-op sync", NOOP, "/sync", summary),
        Case("no-op async", NOOP, "/async", summary),
        Case("summary", OURS, single, summary),
        Case("history", OURS, single, history),
        *original,
        Case("1,000 summaries", OURS, batch, {"companies": [summary] * BATCH}, share=0.03),
        # 32 at once, of 6 MB each, would exceed the service's time for a request. A refused one would still
        # run in its thread, into the next measurement.
        Case("1,000 histories", OURS, batch, {"companies": [history] * BATCH}, share=0.015, clients=4),
    ]


# The models.


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
    """The figures of all rounds for one case."""

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
        """Summarise the rounds."""
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
    """Milliseconds at concurrency 1; requests per second at 32, the clients' time, and failed requests."""

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
    """Return the smallest value that at least ``share`` of the values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def measure(ports: Mapping[str, int], of: SampleRequests, rounds: int, requests: int) -> dict[str, Row]:
    """Ask every endpoint in every round; the first round warms up and does not count."""
    measured: dict[str, Measured] = {case.name: Measured() for case in cases(of)}
    for turn in range(rounds + 1):
        progress(f"  round {turn} of {rounds}" if turn else "  warming up")
        for case in cases(of):
            count = max(round(requests * case.share * (1 if turn else 0.2)), 5)
            times = latencies(ports[case.server], case.request(), count)
            load = throughput(ports[case.server], case.request(), max(2 * count, case.clients), case.clients)
            if turn:
                measured[case.name].add(times, load)
    return {name: rows.row() for name, rows in measured.items()}


def measure_inside(folder: Path, rounds: int) -> dict[str, Inside]:
    """Time the parts of a batch in this process, in the endpoint's order."""
    from threadpoolctl import threadpool_limits

    from conversion.config.params_file import load_params
    from conversion.serving.predictor import predict
    from conversion.serving.state import make_state

    with contextlib.chdir(folder), threadpool_limits(limits=1):
        state = make_state(load_params(), None, "benchmark", None)
        gc.collect()
        gc.freeze()  # as the service does
        inside = {}
        for case in cases(sample_requests(folder)):
            if case.companies < BATCH:
                continue
            body = json.dumps(case.body).encode()
            where = [f"companies[{place}]." for place in range(BATCH)]
            parts: list[tuple[float, float, float]] = []
            for _ in range(2 + 3 * rounds):
                parse, given = timed(partial(state.companies.adapter.validate_json, body))
                infer, made = timed(partial(predict, state.predictor, given.companies, where))
                version = state.predictor.version
                answer = state.messages.predictions(predictions=made, model_version=version)
                serialise, _ = timed(answer.model_dump_json)
                parts.append((parse, infer, serialise))
            inside[case.name] = Inside(*[statistics.median(part) for part in zip(*parts[2:], strict=True)])
        gc.unfreeze()
    return inside


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the milliseconds that a call took, and its result."""
    start = time.perf_counter()
    result = work()
    return (time.perf_counter() - start) * 1e3, result


def measure_model(
    folder: Path, home: Path, model_type: str, noop: Server, rounds: int, requests: int
) -> tuple[dict[str, Row], dict[str, Inside]]:
    """Train a model, serve it both ways, and measure."""
    progress(f"{model_type}: training")
    train(folder, model_type)
    inside = measure_inside(folder, rounds)
    of = sample_requests(folder)
    uvicorn = [
        "uvicorn",
        "--factory",
        "benchmarks.reference_servers:original_app",
        "--port",
        "{port}",
        "--no-access-log",
    ]
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(running(["bentoml", "serve"], folder, home))
        ports = {NOOP: noop.port, OURS: ours.port}
        if has_original(of):
            fit_original(folder)
            original = stack.enter_context(running(uvicorn, folder, home, {"PYTHONPATH": str(ROOT)}))
            ports[ORIGINAL] = original.port
        return measure(ports, of, rounds, requests), inside


# The report.


@dataclass(frozen=True)
class Target:
    """A figure and its limit, at most or at least."""

    name: str
    value: float
    limit: float
    at_most: bool

    def line(self, judged: bool) -> str:
        """Report whether it is met."""
        met = self.value <= self.limit if self.at_most else self.value >= self.limit
        verdict = ("met" if met else "NOT MET") if judged else "no target"
        wanted = f"{'<=' if self.at_most else '>='} {self.limit:,g}"
        return f"  {self.name:<50}{self.value:>10,.2f}  {wanted:<10}{verdict}"


def floor_of(rows: Mapping[str, Row]) -> tuple[float, float]:
    """Return the lower p50 and the higher throughput of the two no-ops."""
    both = [rows["no-op sync"], rows["no-op async"]]
    return min(row.p50 for row in both), max(row.per_second for row in both)


def targets(rows: Mapping[str, Row], inside: Mapping[str, Inside]) -> list[Target]:
    """List the targets of the service."""
    p50, per_second = floor_of(rows)
    found = []
    for name, limit in (("summary", 1.5), ("history", 2.0)):
        row = rows[name]
        found += [
            Target(f"{name}: p50 / floor's", row.p50 / p50, limit, True),
            Target(f"{name}: requests/s at {CLIENTS} / floor's", row.per_second / per_second, 0.6, False),
            Target(f"{name}: p99 / p50", row.p99 / row.p50, 5, True),
        ]
        if ORIGINALS in rows:
            ratio = rows[ORIGINALS].p50 / row.p50
            found.append(Target(f"{name}: p50 of the original's way / ours", ratio, 3, False))
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


def progress(what: str) -> None:
    """Report progress on stderr, apart from the table."""
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
