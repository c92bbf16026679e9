from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commands import draft_contract
from conversion.config.contract_file import load_contract
from conversion.ingest import draft_files
from conversion.ingest.draft_tables import read_samples
from conversion.runtime.cli import run
from conversion.runtime.errors import ExportError, UsageError
from tests.drafts import drafted, projects_export, write


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["draft_contract", *map(str, arguments)])
    draft_contract.main()


def test_a_draft_is_written_and_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "export", projects_export())
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        command(monkeypatch, folder)
    out = tmp_path / "contracts/mine.yaml"
    text = out.read_text(encoding="utf-8")
    assert load_contract(out).companies.converted == "paid_since"
    assert "draft written" in caplog.text
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.yaml: exists; --force overwrites it"):
        command(monkeypatch, folder)
    assert out.read_text(encoding="utf-8") == "mine"
    command(monkeypatch, folder, "--force")
    assert out.read_text(encoding="utf-8") == text
    command(monkeypatch, folder, "--out", tmp_path / "other.yaml")
    assert (tmp_path / "other.yaml").read_text(encoding="utf-8") == text
    assert [path.name for path in out.parent.iterdir()] == ["mine.yaml"]
    with pytest.raises(UsageError, match=r"should be a \.yaml file"):
        command(monkeypatch, folder, "--out", "notes.txt")


def test_what_could_not_be_told_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tables = projects_export()
    tables["accounts"] = tables["accounts"].drop(columns=["created", "cancelled"])
    command(monkeypatch, write(tmp_path, tables), "--out", tmp_path / "draft.yaml")
    told = [record.message for record in caplog.records]
    assert "signed_up: no such column was found; null means that it is not recorded" in told
    assert "ended: no such column was found; null means that it is not recorded" in told


@pytest.mark.parametrize("kind", ["none", "file", "empty", "other"])
def test_a_folder_without_tables_is_one_message(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "export"
    if kind == "file":
        folder.write_text("", encoding="utf-8")
    elif kind != "none":
        folder.mkdir()
    if kind == "other":
        (folder / "notes.pdf").write_bytes(b"%PDF")
    monkeypatch.setattr(sys, "argv", ["x", str(folder), "--out", str(tmp_path / "draft.yaml")])
    with pytest.raises(SystemExit) as stopped:
        run(draft_contract.main)
    assert stopped.value.code == 1
    lines = [record.message for record in caplog.records]
    assert len(lines) == 1
    assert str(folder) in lines[0]
    assert not (tmp_path / "draft.yaml").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_dialects_of_csv(encoding: str, separator: str, tmp_path: Path) -> None:
    tables = projects_export(companies=60)
    tables["accounts"]["größe"] = ["klein", "groß", "süß"] * 20
    expected, _ = drafted(tmp_path / "plain", tables)
    write(tmp_path / "other", tables, sep=separator, encoding=encoding)
    contract, draft = drafted(tmp_path / "other")
    assert contract == expected
    assert "größe" in contract.companies.attributes
    told = any(note.startswith("accounts: read as ") for note in draft.notes)
    assert told == (separator != "," or encoding not in ("utf-8", "utf-8-sig"))
    assert told == any("load reads only UTF-8 separated by commas" in note for note in draft.notes)


def test_numbers_and_dates_of_other_countries(tmp_path: Path) -> None:
    tables = projects_export()
    table = tables["accounts"]
    for name in ("created", "paid_since", "cancelled"):
        table[name] = pd.to_datetime(table[name]).dt.strftime("%d.%m.%Y")
    table["arr"] = table["arr"].map(
        lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")), "ignore"
    )
    table["head_count"] = table["head_count"].map("{:,}".format)
    contract, draft = drafted(tmp_path / "a", {**tables, "accounts": table})
    companies = contract.companies
    assert (companies.signed_up, companies.converted, companies.ended, companies.value) == (
        "created", "paid_since", "cancelled", "arr",
    )  # fmt: skip
    assert companies.attributes["head_count"].kind == "number"
    notes = "\n".join(draft.notes)
    assert "paid_since: dates like 31.12.2019; load reads dates like 2019-12-31" in notes
    assert "head_count: whole values with thousands separators" in notes


def test_a_hint_for_excel_and_a_header_in_quotes(tmp_path: Path) -> None:
    tables = projects_export()
    write(tmp_path, tables, sep=";", quoting=1)
    path = tmp_path / "accounts.csv"
    path.write_bytes(b"sep=;\r\n" + path.read_bytes())
    contract, _ = drafted(tmp_path)
    assert contract.companies.converted == "paid_since"


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"PK\x03\x04rest", "it is an Excel workbook"),
        ("a.csv", b"1,ann@example.com\n2,bob@example.com\n", "line 1 holds a number, a date or an address"),
        ("a.parquet", b"nonsense", "it is no Parquet table, or damaged"),
        ("a.parquet", b"", "it is no Parquet table, or damaged"),
    ],
)
def test_files_that_are_no_tables(name: str, data: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ExportError, match=why) as raised:
        read_samples(tmp_path)
    assert "example.com" not in str(raised.value)
    write(tmp_path, projects_export())
    samples, notes = read_samples(tmp_path)
    assert [sample.name for sample in samples] == ["accounts", "weekly_usage"]
    assert why in notes[0]


def test_excel_without_its_reader_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(
        ExportError, match=r"book\.xlsx: not read: Excel needs openpyxl: pip install openpyxl"
    ):
        read_samples(tmp_path)


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    tables = projects_export()
    expected, _ = drafted(tmp_path / "csv", tables)
    (tmp_path / "excel").mkdir()
    with pd.ExcelWriter(tmp_path / "excel/book.xlsx") as book:
        for name, table in tables.items():
            table.to_excel(book, sheet_name=name, index=False)
    contract, draft = drafted(tmp_path / "excel")
    assert contract == expected
    assert "accounts: save it as accounts.csv: load reads no Excel" in draft.notes


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_no_more_than_the_first_rows_are_read(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_files, "MAX_ROWS", 1000)
    table = pd.DataFrame({"id": range(50_000), "seats": 5})
    getattr(table, f"to_{suffix}")(tmp_path / f"a.{suffix}", index=False)
    (sample,), _ = read_samples(tmp_path)
    assert len(sample.columns) == 1000
    assert sample.notes == ("the first 1,000 rows were looked at",)
    monkeypatch.setattr(draft_files, "MAX_CELLS", 200)
    (sample,), _ = read_samples(tmp_path)
    assert len(sample.columns) == 100


def test_the_same_table_twice_is_reported(tmp_path: Path) -> None:
    tables = projects_export()
    write(tmp_path, tables)
    tables["accounts"].to_parquet(tmp_path / "accounts.parquet")
    _, notes = read_samples(tmp_path)
    assert notes == ["accounts.parquet: not read: there is another table accounts; keep one of them"]


def test_a_late_byte_of_another_encoding_and_a_totals_row(tmp_path: Path) -> None:
    tables = projects_export()
    expected, _ = drafted(tmp_path / "plain", tables)
    path = write(tmp_path / "other", tables) / "accounts.csv"
    rows = b"99999,2024-01-05,,,,M\xfcller,Ann,Chile,free,3,yes\nTotal,,,,12345,,,,,99,\nbroken,row\n"
    path.write_bytes(path.read_bytes() + rows)
    contract, draft = drafted(tmp_path / "other")
    assert contract == expected
    assert "accounts: not looked at: 1 row with too many or too few fields" in draft.notes


def test_a_log_with_one_name_of_an_event_is_drafted(tmp_path: Path) -> None:
    tables = projects_export()
    rng = np.random.default_rng(0)
    times = pd.Series(pd.date_range("2024-03-01", periods=3000, freq="37min"))
    events = pd.DataFrame(
        {
            "account_id": rng.choice(tables["accounts"]["account_id"], 3000),
            "at": times.astype(str),
            "event": "open",
        }
    )
    contract, draft = drafted(tmp_path, {"accounts": tables["accounts"], "events": events})
    usage = contract.usage
    assert (usage.table, usage.grain, usage.event, list(usage.modules)) == (
        "events",
        "event",
        "event",
        ["open"],
    )
    assert not [note for note in draft.notes if note.startswith("table events")]
