"""Asking git, which need not be there."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(*arguments: str, folder: Path | None = None) -> bytes | None:
    """Run git and return what it writes; None without git, outside a repository, or if it fails.

    Parameters
    ----------
    *arguments
        Its command line.
    folder
        Where to run it; None: in the working directory.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
