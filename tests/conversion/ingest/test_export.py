from __future__ import annotations

import contextlib
import os
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
from tests.contract_files import hubspot
from tests.exports import COLUMNS, CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS, write_export


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
    loaded = export.read_export(write_export(odd, tmp_path, suffix), hubspot())
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
    loaded = export.read_export(write_export(shuffled, tmp_path / suffix.strip("."), suffix), hubspot())
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
    loaded = export.read_export(Path(folder), hubspot())
    again = export.read_export(write_export(loaded, tmp_path, ".parquet"), hubspot())
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
