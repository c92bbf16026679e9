"""Turn the clean tables into training snapshots, backtest snapshots and the snapshots to score."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.config.params_file import load_params
from conversion.features.snapshots import (
    backtest_snapshots,
    backtest_weeks,
    check_weeks,
    prospect_snapshots,
    snapshots_by_chunk,
    training_snapshots,
    training_weeks,
)
from conversion.runtime.cli import run
from conversion.runtime.files import WITH_CHECKSUMS, read_monday, read_parquet, write_atomically

log = logging.getLogger(__name__)


def write_tables(path: str, tables: Iterator[pd.DataFrame]) -> int:
    """Write tables into one Parquet file, a row group each; return the number of rows."""
    rows = 0

    def write(temporary: Path) -> None:
        nonlocal rows
        with ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for table in tables:
                rows += len(table)
                arrow = pa.Table.from_pandas(table, preserve_index=False)
                if writer is None:
                    writer = stack.enter_context(
                        pq.ParquetWriter(temporary, arrow.schema, compression="zstd", **WITH_CHECKSUMS)
                    )
                writer.write_table(arrow)

    write_atomically(path, write)
    return rows


def main() -> None:
    """Read the clean tables, write data/features/{train,backtest,latest}.parquet."""
    params = load_params()
    settings = params.featurize
    companies = read_parquet("data/clean/companies.parquet")
    usage = read_parquet("data/clean/usage.parquet")
    as_of = pd.Timestamp(read_monday("data/clean/export.json", "as_of"))
    first_week = usage["WHEN_TIMESTAMP"].min()

    weeks = training_weeks(first_week, as_of, settings)
    cutoffs = backtest_weeks(first_week, as_of, params)
    check_weeks(weeks, cutoffs, as_of, settings.horizon_days)

    def write(name: str, make: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]) -> None:
        tables = snapshots_by_chunk(companies, usage, settings.chunk_companies, make, f"{name} snapshots")
        rows = write_tables(f"data/features/{name}.parquet", tables)
        log.info("featurized", extra={"table": name, "rows": rows})

    write("train", lambda some, used: training_snapshots(some, used, weeks, settings, params.seed))
    write("backtest", lambda some, used: backtest_snapshots(some, used, cutoffs, settings))
    write("latest", lambda some, used: prospect_snapshots(some, used, as_of, settings))


if __name__ == "__main__":
    run(main)
