import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference

from conversion.evaluation.bootstrap import resample
from conversion.evaluation.probability_metrics import probability_measures
from conversion.stats.losses import log_loss
from tests.predictions import make_predictions, one_week


def test_expected_calibration_error_by_hand() -> None:
    # Bins {.1, .1} and {.9, .9}: |.1 - 0| and |.9 - .5|, equally heavy.
    measures = probability_measures(resample(one_week([0, 0, 1, 0], [0.1, 0.1, 0.9, 0.9]), 5, 1))
    assert measures["ece"]["value"] == pytest.approx((0.1 + 0.4) / 2)


class TestProbabilityMeasures:
    def test_the_whole_table(self) -> None:
        predictions = make_predictions()
        result = probability_measures(resample(predictions, 100, 1))
        label, probability = predictions["label"], predictions["probability"]
        base = np.full(len(label), 0.07)
        expected = {
            "log_loss": log_loss(label, probability),
            "brier_score": reference.brier_score_loss(label, probability),
            "ece": sum(
                len(rows) / len(label) * abs(probability[rows].mean() - label[rows].mean())
                for rows in label.groupby(pd.qcut(probability, 10, labels=False)).groups.values()
            ),
            "expected_over_observed": probability.sum() / label.sum(),
            "base_rate_log_loss": log_loss(label, base),
            "base_rate_brier_score": reference.brier_score_loss(label, base),
            "log_loss_ratio": log_loss(label, probability) / log_loss(label, base),
        }
        assert set(result) == set(expected)
        for name, value in expected.items():
            assert result[name]["value"] == pytest.approx(value, abs=1e-6)
            assert result[name]["low"] < result[name]["high"]
        json.dumps(result, allow_nan=False)

    def test_without_a_base_rate_its_measures_are_null(self) -> None:
        result = probability_measures(resample(make_predictions().drop(columns="base_rate"), 5, 1))
        assert result["log_loss_ratio"] == {"value": None, "low": None, "high": None}
        assert result["log_loss"]["value"] is not None

    def test_without_conversions_the_ratio_to_the_observed_is_null(self) -> None:
        result = probability_measures(resample(one_week([0, 0], [0.2, 0.1]), 5, 1))
        assert result["expected_over_observed"]["value"] is None
