"""Fit the one model on all snapshots whose labels are mature at ``as_of``."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from conversion.config.params import Params, load_params
from conversion.modelling.artifact import save_model, sha256
from conversion.modelling.base import ConversionModel
from conversion.modelling.training import known_training, search_and_fit_at, training_columns
from conversion.runtime.cli import run
from conversion.runtime.files import read_monday, read_parquet, write_csv

log = logging.getLogger(__name__)


def describe(
    model: ConversionModel, snapshots: pd.DataFrame, as_of: pd.Timestamp, params: Params
) -> dict[str, Any]:
    """Say what the model is and what it learned from; JSON-ready."""
    known = known_training(snapshots, as_of, params.featurize.horizon_days, params.train.history_weeks)
    rows = snapshots[known]
    return {
        "model_type": params.model.type,
        "trained_as_of": f"{as_of:%Y-%m-%d}",
        "training_window": {
            "first_snapshot": f"{rows['as_of'].min():%Y-%m-%d}",
            "last_snapshot": f"{rows['as_of'].max():%Y-%m-%d}",
            "snapshots": len(rows),
            "converting_snapshots": int(rows["label"].sum()),
            "converting_companies": int(rows.loc[rows["label"] == 1, "id"].nunique()),
        },
        "base_rate": round(model.base_rate_, 8),
        "calibration": model.calibration_,
        "threshold": round(float(model.threshold_), 8),
        "features": {feature.name: str(snapshots[feature.name].dtype) for feature in model.features},
        "params": {
            "seed": params.seed,
            "featurize": params.featurize.model_dump(mode="json", exclude={"chunk_companies"}),
            "features": params.features.model_dump(mode="json"),
            "model": params.model.hyperparameters(),
            "train": params.train.model_dump(mode="json"),
        },
    }


def main() -> None:
    """Read the training snapshots, write models/model.joblib, models/model.json and plots/search.csv."""
    params = load_params()
    source = "data/features/train.parquet"
    snapshots = read_parquet(source, training_columns(params))
    as_of = pd.Timestamp(read_monday("data/clean/export.json", "as_of"))
    log.info("fitting", extra={"model_type": params.model.type, "snapshots": len(snapshots)})
    model, found = search_and_fit_at(snapshots, as_of, params, progress=True)
    description = describe(model, snapshots, as_of, found.params) | {
        "search": found.summary(),
        "data_sha256": {source: sha256(source)},
    }
    save_model(model, description)
    write_csv("plots/search.csv", found.history, missing="NaN")
    log.info(
        "trained",
        extra={
            "model_type": params.model.type,
            "as_of": f"{as_of:%Y-%m-%d}",
            "threshold": float(model.threshold_),
        },
    )


if __name__ == "__main__":
    run(main)
