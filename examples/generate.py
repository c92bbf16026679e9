"""Write the export of an example product: ``python -m examples.generate projects FOLDER``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from conversion.runtime.cli import CommandLine, run
from conversion.runtime.files import write_csv, write_parquet
from examples import documents, projects

EXAMPLES: Final = {"projects": projects, "documents": documents}
log = logging.getLogger(__name__)


def main() -> None:
    """Draw the tables and write them into the folder."""
    arguments = _arguments()
    example = EXAMPLES[arguments.example]
    tables = example.export(arguments.accounts, arguments.weeks, arguments.seed)
    for name, table in tables.items():
        if name in example.IN_PARQUET:
            write_parquet(arguments.folder / f"{name}.parquet", table)
        else:
            write_csv(arguments.folder / f"{name}.csv", table)
        log.info("written", extra={"table": name, "rows": len(table)})


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m examples.generate",
        description="Write the export of an example product; examples/EXAMPLE.yaml is its contract.",
    )
    parser.add_argument("example", choices=EXAMPLES, help="the product")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder to write the tables into")
    parser.add_argument("--accounts", type=_at_least(100), default=3000, help="accounts; default: 3000")
    parser.add_argument("--weeks", type=_at_least(20), default=61, help="weeks of usage; default: 61")
    parser.add_argument("--seed", type=_at_least(0), default=7, help="same seed, same tables; default: 7")
    return parser.parse_args()


def _at_least(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"given {text}, should be a whole number of at least {least}")
        return int(text)

    return whole


if __name__ == "__main__":
    run(main)
