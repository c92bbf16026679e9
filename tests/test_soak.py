"""A minute of `make soak` on a small served folder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.soak import BAD_WEIGHTS, GOOD_WEIGHTS, Outcome, report, soak
from tests.server import Server

SECONDS = 60
# BentoML keeps something of each request for the 10 s of its timeout; from half a minute on it hardly grows.
# So much is a leak of some kilobytes a request; `make soak` bears 5 %, over minutes.
SETTLED = (0.6, 0.7)
GROWTH = 0.1


@pytest.mark.slow
def test_a_minute_of_load_meets_no_server_error_and_no_leak(served: Path, tmp_path: Path) -> None:
    with Server(served, tmp_path / "home") as server:
        (worker,) = server.workers()
        outcome = soak(server.port, worker, SECONDS)
        log = server.log()
    table = "\n".join(report(outcome))
    assert outcome.failures(growth=math.inf) == [], table
    assert outcome.last_bytes <= (1 + GROWTH) * outcome.median_bytes(*SETTLED), table
    assert outcome.server_errors == 0, table
    assert "Traceback" not in log, log[-4000:]
    assert {kind for kind, _ in outcome.answers} >= {*GOOD_WEIGHTS, *BAD_WEIGHTS} - {"too large"}, table


def outcome_of(sizes: list[int], **answers: int) -> Outcome:
    outcome = Outcome(seconds=float(len(sizes)))
    outcome.memory = [(float(moment), size) for moment, size in enumerate(sizes)]
    for kind, status in answers.items():
        outcome.answers[kind, status] += 1
        if status != 200:
            outcome.unexpected[kind, status] += 1
            outcome.bodies[kind, status] = b"said"
    return outcome


def test_memory_is_compared_from_the_end_of_settling_on() -> None:
    growing_at_first = outcome_of([100, 150, *[200] * 18])
    assert growing_at_first.growth == 0
    assert growing_at_first.failures(0.05) == []
    growing = outcome_of([100 + moment for moment in range(100)])
    assert growing.settled_bytes == 124.5
    assert growing.last_bytes == 194.5
    (failure,) = growing.failures(0.05)
    assert failure == "resident memory grew by 56.2%, allowed is 5.0%"


def test_an_unexpected_answer_is_a_failure_with_its_body() -> None:
    outcome = outcome_of([100] * 10, summary=200, history=500, lead=0)
    assert outcome.server_errors == 1
    assert outcome.failures(0.05) == [
        "history: 1 answers of 500, like b'said'",
        "lead: 1 answers of nothing, like b'said'",
    ]
