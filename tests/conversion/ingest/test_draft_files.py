from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from conversion.ingest import draft_files
from conversion.ingest.draft import Draft, draft_contract
from conversion.ingest.draft_tables import read_samples
from conversion.ingest.folders import Place, place_of
from conversion.runtime.errors import ExportError
from tests.drafts import Tables, projects_export

FILES = 5


def draft_of(folder: Place) -> Draft:
    samples, notes = read_samples(folder)
    assert notes == []
    return draft_contract(samples)


def one_file_each(folder: Path, tables: Tables) -> Path:
    folder.mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def in_folders(folder: Path, tables: Tables, name_of: Callable[[str, int], str], files: int = FILES) -> Path:
    """Write each table as a folder of files, as warehouses unload it."""
    for name, table in tables.items():
        for at in range(files):
            path = folder / name_of(name, at)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = table.iloc[at * len(table) // files : (at + 1) * len(table) // files]
            if path.suffix == ".csv":
                part.to_csv(path, index=False)
            else:
                part.to_parquet(path, index=False)
            (path.parent / "_SUCCESS").write_text("", encoding="utf-8")
    return folder


LAYOUTS: list[Callable[[str, int], str]] = [
    lambda name, at: f"{name}/{at:012}.parquet",
    lambda name, at: f"{name}.parquet/data_0_{at}_0.snappy.parquet",
    lambda name, at: f"{name}/run={at}/part-0.csv",
]


@pytest.mark.parametrize("name_of", LAYOUTS)
def test_a_folder_of_files_gives_the_draft_of_one_file(
    name_of: Callable[[str, int], str], tmp_path: Path
) -> None:
    tables = projects_export()
    expected = draft_of(one_file_each(tmp_path / "one", tables))
    assert draft_of(in_folders(tmp_path / "many", tables, name_of)) == expected


@pytest.mark.parametrize("name_of", LAYOUTS)
def test_a_url_gives_the_draft_of_a_folder(name_of: Callable[[str, int], str], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    folder = in_folders(tmp_path / "many", projects_export(), name_of)
    if memory.exists("/drafted"):
        memory.rm("/drafted", recursive=True)
    memory.put(str(folder), "/drafted", recursive=True)
    assert draft_of(place_of("memory://drafted")) == draft_of(folder)


def test_values_in_the_names_of_folders_are_a_column(tmp_path: Path) -> None:
    tables = projects_export()
    tables["weekly_usage"] = tables["weekly_usage"].sort_values("week", kind="stable")
    one = one_file_each(tmp_path / "one", tables)
    folder = one_file_each(tmp_path / "many", {"accounts": tables["accounts"]})
    for week, rows in tables["weekly_usage"].groupby("week"):
        path = folder / f"weekly_usage/week={week}"
        path.mkdir(parents=True)
        rows.drop(columns="week").to_parquet(path / "0.parquet", index=False)
    columns = read_samples(folder)[0][1].columns
    pd.testing.assert_frame_equal(columns, read_samples(one)[0][1].columns[list(columns)])
    assert "time: week" in draft_of(folder).text


def without(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.drop(columns=column)


def as_text(column: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.astype({column: "str"})


@pytest.mark.parametrize(
    ("change", "suffix", "why"),
    [
        (
            without("invoices_sent"),
            "parquet",
            "1.parquet: invoices_sent: expected this column, as in 0.parquet",
        ),
        (
            as_text("invoices_sent"),
            "parquet",
            "1.parquet: invoices_sent: expected the type int64 as in 0.par",
        ),
        (
            without("invoices_sent"),
            "csv",
            "1.csv: it does not have the column invoices_sent of the first file",
        ),
    ],
)
def test_a_file_that_differs_is_named(
    change: Callable[[pd.DataFrame], pd.DataFrame], suffix: str, why: str, tmp_path: Path
) -> None:
    tables = projects_export()
    in_folders(tmp_path, tables, lambda name, at: f"{name}/{at}.{suffix}")
    write: Any = getattr(change(tables["weekly_usage"]), f"to_{suffix}")
    write(tmp_path / f"weekly_usage/1.{suffix}", index=False)
    samples, notes = read_samples(tmp_path)
    assert [sample.name for sample in samples] == ["accounts"]
    assert len(notes) == 1
    assert notes[0].startswith(f"weekly_usage: not read: {why}")


def test_files_of_two_formats_are_not_read(tmp_path: Path) -> None:
    in_folders(tmp_path, projects_export(), lambda name, at: f"{name}/{at}.parquet")
    (tmp_path / "accounts/9.csv.gz").write_bytes(b"\x1f\x8b")
    _, notes = read_samples(tmp_path)
    assert notes[0].startswith("accounts: not read: the file: expected a folder of files that all end with")


def test_of_a_large_table_the_first_rows_of_files_from_all_over_it_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_files, "MAX_FILES", 4)
    monkeypatch.setattr(draft_files, "MAX_ROWS", 100)
    table = pd.DataFrame({"id": range(1000), "seats": 5})
    in_folders(tmp_path, {"a": table}, lambda name, at: f"{name}/{at:02}.parquet", 10)
    in_folders(tmp_path, {"b": table}, lambda name, at: f"{name}/{at}.csv", 3)
    in_folders(tmp_path, {"c": table.head(80)}, lambda name, at: f"{name}/{at}.csv", 8)
    a, b, c = read_samples(tmp_path)[0]
    assert a.columns["id"].astype(int).tolist() == [
        start + row for start in (0, 300, 600, 900) for row in range(25)
    ]
    assert a.notes == ("the first rows of 4 of its 10 files were looked at, at most 25 of each",)
    assert b.columns["id"].astype(int).tolist() == [
        start + row for start in (0, 333, 666) for row in range(33)
    ]
    assert b.notes == ("the first rows of its 3 files were looked at, at most 33 of each",)
    assert len(c.columns) == 40
    assert c.notes == ("all rows of 4 of its 8 files were looked at",)
    assert a.is_part
    assert b.is_part
    assert c.is_part


def test_a_small_part_of_a_large_export_still_shows_which_table_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {
        name: table.sample(frac=1, random_state=1)
        for name, table in projects_export(companies=20_000, weeks=4).items()
    }
    folder = in_folders(tmp_path, tables, lambda name, at: f"{name}/{at}.parquet")
    whole = draft_of(folder)
    monkeypatch.setattr(draft_files, "MAX_ROWS", 1000)
    part = draft_of(folder)
    for key in ("tables: {accounts: some}", "table: weekly_usage", "id: account_id", "time: week"):
        assert key in whole.text, key
        assert key in part.text, key


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://nowhere", "expected a folder of tables, found nothing"),
        ("gs://bucket/export", "found no driver of gs://; pip install gcsfs"),
        ("az://container/export", "found no driver of az://; pip install adlfs"),
        ("sftp://host/export", "found no driver of sftp://; pip install paramiko"),
    ],
)
def test_a_url_that_cannot_be_read_is_one_message(url: str, words: str) -> None:
    with pytest.raises(ExportError) as error:
        read_samples(place_of(url, "FOLDER"))
    assert str(error.value).startswith(f"{url}: ")
    assert words in str(error.value)
    assert "data.dir" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"sep=,\r\nid,size\r\n1,2\r\n", "line 1 is a hint for Excel"),
        (b"sep=;\nid;size\n1;2\n", "read as UTF-8 separated by semicolons"),
        (b"id;size\n1;\xfc\n", "read as CP1252 separated by semicolons"),
        # a byte that is no character of CP1252
        (b"id;size\n1;\x81\n", "read as CP1252 separated by semicolons"),
        ("id\tsize\n1\tü\n".encode("utf-16"), "read as UTF-16 separated by tabs"),
    ],
)
def test_what_load_does_not_read_is_noted(content: bytes, note: str, tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_bytes(content)
    ([sample], notes) = read_samples(tmp_path)
    assert sample.columns.shape == (1, 2)
    assert list(sample.columns) == ["id", "size"]
    [found] = sample.notes
    assert found.startswith(note)
    assert notes == []
