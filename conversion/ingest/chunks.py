"""Tables of an export chunk by chunk, as many rows at a time as fit into memory."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.config.data_contract import Contract
from conversion.data.aliases import NO_ALIASES, CurrentIds
from conversion.ingest.columns import Table
from conversion.ingest.faults import SHOWN_KEYS, Fault, UnreadableError, one_line
from conversion.ingest.tables import Source, check_header, find_file, read_table
from conversion.ingest.weekly_counts import read_weekly_usage
from conversion.runtime.files import VERIFIED

CHUNK_ROWS: Final = 500_000
"""Most rows of a chunk."""
READ_AT_ONCE: Final = 1 << 20  # bytes


def count_rows(folder: Path, table: Table) -> int:
    """Count a table's rows, about: the lines of a CSV file. 0 if the file is missing or cannot be read.

    What is wrong with the file is said where it is read.
    """
    try:
        path = find_file(folder, table)
        if path.suffix == ".csv":
            with path.open("rb") as file:
                blocks = iter(lambda: file.read(READ_AT_ONCE), b"")
                return max(sum(block.count(b"\n") for block in blocks) - 1, 0)
        with parquet.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    except (UnreadableError, OSError, pa.ArrowException):
        return 0


def chunks_of(
    folder: Path,
    table: Table,
    contract: Contract,
    contract_file: str | None = None,
    current: CurrentIds = NO_ALIASES,
) -> Iterator[Source]:
    """Read a table of an export chunk by chunk; usage of days or events as weekly counts.

    ``current`` are the ids of today, see `read_weekly_usage`.
    """
    if table.name == contract.usage.table and contract.usage.grain != "week":
        return sliced(read_weekly_usage(folder, contract, contract_file, current))
    return read_chunks(folder, table)


def read_chunks(folder: Path, table: Table) -> Iterator[Source]:
    """Read the contract's columns of a table's file chunk by chunk, at least one, as `read_table` does.

    Raises
    ------
    UnreadableError
        See `read_table`.
    """
    path = find_file(folder, table)
    if path.suffix == ".csv" or not path.stat().st_size:
        yield from sliced(read_table(folder, table))
        return
    try:
        with parquet.ParquetFile(path, **VERIFIED) as file:
            header = check_header(str(path), file.schema_arrow.names, tuple(table.columns))
            if file.metadata.num_rows == 0:
                yield read_table(folder, table)
                return
            whole = Source(str(path), header, {}, lambda row: f"row {row + 1}", ())
            start = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=[*header.columns]):
                batch.validate(full=True)
                columns = {name: pa.chunked_array([batch.column(name)]) for name in header.columns}
                yield replace(whole, columns=columns, label=_shifted(whole, start))
                start += batch.num_rows
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        found = one_line(error)
        raise UnreadableError("the file", "a Parquet table", "export the table again", found) from error


def sliced(source: Source, rows: int | None = None) -> Iterator[Source]:
    """Split what was read of a file into chunks; its own faults are the first one's."""
    rows = CHUNK_ROWS if rows is None else rows
    total = len(next(iter(source.columns.values()), ()))
    for start in range(0, max(total, 1), rows):
        columns = {name: column.slice(start, rows) for name, column in source.columns.items()}
        label = _shifted(source, start)
        yield replace(source, columns=columns, label=label, faults=() if start else source.faults)


def _shifted(source: Source, start: int) -> Callable[[int], str]:
    return lambda row: source.label(row + start)


def joined(chunks: Iterable[Source], columns: Iterable[str]) -> Source:
    """Put some columns of all chunks of a file under each other."""
    wanted, sources = set(columns), []
    for source in chunks:
        kept = {name: column for name, column in source.columns.items() if name in wanted}
        sources.append((replace(source, columns=kept), len(next(iter(source.columns.values()), ()))))
    first, _ = sources[0]
    starts = [0, *itertools.accumulate(rows for _, rows in sources)]

    def label(row: int) -> str:
        at = bisect.bisect_right(starts, row, hi=len(sources)) - 1
        return sources[at][0].label(row - starts[at])

    under = {
        name: pa.chunked_array(
            [chunk for source, _ in sources for chunk in source.columns[name].chunks],
            type=first.columns[name].type,
        )
        for name in first.columns
    }
    faults = merged_faults(fault for source, _ in sources for fault in source.faults)
    return replace(first, columns=under, label=label, faults=tuple(faults))


def merged_faults(faults: Iterable[Fault]) -> list[Fault]:
    """Merge faults of the same kind of one file: rows are added up, the first keys are shown."""
    merged: dict[tuple[str, str, str, str], Fault] = {}
    for fault in faults:
        kind = (fault.file, fault.column, fault.expected, fault.remedy)
        if (known := merged.get(kind)) is None:
            merged[kind] = fault
        else:
            keys = (*known.keys, *fault.keys)[:SHOWN_KEYS]
            merged[kind] = replace(known, rows=known.rows + fault.rows, keys=keys)
    return [*merged.values()]
