from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversion.ingest.columns import tables_of
from conversion.ingest.export import read_export
from conversion.ingest.faults import UnreadableError
from conversion.ingest.folders import place_of, values_in
from conversion.ingest.parquet_chunks import _common_type
from conversion.ingest.tables import read_chunks
from conversion.runtime.errors import ExportError
from tests.broken_exports import Tables
from tests.contract_files import hubspot
from tests.exports import CUSTOMERS, USAGE_ACTIONS, write_export

NAMES = ("000000000000.parquet", "data_0_0_0.snappy.parquet", "more/part-0.parquet")


def split(table: pd.DataFrame, folder: Path, names: tuple[str, ...] = NAMES) -> None:
    """Write a table as a folder of files, as warehouses unload it."""
    for at, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = table.iloc[at * len(table) // len(names) : (at + 1) * len(table) // len(names)]
        if path.suffix == ".csv":
            part.to_csv(path, index=False)
        else:
            part.to_parquet(path, index=False)


def fault_of(folder: Path) -> str:
    with pytest.raises(ExportError) as error:
        read_export(folder, hubspot())
    return str(error.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize("name", [USAGE_ACTIONS, f"{USAGE_ACTIONS}.parquet"])
def test_a_folder_of_files_is_a_table(tables: Tables, tmp_path: Path, name: str) -> None:
    folder = write_export(tables, tmp_path)
    (folder / f"{USAGE_ACTIONS}.csv").unlink()
    split(tables[USAGE_ACTIONS], folder / name)
    for ignored in ("_SUCCESS", ".part-0.parquet.crc", "_temporary/0/part.parquet"):
        (folder / name / ignored).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / ignored).write_text("no table", encoding="utf-8")
    loaded = read_export(folder, hubspot()).tables[USAGE_ACTIONS]
    pd.testing.assert_frame_equal(loaded, tables[USAGE_ACTIONS].reset_index(drop=True))
    described = tables_of(hubspot())[USAGE_ACTIONS]
    *_, last = read_chunks(folder, described, chunk_rows=10)
    assert last.label(last.rows - 1).startswith("more/part-0.parquet row ")
    assert all(chunk.rows <= 10 for chunk in read_chunks(folder, described, chunk_rows=10))


def test_a_folder_of_csv_files_is_a_table(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path, ".parquet")
    (folder / f"{CUSTOMERS}.parquet").unlink()
    split(tables[CUSTOMERS], folder / CUSTOMERS, ("0.csv", "1.csv"))
    pd.testing.assert_frame_equal(read_export(folder, hubspot()).tables[CUSTOMERS], tables[CUSTOMERS])
    with (folder / CUSTOMERS / "1.csv").open("a", encoding="utf-8") as file:
        file.write("7,8\n")
    assert fault_of(folder).startswith("customers/1.csv: all columns: expected 6 fields in each line; 1 row")


def retyped(folder: Path) -> None:
    table = pq.read_table(folder / NAMES[1])
    column = table.column("USERS_EMAIL").cast(pa.string())
    at = table.column_names.index("USERS_EMAIL")
    pq.write_table(table.set_column(at, "USERS_EMAIL", column), folder / NAMES[1])


def without_column(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / NAMES[1]).drop_columns(["USERS_EMAIL"]), folder / NAMES[1])


def compressed(folder: Path) -> None:
    (folder / "data_0_0_1.csv.gz").write_bytes(b"\x1f\x8b")


def damaged(folder: Path) -> None:
    (folder / NAMES[1]).write_bytes(b"PAR1PAR1")


@pytest.mark.parametrize(
    ("spoil", "place", "words"),
    [
        (retyped, f"/{NAMES[1]}: USERS_EMAIL", "the type int64 as in 000000000000.parquet; found type"),
        (without_column, f"/{NAMES[1]}: USERS_EMAIL", "as in 000000000000.parquet; found no such column"),
        (compressed, ": the file", "all end with .parquet; found 'data_0_0_1.csv.gz'"),
        (damaged, f"/{NAMES[1]}: the file", "expected a Parquet table"),
    ],
)
def test_a_file_that_differs_is_named(
    tables: Tables, tmp_path: Path, spoil: Callable[[Path], None], place: str, words: str
) -> None:
    folder = write_export(tables, tmp_path)
    (folder / f"{USAGE_ACTIONS}.csv").unlink()
    split(tables[USAGE_ACTIONS], folder / f"{USAGE_ACTIONS}.parquet")
    spoil(folder / f"{USAGE_ACTIONS}.parquet")
    fault = fault_of(folder)
    assert fault.startswith(f"usage_actions.parquet{place}: expected"), fault
    assert words in fault


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("text", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("index", [pa.int8(), pa.int32()])
def test_a_column_may_be_a_dictionary_in_some_files(
    tables: Tables, tmp_path: Path, first: int, text: pa.DataType, index: pa.DataType
) -> None:
    folder = write_export(tables, tmp_path)
    whole = read_export(folder, hubspot()).tables[CUSTOMERS]
    (folder / f"{CUSTOMERS}.csv").unlink()
    split(tables[CUSTOMERS], folder / CUSTOMERS)
    file = folder / CUSTOMERS / NAMES[first]
    table = pq.read_table(file)
    at = table.column_names.index("INDUSTRY")
    column = table.column(at).cast(text).dictionary_encode().cast(pa.dictionary(index, text))
    pq.write_table(table.set_column(at, "INDUSTRY", column), file)
    assert pa.types.is_dictionary(pq.read_schema(file).field("INDUSTRY").type)
    pd.testing.assert_frame_equal(read_export(folder, hubspot()).tables[CUSTOMERS], whole)


KINDS = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.date32(), pa.date64()),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary()),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC")),
    *(pa.decimal128(digits, 2) for digits in (5, 38)),
    *(pa.dictionary(pa.int8(), kind) for kind in (pa.string(), pa.large_string(), pa.int64())),
    *(pa.dictionary(pa.int32(), kind) for kind in (pa.string(), pa.timestamp("us"))),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_types_of_two_files_go_together_or_are_refused(kind: pa.DataType) -> None:
    for other in KINDS:
        try:
            common = _common_type("x", [("0.parquet", kind), ("1.parquet", other)])
        except UnreadableError:
            assert kind != other
            continue
        for each in (kind, other):
            assert pa.chunked_array([pa.nulls(2, each)]).cast(common).null_count == 2


def test_a_table_and_a_folder_of_its_name_are_one_too_many(tables: Tables, tmp_path: Path) -> None:
    folder = write_export(tables, tmp_path)
    (folder / USAGE_ACTIONS).mkdir()
    read_export(folder, hubspot())
    split(tables[USAGE_ACTIONS], folder / USAGE_ACTIONS)
    assert "expected one of usage_actions.csv and usage_actions; found both" in fault_of(folder)


def test_values_in_the_names_of_folders_are_a_column(tables: Tables, tmp_path: Path) -> None:
    usage = tables[USAGE_ACTIONS].sort_values("WHEN_TIMESTAMP", kind="stable", ignore_index=True)
    folder = write_export(tables | {USAGE_ACTIONS: usage}, tmp_path)
    whole = read_export(folder, hubspot()).tables[USAGE_ACTIONS]
    (folder / f"{USAGE_ACTIONS}.csv").unlink()
    for week, rows in usage.groupby("WHEN_TIMESTAMP"):
        path = folder / USAGE_ACTIONS / f"WHEN_TIMESTAMP={week} 00%3A00%3A00".replace(" 00:00:00", "")
        path.mkdir(parents=True)
        rows.drop(columns="WHEN_TIMESTAMP").to_parquet(path / "0.parquet", index=False)
    pd.testing.assert_frame_equal(read_export(folder, hubspot()).tables[USAGE_ACTIONS], whole)
    assert values_in("a=__HIVE_DEFAULT_PARTITION__/x/0.parquet") == {"a": None}


@pytest.fixture
def memory() -> fsspec.AbstractFileSystem:
    system = fsspec.filesystem("memory")
    if system.exists("/export"):
        system.rm("/export", recursive=True)
    return system


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_export_at_a_url_is_read_as_one_here(
    tables: Tables, tmp_path: Path, memory: fsspec.AbstractFileSystem, suffix: str
) -> None:
    folder = write_export(tables, tmp_path, suffix)
    here = read_export(folder, hubspot()).tables
    assert place_of(folder.as_uri()) == folder
    memory.put(str(folder), "/export", recursive=True)
    there = read_export(place_of("memory://export"), hubspot()).tables
    for name, table in here.items():
        pd.testing.assert_frame_equal(there[name], table)
    memory.rm(f"/export/{CUSTOMERS}{suffix}")
    with pytest.raises(ExportError, match=r"^memory://export/customers: the file: expected one of"):
        read_export(place_of("memory://export/"), hubspot())


@pytest.mark.parametrize("url", ["s3://ann:pa55@bucket/export", "sftp://:pa55@host", "memory://a:pa55@b/c"])
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ExportError, match=r"^data\.dir: expected a URL without a password, .*") as error:
        place_of(url)
    assert "pa55" not in str(error.value)


def test_a_url_may_have_a_user_and_a_file_an_at_sign() -> None:
    assert str(place_of("memory://ann@host/day@12:00.csv")) == "memory://ann@host/day@12:00.csv"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("memory://nowhere", "expected a folder; found nothing"),
        ("gs://bucket/export", "found no driver of gs://; pip install gcsfs"),
        ("abfs://container/export", "found no driver of abfs://; pip install adlfs"),
        ("azure://container/export", "found no driver of azure://; pip install adlfs"),
        ("nosuch://bucket", "Protocol not known: nosuch"),
    ],
)
def test_a_url_that_cannot_be_read_is_reported(url: str, words: str) -> None:
    with pytest.raises(ExportError) as error:
        read_export(place_of(url), hubspot())
    assert str(error.value).startswith(f"{url}: data.dir: expected")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
