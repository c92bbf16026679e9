"""The check of each table: ranges, required values, first days of weeks; and ids in two company tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandera.pandas as pandera

from conversion.config.data_contract import Contract
from conversion.ingest.advice import is_total
from conversion.ingest.cells import ParsedTable
from conversion.ingest.columns import Table
from conversion.ingest.faults import MAX_LOOKED_AT, PRESENT, SHOWN_KEYS, Fault, row_key
from conversion.ingest.parsers import parse_text_id


def schema_of(table: Table) -> pandera.DataFrameSchema:
    """Build the schema of a parsed table."""
    return pandera.DataFrameSchema(
        {
            name: pandera.Column(each.dtype, list(each.checks), nullable=each.nullable)
            for name, each in table.columns.items()
        }
    )


def check_table(typed: ParsedTable) -> list[Fault]:
    """Check the parsed cells against their schema; return a fault for each broken rule."""
    return [*check_rules(typed), *_totals(typed)]


def _totals(typed: ParsedTable) -> list[Fault]:
    """Return the fault of a last row whose id, a text, is a name for totals."""
    column = typed.table.columns[typed.table.id]
    if (
        column.parse is not parse_text_id
        or column.name not in typed.cells
        or typed.source.last_days is not None
    ):
        return []
    ids = typed.cells[column.name]
    if ids.empty or not is_total(ids.iloc[-1]) or (ids == ids.iloc[-1]).sum() > 1:
        return []
    return [typed.fault(column.name, "the id of a company", np.array([len(ids) - 1]), [ids.iloc[-1]])]


def check_rules(typed: ParsedTable) -> list[Fault]:
    """Check the parsed cells against their schema, of a whole table or of some of its rows."""
    schema = schema_of(typed.table)
    try:
        schema.validate(typed.cells, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    absent = cases["check"] == "column_in_dataframe"
    missing = set(cases.loc[absent, "failure_case"]) - typed.source.header.duplicated
    faults = [_missing_column(typed, name) for name in schema.columns if name in missing]
    for (column, check), group in cases[~absent].groupby(["column", "check"], sort=False):
        rows = group["index"].to_numpy(dtype=np.int64)
        # Cells that could not be parsed are missing here, and have a fault already.
        fresh = ~typed.unparsed[column][rows]
        found = group["failure_case"][fresh].head(MAX_LOOKED_AT)
        expected, shown = (PRESENT, []) if check == "not_nullable" else (check, found.tolist())
        if fresh.any():
            faults.append(typed.fault(column, expected, np.sort(rows[fresh]), shown))
    return faults


def _missing_column(typed: ParsedTable, name: str) -> Fault:
    remedy = typed.source.header.hints.get(name, "add it to the export")
    remedy += typed.table.or_change(typed.table.columns[name].key)
    return Fault(typed.source.file, name, "this column", remedy, found=("no such column",))


def check_disjoint(typed: dict[str, ParsedTable], contract: Contract) -> list[Fault]:
    """Check that no id is both in a table whose companies have all converted and in one where none has."""
    tables, key = contract.companies.tables, contract.companies.id
    readable = [name for name in tables if name in typed and key in typed[name].cells]
    pairs = itertools.product(
        [typed[name] for name in readable if tables[name] == "all"],
        [typed[name] for name in readable if tables[name] == "none"],
    )
    return [fault for customers, others in pairs if (fault := _shared(customers, others, key))]


def _shared(customers: ParsedTable, others: ParsedTable, key: str) -> Fault | None:
    ids = customers.cells[key].dropna()
    shared = ids[ids.isin(others.cells[key].dropna())].drop_duplicates()
    if shared.empty:
        return None
    return Fault(
        file=f"{customers.source.file} and {others.source.file}",
        column=key,
        expected="each company in one of the two tables",
        remedy=f"leave {customers.table.name} out of {others.table.name}",
        rows=len(shared),
        keys=tuple(row_key(key, value) for value in shared.head(SHOWN_KEYS)),
    )
