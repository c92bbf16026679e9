"""Reading and checking of an export: the contract's tables, or every fault of theirs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.ingest.cells import ParsedTable, final_types, parse_cells
from conversion.ingest.checks import check_disjoint, check_table
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import Fault, UnreadableError
from conversion.ingest.tables import read_table, shown_file
from conversion.runtime.errors import ExportError
from conversion.runtime.files import writer_of


def read_export(
    folder: Path, contract: Contract, contract_file: str | None = None
) -> dict[str, pd.DataFrame]:
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
    dict of DataFrame
        The company tables, then usage, with the contract's columns in its order and types, the id's column
        called ``id``; rows in the order of the files.

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
    for name, table in tables_of(contract, contract_file).items():
        try:
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
    return {name: final_types(each.cells, each.table) for name, each in typed.items()}
