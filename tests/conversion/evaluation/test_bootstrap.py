import numpy as np
import pytest

from conversion.evaluation.bootstrap import Draws, Measured, company_weights, difference, interval
from conversion.stats.resampling import percentiles


def drawn(companies: int, samples: int, seed: int) -> np.ndarray:
    return np.concatenate(list(company_weights(companies, samples, seed)), axis=1)


class TestCompanyWeights:
    def test_a_sample_has_as_many_companies_as_there_are(self) -> None:
        weights = drawn(50, 30, seed=1)
        assert weights.shape == (50, 30)
        assert weights.sum(axis=0).tolist() == [50] * 30
        assert np.array_equal(weights, np.round(weights))

    def test_memory_does_not_decide_what_is_drawn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        at_once = drawn(50, 30, seed=1)
        monkeypatch.setattr("conversion.stats.resampling._CHUNK_WEIGHTS", 400)
        assert [part.shape[1] for part in company_weights(50, 30, seed=1)] == [8, 8, 8, 6]
        assert np.array_equal(drawn(50, 30, seed=1), at_once)
        assert not np.array_equal(drawn(50, 30, seed=2), at_once)


def test_draws_are_everyone_and_then_the_samples_however_often_they_are_taken() -> None:
    often = np.array([[300.0], [0.0], [2.0]], dtype=np.float32)
    draws = Draws(3, [often, np.ones((3, 2), dtype=np.float32)])
    for _ in range(2):
        places, weights = zip(*draws.blocks(), strict=True)
        assert places == (slice(0, 1), slice(1, 2), slice(2, 4))
        assert all(each.dtype == np.float32 for each in weights)
        assert np.concatenate(weights, axis=1).tolist() == [[1, 300, 1, 1], [1, 0, 1, 1], [1, 2, 1, 1]]
    assert draws.samples == 4


class TestIntervals:
    def test_by_hand(self) -> None:
        # 0 to 40 with what is undefined among them: 2.5 % of the way is 1, 97.5 % is 39.
        sampled = np.array([*range(41), np.nan, np.nan], dtype=np.float64)
        assert percentiles(sampled) == (1, 39)
        assert interval(20.1234567, sampled) == {"value": 20.123457, "low": 1, "high": 39}

    def test_undefined_in_every_sample_is_null(self) -> None:
        assert interval(np.nan, np.full(3, np.nan)) == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(("less_is_better", "better"), [(False, 0.625), (True, 0.375)])
def test_difference_by_hand(less_is_better: bool, better: float) -> None:
    # Sample by sample 1, 1, 0, -1 and undefined: two are better, one is even, one is worse.
    first = Measured(0.5, np.array([0.0, 1.0, 2.0, 3.0, np.nan]))
    second = Measured(0.75, np.array([1.0, 2.0, 2.0, 2.0, 4.0]))
    assert difference(first, second, less_is_better=less_is_better) == {
        "difference": 0.25,
        "low": -0.925,
        "high": 1,
        "probability_better": better,
    }
