"""Tables that are appended to a Parquet file, and read back value by value."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conversion.runtime.errors import InputError
from conversion.runtime.row_groups import as_first, copy_columns, row_group_writer, tables_of_values
from tests.full_disk import full_disk

TABLE = pd.DataFrame(
    {
        "id": [3, 1, 2],
        "as_of": np.array(["2020-01-06", "NaT", "2020-01-13"], dtype="datetime64[us]"),
        "whole": np.array([1.0, -0.0, 2.5], dtype=np.float32),
        "missing": [np.nan, 0.5, -np.inf],
        "level": pd.Categorical(["a", None, "b"], categories=["a", "b", "c"]),
        "flag": [True, False, True],
        "text": pd.Series(["x", None, "y"], dtype="str"),
    }
)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(0, 1), slice(0, 0), slice(None, None, -1)])
def test_later_tables_are_as_arrow_makes_them(rows: slice) -> None:
    first = pa.Table.from_pandas(TABLE, preserve_index=False)
    some = TABLE.iloc[rows]
    expected = pa.Table.from_pandas(some, preserve_index=False)
    assert as_first(some, first.schema).equals(expected)


def test_each_table_is_a_row_group(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with row_group_writer(path) as append:
        append(TABLE)
        append(TABLE.iloc[1:])
    found = pq.ParquetFile(path)
    assert [found.metadata.row_group(at).num_rows for at in range(2)] == [3, 2]
    expected = pd.concat([TABLE, TABLE.iloc[1:]], ignore_index=True)
    pd.testing.assert_frame_equal(found.read().to_pandas(), expected)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    with row_group_writer(tmp_path / "table.parquet") as append:
        append(TABLE)
        with pytest.raises(ValueError, match="schema"):
            append(TABLE.rename(columns={"flag": "other"}))
        with pytest.raises(ValueError, match="longer"):
            append(TABLE.drop(columns="text"))


LISTS = pd.DataFrame({"list": np.repeat([1, 2, 3, 5], [4, 1, 6, 2]), "id": np.arange(13), "more": "x"})


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 13])
def test_tables_are_those_of_each_value_wherever_row_groups_end(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with row_group_writer(path) as append:
        for start in range(0, len(LISTS), rows):
            append(LISTS.iloc[start : start + rows])
    assert pq.ParquetFile(path).num_row_groups == -(-len(LISTS) // rows)
    found = list(tables_of_values(path, "list", ("list", "id")))
    expected = [table for _, table in LISTS[["list", "id"]].groupby("list")]
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))

    for last in range(1, 6):
        some = list(tables_of_values(path, "list", ("list", "id"), last))
        assert [each["id"].tolist() for each in some] == [each["id"].tolist() for each in found[-last:]]


def test_a_table_without_rows_has_no_values(tmp_path: Path) -> None:
    LISTS[:0].to_parquet(tmp_path / "table.parquet")
    assert list(tables_of_values(tmp_path / "table.parquet", "list", ["list"])) == []


@pytest.mark.parametrize("values", [[1, 2, 1, 2], [2, 2, 2, 1], [1.0, np.nan, 2.0, 2.0]])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_file_in_another_order_is_one_clear_message(values: list[float], rows: int, tmp_path: Path) -> None:
    pd.DataFrame({"list": values}).to_parquet(tmp_path / "table.parquet", row_group_size=rows)
    with pytest.raises(InputError, match=r"table\.parquet.*not in the order of list"):
        list(tables_of_values(tmp_path / "table.parquet", "list", ["list"]))


def test_a_missing_file_or_column_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.parquet"):
        list(tables_of_values(tmp_path / "table.parquet", "list", ["list"]))
    LISTS.to_parquet(tmp_path / "table.parquet")
    with pytest.raises(InputError, match="missing"):
        list(tables_of_values(tmp_path / "table.parquet", "list", ["list", "missing"]))


def test_columns_are_copied_a_row_group_at_a_time(tmp_path: Path) -> None:
    source, target = tmp_path / "table.parquet", tmp_path / "copy.parquet"
    table = LISTS.assign(more=pd.Categorical(LISTS["list"].map(lambda each: f"level {each}")))
    table.to_parquet(source, row_group_size=4)
    copy_columns(source, target, {"more", "list", "missing"}, "zstd")
    pd.testing.assert_frame_equal(pd.read_parquet(target), table[["list", "more"]])
    written = pq.ParquetFile(target).metadata
    assert [written.row_group(group).num_rows for group in range(4)] == [4, 4, 4, 1]
    assert written.row_group(0).column(0).compression == "ZSTD"


def test_a_file_without_rows_is_copied(tmp_path: Path) -> None:
    LISTS[:0].to_parquet(tmp_path / "table.parquet")
    copy_columns(tmp_path / "table.parquet", tmp_path / "copy.parquet", ["id"])
    assert pd.read_parquet(tmp_path / "copy.parquet").columns.tolist() == ["id"]


@pytest.mark.filterwarnings("error")  # of a destructor that fails too
@pytest.mark.parametrize("most_bytes", [0, 100, 1000])
def test_a_full_disk_is_one_error(tmp_path: Path, most_bytes: int) -> None:
    with (
        full_disk(most_bytes),
        pytest.raises(OSError, match="File too large"),
        row_group_writer(tmp_path / "x.parquet") as append,
    ):
        append(TABLE)
    gc.collect()
