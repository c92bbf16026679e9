"""The engine of several machines: Dask's scheduler and workers, or a small cluster on this machine.

Dask replaces a worker that dies and gives its part to another one. A part writes files under names of its
own, each atomically, so it does not matter where or how often it runs.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import pickle
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conversion.engine.engines import Engine, PartFunction
from conversion.engine.in_project import REFUSED, run_in_project
from conversion.engine.kept_parts import SOURCE, code_hash, package_versions
from conversion.engine.working import work
from conversion.runtime.errors import EngineError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

INSTALL: Final = "make dask"
WORKER_ENVIRONMENT: Final = "distributed.nanny.pre-spawn-environ"
TRIMMING: Final = "MALLOC_TRIM_THRESHOLD_"
TRIMMED_BY_DASK: Final = 65536
"""By default Dask has workers give memory back after each large array, a quarter of what a part costs."""
SECONDS_TO_ANSWER: Final = 30
"""How long a scheduler may take to answer, or to come back."""
SECONDS_TO_REFUSE: Final = 5
"""How much longer to wait for what answers, but not as a scheduler does."""
SECONDS_TO_WORK: Final = 60
"""How long its first worker may take to be there."""
ALLOWED_FAILURES: Final = 3
"""How many workers may die with a part before it counts as what kills them. One dies for reasons of its own;
a part that more than three died with needs more memory than they have, and would end all of them in turn."""


class DaskEngine(Engine):
    """Each part is a future; a part's own error ends the run, a worker's death does not.

    Parameters
    ----------
    workers
        Processes of the cluster on this machine.
    address
        A scheduler that has workers, None: a cluster on this machine for the time of the run.

    Raises
    ------
    EngineError
        Dask is not installed.
    """

    def __init__(self, workers: int, address: str | None = None) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise EngineError(f"engine.type: dask needs packages of its own: install them with '{INSTALL}'")
        self.workers = workers
        self.address = address

    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part and its summary.

        Where the scheduler is lost and comes back, the parts that it had not told of are sent again.
        """
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError

        left = list(parts)
        losses = 0
        while left:
            try:
                with self._client() as client:
                    for part, summary in _results(client, function, left):
                        left.remove(part)
                        yield part, summary
            # The first where the client has seen the loss, the second where a call finds it.
            except (FutureCancelledError, CommClosedError) as error:
                losses += 1
                if self.address is None or losses > ALLOWED_FAILURES:
                    raise EngineError(
                        "engine: the Dask scheduler was lost; parts that are done are kept: run it again"
                    ) from error
                log.warning("lost the Dask scheduler: going on once it is back", extra={"parts": len(left)})

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """Connect to the scheduler, or start one with workers and stop it at the end."""
        import dask
        from distributed import Client, LocalCluster

        # Dask's own lines (a worker died, a connection was lost) are what the messages here say.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with ExitStack() as stack:
            stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": ALLOWED_FAILURES}))
            if self.address is None:
                environ = dict(dask.config.get(WORKER_ENVIRONMENT))
                if environ.get(TRIMMING) == TRIMMED_BY_DASK:
                    del environ[TRIMMING]
                stack.enter_context(dask.config.set({WORKER_ENVIRONMENT: environ}))
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=self.workers,
                        threads_per_worker=1,
                        host="127.0.0.1",
                        dashboard_address="127.0.0.1:0",  # None is port 8787 all the same
                        scheduler_kwargs={"dashboard": False},
                        memory_limit=0,  # data.part_rows bounds the memory
                        silence_logs=logging.CRITICAL,
                    )
                )
                yield stack.enter_context(Client(cluster, set_as_default=False))
                return
            _require_answer(self.address)
            client = stack.enter_context(
                Client(self.address, timeout=SECONDS_TO_ANSWER, set_as_default=False)
            )
            try:
                client.wait_for_workers(1, timeout=SECONDS_TO_WORK)
            except TimeoutError as error:
                raise EngineError(
                    f"engine.address: the Dask scheduler at {self.address} has no workers; start them"
                ) from error
            yield client


def _require_answer(address: str) -> None:
    """Check that a scheduler answers before a client is made: one that cannot be made keeps its thread.

    Raises
    ------
    EngineError
        None does, or the address is no address.
    """
    from distributed.comm import connect
    from distributed.security import Security

    async def answer() -> None:
        async with asyncio.timeout(SECONDS_TO_ANSWER + SECONDS_TO_REFUSE):
            arguments = Security().get_connection_args("client")
            await (await connect(address, SECONDS_TO_ANSWER, **arguments)).close()

    try:
        asyncio.run(answer())
    except Exception as error:  # each way to connect has errors of its own
        raise EngineError(
            f"engine.address: no Dask scheduler answers at {address}: {str(error) or 'something else does'}; "
            "start it, or set engine.address to null for a cluster on this machine; parts that are done are "
            "kept"
        ) from error


class _Sent:
    """A function that arrives in another process with its code, not as the name of something to import."""

    def __init__(self, function: Any) -> None:
        import cloudpickle

        module = sys.modules[function.__module__]
        cloudpickle.register_pickle_by_value(module)
        try:
            self.pickled = cloudpickle.dumps(function)
        finally:
            cloudpickle.unregister_pickle_by_value(module)
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.pickled,)


def _results(client: Client, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield each part and its summary; what is left when the block ends is cancelled."""
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    futures = _submit(client, function, parts)
    try:
        for future in as_completed(list(futures), loop=client.loop):
            part = futures.pop(future)
            try:
                outcome, value = future.result()
            except KilledWorker as error:
                raise EngineError(
                    f"engine: {error.allowed_failures + 1} Dask workers died while they worked on part "
                    f"{part}, mostly for want of memory; parts that are done are kept: run it again with a "
                    "smaller data.part_rows or larger workers"
                ) from error
            if outcome == REFUSED:
                raise EngineError(
                    f"engine: a Dask worker cannot work on the parts: {value}; the workers need the same "
                    "folder and the same packages as the stage: requirements-dask.txt"
                )
            yield part, value
    finally:
        if client.status == "running":
            client.cancel(list(futures))


def _submit(client: Client, function: PartFunction, parts: Sequence[int]) -> dict[Any, int]:
    """Send the parts to the scheduler; return them by future."""
    run = uuid.uuid4().hex
    versions = {"python": "{}.{}".format(*sys.version_info), **package_versions()}
    pickled = pickle.dumps(functools.partial(work, function))
    sent = _Sent(run_in_project)
    arguments = (str(Path.cwd()), str(SOURCE), code_hash(), versions, pickled)
    # No retries: they are for errors, and a part that raised one would raise it again. A part whose worker
    # died is not counted among them.
    return {
        client.submit(sent, *arguments, part, key=f"part-{part:05d}-{run}", priority=-part, retries=0): part
        for part in parts
    }
