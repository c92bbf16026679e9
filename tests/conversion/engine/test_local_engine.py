"""Parts in this process and in a pool of processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conversion.config.params import EngineParams
from conversion.engine.local_engine import LocalEngine
from conversion.engine.run_parts import run_parts
from conversion.runtime.errors import EngineError, UserError
from tests.conversion.engine import jobs

TWO = EngineParams(type="local", workers=2, address=None)
# A stage whose parts say which process they run in, and then wait.
STAGE = """
import functools
from pathlib import Path
from conversion.config.params import EngineParams
from conversion.engine.kept_parts import kept_parts
from conversion.engine.run_parts import run_parts
from tests.conversion.engine import jobs
if __name__ == "__main__":
    with kept_parts("stage", 4, {}, []) as kept:
        job = functools.partial(jobs.write_when_told, root=kept.root, parts=4)
        run_parts(job, 4, EngineParams(type="local", workers=2, address=None), "parts", kept)
"""


def test_one_worker_is_this_process() -> None:
    assert list(LocalEngine().run(lambda part: [part, os.getpid()], [2, 1])) == [
        (2, [2, os.getpid()]),
        (1, [1, os.getpid()]),
    ]


def test_workers_are_processes_with_one_thread_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = run_parts(jobs.about, 6, TWO, "parts")
    assert [each["part"] for each in found] == list(range(6))
    assert os.getpid() not in {each["pid"] for each in found}
    assert {each["folder"] for each in found} == {str(tmp_path)}
    assert {tuple(each["threads"]) for each in found} == {(1,)}


def test_a_parts_error_is_the_same_from_a_process() -> None:
    with pytest.raises(UserError, match=r"^part 3: mend it$") as here:
        run_parts(jobs.refuse, 5, TWO.model_copy(update={"workers": 1}), "parts")
    with pytest.raises(UserError, match=r"^part 3: mend it$") as there:
        run_parts(jobs.refuse, 5, TWO, "parts")
    assert here.value.exit_code == there.value.exit_code == 2


def test_a_bug_in_a_part_stays_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        run_parts(jobs.fault, 3, TWO, "parts")


def test_a_killed_worker_is_one_message() -> None:
    with pytest.raises(EngineError, match=r"worker process was ended from outside.*fewer engine.workers"):
        run_parts(jobs.die, 3, TWO, "parts")


@pytest.mark.slow
def test_a_killed_stage_takes_its_workers_along_and_goes_on_with_the_parts_that_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "stage.py"
    program.write_text(STAGE, encoding="utf-8")
    begin = [sys.executable, str(program)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    # The pipe stays open as long as a worker has it.
    stage = subprocess.Popen(begin, env=environment, stdout=subprocess.PIPE)
    while not (jobs.calls("waiting").keys() == {2, 3} and jobs.calls() == {0: 1, 1: 1}):
        assert stage.poll() is None
    done = list(Path("data/.work").glob("stage-*/done/parts/*.json"))
    assert sorted(each.name for each in done) == ["part-00000.json", "part-00001.json"]
    os.kill(stage.pid, signal.SIGKILL)
    assert stage.communicate(timeout=60) == (b"", None)

    Path("go").touch()
    subprocess.run(begin, env=environment, check=True)
    assert jobs.calls() == dict.fromkeys(range(4), 1)
    files = sorted(Path("data/out/table.parquet").iterdir())
    assert [each.read_text() for each in files] == [f"part {part}" for part in range(4)]
