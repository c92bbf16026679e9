"""The whole recipe, fitted anew at each ``as_of`` on what was known: by train once, by evaluate often."""

from __future__ import annotations

import numpy as np
import pandas as pd

from conversion.errors import ExportError
from conversion.models import ConversionModel, make_model
from conversion.params import Params
from conversion.search import Search, search


def known_training(
    snapshots: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int, history_weeks: int | None
) -> pd.Series:
    """Tell which training snapshots were mature at ``as_of`` and lie within the history."""
    mature = snapshots["as_of"] + pd.Timedelta(days=horizon_days) <= as_of
    if history_weeks is None:
        return mature
    return mature & (snapshots["as_of"] > as_of - pd.Timedelta(weeks=history_weeks))


def fit_at(snapshots: pd.DataFrame, as_of: pd.Timestamp, params: Params) -> ConversionModel:
    """Fit the whole recipe on what was known at ``as_of``, with the model of summaries beside it.

    If ``train.search`` says so, better hyperparameters are searched for first, on what was known too.

    Parameters
    ----------
    snapshots
        Training snapshots: ``id``, ``as_of``, ``label``, ``weight`` and the features.
    as_of
        Snapshots whose labels were not mature by then are not looked at.

    Returns
    -------
    ConversionModel
        Fitted.

    Raises
    ------
    ExportError
        There is no snapshot, or one class only, or too little history for what params ask.
    """
    model, _ = search_and_fit_at(snapshots, as_of, params)
    return model


def search_and_fit_at(
    snapshots: pd.DataFrame, as_of: pd.Timestamp, params: Params, progress: bool = False
) -> tuple[ConversionModel, Search]:
    """Do what `fit_at` does, and give what the search found; ``progress`` shows a bar of its trials."""
    known = known_training(snapshots, as_of, params.featurize.horizon_days, params.train.history_weeks)
    rows = snapshots[known]
    positives = int((rows["label"] == 1).sum())
    if not 0 < positives < len(rows):
        raise ExportError(
            f"customers: at {as_of:%Y-%m-%d} {positives} of {len(rows)} training snapshots with mature "
            "labels are conversions; there is nothing to learn from: give a longer export, or a later "
            "evaluate.first_cutoff or data.as_of"
        )
    found = search(rows, params, progress)
    model = make_model(found.params).fit_with_summary(
        rows, rows["label"].to_numpy(dtype=np.int64), rows["weight"].to_numpy(dtype=np.float64), rows["as_of"]
    )
    return model, found
