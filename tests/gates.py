"""What the gate looks at, of a pipeline in memory."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conversion.delivery.gate import GateInputs
from conversion.delivery.gate_drift import Delivered
from conversion.delivery.gate_forecast import lists_of
from conversion.leads.drift import feature_drift
from conversion.modelling.artifact import save_model
from conversion.runtime.files import read_json, write_json, write_parquet
from conversion.runtime.seals import HASH, sealed
from tests.exports import tiny_export
from tests.lead_files import write_list
from tests.pipeline import Pipeline, Tables, small_params

AS_OF = "2019-08-26"


def gate_pipeline(tables: Tables | None = None, as_of: str | None = AS_OF) -> Pipeline:
    """Return a pipeline of an export that has nothing wrong with it, unless others are given."""
    return Pipeline(sound_export() if tables is None else tables, small_params(data__as_of=as_of))


@functools.cache
def sound() -> Pipeline:
    """The pipeline of an export that has nothing wrong with it."""
    return gate_pipeline()


def sound_export() -> Tables:
    """Return an export with a thousand companies."""
    return tiny_export(seed=3, companies=1000, weeks=40)


def gate_inputs(pipeline: Pipeline, **changes: Any) -> GateInputs:
    """Return what the gate looks at, with changes."""
    return dataclasses.replace(_inputs(pipeline), **changes)


@functools.cache
def _inputs(pipeline: Pipeline) -> GateInputs:
    known = pipeline.backtest.dropna(subset="label")
    names = tuple(feature.name for feature in pipeline.model.features)
    scored = known[["id", "as_of", "label"]].assign(probability=pipeline.model.predict_proba(known)[:, 1])
    drift = feature_drift(pipeline.train, pipeline.latest, pipeline.model.features, pipeline.as_of)
    return GateInputs(
        as_of=pipeline.as_of.date(),
        contract=pipeline.contract,
        companies=pipeline.companies,
        usage=pipeline.usage,
        latest=pipeline.latest,
        previous=pipeline.previous,
        features=names,
        drift=drift["population_stability_index"],
        probability=np.sort(pipeline.model.predict_proba(pipeline.latest)[:, 1])[::-1],
        trained_as_of=pipeline.as_of.date(),
        calls=10,
        past=tuple(lists_of((week for _, week in scored.groupby("as_of")), 10)[-8:]),
        delivered=None,
        leaks={},
    )


def week_ago(pipeline: Pipeline) -> Delivered:
    """Return what a delivery of a week before would have frozen."""
    names = [feature.name for feature in pipeline.model.features]
    before = (pipeline.as_of - pd.Timedelta(days=7)).date()
    return Delivered(before, pipeline.previous[["id", *names]])


def lay_out_gate(
    root: Path, pipeline: Pipeline, file_format: str = "csv", moment: pd.Timestamp | None = None
) -> None:
    """Write the files that the gate reads into a folder, those of an earlier list dated by a later moment."""
    inputs, as_of = gate_inputs(pipeline), f"{moment or pipeline.as_of:%Y-%m-%d}"
    known = pipeline.backtest.dropna(subset="label")
    scored = known[["id", "as_of", "label"]].assign(probability=pipeline.model.predict_proba(known)[:, 1])
    tables = {
        "clean/companies": inputs.companies,
        "clean/usage": inputs.usage,
        "features/latest": inputs.latest,
        "features/previous": inputs.previous,
        "backtest/predictions": scored.sort_values(["as_of", "id"]),
    }
    for name, table in tables.items():
        write_parquet(root / "data" / f"{name}.parquet", table)
    write_json(root / "data" / "contract.json", pipeline.contract.model_dump(mode="json"))
    write_json(root / "data" / "clean" / "export.json", {"as_of": as_of})
    write_json(root / "metrics" / "data_quality.json", {"attribute_leaks": {}})
    write_json(root / "metrics" / "drift.json", {"as_of": as_of, "population_stability_index": inputs.drift})
    write_list(root, pipeline, file_format)
    manifest = root / "data" / "leads" / "manifest.json"
    content = {name: value for name, value in read_json(manifest).items() if name != HASH}
    write_json(manifest, sealed(content | {"as_of": as_of}))
    described = {"trained_as_of": as_of, "features": dict.fromkeys(inputs.features, "float32")}
    save_model(pipeline.model, described, root / "models")
