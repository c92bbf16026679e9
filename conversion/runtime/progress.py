"""Progress bars on a terminal, for work that takes more than two seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from tqdm import tqdm

from conversion.runtime.logs import log_format

SILENT_SECONDS: Final = 2

T = TypeVar("T")


def progress_bar(items: Iterable[T], *, what: str, unit: str, total: int | None = None) -> Iterable[T]:
    """Iterate over items with a progress bar.

    Nothing is shown in the first two seconds, if stderr is not a terminal, in a worker process, or if logs are
    JSON.

    Parameters
    ----------
    items
        What to iterate over.
    what
        The text before the bar.
    unit
        What is counted.
    total
        The number of items; None: the length of ``items``.
    """
    return tqdm(items, total=total, **_settings(what, unit))


def counting_bar(*, what: str, unit: str, total: int) -> tqdm[Any]:
    """Return a progress bar like `progress_bar`, which the caller advances with ``update``."""
    return tqdm(total=total, **_settings(what, unit))


def _settings(what: str, unit: str) -> dict[str, Any]:
    # The bars of several worker processes would overwrite each other.
    is_worker = multiprocessing.parent_process() is not None
    silent = True if log_format() == "json" or is_worker else None  # None: silent unless stderr is a terminal
    return {"desc": what, "unit": f" {unit}", "disable": silent, "delay": SILENT_SECONDS}
