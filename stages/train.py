"""Fit the one model on all snapshots whose labels are mature at ``as_of``."""

from __future__ import annotations

import logging
import sys

import pandas as pd

from conversion.config.contract_file import load_contract
from conversion.config.params_file import load_params
from conversion.modelling.artifact import save_model
from conversion.modelling.doubts import few_text
from conversion.modelling.fits_folder import kept_fits
from conversion.modelling.training import describe, fitting_threads, search_and_fit_at, training_columns
from conversion.modelling.training_rows import count_training, read_training
from conversion.runtime.cli import run
from conversion.runtime.files import read_monday, sha256, write_csv

log = logging.getLogger(__name__)


def main() -> None:
    """Read the training snapshots, write models/model.joblib, models/model.json and plots/search.csv."""
    params = load_params()
    source = "data/features/train.parquet"
    contract = load_contract("data/contract.json")
    most = params.train.max_snapshots
    snapshots = read_training(source, training_columns(params, contract), most, params.seed)
    as_of = pd.Timestamp(read_monday("data/clean/export.json", "as_of"))
    log.info("fitting", extra={"model_type": params.model.type, "snapshots": len(snapshots)})
    threads = fitting_threads(len(snapshots))
    model, found = search_and_fit_at(
        snapshots, as_of, params, contract, progress=True, threads=threads, memory=kept_fits("train")
    )
    description = describe(model, snapshots, as_of, found.params) | {
        "search": found.summary(),
        "data_sha256": {source: sha256(source)},
    }
    there = count_training(source)
    if there > len(snapshots):
        description["drawn"] = {"snapshots": there, "kept": len(snapshots)}
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
    if few := few_text(description["training_window"]["converting_companies"]):
        log.warning(few)


if __name__ == "__main__":
    run(main, sys.argv[1:])
