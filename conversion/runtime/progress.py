"""Progress bars: on a terminal, of what takes longer than a moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from tqdm import tqdm

from conversion.runtime.logs import log_format

SILENT_SECONDS: Final = 2

T = TypeVar("T")


def progress_bar(items: Iterable[T], *, what: str, unit: str, total: int | None = None) -> Iterable[T]:
    """Go through items behind a progress bar; it changes no result.

    Nothing is shown in the first two seconds, where stderr is no terminal, or where logs are JSON lines.

    Parameters
    ----------
    items
        What to go through.
    what
        Said before the bar.
    unit
        What is counted.
    total
        How many there will be; None: as many as ``items`` has.
    """
    return tqdm(items, total=total, **_settings(what, unit))


def counting_bar(*, what: str, unit: str, total: int) -> tqdm[Any]:
    """Give a progress bar, see `progress_bar`, that the caller moves with ``update``."""
    return tqdm(total=total, **_settings(what, unit))


def _settings(what: str, unit: str) -> dict[str, Any]:
    silent = True if log_format() == "json" else None  # None: where stderr is no terminal
    return {"desc": what, "unit": f" {unit}", "disable": silent, "delay": SILENT_SECONDS}
