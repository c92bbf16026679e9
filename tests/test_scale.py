"""The benchmark of sizes: what it fits, what it shows, and what it measures of a command."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from benchmarks.process_tree import run_tree
from benchmarks.scale import expect_equal, read_rows, rows_said, write_rows
from benchmarks.scale_page import Row, exponent, page, table

ROW = Row(0.1, "clean", "local", 100_000, 19_048, 0, 4.0, 2.0, 250_000_000, 30_000_000)
LARGER = dataclasses.replace(ROW, size=1.0, usage_rows=1_000_000, cpu_seconds=20.0)


def test_the_exponent_of_a_power_is_found() -> None:
    points = [(rows, 3e-5 * rows**0.9) for rows in (1e5, 1e6, 1e7, 5e7)]
    assert exponent(points) == pytest.approx(0.9)
    assert exponent(points[:1]) is None


def test_the_table_has_each_size_and_the_exponent_once() -> None:
    failed = dataclasses.replace(ROW, stage="train", exit_code=-9)
    lines = table([ROW, LARGER, failed]).splitlines()
    assert lines[2] == "| clean | local | 100,000 | 19,048 | 4.0 | 2.0 |  | 0.25 | 25,000 | 0.03 |  |"
    assert lines[3].endswith("| 1.00 |")
    assert "exit -9" in lines[4]


def test_what_starts_a_process_does_not_flatten_the_exponent() -> None:
    rows = [
        dataclasses.replace(row, start_seconds=10.0, cpu_seconds=row.cpu_seconds + 10.0)
        for row in (ROW, LARGER)
    ]
    lines = table(rows).splitlines()
    assert "| 12.0 | 10.0 |" in lines[2]
    assert lines[3].endswith("| 1.00 |")


def test_rows_come_back_from_the_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "scale.csv", [LARGER, ROW])
    assert read_rows(tmp_path / "scale.csv") == [ROW, LARGER]
    assert read_rows(tmp_path / "none.csv") == []


def test_the_block_of_the_page_is_replaced(root: Path) -> None:
    text = (root / "docs/how-to/scale.md").read_text(encoding="utf-8")
    assert table([ROW]) in page(text, [ROW])
    with pytest.raises(SystemExit, match="lacks the lines"):
        page("no block", [ROW])


def test_different_features_stop_the_comparison() -> None:
    one, other = ('{"started": 0.5, "features": {"a": 1.0}}', '{"started": 0.9, "features": {"a": 2.0}}')
    expect_equal({"ours": one, "pandas": one.replace("0.5", "0.7")})
    with pytest.raises(SystemExit, match="pandas and ours differ in 1 features: a"):
        expect_equal({"ours": one, "pandas": other})


def test_what_a_process_and_its_child_use_is_counted(tmp_path: Path) -> None:
    work = "x = bytearray(200_000_000); import time; time.sleep(4)"
    code = f"import subprocess, sys; {work}; subprocess.run([sys.executable, '-c', 'print(1); {work}'])"
    used = run_tree([sys.executable, "-c", code], tmp_path, tmp_path / "log")
    assert used.exit_code == 0
    assert used.seconds > 8
    assert 390e6 < used.peak_bytes < 700e6
    assert (tmp_path / "log").read_text(encoding="utf-8") == "1\n"


def test_the_rows_of_the_sample_are_read_from_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("simulate INFO simulated companies=9 usage_rows=106853 truth_rows=7\n")
    assert rows_said(tmp_path / "log") == 106_853
