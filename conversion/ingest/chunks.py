"""Tables of an export chunk by chunk, as many rows at a time as fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.config.data_contract import Contract
from conversion.data.aliases import NO_ALIASES, CurrentIds
from conversion.ingest.columns import Table
from conversion.ingest.faults import UnreadableError
from conversion.ingest.folders import Place, find_table
from conversion.ingest.tables import Source, joined, read_chunks
from conversion.ingest.weekly_counts import weekly_chunks
from conversion.runtime.errors import ExportError
from conversion.runtime.files import VERIFIED

READ_AT_ONCE: Final = 1 << 20  # bytes


def count_rows(folder: Place, table: Table) -> int:
    """Count a table's rows, about: the lines of CSV files. 0 if it is missing or cannot be read.

    What is wrong with the files is said where they are read.
    """
    try:
        files = find_table(folder, table)
        return sum(_count_in(file, files.suffix) for _, file in files.files())
    except (UnreadableError, ExportError, OSError, pa.ArrowException):
        return 0


def _count_in(file: Place, suffix: str) -> int:
    with file.open("rb") as opened:
        if suffix == ".csv":
            blocks = iter(lambda: opened.read(READ_AT_ONCE), b"")
            return max(sum(block.count(b"\n") for block in blocks) - 1, 0)
        with parquet.ParquetFile(opened, **VERIFIED) as described:
            return int(described.metadata.num_rows)


def chunks_of(
    folder: Place,
    table: Table,
    contract: Contract,
    contract_file: str | None = None,
    current: CurrentIds = NO_ALIASES,
) -> Iterator[Source]:
    """Read a table of an export chunk by chunk; usage of days or events as weekly counts.

    ``current`` are the ids of today, see `weekly_chunks`.
    """
    if table.name == contract.usage.table and contract.usage.grain != "week":
        return weekly_chunks(folder, contract, contract_file, current)
    return read_chunks(folder, table)


def columns_of(chunks: Iterable[Source], columns: Iterable[str]) -> Source:
    """Put some columns of all chunks of a table under each other."""
    wanted = set(columns)
    return joined(
        [
            replace(source, columns={name: each for name, each in source.columns.items() if name in wanted})
            for source in chunks
        ]
    )
