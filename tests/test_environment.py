"""What surrounds the project: the Makefile's checks before anything is installed, and git's settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clone import ROOT, Clone

OTHER_PYTHON = """#!/bin/sh
echo 3.13
"""


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["run", "lint", "bench-automl"])
def test_another_python_is_refused_before_anything_is_made(target: str, tmp_path: Path) -> None:
    python = tmp_path / "python3.13"
    python.write_text(OTHER_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    done = make(target, f"PYTHON={python}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert (
        f"PYTHON={python}: is Python 3.13, the locks are for 3.11; try: make PYTHON=/path/to" in done.stderr
    )
    assert list(tmp_path.iterdir()) == [python]


def test_a_python_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = make("run", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "PYTHON=no-such-python: cannot be run; try: make PYTHON=/path/to/python3.11" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("autocrlf", ["true", "input", "false"])
def test_git_s_setting_of_line_ends_changes_no_byte(autocrlf: str, tmp_path: Path) -> None:
    """DVC hashes modules and committed results as they are in the workspace."""
    source = Clone(tmp_path / "source", tmp_path)
    source.folder.mkdir()
    source.copy_project()
    (source.folder / "crlf.csv").write_bytes(b"a,b\r\n1,2\r\n")
    source.start("the project")
    source.git("-c", f"core.autocrlf={autocrlf}", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Clone(tmp_path / "clone", tmp_path)
    clone.git("config", "core.autocrlf", autocrlf)
    names = [name for name in source.git("ls-files", "-z").split("\0") if name]
    assert len(names) > 100
    assert [name for name in names if clone.read(name) != source.read(name)] == []
    for name in names:
        os.utime(clone.folder / name)  # git compares the bytes again
    assert clone.status() == []


def test_a_clone_with_other_line_ends_is_mended_as_the_page_says(tmp_path: Path) -> None:
    source = Clone(tmp_path / "source", tmp_path)
    source.folder.mkdir()
    source.copy_project(without=(".gitattributes",))
    source.start("before there was a .gitattributes")
    source.git("clone", "--quiet", "-c", "core.autocrlf=true", ".", str(tmp_path / "clone"))
    clone = Clone(tmp_path / "clone", tmp_path)
    assert b"\r\n" in clone.read("params.yaml")
    shutil.copy(ROOT / ".gitattributes", source.folder)
    source.commit("and now there is")
    clone.git("pull", "--quiet")
    page = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
    for command in ("git rm -r --cached --quiet .", "git reset --hard"):
        assert f"\n{command}\n" in page
        clone.run(*command.split())
    names = [name for name in source.git("ls-files", "-z").split("\0") if name]
    assert [name for name in names if clone.read(name) != source.read(name)] == []
    assert clone.status() == []
