from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.attribute_kinds import Date
from conversion.data.timeline import (
    WEEK,
    as_of_view,
    cutoff_weeks,
    known_at,
    labels,
    mature_weeks,
    on_mondays,
    prospects_at,
    week_number,
)
from conversion.features.snapshots import negative_weights
from tests.contract_files import hubspot, projects

AS_OF = pd.Timestamp("2020-02-24")
HORIZON = pd.Timedelta(days=30)


def days(*offsets: int | None) -> pd.Series:
    """Give days around `AS_OF`; None is a company that did not convert."""
    dates = [pd.NaT if offset is None else AS_OF + pd.Timedelta(days=offset) for offset in offsets]
    return pd.Series(dates, dtype="datetime64[us]")


def closed(closedate: pd.Series, valid: list[bool] | None = None) -> pd.DataFrame:
    flags = [True] * len(closedate) if valid is None else valid
    return pd.DataFrame({"CLOSEDATE": closedate, "conversion_valid": flags})


def label_of(closedate: pd.Series, valid: list[bool] | None = None) -> list[float]:
    companies = closed(closedate, valid)
    label: list[float] = labels(companies, pd.DatetimeIndex([AS_OF]), HORIZON, hubspot())[:, 0].tolist()
    return label


def accounts(*rows: tuple[int | None, int | None, int | None]) -> pd.DataFrame:
    """Give accounts by the days around `AS_OF` of their sign-up, first payment and end."""
    created, paid_since, cancelled = (days(*column) for column in zip(*rows, strict=True))
    table = pd.DataFrame({"created": created, "paid_since": paid_since, "cancelled": cancelled})
    return table.assign(arr=100.0, conversion_valid=True)


def test_a_usage_week_is_known_when_it_is_over() -> None:
    assert known_at(days(-14, -7, -6, 0, 7), AS_OF).tolist() == [True, True, False, False, False]


def test_prospects_have_not_converted_before() -> None:
    companies = closed(days(None, -30, -1, 0, 1))
    assert prospects_at(companies, AS_OF, hubspot()).tolist() == [True, False, False, True, True]


# Sign-up, first payment, end; whether the account is a prospect, and its label.
STATES = [
    ((None, None, None), True, 0),
    ((-1, None, None), True, 0),
    ((0, None, None), False, np.nan),
    ((5, 20, None), False, np.nan),
    ((-90, -30, None), False, np.nan),
    ((-90, -30, -2), True, 0),
    # What starts on the day after an end renews, and on Monday 00:00 of that day nobody knows.
    ((-90, -30, -1), False, np.nan),
    ((-90, -30, 0), False, np.nan),
    ((-90, -2, -2), True, 0),
    ((-90, -1, -1), False, np.nan),
    ((-90, 0, None), True, 1),
    ((-90, 29, 40), True, 1),
    ((-90, 3, 5), True, 1),
    ((-90, 30, None), True, 0),
    ((None, 29, None), True, 1),
    ((0, -30, -10), False, np.nan),
]


@pytest.mark.parametrize(("dates", "prospect", "label"), STATES)
def test_an_account_is_a_prospect_from_its_sign_up_and_again_from_its_end(
    dates: tuple[int | None, int | None, int | None], prospect: bool, label: float
) -> None:
    table = accounts(dates)
    assert prospects_at(table, AS_OF, projects()).tolist() == [prospect]
    found = labels(table, pd.DatetimeIndex([AS_OF]), HORIZON, projects())
    np.testing.assert_array_equal(found, [[label]])


def test_labels_of_one_account_over_its_life() -> None:
    weeks = pd.date_range(AS_OF, periods=12, freq="7D")
    label = labels(accounts((10, 50, 64)), weeks, HORIZON, projects())
    expected = [np.nan, np.nan, 0, 1, 1, 1, 1, 1, np.nan, np.nan, 0, 0]
    np.testing.assert_array_equal(label, [expected])


def test_companies_keep_their_index() -> None:
    table = accounts((0, None, None), (-1, None, None)).set_axis([7, 3])
    pd.testing.assert_series_equal(prospects_at(table, AS_OF, projects()), pd.Series([False, True], [7, 3]))


def test_labels_to_the_day() -> None:
    label = label_of(days(None, -1, 0, 1, 29, 30, 31))
    np.testing.assert_array_equal(label, [0, np.nan, 1, 1, 1, 0, 0])


def test_a_quarantined_conversion_leaves_only_its_own_horizon_open() -> None:
    label = label_of(days(-1, 0, 29, 30, 400), [False] * 5)
    np.testing.assert_array_equal(label, [np.nan, np.nan, np.nan, 0, 0])


def test_labels_of_one_company_over_weeks() -> None:
    weeks = pd.date_range(AS_OF, periods=7, freq="7D")
    label = labels(closed(days(32)), weeks, HORIZON, hubspot())
    np.testing.assert_array_equal(label, [[0, 1, 1, 1, 1, np.nan, np.nan]])


@given(st.integers(-400, 400) | st.none(), st.integers(1, 365), st.booleans())
def test_labels_follow_their_definition(offset: int | None, horizon: int, valid: bool) -> None:
    companies, weeks = closed(days(offset), [valid]), pd.DatetimeIndex([AS_OF])
    label = labels(companies, weeks, pd.Timedelta(days=horizon), hubspot())[0, 0]
    if offset is None or offset >= horizon:
        assert label == 0
    elif offset < 0 or not valid:
        assert np.isnan(label)
    else:
        assert label == 1


def test_later_conversions_do_not_exist_yet() -> None:
    companies = pd.DataFrame({"id": [1, 2, 3], "CLOSEDATE": days(-1, 0, None), "MRR": [10.0, 20.0, np.nan]})
    seen = as_of_view(companies, AS_OF, hubspot())
    np.testing.assert_array_equal(seen["MRR"], [10.0, np.nan, np.nan])
    assert seen["CLOSEDATE"].notna().tolist() == [True, False, False]
    assert companies["CLOSEDATE"].notna().sum() == 2, "the input is left as it was"


def test_later_sign_ups_conversions_and_ends_do_not_exist_yet() -> None:
    rows = [(-90, -30, -1), (-90, -30, 0), (-90, 0, 5), (-1, None, None), (0, None, None), (None, 1, None)]
    table = accounts(*rows)
    seen = as_of_view(table, AS_OF, projects())
    assert seen.index.tolist() == [0, 1, 2, 3, 5]
    assert seen["paid_since"].notna().tolist() == [True, True, False, False, False]
    assert seen["arr"].notna().tolist() == [True, True, False, False, False]
    assert seen["cancelled"].notna().tolist() == [True, False, False, False, False]
    pd.testing.assert_frame_equal(table, accounts(*rows))


def test_later_days_of_attributes_do_not_exist_yet() -> None:
    companies = projects().companies
    attributes = companies.attributes | {"invoiced": Date(kind="date")}
    contract = projects().model_copy(
        update={"companies": companies.model_copy(update={"attributes": attributes})}
    )
    table = accounts(*[(-90, None, None)] * 4).assign(invoiced=days(-1, 0, 1, None))
    seen = as_of_view(table, AS_OF, contract)
    assert seen["invoiced"].notna().tolist() == [True, False, False, False]


offsets = st.integers(-60, 60) | st.none()


@given(rows=st.lists(st.tuples(offsets, offsets, offsets), min_size=1), back=st.integers(0, 60))
def test_a_view_of_a_view_is_the_earlier_view(
    rows: list[tuple[int | None, int | None, int | None]], back: int
) -> None:
    """And in it are exactly the prospects that the whole table has at that time."""
    table, then = accounts(*rows), AS_OF - pd.Timedelta(days=back)
    view = as_of_view(table, then, projects())
    pd.testing.assert_frame_equal(as_of_view(as_of_view(table, AS_OF, projects()), then, projects()), view)
    prospects = prospects_at(table, then, projects())
    pd.testing.assert_series_equal(prospects_at(view, then, projects()), prospects[view.index])
    assert not prospects.drop(view.index).any()


def test_without_a_value_there_is_none_to_hide() -> None:
    companies = projects().companies.model_copy(update={"value": None, "ended": None, "signed_up": None})
    contract = projects().model_copy(update={"companies": companies})
    table = pd.DataFrame({"paid_since": days(-1, 0, None)})
    assert as_of_view(table, AS_OF, contract)["paid_since"].notna().tolist() == [True, False, False]


def test_a_week_that_starts_on_sunday_moves_to_the_next_monday() -> None:
    usage = pd.DataFrame({"id": ["a", "b"], "week": pd.to_datetime(["2020-02-16", "2020-02-23"])})
    sundays = projects().usage.model_copy(update={"week_starts": "sunday"})
    moved = on_mondays(usage, projects().model_copy(update={"usage": sundays}))
    assert moved["week"].dt.strftime("%Y-%m-%d").tolist() == ["2020-02-17", "2020-02-24"]
    assert known_at(moved["week"], AS_OF).tolist() == [True, False]
    assert on_mondays(usage, projects()) is usage


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
