"""What must hold before the ledger grows: nobody else delivers, and no delivery is missing."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from conversion.runtime.errors import ArtifactError, DeliveryError
from conversion.runtime.files import read_text
from conversion.runtime.locks import locked

LOCK: Final = "data/published.lock"
"""Held while the ledger or what is published changes; the system lets go of it when a process ends."""
_FILES: Final = re.compile(r"^\s*nfiles: (\d+)$", re.MULTILINE)


def one_at_a_time(root: Path) -> AbstractContextManager[None]:
    """Hold the lock of the ledger and of what is published.

    Two deliveries at once would have the same number, or leave the older list published.

    Parameters
    ----------
    root
        The project's root.

    Raises
    ------
    DeliveryError
        Another process holds it.
    """
    path = root / LOCK
    refusal = DeliveryError(
        f"{path}: another process delivers, or forgets a company, at this moment; nothing was changed: wait "
        "until it has ended, then run it again"
    )
    return locked(path, refusal)


def require_pulled(ledger: Path, tracked: Path) -> None:
    """Check that a ledger is not older than the one that DVC tracks: it only grows.

    Parameters
    ----------
    ledger
        The folder.
    tracked
        The file that ``dvc add`` writes; nothing is checked without it.

    Raises
    ------
    ArtifactError
        The ledger has fewer files.
    """
    found = _FILES.search(read_text(tracked)) if tracked.is_file() else None
    if found is None:
        return
    files = sum(each.is_file() for each in ledger.rglob("*") if ".tmp" not in str(each.relative_to(ledger)))
    if files < int(found[1]):
        raise ArtifactError(
            f"{ledger}: has {files} files, but {tracked} tracks {found[1]}: deliveries are missing; run 'dvc "
            f"pull {tracked}'"
        )
