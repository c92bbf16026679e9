import numpy as np
import pytest

from conversion.modelling.threshold import Strategy, choose_threshold
from conversion.runtime.errors import UserError


class TestChooseThreshold:
    LABEL = (1, 0, 1, 0, 1, 0)
    PROBABILITY = (0.9, 0.8, 0.7, 0.4, 0.3, 0.1)

    @pytest.mark.parametrize(
        ("strategy", "value", "expected"),
        [
            ("fixed", 0.05, 0.05),
            ("f1", 0.5, 0.3),  # F1 by threshold: .5, .4, .667, .571, .75, .667
            ("precision", 0.6, 0.3),  # precision: 1, .5, .667, .5, .6, .5
            ("precision", 0.65, 0.7),
            ("precision", 0.99, 0.9),
            ("recall", 0.3, 0.9),
            ("recall", 0.5, 0.7),
            ("recall", 0.99, 0.3),
        ],
    )
    def test_by_hand(self, strategy: Strategy, value: float, expected: float) -> None:
        assert choose_threshold(self.LABEL, self.PROBABILITY, None, strategy, value) == expected

    def test_no_threshold_reaches_the_precision(self) -> None:
        # Precision: 0, .5, .333, .5: the best is .5, first reached at .8, still there at .2.
        threshold = choose_threshold([0, 1, 0, 1], [0.9, 0.8, 0.5, 0.2], None, "precision", 0.7)
        assert threshold == 0.2

    def test_equal_probabilities_are_decided_together(self) -> None:
        threshold = choose_threshold([1, 0, 0, 1], [0.5, 0.5, 0.5, 0.4], None, "precision", 0.45)
        assert threshold == 0.4

    def test_a_weight_is_so_many_rows(self) -> None:
        rng = np.random.default_rng(1)
        label, probability = rng.integers(0, 2, 60), rng.integers(1, 20, 60) / 20
        weight = rng.integers(0, 4, 60)
        cases: list[tuple[Strategy, float]] = [("f1", 0.5), ("precision", 0.55), ("recall", 0.4)]
        for strategy, value in cases:
            weighted = choose_threshold(label, probability, weight, strategy, value)
            repeated = choose_threshold(
                np.repeat(label, weight), np.repeat(probability, weight), None, strategy, value
            )
            assert weighted == repeated

    def test_needs_a_conversion(self) -> None:
        with pytest.raises(UserError, match=r"train\.threshold: f1 needs conversions"):
            choose_threshold([0, 0], [0.2, 0.1], None, "f1", 0.5)
        assert choose_threshold([0, 0], [0.2, 0.1], None, "fixed", 0.5) == 0.5
