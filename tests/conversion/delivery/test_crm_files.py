"""Files for CRMs, spreadsheets and reps: the bytes that imports take, and what they change."""

from __future__ import annotations

import csv
import datetime as dt
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.deliver_params import Deliver
from conversion.config.params_file import load_params
from conversion.delivery.crm_excel import cell
from conversion.delivery.crm_files import changes, file_changes, file_name, out_files, read_files, write_files
from conversion.delivery.crm_table import CrmError
from tests.contract_files import ROOT

AS_OF = dt.date(2020, 4, 27)
COMPANIES = pd.DataFrame(
    {
        "id": ["007", "12345678901234567890", "B2"],
        "rank": [2, 1, 3],
        "probability": [0.25, 0.5, 0.125],
        "tier": ["high", "very_high", "low"],
        "place": pd.array([2, 1, None], dtype="Int64"),
        "rep": pd.array(["EMEA/North", "Ann", None], dtype="str"),
        "expected_mrr": [100.456, 200.0, 1.0],
        "reason_1": ['Six "heavy" users, up from two', "=HYPERLINK(0)", None],
        "reason_2": pd.array([None, "Zoë\nworks there", None], dtype="str"),
        "reason_3": pd.array([None, None, None], dtype="str"),
        "caution": pd.array([None, None, None], dtype="str"),
        "moved": pd.array([None, "New on the list", None], dtype="str"),
        "domain": pd.array(["a.example", None, "c.example"], dtype="str"),
    }
)


def deliver(*formats: str, **of_crm: dict[str, str]) -> Deliver:
    """Return the params of the project with these formats."""
    given = load_params(str(ROOT / "params.yaml")).deliver.model_dump()
    for name, changed in of_crm.items():
        given["crm"][name].update(changed)
    return Deliver.model_validate({**given, "formats": formats})


def made(name: str, companies: pd.DataFrame = COMPANIES, **of_crm: dict[str, str]) -> bytes:
    return out_files(companies, AS_OF, deliver(name, **of_crm)).files[f"crm/{name}.csv"]


def test_salesforce_gets_api_names_line_feeds_and_na_for_null() -> None:
    header = (
        "Company_Id__c,Conversion_Place__c,Conversion_Probability__c,Conversion_Tier__c,"
        "Conversion_Expected_Mrr__c,Conversion_Rep__c,Conversion_Reason_1__c,Conversion_Reason_2__c,"
        "Conversion_Reason_3__c,Conversion_Caution__c,Conversion_Moved__c,Conversion_As_Of__c\n"
    )
    first = '12345678901234567890,1,0.500000,very_high,200.00,Ann,=HYPERLINK(0),"Zoë\nworks there",'
    second = '007,2,0.250000,high,100.46,EMEA/North,"Six ""heavy"" users, up from two",#N/A,'
    of_first, of_second = "#N/A,#N/A,New on the list,2020-04-27\n", "#N/A,#N/A,#N/A,2020-04-27\n"
    assert made("salesforce").decode() == header + first + of_first + second + of_second


def test_hubspot_matches_by_domain_and_leaves_out_who_has_none() -> None:
    by_domain = {"hubspot": {"key": "domain", "key_header": "Company Domain Name"}}
    found = out_files(COMPANIES, AS_OF, deliver("hubspot", **by_domain))
    rows = list(csv.DictReader(StringIO(found.files["crm/hubspot.csv"].decode(), newline="")))
    assert [row["Company Domain Name"] for row in rows] == ["a.example"]
    assert rows[0]["conversion_probability"] == "0.250000"
    assert rows[0]["conversion_reason_2"] == ""
    (warning,) = found.warnings
    assert warning == (
        "crm/hubspot.csv: 1 companies of the call list are not in it, they have no domain "
        "(deliver.crm.hubspot.key): 12345678901234567890"
    )


def test_a_record_id_is_a_whole_number() -> None:
    with pytest.raises(CrmError, match=r"id has 'B2', but a Record ID of HubSpot is a whole number"):
        made("hubspot", COMPANIES.assign(place=pd.array([1, 2, 3], dtype="Int64")))


def test_dynamics_gets_a_mark_crlf_and_plain_headings() -> None:
    content = made("dynamics")
    assert content.startswith(b"\xef\xbb\xbfAccount Number,Conversion place,Conversion probability,")
    assert content.count(b"\r\n") == 3
    with pytest.raises(CrmError, match=r"deliver.crm.dynamics.key_header: given 'a,b', should have no comma"):
        made("dynamics", dynamics={"key_header": "a,b"})


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "dynamics"])
def test_a_key_must_be_a_column_and_distinct(name: str) -> None:
    own: dict[str, Any] = {name: {"key": "website"}}
    with pytest.raises(CrmError, match=rf"deliver.crm.{name}.key: given 'website', should be id or a shown"):
        made(name, **own)
    own = {name: {"key": "domain", "key_header": "Domain"}}
    same = COMPANIES.assign(domain=["A.example", "a.example", "c"])
    with pytest.raises(CrmError, match=r"companies 12345678901234567890 and 007 of .* have the same"):
        made(name, same, **own)


def test_excel_keeps_ids_and_runs_nothing() -> None:
    content = made("excel")
    assert content.startswith(b"\xef\xbb\xbfplace,id,rep,")
    rows = list(csv.DictReader(StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["id"] for row in rows] == ['="12345678901234567890"', '="007"']
    assert rows[0]["reason_1"] == "'=HYPERLINK(0)"
    assert rows[0]["probability"] == "0.500000"
    assert rows[1]["as_of"] == "2020-04-27"
    assert b"\r\n" in content
    assert "rank" not in rows[0]


@given(st.text())
def test_no_cell_of_text_is_a_formula_that_does_anything(text: str) -> None:
    written = cell(text, is_text=True) or ""
    if written.startswith("="):
        assert written == f'="{text}"'
        assert '"' not in text
    else:
        assert not written.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
        assert written.removeprefix("'") in (text, text.removeprefix("'"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("00123", '="00123"'),
        ("1-2", '="1-2"'),
        ("1E5", '="1E5"'),
        ("true", '="true"'),
        ("-5", '="-5"'),
        ("+33 1 23", '="+33 1 23"'),
        ("-5+cmd()", "'-5+cmd()"),
        ("B2", "B2"),
        ("2020-04-27", "2020-04-27"),
        ("2 to 5", "2 to 5"),
        ("6 to 10", "6 to 10"),
        ("Nine took 3 actions last week", "Nine took 3 actions last week"),
        ("Jan 5", '="Jan 5"'),
        ("retail", "retail"),
    ],
)
def test_only_what_a_spreadsheet_would_convert_is_a_constant(text: str, written: str) -> None:
    assert cell(text, is_text=True) == written


def test_each_rep_gets_a_file_with_the_own_calls() -> None:
    files = out_files(COMPANIES, AS_OF, deliver()).files
    assert sorted(files) == ["reps/Ann.csv", "reps/EMEA%2FNorth.csv"]
    assert b'"007"' not in files["reps/Ann.csv"]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique=True))
def test_file_names_are_safe_and_differ(names: list[str]) -> None:
    safe = [file_name(name) for name in names]
    assert safe[0] != safe[1]
    for name in safe:
        assert not set(name) & set('/\\:*?"<>|\0\n')
        assert not name.startswith(".")
        assert len(f"{name}.csv".encode()) <= 255


def test_a_dry_run_counts_rows_and_columns_and_shows_the_first() -> None:
    before = b"Key,A,B\n1,x,y\n2,x,y\n3,x,y\n"
    after = b"Key,A,C\n1,z,y\n2,x,y\n4,x,\n"
    assert file_changes("crm/x.csv", before, after).splitlines() == [
        "crm/x.csv: 3 rows, 1 new, 1 gone, 2 changed",
        "  columns new: C",
        "  columns gone: B",
        "  by column: A 1",
        "  new: 4",
        "  gone: 3",
        "  changed: 1 (A: x -> z, 1 more); 2 (C: empty -> y)",
    ]
    assert changes({"a": before}, {"a": before, "b": after}) == "a: unchanged, 3 rows\nb: new file, 3 rows"
    assert changes({"a": before}, {}) == "a: no longer written, had 3 rows"


def test_written_files_are_those_that_are_read_and_old_ones_go(tmp_path: Path) -> None:
    write_files(tmp_path, out_files(COMPANIES, AS_OF, deliver("excel", "salesforce")))
    now = out_files(COMPANIES.assign(rep="Ann"), AS_OF, deliver("excel"))
    write_files(tmp_path, now)
    assert read_files(tmp_path) == now.files


@pytest.mark.parametrize(
    "edited",
    [b"", "id;place\r\n1;2\r\n".encode("utf-16"), b"id,place\n1\n", b"place,id\n1\n", b'id\n"1'],
    ids=["empty", "UTF-16", "short row", "row without key", "open quotation mark"],
)
def test_a_file_that_a_spreadsheet_saved_is_replaced_without_a_comparison(edited: bytes) -> None:
    new = made("excel")
    assert file_changes("crm/excel.csv", edited, new) == (
        "crm/excel.csv: 2 rows; the last one was edited and cannot be compared"
    )
    assert file_changes("reps/Ann.csv", edited, None) == (
        "reps/Ann.csv: no longer written; the last one was edited and cannot be compared"
    )


def test_changes_name_a_company_as_a_spreadsheet_shows_it() -> None:
    before, after = b'id,place\n"=""007""",1\n"=""1e5""",2\n', b'id,place\n"=""007""",2\n"=""12""",1\n'
    assert file_changes("reps/Ann.csv", before, after).splitlines()[-3:] == [
        "  new: 12",
        "  gone: 1e5",
        "  changed: 007 (place: 1 -> 2)",
    ]
