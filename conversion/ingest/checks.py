"""The schema of each table: ranges, required values, Mondays; and ids that are in both company tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.pandas as pandera

from conversion.config import contract
from conversion.ingest.cells import ParsedTable
from conversion.ingest.faults import MAX_LOOKED_AT, PRESENT, SHOWN_KEYS, Fault, quoted
from conversion.ingest.tables import Source

FIRST_DAY: Final = dt.datetime(2000, 1, 1)
LAST_DAY: Final = dt.datetime(2100, 12, 31)
MAX_COUNT: Final = 2**31 - 1
MAX_MRR: Final = 1e9


def customers_schema() -> pandera.DataFrameSchema:
    """Build the schema of a parsed ``customers`` table."""
    amount = _between(-MAX_MRR, MAX_MRR, f"an amount within ±{MAX_MRR:.0e}")
    return pandera.DataFrameSchema(
        {
            "id": pandera.Column("Int64"),
            "CLOSEDATE": _date_column(),
            "MRR": pandera.Column("float64", amount),
            **_firmographics(),
        }
    )


def noncustomers_schema() -> pandera.DataFrameSchema:
    """Build the schema of a parsed ``noncustomers`` table."""
    return pandera.DataFrameSchema({"id": pandera.Column("Int64"), **_firmographics()})


def usage_schema() -> pandera.DataFrameSchema:
    """Build the schema of a parsed ``usage_actions`` table; negative counts are left to the cleaning."""
    monday = pandera.Check(_is_week, error="a Monday 00:00")
    count = _between(-MAX_COUNT, MAX_COUNT, f"a count of at most {MAX_COUNT}")
    return pandera.DataFrameSchema(
        {
            "id": pandera.Column("Int64"),
            "WHEN_TIMESTAMP": _date_column(monday),
            **{name: pandera.Column("Int64", count) for name in contract.MEASURES},
        }
    )


def _firmographics() -> dict[str, pandera.Column]:
    ranges = pandera.Check.isin(
        contract.EMPLOYEE_RANGES,
        error="one of " + ", ".join(f"'{name}'" for name in contract.EMPLOYEE_RANGES),
    )
    rank = pandera.Check.ge(1, error="a rank of at least 1")
    return {
        "ALEXA_RANK": pandera.Column("Int64", rank, nullable=True),
        "EMPLOYEE_RANGE": pandera.Column("str", ranges, nullable=True),
        "INDUSTRY": pandera.Column("str", nullable=True),
    }


def _date_column(*checks: pandera.Check) -> pandera.Column:
    era = _between(FIRST_DAY, LAST_DAY, f"a date from {FIRST_DAY.year} to {LAST_DAY.year}")
    return pandera.Column("datetime64[us]", [era, *checks])


def _is_week(times: pd.Series[Any]) -> pd.Series[bool]:
    result: pd.Series[bool] = (times.dt.day_of_week == 0) & (times == times.dt.normalize())
    return result


def _between(low: Any, high: Any, expected: str) -> pandera.Check:
    return pandera.Check.in_range(low, high, error=expected)


SCHEMAS: Final[dict[str, Callable[[], pandera.DataFrameSchema]]] = {
    contract.CUSTOMERS: customers_schema,
    contract.NONCUSTOMERS: noncustomers_schema,
    contract.USAGE_ACTIONS: usage_schema,
}


def check_table(typed: ParsedTable, schema: pandera.DataFrameSchema) -> list[Fault]:
    """Check the parsed cells against their schema; return a fault for each broken rule."""
    try:
        schema.validate(typed.cells, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    absent = cases["check"] == "column_in_dataframe"
    missing = set(cases.loc[absent, "failure_case"]) - typed.source.header.duplicated
    faults = [_missing_column(typed.source, name) for name in schema.columns if name in missing]
    for (column, check), group in cases[~absent].groupby(["column", "check"], sort=False):
        rows = group["index"].to_numpy(dtype=np.int64)
        # Cells that could not be parsed are missing here, and have a fault already.
        fresh = ~typed.unparsed[column][rows]
        found = group["failure_case"][fresh].head(MAX_LOOKED_AT)
        expected, shown = (PRESENT, []) if check == "not_nullable" else (check, found.tolist())
        if fresh.any():
            faults.append(typed.fault(column, expected, np.sort(rows[fresh]), shown))
    return faults


def _missing_column(source: Source, name: str) -> Fault:
    hint = source.header.hints.get(name)
    remedy = f"rename {quoted(hint)}" if hint is not None else "add it to the export"
    return Fault(source.file, name, "this column", remedy, found=("no such column",))


def check_disjoint(typed: dict[str, ParsedTable]) -> list[Fault]:
    """Check that no id is in both company tables."""
    tables = [typed[name] for name in contract.COMPANY_TABLES if name in typed]
    if len(tables) < 2 or any("id" not in table.cells for table in tables):
        return []
    customers, others = (table.cells["id"].dropna() for table in tables)
    shared = customers[customers.isin(others)].drop_duplicates()
    if shared.empty:
        return []
    return [
        Fault(
            file=" and ".join(table.source.file for table in tables),
            column="id",
            expected="each company in one of the two tables",
            remedy="leave customers out of noncustomers",
            rows=len(shared),
            keys=tuple(f"id {value}" for value in shared.head(SHOWN_KEYS)),
        )
    ]
