"""One run of a stage at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conversion.engine.kept_parts import kept_parts
from conversion.engine.one_run import one_run
from conversion.runtime.errors import EngineError

WAITS = (
    "import sys\nfrom conversion.engine.one_run import one_run\n"
    "with one_run('featurize'):\n    print('begun', flush=True)\n    sys.stdin.read()\n"
)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)


def other_run() -> subprocess.Popen[str]:
    """Begin a run in another process, which ends when its input does."""
    pipe = subprocess.PIPE
    other = subprocess.Popen([sys.executable, "-c", WAITS], stdin=pipe, stdout=pipe, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "begun\n"
    return other


def test_a_second_run_of_a_stage_is_refused_until_the_first_has_ended() -> None:
    with other_run() as other:
        refused = pytest.raises(EngineError, match="another run of featurize is at work")
        with refused, one_run("featurize"):
            pass
        with one_run("clean"):
            pass
        other.communicate("")
    assert not list(Path("data").iterdir())
    with one_run("featurize"):
        pass
    assert not list(Path("data").iterdir())


def test_a_run_that_was_killed_holds_no_lock() -> None:
    with other_run() as other:
        other.kill()
    with one_run("featurize"):
        pass
    assert not list(Path("data").iterdir())


def test_a_second_run_leaves_the_parts_of_the_first_alone() -> None:
    with kept_parts("stage", 2, {}, []) as kept:
        (kept.root / "a.parquet").write_text("0", encoding="utf-8")
        refused = pytest.raises(EngineError, match=r"data/\.stage\.lock: another run of stage")
        with refused, kept_parts("stage", 3, {}, []):
            pass
    assert Path("a.parquet").read_text(encoding="utf-8") == "0"
    assert not list(Path("data").iterdir())


def test_the_lock_goes_when_the_block_fails() -> None:
    with pytest.raises(ValueError, match="of the block"), one_run("stage"):
        raise ValueError("of the block")
    with one_run("stage"):
        pass
