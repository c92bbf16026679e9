"""Deliver the week's list: freeze it in the ledger and publish it: ``python -m commands.deliver``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.delivery.call_list import Design, call_list
from conversion.delivery.delivery_tables import Scored, delivery_tables
from conversion.delivery.ledger import Delivery, MadeWith, freeze, last_before, read_deliveries
from conversion.delivery.publish import Publication, publish
from conversion.delivery.reps import Reps, read_reps
from conversion.leads.lead_files import FOLDER, LeadFiles, read_lead_files, read_reason_facts
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.registered_versions import read_registered, registry_key
from conversion.runtime.cli import CommandLine, run
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import read_parquet
from conversion.tracking.run_record import git_tags

ROOT: Final = Path()
LATEST: Final = "data/features/latest.parquet"
MADE_WITH: Final = MadeWith(
    Path("models/model.joblib"), Path("models/model.json"), Path("data/contract.json")
)
log = logging.getLogger(__name__)


def read_list(params: Params, model: ConversionModel, model_sha256: str) -> LeadFiles:
    """Read the lead list, after checking that this model scored it.

    Raises
    ------
    InputError
        There is none.
    ArtifactError
        Another model scored it.
    """
    files = read_lead_files(ROOT, params.score.format, model.data_contract)
    if files is None:
        raise InputError(f"{FOLDER}/leads.{params.score.format}: not found; run 'dvc repro' first")
    if files.manifest.model_sha256 != model_sha256:
        raise ArtifactError(
            f"{FOLDER}: another model scored the list than models/model.joblib: they are of different runs; "
            "run 'dvc repro score'"
        )
    return files


def read_scored(files: LeadFiles, facts: pd.DataFrame, needed: list[str]) -> Scored:
    """Read the features that the list was scored from."""
    snapshots = read_parquet(LATEST, ["id", *needed])
    if set(snapshots["id"]) != set(files.leads["id"]):
        raise InputError(
            f"{LATEST}: is of other companies than {FOLDER}: they are of different runs; run 'dvc repro'"
        )
    return Scored(files.leads, files.contributions, facts, snapshots)


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
        "registered": None
        if registered is None or version is None
        else f"{registered.model_name} {version.version}",
        "commit": tags.get("git_commit"),
        "dirty": json.loads(tags.get("dirty", "false")),
        "inputs": dict(manifest.inputs),
    }


def who_calls(
    leads: pd.DataFrame, drawn: pd.DataFrame, params: Params, reps: Reps | None, last: Delivery | None
) -> pd.Series | None:
    """Split the call list among the reps; None where there are none."""
    if reps is None:
        return None
    from conversion.delivery.assignment import assign  # scipy's solver: only where there are reps

    called = leads[drawn["place"].notna().to_numpy()]
    before = pd.Series(dtype="str") if last is None else last.companies().set_index("id")["rep"].dropna()
    assigned = assign(called, reps, params.deliver.owner, before)
    return pd.Series(assigned.array, index=pd.Index(called.loc[assigned.index, "id"]))


def main() -> None:
    """Read the list, draw who is called, freeze it and publish it."""
    arguments = _arguments()
    params = load_params()
    model, description = load_model(ConversionModel)
    files = read_list(params, model, description["sha256"])
    facts = read_reason_facts(ROOT, files)
    reps = None if params.deliver.reps is None else read_reps(Path(params.deliver.reps), model.data_contract)
    design = Design.of(params.deliver, params.score.top_n if reps is None else reps.calls)
    names = [feature.name for feature in model.features]
    before = read_deliveries(ROOT)
    last = last_before(before, files.manifest.as_of)
    scored = read_scored(files, facts, names)
    nobody = scored.leads["id"].head(0)
    drawn = call_list(scored.leads["id"], files.manifest.as_of, design, nobody, nobody)
    by_rep = who_calls(files.leads, drawn, params, reps, last)
    tables = delivery_tables(scored, names, drawn, model.data_contract, by_rep)
    if arguments.dry_run:
        _say(summary(tables.companies, None))
        return
    delivery = freeze(ROOT, tables, MADE_WITH, about_delivery(files, model, design), arguments.correction)
    if delivery in before:
        log.info("this list was delivered already; the ledger stays as it is", extra=_named(delivery))
    folder = publish(ROOT, Publication(delivery, files, facts, params.score, lambda _: None))
    log.info("delivered", extra={**_named(delivery), "published": str(folder)})
    _say(summary(tables.companies, delivery))


def summary(companies: pd.DataFrame, delivery: Delivery | None) -> str:
    """Describe a delivery in a few lines; without one, what a delivery would be."""
    counts = companies["status"].value_counts()
    shown = {
        "on the call list": int(companies["place"].notna().sum()),
        "of these explorers": int(counts.get("explored", 0)),
        "held back": int(counts.get("held_back", 0)),
        "suppressed": int(counts.get("suppressed", 0)),
        "objected": int(counts.get("objected", 0)),
    }
    what = (
        "a dry run, nothing was written"
        if delivery is None
        else f"delivery {delivery.number} of {delivery.as_of}"
    )
    lines = [f"{name:<20}{count:>8,}" for name, count in shown.items()]
    return "\n".join([what, *lines]) + "\n"


def _named(delivery: Delivery) -> dict[str, Any]:
    return {"as_of": delivery.as_of.isoformat(), "delivery": delivery.number}


def _say(text: str) -> None:
    sys.stdout.write(text)


def _arguments() -> argparse.Namespace:
    parser = CommandLine(prog="python -m commands.deliver", description="Deliver the week's list.")
    parser.add_argument(
        "--correction", metavar="WHY", help="deliver another list for a week that was delivered; both stay"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go out, and write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
