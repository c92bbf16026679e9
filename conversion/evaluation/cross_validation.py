"""Stratified cross-validation, which is not out of time, and how much too good its measures are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.evaluation.predictions import MODEL
from conversion.modelling.families import make_model
from conversion.runtime.progress import progress_bar
from conversion.stats.metric import Metric

CROSS_VALIDATION_METRICS: Final = (
    Metric("folds", "`evaluate.cross_validation_folds`"),
    Metric("warning", "what these numbers are not"),
    Metric(
        "random_split.<measure>",
        "of stratified folds of snapshots: what a random split reports. Only if it is switched on",
    ),
    Metric("out_of_time.<measure>", "of the backtest, all rows in one list"),
    Metric("gap.<measure>", "random split minus out of time", "0"),
)


def cross_validation(
    train: pd.DataFrame, predictions: pd.DataFrame, params: Params, contract: Contract
) -> dict[str, Any]:
    """Measure the model by stratified folds, as is common, and compare with the backtest.

    The folds are NOT out of time: snapshots of one company are on both sides of a split, and the model learns
    from later weeks about earlier ones. Both ways are measured on the weeks of the backtest, all snapshots in
    one list; weights make up for the negatives left out of the training snapshots.

    Parameters
    ----------
    train
        Training snapshots.
    predictions
        Of the backtest.
    params
        ``evaluate.cross_validation_folds`` is the number of folds.
    contract
        Of the tables that the snapshots were made of.

    Returns
    -------
    dict
        ``average_precision`` and ``roc_auc`` of the ``random_split``, of the backtest (``out_of_time``),
        and the ``gap``, the first minus the second: what a random split reports and no later week achieves.
    """
    folds = StratifiedKFold(params.evaluate.cross_validation_folds, shuffle=True, random_state=params.seed)
    label, weight = train["label"].to_numpy(dtype=np.int64), train["weight"].to_numpy(dtype=np.float64)
    probability = np.empty(len(train))
    splits = list(folds.split(train, label))
    for learn, test in progress_bar(splits, what="cross-validation", unit="folds"):
        model = make_model(params, contract)
        model.fit(train.iloc[learn], label[learn], weight[learn], train["as_of"].iloc[learn])
        probability[test] = model.predict_proba(train.iloc[test])[:, 1]
    tested = (train["as_of"] >= predictions["as_of"].min()).to_numpy()
    measures = {"average_precision": average_precision_score, "roc_auc": roc_auc_score}
    random_split = {
        name: float(measure(label[tested], probability[tested], sample_weight=weight[tested]))
        for name, measure in measures.items()
    }
    out_of_time = {
        name: float(measure(predictions["label"], predictions[MODEL])) for name, measure in measures.items()
    }
    return {
        "folds": params.evaluate.cross_validation_folds,
        "warning": "random_split is stratified folds of snapshots, not out of time: no list will be so good",
        "random_split": {name: round(value, 6) for name, value in random_split.items()},
        "out_of_time": {name: round(value, 6) for name, value in out_of_time.items()},
        "gap": {name: round(random_split[name] - out_of_time[name], 6) for name in measures},
    }
