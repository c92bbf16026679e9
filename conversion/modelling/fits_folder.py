"""The folder of kept fits, see `conversion.modelling.kept_fits`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conversion.modelling.kept_fits import KeptFits
from conversion.runtime.run_cache import run_by_dvc

FOLDER: Final = Path("data/.fits")
MOST_BYTES: Final = 500_000_000
"""Of all kept fits; beyond, those that were not used for longest go."""


def kept_fits(stage: str) -> KeptFits | None:
    """Return where a stage that DVC started keeps fits, with the oldest of too many dropped.

    Started by hand, a stage fits anew: None.
    """
    if not run_by_dvc(stage):
        return None
    memory = KeptFits(FOLDER)
    memory.drop_oldest(MOST_BYTES)
    return memory
