"""Derive what a stored lead list is searched, filtered and sorted by, a column at a time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from conversion.config.data_contract import Contract
from conversion.pages.lead_filters import Filter, filter_columns
from conversion.pages.lead_table import ORDERS, LeadTable
from conversion.pages.list_query import sorts_of
from conversion.pages.stored_rows import ArrayWriter, StoredRows, TableWriter, write_array
from conversion.pages.stored_table import LEADS, PARTS, TEXTS, columns_of, frame_of
from conversion.pages.text_search import grams_of

TEXT: Final = pa.schema([pa.field("text", pa.large_string())])


class Arrays:
    """Writes arrays to a folder, and keeps their types.

    Parameters
    ----------
    folder
        Of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.types: dict[str, str] = {}

    def write(self, name: str, values: Any, dtype: str) -> None:
        """Write an array."""
        write_array(self.folder, name, np.asarray(values), dtype)
        self.types[name] = dtype

    def writer(self, name: str, dtype: str) -> ArrayWriter:
        """Open an array to append to."""
        self.types[name] = dtype
        return ArrayWriter(self.folder, name, dtype)


def write_derived(arrays: Arrays, contract: Contract, as_of: dt.date) -> dict[str, Any]:
    """Write what a stored list is searched, filtered and sorted by.

    Parameters
    ----------
    arrays
        Of the folder that has the list.
    contract, as_of
        See `conversion.pages.lead_table.LeadTable`.

    Returns
    -------
    dict
        What else describes it, ready for JSON.
    """
    rows = StoredRows(arrays.folder / LEADS)
    table = LeadTable(columns_of(rows), pd.DataFrame(), contract, as_of)
    for sort in sorts_of(table):
        if sort in ORDERS:
            _write_order(arrays, sort, table)
    for name in PARTS:
        arrays.write(f"{name}_ordered", table.ordered(name), "float64")
    _write_search(arrays, rows, contract, as_of)
    says = {name: getattr(table, name) for name in ("has_reps", "was_delivered", "has_past")}
    return {"says": says, **_write_filters(arrays, table)}


def _write_order(arrays: Arrays, sort: str, table: LeadTable) -> None:
    order = np.asarray(table.order(sort), dtype=np.int32)
    arrays.write(sort, order, "int32")
    places = np.empty_like(order)
    places[order] = np.arange(len(order), dtype=np.int32)
    arrays.write(f"{sort}_places", places, "int32")
    for kept in (ORDERS[sort], "moved"):  # each as large as the list
        table.__dict__.pop(kept, None)


def _write_filters(arrays: Arrays, table: LeadTable) -> dict[str, Any]:
    written: list[dict[str, Any]] = []

    def write(each: Filter) -> int:
        codes = f"codes_{len(written)}"
        arrays.write(codes, each.codes, "int16")
        about = {"column": each.column, "title": each.title, "codes": codes}
        written.append(about | {"choices": each.choices, "labels": each.labels})
        return len(written) - 1

    shown = {name: write(each) for name, each in table.filters.items()}
    known = dict(shown)
    for name in filter_columns(table.contract):
        if name not in known and (other := table.other_filter(name)) is not None:
            known[name] = write(other)
    return {"filters": written, "shown_filters": shown, "known_filters": known}


def _write_search(arrays: Arrays, rows: StoredRows, contract: Contract, as_of: dt.date) -> None:
    ends = [np.zeros(0, dtype=np.uint32)]
    with TableWriter(arrays.folder / TEXTS, TEXT) as texts, arrays.writer("gram_blocks", "uint16") as blocks:
        for batch in rows.batches:
            part = frame_of(pa.Table.from_batches([batch]).select(["id", *contract.companies.shown]))
            text = LeadTable(part, pd.DataFrame(), contract, as_of).texts
            texts.append(pa.record_batch([text], schema=TEXT))
            of_batch, ends_of_batch = grams_of(text)
            blocks.append(of_batch)
            ends.append(ends_of_batch)
    arrays.write("gram_ends", np.concatenate(ends), "uint32")
