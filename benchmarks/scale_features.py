"""The features in windows of weeks by four engines, one process each: `python -m benchmarks.scale_features`.

    python -m benchmarks.scale_features --engine ours|pandas|duckdb|polars|everything [--check]

Runs in a project in which the stage ``clean`` has run. Computed are the actions and the most users, by module
and in all, in each window, for every company with usage at the end of every week. The engines take the same
companies at a time, so that none needs the memory for all, and each returns arrays of weeks by companies.
``ours`` calls the functions by which ``featurize`` computes these features; ``everything`` is
`conversion.features.compute.compute_features`, which computes all the others too. Printed is JSON:
``started``, the CPU seconds until all was imported and prepared, and ``features``, the sum of each, or with
``--check`` a hash of all its values for the first companies, so that two engines can be compared to the last
bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

USAGE = Path("data/clean/usage.parquet")
COMPANIES_AT_ONCE = 20_000
WINDOWS = (1, 2, 4, 8, 13, 26)
BATCH_ROWS = 1 << 17

Named = tuple[str, np.ndarray]  # a feature and its values, weeks by companies


@dataclass(frozen=True)
class Task:
    """What is computed: the modules' columns, the windows, and the weeks of the export."""

    time: str
    modules: tuple[tuple[str, str, str], ...]  # name in features, column of actions, column of users
    windows: tuple[int, ...]
    first: np.datetime64
    weeks: int

    @property
    def columns(self) -> list[str]:
        return [column for _, actions, users in self.modules for column in (actions, users)]


def main() -> None:
    parser = argparse.ArgumentParser(description="features in windows by one engine")
    parser.add_argument("--engine", choices=list(ENGINES), required=True)
    parser.add_argument("--check", action="store_true", help="hash the values for the first companies")
    arguments = parser.parse_args()
    task = task_of(usage_files())
    engine = ENGINES[arguments.engine](task)
    started = time.process_time()
    tables = chunks(usage_files(), ["id", task.time, *task.columns], COMPANIES_AT_ONCE)
    found: Mapping[str, str | float] = (
        digests(engine(next(tables)))
        if arguments.check
        else sums(named for table in tables for named in engine(table))
    )
    said = {"started": round(started, 2), "features": dict(sorted(found.items()))}
    sys.stdout.write(json.dumps(said) + "\n")


def usage_files() -> list[Path]:
    return sorted(USAGE.glob("part-*.parquet")) if USAGE.is_dir() else [USAGE]


def task_of(files: list[Path]) -> Task:
    """Read what is computed from the contract, and the weeks from the usage."""
    usage = json.loads(Path("data/contract.json").read_text(encoding="utf-8"))["usage"]
    time = usage["time"]
    ranges = [
        pc.min_max(pq.read_table(file, columns=[time], page_checksum_verification=True)[time]).as_py()
        for file in files
    ]
    first = np.datetime64(min(each["min"] for each in ranges), "D")
    last = np.datetime64(max(each["max"] for each in ranges), "D")
    modules = [(name.lower(), each["actions"], each["users"]) for name, each in usage["modules"].items()]
    return Task(time, tuple(modules), WINDOWS, first, int((last - first) / np.timedelta64(7, "D")) + 1)


def chunks(files: Iterable[Path], columns: list[str], companies: int) -> Iterator[pa.Table]:
    """Yield the usage of so many companies at a time; each file is sorted by company."""
    for path in files:
        pending: list[pa.Table] = []
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                table = pa.concat_tables([*pending, pa.Table.from_batches([batch])])
                starts = company_starts(table)
                while len(starts) > companies:
                    yield table.slice(0, starts[companies])
                    table, starts = table.slice(starts[companies]), starts[companies:] - starts[companies]
                pending = [table]
        yield from (table for table in pending if len(table))


def company_starts(table: pa.Table) -> np.ndarray:
    ids = table["id"].to_numpy()
    return np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])


def digests(found: Iterable[Named]) -> dict[str, str]:
    """Hash the values of each feature, whose companies may come in several pieces."""
    pieces: dict[str, list[np.ndarray]] = {}
    for name, values in found:
        pieces.setdefault(name, []).append(np.asarray(values, dtype=np.float64))
    whole = {name: np.concatenate(values, axis=1) for name, values in pieces.items()}
    return {name: hashlib.sha256(values.tobytes()).hexdigest() for name, values in whole.items()}


def sums(found: Iterable[Named]) -> dict[str, float]:
    """Sum each feature; exact, as they are whole numbers."""
    total: dict[str, float] = {}
    for name, values in found:
        total[name] = total.get(name, 0.0) + float(values.sum(dtype=np.float64))
    return total


def by_ours(task: Task) -> Callable[[pa.Table], Iterator[Named]]:
    """Compute by the functions of ``featurize``, as it does: blocks of some companies at a time."""
    settings, at_once = settings_here(task)
    import pandas as pd

    from conversion.data.timeline import week_number
    from conversion.features.catalogue import windowed_groups
    from conversion.features.usage_block import (
        block_layout,
        usage_block,
        weekly_usage,
        window_usage,
        windows_of,
    )

    _, every = windowed_groups(settings)
    groups = [each for each in every if each.columns[0].name.startswith(("actions", "users_max"))]
    names = [
        f"{column.name}_{window}w" for group in groups for window in task.windows for column in group.columns
    ]
    layout, windows = block_layout(settings), windows_of(settings)
    first = int(week_number(pd.DatetimeIndex([task.first]))[0])
    positions = np.arange(1, task.weeks + 1)
    # As many features at once as featurize computes, so that they stay in the processor's cache.
    inner = 5000 // len(names)

    def features(block: np.ndarray) -> np.ndarray:
        values = np.empty((len(names), len(block), task.weeks), dtype=np.float32)
        for start in range(0, len(block), inner):
            weeks = weekly_usage(block[start : start + inner], layout)
            inside = window_usage(weeks, weeks.sums.take(positions, axis=0), positions, windows)
            column = 0
            for group in groups:
                count = len(task.windows) * len(group.columns)
                found = group.compute(inside)[:, :-1].reshape(task.weeks, count, -1)
                values[column : column + count, start : start + inner] = found.transpose(1, 2, 0)
                column += count
        return values.transpose(0, 2, 1)

    def compute(table: pa.Table) -> Iterator[Named]:
        for some in pieces(table, at_once):
            weeks = week_number(some[task.time]) - first
            block = usage_block(some["id"].unique(), some, weeks, task.weeks, settings)
            yield from zip(names, features(block), strict=True)

    return compute


def by_everything(task: Task) -> Callable[[pa.Table], Iterator[Named]]:
    """Compute all features of ``featurize``, of which those that other engines compute are returned."""
    settings, at_once = settings_here(task)
    import pandas as pd

    from conversion.features.compute import compute_features, feature_definitions
    from conversion.runtime.files import read_parquet
    from conversion.runtime.parts import parts_at

    definitions = [each.name for each in feature_definitions(settings)]
    names = feature_names(task)
    places = [definitions.index(name) for name in names]
    as_ofs = pd.date_range(task.first + np.timedelta64(7, "D"), periods=task.weeks, freq="7D")
    levels = [read_parquet(path) for path in parts_at("data/clean/companies.parquet")]
    companies = pd.concat(levels).set_index("id", drop=False)

    def compute(table: pa.Table) -> Iterator[Named]:
        for some in pieces(table, at_once):
            values = compute_features(companies.loc[some["id"].unique()], some, as_ofs, settings)
            yield from zip(names, values.transpose(2, 1, 0)[places], strict=True)

    return compute


def settings_here(task: Task) -> tuple[Any, int]:
    """Return the settings of features and how many companies are computed at a time, of this project."""
    sys.path.insert(0, str(Path.cwd()))  # the code of the project in which this runs
    from conversion.config.contract_file import load_contract
    from conversion.config.params_file import load_params
    from conversion.features.compute import feature_settings

    params, contract = load_params().featurize, load_contract("data/contract.json")
    settings = feature_settings(params.model_copy(update={"windows": task.windows}), contract)
    return settings, params.chunk_companies


def pieces(table: pa.Table, companies: int) -> Iterator[Any]:
    """Yield so many companies at a time as pandas has them."""
    usage = table.to_pandas()
    edges = [*company_starts(table)[::companies], len(usage)]
    yield from (usage.iloc[start:end] for start, end in pairwise(edges))


def by_pandas(task: Task) -> Callable[[pa.Table], Iterator[Named]]:
    """Compute with rolling windows over the weeks of all companies, one company below the other.

    Weeks of zeros before each company keep the windows apart: grouped by company pandas needs five times as
    long.
    """
    import pandas as pd

    before = max(task.windows) - 1
    first = task.first - np.timedelta64(7 * before, "D")
    weeks = pd.date_range(first, periods=before + task.weeks, freq="7D", name=task.time)
    actions = {name: column for name, column, _ in task.modules} | {None: "everything"}
    users = {name: column for name, _, column in task.modules} | {None: "most"}

    def compute(table: pa.Table) -> Iterator[Named]:
        usage = table.to_pandas()
        grid = pd.MultiIndex.from_product([usage["id"].unique(), weeks], names=["id", task.time])
        dense = usage.set_index(["id", task.time]).reindex(grid, fill_value=0).astype("float64")
        dense = dense.reset_index(drop=True)
        dense["everything"] = dense[[column for _, column, _ in task.modules]].sum(axis=1)
        dense["most"] = dense[[column for _, _, column in task.modules]].max(axis=1)
        for window in task.windows:
            for what, columns, combine in (("actions", actions, "sum"), ("users_max", users, "max")):
                for name, column in columns.items():
                    rolled = getattr(dense[column].rolling(window, min_periods=1), combine)()
                    found = rolled.to_numpy().reshape(-1, before + task.weeks)[:, before:]
                    yield named(what, name, window), found.T

    return compute


def by_duckdb(task: Task) -> Callable[[pa.Table], Iterator[Named]]:
    """Compute with window functions over all weeks of each company."""
    import duckdb

    query = duckdb_query(task)

    def compute(table: pa.Table) -> Iterator[Named]:
        connection = duckdb.connect()
        connection.register("usage", table)
        found = connection.execute(query).fetchnumpy()
        companies = len(company_starts(table))
        for name, values in found.items():
            yield name, np.asarray(values).reshape(task.weeks, companies)

    return compute


def duckdb_query(task: Task) -> str:
    modules = task.modules
    cells = ", ".join(f'coalesce("{name}", 0)::DOUBLE AS "{name}"' for name in task.columns)
    everything = " + ".join(f'"{actions}"' for _, actions, _ in modules)
    most = ", ".join(f'"{users}"' for _, _, users in modules)
    found = []
    for window in task.windows:
        over = f"OVER weeks_{window}"
        sources = [*((name, f'"{actions}"', f'"{users}"') for name, actions, users in modules)]
        for name, actions, users in [*sources, (None, '"everything"', '"most"')]:
            found.append(f'sum({actions}) {over} AS "{named("actions", name, window)}"')
            found.append(f'max({users}) {over} AS "{named("users_max", name, window)}"')
    frames = ", ".join(
        f"weeks_{window} AS (PARTITION BY id ORDER BY week "
        f"ROWS BETWEEN {window - 1} PRECEDING AND CURRENT ROW)"
        for window in task.windows
    )
    # The names are the contract's, quoted.
    return f"""
        WITH grid AS (
            SELECT id, DATE '{task.first}' + 7 * number::INTEGER AS week
            FROM (SELECT DISTINCT id FROM usage), range({task.weeks}) AS weeks(number)
        ), dense AS (
            SELECT grid.id, grid.week, {cells}
            FROM grid LEFT JOIN usage ON usage.id = grid.id AND usage."{task.time}"::DATE = grid.week
        ), more AS (SELECT *, {everything} AS everything, greatest({most}) AS most FROM dense)
        SELECT {", ".join(found)} FROM more WINDOW {frames} ORDER BY week, id
    """  # noqa: S608


def by_polars(task: Task) -> Callable[[pa.Table], Iterator[Named]]:
    """Compute with rolling windows over all weeks of each company."""
    import polars as pl

    weeks = pl.DataFrame({"week": task.first + 7 * np.arange(task.weeks)})
    found = []
    for window in task.windows:
        for name, actions, users in [*task.modules, (None, "everything", "most")]:
            total = pl.col(actions).rolling_sum(window, min_samples=1).over("id")
            largest = pl.col(users).rolling_max(window, min_samples=1).over("id")
            found += [
                total.alias(named("actions", name, window)),
                largest.alias(named("users_max", name, window)),
            ]

    def compute(table: pa.Table) -> Iterator[Named]:
        usage = pl.from_arrow(table).lazy().with_columns(pl.col(task.time).cast(pl.Date).alias("week"))
        ids = usage.select("id").unique()
        dense = (
            ids.join(weeks.lazy(), how="cross")
            .join(usage, on=["id", "week"], how="left")
            .with_columns(pl.col(task.columns).fill_null(0).cast(pl.Float64))
            .with_columns(
                pl.sum_horizontal([actions for _, actions, _ in task.modules]).alias("everything"),
                pl.max_horizontal([users for _, _, users in task.modules]).alias("most"),
            )
            .sort("id", "week")
        )
        values = dense.select(found).collect()
        for name in values.columns:
            yield name, values[name].to_numpy().reshape(-1, task.weeks).T

    return compute


def named(what: str, module: str | None, window: int) -> str:
    return f"{what}_{window}w" if module is None else f"{what}_{module}_{window}w"


def feature_names(task: Task) -> list[str]:
    modules = [*(name for name, _, _ in task.modules), None]
    return [
        named(what, module, window)
        for window in task.windows
        for module in modules
        for what in ("actions", "users_max")
    ]


ENGINES = {
    "ours": by_ours,
    "pandas": by_pandas,
    "duckdb": by_duckdb,
    "polars": by_polars,
    "everything": by_everything,
}


if __name__ == "__main__":
    main()
