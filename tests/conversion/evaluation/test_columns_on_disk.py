"""Columns in files, and disks that have no room for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conversion.evaluation.columns_on_disk import LARGE, new_column, new_columns
from conversion.runtime.errors import OutputError
from tests.full_disk import full_disk


def test_a_large_column_has_room_on_the_disk_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[int] = []
    monkeypatch.setattr("os.posix_fallocate", lambda _, __, size: reserved.append(size), raising=False)
    column = new_columns(LARGE // 16, 2, "float64", tmp_path)
    column[:] = 1.0
    assert column.sum() == LARGE / 8
    assert reserved == [LARGE]
    assert not list(tmp_path.iterdir())


def test_a_small_column_and_one_of_texts_are_in_memory(tmp_path: Path) -> None:
    with full_disk(0):
        assert new_column(10, "float64", tmp_path / "none").shape == (10,)
        assert new_column(LARGE, object, tmp_path / "none").shape == (LARGE,)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_one_message(tmp_path: Path) -> None:
    folder = tmp_path / "columns"
    with pytest.raises(OutputError, match=r"columns.*cannot be written: File too large"), full_disk(1 << 20):
        new_column(LARGE, np.float64, folder)
    assert not list(folder.iterdir())
