"""How the Makefile installs a lock: uv where it can, pip where pip has settings of its own or uv fails."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.clone import ROOT

MAKEFILE = """
include Makefile
.PHONY: install
install:
	@$(call INSTALL,{folder},requirements.txt)
"""

# Stand-ins: each prints its name and ends with the exit code that it is given.
PYTHON = """#!/bin/bash
case "$*" in
    *"config list"*) printf '%s\\n' "{settings}" ;;
    *--target*) echo "pip installs uv"; exit {bootstrap} ;;
    *) echo "pip"; exit {pip} ;;
esac
"""
UV = """#!/bin/bash
echo "uv"; exit {uv}
"""

# What the Makefile takes out of the lock of the development tools.
UV_LINES = "sed -n '/^uv==/,/^    #/p' requirements-dev.txt"

INSTALLS_UV = "pip installs uv"
FAILED = "uv failed to install requirements.txt: installing it with pip"


def install(
    folder: Path, settings: str = "", bootstrap: int = 0, uv: int = 0, pip: int = 0
) -> tuple[int, list[str]]:
    """Install with the stand-ins; return the exit code and what was printed."""
    python = PYTHON.format(settings=settings, bootstrap=bootstrap, pip=pip)
    for path, program in (("bin/python", python), ("uv/bin/uv", UV.format(uv=uv))):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(program, encoding="utf-8")
        (folder / path).chmod(0o755)
    makefile = folder / "install.mk"
    makefile.write_text(MAKEFILE.format(folder=folder), encoding="utf-8")
    done = subprocess.run(
        ["make", "--silent", "-f", str(makefile), "install"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("settings", ["", "global.extra-index-url='file:///more'", ":env:.timeout='180'"])
def test_uv_installs(settings: str, tmp_path: Path) -> None:
    assert install(tmp_path, settings) == (0, [INSTALLS_UV, "uv"])


@pytest.mark.parametrize(
    "settings",
    [
        "global.index-url='https://mirror/simple'",
        ":env:.no-index='1'\nglobal.timeout='3'",
        "user.proxy='http://p'",
    ],
)
def test_pip_installs_where_it_has_an_index_or_a_proxy_of_its_own(settings: str, tmp_path: Path) -> None:
    assert install(tmp_path, settings) == (0, ["pip"])


def test_pip_installs_where_uv_fails_or_cannot_be_had(tmp_path: Path) -> None:
    assert install(tmp_path / "fails", uv=2) == (0, [INSTALLS_UV, "uv", FAILED, "pip"])
    assert install(tmp_path / "none", bootstrap=1) == (0, [INSTALLS_UV, FAILED, "pip"])


@pytest.mark.parametrize("settings", ["", ":env:.no-index='1'"])
def test_a_lock_that_neither_can_install_fails(settings: str, tmp_path: Path) -> None:
    code, said = install(tmp_path, settings, uv=1, pip=1)
    assert code != 0
    assert said[-1] == "pip"


def test_uv_is_installed_by_the_hashes_of_the_lock() -> None:
    assert UV_LINES in (ROOT / "Makefile").read_text(encoding="utf-8")
    done = subprocess.run(shlex.split(UV_LINES), cwd=ROOT, capture_output=True, text=True, check=True)
    pin, *hashes, via = map(str.strip, done.stdout.splitlines())
    assert pin.startswith("uv==")
    assert hashes
    assert all(line.startswith("--hash=sha256:") for line in hashes)
    assert via.startswith("# via")
