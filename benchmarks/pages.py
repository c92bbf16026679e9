"""Measure the pages: `python -m benchmarks.pages`, in a project in which `dvc repro` has run.

Two lists are served in this process, without a network: the one in data/leads, and a synthetic one of as many
leads as `--leads` says (1,000,000), whose rows repeat those of the first under new ids and names. For each
request it prints the milliseconds until the answer is complete: of the first one, which prepares orders and
filters, and the median and largest of `--rounds` more; beside them the median of the processor's time, which
other work on the machine changes less, the target, and the answer's kilobytes.

Predictions go on while pages are made: the last lines show how long `POST /predict/single` takes alone, and
while two visitors search the large list without a pause.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pandas as pd

from conversion.config.params_file import load_params
from conversion.leads.lead_files import LeadFiles
from conversion.pages.layout import company_path
from conversion.serving.examples import summary_example
from conversion.serving.lead_pages import LeadList
from conversion.serving.routes import http_api
from conversion.serving.state import ServiceState, make_state

FIRST_PAGE_MS = {False: 50.0, True: 100.0}
SEARCH_MS = 500.0
PAGE_KB = 200.0
WORDS = ("Blue", "Harbour", "Northern", "Works", "Studio", "Labs", "Trading", "House", "Partners", "Systems")
JSON = {"content-type": "application/json"}


def enlarged(leads: LeadList, rows: int) -> LeadList:
    """Repeat a list until it has so many rows, under new ids; companies without usage are added."""
    files, old = leads.files, leads.leads
    assert isinstance(files, LeadFiles), "the list in data/leads is a small one"
    places = np.arange(rows) % len(old)
    places.sort()
    table = old.iloc[places].reset_index(drop=True)
    ids = pd.Series(np.arange(rows) + 10**9)
    if leads.messages.contract.companies.ids == "text":
        ids = ids.astype(str)
    # The first of each company keeps its id, and so its usage.
    is_first = np.r_[True, np.diff(places) > 0]
    table["id"] = (
        np.where(is_first, table["id"], ids) if ids.dtype.kind in "iu" else ids.mask(is_first, table["id"])
    )
    table["rank"] = np.arange(1, rows + 1)
    for name in leads.messages.contract.companies.shown:
        table[name] = _names(rows)
    contributions = files.contributions.iloc[places].reset_index(drop=True).assign(id=table["id"])
    return dataclasses.replace(
        leads, files=dataclasses.replace(files, leads=table, contributions=contributions)
    )


def _names(rows: int) -> pd.Series:
    rng = np.random.default_rng(0)
    words = [np.array(WORDS, dtype=object)[rng.integers(0, len(WORDS), rows)] for _ in range(2)]
    numbers = rng.integers(0, 10_000, rows).astype(str).astype(object)
    return pd.Series(words[0] + " " + words[1] + " " + numbers).astype("str")


class Pages:
    """Asks an app in this process."""

    def __init__(self, state: ServiceState) -> None:
        self.state = state
        app = http_api(state, _nothing_else)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")

    async def get(self, path: str) -> tuple[float, float, float]:
        """Return the milliseconds until an answer, those of the processor, and the answer's kilobytes."""
        start, busy = time.perf_counter(), time.process_time()
        answer = await self.client.get(path)
        taken, busy = time.perf_counter() - start, time.process_time() - busy
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return 1000 * taken, 1000 * busy, len(answer.content) / 1000

    async def predict(self) -> float:
        """Return the milliseconds of a prediction."""
        body = json.dumps(summary_example(self.state.messages))
        start = time.perf_counter()
        answer = await self.client.post("/predict/single", content=body, headers=JSON)
        taken = 1000 * (time.perf_counter() - start)
        assert answer.status_code == 200, answer.text
        return taken


async def _nothing_else(*_: Any) -> None:
    raise AssertionError("no request is passed on")


def requests_of(leads: LeadList, is_large: bool) -> dict[str, tuple[str, float | None]]:
    """Return the requests by what they ask for, and the target of each in milliseconds."""
    contract, first = leads.messages.contract, leads.leads["id"].iloc[0]
    asked: dict[str, tuple[str, float | None]] = {
        "the first page": ("/", FIRST_PAGE_MS[is_large]),
        "a page in the middle": (f"/?page={len(leads.leads) // 100 + 1}", FIRST_PAGE_MS[is_large]),
        "one tier": ("/?tier=medium", FIRST_PAGE_MS[is_large]),
        "sorted by name": ("/?sort=name", None),
        "a search": (f"/?q={str(first)[-4:]}", SEARCH_MS),
        "a search for nothing that is there": ("/?q=zzzzzz", SEARCH_MS),
        "a company": (company_path(first if isinstance(first, str) else int(first)), None),
    }
    if contract.companies.value is not None:
        asked["sorted by expected value"] = ("/?sort=value", None)
    return asked


async def measure(state: ServiceState, rounds: int, is_large: bool) -> Pages:
    """Print what the pages of a list take."""
    pages = Pages(state)
    assert state.leads is not None
    print(
        f"\n{len(state.leads.leads):,} leads"
        + " " * 24
        + "first ms   median ms  largest ms   processor  target ms       kB"
    )
    for name, (path, target) in requests_of(state.leads, is_large).items():
        first, *_ = await pages.get(path)
        times, busy, sizes = zip(*[await pages.get(path) for _ in range(rounds)], strict=True)
        size = max(sizes)
        print(
            f"{name:36}{first:12.1f}{statistics.median(times):12.1f}{max(times):12.1f}"
            f"{statistics.median(busy):12.1f}"
            f"{'' if target is None else f'{target:.0f}':>11}{size:9.1f}"
            f"{'' if size < PAGE_KB else f'  more than {PAGE_KB:.0f}'}"
        )
    return pages


async def _without_pause(ask: Callable[[], Any], until: asyncio.Event) -> None:
    while not until.is_set():
        await ask()


async def beside_predictions(pages: Pages, rounds: int) -> None:
    """Print how long predictions take alone, and beside pages."""
    alone = [await pages.predict() for _ in range(rounds * 5)]
    done = asyncio.Event()
    busy = [asyncio.create_task(_without_pause(lambda: pages.get("/?q=zzzzzz"), done)) for _ in range(2)]
    beside = [await pages.predict() for _ in range(rounds * 5)]
    done.set()
    await asyncio.gather(*busy)
    for name, times in (("a prediction, alone", alone), ("a prediction, beside searches", beside)):
        print(f"{name:36}{'':12}{statistics.median(times):12.1f}{max(times):12.1f}")


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=1_000_000, help="leads of the synthetic list")
    parser.add_argument("--rounds", type=int, default=20, help="requests of each kind")
    given = parser.parse_args()
    state = make_state(load_params(), None, "benchmark", None)
    if state.leads is None:
        raise SystemExit("there is no lead list: run 'dvc repro'")
    await measure(state, given.rounds, is_large=False)
    large = dataclasses.replace(state, leads=enlarged(state.leads, given.leads))
    pages = await measure(large, given.rounds, is_large=True)
    await beside_predictions(pages, given.rounds)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asyncio.run(main())
