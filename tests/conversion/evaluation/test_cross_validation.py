from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conversion.evaluation import backtest as backtest_module
from conversion.evaluation import cross_validation
from tests.backtests import backtest_export, backtest_predictions
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import Pipeline, small_params


def test_cross_validation_is_labelled_as_not_out_of_time() -> None:
    pipeline = backtest_export(evaluate__cross_validation_folds=3)
    result = cross_validation.cross_validation(
        pipeline.train, backtest_predictions(), pipeline.params, hubspot()
    )
    assert result["folds"] == 3
    assert "not out of time" in result["warning"]
    label, probability = backtest_predictions()["label"], backtest_predictions()["probability"]
    assert result["out_of_time"]["roc_auc"] == pytest.approx(roc_auc_score(label, probability), abs=1e-6)
    for name, gap in result["gap"].items():
        assert gap == pytest.approx(result["random_split"][name] - result["out_of_time"][name], abs=2e-6)
        assert 0 < result["random_split"][name] <= 1


def test_a_random_split_promises_what_no_later_week_keeps() -> None:
    """Each company has another's labels, so that nothing can be learned but which company a row is of."""
    pipeline = Pipeline(
        tiny_export(0, companies=150),
        small_params(
            featurize__keep_negatives__seen=1.0,
            featurize__keep_negatives__never_seen=1.0,
            model__type="random_forest",
            model__random_forest__max_depth=14,
            model__random_forest__min_samples_leaf=1,
            model__random_forest__monotone=False,
            evaluate__refit_weeks=8,
            evaluate__cross_validation_folds=3,
        ),
    )
    ids = pipeline.companies["id"].to_numpy()
    other = dict(zip(ids, np.random.default_rng(0).permutation(ids), strict=True))

    def swapped(snapshots: pd.DataFrame) -> pd.DataFrame:
        labels = snapshots.set_index(["id", "as_of"])["label"]
        keys = pd.MultiIndex.from_arrays([snapshots["id"].map(other), snapshots["as_of"]])
        return snapshots.assign(label=labels.reindex(keys).fillna(0).to_numpy())

    train = swapped(pipeline.train)
    predictions = backtest_module.backtest(train, swapped(pipeline.backtest), pipeline.params, hubspot())
    result = cross_validation.cross_validation(train, predictions, pipeline.params, hubspot())
    assert result["random_split"]["roc_auc"] > 0.8
    assert result["out_of_time"]["roc_auc"] < 0.6
    assert result["gap"]["average_precision"] > 0.2
