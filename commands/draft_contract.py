"""Draft a data contract from a folder of tables: ``python -m commands.draft_contract FOLDER``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Final

from conversion.ingest.draft import draft_contract
from conversion.ingest.draft_tables import read_samples
from conversion.ingest.folders import place_of
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import UsageError
from conversion.runtime.files import write_text

OUT: Final = Path("contracts/mine.yaml")
log = logging.getLogger(__name__)


def main() -> None:
    """Look at the tables, write the draft, and report what could not be told."""
    arguments = _arguments()
    out: Path = arguments.out
    if out.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--out: given {out}, should be a .yaml file")
    if out.exists() and not arguments.force:
        raise UsageError(f"{out}: exists; --force overwrites it, --out writes another file")
    samples, notes = read_samples(place_of(arguments.folder, "FOLDER"))
    draft = draft_contract(samples)
    write_text(out, draft.text)
    for note in (*notes, *draft.notes):
        log.warning(note)
    log.info("draft written; check each comment in it", extra={"file": str(out), "tables": len(samples)})


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.draft_contract",
        description="Look at the first rows of a folder's tables (.csv, .parquet, .xlsx with openpyxl, or "
        "folders of many files) and write a draft of a data contract, with a comment at each guess.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the folder with the tables, or its URL")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, default=OUT, help=f"the file to write; default: {OUT}"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
