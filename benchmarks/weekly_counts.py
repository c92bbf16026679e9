"""Time and peak memory of weekly counts of ten million events: `python -m benchmarks.weekly_counts`.

    python -m benchmarks.weekly_counts [--events N]

Each file is made and counted in a process of its own. Accounts differ in size, as real ones do: a few have
thousands of users. The hard case has a different user in each event, so no group is smaller than the table.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process_tree import MAXRSS_UNIT

if TYPE_CHECKING:
    import pyarrow as pa

ACCOUNTS = 50_000
DAYS = 600
CHUNK = 500_000
MODULES = ("project", "automation", "invoice", "contact", "board")
THINGS = (*MODULES, "report", "file", "login")
NAMES = [f"{thing}.{verb}" for thing in THINGS for verb in ("made", "viewed", "edited", "deleted", "shared")]
FILES = ("events.parquet", "events.csv", "distinct.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description="time and peak memory of weekly counts of events")
    parser.add_argument("--events", type=int, default=10_000_000, help="how many events are made")
    events = parser.parse_args().events
    lines = [
        "| file | events | MB | company weeks | wall s | CPU s | peak MB |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        for name in FILES:
            path = Path(temporary, name)
            in_child(partial(write_events, path, events))
            seconds, cpu, peak, rows = in_child(partial(count, path))
            size = path.stat().st_size / 1e6
            lines.append(
                f"| {name} | {events} | {size:.0f} | {rows} | {seconds:.1f} | {cpu:.1f} | {peak / 1e6:.0f} |"
            )
            path.unlink()
    sys.stdout.write("\n".join(lines) + "\n")


def in_child(work: Callable[[], int | None]) -> tuple[float, float, int, int]:
    """Run in a fork; return its seconds, CPU seconds, peak bytes and the number that it returns.

    This process imports nothing heavy: a child's peak memory starts at what its parent had when it forked.
    """
    reading, writing = os.pipe()
    start = time.perf_counter()
    if not (child := os.fork()):
        os.write(writing, str(work() or 0).encode())
        os._exit(0)
    os.close(writing)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    with os.fdopen(reading) as answer:
        said = answer.read()
    if status or not said:
        sys.exit(f"exit {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT, int(said)


def count(path: Path) -> int:
    from conversion.config.data_contract import Contract
    from conversion.ingest.weekly_counts import weekly_counts

    modules = {name: {"events": [f"{name}.*"]} for name in MODULES}
    usage = {"table": path.stem, "id": "account", "time": "at", "grain": "event", "user": "user"}
    contract = Contract.model_validate(
        {
            "companies": {"tables": ["accounts"], "id": "id", "ids": "text", "converted": "paid"},
            "usage": {**usage, "event": "event", "time_zone": "Europe/Berlin", "modules": modules},
        }
    )
    return len(weekly_counts(path, contract))


def write_events(path: Path, events: int) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    tables = made_events(events, distinct_users=path.stem == "distinct")
    first = next(tables)
    kind = pyarrow.csv.CSVWriter if path.suffix == ".csv" else pyarrow.parquet.ParquetWriter
    with kind(str(path), first.schema) as file:
        file.write_table(first)
        for table in tables:
            file.write_table(table)


def made_events(events: int, *, distinct_users: bool) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(1)
    people = rng.zipf(1.6, ACCOUNTS).clip(1, 5000)
    busy = rng.lognormal(0, 1.5, ACCOUNTS)
    accounts, names = pa.array([f"acc-{at:06d}" for at in range(ACCOUNTS)]), pa.array(NAMES)
    for start in range(0, events, CHUNK):
        rows = min(CHUNK, events - start)
        account = rng.choice(ACCOUNTS, rows, p=busy / busy.sum())
        user = account * 5000 + (rng.random(rows) * people[account]).astype(np.int64)
        if distinct_users:
            user = np.arange(start, start + rows)
        at = np.datetime64("2024-01-01", "us") + (rng.random(rows) * DAYS * 86_400e6).astype(
            "timedelta64[us]"
        )
        yield pa.table(
            {
                "account": accounts.take(pa.array(account)),
                "user": pa.array(user).cast(pa.string()),
                "event": names.take(pa.array(rng.integers(0, len(NAMES), rows))),
                "at": at,
            }
        )


if __name__ == "__main__":
    main()
