"""Write the files of the last delivery for CRMs and reps again: ``python -m commands.crm_files``."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

from conversion.config.params_file import load_params
from conversion.delivery.copies import copies_at, copy_delivery
from conversion.delivery.crm_files import changes, out_files, read_files, write_files
from conversion.delivery.crm_table import CrmError
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.ledger import latest_deliveries, read_deliveries
from conversion.delivery.publish import current, is_of
from conversion.runtime.cli import CommandLine, run

ROOT: Final = Path()
log = logging.getLogger(__name__)


def main() -> None:
    """Read the last delivery from the ledger and write its files, or describe what they would change."""
    arguments = _arguments()
    params = load_params()
    latest = latest_deliveries(read_deliveries(ROOT))
    if not latest:
        raise CrmError("ledger: nothing was delivered yet; run 'python -m commands.deliver' first")
    folder = arguments.out or current(ROOT)
    if folder is None:
        raise CrmError(
            "data/published/current: not found; run 'python -m commands.deliver', or name a folder with --out"
        )
    delivery = latest[-1]
    if arguments.out is None and not is_of(folder, delivery):
        raise CrmError(
            f"{folder}: is not of the last delivery, {delivery.number} of {delivery.as_of}; run 'python -m "
            "commands.deliver' to publish it, or name a folder with --out"
        )
    made = out_files(delivery.companies(), delivery.as_of, params.deliver)
    for warning in made.warnings:
        log.warning(warning)
    sys.stdout.write(changes(read_files(folder), made.files) + "\n")
    if arguments.dry_run:
        return
    copies = copies_at(ROOT, None if arguments.out else params.deliver.copy_to)
    with one_at_a_time(ROOT):
        write_files(folder, made)
        log.info("wrote the files", extra={"folder": str(folder), "as_of": delivery.as_of.isoformat()})
        copy_delivery(folder, delivery, copies)


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.crm_files",
        description="Write the files of the last delivery for CRMs and reps again, as params.yaml says now.",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write here, not into the publication")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what the files would change, and write nothing"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
