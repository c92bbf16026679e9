"""What every process that works on parts does the same."""

from __future__ import annotations

import pickle
from typing import Any

from threadpoolctl import threadpool_limits

from conversion.engine.engines import PartFunction
from conversion.runtime.errors import UserError


def work(function: PartFunction, part: int) -> Any:
    """Run a function for a part in a process that works for another one, and return its summary."""
    # As in the stage's own process: with more threads the last bits of sums would depend on the cores.
    with threadpool_limits(limits=1):
        try:
            return function(part)
        except UserError as error:
            raise transferable(error) from None


def transferable(error: UserError) -> UserError:
    """Return an error that arrives in another process with the same message and exit code."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever a class of its own raises where it is made from its message
        plain = UserError(str(error))
        plain.exit_code = error.exit_code
        return plain
    return error
