"""The engine of one machine: in this process, or in a pool of processes."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from conversion.engine.engines import Engine, PartFunction
from conversion.engine.working import work
from conversion.runtime.errors import EngineError
from conversion.runtime.logs import set_up_logs


class LocalEngine(Engine):
    """One part after the other in this process, or several at a time in processes of their own.

    Parameters
    ----------
    workers
        Processes; 1: this one.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part and its summary."""
        if self.workers == 1:
            yield from ((part, function(part)) for part in parts)
            return
        others = set(multiprocessing.active_children())
        # Spawned: a fork of a process whose libraries have threads may never end.
        pool = ProcessPoolExecutor(
            min(self.workers, len(parts)), multiprocessing.get_context("spawn"), initializer=_begin
        )
        try:
            futures = {pool.submit(functools.partial(work, function), part): part for part in parts}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise EngineError(
                "engine: a worker process was ended from outside, mostly by the system for want of memory; "
                "parts that are done are kept: run it again with fewer engine.workers or a smaller "
                "data.part_rows"
            ) from error
        except BaseException:
            # Not after the parts at work: an error or Ctrl-C is reported at once.
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Prepare a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the stage, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_up_logs(Path(sys.argv[0]).stem)


def _end_with_parent() -> None:
    """End this process once the stage was killed; it would wait for parts for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
