"""An export in parts: the same tables, report and messages as of one that is read as a whole."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conversion.config.params_file import load_params
from conversion.ingest import chunks
from conversion.ingest.tables import read_chunks
from conversion.runtime.cli import run
from conversion.stats.hashing import part_of
from stages import clean, load
from tests.broken_exports import Broken, Tables, lay_out_params, overlapping, with_orphans, written
from tests.contract_files import ROOT
from tests.conversion.ingest import test_cells, test_checks, test_csv_bytes, test_export, test_tables
from tests.exports import (
    CUSTOMERS,
    USAGE_ACTIONS,
    projects_export,
    tiny_export,
    write_export,
)
from tests.pipeline import dirty_export

PARTS = 3
MODULES = (test_cells, test_checks, test_csv_bytes, test_export, test_tables)
CASES = [case for module in MODULES for case in module.BROKEN]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run the stage in, whose params point at its ``export``; chunks are small."""
    lay_out_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    small = partial(read_chunks, chunk_bytes=1000, chunk_rows=17)
    monkeypatch.setattr(chunks, "read_chunks", small)
    return tmp_path


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tiny_export(companies=40, weeks=12)


def in_parts(monkeypatch: pytest.MonkeyPatch, parts: int) -> None:
    """Let the usage table look as large as so many parts."""
    rows = load_params().data.part_rows * parts
    monkeypatch.setattr(load, "count_rows", lambda *_: rows)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Run the stage, and return the lines of its warnings and its error, without repeated ones."""
    caplog.clear()
    try:
        run(load.main)
    except SystemExit:
        assert written(Path()) == []
    found = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return sorted({line for each in found for line in each.getMessage().splitlines()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_faults_are_the_same_as_of_the_whole(
    case: Broken,
    project: Path,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case.spoil(write_export(tables, project / "export"))
    whole = lines_of(caplog)
    in_parts(monkeypatch, PARTS)
    assert lines_of(caplog) == whole != []


def lost_digits(tables: Tables) -> Tables:
    return tables | {
        CUSTOMERS: tables[CUSTOMERS].assign(id=tables[CUSTOMERS]["id"] // 1000 * 1000 + 10_000_000)
    }


@pytest.mark.parametrize("change", [lost_digits, lambda tables: with_orphans(tables, 100)])
def test_usage_of_no_company_stops_the_load_with_the_same_message(
    change: Callable[[Tables], Tables],
    project: Path,
    tables: Tables,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_export(change(tables), project / "export")
    whole = lines_of(caplog)
    assert "in all rows but a share of" in "".join(whole)
    in_parts(monkeypatch, PARTS)
    assert lines_of(caplog) == whole


def test_companies_in_two_tables_stop_the_load_with_the_same_message(
    project: Path, tables: Tables, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlapping(write_export(tables, project / "export"))
    whole = lines_of(caplog)
    in_parts(monkeypatch, PARTS)
    assert lines_of(caplog) == whole != []


@pytest.mark.parametrize(("late", "stops"), [(0, False), (400, True)])
def test_usage_before_sign_up_is_told_with_the_same_example(
    late: int, stops: bool, project: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_projects(project)
    tables = projects_export()
    accounts = tables["accounts"]
    accounts["created"] += pd.Timedelta(days=late)
    write_export(tables, project / "export")
    whole = lines_of(caplog)
    assert stops == ("expected at most a share of 0.3 of the usage" in "".join(whole))
    examples = [getattr(each, "example", None) for each in caplog.records]
    in_parts(monkeypatch, PARTS)
    assert lines_of(caplog) == whole != []
    assert {*examples} == {getattr(each, "example", None) for each in caplog.records}
    assert any(examples) != stops


def use_projects(project: Path) -> None:
    shutil.copy(ROOT / "tests/contracts/projects.yaml", project / "contracts/projects.yaml")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["contract"] = "contracts/projects.yaml"
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.mark.parametrize("write", ["{:,.2f}", "{:.2f}"], ids=["thousands", "plain"])
def test_all_rows_show_how_numbers_are_written(
    write: str, project: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In most chunks no number has a separator, or all could be read in another way."""
    values = tables[CUSTOMERS]["MRR"].clip(upper=999)
    values.iloc[0] = 1000.0
    text = values.map(write.format).str.translate({ord(","): ".", ord("."): ","})
    write_export(tables | {CUSTOMERS: tables[CUSTOMERS].assign(MRR=text)}, project / "export")
    in_parts(monkeypatch, PARTS)
    run(load.main)
    loaded = pd.read_parquet("data/typed/customers.parquet").sort_values("id")
    expected = tables[CUSTOMERS].assign(MRR=values.round(2)).sort_values("id")
    assert loaded["MRR"].tolist() == expected["MRR"].tolist()


def stage_outputs(project: Path) -> dict[str, pd.DataFrame]:
    """Return all typed and clean tables and rows in quarantine, sorted."""
    found = {}
    for folder in ("typed", "clean", "quarantine"):
        for path in sorted((project / "data" / folder).glob("*.parquet")):
            table = pd.read_parquet(path)
            found[f"{folder}/{path.name}"] = table.sort_values([*table], ignore_index=True)
    return found


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("as_of", ["null", "'2019-08-05'"])
def test_parts_have_the_same_rows_and_reports_as_the_whole(
    suffix: str, as_of: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(dirty_export(), project / "export", suffix)
    params = (project / "params.yaml").read_text(encoding="utf-8")
    assert "as_of: null" in params
    (project / "params.yaml").write_text(params.replace("as_of: null", f"as_of: {as_of}", 1))
    reports = {}
    outputs = {}
    for parts in (1, PARTS, 1):
        in_parts(monkeypatch, parts)
        run(load.main)
        run(clean.main)
        assert (project / "data/clean/usage.parquet").is_dir() == (parts > 1)
        reports[parts] = [
            json.loads(Path(name).read_text())
            for name in ("metrics/data_quality.json", "metrics/cleaning.json", "data/clean/export.json")
        ]
        outputs[parts] = stage_outputs(project)
    assert reports[1] == reports[PARTS]
    assert {*outputs[1]} == {*outputs[PARTS]}
    for name, table in outputs[1].items():
        pd.testing.assert_frame_equal(table, outputs[PARTS][name])


def test_a_company_has_all_its_rows_in_one_part_in_the_order_of_the_file(
    project: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(tables, project / "export")
    in_parts(monkeypatch, PARTS)
    run(load.main)
    usage = tables[USAGE_ACTIONS]
    where = part_of(usage["id"].to_numpy(), PARTS)
    for part in range(PARTS):
        found = pd.read_parquet(f"data/typed/usage_actions.parquet/part-{part:05d}.parquet")
        expected = usage[where == part].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert json.loads(Path("data/typed/export.json").read_text()) == {"parts": PARTS}
