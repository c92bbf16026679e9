"""Running a function for every part of the tables, with progress; parts that are done already are skipped."""

from __future__ import annotations

import functools
import json
from typing import Any

from conversion.config.params import EngineParams
from conversion.engine.dask_engine import DaskEngine
from conversion.engine.engines import Engine, PartFunction
from conversion.engine.kept_parts import NOTHING_KEPT, KeptParts
from conversion.engine.local_engine import LocalEngine
from conversion.runtime.progress import counting_bar


def engine_of(params: EngineParams) -> Engine:
    """Return the engine that params.yaml asks for; see `DaskEngine` for errors."""
    if params.type == "dask":
        return DaskEngine(params.workers, params.address)
    return LocalEngine(params.workers)


def run_parts(
    function: PartFunction, parts: int, params: EngineParams, what: str, kept: KeptParts = NOTHING_KEPT
) -> list[Any]:
    """Run a function for each part, and return the summaries in the order of the parts.

    Parameters
    ----------
    function
        See `conversion.engine.engines.PartFunction`. It writes each file atomically under its final name,
        that of `conversion.runtime.parts.part_path`, below the folder ``root`` of ``kept``, which it is given
        by `functools.partial`. What it returns can be written as JSON: numbers, texts, lists, mappings with
        texts as keys; no NaN.
    parts
        How many there are; one alone runs in this process.
    params
        Section ``engine``.
    what
        Names the work, for the progress bar and among the works of one ``kept``.
    kept
        From `conversion.engine.kept_parts.kept_parts`, which shows how a stage uses it. Parts that are done
        there are not run again. Without it every part is run.
    """
    if parts == 1:
        return [function(0)]
    found = kept.done(what, range(parts))
    left = [part for part in range(parts) if part not in found]
    if left:
        task = functools.partial(_run_part, function, kept, what)
        engine = engine_of(params)
        with counting_bar(what=what, unit="parts", total=parts) as bar:
            bar.update(len(found))
            for part, summary in engine.run(task, left):
                found[part] = summary
                bar.update(1)
    return [found[part] for part in range(parts)]


def _run_part(function: PartFunction, kept: KeptParts, what: str, part: int) -> Any:
    """Run a function for a part, and mark the part as done; return the summary of one that is."""
    # A part is sent again where its answer was lost on the way.
    found = kept.done(what, [part])
    if part in found:
        return found[part]
    # As it is read from a file, so that a run that goes on returns the same values.
    summary = json.loads(json.dumps(function(part), allow_nan=False))
    kept.mark(what, part, summary)
    return summary
