from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from conversion.ingest import export
from tests.broken_exports import Broken, Tables, as_parquet, check_that_load_stops, edit, remove
from tests.contract_files import hubspot
from tests.exports import CUSTOMERS, NONCUSTOMERS, write_export


def replaced_by_folder(folder: Path) -> None:
    (folder / "customers.csv").unlink()
    (folder / "customers.csv").mkdir()


def both_suffixes(folder: Path) -> None:
    (folder / "usage_actions.parquet").write_bytes(b"PAR1")


def corrupt_parquet(folder: Path) -> None:
    as_parquet(CUSTOMERS, lambda table: table)(folder)
    edit("customers.parquet", lambda data: data[:200] + data[-200:])(folder)


def empty_parquet(folder: Path) -> None:
    as_parquet(CUSTOMERS, lambda table: table)(folder)
    edit("customers.parquet", lambda _: b"")(folder)


def undecodable_parquet(folder: Path) -> None:
    as_parquet(CUSTOMERS, lambda table: table.replace_schema_metadata(None))(folder)
    edit("customers.parquet", lambda data: data.replace(b"INDUSTRY", b"INDUSTR\xe4"))(folder)


BROKEN = [
    # the file
    Broken(
        "missing file",
        remove("customers.csv"),
        "export/customers",
        "the file",
        ("customers.parquet", "neither"),
    ),
    *[
        Broken(
            f"saved as {other}",
            lambda folder, other=other: (folder / "customers.csv").rename(folder / other) and None,
            "export/customers",
            "the file",
            (f"neither, but {other}", "save it as customers.csv or customers.parquet"),
        )
        for other in ("Customers.csv", "customers.xlsx", "customers.csv.gz")
    ],
    Broken("both suffixes", both_suffixes, "export/usage_actions", "the file", ("both", "remove the one")),
    Broken("file is a folder", replaced_by_folder, "export/customers.csv", "the file", ("a folder",)),
    # the header
    Broken(
        "duplicated header",
        edit("usage_actions.csv", lambda data: data.replace(b"\n", b",id\n")),
        "usage_actions.csv",
        "id",
        ("one column of this name", "2 of them"),
    ),
    # Parquet
    Broken(
        "corrupt Parquet",
        corrupt_parquet,
        "customers.parquet",
        "the file",
        ("a Parquet table", "export the table again"),
    ),
    Broken(
        "empty Parquet",
        empty_parquet,
        "customers.parquet",
        "the file",
        ("a Parquet table", "an empty file", "export the table again"),
    ),
    Broken(
        "undecodable Parquet column name",
        undecodable_parquet,
        "customers.parquet",
        "the file",
        ("a Parquet table", "utf-8"),
    ),
    Broken(
        "no rows in Parquet",
        as_parquet(NONCUSTOMERS, lambda table: table.slice(0, 0)),
        "noncustomers.parquet",
        "the file",
        ("rows",),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_load_stops(case, project, tables, caplog)


def test_extra_columns_are_dropped_with_a_warning(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tables | {CUSTOMERS: tables[CUSTOMERS].assign(OWNER="x", REGION="y")}
    loaded = export.read_export(write_export(odd, tmp_path), hubspot()).tables
    pd.testing.assert_frame_equal(loaded[CUSTOMERS], tables[CUSTOMERS])
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "extra columns dropped"
    fields = {name: record.__dict__[name] for name in ("file", "count", "columns")}
    assert fields == {"file": str(tmp_path / "customers.csv"), "count": 2, "columns": ["'OWNER'", "'REGION'"]}
