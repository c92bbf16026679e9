from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.broken_exports import (
    Broken,
    Tables,
    as_parquet,
    cell,
    check_that_load_stops,
    edit,
    overlapping,
    run_and_fail,
    with_column,
)
from tests.exports import CUSTOMERS, EMPLOYEE_RANGES, NONCUSTOMERS, USAGE_ACTIONS, write_export

BROKEN = [
    # columns
    Broken(
        "missing column",
        edit("customers.csv", lambda data: data.replace(b"MRR", b"REVENUE")),
        "customers.csv",
        "MRR",
        ("no such column", "add it"),
    ),
    Broken(
        "misspelt column",
        edit("customers.csv", lambda data: data.replace(b"CLOSEDATE", b"CloseDate")),
        "customers.csv",
        "CLOSEDATE",
        ("no such column", "rename 'CloseDate'"),
    ),
    # ids
    Broken("NaN id", cell(CUSTOMERS, "id", "NaN"), "customers.csv", "id", ("a value", "1 row (line 5)")),
    Broken(
        "empty ids", cell(USAGE_ACTIONS, "id", "", 7), "usage_actions.csv", "id", ("7 rows (line 5, line 6",)
    ),
    Broken(
        "overlapping ids",
        overlapping,
        "customers.csv and export/noncustomers.csv",
        "id",
        ("2 rows (id 1000",),
    ),
    Broken(
        "all ids missing",
        as_parquet(NONCUSTOMERS, with_column("id", pa.nulls)),
        "noncustomers.parquet",
        "id",
        ("a value", "30 rows (row 1, row 2"),
    ),
    # dates
    Broken(
        "no CLOSEDATE",
        cell(CUSTOMERS, "CLOSEDATE", "", 2),
        "customers.csv",
        "CLOSEDATE",
        ("a value", "2 rows"),
    ),
    Broken(
        "long ago",
        cell(CUSTOMERS, "CLOSEDATE", "1999-12-31"),
        "customers.csv",
        "CLOSEDATE",
        ("2000 to 2100",),
    ),
    Broken(
        "far ahead",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "2101-01-03"),
        "actions.csv",
        "WHEN_TIMESTAMP",
        ("2100",),
    ),
    Broken(
        "missing timestamp",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", ""),
        "actions.csv",
        "WHEN_TIMESTAMP",
        ("a value",),
    ),
    Broken(
        "a Tuesday",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "2019-01-08", 6),
        "usage_actions.csv",
        "WHEN_TIMESTAMP",
        ("a Monday 00:00", "6 rows", "...", "2019-01-08"),
    ),
    Broken(
        "Monday 01:00",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "2019-01-07 01:00:00"),
        "usage_actions.csv",
        "WHEN_TIMESTAMP",
        ("a Monday 00:00", "1 row"),
    ),
    # numbers
    Broken("no MRR", cell(CUSTOMERS, "MRR", "", 2), "customers.csv", "MRR", ("a value", "2 rows (id")),
    Broken("absurd MRR", cell(CUSTOMERS, "MRR", "1e300"), "customers.csv", "MRR", ("1e+09", "1 row")),
    Broken(
        "rank 0",
        cell(NONCUSTOMERS, "ALEXA_RANK", "0"),
        "noncustomers.csv",
        "ALEXA_RANK",
        ("at least 1", "1 row"),
    ),
    Broken(
        "no count",
        cell(USAGE_ACTIONS, "ACTIONS_EMAIL", ""),
        "actions.csv",
        "ACTIONS_EMAIL",
        ("a value", "1 row"),
    ),
    Broken(
        "huge count",
        cell(USAGE_ACTIONS, "ACTIONS_EMAIL", str(2**31)),
        "actions.csv",
        "ACTIONS_EMAIL",
        ("2147483647",),
    ),
    # text
    Broken(
        "unknown employee range",
        cell(NONCUSTOMERS, "EMPLOYEE_RANGE", "2-5", 2),
        "noncustomers.csv",
        "EMPLOYEE_RANGE",
        (*(f"'{name}'" for name in EMPLOYEE_RANGES), "2 rows (id", "'2-5'"),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_load_stops(case, project, tables, caplog)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            edit("customers.csv", lambda data: data.replace(b"MRR", b"REVENUE")),
            "customers.csv: MRR: expected this column; found no such column; add it to the export",
        ),
        (
            edit("customers.csv", lambda data: data.replace(b"MRR", b"mrr")),
            "customers.csv: MRR: expected this column; found no such column; rename 'mrr'",
        ),
        (
            cell(NONCUSTOMERS, "ALEXA_RANK", "0"),
            (
                "noncustomers.csv: ALEXA_RANK: expected a rank of at least 1; 1 row (id 100026); found '0'; "
                "correct these rows"
            ),
        ),
        (
            cell(USAGE_ACTIONS, "id", "acme"),
            (
                "usage_actions.csv: id: expected a whole number of at most 18 digits; 1 row (line 5); "
                "found 'acme'; correct these rows"
            ),
        ),
        (
            overlapping,
            (
                "customers.csv and export/noncustomers.csv: id: expected each company in one of the two "
                "tables; 2 rows (id 100010, id 100022); leave customers out of noncustomers"
            ),
        ),
    ],
)
def test_messages_of_the_default_contract_ask_for_another_export_not_for_another_contract(
    spoil: Callable[[Path], None],
    message: str,
    project: Path,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(write_export(tables, project / "export"))
    assert run_and_fail(project, caplog) == [f"export/{message}"]
