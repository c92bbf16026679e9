"""Turn the clean tables into snapshots: to train on, to test on, to score now and as of a week before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.config.attribute_names import encoded_names
from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params_file import load_params
from conversion.data.clean_tables import CleanTables
from conversion.data.histories import history_files
from conversion.data.timeline import WEEK
from conversion.features.snapshots import (
    backtest_snapshots,
    backtest_weeks,
    check_weeks,
    prospect_snapshots,
    recipe_of,
    snapshots_by_chunk,
    training_snapshots,
    training_weeks,
    with_encoded_histories,
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


def read_clean(contract: Contract) -> CleanTables:
    """Read what ``clean`` wrote, after checking that it has the contract's columns."""
    attributes, usage = contract.companies.attributes, contract.usage
    encoded = [name for column, each in attributes.items() for name in encoded_names(column, each)]
    return CleanTables(
        read_parquet("data/clean/companies.parquet", ["id", contract.companies.converted, *encoded]),
        read_parquet("data/clean/usage.parquet", ["id", usage.time, *contract.counts, *usage.measures]),
        read_parquet("data/clean/subscriptions.parquet"),
        {column: read_parquet(f"data/clean/{file}") for column, file in history_files(contract).items()},
    )


def main() -> None:
    """Read the clean tables, write data/features/{train,backtest,latest,previous}.parquet."""
    params = load_params()
    settings = params.featurize
    contract = load_contract("data/contract.json")
    clean = read_clean(contract)
    as_of = pd.Timestamp(read_monday("data/clean/export.json", "as_of"))
    first_week = clean.usage[contract.usage.time].min()

    weeks = training_weeks(first_week, as_of, settings)
    cutoffs = backtest_weeks(first_week, as_of, params)
    check_weeks(weeks, cutoffs, as_of, settings.horizon_days, contract)
    recipe = recipe_of(clean.companies, settings, contract)
    tables = with_encoded_histories(clean, recipe)

    def write(name: str, make: Callable[[CleanTables], pd.DataFrame]) -> None:
        snapshots = snapshots_by_chunk(tables, settings.chunk_companies, make, f"{name} snapshots")
        rows = write_tables(f"data/features/{name}.parquet", snapshots)
        log.info("featurized", extra={"table": name, "rows": rows})

    write("train", lambda some: training_snapshots(some, weeks, recipe, params.seed))
    write("backtest", lambda some: backtest_snapshots(some, cutoffs, recipe))
    write("latest", lambda some: prospect_snapshots(some, as_of, recipe))
    write("previous", lambda some: prospect_snapshots(some, as_of - WEEK, recipe))


if __name__ == "__main__":
    run(main)
