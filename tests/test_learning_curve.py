from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import pytest

from benchmarks import learning_curve
from conversion.evaluation.predictions import ORACLE
from conversion.modelling.training import known_training
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import Pipeline, small_params


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(tiny_export(companies=300), small_params())


def test_parts_hold_whole_companies_and_grow_into_each_other(pipeline: Pipeline) -> None:
    drawn = {
        (share, seed): set(part["id"])
        for share, seed, part in learning_curve.parts(pipeline.train, [0.25, 0.5, 1.0], seeds=2)
    }
    assert list(drawn) == [(0.25, 0), (0.5, 0), (1.0, 0), (0.25, 1), (0.5, 1)], "all of them are drawn once"
    everyone = set(pipeline.train["id"])
    assert drawn[0.25, 0] < drawn[0.5, 0] < drawn[1.0, 0] == everyone
    assert drawn[0.25, 0] != drawn[0.25, 1]
    assert len(drawn[0.5, 1]) / len(everyone) == pytest.approx(0.5, abs=0.1)
    for share, _, part in learning_curve.parts(pipeline.train, [0.25], seeds=1):
        whole = pipeline.train[pipeline.train["id"].isin(part["id"])]
        pd.testing.assert_frame_equal(part, whole)
        assert share == 0.25


def test_the_truth_is_out_of_reach_and_chance_is_below(pipeline: Pipeline) -> None:
    first = pipeline.cutoffs[-4]
    tested = pipeline.backtest[pipeline.backtest["as_of"] >= first].dropna(subset="label")
    tested = tested.assign(**{ORACLE: np.where(tested["label"] == 1, 0.9, 0.01)})
    train = pipeline.train[known_training(pipeline.train, first, 30, None)]
    found = learning_curve.share_of_oracle(train, tested, pipeline.params, hubspot())
    assert set(found) == set(learning_curve.MEASURES)
    assert 0.1 < found["average_precision"] < 1
    assert 0 < found["log_loss_reduction"] < 1
    shuffled = train.assign(label=np.random.default_rng(0).permutation(train["label"]))
    chance = learning_curve.share_of_oracle(shuffled, tested, pipeline.params, hubspot())
    assert chance["average_precision"] < found["average_precision"]
    assert chance["log_loss_reduction"] < found["log_loss_reduction"]


def test_the_page_has_a_line_a_share_and_a_column_a_model() -> None:
    measured = pd.DataFrame(
        {
            "share": [0.5, 0.5, 1.0],
            "seed": [0, 1, 0],
            "converters": [40, 50, 90],
            "model": "xgboost",
            "average_precision": [0.5, 0.7, 0.8],
            "log_loss_reduction": [-0.1, 0.3, 0.9],
        }
    )
    arguments = argparse.Namespace(cutoffs=10, seeds=2, model_types=["xgboost"])
    text = learning_curve.page(measured, arguments)
    assert "| converters | share of companies | xgboost |" in text
    assert "| 45 | 0.5 | 0.60 (0.50 to 0.70) |" in text
    assert "| 90 | 1 | 0.80 |" in text
    assert "| 45 | 0.5 | 0.10 (-0.10 to 0.30) |" in text
