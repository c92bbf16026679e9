"""Many clients for minutes, one request in ten bad: `make soak`. Exits 1 if the service fails under it.

    python -m benchmarks.soak [--seconds N] [--clients N] [--growth SHARE]

Serves the project's folder as `dvc repro` left it, with one worker. The service must send no 5xx,
answer each good request and refuse each bad one. The worker's resident memory must not grow once it has
settled, after a fifth of the time: its median in the last tenth is compared with that in the tenth after
settling.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.http_load import Connection, http_request
from benchmarks.sample_requests import SampleRequests
from benchmarks.servers import running, stop_servers_when_terminated
from benchmarks.serving import CLIENTS, ROOT, WEEKS

BAD_SHARE = 0.1
GROWTH = 0.05
# From one share of the time to another; by the first, caches are full and the allocator has what it needs.
SETTLED = (0.2, 0.3)
LAST = (0.9, 1.1)  # a second late is not too late
POOL = 200  # requests of a kind that are made before the clients start; then they cost them nothing
LARGEST_BATCH = 1000
LARGEST_FIRST = 3
LARGE_BODY = 33 << 20  # bytes; serve.max_body_bytes is 32 MiB
MAX_PAGE = 1000
NO_LEAD = 10**17  # and those after it: ids of no company


@dataclass(frozen=True)
class Shot:
    """One request, and the statuses that its answer may have."""

    kind: str
    request: bytes
    expected: tuple[int, ...] = (200,)


@dataclass
class Outcome:
    """The answers and the memory that a soak recorded.

    Attributes
    ----------
    answers
        Requests by kind and status; status 0: no answer.
    unexpected
        Those with another status than expected.
    bodies
        The start of the answer to the first such request of each kind and status.
    memory
        Seconds since the start and the worker's resident bytes, each second.
    seconds
        How long it took.
    client_seconds
        Processor time of the clients.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    unexpected: Counter[tuple[str, int]] = field(default_factory=Counter)
    bodies: dict[tuple[str, int], bytes] = field(default_factory=dict)
    memory: list[tuple[float, int]] = field(default_factory=list)
    seconds: float = 0.0
    client_seconds: float = 0.0

    @property
    def server_errors(self) -> int:
        """Answers of 500 and above."""
        return sum(count for (_, status), count in self.answers.items() if status >= 500)

    @property
    def settled_bytes(self) -> float:
        """Median memory after settling."""
        return self.median_bytes(*SETTLED)

    @property
    def last_bytes(self) -> float:
        """Median memory at the end."""
        return self.median_bytes(*LAST)

    @property
    def growth(self) -> float:
        """How much memory has grown since it settled, as a share."""
        return self.last_bytes / self.settled_bytes - 1

    def median_bytes(self, start: float, end: float) -> float:
        """Take the median memory from one share of the time to another."""
        return statistics.median(size for moment, size in self.memory if start <= moment / self.seconds < end)

    def failures(self, growth: float) -> list[str]:
        """List what the service failed at; memory may grow by ``growth``."""
        said = [
            f"{kind}: {count} answers of {status or 'nothing'}, like {self.bodies[kind, status][:300]!r}"
            for (kind, status), count in sorted(self.unexpected.items())
        ]
        if self.growth > growth:
            said.append(f"resident memory grew by {self.growth:.1%}, allowed is {growth:.1%}")
        return said


def post(path: str, body: Any) -> bytes:
    """Make a POST of JSON."""
    return http_request("POST", path, json.dumps(body).encode())


def good_shots(
    rng: random.Random, of: SampleRequests, lead_ids: Sequence[int | str]
) -> dict[str, list[Shot]]:
    """Make good requests, by kind."""
    some = [of.company(rng, with_usage=place % 2 == 1) for place in range(POOL)]
    # As many batches of up to 10 companies as of up to 100 and of up to 1,000.
    batches = [rng.choices(some, k=round(LARGEST_BATCH ** rng.random())) for _ in range(POOL // 4)]
    pages = [(rng.choice(["", "&tier=low", "&tier=high"]), 1 + rng.randrange(200)) for _ in range(POOL)]
    paths = [f"/leads/{quote(str(lead), safe='')}" for lead in lead_ids]
    requests = {
        "summary": [post("/predict/single", one) for one in some if "usage" not in one],
        "history": [post("/predict/single", one) for one in some if "usage" in one],
        "batch": [post("/predict", {"companies": batch}) for batch in batches],
        "leads": [http_request("GET", f"/leads?limit={limit}{tier}") for tier, limit in pages],
        "lead": [http_request("GET", path) for path in rng.choices(paths, k=POOL)],
        "health": [http_request("GET", "/health")],
        "metrics": [http_request("GET", "/metrics")],
    }
    return {kind: [Shot(kind, request) for request in made] for kind, made in requests.items()}


GOOD_WEIGHTS = {
    "summary": 40, "history": 40, "batch": 0.5, "leads": 4, "lead": 10, "health": 3, "metrics": 1,
}  # fmt: skip


def bad_shots(rng: random.Random, of: SampleRequests) -> dict[str, list[Shot]]:
    """Make bad requests, by kind."""
    one = json.dumps(of.history(WEEKS))
    requests = {
        "malformed": ([one[: rng.randrange(len(one))] for _ in range(POOL)], "/predict/single", (400, 422)),
        "wrong type": ([json.dumps(body) for body in of.wrong_summaries(rng)], "/predict/single", (400, 422)),
        "too many": ([json.dumps({"companies": [of.summary] * (LARGEST_BATCH + 1)})], "/predict", (413, 422)),
        # 408: under load a body of this size does not arrive in time.
        "too large": ([" " * LARGE_BODY], "/predict", (408, 413)),
    }
    shots = {
        kind: [Shot(kind, http_request("POST", path, body.encode()), expected) for body in bodies]
        for kind, (bodies, path, expected) in requests.items()
    }
    shots["unknown id"] = [
        Shot("unknown id", http_request("GET", f"/leads/{NO_LEAD + rng.randrange(10**6)}"), (404,))
        for _ in range(POOL)
    ]
    # Each path once, so that anything that remembers paths would grow.
    shots["unknown path"] = [
        Shot("unknown path", http_request("GET", f"/{rng.randbytes(6).hex()}"), (404,))
        for _ in range(POOL * 100)
    ]
    return shots


# The largest bodies are few: they take as long to send as hundreds of the others.
BAD_WEIGHTS = {
    "malformed": 30, "wrong type": 30, "too many": 4, "too large": 0.3, "unknown id": 18, "unknown path": 18,
}  # fmt: skip


def chooser(
    rng: random.Random, shots: dict[str, list[Shot]], weights: dict[str, float]
) -> Callable[[], Shot]:
    """Draw a kind by its weight, then a request of it."""
    kinds, shares = list(shots), [weights[kind] for kind in shots]
    return lambda: rng.choice(shots[rng.choices(kinds, shares)[0]])


async def _client(port: int, draw: Callable[[], Shot], deadline: float, outcome: Outcome) -> None:
    connection = Connection(port)
    while time.monotonic() < deadline:
        shot = draw()
        try:
            status, body = await connection.exchange(shot.request)
        except (OSError, EOFError) as error:  # EOFError: the connection ended within an answer
            status, body = 0, repr(error).encode()
            connection.close()
        outcome.answers[shot.kind, status] += 1
        if status not in shot.expected:
            outcome.unexpected[shot.kind, status] += 1
            outcome.bodies.setdefault((shot.kind, status), body)
    connection.close()


async def _watch(worker: psutil.Process, start: float, deadline: float, outcome: Outcome) -> None:
    while time.monotonic() < deadline:
        outcome.memory.append((time.monotonic() - start, worker.memory_info().rss))
        await asyncio.sleep(1)


async def _get(port: int, path: str) -> Any:
    connection = Connection(port)
    _, body = await connection.exchange(http_request("GET", path))
    connection.close()
    return json.loads(body)


async def _largest_first(port: int, rng: random.Random, of: SampleRequests) -> None:
    """Send the largest batches before the clients start, as chance may bring the first one late.

    What a batch takes while it is answered is a peak, which the process keeps for the next one, and no leak.
    """
    connection = Connection(port)
    for _ in range(LARGEST_FIRST):
        batch = [of.company(rng, with_usage=True) for _ in range(LARGEST_BATCH)]
        status, answer = await connection.exchange(post("/predict", {"companies": batch}))
        if status != 200:
            raise RuntimeError(f"a batch of {LARGEST_BATCH} companies got {status}: {answer[:300]!r}")
    connection.close()


async def _soak(port: int, worker: int, seconds: float, clients: int, seed: int) -> Outcome:
    rng = random.Random(seed)  # noqa: S311 - no secret
    of = SampleRequests(await _get(port, "/openapi.json"))
    lead_ids = [lead["id"] for lead in (await _get(port, f"/leads?limit={MAX_PAGE}"))["leads"]]
    good = chooser(rng, good_shots(rng, of, lead_ids), GOOD_WEIGHTS)
    bad = chooser(rng, bad_shots(rng, of), BAD_WEIGHTS)

    def draw() -> Shot:
        return bad() if rng.random() < BAD_SHARE else good()

    await _largest_first(port, rng, of)
    outcome = Outcome()
    start, busy = time.monotonic(), time.process_time()
    deadline = start + seconds
    users = [_client(port, draw, deadline, outcome) for _ in range(clients)]
    await asyncio.gather(_watch(psutil.Process(worker), start, deadline, outcome), *users)
    outcome.seconds, outcome.client_seconds = time.monotonic() - start, time.process_time() - busy
    return outcome


def soak(port: int, worker: int, seconds: float, clients: int = CLIENTS, seed: int = 0) -> Outcome:
    """Let many clients send random requests for a while.

    Parameters
    ----------
    port
        Of the server, on 127.0.0.1; it has a lead list.
    worker
        Process id of its one worker, whose memory is watched.
    seconds
        How long.
    clients
        How many at once, each waiting for its answer before it sends the next request.
    seed
        Of what they ask.
    """
    return asyncio.run(_soak(port, worker, seconds, clients, seed))


def worker_of(pid: int) -> int:
    """Find the worker among the children of a ``bentoml serve``."""
    worker: int
    (worker,) = [child.pid for child in psutil.Process(pid).children() if "--worker-id" in child.cmdline()]
    return worker


def report(outcome: Outcome) -> list[str]:
    """Write the tables: answers by kind and status, memory over time."""
    statuses = sorted({status for _, status in outcome.answers})
    lines = [f"{'request':<14}" + "".join(f"{status or 'none':>10}" for status in statuses)]
    for kind in [*GOOD_WEIGHTS, *BAD_WEIGHTS]:
        counts = [outcome.answers[kind, status] for status in statuses]
        lines.append(f"{kind:<14}" + "".join(f"{count or '-':>10}" for count in counts))
    total = outcome.answers.total()
    bad = sum(count for (kind, _), count in outcome.answers.items() if kind in BAD_WEIGHTS)
    took, busy = outcome.seconds, outcome.client_seconds / outcome.seconds
    lines += [
        "",
        f"{total} requests in {took:.0f} s, {total / took:.0f} a second, {bad / total:.1%} bad",
        f"the clients took {busy:.0%} of a processor",
        "",
        f"{'seconds':<14}{'resident MB':>12}",
    ]
    for tenth in range(10):
        size = outcome.median_bytes(tenth / 10, (tenth + 1) / 10)
        lines.append(f"{tenth * took / 10:>5.0f} - {(tenth + 1) * took / 10:<6.0f}{size / 1e6:>12.1f}")
    grown = f"{outcome.settled_bytes / 1e6:.1f} MB to {outcome.last_bytes / 1e6:.1f} MB"
    return [
        *lines,
        "",
        f"5xx: {outcome.server_errors}; memory after settling: {grown}, {outcome.growth:+.1%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="many clients for minutes, one request in ten bad")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument(
        "--growth", type=float, default=GROWTH, help="of the memory that is borne, as a share"
    )
    arguments = parser.parse_args()
    if not (ROOT / "models/model.joblib").is_file() or not (ROOT / "data/leads").is_dir():
        sys.exit("no model or no lead list; run 'dvc repro' first")
    stop_servers_when_terminated()
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as home,
        running(["bentoml", "serve"], ROOT, Path(home)) as server,
    ):
        outcome = soak(server.port, worker_of(server.pid), arguments.seconds, arguments.clients)
    print("\n".join(report(outcome)))
    failures = outcome.failures(arguments.growth)
    if failures:
        sys.exit("\n".join(["", *failures]))


if __name__ == "__main__":
    main()
