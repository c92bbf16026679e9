import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conversion.stats.bins import quantile_bins


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 12))
def test_equal_values_share_a_quantile_bin(values: list[int], bins: int) -> None:
    numbers = quantile_bins(values, bins)
    assert numbers.min() >= 0
    assert numbers.max() < bins
    order = np.argsort(values, kind="stable")
    assert (np.diff(numbers[order]) >= 0).all()
    assert len(set(zip(values, numbers.tolist(), strict=True))) == len(set(values))
