"""Write the index of a large lead list, some rows of the list at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from conversion.config.data_contract import Contract
from conversion.leads.lead_batches import (
    contribution_batches,
    lead_batches,
    lead_schema,
    not_beside,
    spans_of,
    usage_batches,
    usage_schema,
)
from conversion.leads.lead_files import CONTRIBUTIONS, FOLDER, USAGE, Manifest
from conversion.leads.lead_tables import AGAIN
from conversion.pages.lead_table import LeadTable
from conversion.pages.stored_arrays import Arrays, write_derived
from conversion.pages.stored_rows import TableWriter, narrow_schema
from conversion.pages.stored_table import CONTRIBUTIONS as ADDED
from conversion.pages.stored_table import LEADS, TEXTS
from conversion.pages.stored_table import USAGE as USED
from conversion.runtime.errors import ArtifactError
from conversion.stats.hashing import tie_break

TABLES: Final = (LEADS, USED, ADDED, TEXTS)

Keys = NDArray[np.uint64]


def build(folder: Path, root: Path, manifest: Manifest, contract: Contract) -> dict[str, Any]:
    """Write the tables and arrays of an index.

    Parameters
    ----------
    folder
        To write to, empty.
    root
        The folder that has the list.
    manifest
        Of the list.
    contract
        Of the model that scored it.

    Returns
    -------
    dict
        What `conversion.pages.stored_rows.Store` needs to know, ready for JSON.

    Raises
    ------
    ArtifactError, InputError
        The files are not a list of this contract.
    """
    arrays = Arrays(folder)
    keys = _write_leads(folder, root, manifest, contract)
    order = np.argsort(keys, kind="stable")
    if (keys[order][1:] == keys[order][:-1]).any():
        raise ArtifactError(f"{root / FOLDER}: should have each company once; {AGAIN}")
    arrays.write("keys", keys[order], "uint64")
    arrays.write("key_positions", order, "int32")
    _write_contributions(folder, root, keys)
    _write_usage(arrays, root, manifest, contract, keys)
    derived = write_derived(arrays, contract, manifest.as_of)
    return {"tables": list(TABLES), "arrays": arrays.types, **derived}


def _write_leads(folder: Path, root: Path, manifest: Manifest, contract: Contract) -> Keys:
    """Write the list; return the key of each lead's id."""
    schema = lead_schema(root, manifest, contract)
    keys = [np.zeros(0, dtype=np.uint64)]
    with TableWriter(folder / LEADS, schema) as table:
        for leads in lead_batches(root, manifest, contract):
            table.append(pa.RecordBatch.from_pandas(leads, schema=schema, preserve_index=False))
            keys.append(tie_break(leads["id"].to_numpy()))
    return np.concatenate(keys)


def _write_contributions(folder: Path, root: Path, keys: Keys) -> None:
    writer, place = None, 0
    path = root / FOLDER / CONTRIBUTIONS
    for ids, numbers in contribution_batches(root):
        writer = TableWriter(folder / ADDED, numbers.schema) if writer is None else writer
        if not np.array_equal(tie_break(ids.to_pandas().to_numpy()), keys[place : place + len(ids)]):
            raise not_beside(path)
        writer.append(numbers)
        place += len(ids)
    if place != len(keys) or writer is None:
        raise not_beside(path)
    with writer:
        pass


def _write_usage(arrays: Arrays, root: Path, manifest: Manifest, contract: Contract, keys: Keys) -> None:
    """Write the usage rows, where those of each lead are, and what its sparkline shows."""
    full = usage_schema(root, contract)
    narrow = narrow_schema(full, spans_of(root))
    nobody = pd.DataFrame({"id": []})
    runs, begins, rows = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)], 0
    last: np.uint64 | None = None
    with (
        TableWriter(arrays.folder / USED, narrow) as table,
        arrays.writer("row_actions", "float64") as actions,
        arrays.writer("row_weeks_back", "int32") as weeks,
    ):
        for batch in usage_batches(root, full):
            part = LeadTable(nobody, batch.to_pandas(), contract, manifest.as_of)
            table.append(batch.cast(narrow))
            actions.append(part.weekly_actions)
            weeks.append(part.weeks_back)
            of = tie_break(part.usage["id"].to_numpy())
            first = np.flatnonzero(np.append(of[0] != last, of[1:] != of[:-1]))
            runs.append(of[first])
            begins.append(first + rows)
            last, rows = of[-1], rows + len(of)
    begin, end = _spans(np.concatenate(runs), np.concatenate(begins), rows, keys, root / FOLDER / USAGE)
    arrays.write("usage_begin", begin, "int64")
    arrays.write("usage_end", end, "int64")


def _spans(
    runs: Keys, begins: NDArray[np.int64], rows: int, keys: Keys, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the usage rows of each lead begin and end; both are 0 where it has none."""
    ends = np.append(begins[1:], rows)
    order = np.argsort(runs, kind="stable")
    sorted_runs = runs[order]
    if (sorted_runs[1:] == sorted_runs[:-1]).any():
        raise ArtifactError(f"{path}: should have the rows of each company together; {AGAIN}")
    if not len(runs):
        return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    found = np.minimum(np.searchsorted(sorted_runs, keys), len(runs) - 1)
    is_there = sorted_runs[found] == keys
    return np.where(is_there, begins[order[found]], 0), np.where(is_there, ends[order[found]], 0)
