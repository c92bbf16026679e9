"""Serve lists of millions: `python -m benchmarks.serving_lists --leads 1000000 --work FOLDER`.

In a project in which `dvc repro` has run: the list in data/leads is written anew as Parquet in the folder,
each lead many times under other ids, with its usage and contributions. One process makes the index of that
list. In another one a worker's state is loaded, and answers requests without a network. It prints how long
the start takes; the memory after it and after all requests, its own and the pages of files that are mapped,
which the system takes back when it needs them; and for each request the milliseconds of the first answer, the
median of others, and the median of the processor's time, which other work on the machine changes less. Each
request asks for another page, id or word, as selections are kept; filters have few values.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pages import Pages
from benchmarks.process_tree import MAXRSS_UNIT
from conversion.config.params_file import load_params
from conversion.leads.lead_files import FOLDER, MANIFEST, read_lead_files
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.pages.stored_rows import BATCH, StoredRows, TableWriter
from conversion.pages.text_search import TextSearch, grams_of
from conversion.runtime.files import WITH_CHECKSUMS, sha256, write_json
from conversion.runtime.seals import sealed
from conversion.serving.lead_index import INDEXES
from conversion.serving.memory import keep_what_is_loaded, use_little_memory
from conversion.serving.reload import prepare
from conversion.serving.state import make_state

STEP = 10**7
"""Between the ids of a company's copies; ids of the export are below."""
ROWS = 100_000
"""Rows of a row group."""
COPIED = ("data/contract.json", "data/track_record.json", "models")
BESIDE = ("converted.parquet", "converted_contributions.parquet", "evidence.json")
ROUNDS = 15
WORDS = ("Blue", "Harbour", "Northern", "Works", "Studio", "Labs", "Trading", "House", "Partners", "Systems")


# The list


def write_project(root: Path, count: int) -> None:
    """Write a project with a list of so many leads."""
    for name in COPIED:
        if Path(name).is_dir():
            shutil.copytree(name, root / name)
        elif Path(name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, root / name)
    shutil.copyfile("params.yaml", root / "params.yaml")
    write_list(root / FOLDER, count)


def write_list(folder: Path, count: int) -> None:
    """Write a list of so many leads, row group by row group."""
    model, _ = load_model(ConversionModel, Path("models"), {})
    files = read_lead_files(Path(), model.data_contract)
    assert files is not None, "dvc repro writes the list"
    folder.mkdir(parents=True)
    for name in BESIDE:
        shutil.copyfile(Path(FOLDER) / name, folder / name)
    old = files.leads.drop(columns=["rep", "moved"])
    copies = -(-count // len(old))

    def leads() -> Iterator[pd.DataFrame]:
        for first in range(0, count, ROWS):
            places = np.arange(first, min(first + ROWS, count))
            table = old.iloc[places // copies].reset_index(drop=True)
            before = (table["rank_before"] - 1) * copies + places % copies + 1
            yield table.assign(rank=places + 1, id=table["id"] + STEP * (places % copies), rank_before=before)

    def contributions() -> Iterator[pd.DataFrame]:
        for first in range(0, count, ROWS):
            places = np.arange(first, min(first + ROWS, count))
            table = files.contributions.iloc[places // copies].reset_index(drop=True)
            yield table.assign(id=table["id"] + STEP * (places % copies))

    def usage() -> Iterator[pd.DataFrame]:
        for copy in range(copies):
            yield files.usage.assign(id=files.usage["id"] + STEP * copy)

    tables = {"leads.parquet": leads, "contributions.parquet": contributions, "usage.parquet": usage}
    for name, parts in tables.items():
        _write(folder / name, parts())
    manifest = json.loads((Path(FOLDER) / MANIFEST).read_text(encoding="utf-8"))
    manifest.pop("sha256")
    hashes = {name: sha256(folder / name) for name in (*tables, *BESIDE)}
    write_json(folder / MANIFEST, sealed(manifest | {"prospects": count, "files": hashes}))


def _write(path: Path, parts: Iterator[pd.DataFrame]) -> None:
    first = pa.Table.from_pandas(next(parts), preserve_index=False)
    with pq.ParquetWriter(path, first.schema, **WITH_CHECKSUMS) as writer:
        writer.write_table(first)
        for part in parts:
            writer.write_table(pa.Table.from_pandas(part, first.schema, preserve_index=False))


# The worker


def measure_worker() -> None:
    """Start, ask, and print a table; in a process of its own, in the folder of the project."""
    use_little_memory()
    start = time.perf_counter()
    state = make_state(load_params(), None, "benchmark", None)
    prepare(state)
    keep_what_is_loaded()
    took = time.perf_counter() - start
    assert state.leads is not None
    count = len(state.leads.table)
    print(f"leads {count:,}; start {took:.2f} s; {_memory()}; peak {_peak():.0f} MB")
    pages = Pages(state)
    asyncio.run(_ask(pages, count, [int(state.leads.table.id_at(n)) for n in range(0, count, count // 40)]))
    print(f"after all requests: {_memory()}; peak {_peak():.0f} MB")


def requests_of(count: int, ids: list[int]) -> dict[str, Callable[[int], str]]:
    """Return the address of the n-th request by what it asks for."""
    return {
        "page, first": lambda n: f"/leads?limit={50 + n}",
        "page, deep": lambda n: f"/leads?limit=50&offset={count // 2 + 1000 * n}",
        "page, last": lambda n: f"/leads?limit=50&offset={count - 50 - n}",
        "tier": lambda n: f"/leads?tier={('medium', 'low', 'high', 'very_high')[n % 4]}&limit={50 + n}",
        "tier and attribute": lambda n: f"/leads?tier=low&by.EMPLOYEE_RANGE={('1', '2 to 5')[n % 2]}",
        "attribute, deep": lambda n: f"/leads?by.EMPLOYEE_RANGE=2 to 5&offset={count // 20 + n}",
        "by value": lambda n: f"/leads?sort=value&limit={50 + n}",
        "by value, deep": lambda n: f"/leads?sort=value&offset={count // 2 + 1000 * n}",
        "by value, tier": lambda n: f"/leads?sort=value&tier=medium&offset={n}",
        "by value, tier, deep": lambda n: f"/leads?sort=value&tier=low&offset={count // 3 + n}",
        "rose most": lambda n: f"/leads?sort=rose&limit={50 + n}",
        "fell most": lambda n: f"/leads?sort=fell&limit={50 + n}",
        "by name": lambda n: f"/leads?sort=name&limit={50 + n}",
        "search, an id": lambda n: f"/leads?q={ids[n]}",
        "search, 5 digits": lambda n: f"/leads?q={10000 + 4321 * n}",
        "search, 3 digits": lambda n: f"/leads?q={111 + 37 * n}",
        "search, 2 digits": lambda n: f"/leads?q={12 + n}",
        "search, 1 digit, by value": lambda n: f"/leads?q={n % 10}&sort=value",
        "search, nothing": lambda n: f"/leads?q=zz{n}zz",
        "HTML, first page": lambda n: f"/?page={n + 1}",
        "HTML, by value": lambda n: f"/?sort=value&page={n + 1}",
        "HTML, tier, by name": lambda n: f"/?tier=medium&sort=name&page={n + 1}",
        "HTML, search": lambda n: f"/?q={20000 + 4321 * n}",
        "one lead": lambda n: f"/leads/{ids[n]}",
        "HTML, a company": lambda n: f"/companies/{ids[n]}",
    }


async def _ask(pages: Pages, count: int, ids: list[int]) -> None:
    print("| request | first, ms | median, ms | of the processor, ms |\n|---|--:|--:|--:|")
    for name, address in requests_of(count, ids).items():
        answers = [await pages.get(address(number)) for number in range(ROUNDS)]
        taken, busy = ([answer[place] for answer in answers] for place in (0, 1))
        print(_line(name, taken, busy), flush=True)


def _line(name: str, taken: list[float], busy: list[float]) -> str:
    return f"| {name} | {taken[0]:.1f} | {statistics.median(taken[1:]):.1f} | {statistics.median(busy):.1f} |"


def _memory() -> str:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    own, files = (1024 * int(re.findall(rf"{name}:\s+(\d+)", text)[0]) for name in ("RssAnon", "RssFile"))
    return f"own memory {own / 1e6:.0f} MB, mapped files {files / 1e6:.0f} MB"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT / 1e6


def make_index() -> None:
    """Make the index of the list in the folder of the project, and print what it takes."""
    start, busy = time.perf_counter(), time.process_time()
    state = make_state(load_params(), None, "benchmark", None)
    assert state.leads is not None
    size = sum(path.stat().st_size for path in Path(INDEXES).rglob("*") if path.is_file())
    listed = sum(path.stat().st_size for path in Path(FOLDER).iterdir())
    print(
        f"index made in {time.perf_counter() - start:.0f} s, {time.process_time() - busy:.0f} s of CPU; "
        f"peak {_peak():.0f} MB; {size / 1e9:.2f} GB beside a list of {listed / 1e9:.2f} GB"
    )


# Names


def measure_names(folder: Path, count: int) -> None:
    """Search names of companies, which the export's companies may not have."""
    rng = np.random.default_rng(0)
    words = np.array(WORDS, dtype=object)
    blocks, ends = [], []
    with TableWriter(folder / "names", pa.schema([("text", pa.large_string())])) as table:
        for first in range(0, count, BATCH):
            rows = min(BATCH, count - first)
            named = [words[rng.integers(0, len(WORDS), rows)] for _ in range(2)]
            numbers = rng.integers(0, count, rows).astype(str).astype(object)
            texts = pa.array(named[0] + " " + named[1] + " gmbh " + numbers, pa.large_string())
            table.append(pa.record_batch([texts], names=["text"]))
            of_batch, ends_of_batch = grams_of(texts)
            blocks.append(of_batch)
            ends.append(ends_of_batch)
    search = TextSearch(StoredRows(folder / "names"), np.concatenate(blocks), np.concatenate(ends))
    for what, asked in (
        ("a rare number", ["1234567", "765432", "99887"]),
        ("a tenth of the names", ["Harbour", "Trading", "Systems"]),
        ("all of the names", ["gmbh", "mbh ", "gmb"]),
        ("two letters", ["ha", "gm", "zz"]),
    ):
        taken, busy = [], []
        for word in itertools.islice(itertools.cycle(asked), 2 * len(asked)):
            start, cpu = time.perf_counter(), time.process_time()
            search.matches(word)
            taken.append(1000 * (time.perf_counter() - start))
            busy.append(1000 * (time.process_time() - cpu))
        print(_line(f"search of names, {what}", taken, busy))


def main() -> None:
    """Write, make the index, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, required=True, help="a folder on a disk with room")
    parser.add_argument("--part", choices=("all", "write", "index", "worker", "names"), default="all")
    given = parser.parse_args()
    root = given.work.resolve() / f"leads_{given.leads}"
    if given.part in ("all", "write"):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        write_project(root, given.leads)
    for part, measure in (("index", make_index), ("worker", measure_worker)):
        if given.part == "all":
            again = [sys.executable, "-m", "benchmarks.serving_lists", f"--leads={given.leads}"]
            subprocess.run([*again, f"--work={given.work.resolve()}", f"--part={part}"], check=True)
        elif given.part == part:
            os.chdir(root)
            measure()
    if given.part in ("all", "names"):
        measure_names(root, given.leads)


if __name__ == "__main__":
    main()
