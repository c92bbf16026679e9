"""Where a company may be and this program cannot remove it: history, remotes, folders of others."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from conversion.forgetting.wanted import Wanted
from conversion.runtime.git import git

SEARCHED: Final = ("*.csv", "*.tsv", "*.json", "*.jsonl", "*.md", "*.txt", "*.html", "*.ipynb")


def in_history(root: Path, wanted: Wanted) -> tuple[str, ...]:
    """List the commits, of all branches, tags and experiments, that added or removed the id in a text.

    Parameters
    ----------
    root
        The project's root.
    wanted
        The company.
    """
    ids = "|".join(re.escape(each) for each in sorted(wanted.ids))
    pattern = f"(^|[^0-9A-Za-z_.-])({ids})($|[^0-9A-Za-z_.-])"
    command = ("log", "--all", "--format=%h", "--extended-regexp", "-G", pattern, "--", *SEARCHED)
    return tuple((git(*command, folder=root) or b"").decode().split())


def history_advice(commits: Sequence[str], wanted: Wanted) -> str:
    """Say what to do about commits that may name the company."""
    shown = ", ".join(commits[:5]) + (", ..." if len(commits) > 5 else "")
    rules = "\n".join(rf"regex:(?<![\w.-]){re.escape(each)}(?![\w.-])==>0" for each in sorted(wanted.ids))
    return (
        f"git's history: {len(commits)} commits have the id's characters in a text ({shown}); a number may "
        "be something else, so look first. To rewrite history, in a fresh clone: git filter-repo "
        f"--replace-text <(echo {shlex.quote(rules)}), then push --force, and have every clone made again"
    )


def remotes_advice(remotes: Mapping[str, str], hashes: Sequence[str]) -> tuple[str, ...]:
    """Say which objects to remove from DVC's remotes.

    Parameters
    ----------
    remotes
        Their addresses, by name.
    hashes
        Of objects with the company.
    """
    paths = " ".join(f"files/md5/{each[:2]}/{each[2:]}" for each in hashes)
    return tuple(
        f"DVC's remote {name} ({address}) may have {len(hashes)} objects with the company. After "
        f"'dvc repro', 'dvc add ledger' and 'dvc push': dvc gc --workspace --cloud --remote {name}, which "
        f"removes whatever the workspace does not use. Or remove these alone: {paths}"
        for name, address in sorted(remotes.items())
        if hashes
    )
