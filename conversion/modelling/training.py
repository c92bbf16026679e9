"""The whole recipe, fitted at an ``as_of`` on what was known then: once by train, often by evaluate."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.data.timeline import WEEK
from conversion.modelling.families import hyperparameters, make_model
from conversion.modelling.kept_fits import KeptFits
from conversion.modelling.model import ConversionModel
from conversion.modelling.search import Search, search
from conversion.runtime.errors import ExportError
from conversion.stats.portable_math import power

MOST_ROWS: Final = 250_000
"""Training snapshots up to which members are fitted side by side, each in memory of its own."""


def fitting_threads(rows: int) -> int:
    """Return how many threads fit a model's members on so many snapshots: two, or one if there are many."""
    return min(2, cpu_count()) if rows <= MOST_ROWS else 1


def training_columns(params: Params, contract: Contract) -> list[str]:
    """Return the columns that training snapshots must have."""
    features = make_model(params, contract).features
    return ["id", "as_of", "label", "weight", *(feature.name for feature in features)]


def known_training(
    snapshots: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int, history_weeks: int | None
) -> pd.Series:
    """Return a mask of the training snapshots that were mature at ``as_of`` and lie in the history."""
    mature = snapshots["as_of"] + pd.Timedelta(days=horizon_days) <= as_of
    if history_weeks is None:
        return mature
    return mature & (snapshots["as_of"] > as_of - pd.Timedelta(weeks=history_weeks))


def recency_weights(
    snapshot_as_of: pd.Series, as_of: pd.Timestamp, half_life_weeks: int | None
) -> NDArray[np.float64]:
    """Compute weights by age at ``as_of``: half as much for each half-life.

    The weighted prevalence, and with it the probabilities, are then those of the recent past.

    Parameters
    ----------
    snapshot_as_of
        Weeks of the training snapshots.
    as_of
        Moment of the fit; no later snapshot or fit has an influence.
    half_life_weeks
        None: all weigh 1.

    Returns
    -------
    numpy.ndarray of float64, shape (snapshots,)
        ``0.5 ** (age in weeks / half_life_weeks)``.
    """
    if half_life_weeks is None:
        return np.ones(len(snapshot_as_of))
    age = (as_of - snapshot_as_of).to_numpy() / WEEK.to_timedelta64()
    return power(0.5, age / half_life_weeks)


def fit_at(
    snapshots: pd.DataFrame,
    as_of: pd.Timestamp,
    params: Params,
    contract: Contract,
    *,
    explained: bool = True,
    memory: KeptFits | None = None,
) -> ConversionModel:
    """Fit the whole recipe on what was known at ``as_of``, and the model of summaries beside it.

    With ``train.search.trials`` above 0 it first searches for better hyperparameters, also on what was known.

    Parameters
    ----------
    snapshots
        Training snapshots: ``id``, ``as_of``, ``label``, ``weight`` and the features, in any order.
    as_of
        Snapshots whose labels were not mature by then are ignored.
    params, contract
        The recipe, and what the attributes are.
    explained
        As in `ConversionModel.fit_with_summary`.
    memory
        Where fits are kept, see `conversion.modelling.kept_fits`; None: nowhere.

    Returns
    -------
    ConversionModel
        Fitted.

    Raises
    ------
    ExportError
        There is no snapshot, or only one class, or too little history for what params ask.
    """
    model, _ = search_and_fit_at(snapshots, as_of, params, contract, explained=explained, memory=memory)
    return model


def search_and_fit_at(
    snapshots: pd.DataFrame,
    as_of: pd.Timestamp,
    params: Params,
    contract: Contract,
    progress: bool = False,
    threads: int = 1,
    explained: bool = True,
    memory: KeptFits | None = None,
) -> tuple[ConversionModel, Search]:
    """Fit as `fit_at` does, and return what the search found too.

    ``progress`` shows a bar of its trials; ``threads`` fit members side by side, which changes no result.
    """
    known = known_training(snapshots, as_of, params.featurize.horizon_days, params.train.history_weeks)
    # Always in the same order, as forests and boosters draw rows by their position.
    rows = snapshots[known].sort_values(["id", "as_of"], kind="stable")
    positives = int((rows["label"] == 1).sum())
    if not 0 < positives < len(rows):
        raise ExportError(
            f"{contract.conversion_tables}: at {as_of:%Y-%m-%d} {positives} of {len(rows)} training "
            "snapshots with mature labels are conversions; there is nothing to learn from: give a longer "
            "export, or a later evaluate.first_cutoff or data.as_of"
        )
    weight = rows["weight"].to_numpy(dtype=np.float64) * recency_weights(
        rows["as_of"], as_of, params.train.recency_half_life_weeks
    )
    rows = rows.assign(weight=weight)
    found = search(rows, params, contract, progress, memory)
    model = make_model(found.params, contract, memory).fit_with_summary(
        rows, rows["label"].to_numpy(dtype=np.int64), weight, rows["as_of"], threads, explained
    )
    return model, found


def describe(
    model: ConversionModel, snapshots: pd.DataFrame, as_of: pd.Timestamp, params: Params
) -> dict[str, Any]:
    """Describe the model and what it learned from; JSON-ready."""
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
            "model": hyperparameters(params, model.data_contract),
            "train": params.train.model_dump(mode="json"),
        },
    }
