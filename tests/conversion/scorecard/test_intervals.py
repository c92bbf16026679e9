from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.scorecard.intervals import (
    difference_interval,
    effective_number,
    percentile_interval,
    resampled_sums,
    share_interval,
)


def test_no_conversion_of_ten_leaves_room_above() -> None:
    found = share_interval(0.0, 10)
    assert found.low == 0.0
    assert found.high == pytest.approx(0.2775, abs=1e-4)  # 1.96**2 / (10 + 1.96**2)


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval(companies: int, data: st.DataObject) -> None:
    share = data.draw(st.integers(0, companies)) / companies
    found = share_interval(share, companies)
    assert 0.0 <= found.low <= share + 1e-12
    assert share - 1e-12 <= found.high <= 1.0


def test_more_companies_narrow_the_interval() -> None:
    few, many = share_interval(0.3, 20), share_interval(0.3, 2000)
    assert many.high - many.low < (few.high - few.low) / 5


def test_nothing_is_known_of_no_company() -> None:
    assert all(np.isnan(share_interval(0.0, 0)))


def test_difference_of_equal_groups_is_zero_and_lies_within() -> None:
    group = share_interval(0.2, 50)
    found = difference_interval(group, group)
    assert found.value == 0.0
    assert found.low == pytest.approx(-found.high)


def test_unequal_weights_count_as_fewer_companies() -> None:
    assert effective_number([1.0] * 10) == pytest.approx(10)
    assert effective_number([9.0, *[1.0] * 9]) == pytest.approx(18**2 / 90)


def test_samples_draw_companies_with_all_they_have() -> None:
    sums = resampled_sums(np.array([[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]]), 500, seed=1)
    assert (sums[:, 1] == 2 * sums[:, 0]).all()
    assert sums[:, 0].mean() == pytest.approx(4.0, abs=0.3)
    assert (sums == resampled_sums(np.array([[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]]), 500, seed=1)).all()


def test_samples_where_a_ratio_is_not_defined_do_not_count() -> None:
    found = percentile_interval(0.5, np.array([np.nan, 0.4, 0.6]))
    assert found.low == pytest.approx(0.405)
    assert found.high == pytest.approx(0.595)
