"""The files of a list with text ids, columns to show, flags and dates."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from commands.first_leads import first_rows
from conversion.config.data_contract import Contract
from conversion.leads.converted import ConvertedCompanies
from conversion.leads.lead_columns import converted_columns, lead_columns
from conversion.leads.lead_files import (
    FOLDER,
    USAGE,
    RankedBlocks,
    Sources,
    read_lead_files,
    write_lead_files,
)
from conversion.leads.lead_list import RankedLeads
from conversion.leads.lead_tables import DECIMALS
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import write_json, write_parquet
from tests.contract_files import hubspot, projects
from tests.conversion.leads.accounts import (
    EVIDENCE,
    INVOICES,
    PROSPECTS,
    accounts,
    changed,
    given_model,
    prospects,
    weekly_usage,
)
from tests.lead_files import hash_anew
from tests.lead_lists import lead_list
from tests.pipeline import small_params
from tests.serving import SHA256

FORMATS = ("csv", "json", "parquet")
SCORE = small_params(score__top_n=3, score__mrr_prior=1.0).score
CONVERTED = ConvertedCompanies(
    pd.DataFrame(
        {"id": ["p-1"], "as_of": ["2019-04-29"], "converted": ["2019-05-01"], "name": ["a"], "owner": [None]}
        | {"country": ["US"], "plan": ["team"], "head_count": [5.0], "is_partner": [None]}
    ).astype({"owner": "str", "is_partner": "boolean"}),
    pd.DataFrame({"id": ["p-1"], "base": [-3.0], "module:invoices": [0.25]}),
)


def nobody(contract: Contract) -> ConvertedCompanies:
    contributions = pd.DataFrame({"id": pd.Series([], dtype="str"), "base": pd.Series([], dtype="float64")})
    return ConvertedCompanies(pd.DataFrame(columns=list(converted_columns(contract))), contributions)


def ranked(contract: Contract | None = None, **columns: Any) -> RankedLeads:
    model = given_model() if contract is None else given_model(contract, (INVOICES,))
    companies = accounts(contract, **columns)
    return lead_list(model, prospects(companies, contract=contract), EVIDENCE, SCORE)


def leads_of(contract: Contract | None = None, **columns: Any) -> pd.DataFrame:
    return ranked(contract, **columns).leads


def write(folder: Path, file_format: str, leads: pd.DataFrame, converted: Any = CONVERTED) -> Path:
    """Write a list as ``score`` does; return its folder."""
    usage, evidence = folder / "clean.parquet", folder / "evidence.json"
    write_parquet(usage, weekly_usage())
    write_json(evidence, EVIDENCE.model_dump(by_alias=True))
    about = {"as_of": "2020-02-10", "model_sha256": SHA256, "inputs": {}}
    score = SCORE.model_copy(update={"format": file_format})
    listed = dataclasses.replace(ranked(), leads=leads)
    write_lead_files(folder, RankedBlocks.of(listed), converted, score, Sources(usage, evidence), about)
    return folder / FOLDER


def read(folder: Path, contract: Contract | None = None) -> pd.DataFrame:
    found = read_lead_files(folder, projects() if contract is None else contract)
    assert found is not None
    pd.testing.assert_frame_equal(found.usage, weekly_usage())
    return found.leads


def cells(table: pd.DataFrame) -> list[list[object]]:
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_list_is_read_as_it_was(tmp_path: Path, file_format: str) -> None:
    leads = leads_of()
    write(tmp_path, file_format, leads)
    found = read(tmp_path)
    assert tuple(found) == (*lead_columns(projects()), "rep", "moved")
    assert found[["rep", "moved"]].isna().all(axis=None)
    assert cells(found.drop(columns=["rep", "moved"])) == cells(leads.round(DECIMALS))
    assert found["id"].tolist() == ["0042", "007", "=1+1", "acme-1"]
    assert found["is_partner"].dtype == "boolean"


@pytest.mark.parametrize("file_format", FORMATS)
def test_dates_groups_and_names_that_look_like_something_else_stay_as_they_are(
    tmp_path: Path, file_format: str
) -> None:
    def edit(contract: dict[str, Any]) -> None:
        contract["companies"]["shown"] = ["created_at", "modified", "date"]
        contract["companies"]["attributes"] = {
            "first_invoice": {"kind": "date"},
            "country": {"kind": "category", "groups": {"None": ["DE"]}, "feature": REGION},
            "plan": {"kind": "ordered", "levels": ["free", "team", "business"]},
        }

    contract = changed(edit)
    days = pd.to_datetime(pd.Series(["2020-01-31", None, "2019-12-24", "2020-02-02", *[None] * 3]))
    shown = ["2020-01-01", "1580515200", "True", "1e5", "x", "y", "z"]
    texts = {name: pd.Series(shown, dtype="str") for name in ("created_at", "modified", "date")}
    leads = leads_of(contract, first_invoice=days, **texts)
    write(tmp_path, file_format, leads, nobody(contract))
    found = read(tmp_path, contract).set_index("id").loc[list(PROSPECTS)]
    for name in texts:
        assert found[name].tolist() == shown[:4]
    assert found["first_invoice"].fillna("").tolist() == ["2020-01-31", "", "2019-12-24", "2020-02-02"]
    assert found["region"].tolist() == ["None", "Unknown", "FR", "None"]


REGION = {"name": "region", "description": "part of the world"}


def test_no_cell_of_a_csv_is_a_formula_not_even_an_id(tmp_path: Path) -> None:
    folder = write(tmp_path, "csv", leads_of())
    with (folder / "leads.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [cell for row in rows for column, cell in row.items() if column not in ("fit", "activity")]
    assert not [cell for cell in found if re.match(r"\s*[=+\-@]|[\t\r\n]", cell)]
    assert [row["id"] for row in rows] == ["0042", "007", "'=1+1", "acme-1"]
    assert [row["name"] for row in rows] == ["", 'Müller, Söhne & Co. "M"', " kept ", "'=SUM(A1)"]
    assert [row["owner"] for row in rows] == ["'-", "", "007", "Ann"]
    assert [row["is_partner"] for row in rows] == ["False", "True", "", "False"]


@pytest.mark.parametrize(
    "text", ["two\nlines", "two\r\nlines", "old\rMac", 'a "b", c', "\u2028", "\ttab", "None"]
)
@pytest.mark.parametrize("file_format", FORMATS)
def test_shown_text_survives_whatever_is_in_it(tmp_path: Path, file_format: str, text: str) -> None:
    leads = leads_of().assign(name=text)
    write(tmp_path, file_format, leads)
    assert read(tmp_path)["name"].tolist() == [text] * 4


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_first_leads_are_printed_without_formulas(tmp_path: Path, file_format: str) -> None:
    leads = leads_of()
    folder = write(tmp_path, file_format, leads)
    text = first_rows(folder / f"top_leads.{file_format}", 2)
    header, first, *_ = text.splitlines()
    assert header == ",".join(lead_columns(projects()))
    assert first.startswith("1,0042,0.9,very_high,")
    assert leads["reason_1"].iloc[0] in first


def spoil(folder: Path, column: str, value: Any) -> None:
    """Replace a cell of the third row of a JSON list, and hash anew."""
    path = folder / "leads.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    rows[2][column] = value
    path.write_text(json.dumps(rows), encoding="utf-8")
    hash_anew(folder)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("id", 7, "id: given 7 in row 3, should be text"),
        ("id", None, "id: given nothing in row 3, should be a value in each row"),
        ("id", "007", "id: given '007' in row 3, should be each company once"),
        ("name", 7, "name: given 7 in row 3, should be text"),
        ("head_count", "many", "head_count: given 'many' in row 3, should be a number"),
        ("is_partner", "yes", "is_partner: given 'yes' in row 3, should be True or False"),
        ("is_partner", 1, "is_partner: given 1 in row 3, should be True or False"),
        ("country", 1, "country: given 1 in row 3, should be text"),
    ],
)
def test_a_value_of_another_kind_is_refused(tmp_path: Path, column: str, value: Any, says: str) -> None:
    spoil(write(tmp_path, "json", leads_of()), column, value)
    with pytest.raises(ArtifactError, match=re.escape(says)):
        read(tmp_path)


def test_a_flag_in_a_csv_is_true_or_false(tmp_path: Path) -> None:
    folder = write(tmp_path, "csv", leads_of())
    path = folder / "leads.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",True,", ",maybe,"), encoding="utf-8")
    hash_anew(folder)
    with pytest.raises(ArtifactError, match="is_partner: given 'maybe' in row 2, should be True or False"):
        read(tmp_path)


def test_a_list_of_another_contract_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "csv", leads_of())
    with pytest.raises(ArtifactError, match="lacks the columns ALEXA_RANK, EMPLOYEE_RANGE, INDUSTRY, sector"):
        read_lead_files(tmp_path, hubspot())


def test_usage_of_another_contract_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, "csv", leads_of())
    write_parquet(folder / USAGE, weekly_usage().drop(columns="automation_runs"))
    hash_anew(folder)
    with pytest.raises(InputError, match="it lacks the columns automation_runs"):
        read_lead_files(tmp_path, projects())
