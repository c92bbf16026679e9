"""What the gate looks at, read from what the pipeline and earlier deliveries left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.data.timeline import WEEK
from conversion.delivery.delivery_tables import Scored
from conversion.delivery.gate_drift import Delivered
from conversion.delivery.gate_forecast import PastList, delivered_list, lists_of, recent
from conversion.delivery.ledger import latest_deliveries, read_deliveries
from conversion.delivery.reps import calls_a_week, reps_of
from conversion.leads.lead_files import FOLDER as LEADS
from conversion.leads.lead_files import MANIFEST, read_list_manifest
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import (
    read_json,
    read_monday,
    read_parquet,
    read_value,
    reading,
    verified_parquet,
)
from conversion.runtime.row_groups import tables_of_values
from conversion.stats.numeric import Floats

MODEL: Final = "models/model.json"
EXPORT: Final = "data/clean/export.json"
DRIFT: Final = "metrics/drift.json"
QUALITY: Final = "metrics/data_quality.json"
PREDICTIONS: Final = "data/backtest/predictions.parquet"


@dataclass(frozen=True)
class GateInputs:
    """What the gate looks at.

    Attributes
    ----------
    as_of
        The moment of the list.
    contract
        Of the tables.
    companies, usage
        Clean tables.
    latest, previous
        Snapshots of all prospects now and a week before.
    features
        Names of the model's features.
    drift
        ``population_stability_index`` of metrics/drift.json.
    probability
        Of the list's prospects, largest first.
    trained_as_of
        The moment of the model.
    calls
        How many companies will be called.
    past
        Earlier lists, the last ones.
    delivered
        The last delivery; None: there is none.
    leaks
        What was found of attributes that alone tell who has converted.
    """

    as_of: dt.date
    contract: Contract
    companies: pd.DataFrame
    usage: pd.DataFrame
    latest: pd.DataFrame
    previous: pd.DataFrame
    features: tuple[str, ...]
    drift: dict[str, float]
    probability: Floats
    trained_as_of: dt.date
    calls: int
    past: tuple[PastList, ...]
    delivered: Delivered | None
    leaks: Mapping[str, str]


def read_gate_inputs(
    root: Path, params: Params, calls: int | None = None, scored: Scored | None = None
) -> GateInputs:
    """Read what the gate looks at.

    Parameters
    ----------
    root
        The project's root.
    params
        Of params.yaml.
    calls
        How many companies will be called; None: what `conversion.delivery.reps.calls_a_week` says.
    scored
        The list, where it was read already; None: it is read here.

    Raises
    ------
    InputError, ArtifactError
        A file is missing, unreadable or of another run.
    """
    as_of = read_monday(root / EXPORT, "as_of")
    contract = load_contract(root / "data" / "contract.json")
    if calls is None:
        calls = calls_a_week(reps_of(params.deliver, contract), params.score)
    drift = read_json(root / DRIFT)
    _check_moment(root / DRIFT, drift, as_of)
    _check_moment(root / LEADS / MANIFEST, read_json(root / LEADS / MANIFEST), as_of)
    features = tuple(read_value(root / MODEL, "features"))
    past, delivered = _past(root, as_of, params.gate.weeks, calls, params.featurize.horizon_days)
    snapshots = root / "data" / "features"
    return GateInputs(
        as_of=as_of,
        contract=contract,
        companies=read_parquet(root / "data" / "clean" / "companies.parquet"),
        usage=read_parquet(root / "data" / "clean" / "usage.parquet"),
        latest=read_parquet(snapshots / "latest.parquet", ["id", *features])
        if scored is None
        else scored.snapshots,
        previous=read_parquet(snapshots / "previous.parquet", ["id", *features]),
        features=features,
        drift=drift["population_stability_index"],
        probability=_probabilities(root) if scored is None else _largest_first(scored.leads["probability"]),
        trained_as_of=read_monday(root / MODEL, "trained_as_of"),
        calls=calls,
        past=past,
        delivered=delivered,
        leaks=_leaks(root / QUALITY),
    )


def _leaks(path: Path) -> dict[str, str]:
    """Read which attributes `load` warned of; none, where an earlier version wrote the file."""
    measured = read_json(path).get("attribute_leaks", {})
    return {name: fact["found"] for name, fact in measured.items() if fact["warned"]}


def _check_moment(path: Path, found: Any, as_of: dt.date) -> None:
    given = found.get("as_of") if isinstance(found, dict) else None
    if given != as_of.isoformat():
        raise InputError(
            f"{path}: is of {given}, but {EXPORT} says {as_of}: they are of different runs; run 'dvc repro'"
        )


def _past(
    root: Path, as_of: dt.date, lists: int, calls: int, horizon_days: int
) -> tuple[tuple[PastList, ...], Delivered | None]:
    """Summarise the last lists, those delivered before those of the backtest, and read the last delivery.

    Lists of another horizon expect something else.
    """
    columns = ("id", "as_of", "probability", "label")
    predictions = tables_of_values(root / PREDICTIONS, "as_of", columns, last=lists)
    now = pd.Timestamp(as_of)
    deliveries = [each for each in latest_deliveries(read_deliveries(root)) if each.as_of < as_of]
    of_ledger = [
        delivered_list(
            pd.Timestamp(each.as_of), _largest_first(each.companies(["probability"])["probability"]), calls
        )
        for each in deliveries[-lists:]
        if each.manifest.horizon_days == horizon_days
    ]
    found = recent([*lists_of(predictions, calls), *of_ledger], now, lists)
    last = Delivered(deliveries[-1].as_of, deliveries[-1].features()) if deliveries else None
    return tuple(found), last


def _probabilities(root: Path) -> Floats:
    """Read the probabilities of the lead list."""
    manifest = read_list_manifest(root)
    path = root / LEADS if manifest is None else root / LEADS / manifest.leads
    if manifest is None or not path.is_file():
        raise ArtifactError(f"{path}: not found; run 'dvc repro score' to make it")
    with reading(path):
        if path.suffix == ".csv":
            table = pd.read_csv(path, usecols=["probability"])
        elif path.suffix == ".json":
            table = pd.read_json(path, precise_float=True)[["probability"]]
        else:
            table = verified_parquet(path, ["probability"])
    return _largest_first(table["probability"])


def _largest_first(probability: pd.Series) -> Floats:
    values: Floats = np.sort(probability.to_numpy(dtype=np.float64))[::-1]
    return values


def week_before(inputs: GateInputs) -> Delivered | None:
    """Return the last delivery if it is that of a week before."""
    delivered = inputs.delivered
    if delivered is None or pd.Timestamp(delivered.as_of) + WEEK != pd.Timestamp(inputs.as_of):
        return None
    return delivered
