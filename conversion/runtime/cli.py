"""The entry of stages and commands: logs, exit codes, and one message for a mistake of the user."""

from __future__ import annotations

import argparse
import gc
import inspect
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import yaml
from threadpoolctl import threadpool_limits

from conversion.runtime.errors import ParamsError, UsageError, UserError
from conversion.runtime.logs import log_format, set_up_logs
from conversion.runtime.run_cache import keep_last_outputs
from conversion.runtime.yaml_values import as_written, changes, read_own, read_values, value_at

PIPELINE: Final = "dvc.yaml"
TEMPLATE: Final = re.compile(r"\$\{([^}]+)\}")
INTERRUPTED: Final = 130  # the exit code of a program that Ctrl-C ended
FAULT: Final = (
    "stopped by a bug in the program; no partial output was written, the traceback shows where it happened"
)

log = logging.getLogger(__name__)


def run(main: Callable[[], None], arguments: Sequence[str] = ()) -> None:
    """Run the ``main`` of a stage or command with logging set up, and exit with a message if it fails.

    A `UserError` becomes one message and its own exit code. Ctrl-C exits with 130, a bug with 1.

    Parameters
    ----------
    main
        The function that reads, computes and writes.
    arguments
        Of the command line, where ``main`` takes none: they are refused, and ``--help`` is answered. A
        ``main`` that takes some reads them itself.
    """
    path = Path(inspect.getfile(main))
    program = path.stem
    try:
        set_up_logs(program)
        CommandLine(
            prog=f"python -m {path.parent.name}.{program}",
            description=(inspect.getdoc(inspect.getmodule(main)) or "").partition("\n")[0],
        ).parse_args(arguments)
        # With more threads the last bits of sums would depend on the number of cores.
        with threadpool_limits(limits=1), held_params(program):
            keep_last_outputs(program)
            main()
        # At its end Python would search all objects for cycles, which takes 0.7 s once mlflow is imported.
        gc.freeze()
    except UserError as error:
        for line in str(error).splitlines():
            log.error(line)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        log.warning("stopped by Ctrl-C; run it again to continue")
        sys.exit(INTERRUPTED)
    except Exception:
        log.critical(FAULT, exc_info=True)
        sys.exit(1)


@contextmanager
def held_params(stage: str) -> Iterator[None]:
    """Check at the end of a stage that its params are those that it began with.

    DVC reads params.yaml when the stage is done. It would record in dvc.lock an edit that was made while the
    stage ran, though the results were made without it.

    Parameters
    ----------
    stage
        A stage of dvc.yaml; for another program nothing is checked.

    Raises
    ------
    ParamsError
        A param that dvc.yaml lists for the stage was edited during the block.
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
    """List the keys that dvc.yaml has for a stage, with ``${}`` in them; empty if it is no stage."""
    try:
        pipeline = read_own(PIPELINE)
        return list(pipeline["stages"][stage]["params"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []  # no project here, or a command; DVC itself reports what is wrong with dvc.yaml


def whole_number(least: int) -> Callable[[str], int]:
    """Return an argument type for whole numbers of at least ``least``."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"given {text!r}, should be a whole number of at least {least}")
        return int(text)

    return read


class CommandLine(argparse.ArgumentParser):
    """The arguments of a command; a mistake in them is a JSON line if logs are JSON."""

    def error(self, message: str) -> NoReturn:
        """Report what is wrong with the arguments and exit with 2."""
        if log_format() == "json":
            raise UsageError(f"{message}; '{self.prog} --help' says what may be given")
        super().error(message)
