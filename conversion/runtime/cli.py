"""What stages and commands do at their edge: logs, and a user's mistake as one message and an exit code."""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import yaml
from threadpoolctl import threadpool_limits

from conversion.runtime.errors import ParamsError, UsageError, UserError
from conversion.runtime.files import PIPELINE
from conversion.runtime.logs import log_format, set_up_logs
from conversion.runtime.run_cache import keep_last_outputs
from conversion.runtime.yaml_values import as_written, changes, read_values, value_at

TEMPLATE: Final = re.compile(r"\$\{([^}]+)\}")
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
    program = Path(inspect.getfile(main)).stem
    try:
        set_up_logs(program)
        # Sums split over threads differ in the last bits from one count of cores to another.
        with threadpool_limits(limits=1), held_params(program):
            keep_last_outputs(program)
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


@contextmanager
def held_params(stage: str) -> Iterator[None]:
    """Check at the end of a stage that the params it depends on are those that it began with.

    A stage reads params.yaml once. DVC reads it again when the stage is done, and would record in dvc.lock
    whatever was written into it meanwhile as what the results were made with.

    Parameters
    ----------
    stage
        A stage of dvc.yaml, or the name of a program that is none: nothing is checked then.

    Raises
    ------
    ParamsError
        A param that dvc.yaml lists for the stage was edited in the block.
    """
    listed = _listed_params(stage)
    if not listed:
        yield
        return
    before = read_values()
    yield
    after = read_values()
    keys = dict.fromkeys(TEMPLATE.sub(lambda found: str(value_at(before, found[1])), key) for key in listed)
    edited = [
        f"params.yaml: {name}: was {as_written(old)} when {stage} began and is {as_written(new)} now; "
        f"what it wrote was made with {as_written(old)}, and DVC does not record it: run 'dvc repro' again"
        for key in keys
        for name, old, new in changes(value_at(before, key), value_at(after, key), key)
    ]
    if edited:
        raise ParamsError("\n".join(edited))


def _listed_params(stage: str) -> list[str]:
    """List the keys that dvc.yaml names for a stage, with ``${}`` in them; none where it is no stage."""
    try:
        pipeline = yaml.safe_load(Path(PIPELINE).read_text(encoding="utf-8"))
        return list(pipeline["stages"][stage]["params"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []  # not in a project's folder, or a command: DVC itself says what is wrong with dvc.yaml


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
