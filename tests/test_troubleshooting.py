"""Cause each fault of docs/how-to/troubleshooting.md in a tiny project, compare DVC's message, and fix it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import yaml
import zc.lockfile

from tests.clone import ROOT, TIMEOUT, Clone

BEGUN = "begun.txt"
STAGES = {
    # Waits for `release`, so that a test can act while it runs.
    "wait": {
        "cmd": f"touch {BEGUN}; while [ ! -e go.txt ]; do sleep 0.1; done; echo ${{seed}} > out.txt",
        "params": ["seed"],
        "outs": ["out.txt"],
    }
}


@pytest.fixture
def project(tmp_path: Path) -> Clone:
    project = Clone(tmp_path / "project", tmp_path / "home")
    project.folder.mkdir()
    (project.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}), encoding="utf-8")
    (project.folder / "params.yaml").write_text("seed: 1\ndata: {as_of: null}\n", encoding="utf-8")
    (project.folder / ".gitignore").write_text("begun.txt\ngo.txt\nout.txt\n", encoding="utf-8")
    project.git("init", "--quiet", "--initial-branch=main")
    project.identify()
    project.dvc("init", "--quiet")
    project.commit("begun")
    return project


def start(project: Clone, *arguments: str) -> subprocess.Popen[str]:
    """Start DVC and return once its stage runs."""
    process = subprocess.Popen(
        ["dvc", *arguments],
        cwd=project.folder, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    waited = time.monotonic()
    while not (project.folder / BEGUN).exists():
        assert process.poll() is None
        assert time.monotonic() < waited + TIMEOUT
        time.sleep(0.1)
    return process


def release(project: Clone) -> None:
    (project.folder / "go.txt").touch()


def page_has(message: str) -> bool:
    return message in (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")


def test_a_lock_that_is_held(project: Clone) -> None:
    message = "Unable to acquire lock. Most likely another DVC process is running or was terminated abruptly."
    release(project)
    lock = zc.lockfile.LockFile(str(project.folder / ".dvc/tmp/lock"))
    assert message in project.dvc("repro", fails=True)
    assert page_has(message)
    lock.close()
    project.dvc("repro")


def test_a_dvc_that_was_killed(project: Clone) -> None:
    process = start(project, "repro")
    process.kill()
    process.wait(TIMEOUT)
    release(project)  # the stage's shell goes on by itself
    process.communicate(timeout=TIMEOUT)
    said = project.dvc("repro")
    assert "had been killed. Auto removed it from the lock file." in said
    assert page_has("had been killed. Auto removed it from the lock file.")
    assert project.read("out.txt") == b"1\n"


def test_a_second_repro_while_a_stage_runs(project: Clone) -> None:
    process = start(project, "repro")
    said = project.dvc("repro", fails=True)
    assert "is busy, it is being blocked by:\n  (PID " in said
    assert page_has("is busy, it is being blocked by:\n  (PID ")
    release(project)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert "up to date" in project.dvc("status")


@pytest.mark.parametrize("text", ["", '{"write": {"/a'])
def test_a_broken_lock_file(text: str, project: Clone) -> None:
    release(project)
    (project.folder / ".dvc/tmp/rwlock").write_text(text, encoding="utf-8")
    message = "Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON structure is corrupted"
    assert message in project.dvc("repro", fails=True)
    assert page_has(message)
    assert page_has("\nrm -f .dvc/tmp/rwlock\n")
    (project.folder / ".dvc/tmp/rwlock").unlink()
    project.dvc("repro")


def test_two_experiments_at_once(project: Clone) -> None:
    first = start(project, "exp", "run", "-S", "seed=2")
    assert "is busy, it is being blocked by:" in project.dvc("exp", "run", "-S", "seed=3", fails=True)
    release(project)
    said, _ = first.communicate(timeout=TIMEOUT)
    assert first.returncode != 0
    assert "Failed to reproduce experiment" in said
    assert "'NoneType' object is not subscriptable" in said
    assert page_has("'NoneType' object is not subscriptable")
    assert "seed: 3" in project.read("params.yaml").decode()
    assert project.answer("exp", "list").strip() == "", "neither is kept"
    project.git("checkout", ".")
    project.dvc("repro")


def test_a_date_without_quotes(project: Clone) -> None:
    (project.folder / "params.yaml").write_text("seed: 1\ndata: {as_of: 2020-02-24}\n", encoding="utf-8")
    message = "unexpected error - Unsupported value of type 'date' in 'params.yaml:data.as_of'"
    assert message in project.dvc("repro", fails=True)
    assert page_has(message)
    project.git("checkout", ".")
    release(project)
    project.dvc("exp", "run", "-S", "data.as_of=2020-02-24")
    assert "as_of: '2020-02-24'" in project.read("params.yaml").decode(), "DVC adds the quotes"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/exports/[3]", "unexpected error - mismatched input '[' expecting <EOF>"),
        ("/exports/#3", "unexpected error - LexerNoViableAltException: data.dir=/exports/#3"),
        ("/exports/a,b", "Sweep overrides can't be used without `--queue`"),
    ],
)
def test_a_path_without_its_quotes(path: str, message: str, project: Clone) -> None:
    assert message in project.dvc("exp", "run", "-S", f"data.dir={path}", fails=True)
    assert page_has(message)
