"""Every program says what it takes, and refuses what it does not know before it does anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract_files import ROOT

PROGRAMS = [
    f"{folder}.{path.stem}"
    for folder in ("stages", "commands")
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.stem != "__init__"
]


def ran(program: str, argument: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program, argument],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_argument_that_a_program_does_not_know_is_refused(program: str, tmp_path: Path) -> None:
    refused = ran(program, "--no-such-option", tmp_path)
    assert refused.returncode == 2
    assert f"python -m {program}: error: " in refused.stderr
    assert "--no-such-option" in refused.stderr or "required" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_says_what_a_program_does(program: str, tmp_path: Path) -> None:
    helped = ran(program, "--help", tmp_path)
    assert helped.returncode == 0
    usage, description, *_ = helped.stdout.split("\n\n")
    assert usage.startswith(f"usage: python -m {program} [-h]")
    assert description.strip()
    assert not list(tmp_path.iterdir())
