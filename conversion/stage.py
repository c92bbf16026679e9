"""What stages and commands do at their edge: logs, and a user's mistake as one message and an exit code."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from conversion.errors import UserError

log = logging.getLogger(__name__)


def run(main: Callable[[], None]) -> None:
    """Run a stage's or command's ``main`` with logging set up; exit 1 or 2 with a message on a `UserError`.

    Parameters
    ----------
    main
        The function that reads, computes and writes.
    """
    name = Path(inspect.getfile(main)).stem
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s"
    )
    try:
        # Sums split over threads differ in the last bits from one count of cores to another.
        with threadpool_limits(limits=1):
            main()
    except UserError as error:
        for line in str(error).splitlines():
            log.error(line)
        sys.exit(error.exit_code)
