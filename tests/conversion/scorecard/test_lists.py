"""Intervals over all lists: of parts in which some converted, and in which none or all did."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from conversion.scorecard.intervals import difference_interval, share_interval
from conversion.scorecard.lists import Sums, sums_of

EXPECTED = 0.25
SAMPLES = 200


def rows(companies: int, converted: int, lists: int = 1) -> pd.DataFrame:
    """Return the rows of as many companies on each of so many lists; the first of them converted."""
    part = pd.DataFrame({"id": range(companies), "probability": EXPECTED})
    part["label"] = (part["id"] < converted).astype("int64")
    return pd.concat([part] * lists, ignore_index=True)


def sums(**parts: pd.DataFrame) -> Sums:
    return sums_of(parts, SAMPLES, seed=1)


@pytest.mark.parametrize("converted", [0, 20])
def test_where_none_or_all_converted_the_interval_is_that_of_a_share_of_as_many_companies(
    converted: int,
) -> None:
    found = sums(part=rows(20, converted, lists=3))
    score = share_interval(converted / 20, 20)
    assert found.rate("part") == pytest.approx(score)
    assert found.observed_over_expected("part") == pytest.approx([each / EXPECTED for each in score])
    assert score.high - score.low > 0.1


def test_where_some_converted_the_interval_is_that_of_the_samples() -> None:
    rate = sums(part=rows(200, 50)).rate("part")
    assert rate.value == 0.25
    assert rate[1:] == pytest.approx(share_interval(0.25, 200)[1:], abs=0.02)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (5, 0), (20, 5)])
def test_a_difference_from_a_part_without_spread_has_the_interval_of_shares(first: int, second: int) -> None:
    found = sums(first=rows(20, first), second=rows(20, second))
    expected = difference_interval(found.rate("first"), found.rate("second"))
    assert found.difference("first", "second") == pytest.approx(expected)
    assert expected.low < expected.value or expected.value == -1
    assert expected.low < expected.high


def test_a_difference_of_parts_with_the_same_companies_is_that_of_the_samples() -> None:
    """Both have the same conversions in each sample; two shares that are independent would not."""
    found = sums(first=rows(20, 5), second=rows(20, 5)).difference("first", "second")
    assert found == (0.0, 0.0, 0.0)


def test_a_part_without_rows_has_no_rate() -> None:
    assert sums(part=rows(3, 1), none=rows(0, 0)).rate("none") == pytest.approx([math.nan] * 3, nan_ok=True)
