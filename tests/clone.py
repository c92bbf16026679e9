"""A small copy of the project in a Git repository of its own, to run real commands in."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 900  # of a command that hangs; a slow machine decides no test

ALL = ("simulate", "load", "clean", "featurize", "train", "evaluate", "score", "report", "track")
AFTER_FEATURIZE = ALL[4:]

# The stages' outputs that are in Git. A clone starts without them, as if nothing had ever run.
WRITTEN = ("dvc.lock", "metrics/", "models/model_card.md", "plots/")

SMALL: dict[str, Any] = {
    "simulate.companies": 1000,
    "simulate.weeks": 40,
    "featurize.windows": [1, 4, 13],
    "featurize.keep_negatives.seen": 0.3,
    "featurize.keep_negatives.never_seen": 0.1,
    # Half as much again as 1,000 companies at 33 weeks: the shares are then .45 and .15.
    "featurize.keep_negatives.shares_from": 50_000,
    "model.logistic_regression.quadratic": ["size", "users_max_4w"],
    "model.random_forest.n_estimators": 10,
    "model.xgboost.n_estimators": 15,
    "evaluate.refit_weeks": 12,
    "evaluate.bootstrap_samples": 20,
    # tests/test_tracking.py turns it on
    "tracking.enabled": False,
}


class Clone:
    """A Git repository of the project and the commands to run in it.

    Parameters
    ----------
    folder
        The repository.
    home
        A folder for what DVC otherwise keeps in folders of the user and the system.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DVC_", "GIT_", "COV_", "MLFLOW_", "PYTEST_", "MAKE", "MFLAGS"))
            and name != "PYTHONPATH"
        }
        self.env = inherited | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(home / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "system"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            # Threads that spin while they wait starve each other on a busy machine.
            "OMP_WAIT_POLICY": "passive",
        }

    @classmethod
    def of_project(cls, folder: Path, home: Path, params: dict[str, Any] | None = None) -> Clone:
        """Copy the working tree, as edited, into a new repository with small params, and commit it."""
        clone = cls(folder, home)
        clone.copy_project(without=WRITTEN)
        clone.set_params(SMALL | (params or {}))
        clone.start("the project, made small")
        return clone

    def copy_project(self, without: tuple[str, ...] = ()) -> None:
        """Copy the files that git has or would add, as edited, except paths that start with ``without``."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(without):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)

    def start(self, message: str) -> None:
        """Make a repository of the folder and commit what is in it."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.identify()
        self.commit(message)

    @classmethod
    def reproduced(cls, folder: Path, home: Path, params: dict[str, Any] | None = None) -> Clone:
        """Return a copy of the project after its first ``dvc repro``, with everything committed."""
        clone = cls.of_project(folder, home, params)
        assert stages_run(clone.dvc("repro")) == ALL
        # data/ and models/ have the .gitignore files that DVC writes
        assert clone.status() == ["?? dvc.lock", "?? metrics/", "?? models/model_card.md", "?? plots/"]
        clone.commit("the first run")
        return clone

    def copy_to(self, folder: Path) -> Clone:
        """Copy the repository with its data and cache."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Clone(folder, self.home)

    def clone_to(self, folder: Path) -> Clone:
        """Clone the repository with all its branches; no cache comes along."""
        self.git("clone", "--quiet", str(self.folder), str(folder))
        clone = Clone(folder, self.home)
        clone.identify()
        return clone

    def identify(self) -> None:
        """Set the author of commits."""
        self.git("config", "user.name", "Tester")
        self.git("config", "user.email", "tester@example.com")

    def run(self, *command: str, fails: bool = False) -> str:
        """Run a command, check its exit code, and return stdout and stderr."""
        done = subprocess.run(
            command,
            cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, f"{command}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def dvc(self, *arguments: str, fails: bool = False) -> str:
        """Run a dvc command."""
        return self.run("dvc", *arguments, fails=fails)

    def answer(self, *arguments: str) -> str:
        """Run a dvc command and return its stdout alone."""
        return subprocess.run(
            ["dvc", *arguments],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=TIMEOUT, check=True,
        ).stdout  # fmt: skip

    def git(self, *arguments: str) -> str:
        """Run a git command."""
        return self.run("git", *arguments)

    def commit(self, message: str) -> None:
        """Commit everything that is not ignored."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def status(self) -> list[str]:
        """List what differs from the last commit, as ``git status --porcelain`` does."""
        return self.git("status", "--porcelain").splitlines()

    def reset(self) -> None:
        """Go back to the last commit, data and model too."""
        if not self.status():
            return
        self.git("checkout", "--quiet", "--", ".")
        self.git("clean", "-d", "--force", "--quiet")
        self.dvc("checkout", "--quiet", "--force")

    @contextmanager
    def as_committed(self) -> Iterator[Clone]:
        """Lend the clone; then go back to the last commit, and forget what the run cache has learned."""
        runs = self.folder / ".dvc/cache/runs"
        known = set(runs.rglob("*"))
        yield self
        self.reset()
        # From the bottom up: DVC stumbles over a folder without an entry.
        for entry in sorted(set(runs.rglob("*")) - known, reverse=True):
            if entry.is_file():
                entry.unlink()
            elif not any(entry.iterdir()):
                entry.rmdir()

    def set_params(self, changed: dict[str, Any]) -> None:
        """Change keys of params.yaml, given by their dotted paths."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, value in changed.items():
            *sections, key = name.split(".")
            section = functools.reduce(dict.__getitem__, sections, values)
            assert key in section, name
            section[key] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")

    def read(self, path: str) -> bytes:
        """Read a file's bytes."""
        return (self.folder / path).read_bytes()


def stages_restored(output: str) -> tuple[str, ...]:
    """List the stages whose outputs DVC took from its run cache, by what it printed."""
    cached = r"^Stage '(\w+)' is cached - skipping run, checking out outputs$"
    return tuple(re.findall(cached, output, flags=re.MULTILINE))


def stages_run(output: str) -> tuple[str, ...]:
    """List the stages that a dvc command ran, by what it printed."""
    return tuple(re.findall(r"^Running stage '(\w+)'", output, flags=re.MULTILINE))
