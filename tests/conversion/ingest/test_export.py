from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.ingest import columns, export, profile
from conversion.runtime.errors import ExportError
from tests.broken_exports import (
    Broken,
    Tables,
    cell,
    check_that_load_stops,
    edit,
    line,
    odd_rows,
    overlapping,
    remove,
    run_and_fail,
)
from tests.contract_files import hubspot, projects
from tests.exports import (
    COLUMNS,
    CUSTOMERS,
    NONCUSTOMERS,
    USAGE_ACTIONS,
    projects_export,
    typed,
    write_export,
)


def replaced_by_file(folder: Path) -> None:
    remove(*(f"{name}.csv" for name in COLUMNS))(folder)
    folder.write_text("no folder", encoding="utf-8")


BROKEN = [
    Broken(
        "missing folder", remove(*(f"{name}.csv" for name in COLUMNS)), "export", "data.dir", ("nothing",)
    ),
    Broken("folder is a file", replaced_by_file, "export", "data.dir", ("found a file",)),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_broken_export_stops_with_the_fault_named(
    case: Broken, project: Path, tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_load_stops(case, project, tables, caplog)


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
        export.read_export(folder, hubspot())
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_for_the_cleaning_stage_pass(tables: Tables, tmp_path: Path, suffix: str) -> None:
    odd = odd_rows(tables)
    loaded = export.read_export(write_export(odd, tmp_path, suffix), hubspot()).tables
    for name, table in loaded.items():
        pd.testing.assert_frame_equal(table, odd[name])
    assert profile.profile(loaded[NONCUSTOMERS], ["id"])["duplicate_keys"] == 1


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from([".csv", ".parquet"]))
def test_row_order_is_irrelevant(tables: Tables, tmp_path: Path, seed: int, suffix: str) -> None:
    shuffled = {
        name: table.sample(frac=1, random_state=seed)[
            list(np.random.default_rng(seed).permutation(list(table)))
        ]
        for name, table in odd_rows(tables).items()
    }
    loaded = export.read_export(
        write_export(shuffled, tmp_path / suffix.strip("."), suffix), hubspot()
    ).tables
    for name, table in odd_rows(tables).items():
        order = list(COLUMNS[name])
        pd.testing.assert_frame_equal(
            loaded[name].sort_values(order, ignore_index=True), table.sort_values(order, ignore_index=True)
        )
        key = columns.key_columns(hubspot(), name)
        assert profile.profile(loaded[name], key) == profile.profile(table, key)


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
        export.read_export(folder, hubspot())


def test_real_export(tmp_path: Path) -> None:
    folder = os.environ.get("CRM_EXPORT_DIR")
    if folder is None:
        pytest.skip("CRM_EXPORT_DIR is not set")
    loaded = export.read_export(Path(folder), hubspot()).tables
    again = export.read_export(write_export(loaded, tmp_path, ".parquet"), hubspot()).tables
    for name, table in loaded.items():
        assert tuple(table) == COLUMNS[name]
        assert len(table) > 0
        pd.testing.assert_frame_equal(again[name], table)


def test_a_sample_that_was_not_made_is_reported_with_the_stage_that_makes_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_bytes((root / "dvc.yaml").read_bytes())
    with pytest.raises(
        ExportError, match=r"found nothing; .*, or run 'dvc repro simulate', which writes this one$"
    ):
        export.read_export(Path("data/sample"), hubspot())


def faults_of(tables: Tables, folder: Path, *spoils: Callable[[Path], None]) -> list[str]:
    """The faults of an export of projects, broken in some ways."""
    write_export(tables, folder)
    for spoil in spoils:
        spoil(folder)
    with pytest.raises(ExportError) as error:
        export.read_export(folder, projects(), "contracts/projects.yaml")
    return [fault.removeprefix(f"{folder}/") for fault in str(error.value).splitlines()]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_export_of_another_contract_is_read(tmp_path: Path, suffix: str) -> None:
    tables = projects_export()
    loaded = export.read_export(write_export(tables, tmp_path, suffix), projects()).tables
    assert list(loaded) == ["accounts", "weekly_usage"]
    for name, table in typed(tables, projects()).items():
        pd.testing.assert_frame_equal(loaded[name], table)
    accounts, usage = loaded["accounts"], loaded["weekly_usage"]
    assert accounts["id"].tolist() == tables["accounts"]["account_id"].tolist()
    assert accounts["id"].str.startswith("0").any(), "leading zeros are kept"
    assert usage["id"].isin(accounts["id"]).all()
    assert accounts["name"].str.startswith("Müller, Söhne & Co. ").all()
    assert set(accounts["owner"].dropna()) == {" Ann ", "Bé"}
    types = {name: str(kind) for table in loaded.values() for name, kind in table.dtypes.items()}
    assert types == {
        **dict.fromkeys(("id", "country", "plan", "name", "owner"), "str"),
        **dict.fromkeys(("created", "paid_since", "cancelled", "week"), "datetime64[us]"),
        **dict.fromkeys(("arr", "head_count"), "float64"),
        **dict.fromkeys(projects().counts, "int64"),
        "is_partner": "boolean",
    }


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_text_ids_are_compared_as_they_are(tmp_path: Path, suffix: str) -> None:
    tables = projects_export(companies=9)
    tables["accounts"]["account_id"] = ["007", "7", "7.0", "1e3", "1000", "Ab", "ab", "AB", "7"]
    accounts = export.read_export(write_export(tables, tmp_path, suffix), projects()).tables["accounts"]
    assert accounts["id"].tolist() == tables["accounts"]["account_id"].tolist()
    assert profile.profile(accounts, ["id"])["duplicate_keys"] == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            cell("accounts", "account_id", ""),
            (
                "accounts.csv: account_id: expected a value in each row; 1 row (line 5); fill in the "
                "missing values or leave these rows out"
            ),
        ),
        (
            cell("accounts", "account_id", "x" * 201),
            (
                "accounts.csv: account_id: expected text of 1 to 200 characters, no control characters; "
                f"1 row (line 5); found '{'x' * 40}...'; correct these rows"
            ),
        ),
        (
            cell("weekly_usage", "account", "a\nb"),
            (
                "weekly_usage.csv: account: expected text of 1 to 200 characters, no control characters; "
                r"1 row (line 5); found 'a\nb'; correct these rows"
            ),
        ),
        (
            cell("accounts", "plan", "Gold"),
            (
                "accounts.csv: plan: expected one of 'free', 'team', 'business'; 1 row (account_id '{}');"
                " found 'Gold'; correct these rows, or change companies.attributes.plan in "
                "contracts/projects.yaml"
            ),
        ),
        (
            cell("accounts", "is_partner", "maybe"),
            (
                "accounts.csv: is_partner: expected one of 'yes', 'no'; 1 row (account_id '{}'); found "
                "'maybe'; correct these rows, or change companies.attributes.is_partner in "
                "contracts/projects.yaml"
            ),
        ),
        (
            cell("accounts", "head_count", "0"),
            (
                "accounts.csv: head_count: expected a number of at least 1; 1 row (account_id '{}'); "
                "found '0'; correct these rows, or change companies.attributes.head_count in "
                "contracts/projects.yaml"
            ),
        ),
        (
            cell("accounts", "head_count", "n/a"),
            (
                "accounts.csv: head_count: expected a whole number of at most 18 digits; 1 row "
                "(account_id '{}'); found 'n/a'; correct these rows, or change "
                "companies.attributes.head_count in contracts/projects.yaml; where a value is missing, "
                "leave the cell empty"
            ),
        ),
        (
            cell("accounts", "created", "yesterday"),
            (
                "accounts.csv: created: expected a date like 2019-12-31; 1 row (account_id '{}'); found "
                "'yesterday'; correct these rows"
            ),
        ),
        (
            cell("accounts", "created", "12/31/2019"),
            (
                "accounts.csv: created: expected a date like 2019-12-31; 1 row (account_id '{}'); found "
                "'12/31/2019'; export the dates of this column as year-month-day, with hyphens"
            ),
        ),
        (
            cell("accounts", "name", "x" * 1001),
            (
                "accounts.csv: name: expected text of at most 1000 characters, no control characters; 1 "
                "row (account_id '{}' in line 5); found 1001 characters; correct these rows"
            ),
        ),
        (
            edit("accounts.csv", lambda data: data.replace(b"cancelled", b"Cancelled ")),
            (
                "accounts.csv: cancelled: expected this column; found no such column; rename 'Cancelled "
                "', or change companies.ended in contracts/projects.yaml"
            ),
        ),
        (
            edit("accounts.csv", lambda data: data.replace(b"head_count", b"headcount")),
            (
                "accounts.csv: head_count: expected this column; found no such column; add it to the "
                "export, or rename 'headcount' if this is it, or change companies.attributes.head_count "
                "in contracts/projects.yaml"
            ),
        ),
        (
            edit("weekly_usage.csv", lambda data: data.replace(b"automation_runs", b"runs")),
            (
                "weekly_usage.csv: automation_runs: expected this column; found no such column; add it to"
                " the export, or change usage.modules.automations.actions in contracts/projects.yaml"
            ),
        ),
        (
            cell("weekly_usage", "week", "2019-01-08"),
            (
                "weekly_usage.csv: week: expected a Monday 00:00; 1 row (account '{}'); found '2019-01-08"
                " 00:00:00'; correct these rows, or change usage.week_starts in contracts/projects.yaml"
            ),
        ),
        (
            remove("accounts.csv"),
            (
                "accounts: the file: expected one of accounts.csv and accounts.parquet; found neither; "
                "put the table into the folder, or change the name accounts in contracts/projects.yaml"
            ),
        ),
    ],
)
def test_faults_have_the_names_of_the_contract(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    tables = projects_export()
    table, key = ("weekly_usage", "account") if message.startswith("weekly") else ("accounts", "account_id")
    (fault,) = faults_of(tables, tmp_path, spoil)
    assert fault == message.replace("{}", tables[table].loc[3, key])


def test_every_column_that_the_contract_names_has_a_fault_of_its_own(tmp_path: Path) -> None:
    tables = projects_export()
    bare = {"accounts": tables["accounts"][["account_id"]], "weekly_usage": tables["weekly_usage"]}
    faults = faults_of(bare, tmp_path)
    assert [fault.split(": ")[1] for fault in faults] == [*tables["accounts"]][1:]


def test_whole_ids_that_are_text_are_reported_with_the_key_that_says_so(tmp_path: Path) -> None:
    companies = projects().companies.model_copy(update={"ids": "whole"})
    contract = projects().model_copy(update={"companies": companies})
    tables = projects_export()
    with pytest.raises(
        ExportError, match=r"account_id: expected a whole number .*, or change companies\.ids in c"
    ):
        export.read_export(write_export(tables, tmp_path), contract, "contracts/projects.yaml")


def test_shown_values_are_in_no_message(tmp_path: Path) -> None:
    (fault,) = faults_of(projects_export(), tmp_path, cell("accounts", "owner", "Ann\tLee", 2))
    assert "Ann" not in fault


def test_several_tables_of_customers_and_of_others(tmp_path: Path) -> None:
    tables = projects_export()
    kinds = {"paid": "all", "churned": "all", "free": "none", "leads": "some"}
    companies = projects().companies.model_copy(update={"tables": kinds})
    contract = projects().model_copy(update={"companies": companies})
    accounts = tables["accounts"]
    paying = accounts[accounts["paid_since"].notna()]
    free = accounts[accounts["paid_since"].isna()].drop(columns=["paid_since", "cancelled", "arr"])
    parts = {"paid": paying.iloc[:5], "churned": paying.iloc[5:], "free": free, "leads": accounts.tail(4)}
    usage = {"weekly_usage": tables["weekly_usage"]}
    loaded = export.read_export(write_export(parts | usage, tmp_path), contract).tables
    assert list(loaded) == ["paid", "churned", "free", "leads", "weekly_usage"]
    assert "paid_since" not in loaded["free"]
    twice = {"free": pd.concat([free, paying.iloc[:2]])[list(free)], "churned": paying.iloc[:3]}
    with pytest.raises(ExportError) as error:
        export.read_export(write_export(parts | twice | usage, tmp_path), contract)
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    for name, text in zip(("paid", "churned"), lines, strict=True):
        assert text.startswith(
            f"{tmp_path}/{name}.csv and {tmp_path}/free.csv: account_id: expected each company"
        )
        assert text.endswith(f"leave {name} out of free")
    late = paying.iloc[:5].assign(paid_since=paying["paid_since"].iloc[:5].mask(np.arange(5) == 2))
    write_export(parts | {"paid": late} | usage, tmp_path)
    with pytest.raises(
        ExportError, match=r"paid\.csv: paid_since: expected a value in each row; 1 row.*paid to some in c"
    ):
        export.read_export(tmp_path, contract, "contracts/projects.yaml")


def test_a_lost_quote_does_not_swallow_rows_with_text_ids(tmp_path: Path) -> None:
    """The rows up to the next quote would be one long value of an ignored column."""
    tables = projects_export(companies=1500)
    accounts = tables["accounts"].assign(
        name="x", notes="", account_id=lambda table: "a" + table["account_id"]
    )
    folder = write_export(tables | {"accounts": accounts}, tmp_path)
    lines = (folder / "accounts.csv").read_text(encoding="utf-8").splitlines()
    lines[1] += '"'
    lines[-1] += '"'
    (folder / "accounts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ExportError, match="look for a stray quote or a lost line end"):
        export.read_export(folder, projects())
