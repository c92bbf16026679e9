import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.stats.resampling import run_weights


@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
def test_run_weights_are_sums_of_runs(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conversion.stats.resampling._ROWS_AT_ONCE", rows_at_once)
    weights = np.array([[1, 10], [2, 20], [3, 30], [255, 0], [5, 50]], dtype=np.uint8)
    companies = np.array([4, 0, 2, 3])
    assert run_weights(weights, companies, np.array([0, 1, 3])).tolist() == [[5, 50], [4, 40], [255, 0]]
    assert run_weights(weights, companies, np.array([0])).tolist() == [[264, 90]]
    assert run_weights(weights, companies[:0], np.array([0])).tolist() == [[0, 0]]


@given(st.integers(1, 60), st.lists(st.integers(1, 59)), st.integers(0, 99))
def test_run_weights_of_any_runs(rows: int, cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 256, (rows + 5, 4), dtype=np.uint8)
    companies = rng.permutation(rows + 5)[:rows]
    starts = np.unique([0, *(cut for cut in cuts if cut < rows)])
    expected = np.add.reduceat(weights[companies].astype(np.float64), starts)
    assert (run_weights(weights, companies, starts) == expected).all()
