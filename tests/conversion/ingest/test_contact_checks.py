from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.ingest.contact_checks import check_contacts, private_columns
from conversion.ingest.cross_checks import check_other_orphans
from conversion.ingest.export import read_export
from conversion.runtime.errors import ExportError
from tests.contract_files import ROOT
from tests.exports import tiny_export, write_export

HEADER = "id,when,rep,channel,outcome,reason\n"


def contract() -> Contract:
    return load_contract(ROOT / "contracts/hubspot_contacts.yaml")


def export_with(folder: Path, rows: str) -> Path:
    write_export(tiny_export(), folder)
    (folder / "contacts.csv").write_text(HEADER + rows, encoding="utf-8")
    return folder


def test_contacts_are_read_as_days_and_words(tmp_path: Path) -> None:
    rows = "100001,2019-03-04 17:30:00,Ann,phone, Talked ,\n100002,2019-03-05,Bo,,,\n"
    rows += "100003,2035-01-01,,,voicemail,\n"
    tables = read_export(export_with(tmp_path, rows), contract()).tables
    assert tables["contacts"]["when"].iloc[0] == pd.Timestamp("2019-03-04")
    assert check_contacts(tables, contract()) == {
        "contact_outcomes": {
            "talking": 1, "refused": 0, "reached": 0, "missed": 2, "missing": 1, "after_the_export": 1,
        }
    }  # fmt: skip


def test_a_table_without_rows_is_right(tmp_path: Path) -> None:
    tables = read_export(export_with(tmp_path, ""), contract()).tables
    assert tables["contacts"].empty
    facts = check_other_orphans(tables, contract(), tmp_path, 0.05)
    assert facts["orphaned_contacts"] == {"rows": 0, "companies": 0, "share": 0.0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("100001,2019-03-04,,,sold,\n", "outcome: expected one of 'talked', .* found 'sold'"),
        ("100001,,,,talked,\n", "when: expected a value"),
        ("100001,4.3.2019,,,talked,\n", r"when: expected a date.* found '4\.3\.2019'"),
        ("x,2019-03-04,,,talked,\n", "id: expected a whole number"),
    ],
)
def test_mistakes(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read_export(export_with(tmp_path, row), contract())


def test_too_many_contacts_of_no_company_stop_the_load(tmp_path: Path) -> None:
    tables = read_export(export_with(tmp_path, "5,2019-03-04,,,talked,\n"), contract()).tables
    with pytest.raises(ExportError, match=r"a share of 1\.000 of others"):
        check_other_orphans(tables, contract(), tmp_path, 0.05)


def test_who_called_and_why_they_refused_is_in_no_report() -> None:
    assert private_columns(contract()) == ("rep", "reason")
