from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from conversion.ingest import export, profile
from tests.broken_exports import Broken, Tables, as_parquet, cell, check_that_load_stops, line, with_column
from tests.contract_files import hubspot
from tests.exports import CUSTOMERS, NONCUSTOMERS, UNRANKED, USAGE_ACTIONS, write_export

BROKEN = [
    # missing values
    *[
        Broken(
            f"{word} in {column}",
            cell(NONCUSTOMERS, column, word),
            "noncustomers.csv",
            column,
            (f"found '{word}'", "where a value is missing, leave the cell empty"),
        )
        for word in ("NA", "None", "(No value)", "#N/A", "-")
        for column in ("ALEXA_RANK", "EMPLOYEE_RANGE")
    ],
    *[
        Broken(
            f"NA in {column}",
            cell(table, column, "NA"),
            f"{table}.csv",
            column,
            ("found 'NA'", "fill in the missing values or leave these rows out"),
        )
        for table, column in (
            (CUSTOMERS, "id"),
            (CUSTOMERS, "CLOSEDATE"),
            (CUSTOMERS, "MRR"),
            (USAGE_ACTIONS, "WHEN_TIMESTAMP"),
            (USAGE_ACTIONS, "USERS_EMAIL"),
        )
    ],
    # ids
    Broken(
        "half an id",
        cell(NONCUSTOMERS, "id", "100.5"),
        "noncustomers.csv",
        "id",
        ("whole", "line 5", "'100.5'"),
    ),
    Broken(
        "text id", cell(NONCUSTOMERS, "id", "acme"), "noncustomers.csv", "id", ("whole", "line 5", "'acme'")
    ),
    Broken(
        "huge id", cell(CUSTOMERS, "id", "9" * 30), "customers.csv", "id", ("whole number of at most 18",)
    ),
    *[
        Broken(
            f"{column} {value} in {table}",
            cell(table, column, value),
            f"{table}.csv",
            column,
            ("every digit of a whole number", "1 row (", f"'{value}'", "without an exponent"),
        )
        for table, column, value in [
            (CUSTOMERS, "id", "1.89945E+11"),
            (NONCUSTOMERS, "id", "1E+05"),
            (USAGE_ACTIONS, "id", "1.0e+05"),
            (NONCUSTOMERS, "ALEXA_RANK", "1.6E+07"),
            (CUSTOMERS, "ALEXA_RANK", "1.6e+07"),
            (USAGE_ACTIONS, "ACTIONS_EMAIL", "1.2E+06"),
        ]
    ],
    *[
        Broken(
            f"ids as short floats, {encoding}",
            as_parquet(
                CUSTOMERS,
                with_column(
                    "id", lambda rows, encode=encode: encode(pa.array([2.0**24 + 2] * rows, pa.float32()))
                ),
            ),
            "customers.parquet",
            "id",
            ("every digit of a whole number", "'16777218.0'"),
        )
        for encoding, encode in (("plain", lambda ids: ids), ("dictionary", pa.Array.dictionary_encode))
    ],
    Broken(
        "ids as long floats",
        as_parquet(CUSTOMERS, with_column("id", lambda rows: pa.array([2.0**53] * rows))),
        "customers.parquet",
        "id",
        ("every digit of a whole number", "'9007199254740992.0'"),
    ),
    # dates
    Broken(
        "US date",
        cell(CUSTOMERS, "CLOSEDATE", "3/27/2020"),
        "customers.csv",
        "CLOSEDATE",
        ("2019-12-31", "1 row"),
    ),
    Broken(
        "no such day",
        cell(CUSTOMERS, "CLOSEDATE", "2019-02-30"),
        "customers.csv",
        "CLOSEDATE",
        ("2019-02-30",),
    ),
    Broken(
        "no timestamp",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "soon", 3),
        "actions.csv",
        "WHEN_TIMESTAMP",
        ("3 rows",),
    ),
    *[
        Broken(
            f"time zone {zone!r}",
            cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", f"2019-01-07 00:00:00{zone}", 2),
            "usage_actions.csv",
            "WHEN_TIMESTAMP",
            ("time zone", "2 rows (id 1000", zone),
        )
        for zone in ("Z", "+02:00", "-0500", " UTC", ".000+00")
    ],
    # numbers
    Broken(
        "infinite MRR", cell(CUSTOMERS, "MRR", "inf"), "customers.csv", "MRR", ("finite", "1 row", "'inf'")
    ),
    Broken("overflowing MRR", cell(CUSTOMERS, "MRR", "1e999"), "customers.csv", "MRR", ("finite", "1 row")),
    Broken(
        "text MRR", cell(CUSTOMERS, "MRR", "1,200.50"), "customers.csv", "MRR", ("thousands", "'1,200.50'")
    ),
    Broken(
        "rank 1.5", cell(CUSTOMERS, "ALEXA_RANK", "1.5"), "customers.csv", "ALEXA_RANK", ("whole", "1 row")
    ),
    Broken(
        "rank inf", cell(CUSTOMERS, "ALEXA_RANK", "-inf"), "customers.csv", "ALEXA_RANK", ("finite", "1 row")
    ),
    Broken(
        "text count",
        cell(USAGE_ACTIONS, "USERS_EMAIL", "many"),
        "actions.csv",
        "USERS_EMAIL",
        ("whole", "'many'"),
    ),
    Broken(
        "half a count",
        cell(USAGE_ACTIONS, "ACTIONS_EMAIL", "2.5"),
        "actions.csv",
        "ACTIONS_EMAIL",
        ("whole",),
    ),
    # text
    Broken(
        "long industry",
        cell(CUSTOMERS, "INDUSTRY", "x" * 5000),
        "customers.csv",
        "INDUSTRY",
        ("200 characters",),
    ),
    Broken(
        "line break", cell(CUSTOMERS, "INDUSTRY", "a\nb"), "customers.csv", "INDUSTRY", ("control", r"a\nb")
    ),
    # Parquet types
    Broken(
        "nested column",
        as_parquet(USAGE_ACTIONS, with_column("USERS_EMAIL", lambda rows: pa.array([[1]] * rows))),
        "usage_actions.parquet",
        "USERS_EMAIL",
        ("plain values", "list<"),
    ),
    Broken(
        "struct column",
        as_parquet(CUSTOMERS, with_column("id", lambda rows: pa.array([{"a": 1}] * rows))),
        "customers.parquet",
        "id",
        ("plain values", "struct<"),
    ),
    Broken(
        "zoned Parquet",
        as_parquet(
            USAGE_ACTIONS,
            with_column(
                "WHEN_TIMESTAMP",
                lambda rows: pa.array(
                    [dt.datetime(2019, 1, 7, tzinfo=dt.UTC)] * rows, pa.timestamp("us", "UTC")
                ),
            ),
        ),
        "usage_actions.parquet",
        "WHEN_TIMESTAMP",
        ("time zone", "rows (id"),
    ),
    Broken(
        "numbers as dates",
        as_parquet(CUSTOMERS, with_column("CLOSEDATE", lambda rows: pa.array(range(rows)))),
        "customers.parquet",
        "CLOSEDATE",
        ("a date like", "10 rows"),
    ),
    Broken(
        "truth values as counts",
        as_parquet(USAGE_ACTIONS, with_column("USERS_EMAIL", lambda rows: pa.array([True] * rows))),
        "usage_actions.parquet",
        "USERS_EMAIL",
        ("whole", "'True'"),
    ),
    Broken(
        "bytes as text",
        as_parquet(NONCUSTOMERS, with_column("INDUSTRY", lambda rows: pa.array([b"x"] * rows))),
        "noncustomers.parquet",
        "INDUSTRY",
        ("plain values", "binary"),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_load_stops(case, project, tables, caplog)


def test_spellings_that_are_accepted(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    text = (folder / "customers.csv").read_text(encoding="utf-8").splitlines()
    text[1] = "7.0,2019-03-04T10:30:00.123456,1e2,16000001.0,1,"
    text[2] = ' 8 ,2019-03-04 00:00,"50",NaN,null,"Technology - Software"'
    text.insert(3, "")
    (folder / "customers.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(text).encode())
    loaded = export.read_export(folder, hubspot()).tables[CUSTOMERS].iloc[:2]
    assert loaded["id"].tolist() == [7, 8]
    assert loaded["CLOSEDATE"].tolist() == [pd.Timestamp("2019-03-04")] * 2
    assert loaded["MRR"].tolist() == [100.0, 50.0]
    assert loaded["ALEXA_RANK"].tolist()[0] == UNRANKED
    assert loaded["ALEXA_RANK"].isna().tolist() == [False, True]
    assert loaded["EMPLOYEE_RANGE"].isna().tolist() == [False, True]
    assert loaded["INDUSTRY"].isna().tolist() == [True, False]


def test_large_ids_are_exact(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    line("customers.csv", 2, lambda text: b"123456789012345677" + text[text.index(b",") :])(folder)
    assert export.read_export(folder, hubspot()).tables[CUSTOMERS]["id"].iloc[0] == 123456789012345677


PARQUET_TYPES: list[tuple[str, str, Callable[[pa.ChunkedArray], Any]]] = [
    (CUSTOMERS, "id", lambda column: column.cast(pa.string())),
    (CUSTOMERS, "id", lambda column: column.cast(pa.float64())),
    (CUSTOMERS, "id", lambda column: column.cast(pa.uint64())),
    (CUSTOMERS, "CLOSEDATE", lambda column: column.cast(pa.date32())),
    (CUSTOMERS, "CLOSEDATE", lambda column: column.cast(pa.timestamp("ns"))),
    (CUSTOMERS, "MRR", lambda column: column.cast(pa.decimal128(20, 2), safe=False)),
    (CUSTOMERS, "INDUSTRY", lambda column: column.cast(pa.string()).dictionary_encode()),
    (CUSTOMERS, "INDUSTRY", lambda column: column.cast(pa.string_view())),
    (NONCUSTOMERS, "ALEXA_RANK", lambda column: column.cast(pa.int32())),
    (USAGE_ACTIONS, "WHEN_TIMESTAMP", lambda column: column.cast(pa.timestamp("ms"))),
    (USAGE_ACTIONS, "USERS_EMAIL", lambda column: column.cast(pa.float32())),
    (USAGE_ACTIONS, "USERS_EMAIL", lambda column: column.cast(pa.int8())),
]


@pytest.mark.parametrize(("name", "column", "cast"), PARQUET_TYPES)
def test_parquet_types_that_mean_the_same(
    name: str, column: str, cast: Callable[[pa.ChunkedArray], Any], tables: Tables, tmp_path: Path
) -> None:
    folder = write_export(tables, tmp_path)
    as_parquet(
        name, lambda table: table.set_column(table.column_names.index(column), column, cast(table[column]))
    )(folder)
    pd.testing.assert_frame_equal(export.read_export(folder, hubspot()).tables[name], tables[name])


def test_an_optional_column_may_be_all_missing(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    as_parquet(NONCUSTOMERS, with_column("INDUSTRY", pa.nulls))(folder)
    table = export.read_export(folder, hubspot()).tables[NONCUSTOMERS]
    assert table["INDUSTRY"].isna().all()
    assert profile.profile(table, ["id"])["columns"]["INDUSTRY"] == {"missing_share": 1.0, "distinct": 0}
