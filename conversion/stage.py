"""What stages and commands do at their edge: logs, and a user's mistake as one message and an exit code."""

from __future__ import annotations

import argparse
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from threadpoolctl import threadpool_limits

from conversion.errors import UsageError, UserError
from conversion.logs import log_format, set_up_logs

INTERRUPTED: Final = 130  # what shells say of a program that Ctrl-C ended
FAULT: Final = (
    "stopped by a fault of the program; nothing is written by halves, the traceback says where it was"
)

log = logging.getLogger(__name__)


def run(main: Callable[[], None]) -> None:
    """Run a stage's or command's ``main`` with logging set up, and say why where it does not come to its end.

    A `UserError` is one message, and the exit code its own; Ctrl-C exits with 130, a fault of ours with 1.

    Parameters
    ----------
    main
        The function that reads, computes and writes.
    """
    try:
        set_up_logs(Path(inspect.getfile(main)).stem)
        # Sums split over threads differ in the last bits from one count of cores to another.
        with threadpool_limits(limits=1):
            main()
    except UserError as error:
        for line in str(error).splitlines():
            log.error(line)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        log.warning("stopped by Ctrl-C; run it again to go on")
        sys.exit(INTERRUPTED)
    except Exception:
        log.critical(FAULT, exc_info=True)
        sys.exit(1)


def whole_number(least: int) -> Callable[[str], int]:
    """Give what reads a whole number of at least ``least`` from the command line."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"given {text!r}, should be a whole number of at least {least}")
        return int(text)

    return read


class CommandLine(argparse.ArgumentParser):
    """A command's arguments; a mistake in them is a JSON line where logs are."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and exit with 2."""
        if log_format() == "json":
            raise UsageError(f"{message}; '{self.prog} --help' says what may be given")
        super().error(message)
