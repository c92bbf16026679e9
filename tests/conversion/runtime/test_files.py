from __future__ import annotations

import ast
import csv
import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.runtime import files
from conversion.runtime.errors import InputError, OutputError
from tests.leftovers import ended_process, no_file_longer_than


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

    with pytest.raises(
        OutputError, match=r"^\S+out\.txt: cannot be written: no space left; the previous content"
    ):
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


def test_what_a_killed_process_left_of_a_file_goes_when_it_is_written_again(tmp_path: Path) -> None:
    killed = ended_process()
    kept = {
        f".out.{os.getppid()}.tmp.png",  # a process that runs
        f".out.{killed}.tmp.csv",
        f".other.{killed}.tmp.png",
        ".out.tmp.png",
        f"out.{killed}.tmp.png",
    }
    for name in {f".out.{killed}.tmp.png", *kept}:
        (tmp_path / name).write_text("half of the")
    files.write_text(tmp_path / "out.png", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"out.png", *kept}


@pytest.mark.parametrize(
    ("name", "temporary"),
    [
        (".reliability.4711.tmp.png", True),
        (".model.1.tmp.joblib", True),
        (".no_suffix.4711.tmp", True),
        ("reliability.png", False),
        (".gitignore", False),
        ("a.4711.tmp.png", False),
    ],
)
def test_the_names_of_files_that_are_being_written(name: str, temporary: bool) -> None:
    assert files.is_temporary(Path("plots") / name) == temporary


def test_the_names_are_those_that_files_have_while_they_are_written(tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.gz", "a"):
        files.write_atomically(
            tmp_path / name,
            lambda temporary: temporary.write_text(str(files.is_temporary(temporary)), encoding="utf-8"),
        )
        assert (tmp_path / name).read_text(encoding="utf-8") == "True"


def test_a_copy_that_does_not_fit_is_no_fault_of_what_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "gains.png", tmp_path / "copy" / "gains.png"
    source.write_bytes(bytes(100_000))
    files.copy_file(source, target)
    assert target.read_bytes() == bytes(100_000)
    source.write_bytes(b"1" * 100_000)
    with no_file_longer_than(1000), pytest.raises(OutputError) as error:
        files.copy_file(source, target)
    said = f"{target}: cannot be written: File too large; the previous content is unchanged: "
    assert str(error.value).startswith(said)
    assert target.read_bytes() == bytes(100_000)
    assert [*target.parent.iterdir()] == [target]


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


FORMULAS = [
    "=HYPERLINK(1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    "\u00a0@x",
    "\uff1d1",
    "'quoted",
]


def test_csv_has_no_formulas(tmp_path: Path) -> None:
    harmless = ["a=b", "1 + 1", "", "(+) x", "0"]
    table = pd.DataFrame({"text": [*FORMULAS, *harmless, None], "number": -1.5})
    for kind in ("str", "object", "category"):
        files.write_csv(tmp_path / "t.csv", table.astype({"text": kind}))
        with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        assert [text for text, _ in rows] == [*(f"'{text}" for text in FORMULAS), *harmless, ""]
        assert {number for _, number in rows} == {"-1.5"}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1))
def test_csv_texts_come_back_and_begin_no_formula(text: str) -> None:
    guarded = files.without_formulas(pd.DataFrame({"text": [text]}))["text"]
    assert files.as_written(guarded).tolist() == [text]
    assert guarded[0].lstrip()[:1] not in set("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n")


@pytest.mark.parametrize("write", [files.write_csv, files.write_parquet])
def test_same_table_same_bytes_without_the_index(write: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    write(tmp_path / "one", table)
    write(tmp_path / "two", table.set_axis(["x", "y"], axis=0))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_parquet_comes_back(table: pd.DataFrame, tmp_path: Path) -> None:
    files.write_parquet(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with two of the folders that stages write."""
    monkeypatch.chdir(tmp_path)
    Path("data/features").mkdir(parents=True)
    Path("metrics").mkdir()
    return tmp_path


@pytest.mark.parametrize("read", [files.read_parquet, files.read_text, files.read_json])
@pytest.mark.usefixtures("project")
def test_a_missing_file_is_told_with_the_stage_that_writes_it(read: Any) -> None:
    for path in ("data/features/train.parquet", Path("data/features/train.parquet")):
        with pytest.raises(InputError) as error:
            read(path)
        assert str(error.value) == (
            "data/features/train.parquet: not found; the stage featurize writes it: run 'dvc repro featurize'"
        )


@pytest.mark.usefixtures("project")
def test_of_a_file_that_no_stage_writes_the_whole_pipeline_is_named() -> None:
    with pytest.raises(InputError) as error:
        files.read_json("other/a.json")
    assert str(error.value) == "other/a.json: not found; the pipeline writes it: run 'dvc repro'"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\x00 no table"])
@pytest.mark.usefixtures("project")
def test_a_broken_table_is_one_sentence(content: bytes) -> None:
    Path("data/features/train.parquet").write_bytes(content)
    with pytest.raises(InputError) as error:
        files.read_parquet("data/features/train.parquet")
    said = str(error.value)
    assert said.startswith("data/features/train.parquet: not what the stage featurize writes (")
    assert said.endswith("); run 'dvc repro featurize' again")
    assert "\n" not in said


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"7", b"{}"])
@pytest.mark.usefixtures("project")
def test_a_broken_value_is_one_sentence(content: bytes) -> None:
    Path("metrics/a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"^metrics/a\.json: not what the stage evaluate writes \(.+\); run"):
        files.read_value("metrics/a.json", "auc")


@pytest.mark.usefixtures("project")
def test_a_value_comes_back() -> None:
    files.write_json("metrics/a.json", {"auc": 0.9})
    assert files.read_value("metrics/a.json", "auc") == 0.9


@pytest.mark.usefixtures("project")
def test_missing_columns_are_named(table: pd.DataFrame) -> None:
    files.write_parquet("data/features/train.parquet", table)
    pd.testing.assert_frame_equal(files.read_parquet("data/features/train.parquet", ["week", "id"]), table)
    with pytest.raises(InputError, match=r"\(it lacks the columns size, sector\); run 'dvc"):
        files.read_parquet("data/features/train.parquet", ["id", "size", "share", "sector"])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def start_of_footer(data: bytes) -> int:
    """Where the description of the columns begins; its length stands before the last four bytes."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


@pytest.mark.usefixtures("project")
def test_a_byte_that_changed_in_any_page_is_noticed(table: pd.DataFrame) -> None:
    path = Path("data/features/train.parquet")
    files.write_parquet(path, table)
    data = path.read_bytes()
    refused = []
    for at in range(4, start_of_footer(data)):
        path.write_bytes(flipped(data, at))
        try:
            read = files.read_parquet(path)
        except InputError as error:
            refused.append(str(error))
        else:  # a byte of a page's header that changes nothing
            pd.testing.assert_frame_equal(read, table)
    assert len(refused) > 0.6 * start_of_footer(data)
    assert all(text.endswith("); run 'dvc repro featurize' again") for text in refused)


@pytest.mark.usefixtures("project")
def test_a_damaged_description_of_the_columns_is_no_fault_of_the_program(table: pd.DataFrame) -> None:
    path = Path("data/features/train.parquet")
    files.write_parquet(path, table)
    data = path.read_bytes()
    said = set()
    for at in range(start_of_footer(data), len(data), 5):
        path.write_bytes(flipped(data, at))
        try:
            files.read_parquet(path)
        except InputError as error:
            said.add(str(error))
    assert any("(the description of its columns is damaged: 'pandas_type')" in text for text in said)


# What reads and writes Parquet, and the option that it should be given; to_parquet has no name of its own.
PARQUET_CALLS = {
    **dict.fromkeys(
        ["pd.read_parquet", "pq.read_table", "pq.ParquetFile", "parquet.ParquetFile"], "VERIFIED"
    ),
    **dict.fromkeys(["to_parquet", "pq.write_table", "pq.ParquetWriter"], "WITH_CHECKSUMS"),
}
OPTIONS = {"VERIFIED": "page_checksum_verification", "WITH_CHECKSUMS": "write_page_checksum"}


def parquet_calls(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Each call that reads or writes Parquet with the options it is given, also inside of ``partial``."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        called = call.args[0] if ast.unparse(call.func) == "partial" else call.func
        text = ast.unparse(called)
        name = "to_parquet" if text.endswith(".to_parquet") else text
        if name in PARQUET_CALLS:
            yield name, {word.arg or ast.unparse(word.value) for word in call.keywords}


def test_all_parquet_is_written_with_checksums_and_read_with_them(root: Path) -> None:
    found = 0
    for folder in ("conversion", "stages", "commands", "benchmarks"):
        for path in (root / folder).rglob("*.py"):
            for name, passed in parquet_calls(path):
                found += 1
                options = PARQUET_CALLS[name]
                assert passed & {options, OPTIONS[options]}, f"{path}: {name} without {options}"
    assert found > 8
    assert {OPTIONS["VERIFIED"]: True} == files.VERIFIED
    assert {OPTIONS["WITH_CHECKSUMS"]: True} == files.WITH_CHECKSUMS


def test_a_folder_that_is_a_file_cannot_be_written_into(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("")
    with pytest.raises(OutputError) as error:
        files.write_json(tmp_path / "metrics" / "a.json", {})
    folder = tmp_path / "metrics"
    assert str(error.value).startswith(
        f"{folder / 'a.json'}: cannot be written: {folder} is not a folder; move it"
    )


@pytest.mark.usefixtures("project")
def test_copying_what_is_not_there_names_it() -> None:
    with pytest.raises(InputError, match=r"^metrics/a\.json: not found; the stage evaluate writes it"):
        files.copy_file("metrics/a.json", "b.json")


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("data/features/train.parquet", "featurize"),
        ("metrics/drift.json", "score"),
        ("metrics/new.json", "evaluate"),
        ("data/leads/top_leads.*", "score"),
        ("data", None),
        ("params.yaml", None),
    ],
)
def test_the_stage_that_writes_a_file(path: str, stage: str | None) -> None:
    """tests/test_dvc_yaml.py compares each output of dvc.yaml."""
    assert files.writer_of(path) == stage


@pytest.mark.usefixtures("project")
def test_a_monday_comes_back() -> None:
    files.write_json("metrics/a.json", {"as_of": "2020-04-27"})
    assert files.read_monday("metrics/a.json", "as_of") == dt.date(2020, 4, 27)


@pytest.mark.parametrize("given", ["soon", "", "2020-04-28", "2020-04-31", None, 20200427, ["2020-04-27"]])
@pytest.mark.usefixtures("project")
def test_what_is_no_monday_is_told_in_one_sentence(given: object) -> None:
    files.write_json("metrics/a.json", {"as_of": given})
    with pytest.raises(InputError) as told:
        files.read_monday("metrics/a.json", "as_of")
    assert str(told.value) == (
        f"metrics/a.json: not what the stage evaluate writes (as_of: given {given!r}, should be a Monday "
        "like 2020-02-24); run 'dvc repro evaluate' again"
    )


# --- git -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "mlflow.db",
        "mlflow.db-journal",
        "mlflow.db.lock",
        ".mlflow.4711.tmp.db",
        "plots/.reliability.4711.tmp.png",
        "models/.model.4711.tmp.joblib",
        ".tracking/.00000000000000000001-0123abcd.4711.tmp/run.json",
    ],
)
def test_git_ignores_what_a_killed_process_leaves(path: str) -> None:
    root = Path(__file__).resolve().parents[3]
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=root)
    assert ignored.returncode == 0
