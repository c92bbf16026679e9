"""The week's delivery before it is frozen: the list as the pipeline left it, who calls whom, what moved."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.data.clean_tables import CleanTables
from conversion.data.histories import history_files
from conversion.delivery.call_list import Design, call_list
from conversion.delivery.current_ids import CurrentDelivery, read_current_ids
from conversion.delivery.delivery_tables import Scored, delivery_tables, with_moved
from conversion.delivery.leavers import left
from conversion.delivery.ledger import Delivery, DeliveryTables
from conversion.delivery.move_path import ThisWeek
from conversion.delivery.moves import moves
from conversion.delivery.reps import Reps
from conversion.delivery.suppression import suppressed
from conversion.features.snapshots import recipe_of, with_encoded_histories
from conversion.leads.lead_files import FOLDER, LeadFiles, read_list_of_model, read_reason_facts
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.runtime.errors import DeliveryError, InputError
from conversion.runtime.files import read_parquet, reading, sha256

CLEAN: Final = "data/clean"
TABLES: Final = ("companies", "usage", "subscriptions")
LATEST: Final = "data/features/latest.parquet"


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


def read_listed(root: Path) -> Listed:
    """Read the list, after checking that its files are of one run.

    Raises
    ------
    InputError, ArtifactError
        A file is missing, or of another run.
    """
    model, description = load_model(ConversionModel, root / "models")
    files = read_list_of_model(root, model.data_contract, description["sha256"])
    for path in (LATEST, *(f"{CLEAN}/{name}.parquet" for name in TABLES)):
        with reading(root / path):
            found = sha256(root / path)
        if found != files.manifest.inputs.get(path):
            raise InputError(
                f"{path}: is not the one that {FOLDER} was made from: of another run; run 'dvc repro'"
            )
    snapshots = read_parquet(root / LATEST, ["id", *_names(model)])
    facts = read_reason_facts(root, files)
    return Listed(model, files, Scored(files.leads, files.contributions, facts, snapshots))


def read_clean(root: Path, contract: Contract) -> CleanTables:
    """Read the clean tables that say what moved."""
    companies, usage, periods = (read_parquet(root / CLEAN / f"{name}.parquet") for name in TABLES)
    histories = history_files(contract)
    of_histories = {column: read_parquet(root / CLEAN / file) for column, file in histories.items()}
    return CleanTables(companies, usage, periods, of_histories)


def _names(model: ConversionModel) -> list[str]:
    return [feature.name for feature in model.features]


# The week


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


def this_week(
    root: Path,
    listed: Listed,
    params: Params,
    design: Design,
    reps: Reps | None,
    before: Delivery | None,
) -> Week:
    """Draw who is called and by whom, and say what moved since the last delivery."""
    model, files, scored = listed
    contract, as_of = model.data_contract, files.manifest.as_of
    last = None if before is None else CurrentDelivery(before, read_current_ids(root, contract))
    contacts, objections = (
        read_parquet(root / CLEAN / f"{name}.parquet") for name in ("contacts", "objections")
    )
    waiting = suppressed(contacts, pd.Timestamp(as_of), params.deliver.suppress)
    drawn = call_list(scored.leads["id"], as_of, design, waiting["id"], objections["id"])
    by_rep = who_calls(scored.leads, drawn, params, reps, last)
    tables = delivery_tables(scored, _names(model), drawn, contract, by_rep)
    if last is None:
        return Week(tables, None)
    clean = read_clean(root, contract)
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


def about_delivery(
    listed: Listed, design: Design, registered: str | None, git: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the ledger says of a delivery, see `conversion.delivery.ledger.DeliveryManifest`.

    Parameters
    ----------
    listed
        The list.
    design
        Of the draw.
    registered
        Version of the registered model; None: it is none.
    git
        From `conversion.tracking.run_record.git_tags`.
    """
    manifest = listed.files.manifest
    return {
        "as_of": manifest.as_of.isoformat(),
        "horizon_days": listed.model.horizon_days,
        "calls": design.calls,
        "holdout": design.holdout,
        "explore": design.explore,
        "explore_depth": design.explore_depth,
        "salt": design.salt,
        "model_sha256": manifest.model_sha256,
        "registered": registered,
        "commit": git.get("git_commit"),
        "dirty": json.loads(git.get("dirty", "false")),
        "inputs": dict(manifest.inputs),
    }


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
