"""Reading and checking of an export: the contract's tables, or every fault of theirs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import NO_ALIASES, CurrentIds, current_ids
from conversion.ingest.cells import ParsedTable, final_types, parse_cells
from conversion.ingest.checks import check_disjoint, check_table
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import Fault, UnreadableError
from conversion.ingest.folders import Place, shown_file
from conversion.ingest.tables import read_table
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


def read_export(folder: Place, contract: Contract, contract_file: str | None = None) -> Export:
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
        Some table has faults; the message lists all faults of all tables, one a line. Or the table of
        aliases contradicts itself.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        stage = writer_of(str(folder))
        remedy = "point data.dir in params.yaml at the export's folder" + (
            f", or run 'dvc repro {stage}', which writes this one" if stage else ""
        )
        raise ExportError(str(Fault(str(folder), "data.dir", "a folder", remedy, found=(found,))))
    described = tables_of(contract, contract_file)
    faults: dict[str, list[Fault]] = {name: [] for name in described}
    typed: dict[str, ParsedTable] = {}
    # Usage comes last: its users are counted by the ids of today, which another table has.
    for name in sorted(described, key=lambda name: name == contract.usage.table):
        try:
            if name == contract.usage.table and contract.usage.grain != "week":
                current = NO_ALIASES if any(faults.values()) else _ids_of_today(typed, contract)
                source = read_weekly_usage(folder, contract, contract_file, current)
            else:
                source = read_table(folder, described[name])
        except UnreadableError as fault:
            faults[name].append(fault.at(shown_file(folder, name)))
            continue
        typed[name] = parse_cells(source, described[name])
        faults[name] += [
            *source.header.faults,
            *source.faults,
            *typed[name].faults,
            *check_table(typed[name]),
        ]
    every = [*itertools.chain.from_iterable(faults.values()), *check_disjoint(typed, contract)]
    if every:
        raise ExportError("\n".join(map(str, every)))
    tables = {name: final_types(typed[name].cells, typed[name].table) for name in described}
    return Export(tables, typed[contract.usage.table].source.last_days)


def _ids_of_today(typed: dict[str, ParsedTable], contract: Contract) -> CurrentIds:
    """Return the ids of today for a log of events, in which somebody may have used both a company's ids."""
    aliases = contract.companies.aliases
    # Rows of days have no users to tell apart: their counts are added up later, as those of weeks are.
    if aliases is None or contract.usage.grain != "event":
        return NO_ALIASES
    table = typed[aliases.table]
    return current_ids(final_types(table.cells, table.table), aliases)
