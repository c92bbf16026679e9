import numpy as np
import pytest
import sklearn.metrics as reference

from conversion.stats.losses import SMALLEST_PROBABILITY, log_loss, log_losses, weighted_log_loss
from tests.predictions import make_predictions


def test_by_hand() -> None:
    assert log_loss([1, 0], [0.5, 0.2]) == pytest.approx(-(np.log(0.5) + np.log(0.8)) / 2)
    weighted = log_loss([1, 0], [0.5, 0.2], [3.0, 1.0])
    assert weighted == pytest.approx(-(3 * np.log(0.5) + np.log(0.8)) / 4)


def test_agrees_with_scikit_learn_on_probabilities_away_from_0_and_1() -> None:
    predictions = make_predictions()
    label, probability = predictions["label"], predictions["probability"].to_numpy().copy()
    probability[:2] = [SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY]
    assert log_loss(label, probability) == pytest.approx(reference.log_loss(label, probability), rel=1e-12)


def test_0_and_1_count_as_the_least_probability_that_is_written() -> None:
    label, certain = np.array([1, 0, 1, 0]), np.array([0.0, 1.0, 1.0, 0.0])
    losses = log_losses(label, certain)
    wrong, right = -np.log(1e-9), -np.log1p(-1e-9)
    assert losses == pytest.approx([wrong, wrong, right, right], rel=1e-7)
    inside = np.clip(certain, 1e-9, 1 - 1e-9)
    assert log_loss(label, certain) == pytest.approx(reference.log_loss(label, inside), rel=1e-9)


def test_the_weighted_sum_is_the_mean_times_the_weights() -> None:
    predictions = make_predictions()
    label, probability = predictions["label"].to_numpy(), predictions["probability"].to_numpy()
    weight = np.random.default_rng(0).uniform(0, 3, len(label))
    total = weighted_log_loss(probability, label, weight)
    assert total == pytest.approx(log_loss(label, probability, weight) * weight.sum())
    assert total == pytest.approx(
        reference.log_loss(label, probability, sample_weight=weight, normalize=False)
    )
