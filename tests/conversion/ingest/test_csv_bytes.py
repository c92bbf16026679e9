from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from conversion.ingest import csv_bytes, export
from conversion.runtime.errors import ExportError
from tests.broken_exports import Broken, Tables, check_that_load_stops, edit, line, notes_column
from tests.contract_files import hubspot
from tests.exports import COLUMNS, NONCUSTOMERS, write_export

BROKEN = [
    # other files
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
        ("at most 65536 bytes, except in columns that are ignored", "line 6"),
    ),
    Broken(
        "lost quote in a column that is ignored",
        edit("noncustomers.csv", lambda data: notes_column(data, b'"' + b"x" * 70_000, b'end"')),
        "noncustomers.csv",
        "the file",
        ("at most 65536 bytes, except in columns that are ignored", "a stray quote", "line 2"),
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_load_stops(case, project, tables, caplog)


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
        export.read_export(folder, hubspot())
    ragged, missing, broken = str(error.value).splitlines()
    assert "(line 4)" in ragged
    assert "id 900001" in missing
    assert "control" in missing
    assert "(line 8)" in broken


@pytest.mark.parametrize("size", [70_000, 3_000_000])
@pytest.mark.parametrize("row", [0, 15])
def test_a_long_text_in_a_column_that_is_ignored_is_ignored(
    size: int, row: int, tables: Tables, tmp_path: Path
) -> None:
    folder = write_export(tables, tmp_path)
    notes = [*[b""] * row, b'"' + b'Said ""no"", twice.\n' * (size // 20) + b'"', b"short"]
    edit("noncustomers.csv", lambda data: notes_column(data, *notes))(folder)
    pd.testing.assert_frame_equal(
        export.read_export(folder, hubspot()).tables[NONCUSTOMERS], tables[NONCUSTOMERS]
    )


@pytest.mark.parametrize("rows", [b",,,\n", b",,,\n" * 3, b',"", ,\n\n,\n', b" , , ,"])
def test_empty_rows_at_the_end_are_skipped(
    rows: bytes, tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = write_export(tables, tmp_path)
    edit("noncustomers.csv", lambda data: data + rows)(folder)
    pd.testing.assert_frame_equal(
        export.read_export(folder, hubspot()).tables[NONCUSTOMERS], tables[NONCUSTOMERS]
    )
    (record,) = caplog.records
    assert record.getMessage() == "empty rows at the end skipped"
    assert record.count == len([row for row in rows.split(b"\n") if row])  # type: ignore[attr-defined]


def test_a_table_of_empty_rows_has_none(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    edit("noncustomers.csv", lambda data: data[: data.index(b"\n") + 1] + b",,,\n" * 1000)(folder)
    with pytest.raises(ExportError, match="found nothing but the header"):
        export.read_export(folder, hubspot())
