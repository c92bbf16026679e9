"""May the list go out? Check what it was made from and what it promises: ``python -m commands.gate``."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

from conversion.config.params_file import load_params
from conversion.delivery.gate import STOPPED, check, read_gate_inputs, tell
from conversion.runtime.cli import CommandLine, run


def main() -> None:
    """Check the list, write data/gate.json, send the verdict, and exit with 3 if it must not go out."""
    CommandLine(
        prog="python -m commands.gate",
        description="Check the list before it goes out, by the bounds in params.yaml (gate). Exits with 0 if "
        "it may go out and with 3 if it must not.",
    ).parse_args()
    params = load_params()
    gate = check(read_gate_inputs(Path(), params), params, dt.datetime.now(tz=dt.UTC))
    width = max(len(each.name) for each in gate.checks)
    lines = [f"{each.status:<6}{each.name:<{width + 2}}{each.sentence}" for each in gate.checks]
    sys.stdout.write("\n".join([*lines, gate.verdict()]) + "\n")
    tell(gate, Path(), os.environ, params.gate.webhook)
    if gate.status == "stop":
        sys.exit(STOPPED)


if __name__ == "__main__":
    run(main)
