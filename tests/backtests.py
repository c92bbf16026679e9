"""Small backtests: made up, for what compares them; and run on a small export."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from conversion.evaluation import backtest as backtest_module
from tests.contract_files import hubspot
from tests.pipeline import Pipeline, dirty_export, small_params

COLUMNS = [
    "id", "as_of", "label", "MRR", "probability", "summary_only", "users_rule", "actions_rule", "random",
    "fitted_as_of", "base_rate", "threshold", "usage_state", "tenure_group", "size_group", "sector_known",
]  # fmt: skip
"""Of the predictions of a backtest whose truth is not known."""


def backtest(seed: int = 0, skill: float = 2.0, companies: int = 300, cutoffs: int = 4) -> pd.DataFrame:
    """Make a backtest; labels are the same for all, and the more skill the better the probabilities."""
    truth, rng = np.random.default_rng(7), np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [pd.date_range("2020-01-06", periods=cutoffs, freq="W-MON"), range(1, companies + 1)],
        names=["as_of", "id"],
    ).to_frame(index=False)
    label = (truth.random(len(rows)) < 0.06).astype(np.int8)
    odds = np.exp(skill * label - 2.5 - skill / 2 + rng.normal(0, 1, len(rows)))
    return rows.assign(label=label, MRR=label * 100.0, probability=odds / (1 + odds))


@functools.cache
def backtest_export(**overrides: Any) -> Pipeline:
    """Make the features and the model of a small export; params that differ from `small_params`."""
    return Pipeline(dirty_export(), small_params(evaluate__refit_weeks=8, **overrides))


@functools.cache
def backtest_predictions() -> pd.DataFrame:
    """Run the backtest of `backtest_export`."""
    pipeline = backtest_export()
    return backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params, hubspot())
