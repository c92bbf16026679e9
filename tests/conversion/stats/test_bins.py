import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conversion.stats.bins import quantile_edges
from conversion.stats.distinct_counts import DistinctCounts


def edges_of(values: list[int], bins: int) -> np.ndarray:
    counts = DistinctCounts()
    counts.add(np.array(values, dtype=np.float64))
    return quantile_edges(counts.result(), bins)


def bins_of(values: list[int], bins: int) -> np.ndarray:
    return np.searchsorted(edges_of(values, bins), values)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 12))
def test_equal_values_share_a_quantile_bin_and_none_is_empty(values: list[int], bins: int) -> None:
    numbers = bins_of(values, bins)
    assert sorted(set(numbers.tolist())) == list(range(len(edges_of(values, bins)) + 1))
    assert numbers.max() < bins
    order = np.argsort(values, kind="stable")
    assert (np.diff(numbers[order]) >= 0).all()
    assert len(set(zip(values, numbers.tolist(), strict=True))) == len(set(values))


@given(st.sets(st.integers(0, 99), min_size=1, max_size=12), st.integers(1, 3))
def test_few_values_are_a_bin_each(values: set[int], times: int) -> None:
    numbers = bins_of(sorted(values) * times, max(len(values), 2))
    assert numbers.tolist() == [*range(len(values))] * times


@given(st.permutations(range(60)), st.integers(2, 12))
def test_without_ties_the_bins_are_about_equally_large(values: list[int], bins: int) -> None:
    sizes = np.bincount(bins_of(values, bins))
    assert len(sizes) == bins
    assert sizes.max() - sizes.min() <= 1
