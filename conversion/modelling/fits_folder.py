"""The folder of kept fits, see `conversion.modelling.kept_fits`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from joblib import Memory

from conversion.runtime.run_cache import run_by_dvc

FOLDER: Final = Path("data/.fits")
MOST_BYTES: Final = 500_000_000
"""Of all kept fits; beyond, those that were not used for longest go."""


def kept_fits(stage: str) -> Memory | None:
    """Return where a stage that DVC started keeps fits, with the oldest of too many dropped.

    Started by hand, a stage fits anew: None.
    """
    if not run_by_dvc(stage):
        return None
    memory = Memory(FOLDER, verbose=0)
    memory.reduce_size(bytes_limit=MOST_BYTES)
    return memory
