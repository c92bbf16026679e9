"""Running a function for every part of the tables, with progress."""

from __future__ import annotations

from typing import Any

from conversion.config.params import EngineParams
from conversion.engine.engines import PartFunction, engine_of
from conversion.runtime.progress import counting_bar


def run_parts(function: PartFunction, parts: int, params: EngineParams, what: str) -> list[Any]:
    """Run a function for each part, and return the summaries in the order of the parts.

    Parameters
    ----------
    function
        See `conversion.engine.engines.PartFunction`. It writes each file atomically under its final name.
    parts
        How many there are; one alone runs in this process.
    params
        Section ``engine``.
    what
        Names the work, for the progress bar.
    """
    if parts == 1:
        return [function(0)]
    with engine_of(params) as engine, counting_bar(what=what, unit="parts", total=parts) as bar:
        found: dict[int, Any] = {}
        for part, summary in engine.run(function, range(parts)):
            found[part] = summary
            bar.update(1)
    return [found[part] for part in range(parts)]
