"""Deliver the week's list: freeze it in the ledger and publish it: ``python -m commands.deliver``."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, NoReturn

from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.delivery.call_list import Design
from conversion.delivery.copies import copies_at, copy_delivery
from conversion.delivery.crm_files import OutFiles, changes, out_files, read_files, write_files
from conversion.delivery.gate import FILE, STOPPED, Gate, check, read_gate_inputs, tell
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.leavers import FILE as LEFT
from conversion.delivery.leavers import write_left
from conversion.delivery.ledger import Delivery, MadeWith, freeze, last_before, read_deliveries
from conversion.delivery.publish import Publication, current, publish, require_copies
from conversion.delivery.reps import calls_a_week, reps_of
from conversion.delivery.week import (
    Listed,
    Week,
    about_delivery,
    read_listed,
    require_in_order,
    summary,
    this_week,
)
from conversion.modelling.registered_versions import read_registered, registry_key
from conversion.runtime.cli import CommandLine, run
from conversion.tracking.run_record import git_tags

ROOT: Final = Path()
MADE_WITH: Final = MadeWith(
    Path("models/model.joblib"), Path("models/model.json"), Path("data/contract.json")
)
log = logging.getLogger(__name__)


def main() -> None:
    """Check the list, draw who is called, freeze it, publish it and write the files of reps and CRMs."""
    arguments = _arguments()
    params = load_params()
    with nullcontext() if arguments.dry_run else one_at_a_time(ROOT):
        deliver(params, arguments.correction, arguments.dry_run)


def deliver(params: Params, correction: str | None, is_dry: bool) -> None:
    """Deliver the list, or say what would go out."""
    listed = read_listed(ROOT)
    as_of = listed.files.manifest.as_of
    reps = reps_of(params.deliver, listed.model.data_contract)
    design = Design.of(params.deliver, calls_a_week(reps, params.score))
    before = read_deliveries(ROOT)
    require_in_order(as_of, before)
    require_copies(ROOT)
    copies = copies_at(ROOT, params.deliver.copy_to)
    inputs = read_gate_inputs(ROOT, params, design.calls, listed.scored)
    gate = check(inputs, params, dt.datetime.now(tz=dt.UTC))
    if gate.status == "stop":
        _stop(gate, params, is_dry)
    week = this_week(ROOT, listed, params, design, reps, last_before(before, as_of))
    made = out_files(week.tables.companies, as_of, params.deliver)
    for warning in made.warnings:
        log.warning(warning)
    published = current(ROOT)
    difference = changes({} if published is None else read_files(published), made.files)
    if is_dry:
        _say_verdict(gate)
        to = "" if copies is None else f"to copy to: {copies}\n"
        _say(summary(week, "A dry run: nothing was written.") + difference + "\n" + to)
        return
    about = about_delivery(listed, design, _registered(listed), git_tags({}))
    delivery = freeze(ROOT, week.tables, MADE_WITH, about, correction)
    # Only now: a list that cannot be made or frozen must not be said to go out.
    _say_verdict(gate)
    tell(gate, ROOT, os.environ, params.gate.webhook)
    title = f"Delivery {delivery.number} of {as_of}"
    if delivery in before:
        log.info("this list was delivered already; the ledger stays as it is", extra=_named(delivery))
        title += ", which was delivered already"
    if newer := [each for each in before if each.as_of > as_of]:
        log.warning("a newer list stays published", extra=_named(newer[-1]))
        _say(summary(week, f"{title}: {delivery.folder}"))
        return
    folder = _publish(delivery, listed, week, made, params)
    _say(summary(week, f"{title}: {folder}") + difference + "\n")
    copy_delivery(folder, delivery, copies)


def _stop(gate: Gate, params: Params, is_dry: bool) -> NoReturn:
    """Say why the list must not go out, and exit."""
    _say_verdict(gate)
    if not is_dry:
        tell(gate, ROOT, os.environ, params.gate.webhook)
    log.error("the gate stopped the list; what was published stays, see %s", FILE)
    sys.exit(STOPPED)


def _publish(delivery: Delivery, listed: Listed, week: Week, made: OutFiles, params: Params) -> Path:
    """Publish a delivery with its files for reps and CRMs; return the folder."""

    def write_more(folder: Path) -> None:
        write_files(folder, made)
        if week.left is not None:
            write_left(folder / LEFT, week.left)

    publication = Publication(delivery, listed.files, listed.scored.facts, params.score, write_more)
    folder = publish(ROOT, publication)
    log.info("delivered", extra={**_named(delivery), "published": str(folder)})
    return folder


def _registered(listed: Listed) -> str | None:
    """Return the version of the registered model that scored the list; None: it is none."""
    registered = read_registered(ROOT, registry_key(os.environ))
    version = None if registered is None else registered.versions.get(listed.files.manifest.model_sha256)
    return None if version is None else version.version


def _named(delivery: Delivery) -> dict[str, Any]:
    return {"as_of": delivery.as_of.isoformat(), "delivery": delivery.number}


def _say_verdict(gate: Gate) -> None:
    for each in gate.checks:
        if each.status != "ok":
            log.warning("%s: %s", each.name, each.sentence)
    _say(gate.verdict() + "\n")


def _say(text: str) -> None:
    sys.stdout.write(text)


def _reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason:
        raise argparse.ArgumentTypeError("given nothing, should say why")
    return reason


def _arguments() -> argparse.Namespace:
    parser = CommandLine(
        prog="python -m commands.deliver",
        description="Freeze the week's list in the ledger and publish it. Exits with 3 if the gate stops it.",
    )
    parser.add_argument(
        "--correction",
        type=_reason,
        metavar="WHY",
        help="deliver another list for a week that was delivered; both stay",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go out, and write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
