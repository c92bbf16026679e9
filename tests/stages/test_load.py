from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from conversion.config.contract_file import load_contract
from conversion.data.timeline import WEEK
from conversion.ingest import origin_leaks
from conversion.runtime.cli import run
from stages import load
from tests.broken_exports import Tables, cell, lay_out_params, run_and_fail, with_orphans, written
from tests.contract_files import ROOT, hubspot, projects
from tests.event_exports import events, events_export, typed_events
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


def used_since_sign_up(tables: Tables) -> Tables:
    """Leave out the usage of weeks before the account was created."""
    usage = tables["weekly_usage"]
    created = usage["account"].map(tables["accounts"].set_index("account_id")["created"])
    return tables | {"weekly_usage": usage[usage["week"] + WEEK > created].reset_index(drop=True)}


def test_another_contract_is_loaded(other: Path, caplog: pytest.LogCaptureFixture) -> None:
    tables = used_since_sign_up(projects_export())
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
        "accounts", "weekly_usage", "orphaned_usage", "usage_before_conversion", "usage_before_sign_up",
        "dates_out_of_order", "file_of_origin", "attribute_leaks",
    ]  # fmt: skip
    assert facts["dates_out_of_order"] == {"converted_before_signed_up": 0, "ended_before_converted": 0}
    assert facts["weekly_usage"]["key"] == "id, week"


def use_contract(
    project: Path, name: str, change: Callable[[dict[str, Any]], object] = lambda _: None
) -> None:
    """Have the project use a contract of the tests, changed in some way."""
    values = yaml.safe_load((ROOT / f"tests/contracts/{name}.yaml").read_text(encoding="utf-8"))
    change(values)
    (project / f"contracts/{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["data"] |= {"contract": f"contracts/{name}.yaml", "max_orphan_share": 0.5}
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def write_events(tables: Tables, folder: Path, suffix: str) -> None:
    """Write text as CSV, or as a Parquet table of text: its times have zones where the text has."""
    write_export({name: table.replace("", None) for name, table in tables.items()}, folder, suffix)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_events_and_all_other_tables_are_loaded(project: Path, suffix: str) -> None:
    use_contract(project, "events")
    write_events(events_export(), project / "export", suffix)
    run(load.main)
    weeks = pd.read_parquet("data/typed/events.parquet")
    monday = pd.Timestamp("2026-01-05")
    assert list(weeks) == ["id", "at", *events().counts, "gb", "spent"]
    rows = weeks.astype(object).where(weeks.notna(), None).to_numpy().tolist()
    assert rows == [
        ["a2", monday, 3, 1, 2, 1, 2.5, 0.3],
        ["a3", monday - pd.Timedelta(days=7), 0, 1, 0, 1, None, 4.0],
        ["a3", monday + pd.Timedelta(days=7), 0, 0, 0, 0, 7.25, None],
    ]
    days = {"2025-12-29": "2026-01-04", "2026-01-05": "2026-01-11", "2026-01-12": "2026-01-14"}
    assert json.loads(Path("data/typed/export.json").read_text(encoding="utf-8")) == {"last_days": days}
    for name, table in typed_events().items():
        pd.testing.assert_frame_equal(pd.read_parquet(f"data/typed/{name}.parquet"), table)
    assert load_contract("data/contract.json") == events()
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))
    assert {name: facts[name]["key"] for name in events().tables} == {
        "accounts": "id",
        "events": "id, at",
        "subscriptions": "id, starts",
        "merges": "id",
        "account_history": "id, since",
    }
    nobody = {"rows": 0, "companies": 0, "share": 0.0}
    assert [facts[f"orphaned_{name}"] for name in ("usage", "subscriptions", "account_history")] == [
        nobody
    ] * 3
    assert facts["merged_ids"] == {"ids": 1, "into_no_company": 0}
    assert facts["usage_before_sign_up"] == {"rows": 0, "companies": 0}
    assert "most_frequent" not in facts["accounts"]["columns"]["name"], "names are nobody's business"


DAYS = """account,at,done,people,gb,spent,kind
a1,2026-01-05,3,2,1.5,0.1,
a1,2026-01-11,4,1,,0.2,
a1,2026-01-12,1,1,2.5,,
a1,2026-01-13,99,9,99,99,BOT
a3,2026-01-04,5,3,7,1,
a3,2026-01-04,6,1,8,0.5,
"""


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_days_become_weeks(project: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
    def of_days(values: dict[str, Any]) -> None:
        usage = values["usage"]
        for key in ("user", "event"):
            del usage[key]
        usage |= {"grain": "day", "modules": {"projects": {"actions": "done", "users": "people"}}}

    use_contract(project, "events", of_days)
    tables = events_export()
    tables["events"] = pd.read_csv(io.StringIO(DAYS), dtype=str, keep_default_na=False)
    write_events(tables, project / "export", suffix)
    run(load.main)
    weeks = pd.read_parquet("data/typed/events.parquet")
    rows = weeks.astype(object).where(weeks.notna(), None).to_numpy().tolist()
    mondays = pd.to_datetime(["2026-01-05", "2026-01-12", "2025-12-29"])
    assert rows == [
        ["a1", mondays[0], 7, 2, 1.5, 0.3],
        ["a1", mondays[1], 1, 1, 2.5, None],
        ["a3", mondays[2], 6, 3, 8.0, 1.0],
    ]
    days = {"2025-12-29": "2026-01-04", "2026-01-05": "2026-01-11", "2026-01-12": "2026-01-12"}
    assert json.loads(Path("data/typed/export.json").read_text(encoding="utf-8")) == {"last_days": days}
    assert "several rows of one company and day" in caplog.text


def test_faults_of_events_and_of_other_tables_are_reported_at_once(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    use_contract(project, "events")
    tables = events_export()
    tables["events"].loc[[0, 1], ["at", "spent"]] = [["05.01.2026", "1"], ["2026-01-06", "1,5"]]
    tables["subscriptions"].loc[1, "starts"] = ""
    tables["account_history"].loc[1, "seats"] = "many"
    tables["accounts"].loc[0, "founded"] = "1887-05-01"
    write_export(tables, project / "export")
    number = "expected a number with a decimal point and no thousands separators"
    found = [line.split("; ")[0] for line in run_and_fail(project, caplog)]
    assert found == [
        "export/accounts.csv: founded: expected a date from 1900 to 2100",
        "export/events.csv: at: expected a timestamp like 2019-12-30 00:00:00",
        f"export/events.csv: spent: {number}, within ±1e+15",
        "export/subscriptions.csv: starts: expected a value in each row",
        f"export/account_history.csv: seats: {number}",
    ]


@pytest.mark.parametrize("table", ["subscriptions", "account_history"])
def test_rows_of_no_company_stop_the_load(
    project: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    use_contract(project, "events")
    tables = events_export()
    tables[table].loc[:1, "account"] = ["x1", "x2"]
    write_export(tables, project / "export")
    (line,) = run_and_fail(project, caplog)
    assert line.startswith(
        f"export/{table}.csv: account: expected ids of accounts in all rows but a share of 0.5; 2 rows "
        "(account 'x1', account 'x2'); found a share of 0.667 of others; compare the ids"
    )


def test_usage_of_a_company_that_was_merged_is_no_orphan(project: Path) -> None:
    use_contract(project, "events")
    tables = events_export()
    tables["accounts"] = tables["accounts"][tables["accounts"]["account"] != "a1"]
    tables["account_history"] = tables["account_history"].tail(1)
    write_export(tables, project / "export")
    run(load.main)
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))
    assert facts["orphaned_usage"]["rows"] == 0
    # Events are counted under the ids of today, so that who used both ids is one user.
    assert set(pd.read_parquet("data/typed/events.parquet")["id"]) == {"a2", "a3"}
    (project / "export/merges.csv").write_text("old,new\n", encoding="utf-8")
    run(load.main)
    facts = json.loads(Path("metrics/data_quality.json").read_text(encoding="utf-8"))
    assert facts["orphaned_usage"]["companies"] == 1
    assert facts["merges"]["rows"] == 0


def test_an_id_that_became_two_stops_the_load(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    use_contract(project, "events")
    tables = events_export()
    tables["merges"] = pd.DataFrame({"old": ["a1", "a1"], "new": ["a2", "a3"]})
    write_export(tables, project / "export")
    (line,) = run_and_fail(project, caplog)
    assert line.startswith("merges: new: expected one id for each old; found that a1 became a2 and a3")


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
