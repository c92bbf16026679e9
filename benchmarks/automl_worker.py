"""Fit an AutoML library on one refit's training snapshots, in the library's own environment.

    python benchmarks/automl_worker.py {flaml,autogluon} FOLDER --seconds N --seed N --cores N

`benchmarks.automl` runs it. It reads from FOLDER ``train.parquet`` (features, in time order),
``targets.parquet`` (``as_of``, ``label`` and ``weight`` of the same rows) and ``prospects.parquet``
(features); it writes ``probability.parquet``, one row a prospect, and ``run.json``: the library's version and
the time that fitting and scoring took. It imports nothing of the project, whose dependencies are not there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

# Of the training weeks, the last: AutoGluon chooses by them, and then fits its choice on all weeks.
TUNING_SHARE = 0.2

Score = Callable[[pd.DataFrame], np.ndarray]


def fit_flaml(
    features: pd.DataFrame, targets: pd.DataFrame, folder: Path, seconds: float, seed: int, cores: int
) -> Score:
    """FLAML with all its learners, chosen among by weighted log loss on later rows than they learn from."""
    from flaml import AutoML

    automl = AutoML()
    automl.fit(
        X_train=features,
        y_train=targets["label"],
        sample_weight=targets["weight"],
        task="classification",
        metric="log_loss",
        split_type="time",
        time_budget=seconds,
        n_jobs=cores,
        seed=seed,
        verbose=0,
        log_file_name=str(folder / "flaml.log"),
    )
    return lambda rows: np.asarray(automl.predict_proba(rows))[:, list(automl.classes_).index(1)]


def fit_autogluon(
    features: pd.DataFrame, targets: pd.DataFrame, folder: Path, seconds: float, seed: int, cores: int
) -> Score:
    """AutoGluon's default portfolio of tree models and their weighted ensemble."""
    from autogluon.core.metrics import make_scorer
    from autogluon.tabular import TabularPredictor

    table = features.assign(label=targets["label"], weight=targets["weight"])
    tuning = in_tuning_weeks(targets["as_of"])
    predictor = TabularPredictor(
        label="label",
        eval_metric=make_scorer(
            "log_loss", weighted_log_loss, optimum=0, greater_is_better=False, needs_proba=True
        ),
        sample_weight="weight",
        weight_evaluation=True,
        path=str(folder / "autogluon"),
        verbosity=0,
    )
    predictor.fit(
        table[~tuning],
        tuning_data=table[tuning],
        time_limit=seconds,
        included_model_types=["GBM", "CAT", "XGB", "RF", "XT"],
        # It would take torch.
        calibrate=False,
        refit_full=True,
        set_best_to_refit_full=True,
        num_cpus=cores,
        num_gpus=0,
        ag_args_fit={"random_seed": seed},
    )
    return lambda rows: predictor.predict_proba(rows)[1].to_numpy()


def weighted_log_loss(label: np.ndarray, probability: np.ndarray, sample_weight: np.ndarray) -> float:
    """AutoGluon's own log loss leaves ``weight_evaluation`` unheeded: it takes no weights."""
    inside = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    return float(np.average(-np.log(np.where(label == 1, inside, 1 - inside)), weights=sample_weight))


def in_tuning_weeks(as_of: pd.Series) -> pd.Series:
    """Return which rows lie in the last `TUNING_SHARE` of the weeks."""
    weeks = np.sort(as_of.unique())
    return as_of.ge(weeks[-max(1, round(TUNING_SHARE * len(weeks)))])


LIBRARIES = {"flaml": ("flaml", fit_flaml), "autogluon": ("autogluon.tabular", fit_autogluon)}


def main() -> None:
    parser = argparse.ArgumentParser(description="fit an AutoML library, score prospects")
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, required=True, help="budget for fitting")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cores", type=int, required=True)
    given = parser.parse_args()
    package, fit = LIBRARIES[given.library]
    folder: Path = given.folder
    features, targets, prospects = (
        pd.read_parquet(folder / f"{name}.parquet", page_checksum_verification=True)
        for name in ("train", "targets", "prospects")
    )

    start, cpu_start = time.perf_counter(), sum(os.times()[:4])
    score = fit(features, targets, folder, given.seconds, given.seed, given.cores)
    probability = score(prospects)
    seconds, cpu_seconds = time.perf_counter() - start, sum(os.times()[:4]) - cpu_start

    answer = pd.DataFrame({"probability": probability})
    answer.to_parquet(folder / "probability.parquet", index=False, write_page_checksum=True)
    run = {
        "version": importlib.metadata.version(package),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,  # of processes that it started too
    }
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")


if __name__ == "__main__":
    main()
