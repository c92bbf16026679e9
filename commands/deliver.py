"""Deliver the week's list: freeze it in the ledger and publish it: ``python -m commands.deliver``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.clean_tables import CleanTables
from conversion.data.histories import history_files
from conversion.delivery.call_list import Design, call_list
from conversion.delivery.copies import copies_at, copy_delivery
from conversion.delivery.crm_files import changes, out_files, read_files, write_files
from conversion.delivery.current_ids import CurrentDelivery, read_current_ids
from conversion.delivery.delivery_tables import Scored, delivery_tables, with_moved
from conversion.delivery.gate import FILE, STOPPED, Gate, check, read_gate_inputs
from conversion.delivery.gate_webhook import notify
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.leavers import FILE as LEFT
from conversion.delivery.leavers import left, write_left
from conversion.delivery.ledger import (
    Delivery,
    DeliveryTables,
    MadeWith,
    freeze,
    last_before,
    read_deliveries,
)
from conversion.delivery.move_path import ThisWeek
from conversion.delivery.moves import moves
from conversion.delivery.publish import Publication, current, publish, require_copies
from conversion.delivery.reps import Reps, calls_a_week, reps_of
from conversion.delivery.suppression import suppressed
from conversion.features.snapshots import recipe_of, with_encoded_histories
from conversion.leads.lead_files import FOLDER, LeadFiles, read_lead_files, read_reason_facts
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.registered_versions import read_registered, registry_key
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import ArtifactError, DeliveryError, InputError
from conversion.runtime.files import read_parquet, reading, sha256, write_json
from conversion.tracking.run_record import git_tags

ROOT: Final = Path()
CLEAN: Final = "data/clean"
TABLES: Final = ("companies", "usage", "subscriptions")
LATEST: Final = "data/features/latest.parquet"
MADE_WITH: Final = MadeWith(
    Path("models/model.joblib"), Path("models/model.json"), Path("data/contract.json")
)
log = logging.getLogger(__name__)


class Listed(NamedTuple):
    """The list as the pipeline left it."""

    model: ConversionModel
    files: LeadFiles
    scored: Scored


class Week(NamedTuple):
    """What goes out."""

    tables: DeliveryTables
    left: pd.DataFrame | None
    """Who left the call list; None: nothing was delivered before."""


# Reading


def read_listed(params: Params) -> Listed:
    """Read the list, after checking that its files are of one run.

    Raises
    ------
    InputError, ArtifactError
        A file is missing, or of another run.
    """
    model, description = load_model(ConversionModel)
    files = read_lead_files(ROOT, params.score.format, model.data_contract)
    if files is None:
        raise InputError(f"{FOLDER}/leads.{params.score.format}: not found; run 'dvc repro' first")
    if files.manifest.model_sha256 != description["sha256"]:
        raise ArtifactError(
            f"{FOLDER}: another model scored the list than models/model.joblib: they are of different runs; "
            "run 'dvc repro score'"
        )
    for path in (LATEST, *(f"{CLEAN}/{name}.parquet" for name in TABLES)):
        with reading(path):
            found = sha256(path)
        if found != files.manifest.inputs.get(path):
            raise InputError(
                f"{path}: is not the one that {FOLDER} was made from: of another run; run 'dvc repro'"
            )
    snapshots = read_parquet(LATEST, ["id", *_names(model)])
    facts = read_reason_facts(ROOT, files)
    return Listed(model, files, Scored(files.leads, files.contributions, facts, snapshots))


def read_clean(contract: Contract) -> CleanTables:
    """Read the clean tables that say what moved."""
    companies, usage, periods = (read_parquet(f"{CLEAN}/{name}.parquet") for name in TABLES)
    histories = history_files(contract)
    of_histories = {column: read_parquet(f"{CLEAN}/{file}") for column, file in histories.items()}
    return CleanTables(companies, usage, periods, of_histories)


def _names(model: ConversionModel) -> list[str]:
    return [feature.name for feature in model.features]


# The week


def this_week(
    listed: Listed, params: Params, design: Design, reps: Reps | None, before: Delivery | None
) -> Week:
    """Draw who is called and by whom, and say what moved since the last delivery."""
    model, files, scored = listed
    contract, as_of = model.data_contract, files.manifest.as_of
    last = None if before is None else CurrentDelivery(before, read_current_ids(ROOT, contract))
    contacts, objections = (read_parquet(f"{CLEAN}/{name}.parquet") for name in ("contacts", "objections"))
    waiting = suppressed(contacts, pd.Timestamp(as_of), params.deliver.suppress)
    drawn = call_list(scored.leads["id"], as_of, design, waiting["id"], objections["id"])
    by_rep = who_calls(scored.leads, drawn, params, reps, last)
    tables = delivery_tables(scored, _names(model), drawn, contract, by_rep)
    if last is None:
        return Week(tables, None)
    clean = read_clean(contract)
    recipe = recipe_of(clean.companies, params.featurize, contract)
    encoded = with_encoded_histories(clean, recipe)
    now = ThisWeek(as_of, tables.companies, scored.snapshots, model, encoded, recipe.settings)
    moved = moves(last, now)
    gone = left(last.companies(), tables.companies, moved, clean, contract, waiting)
    return Week(with_moved(tables, moved), gone)


def who_calls(
    leads: pd.DataFrame, drawn: pd.DataFrame, params: Params, reps: Reps | None, last: CurrentDelivery | None
) -> pd.Series | None:
    """Split the call list among the reps; None where there are none."""
    if reps is None:
        return None
    from conversion.delivery.assignment import assign  # scipy's solver: only where there are reps

    called = leads[drawn["place"].notna().to_numpy()]
    before = pd.Series(dtype="str") if last is None else last.companies().set_index("id")["rep"].dropna()
    assigned = assign(called, reps, params.deliver.owner, before)
    return pd.Series(assigned.array, index=pd.Index(called.loc[assigned.index, "id"]))


def tell(gate: Gate, params: Params, is_dry: bool) -> None:
    """Say what the gate found; a dry run tells nobody else."""
    for each in gate.checks:
        if each.status != "ok":
            log.warning("%s: %s", each.name, each.sentence)
    _say(gate.verdict() + "\n")
    if not is_dry:
        write_json(FILE, gate.as_json())
        notify(os.environ, gate.as_json(), params.gate.webhook)


def about_delivery(files: LeadFiles, model: ConversionModel, design: Design) -> dict[str, Any]:
    """Return what the ledger says of a delivery, see `conversion.delivery.ledger.DeliveryManifest`."""
    manifest = files.manifest
    registered = read_registered(ROOT, registry_key(os.environ))
    version = None if registered is None else registered.versions.get(manifest.model_sha256)
    tags = git_tags({})
    return {
        "as_of": manifest.as_of.isoformat(),
        "horizon_days": model.horizon_days,
        "calls": design.calls,
        "holdout": design.holdout,
        "explore": design.explore,
        "explore_depth": design.explore_depth,
        "salt": design.salt,
        "model_sha256": manifest.model_sha256,
        "registered": None if version is None else version.version,
        "commit": tags.get("git_commit"),
        "dirty": json.loads(tags.get("dirty", "false")),
        "inputs": dict(manifest.inputs),
    }


def main() -> None:
    """Check the list, draw who is called, freeze it, publish it and write the files of reps and CRMs."""
    arguments = _arguments()
    params = load_params()
    with nullcontext() if arguments.dry_run else one_at_a_time(ROOT):
        deliver(params, arguments.correction, arguments.dry_run)


def deliver(params: Params, correction: str | None, is_dry: bool) -> None:
    """Deliver the list, or say what would go out."""
    listed = read_listed(params)
    files, as_of = listed.files, listed.files.manifest.as_of
    reps = reps_of(params.deliver, listed.model.data_contract)
    design = Design.of(params.deliver, calls_a_week(reps, params.score))
    before = read_deliveries(ROOT)
    require_in_order(as_of, before)
    require_copies(ROOT)
    copies = copies_at(ROOT, params.deliver.copy_to)
    inputs = read_gate_inputs(ROOT, params, design.calls, listed.scored)
    gate = check(inputs, params, dt.datetime.now(tz=dt.UTC))
    if gate.status == "stop":
        tell(gate, params, is_dry)
        log.error("the gate stopped the list; what was published stays, see %s", FILE)
        sys.exit(STOPPED)
    week = this_week(listed, params, design, reps, last_before(before, as_of))
    made = out_files(week.tables.companies, as_of, params.deliver)
    for warning in made.warnings:
        log.warning(warning)
    published = current(ROOT)
    difference = changes({} if published is None else read_files(published), made.files)
    if is_dry:
        tell(gate, params, is_dry)
        to = "" if copies is None else f"to copy to: {copies}\n"
        _say(summary(week, "A dry run: nothing was written.") + difference + "\n" + to)
        return
    about = about_delivery(files, listed.model, design)
    delivery = freeze(ROOT, week.tables, MADE_WITH, about, correction)
    # Only now: a list that cannot be made or frozen must not be said to go out.
    tell(gate, params, is_dry)
    if delivery in before:
        log.info("this list was delivered already; the ledger stays as it is", extra=_named(delivery))
    if newer := [each for each in before if each.as_of > as_of]:
        log.warning("a newer list stays published", extra=_named(newer[-1]))
        _say(summary(week, f"Delivery {delivery.number} of {as_of}: {delivery.folder}"))
        return

    def write_more(folder: Path) -> None:
        write_files(folder, made)
        if week.left is not None:
            write_left(folder / LEFT, week.left)

    folder = publish(ROOT, Publication(delivery, files, listed.scored.facts, params.score, write_more))
    log.info("delivered", extra={**_named(delivery), "published": str(folder)})
    _say(summary(week, f"Delivery {delivery.number} of {as_of}: {folder}") + difference + "\n")
    copy_delivery(folder, delivery, copies)


def require_in_order(as_of: dt.date, before: Sequence[Delivery]) -> None:
    """Check that no week is delivered for the first time after a later one: its list never went out.

    Raises
    ------
    DeliveryError
        A later week was delivered, and this one was not.
    """
    days = {each.as_of for each in before}
    if days and as_of < max(days) and as_of not in days:
        raise DeliveryError(
            f"{as_of}: the list of {max(days)} went out already, so one of an earlier week can no longer go "
            "out and the ledger takes none; for this week's list unset data.as_of in params.yaml and run "
            "'dvc repro'. To begin another ledger, move ledger/ and ledger.dvc away"
        )


def summary(week: Week, what: str) -> str:
    """Describe a week in a few lines."""
    companies = week.tables.companies
    counts = companies["status"].value_counts()
    shown = {
        "on the call list": int(companies["place"].notna().sum()),
        "of these explorers": int(counts.get("explored", 0)),
        "held back": int(counts.get("held_back", 0)),
        "suppressed": int(counts.get("suppressed", 0)),
        "objected": int(counts.get("objected", 0)),
    }
    if week.left is not None:
        shown["left since last time"] = len(week.left)
    return "\n".join([what, *(f"{name:<22}{count:>8,}" for name, count in shown.items())]) + "\n"


def _named(delivery: Delivery) -> dict[str, Any]:
    return {"as_of": delivery.as_of.isoformat(), "delivery": delivery.number}


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
