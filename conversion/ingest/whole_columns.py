"""Faults of an export that was read chunk by chunk, described as if it had been read as a whole.

What a message says of a column depends on all of its rows: how many are wrong, which are the first, what most
of them look like. Only here, and only where something is wrong, whole columns are read: the id and those that
are wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import NO_ALIASES, CurrentIds
from conversion.ingest.cells import Formats, ParsedTable, final_types, formats_of, parse_cells
from conversion.ingest.checks import check_disjoint, check_table
from conversion.ingest.chunks import chunks_of, columns_of
from conversion.ingest.columns import Table, tables_of
from conversion.ingest.faults import Fault, UnreadableError
from conversion.ingest.folders import Place, shown_file

Suspects = dict[str, set[str]]
"""By table, the columns that may have faults."""


def describe_faults(
    folder: Place, contract: Contract, contract_file: str | None, suspects: Mapping[str, set[str]]
) -> tuple[list[Fault], dict[str, Formats]]:
    """Describe all faults of the columns that may have some, and of ids in two company tables.

    Returns
    -------
    faults : list of Fault
        In the order of the tables; none where only all rows show that nothing is wrong.
    formats : dict of Formats
        By table, how numbers of these columns are written.
    """
    described = tables_of(contract, contract_file)
    faults: dict[str, list[Fault]] = {}
    formats: dict[str, Formats] = {}
    typed: dict[str, ParsedTable] = {}
    for name, table in described.items():
        found = suspects.get(name, set())
        try:
            source = columns_of(chunks_of(folder, table, contract, contract_file), {table.id, *found})
        except UnreadableError as fault:
            faults[name] = [fault.at(shown_file(folder, name))]
            continue
        formats[name] = formats_of(source, table)
        typed[name] = parse_cells(source, table, formats[name])
        faults[name] = [*source.header.faults, *source.faults, *_of_columns(typed[name], found)]
    every = [*itertools.chain.from_iterable(faults.values()), *check_disjoint(typed, contract)]
    return every, formats


def _of_columns(typed: ParsedTable, columns: set[str]) -> list[Fault]:
    """Return the faults of some columns, in the order of those of a whole table."""
    table = typed.table
    read = {name: each for name, each in table.columns.items() if name in {table.id, *columns}}
    checked = check_table(replace(typed, table=replace(table, columns=read)))
    return [fault for fault in (*typed.faults, *checked) if fault.column in columns]


def whole_ids(
    folder: Place, contract: Contract, formats: Mapping[str, Formats], current: CurrentIds
) -> dict[str, pd.DataFrame]:
    """Read the ids of all tables in the order of the files' rows; of that of aliases all columns.

    The tables are free of faults; ``formats`` as in `describe_faults`, ``current`` the ids of today, which
    events are counted by.
    """
    current = current if contract.usage.grain == "event" else NO_ALIASES
    aliases = contract.companies.aliases
    found = {}
    for name, table in tables_of(contract).items():
        of_aliases = aliases is not None and name == aliases.table
        columns = {*table.columns} if of_aliases else {table.id}
        read = _with_columns(table, columns)
        parts = []
        for source in chunks_of(folder, table, contract, None, current):
            kept = {key: column for key, column in source.columns.items() if key in columns}
            cells = parse_cells(replace(source, columns=kept), table, formats.get(name, {})).cells
            parts.append(final_types(cells, read))
        found[name] = pd.concat(parts, ignore_index=True)
    return found


def _with_columns(table: Table, columns: set[str]) -> Table:
    return replace(table, columns={name: each for name, each in table.columns.items() if name in columns})
