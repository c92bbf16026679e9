"""A large lead list in Parquet, read some rows at a time, each checked as a small list is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conversion.config.data_contract import Contract
from conversion.leads.lead_columns import BASE, lead_columns
from conversion.leads.lead_files import (
    CONTRIBUTIONS,
    DELIVERED,
    DELIVERED_COLUMNS,
    FOLDER,
    USAGE,
    Manifest,
)
from conversion.leads.lead_tables import AGAIN, checked_leads, texts_and_flags
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import VERIFIED, reading, require_columns
from conversion.runtime.parts import parts_at

LEADS: Final = "leads.parquet"
ROWS: Final = 1 << 16
"""Rows that are read at a time."""
SENTENCES: Final = ("rep", "moved")


def names_of(manifest: Manifest) -> tuple[str, ...]:
    """Name the files of a list that have a row for each lead, and its usage."""
    return (LEADS, CONTRIBUTIONS, USAGE, *((DELIVERED,) if DELIVERED in manifest.files else ()))


def lead_schema(root: Path, manifest: Manifest, contract: Contract) -> pa.Schema:
    """Return the columns of the list with what it says of its delivery, and their types.

    A column of whole numbers has decimals where some are missing, as tables in memory have.
    """
    folder, (texts, flags) = root / FOLDER, texts_and_flags(contract)
    whole = _whole_columns(folder / LEADS)
    if DELIVERED in manifest.files:
        beside = _whole_columns(folder / DELIVERED)
        whole = (whole - {*DELIVERED_COLUMNS}) | (beside & {*DELIVERED_COLUMNS})
    fields = []
    for name in (*lead_columns(contract), *SENTENCES):
        if name in texts or name in SENTENCES:
            fields.append(pa.field(name, pa.large_string()))
        elif name in flags:
            fields.append(pa.field(name, pa.bool_()))
        else:
            fields.append(pa.field(name, pa.int64() if name in whole else pa.float64()))
    return pa.schema(fields)


def lead_batches(root: Path, manifest: Manifest, contract: Contract) -> Iterator[pd.DataFrame]:
    """Read the list in rank order, with what it says of its delivery.

    Raises
    ------
    ArtifactError, InputError
        It is not a lead list of this contract.
    """
    folder, ids = root / FOLDER, ["id"]
    needed = [*ids, *DELIVERED_COLUMNS]
    delivered = _batches(folder / DELIVERED, needed) if DELIVERED in manifest.files else None
    for leads in _batches(folder / LEADS, ids):
        checked = checked_leads(folder / LEADS, leads, contract)
        if delivered is None:
            yield checked.assign(**dict.fromkeys(SENTENCES, pd.Series(None, checked.index, dtype="str")))
            continue
        beside = next(delivered, None)
        if beside is None or not beside["id"].equals(checked["id"]):
            raise not_beside(folder / DELIVERED)
        yield checked.assign(**{name: beside[name] for name in DELIVERED_COLUMNS if name != "place"})
    if delivered is not None and next(delivered, None) is not None:
        raise not_beside(folder / DELIVERED)


def usage_schema(root: Path, contract: Contract) -> pa.Schema:
    """Return the columns of the usage rows and their types."""
    path = root / FOLDER / USAGE
    with reading(path):
        schema = pq.read_schema(parts_at(path)[0])
        columns = ["id", contract.usage.time, *contract.counts, *contract.usage.measures]
        require_columns(schema.names, columns)
    return pa.schema([schema.field(name) for name in columns])


def usage_batches(root: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read the usage rows, the rows of each company together."""
    for path in parts_at(root / FOLDER / USAGE):
        yield from _arrow_batches(path, schema.names, schema)


def contribution_batches(root: Path) -> Iterator[tuple[pa.Array, pa.RecordBatch]]:
    """Read what each fact adds to the score of each lead: the ids, and the numbers.

    Raises
    ------
    ArtifactError
        These are not numbers.
    """
    path = root / FOLDER / CONTRIBUTIONS
    for batch in _arrow_batches(path, None):
        with reading(path):
            require_columns(batch.schema.names, ["id", BASE])
        names = [name for name in batch.schema.names if name != "id"]
        numbers = batch.select(names)
        if not all(
            column.type == pa.float64() and not column.null_count and np.isfinite(column.to_numpy()).all()
            for column in numbers.columns
        ):
            raise not_beside(path)
        yield batch.column("id"), numbers


def not_beside(path: Path) -> ArtifactError:
    """Return the refusal of a table that should have a row for each lead."""
    return ArtifactError(
        f"{path}: should have numbers for the ids of the leads beside it, in the same order; {AGAIN}"
    )


def _batches(path: Path, needed: Iterable[str]) -> Iterator[pd.DataFrame]:
    """Read a table as `conversion.runtime.files.read_parquet` does, some rows at a time."""
    first = 0
    for batch in _arrow_batches(path, None):
        with reading(path):
            require_columns(batch.schema.names, needed)
            table = batch.to_pandas()
        yield table.set_axis(pd.RangeIndex(first, first + len(table)), axis=0)
        first += len(table)


def _arrow_batches(
    path: Path, columns: list[str] | None, schema: pa.Schema | None = None
) -> Iterator[pa.RecordBatch]:
    """Read batches of `ROWS` rows but for the last, and check pages against their checksums."""
    with reading(path):
        opened = pq.ParquetFile(path, **VERIFIED)
    with closing(opened):
        batches = opened.iter_batches(ROWS, columns=columns, use_threads=False)
        waiting: list[pa.RecordBatch] = []
        while True:
            with reading(path):
                batch = next(batches, None)
                if batch is not None and schema is not None:
                    batch = batch.select(schema.names).cast(schema)
            if batch is not None:
                waiting.append(batch)
            rows = sum(each.num_rows for each in waiting)
            if rows >= ROWS or (batch is None and rows):
                # Batches may end with the row groups of a file, which tables beside one another do not share.
                table = pa.Table.from_batches(waiting)
                yield table.slice(0, ROWS).combine_chunks().to_batches()[0]
                waiting = table.slice(ROWS).to_batches()
            elif batch is None:
                return


def spans_of(root: Path) -> dict[str, tuple[int, int]]:
    """Return the least and the most of columns of the usage rows, as the statistics of the files say."""
    spans: dict[str, tuple[int, int]] = {}
    unknown: set[str] = set()
    for path in parts_at(root / FOLDER / USAGE):
        for name, found in _statistics(path):
            if found is None or not found.has_min_max or not isinstance(found.min, int):
                unknown.add(name)
                continue
            least, most = spans.get(name, (found.min, found.max))
            spans[name] = min(least, found.min), max(most, found.max)
    return {name: span for name, span in spans.items() if name not in unknown}


def _whole_columns(path: Path) -> set[str]:
    """Return the columns that are whole numbers in each row, as the statistics of the file say."""
    with reading(path):
        whole = {field.name for field in pq.read_schema(path) if pa.types.is_integer(field.type)}
    for name, found in _statistics(path):
        if found is None or not found.has_null_count or found.null_count:
            whole.discard(name)
    return whole


def _statistics(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield what a Parquet file says of each column of each of its row groups; None: nothing."""
    with reading(path):
        metadata = pq.read_metadata(path)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            yield column.path_in_schema, column.statistics
