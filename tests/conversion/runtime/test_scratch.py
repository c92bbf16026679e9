from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conversion.runtime.errors import OutputError
from conversion.runtime.scratch import scratch_folder


def ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_folder_is_there_for_the_block_alone(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "data" / "leads") as folder:
        (folder / "some").write_text("rows", encoding="utf-8")
        assert folder.parent == tmp_path / "data"
    assert not any((tmp_path / "data").iterdir())


def test_it_is_removed_if_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), scratch_folder(tmp_path / "leads"):
        raise ValueError("broken")
    assert not any(tmp_path.iterdir())


def test_what_killed_runs_left_is_removed_and_a_running_one_is_not(tmp_path: Path) -> None:
    killed, before, runs = (
        tmp_path / f".leads.{pid}.tmp" for pid in (ended_process(), os.getpid(), os.getppid())
    )
    for each in (killed, before, runs):
        each.mkdir()
        (each / "rows").touch()
    with scratch_folder(tmp_path / "leads") as folder:
        assert folder == before
        assert not any(folder.iterdir())
        assert not killed.exists()
    assert [each.name for each in tmp_path.iterdir()] == [runs.name]


def test_a_folder_that_cannot_be_made_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(OutputError), scratch_folder(tmp_path / "data" / "leads"):
        pass
