from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.data.timeline import (
    WEEK,
    as_of_view,
    cutoff_weeks,
    known_at,
    labels,
    mature_weeks,
    prospects_at,
    week_number,
)
from conversion.features.snapshots import negative_weights

AS_OF = pd.Timestamp("2020-02-24")
HORIZON = pd.Timedelta(days=30)


def days(*offsets: int | None) -> pd.Series:
    """Give days around `AS_OF`; None is a company that did not convert."""
    dates = [pd.NaT if offset is None else AS_OF + pd.Timedelta(days=offset) for offset in offsets]
    return pd.Series(dates, dtype="datetime64[us]")


def label_of(closedate: pd.Series, valid: list[bool] | None = None) -> list[float]:
    flags = pd.Series([True] * len(closedate) if valid is None else valid)
    return labels(closedate, flags, pd.DatetimeIndex([AS_OF]), HORIZON)[:, 0].tolist()


def test_a_usage_week_is_known_when_it_is_over() -> None:
    assert known_at(days(-14, -7, -6, 0, 7), AS_OF).tolist() == [True, True, False, False, False]


def test_prospects_have_not_converted_before() -> None:
    assert prospects_at(days(None, -30, -1, 0, 1), AS_OF).tolist() == [True, False, False, True, True]


def test_labels_to_the_day() -> None:
    label = label_of(days(None, -1, 0, 1, 29, 30, 31))
    np.testing.assert_array_equal(label, [0, np.nan, 1, 1, 1, 0, 0])


def test_a_quarantined_conversion_leaves_only_its_own_horizon_open() -> None:
    label = label_of(days(-1, 0, 29, 30, 400), [False] * 5)
    np.testing.assert_array_equal(label, [np.nan, np.nan, np.nan, 0, 0])


def test_labels_of_one_company_over_weeks() -> None:
    weeks = pd.date_range(AS_OF, periods=7, freq="7D")
    label = labels(days(32), pd.Series([True]), weeks, HORIZON)
    np.testing.assert_array_equal(label, [[0, 1, 1, 1, 1, np.nan, np.nan]])


@given(st.integers(-400, 400) | st.none(), st.integers(1, 365), st.booleans())
def test_labels_follow_their_definition(offset: int | None, horizon: int, valid: bool) -> None:
    label = labels(days(offset), pd.Series([valid]), pd.DatetimeIndex([AS_OF]), pd.Timedelta(days=horizon))[
        0, 0
    ]
    if offset is None or offset >= horizon:
        assert label == 0
    elif offset < 0 or not valid:
        assert np.isnan(label)
    else:
        assert label == 1


def test_later_conversions_do_not_exist_yet() -> None:
    companies = pd.DataFrame({"id": [1, 2, 3], "CLOSEDATE": days(-1, 0, None), "MRR": [10.0, 20.0, np.nan]})
    seen = as_of_view(companies, AS_OF)
    np.testing.assert_array_equal(seen["MRR"], [10.0, np.nan, np.nan])
    assert seen["CLOSEDATE"].notna().tolist() == [True, False, False]
    assert companies["CLOSEDATE"].notna().sum() == 2, "the input is left as it was"


@pytest.mark.parametrize(("day", "number"), [("1970-01-05", 0), ("1970-01-11", 0), ("1970-01-12", 1)])
def test_weeks_are_counted_from_the_first_monday(day: str, number: int) -> None:
    assert week_number(pd.DatetimeIndex([day])).tolist() == [number]


def test_weeks_before_the_first_monday_are_negative() -> None:
    assert week_number(pd.DatetimeIndex(["1970-01-04", "1969-12-29"])).tolist() == [-1, -1]


def test_mature_weeks_end_where_the_horizon_has_passed() -> None:
    first = AS_OF - 10 * WEEK
    for late in (28, 35, 30, 29, 31):
        weeks = mature_weeks(first, AS_OF, pd.Timedelta(days=late), 1)
        assert weeks[0] == first + WEEK
        assert weeks[-1] + pd.Timedelta(days=late) <= AS_OF < weeks[-1] + WEEK + pd.Timedelta(days=late)
        assert (np.diff(weeks) == WEEK).all()


def test_nothing_is_mature_in_a_short_export() -> None:
    assert mature_weeks(AS_OF - WEEK, AS_OF, HORIZON, 1).empty
    assert mature_weeks(AS_OF - 5 * WEEK, AS_OF, HORIZON, 1).empty
    assert len(mature_weeks(AS_OF - 6 * WEEK, AS_OF, HORIZON, 1)) == 1


@given(spacing=st.integers(1, 9), later=st.integers(1, 30), earlier=st.integers(0, 20))
def test_the_grid_of_weeks_does_not_shift(spacing: int, later: int, earlier: int) -> None:
    first = AS_OF - 40 * WEEK
    weeks = mature_weeks(first, AS_OF, HORIZON, spacing)
    moved = mature_weeks(first, AS_OF + later * WEEK, HORIZON, spacing)
    longer = mature_weeks(first - earlier * WEEK, AS_OF, HORIZON, spacing)
    assert moved[: len(weeks)].equals(weeks)
    assert longer[len(longer) - len(weeks) :].equals(weeks)
    assert ((np.diff(longer) / WEEK) == spacing).all()


def test_cutoffs_start_at_the_first_and_stay_mature() -> None:
    first = AS_OF - 12 * WEEK
    cutoffs = cutoff_weeks(first, AS_OF, HORIZON, 3)
    assert list(cutoffs) == [first, first + 3 * WEEK, first + 6 * WEEK]
    assert cutoff_weeks(AS_OF, AS_OF, HORIZON, 1).empty


def test_kept_negatives_stand_for_all() -> None:
    ids = np.arange(4000)
    weeks = pd.date_range(AS_OF, periods=10, freq="7D")
    seen = np.broadcast_to((ids % 2 == 0)[:, None], (4000, 10))
    weight = negative_weights(ids, weeks, seen, 0.25, 0.1, seed=3)
    assert set(np.unique(weight[seen])) == {np.float32(0), np.float32(4)}
    assert set(np.unique(weight[~seen])) == {np.float32(0), np.float32(10)}
    # Four standard errors of a sum of 20,000 draws.
    for rows, share in ((seen, 0.25), (~seen, 0.1)):
        assert abs(weight[rows].sum() / 20_000 - 1) < 4 * np.sqrt((1 - share) / share / 20_000)
    by_week = weight[seen].reshape(-1, 10).sum(axis=0) / 2000
    assert np.abs(by_week - 1).max() < 0.2


def test_keeping_all_weighs_one() -> None:
    weeks = pd.DatetimeIndex([AS_OF])
    assert (negative_weights(np.arange(50), weeks, np.ones((50, 1), bool), 1.0, 1.0, seed=0) == 1).all()


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(0, 5))
def test_weights_do_not_depend_on_other_rows(order: list[int], count: int, skipped: int) -> None:
    ids, weeks = np.arange(100, 112), pd.date_range(AS_OF, periods=8, freq="7D")
    seen = (np.arange(12)[:, None] + np.arange(8)[None, :]) % 3 == 0
    whole = negative_weights(ids, weeks, seen, 0.5, 0.3, seed=7)
    some = np.array(order[:count])
    part = negative_weights(ids[some], weeks[skipped:], seen[some][:, skipped:], 0.5, 0.3, seed=7)
    np.testing.assert_array_equal(part, whole[some][:, skipped:])


def test_another_seed_keeps_others() -> None:
    weeks, seen = pd.DatetimeIndex([AS_OF]), np.ones((500, 1), bool)
    first, second = (negative_weights(np.arange(500), weeks, seen, 0.5, 0.5, seed) for seed in (1, 2))
    assert (first != second).mean() > 0.3
