from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion import files


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [2, 1],
            "share": [0.1, None],
            "name": ["Zoë, Ltd", 'say "hi"'],
            "week": pd.to_datetime(["2020-02-24", None]),
        }
    )


@pytest.mark.parametrize("before", [None, "the old text"])
def test_a_failed_write_leaves_what_was_there(before: str | None, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    if before is not None:
        path.write_text(before)

    def fail_half_way(temporary: Path) -> None:
        temporary.write_text("half of the")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        files.write_atomically(path, fail_half_way)

    assert [each.read_text() for each in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_write_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        assert temporary.parent == path.parent  # a rename within one file system is atomic
        temporary.write_text("new")
        assert path.read_text() == "old"

    files.write_atomically(path, write)

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text"


def test_text_is_utf_8_with_unix_line_ends(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t.txt", "Zoë\n€\n")
    assert (tmp_path / "t.txt").read_bytes() == b"Zo\xc3\xab\n\xe2\x82\xac\n"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"deep": [{"down": x}]}], ids=["bare", "nested"])
def test_json_refuses_what_json_cannot_say(value: float, wrap: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    files.write_json(path, {"auc": 0.9})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, wrap(value))
    assert files.read_json(path) == {"auc": 0.9}
    assert list(tmp_path.iterdir()) == [path]


def test_json_keeps_its_order_and_comes_back(tmp_path: Path) -> None:
    value = {"z": 1, "a": [1.5, None, True, "Zoë"], "m": {}}
    files.write_json(tmp_path / "m.json", value)
    assert files.read_json(tmp_path / "m.json") == value
    text = (tmp_path / "m.json").read_text()
    assert list(json.loads(text)) == ["z", "a", "m"]
    assert text.endswith("}\n")


def test_csv_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    files.write_csv(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == (
        b'id,share,name,week\n2,0.1,"Zo\xc3\xab, Ltd",2020-02-24\n1,,"say ""hi""",\n'
    )


def test_csv_float_format(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "t.csv", pd.DataFrame({"p": [1 / 3, 1e-9], "n": [1, 2]}), float_format="%.4f")
    assert (tmp_path / "t.csv").read_bytes() == b"p,n\n0.3333,1\n0.0000,2\n"


def test_csv_missing(table: pd.DataFrame, tmp_path: Path) -> None:
    files.write_csv(tmp_path / "t.csv", table[["id", "share"]], missing="NaN")
    assert (tmp_path / "t.csv").read_bytes() == b"id,share\n2,0.1\n1,NaN\n"


@pytest.mark.parametrize("write", [files.write_csv, files.write_parquet])
def test_same_table_same_bytes_without_the_index(write: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    write(tmp_path / "one", table)
    write(tmp_path / "two", table.set_axis(["x", "y"], axis=0))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_parquet_comes_back(table: pd.DataFrame, tmp_path: Path) -> None:
    files.write_parquet(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
