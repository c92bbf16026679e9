"""One run of a stage at a time, where runs of it would share a folder."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from conversion.runtime.errors import EngineError
from conversion.runtime.locks import locked


def one_run(stage: str) -> AbstractContextManager[None]:
    """Hold the lock of a stage during the block.

    Raises
    ------
    EngineError
        Another process holds it.
    """
    path = Path(f"data/.{stage}.lock")
    refusal = EngineError(
        f"{path}: another run of {stage} is at work in this project; nothing was changed: wait until it has "
        "ended, then run it again"
    )
    return locked(path, refusal)
