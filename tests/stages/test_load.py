from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from conversion.config.contract_file import load_contract
from conversion.ingest import origin_leaks
from conversion.runtime.cli import run
from stages import load
from tests.broken_exports import Tables, cell, lay_out_params, run_and_fail, with_orphans, written
from tests.contract_files import ROOT, hubspot, projects
from tests.exports import (
    COLUMNS,
    CUSTOMERS,
    MEASURES,
    lay_out_contracts,
    projects_export,
    tiny_export,
    typed,
    write_export,
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run the stage in, whose params point at its ``export``."""
    lay_out_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def tables() -> Tables:
    return tiny_export(companies=40, weeks=12)


def test_stale_outputs_survive_a_broken_export(project: Path, tables: Tables) -> None:
    folder = write_export(tables, project / "export")
    run(load.main)
    before = {path: path.read_bytes() for path in written(project) if path.is_file()}
    cell(CUSTOMERS, "MRR", "x")(folder)
    with pytest.raises(SystemExit):
        run(load.main)
    assert {path: path.read_bytes() for path in written(project) if path.is_file()} == before


def test_types_and_columns_of_the_outputs(project: Path, tables: Tables) -> None:
    write_export(tables, project / "export")
    run(load.main)
    files = [f"data/typed/{name}.parquet" for name in COLUMNS]
    assert [str(path) for path in written(project) if path.is_file()] == sorted(
        [*files, "data/contract.json", "metrics/data_quality.json"]
    )
    assert load_contract("data/contract.json") == hubspot()
    for name, columns in COLUMNS.items():
        table = pd.read_parquet(f"data/typed/{name}.parquet")
        assert tuple(table) == columns
        for column in columns:
            if column == "id" or column in MEASURES:
                assert table[column].dtype == np.int64
            elif column in ("CLOSEDATE", "WHEN_TIMESTAMP"):
                assert table[column].dtype == "datetime64[us]"
            elif column in ("MRR", "ALEXA_RANK"):
                assert table[column].dtype == np.float64
            else:
                assert pd.api.types.is_string_dtype(table[column])
        pd.testing.assert_frame_equal(table, tables[name])


def test_csv_and_parquet_become_the_same_bytes(
    project: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for suffix in (".csv", ".parquet"):
        folder = project / suffix.strip(".")
        folder.mkdir()
        lay_out_contracts(folder)
        (folder / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
        monkeypatch.chdir(folder)
        write_export(tables, "export", suffix)
        run(load.main)
        outputs.append(
            {path: (folder / path).read_bytes() for path in written(folder) if (folder / path).is_file()}
        )
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 5


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


def test_leaks_of_the_file_of_origin_are_recorded(project: Path, tables: Tables) -> None:
    write_export(tables, project / "export")
    run(load.main)
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))["file_of_origin"]
    assert {name: fact["warned"] for name, fact in facts.items()} == dict.fromkeys(
        origin_leaks.ORIGIN_LEAKS, False
    )
    assert all(fact["low"] < fact["roc_auc"] < fact["high"] for fact in facts.values())


def test_shuffled_ids_give_no_warning(
    project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    write_export(tables, project / "export")
    run(load.main)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def other(project: Path) -> Path:
    """The project with the contract of projects."""
    shutil.copy(ROOT / "tests/contracts/projects.yaml", project / "contracts/projects.yaml")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["contract"] = "contracts/projects.yaml"
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return project


def test_another_contract_is_loaded(other: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables = projects_export()
    write_export(tables, other / "export")
    run(load.main)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    for name, table in typed(tables, projects()).items():
        pd.testing.assert_frame_equal(pd.read_parquet(f"data/typed/{name}.parquet"), table)
    resolved = load_contract("data/contract.json")
    assert resolved == projects()
    assert list(resolved.companies.attributes) == list(projects().companies.attributes), "the order counts"
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))
    assert [*facts] == [
        "accounts", "weekly_usage", "orphaned_usage", "usage_before_conversion", "dates_out_of_order",
        "file_of_origin",
    ]  # fmt: skip
    assert facts["dates_out_of_order"] == {"converted_before_signed_up": 0, "ended_before_converted": 0}
    assert facts["weekly_usage"]["key"] == "id, week"


def test_the_contract_s_file_is_named_where_it_may_be_wrong(
    other: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_export(projects_export(), other / "export")
    cell("accounts", "plan", "gold")(other / "export")
    (line,) = run_and_fail(other, caplog)
    assert line.endswith("or change companies.attributes.plan in contracts/projects.yaml")


def test_a_contract_that_is_not_there_stops_the_load(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(project / "contracts")
    with pytest.raises(SystemExit) as stop:
        run(load.main)
    assert stop.value.code == 2
    assert "contracts/hubspot.yaml: not found" in caplog.text
