import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.stats.distinct_counts import DistinctCounts

rows = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30)


@given(parts=st.lists(rows, min_size=1, max_size=6), least=st.integers(0, 20))
def test_counts_do_not_depend_on_how_the_rows_come(parts: list[list[tuple[int, bool]]], least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversion.stats.distinct_counts._LEAST", least)
        counts = DistinctCounts()
        for part in parts:
            values = np.array([value for value, _ in part], dtype=np.float64)
            counts.add(values, np.array([each for _, each in part], dtype=np.bool_))
            counts.result()
    distinct, number, positives = counts.result()
    all_rows = [row for part in parts for row in part]
    assert distinct.tolist() == sorted({value for value, _ in all_rows})
    for value, rows_of, positive in zip(distinct, number, positives, strict=True):
        same = [each for each_value, each in all_rows if each_value == value]
        assert (rows_of, positive) == (len(same), sum(same))


def test_without_positives() -> None:
    counts = DistinctCounts()
    counts.add(np.array([0.5, 0.5]))
    assert [each.tolist() for each in counts.result()] == [[0.5], [2], [0]]
