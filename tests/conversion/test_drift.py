import numpy as np
import pytest

from conversion.drift import population_stability_index


class TestPopulationStabilityIndex:
    def test_by_hand(self) -> None:
        # Shares .5 and .5 became .25 and .75.
        index = population_stability_index([0, 0, 1, 1], [0, 1, 1, 1])
        assert index == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5))

    def test_nothing_moved(self) -> None:
        values = np.random.default_rng(0).lognormal(size=1000)
        assert population_stability_index(values, values[::-1]) == pytest.approx(0, abs=1e-9)

    def test_weights_are_so_many_rows(self) -> None:
        rng = np.random.default_rng(0)
        old, new, weight = rng.normal(size=300), rng.normal(0.5, 1, 300), rng.integers(0, 4, 300)
        weighted = population_stability_index(old, new, weight)
        assert weighted == pytest.approx(population_stability_index(np.repeat(old, weight), new))
        assert weighted > 0.1

    def test_missing_is_a_bin(self) -> None:
        index = population_stability_index([1, np.nan], [np.nan, np.nan])
        assert index == pytest.approx(0.5 * np.log(2) + (1e-4 - 0.5) * np.log(1e-4 / 0.5), rel=1e-6)
        assert population_stability_index([np.nan], [np.nan]) == 0

    @pytest.mark.parametrize("rare", [0, 1])
    def test_a_rare_flag_that_becomes_common_is_seen(self, rare: int) -> None:
        old = np.array([rare] * 10 + [1 - rare] * 990)
        new = np.array([rare] * 300 + [1 - rare] * 700)
        assert population_stability_index(old, new) > 0.25

    def test_an_empty_side_is_undefined(self) -> None:
        assert np.isnan(population_stability_index([], [1.0]))
        assert np.isnan(population_stability_index([1.0], []))
