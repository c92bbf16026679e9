"""Reading and checking of an export: the contract's tables, or every fault of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.ingest.cells import ParsedTable, final_types, parse_cells
from conversion.ingest.checks import check_disjoint, check_table
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import Fault, UnreadableError
from conversion.ingest.tables import read_table, shown_file
from conversion.ingest.weekly_counts import read_weekly_usage
from conversion.runtime.errors import ExportError
from conversion.runtime.files import writer_of


@dataclass(frozen=True)
class Export:
    """A checked export."""

    tables: dict[str, pd.DataFrame]
    """By name, in the order of `Contract.tables`, with the contract's columns in its order and types, the
    id's column called ``id``; rows in the order of the files. Usage of days or events is weekly counts."""
    last_days: dict[str, str] | None
    """Of usage of days or events: by a week's Monday the last day with a row, as ISO dates. None of weeks."""


def read_export(folder: Path, contract: Contract, contract_file: str | None = None) -> Export:
    """Read and check the tables of an export.

    Parameters
    ----------
    folder
        Holds each table as ``.csv`` or ``.parquet``.
    contract
        Says which tables and columns there are.
    contract_file
        Its file, if messages should say what could be changed there; None if only the export can be wrong.

    Returns
    -------
    Export
        Tables without faults.

    Raises
    ------
    ExportError
        Some table has faults; the message lists all faults of all tables, one a line.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        stage = writer_of(folder)
        remedy = "point data.dir in params.yaml at the export's folder" + (
            f", or run 'dvc repro {stage}', which writes this one" if stage else ""
        )
        raise ExportError(str(Fault(str(folder), "data.dir", "a folder", remedy, found=(found,))))
    faults: list[Fault] = []
    typed: dict[str, ParsedTable] = {}
    last_days = None
    for name, table in tables_of(contract, contract_file).items():
        try:
            if name == contract.usage.table and contract.usage.grain != "week":
                source = read_weekly_usage(folder, contract, contract_file)
                last_days = source.last_days
            else:
                source = read_table(folder, table)
        except UnreadableError as fault:
            faults.append(fault.at(shown_file(folder, name)))
            continue
        typed[name] = parse_cells(source, table)
        faults += [
            *source.header.faults,
            *source.faults,
            *typed[name].faults,
            *check_table(typed[name]),
        ]
    faults += check_disjoint(typed, contract)
    if faults:
        raise ExportError("\n".join(map(str, faults)))
    return Export({name: final_types(each.cells, each.table) for name, each in typed.items()}, last_days)
