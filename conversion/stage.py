"""What every stage does at its edge: logs to stderr, and a user's mistake as one message and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from conversion.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main`` with logging set up; exit 1 or 2 with a message on a `UserError`.

    Parameters
    ----------
    main
        The stage's function that reads, computes and writes.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    name = main.__module__ if main.__module__ != "__main__" else sys.argv[0]
    try:
        main()
    except UserError as error:
        for line in str(error).splitlines():
            logging.getLogger(name).error(line)
        sys.exit(error.exit_code)
