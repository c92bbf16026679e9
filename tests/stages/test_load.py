from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.config import contract
from conversion.config import contract as contract_module
from conversion.config.contract import COLUMNS, CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS
from conversion.ingest import cells, cross_checks, csv_bytes, export, faults, origin_leaks, profile
from conversion.runtime.cli import run
from conversion.runtime.errors import ExportError
from stages import load
from tests.exports import tiny_export, write_export

PARAMS = Path(__file__).parents[2] / "params.yaml"
Tables = dict[str, pd.DataFrame]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run the stage in, whose params point at its ``export``."""
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["data"]["dir"] = "export"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tiny_export(companies=40, weeks=12)


def written(project: Path) -> list[Path]:
    return sorted(
        path.relative_to(project) for folder in ("data", "metrics") for path in (project / folder).rglob("*")
    )


def run_and_fail(project: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Run the stage on a broken export; check that it stops cleanly and give the lines of its message."""
    with pytest.raises(SystemExit) as stop:
        run(load.main)
    assert stop.value.code == 1
    assert written(project) == []
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


# Ways to break an export: in its tables, or in the bytes of a file


def cell(table: str, column: str, value: object, rows: int = 1) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / f"{table}.csv"
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.loc[range(3, 3 + rows), column] = value
        frame.to_csv(path, index=False)

    return spoil


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def line(name: str, number: int, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def on_line(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return edit(name, on_line)


def notes_column(data: bytes, *notes: bytes) -> bytes:
    """Add a column that nothing reads, with some notes in its first rows."""
    header, *rows = data.rstrip(b"\n").split(b"\n")
    fields = [*notes, *[b""] * (len(rows) - len(notes))]
    return b"\n".join(
        [header + b",NOTES", *(row + b"," + x for row, x in zip(rows, fields, strict=True)), b""]
    )


def as_parquet(table: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / f"{table}.csv").unlink()
        frame = tiny_export(companies=40, weeks=12)[table]
        pq.write_table(change(pa.Table.from_pandas(frame, preserve_index=False)), folder / f"{table}.parquet")

    return spoil


def with_column(name: str, make: Callable[[int], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, make(len(table)))


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()
        if not any(folder.iterdir()):
            folder.rmdir()

    return spoil


def replaced_by_folder(folder: Path) -> None:
    (folder / "customers.csv").unlink()
    (folder / "customers.csv").mkdir()


def replaced_by_file(folder: Path) -> None:
    remove(*(f"{name}.csv" for name in COLUMNS))(folder)
    folder.write_text("no folder", encoding="utf-8")


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


def overlapping(folder: Path) -> None:
    ids = pd.read_csv(folder / "noncustomers.csv")["id"].iloc[:2].to_list()
    frame = pd.read_csv(folder / "customers.csv", dtype=str, keep_default_na=False)
    frame.loc[[4, 5], "id"] = [str(value) for value in ids]
    frame.to_csv(folder / "customers.csv", index=False)


@dataclass(frozen=True)
class Broken:
    name: str
    spoil: Callable[[Path], None]
    file: str
    column: str
    says: tuple[str, ...]


BROKEN = [
    # files
    Broken(
        "missing folder", remove(*(f"{name}.csv" for name in COLUMNS)), "export", "data.dir", ("nothing",)
    ),
    Broken("folder is a file", replaced_by_file, "export", "data.dir", ("found a file",)),
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
    *[
        Broken(
            f"{kind} named .csv",
            edit("customers.csv", lambda data, magic=magic: magic + data),
            "customers.csv",
            "the file",
            (kind, "save it as CSV, in UTF-8"),
        )
        for magic, kind in csv_bytes.OTHER_FORMATS.items()
    ],
    Broken("both suffixes", both_suffixes, "export/usage_actions", "the file", ("both", "remove the one")),
    Broken("file is a folder", replaced_by_folder, "export/customers.csv", "the file", ("a folder",)),
    Broken(
        "empty file", edit("usage_actions.csv", lambda _: b""), "usage_actions.csv", "the file", ("empty",)
    ),
    Broken(
        "only a BOM",
        edit("customers.csv", lambda _: b"\xef\xbb\xbf\n"),
        "customers.csv",
        "the file",
        ("empty",),
    ),
    *[
        Broken(
            f"header only {name}",
            edit(f"{name}.csv", lambda data: data[: data.index(b"\n") + 1] + b"\n"),
            f"{name}.csv",
            "the file",
            ("rows after the header", "nothing but the header"),
        )
        for name in COLUMNS
    ],
    # bytes
    Broken(
        "undecodable",
        line("noncustomers.csv", 4, lambda text: text + b"\xe9"),
        "noncustomers.csv",
        "the file",
        ("UTF-8", "0xe9 in line 4"),
    ),
    Broken(
        "UTF-16",
        edit("customers.csv", lambda data: data.decode().encode("utf-16")),
        "customers.csv",
        "the file",
        ("UTF-16", "save it as UTF-8 (in Excel: CSV UTF-8)"),
    ),
    *[
        Broken(
            f"{encoding} without a mark",
            edit("noncustomers.csv", lambda data, to=encoding: data.decode().encode(to)),
            "noncustomers.csv",
            "the file",
            ("found UTF-16", "save it as UTF-8 (in Excel: CSV UTF-8)"),
        )
        for encoding in ("utf-16-le", "utf-16-be")
    ],
    Broken(
        "a login page after blanks",
        edit("customers.csv", lambda _: b"\xef\xbb\xbf\r\n  <!DOCTYPE html>\n<title>Log in</title>"),
        "customers.csv",
        "the file",
        ("an HTML or XML page", "save it as CSV"),
    ),
    Broken(
        "NUL byte",
        line("usage_actions.csv", 7, lambda text: text + b"\0"),
        "usage_actions.csv",
        "the file",
        ("NUL", "line 7"),
    ),
    Broken(
        "10 MB line",
        line("usage_actions.csv", 5, lambda text: text + b"9" * 10_000_000),
        "usage_actions.csv",
        "the file",
        ("at most 65536 bytes", "line 5"),
    ),
    Broken(
        "10 MB header",
        edit("customers.csv", lambda _: b"id," * 3_333_333),
        "customers.csv",
        "the file",
        ("at most 65536 bytes", "line 1"),
    ),
    Broken(
        "open quote",
        edit("customers.csv", lambda _: b'id,MRR\n1,2\n3,"4\n5,6\n'),
        "customers.csv",
        "the file",
        ("quotes in pairs", "line 3"),
    ),
    Broken(
        "stray quote",
        edit("customers.csv", lambda _: b'id,MRR\n1,"2"\n3,""""\n5,6"\n7,8"\n'),
        "customers.csv",
        "the file",
        ("quotes in pairs", "line 4"),
    ),
    Broken(
        "quote closed too early",
        edit("customers.csv", lambda _: b'id,MRR\n1,"2"x\n'),
        "customers.csv",
        "the file",
        ("quotes in pairs", "line 2"),
    ),
    Broken(
        "blank first line",
        edit("noncustomers.csv", lambda data: b"\n" + data),
        "noncustomers.csv",
        "the header",
        ("line 1", "a blank line"),
    ),
    # headers
    *[
        Broken(
            f"delimiter {delimiter!r}",
            edit("noncustomers.csv", lambda data, to=delimiter: data.replace(b",", to.encode())),
            "noncustomers.csv",
            "the header",
            (f"looks like {delimiter!r}-separated",),
        )
        for delimiter in (";", "\t", "|")
    ],
    *[
        Broken(
            f"sep={delimiter} line",
            edit(
                "customers.csv",
                lambda data, to=delimiter: f"sep={to}\r\n".encode() + data.replace(b",", to.encode()),
            ),
            "customers.csv",
            "the header",
            (f"'sep={delimiter}', a hint for Excel", remedy),
        )
        for delimiter, remedy in ((",", "delete this line"), (";", "delete this line; export with commas"))
    ],
    *[
        Broken(
            f"{title!r} above {delimiter}-separated names",
            edit(
                "usage_actions.csv",
                lambda data, title=title, to=delimiter: title + data.replace(b",", to.encode()),
            ),
            "usage_actions.csv",
            "the header",
            ("the columns' names in line 1", f"found them in line {number}", remedy),
        )
        for title, delimiter, number, remedy in (
            (b"Usage, by week\n", ",", 2, "delete the lines above"),
            (b'"Report ""usage"\n2020-04-26, id 7\n\n', ",", 4, "delete the lines above"),
            (b"Usage;;;\n", ";", 2, "delete the lines above; export with commas"),
        )
    ],
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
    Broken(
        "duplicated header",
        edit("usage_actions.csv", lambda data: data.replace(b"\n", b",id\n")),
        "usage_actions.csv",
        "id",
        ("one column of this name", "2 of them"),
    ),
    # rows
    Broken(
        "too many fields",
        line("noncustomers.csv", 6, lambda text: text + b",x"),
        "noncustomers.csv",
        "all columns",
        ("4 fields", "1 row (line 6)"),
    ),
    Broken(
        "too few fields",
        line("usage_actions.csv", 9, lambda _: b"100001,2019-01-07"),
        "usage_actions.csv",
        "all columns",
        ("10 fields", "1 row (line 9)"),
    ),
    Broken(
        "all lines cut off",
        edit("customers.csv", lambda data: data.split(b"\n")[0] + b"\n1\n2\n"),
        "customers.csv",
        "all columns",
        ("2 rows (line 2, line 3)",),
    ),
    Broken(
        "empty row between others",
        line("noncustomers.csv", 6, lambda text: b",,,\n" + text),
        "noncustomers.csv",
        "id",
        ("a value in each row", "1 row (line 6)"),
    ),
    Broken(
        "long text in a column that is read",
        line("noncustomers.csv", 6, lambda _: b'7,1,"' + b"x" * 70_000 + b'",RETAIL'),
        "noncustomers.csv",
        "the file",
        ("at most 65536 bytes, but for columns that are ignored", "line 6"),
    ),
    Broken(
        "lost quote in a column that is ignored",
        edit("noncustomers.csv", lambda data: notes_column(data, b'"' + b"x" * 70_000, b'end"')),
        "noncustomers.csv",
        "the file",
        ("at most 65536 bytes, but for columns that are ignored", "a stray quote", "line 2"),
    ),
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
    Broken("NaN id", cell(CUSTOMERS, "id", "NaN"), "customers.csv", "id", ("a value", "1 row (line 5)")),
    Broken(
        "empty ids", cell(USAGE_ACTIONS, "id", "", 7), "usage_actions.csv", "id", ("7 rows (line 5, line 6",)
    ),
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
    Broken(
        "overlapping ids",
        overlapping,
        "customers.csv and export/noncustomers.csv",
        "id",
        ("2 rows (id 1000",),
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
        "no timestamp",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "soon", 3),
        "actions.csv",
        "WHEN_TIMESTAMP",
        ("3 rows",),
    ),
    Broken(
        "missing timestamp",
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", ""),
        "actions.csv",
        "WHEN_TIMESTAMP",
        ("a value",),
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
    Broken(
        "infinite MRR", cell(CUSTOMERS, "MRR", "inf"), "customers.csv", "MRR", ("finite", "1 row", "'inf'")
    ),
    Broken("overflowing MRR", cell(CUSTOMERS, "MRR", "1e999"), "customers.csv", "MRR", ("finite", "1 row")),
    Broken("absurd MRR", cell(CUSTOMERS, "MRR", "1e300"), "customers.csv", "MRR", ("1e+09", "1 row")),
    Broken(
        "text MRR", cell(CUSTOMERS, "MRR", "1,200.50"), "customers.csv", "MRR", ("thousands", "'1,200.50'")
    ),
    Broken(
        "rank 0",
        cell(NONCUSTOMERS, "ALEXA_RANK", "0"),
        "noncustomers.csv",
        "ALEXA_RANK",
        ("at least 1", "1 row"),
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
        (*(f"'{name}'" for name in contract.EMPLOYEE_RANGES), "2 rows (id", "'2-5'"),
    ),
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
    Broken(
        "all ids missing",
        as_parquet(NONCUSTOMERS, with_column("id", pa.nulls)),
        "noncustomers.parquet",
        "id",
        ("a value", "30 rows (row 1, row 2"),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    case.spoil(write_export(tables, project / "export"))
    start = time.monotonic()
    lines = run_and_fail(project, caplog)
    assert time.monotonic() - start < 5
    assert len(lines) == 1, "a single fault makes a single line"
    assert f"{case.file}: {case.column}: expected" in lines[0]
    for words in case.says:
        assert words in lines[0]
    assert len(lines[0]) < 600


def test_all_faults_of_all_files_are_reported_at_once(
    project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_export(tables, project / "export")
    for spoil in (
        cell(CUSTOMERS, "MRR", "inf", 2),
        cell(CUSTOMERS, "CLOSEDATE", "someday"),
        overlapping,
        cell(NONCUSTOMERS, "EMPLOYEE_RANGE", "lots"),
        line("noncustomers.csv", 9, lambda text: text + b",,"),
        cell(USAGE_ACTIONS, "WHEN_TIMESTAMP", "2019-01-08"),
        edit("usage_actions.csv", lambda data: data.replace(b"USERS_EMAIL", b"MAILERS")),
    ):
        spoil(folder)
    lines = run_and_fail(project, caplog)
    expected = [
        ("customers.csv: CLOSEDATE", "1 row"),
        ("customers.csv: MRR", "2 rows"),
        ("noncustomers.csv: all columns", "line 9"),
        ("noncustomers.csv: EMPLOYEE_RANGE", "'lots'"),
        ("usage_actions.csv: USERS_EMAIL", "no such column"),
        ("usage_actions.csv: WHEN_TIMESTAMP", "1 row"),
        ("customers.csv and export/noncustomers.csv: id", "2 rows"),
    ]
    assert len(lines) == len(expected)
    for (place, words), text in zip(expected, lines, strict=True):
        assert f"{place}: expected" in text
        assert words in text


def test_a_broken_file_does_not_hide_faults_of_the_others(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    edit("customers.csv", lambda _: b"")(folder)
    remove("noncustomers.csv")(folder)
    cell(USAGE_ACTIONS, "USERS_EMAIL", "x")(folder)
    with pytest.raises(ExportError) as error:
        export.read_export(folder)
    assert len(str(error.value).splitlines()) == 3


def test_line_numbers_count_blank_ragged_and_broken_lines(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    lines = (folder / "customers.csv").read_bytes().split(b"\n")
    lines[2:2] = [
        b"",
        lines[1] + b",too many",
        b'900001,2019-01-09,1,1,1,"two\r\nlines"',
        b"",
        b",2019-01-09,1,1,1,x",
    ]
    (folder / "customers.csv").write_bytes(b"\r\n".join(lines))
    with pytest.raises(ExportError) as error:
        export.read_export(folder)
    ragged, missing, broken = str(error.value).splitlines()
    assert "(line 4)" in ragged
    assert "id 900001" in missing
    assert "control" in missing
    assert "(line 8)" in broken


def test_stale_outputs_survive_a_broken_export(project: Path, tables: Tables) -> None:
    folder = write_export(tables, project / "export")
    run(load.main)
    before = {path: path.read_bytes() for path in written(project) if path.is_file()}
    cell(CUSTOMERS, "MRR", "x")(folder)
    with pytest.raises(SystemExit):
        run(load.main)
    assert {path: path.read_bytes() for path in written(project) if path.is_file()} == before


# What is no fault here


def odd_rows(tables: Tables) -> Tables:
    """Rows that the cleaning stage has rules for, and this one must let pass."""
    customers, noncustomers, usage = (tables[name].copy() for name in COLUMNS)
    customers.loc[0, "MRR"] = -5.0
    usage.loc[0, "ACTIONS_EMAIL"] = -1
    usage.loc[1, ["ACTIONS_EMAIL", "USERS_EMAIL"]] = [0, 3]
    usage.loc[2, "id"] = 999_999
    usage = pd.concat([usage, usage.iloc[[3]]], ignore_index=True)
    noncustomers = pd.concat([noncustomers, noncustomers.iloc[[0]]], ignore_index=True)
    customers = pd.concat([customers, customers.iloc[[0]]], ignore_index=True)
    return {CUSTOMERS: customers, NONCUSTOMERS: noncustomers, USAGE_ACTIONS: usage}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_for_the_cleaning_stage_pass(tables: Tables, tmp_path: Path, suffix: str) -> None:
    odd = odd_rows(tables)
    loaded = export.read_export(write_export(odd, tmp_path, suffix))
    for name, table in loaded.items():
        pd.testing.assert_frame_equal(table, odd[name])
    assert profile.profile(loaded[NONCUSTOMERS], ["id"])["duplicate_keys"] == 1


def test_types_and_columns_of_the_outputs(project: Path, tables: Tables) -> None:
    write_export(tables, project / "export")
    run(load.main)
    files = [f"data/typed/{name}.parquet" for name in COLUMNS]
    assert [str(path) for path in written(project) if path.is_file()] == sorted(
        [*files, "metrics/data_quality.json"]
    )
    for name, columns in COLUMNS.items():
        table = pd.read_parquet(f"data/typed/{name}.parquet")
        assert tuple(table) == columns
        for column in columns:
            if column == "id" or column in contract.MEASURES:
                assert table[column].dtype == np.int64
            elif column in ("CLOSEDATE", "WHEN_TIMESTAMP"):
                assert table[column].dtype == "datetime64[us]"
            elif column in ("MRR", "ALEXA_RANK"):
                assert table[column].dtype == np.float64
            else:
                assert pd.api.types.is_string_dtype(table[column])
        pd.testing.assert_frame_equal(table, tables[name])


def test_csv_and_parquet_give_the_same_bytes(
    project: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for suffix in (".csv", ".parquet"):
        folder = project / suffix.strip(".")
        folder.mkdir()
        (folder / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
        monkeypatch.chdir(folder)
        write_export(tables, "export", suffix)
        run(load.main)
        outputs.append(
            {path: (folder / path).read_bytes() for path in written(folder) if (folder / path).is_file()}
        )
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 4


def test_spellings_that_are_accepted(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    text = (folder / "customers.csv").read_text(encoding="utf-8").splitlines()
    text[1] = "7.0,2019-03-04T10:30:00.123456,1e2,16000001.0,1,"
    text[2] = ' 8 ,2019-03-04 00:00,"50",NaN,null,"Technology - Software"'
    text.insert(3, "")
    (folder / "customers.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(text).encode())
    loaded = export.read_export(folder)[CUSTOMERS].iloc[:2]
    assert loaded["id"].tolist() == [7, 8]
    assert loaded["CLOSEDATE"].tolist() == [pd.Timestamp("2019-03-04")] * 2
    assert loaded["MRR"].tolist() == [100.0, 50.0]
    assert loaded["ALEXA_RANK"].tolist()[0] == contract.UNRANKED
    assert loaded["ALEXA_RANK"].isna().tolist() == [False, True]
    assert loaded["EMPLOYEE_RANGE"].isna().tolist() == [False, True]
    assert loaded["INDUSTRY"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e+05", 100_000),  # as R writes round numbers
        ("3e5", 300_000),
        ("2e+005", 200_000),
        ("-4e+05", -400_000),
        ("1.00000E+05", 100_000),  # as digits down to the units
        ("1.89945123456E+11", 189_945_123_456),
        ("1.6000001e+07", 16_000_001),
        ("1.23456789012345678E+17", 123_456_789_012_345_678),  # which no float holds
        ("120e-1", 12),
        ("0e+00", 0),
    ],
)
def test_an_exponent_that_loses_no_digit_is_read(text: str, number: int) -> None:
    assert cells.PARSERS["id"][0](text) == number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1E+05", faults.ALL_DIGITS),  # 123456 in a narrow column
        ("1e+06", faults.ALL_DIGITS),  # 1000001 by %g
        ("1.2e+05", faults.ALL_DIGITS),
        ("1.6E+07", faults.ALL_DIGITS),
        ("1.89945e+11", faults.ALL_DIGITS),
        ("1.89945E+11", faults.ALL_DIGITS),
        ("1.89945E+0011", faults.ALL_DIGITS),
        ("1.234567890123456789e18", faults.WHOLE),
        ("1.00000000000000000000000001", faults.WHOLE),
        ("1.5e0", faults.WHOLE),
        ("12e-1", faults.WHOLE),
        ("e5", faults.WHOLE),
        ("1e999", faults.FINITE),
    ],
)
def test_an_exponent_that_may_have_lost_digits_is_not_read(text: str, expected: str) -> None:
    with pytest.raises(faults.UnfitError, match=f"^{re.escape(expected)}$"):
        cells.PARSERS["id"][0](text)


@given(st.integers(0, 10**18 - 1), st.integers(0, 20))
def test_a_number_with_an_exponent_is_read_as_itself_or_not_at_all(number: int, digits: int) -> None:
    with contextlib.suppress(faults.UnfitError):
        assert cells.PARSERS["id"][0](f"{Decimal(number):.{digits}E}") == number


def test_large_ids_are_exact(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    line("customers.csv", 2, lambda text: b"123456789012345677" + text[text.index(b",") :])(folder)
    assert export.read_export(folder)[CUSTOMERS]["id"].iloc[0] == 123456789012345677


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
    pd.testing.assert_frame_equal(export.read_export(folder)[name], tables[name])


def test_an_all_missing_optional_column_is_no_fault(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    as_parquet(NONCUSTOMERS, with_column("INDUSTRY", pa.nulls))(folder)
    table = export.read_export(folder)[NONCUSTOMERS]
    assert table["INDUSTRY"].isna().all()
    assert profile.profile(table, ["id"])["columns"]["INDUSTRY"] == {"missing_share": 1.0, "distinct": 0}


def test_extra_columns_are_dropped_with_a_warning(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tables | {CUSTOMERS: tables[CUSTOMERS].assign(OWNER="x", REGION="y")}
    loaded = export.read_export(write_export(odd, tmp_path))
    pd.testing.assert_frame_equal(loaded[CUSTOMERS], tables[CUSTOMERS])
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "extra columns dropped"
    fields = {name: record.__dict__[name] for name in ("file", "count", "columns")}
    assert fields == {"file": str(tmp_path / "customers.csv"), "count": 2, "columns": ["'OWNER'", "'REGION'"]}


@pytest.mark.parametrize("size", [70_000, 3_000_000])
@pytest.mark.parametrize("row", [0, 15])
def test_a_long_text_in_a_column_that_is_ignored_is_ignored(
    size: int, row: int, tables: Tables, tmp_path: Path
) -> None:
    folder = write_export(tables, tmp_path)
    notes = [*[b""] * row, b'"' + b'Said ""no"", twice.\n' * (size // 20) + b'"', b"short"]
    edit("noncustomers.csv", lambda data: notes_column(data, *notes))(folder)
    pd.testing.assert_frame_equal(export.read_export(folder)[NONCUSTOMERS], tables[NONCUSTOMERS])


@pytest.mark.parametrize("rows", [b",,,\n", b",,,\n" * 3, b',"", ,\n\n,\n', b" , , ,"])
def test_empty_rows_at_the_end_are_skipped(
    rows: bytes, tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = write_export(tables, tmp_path)
    edit("noncustomers.csv", lambda data: data + rows)(folder)
    pd.testing.assert_frame_equal(export.read_export(folder)[NONCUSTOMERS], tables[NONCUSTOMERS])
    (record,) = caplog.records
    assert record.getMessage() == "empty rows at the end skipped"
    assert record.count == len([row for row in rows.split(b"\n") if row])  # type: ignore[attr-defined]


def test_a_table_of_empty_rows_has_none(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    edit("noncustomers.csv", lambda data: data[: data.index(b"\n") + 1] + b",,,\n" * 1000)(folder)
    with pytest.raises(ExportError, match="found nothing but the header"):
        export.read_export(folder)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from([".csv", ".parquet"]))
def test_row_order_is_irrelevant(tables: Tables, tmp_path: Path, seed: int, suffix: str) -> None:
    shuffled = {
        name: table.sample(frac=1, random_state=seed)[
            list(np.random.default_rng(seed).permutation(list(table)))
        ]
        for name, table in odd_rows(tables).items()
    }
    loaded = export.read_export(write_export(shuffled, tmp_path / suffix.strip("."), suffix))
    for name, table in odd_rows(tables).items():
        order = list(COLUMNS[name])
        pd.testing.assert_frame_equal(
            loaded[name].sort_values(order, ignore_index=True), table.sort_values(order, ignore_index=True)
        )
        assert profile.profile(loaded[name], profile.KEYS[name]) == profile.profile(table, profile.KEYS[name])


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r"[-+]?[0-9.e:TZ -]{1,30}", fullmatch=True))
def test_parsers_give_a_value_or_say_what_they_expect(text: str) -> None:
    for parser, _ in cells.PARSERS.values():
        try:
            value = parser(text)
        except faults.UnfitError:
            continue
        assert isinstance(value, int | float | str | dt.datetime)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_loaded_or_reported(tables: Tables, tmp_path: Path, data: st.DataObject) -> None:
    folder = write_export({name: table.head(8) for name, table in tables.items()}, tmp_path)
    path = folder / f"{data.draw(st.sampled_from(list(COLUMNS)))}.csv"
    content = path.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 40, len(content))))
    damage = data.draw(st.text(',;"\n\r-.1aé\t', max_size=8).map(str.encode) | st.binary(max_size=4))
    path.write_bytes(content[:start] + damage + content[end:])
    with contextlib.suppress(ExportError):
        export.read_export(folder)


@pytest.mark.parametrize("text", ["9" * 60_000 + "x", "2019-01-07" + " " * 60_000, "1." * 30_000])
def test_parsers_take_linear_time(text: str) -> None:
    start = time.monotonic()
    for parser in (cells.PARSERS["id"][0], cells.PARSERS["MRR"][0], cells.PARSERS["WHEN_TIMESTAMP"][0]):
        with pytest.raises(faults.UnfitError):
            parser(text)
    assert time.monotonic() - start < 0.5


# What the three tables say of each other


def with_orphans(tables: Tables, rows: int) -> Tables:
    """A hundred usage rows, the last ones of two companies that nobody lists."""
    usage = pd.concat([tables[USAGE_ACTIONS]] * 2, ignore_index=True).head(100)
    usage.loc[usage.index[100 - rows :], "id"] = np.resize([900_001, 900_002], rows)
    return tables | {USAGE_ACTIONS: usage}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("rows", [0, 3])
def test_a_little_usage_of_no_company_is_warned_of(
    rows: int, tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    facts = cross_checks.check_orphans(with_orphans(tables, rows), tmp_path, 0.03)
    assert facts == {"rows": rows, "companies": min(rows, 2), "share": rows / 100}
    assert [(record.rows, record.share) for record in warnings_of(caplog)] == (  # type: ignore[attr-defined]
        [(3, 0.03)] if rows else []
    )


def test_much_usage_of_no_company_stops_the_load(tables: Tables, tmp_path: Path) -> None:
    write_export(tables, tmp_path)
    with pytest.raises(ExportError) as error:
        cross_checks.check_orphans(with_orphans(tables, 4), tmp_path, 0.03)
    assert str(error.value).startswith(
        f"{tmp_path}/usage_actions.csv: id: expected ids of customers or noncustomers in all rows but a "
        "share of 0.03; 4 rows (id 900001, id 900002, ...); found a share of 0.040 of others, "
    )
    assert "data.max_orphan_share" in str(error.value)


def test_customers_whose_ids_lost_digits_stop_the_load(
    project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    """In plain digits, which no parser can tell from whole ones: usage no longer finds its company."""
    cut = tables[CUSTOMERS].assign(id=tables[CUSTOMERS]["id"] // 1000 * 1000 + 10_000_000)
    write_export(tables | {CUSTOMERS: cut}, project / "export")
    (line,) = run_and_fail(project, caplog)
    assert f"no usage for {len(cut)} of {len(cut)} customers" in line


def test_how_much_usage_may_be_of_no_company_is_a_param(project: Path, tables: Tables) -> None:
    write_export(with_orphans(tables, 100), project / "export")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["max_orphan_share"] = 1.0
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    run(load.main)
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))
    assert facts["orphaned_usage"] == {"rows": 100, "companies": 2, "share": 1.0}


@pytest.mark.parametrize(
    ("ids", "warns"),
    [
        ([1234567890123450, 12345678901234600, 123456789012347000], True),  # 16, 17 and 18 digits
        ([1234567890123450, 12345678901234600, 123456789012347001], False),
        ([1234567890123450, 12345678901234610, 123456789012347000], False),
        ([1234567890123450, 1234567890123460], False),  # by chance
        ([100, 200, 300, 400], False),
    ],
)
def test_ids_of_which_a_spreadsheet_kept_15_digits_are_warned_of(
    ids: list[int], warns: bool, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    odd = tables[NONCUSTOMERS].copy()
    odd.loc[: len(ids) - 1, "id"] = ids
    cross_checks.warn_of_cut_ids(tables | {NONCUSTOMERS: odd})
    assert [record.table for record in warnings_of(caplog)] == (  # type: ignore[attr-defined]
        [NONCUSTOMERS] if warns else []
    )


def customers_first_seen(days_before_conversion: list[int]) -> Tables:
    """Customers with one usage row, all converted on a Thursday, and one who was there long before."""
    tables = tiny_export(companies=400)
    close = pd.Timestamp("2019-09-12")
    ids = [*range(1, len(days_before_conversion) + 1)]
    monday = [close - pd.Timedelta(days=days + 3) for days in days_before_conversion]
    usage = tables[USAGE_ACTIONS].head(len(ids) + 1)
    return tables | {
        CUSTOMERS: tables[CUSTOMERS].head(len(ids)).assign(id=ids, CLOSEDATE=close),
        USAGE_ACTIONS: usage.assign(id=[*ids, 999], WHEN_TIMESTAMP=[*monday, pd.Timestamp("2019-01-07")]),
    }


@pytest.mark.parametrize(
    ("days_before_conversion", "without", "warned"),
    [
        ([0] * 14 + [7] * 6, 0.7, True),  # in the week of the conversion, which is not over by then
        ([-7] * 14 + [7] * 6, 0.7, True),
        ([0] * 13 + [7] * 7, 0.65, False),
        ([7] * 20, 0.0, False),
        ([0] * 19, 1.0, False),  # too few to tell
    ],
)
def test_conversions_that_no_usage_precedes_are_warned_of(
    days_before_conversion: list[int], without: float, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    facts = cross_checks.usage_before_conversion(customers_first_seen(days_before_conversion))
    assert facts == {"customers": len(days_before_conversion), "without": without, "warned": warned}
    assert [
        "nothing precedes their conversions" in record.getMessage() for record in warnings_of(caplog)
    ] == ([True] if warned else [])


def test_customers_of_before_the_export_began_are_not_compared() -> None:
    """Their usage before the conversion is left out of the export, whatever CLOSEDATE means."""
    tables = customers_first_seen([0] * 30)
    early = tables[CUSTOMERS].assign(CLOSEDATE=pd.Timestamp("2019-01-13"))
    assert cross_checks.usage_before_conversion(tables | {CUSTOMERS: early})["customers"] == 0
    on_time = tables[CUSTOMERS].assign(CLOSEDATE=pd.Timestamp("2019-01-14"))
    assert cross_checks.usage_before_conversion(tables | {CUSTOMERS: on_time})["customers"] == 30


@pytest.mark.parametrize(
    ("labels", "companies", "words"),
    [
        (["Enterprise", "Enterprise", "SMB"], 3, "use the labels of one"),
        (["(No value)"], 1, "use the labels of one; where a value is missing, leave the cell empty"),
        (["Other", "other", "COMPUTER_SOFTWARE", None], 0, None),
    ],
)
def test_industries_of_neither_taxonomy_are_counted_and_warned_of(
    labels: list[str | None],
    companies: int,
    words: str | None,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
) -> None:
    industry = [*labels, *[None] * (len(tables[NONCUSTOMERS]) - len(labels))]
    odd = tables | {NONCUSTOMERS: tables[NONCUSTOMERS].assign(INDUSTRY=industry)}
    expected = {"companies": companies, "labels": len(set(labels)) if companies else 0}
    assert cross_checks.unlisted_industries(odd) == expected
    assert [words in record.getMessage() for record in warnings_of(caplog)] == ([True] if words else [])


def test_a_company_listed_twice_counts_once(tables: Tables) -> None:
    odd = tables[NONCUSTOMERS].assign(INDUSTRY=None)
    odd.loc[[0, 1], "INDUSTRY"] = ["Enterprise", "SMB"]
    odd.loc[1, "id"] = odd.loc[0, "id"]
    assert cross_checks.unlisted_industries(tables | {NONCUSTOMERS: odd}) == {"companies": 1, "labels": 2}


# The profile and the warning about ids


def test_profile_has_no_ids_and_is_deterministic(project: Path, tables: Tables) -> None:
    write_export(odd_rows(tables), project / "export")
    run(load.main)
    text = Path("metrics/data_quality.json").read_text(encoding="utf-8")
    assert not re.search(r"\b1000\d\d\b|\b999999\b", text)
    run(load.main)
    assert Path("metrics/data_quality.json").read_text(encoding="utf-8") == text
    usage = json.loads(text)[USAGE_ACTIONS]
    assert usage["rows"] == len(tables[USAGE_ACTIONS]) + 1
    assert usage["duplicate_keys"] == 1
    assert usage["columns"]["WHEN_TIMESTAMP"]["min"] == "2019-01-07"
    assert usage["columns"]["ACTIONS_EMAIL"]["min"] == -1
    noncustomers = json.loads(text)[NONCUSTOMERS]["columns"]
    assert noncustomers["INDUSTRY"]["missing_share"] == pytest.approx(0.7, abs=0.2)
    assert sum(noncustomers["EMPLOYEE_RANGE"]["most_frequent"].values()) <= 31


@pytest.mark.parametrize(
    ("customers", "noncustomers", "warns"),
    [
        ([1, 2, 3], [4, 5, 6], True),
        ([7, 8, 9], [1, 2, 3], True),
        ([1, 5, 9], [2, 3, 6, 8], False),
        ([4], [4], False),
    ],
)
def test_ids_that_tell_the_tables_apart_are_warned_of(
    tables: Tables,
    customers: list[int],
    noncustomers: list[int],
    warns: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = {
        CUSTOMERS: tables[CUSTOMERS].head(len(customers)).assign(id=customers),
        NONCUSTOMERS: tables[NONCUSTOMERS].head(len(noncustomers)).assign(id=noncustomers),
        USAGE_ACTIONS: tables[USAGE_ACTIONS].head(9).assign(id=customers[0]),
    }
    facts = origin_leaks.warn_of_tells(origin_leaks.separations(few), len(customers))
    assert facts["id_order"]["warned"] is warns
    assert facts["usage_row_order"]["roc_auc"] is None, "no row of a non-customer to compare with"
    text = "ids separate customers from non-customers"
    assert any(text in record.getMessage() for record in caplog.records) is warns


# The files of origin: 60 customers are enough to tell


def told(tables: Tables) -> dict[str, Any]:
    return origin_leaks.warn_of_tells(origin_leaks.separations(tables), len(tables[CUSTOMERS]))


def test_a_clean_export_tells_nothing_beside_behaviour(caplog: pytest.LogCaptureFixture) -> None:
    facts = told(tiny_export(companies=240))
    assert set(facts) == set(origin_leaks.TELLS)
    assert not any(fact["warned"] for fact in facts.values())
    assert caplog.records == []


@pytest.mark.parametrize("missing", [CUSTOMERS, NONCUSTOMERS])
def test_firmographics_filled_in_after_the_conversion_are_warned_of(
    missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever table has fewer of them, and whatever its usage."""
    tables = tiny_export(companies=240)
    poorer = tables[missing].assign(INDUSTRY=None)
    richer = {name: tables[name].assign(INDUSTRY="REAL_ESTATE") for name in contract_module.COMPANIES}
    facts = told({**tables, **richer, missing: poorer})
    assert facts["missing_firmographics"]["roc_auc"] > 0.9
    assert [name for name, fact in facts.items() if fact["warned"]] == ["missing_firmographics"]
    (record,) = caplog.records
    assert "filled in when a company converted" in record.getMessage()


def test_missing_firmographics_that_usage_explains_are_not_warned_of() -> None:
    """Companies that were never seen lack a size, and none of them converted."""
    tables = tiny_export(companies=400)
    used = set(tables[USAGE_ACTIONS]["id"])
    for name in contract_module.COMPANIES:
        unseen = ~tables[name]["id"].isin(used)
        tables[name] = tables[name].assign(EMPLOYEE_RANGE=np.where(unseen, None, "1"), INDUSTRY=None)
    auc = told(tables)["missing_firmographics"]["roc_auc"]
    assert auc == pytest.approx(0.5, abs=0.1)
    missing = pd.concat(
        [tables[name].assign(customer=name == CUSTOMERS) for name in contract_module.COMPANIES]
    )
    alone = origin_leaks.separation(missing["EMPLOYEE_RANGE"].notna(), missing["customer"])
    assert alone > 0.6, "without regard to usage they would be"


def test_usage_rows_in_the_order_of_the_tables_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    tables = tiny_export(companies=240)
    usage = tables[USAGE_ACTIONS]
    last = usage["id"].isin(tables[CUSTOMERS]["id"])
    facts = told({**tables, USAGE_ACTIONS: pd.concat([usage[~last], usage[last]], ignore_index=True)})
    assert facts["usage_row_order"] == {"roc_auc": 1.0, "low": 0.35, "high": 0.65, "warned": True}
    assert "the order of rows in usage_actions" in caplog.text
    assert len(caplog.records) == 1


def test_usage_rows_in_the_order_of_time_tell_nothing() -> None:
    """Customers' rows are later, as usage grows before a conversion; within a week they are not."""
    tables = tiny_export(companies=240)
    by_time = tables[USAGE_ACTIONS].sort_values("WHEN_TIMESTAMP", kind="stable", ignore_index=True)
    assert not told({**tables, USAGE_ACTIONS: by_time})["usage_row_order"]["warned"]


def test_few_customers_prove_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tables = tiny_export(companies=40)
    richer = tables[CUSTOMERS].assign(INDUSTRY="REAL_ESTATE")
    poorer = tables[NONCUSTOMERS].assign(INDUSTRY=None)
    fact = told({**tables, CUSTOMERS: richer, NONCUSTOMERS: poorer})["missing_firmographics"]
    assert fact["roc_auc"] > fact["high"]
    assert not fact["warned"]
    assert caplog.records == []


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 2)), min_size=1, max_size=40))
def test_separation_counts_the_pairs_within_a_stratum(rows: list[tuple[int, bool, int]]) -> None:
    score, customer, stratum = (pd.Series(column) for column in zip(*rows, strict=True))
    pairs = [
        (first[0] > second[0]) + (first[0] == second[0]) / 2
        for first, second in itertools.product(rows, rows)
        if first[1] and not second[1] and first[2] == second[2]
    ]
    found = origin_leaks.separation(score, customer, stratum)
    assert found == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found)


def test_what_tells_the_files_apart_is_recorded(project: Path, tables: Tables) -> None:
    write_export(tables, project / "export")
    run(load.main)
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))["file_of_origin"]
    assert {name: fact["warned"] for name, fact in facts.items()} == dict.fromkeys(origin_leaks.TELLS, False)
    assert all(fact["low"] < fact["roc_auc"] < fact["high"] for fact in facts.values())


def test_shuffled_ids_give_no_warning(
    project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    write_export(tables, project / "export")
    run(load.main)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_real_export(tmp_path: Path) -> None:
    folder = os.environ.get("CRM_EXPORT_DIR")
    if folder is None:
        pytest.skip("CRM_EXPORT_DIR is not set")
    loaded = export.read_export(Path(folder))
    again = export.read_export(write_export(loaded, tmp_path, ".parquet"))
    for name, table in loaded.items():
        assert tuple(table) == COLUMNS[name]
        assert len(table) > 0
        pd.testing.assert_frame_equal(again[name], table)


def test_a_sample_that_was_not_made_is_told_with_the_stage_that_makes_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_bytes((root / "dvc.yaml").read_bytes())
    with pytest.raises(
        ExportError, match=r"found nothing; .*, or run 'dvc repro simulate', which writes this one$"
    ):
        export.read_export(Path("data/sample"))
