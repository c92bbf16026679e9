import numpy as np
import pytest
import sklearn.metrics as reference

from conversion.stats.losses import brier_score, log_loss
from tests.predictions import make_predictions


def test_by_hand() -> None:
    assert log_loss([1, 0], [0.5, 0.2]) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    assert brier_score([1, 0], [0.5, 0.2]) == pytest.approx((0.25 + 0.04) / 2)
    weighted = log_loss([1, 0], [0.5, 0.2], [3.0, 1.0])
    assert weighted == pytest.approx(-(3 * np.log(0.5) + np.log(0.8)) / 4)


def test_agree_with_scikit_learn() -> None:
    predictions = make_predictions()
    label, probability = predictions["label"], predictions["probability"].to_numpy().copy()
    probability[:2] = [0, 1]
    assert log_loss(label, probability) == pytest.approx(reference.log_loss(label, probability))
    assert brier_score(label, probability) == pytest.approx(reference.brier_score_loss(label, probability))
