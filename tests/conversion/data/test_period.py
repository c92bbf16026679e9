from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.params import Clean
from conversion.data.period import (
    EarlyEnd,
    ExportDays,
    Period,
    describe_first,
    export_days,
    find_period,
    planned_days,
    strays,
)
from conversion.data.timeline import WEEK
from conversion.data.usage_weeks import usage_weeks
from conversion.runtime.errors import ExportError
from conversion.simulation.sample import simulate
from tests.contract_files import hubspot, projects
from tests.memberships import memberships
from tests.pipeline import small_params

AS_OF = pd.Timestamp("2020-02-24")
NEVER = pd.Series([pd.NaT], dtype="datetime64[us]")


def settings(**changed: Any) -> Clean:
    return small_params(**{f"clean__{name}": value for name, value in changed.items()}).clean


def usage_of(rows: dict[int, int], actions: int = 8) -> pd.DataFrame:
    """Give so many usage rows of each week; week 0 is the one that ends at `AS_OF`."""
    weeks = np.repeat(list(rows), list(rows.values()))
    ids = np.concatenate([np.arange(count) for count in rows.values()])
    usage = pd.DataFrame({"id": ids, "WHEN_TIMESTAMP": AS_OF - WEEK + weeks * WEEK})
    return usage.assign(**dict.fromkeys(hubspot().counts, 0)).assign(ACTIONS_EMAIL=actions)


def steady(weeks: int = 20, rows: int = 100) -> dict[int, int]:
    return dict.fromkeys(range(1 - weeks, 1), rows)


def period_of(usage: pd.DataFrame, as_of: pd.Timestamp | None = None, **changed: Any) -> Period:
    return find_period(usage, NEVER, as_of, settings(**changed), hubspot())


def in_last_week(usage: pd.DataFrame, actions: int) -> pd.DataFrame:
    last = usage["WHEN_TIMESTAMP"] == AS_OF - WEEK
    return usage.assign(ACTIONS_EMAIL=usage["ACTIONS_EMAIL"].mask(last, actions))


# A given moment


def test_as_of_is_the_end_of_the_last_week_unless_given() -> None:
    usage = usage_of({-5: 1, 0: 1})
    assert period_of(usage) == Period(AS_OF - 6 * WEEK, AS_OF - WEEK, AS_OF)
    for given_as_of in (AS_OF, AS_OF - 4 * WEEK):
        assert period_of(usage, given_as_of).as_of == given_as_of


@pytest.mark.parametrize("weeks", [-6, 1, 200])
def test_as_of_outside_of_the_export_is_refused(weeks: int) -> None:
    as_of = AS_OF + weeks * WEEK
    with pytest.raises(ExportError) as error:
        period_of(usage_of({-5: 1, 0: 1}), as_of)
    assert str(error.value) == (
        f"data.as_of: given {as_of:%Y-%m-%d}, but the export is known from 2020-01-20 to 2020-02-24; "
        "choose a Monday between them, or null for the last complete week"
    )


def test_the_weeks_of_strays_are_no_moments_of_a_list() -> None:
    with pytest.raises(ExportError, match="from 2019-10-14 to 2020-02-24; choose"):
        period_of(usage_of(steady() | {52: 1}), AS_OF + 53 * WEEK)


# Strays


@pytest.mark.parametrize("weeks", [-1043, -53, 52, 4174])
def test_a_row_far_from_the_others_moves_nothing(weeks: int) -> None:
    usage = usage_of(steady() | {weeks: 1})
    period = period_of(usage)
    assert period == Period(AS_OF - 20 * WEEK, AS_OF - WEEK, AS_OF)
    assert usage.index[strays(usage["WHEN_TIMESTAMP"], period)].tolist() == [len(usage) - 1]


@pytest.mark.parametrize("weeks", [1, 2, 9, 13])
def test_a_last_week_with_hardly_any_rows_is_no_week_of_the_export(weeks: int) -> None:
    usage = usage_of(steady() | {weeks: 9})
    latest = AS_OF + weeks * WEEK
    assert period_of(usage) == Period(AS_OF - 20 * WEEK, AS_OF - WEEK, AS_OF, latest=latest)
    assert period_of(usage, stray_week=0.09, partial_week=0.0).as_of == latest
    assert period_of(usage, latest).as_of == latest


def test_several_such_weeks_are_left_out_too() -> None:
    assert period_of(usage_of(steady() | {1: 2, 2: 1})).as_of == AS_OF
    assert period_of(usage_of(steady() | dict.fromkeys(range(2, 30, 3), 1))).as_of == AS_OF


@pytest.mark.parametrize(("rows", "first"), [(9, -19), (10, -25)])
def test_a_first_week_with_hardly_any_rows_is_no_week_of_the_export(rows: int, first: int) -> None:
    assert period_of(usage_of({-25: rows} | steady())).first == AS_OF - WEEK + first * WEEK


def test_a_slow_start_is_no_stray() -> None:
    growth = {week - 40: int(1.3**week) for week in range(21)} | steady(rows=200)
    assert period_of(usage_of(growth)).first == AS_OF - 41 * WEEK


def test_few_rows_are_usual_in_a_small_export() -> None:
    usage = usage_of({-30: 1, -24: 1, -12: 2, -7: 1, -1: 3, 0: 1})
    assert period_of(usage) == Period(AS_OF - 31 * WEEK, AS_OF - WEEK, AS_OF)


def test_a_holiday_is_no_gap() -> None:
    usage = usage_of(steady(8) | {-20: 100, -21: 100})
    assert period_of(usage).first == AS_OF - 22 * WEEK
    assert period_of(usage, max_gap_weeks=12, max_stray_rows=0.5).first == AS_OF - 8 * WEEK


def test_many_rows_far_from_the_others_are_refused_by_name() -> None:
    usage = usage_of(steady() | {-53: 100, -54: 6})
    with pytest.raises(ExportError) as error:
        period_of(usage)
    assert str(error.value) == (
        "usage_actions: WHEN_TIMESTAMP: expected at most clean.max_stray_rows (0.05) of the rows far from "
        "the weeks of the others, 2019-10-07 to 2020-02-17; found 106 of 2106, first id 0 at 2019-02-04; "
        "correct their dates or leave them out; if the gap is real, raise clean.max_gap_weeks (13)"
    )
    assert period_of(usage, max_gap_weeks=40, stray_week=0.05).first == AS_OF - 55 * WEEK
    assert period_of(usage, max_stray_rows=0.06).first == AS_OF - 20 * WEEK


def test_cost_follows_the_rows_not_the_calendar() -> None:
    """Usage that a row here and there stretches over decades is refused, before anything is computed."""
    usage = usage_of(dict.fromkeys(range(-1100, -20, 10), 50) | steady())
    with pytest.raises(ExportError) as error:
        period_of(usage)
    assert str(error.value) == (
        "usage_actions: WHEN_TIMESTAMP: the rows span 1101 weeks, from id 0 at 1999-01-18 to id 0 at "
        "2020-02-17; expected at most clean.max_weeks (1040); correct the dates, leave old rows out, or "
        "raise it"
    )
    assert period_of(usage, max_weeks=1101).first == AS_OF - 1101 * WEEK


def test_the_first_row_is_named_by_week_and_then_id() -> None:
    usage = usage_of({-1: 2, -3: 2}).iloc[[1, 0, 3, 2]]
    assert describe_first(usage_weeks(usage, hubspot())) == "id 0 at 2020-01-27"


# The last complete week


@pytest.mark.parametrize(("actions", "whole"), [(8, True), (7, True), (6, False), (4, False), (0, False)])
def test_a_week_below_the_usual_volume_is_not_complete(actions: int, whole: bool) -> None:
    """100 rows of 8 actions each are a volume of 800, and 80 % of it is 640."""
    period = period_of(in_last_week(usage_of(steady()), actions))
    assert period.as_of == (AS_OF if whole else AS_OF - WEEK)
    assert period.last == AS_OF - WEEK
    if not whole:
        assert period.incomplete == pytest.approx((100 * actions, 800))


def test_fewer_companies_are_less_volume_too() -> None:
    assert period_of(usage_of(steady() | {0: 81})).incomplete is None
    assert period_of(usage_of(steady() | {0: 79})).incomplete == pytest.approx((79 * 8, 800))


def test_a_few_large_companies_are_no_volume() -> None:
    """One company has nine tenths of all actions, and none in the last week."""
    usage = usage_of(steady())
    heavy = usage["id"] == 7
    usage.loc[heavy, list(hubspot().actions)] = 2000
    assert period_of(usage[~(heavy & (usage["WHEN_TIMESTAMP"] == AS_OF - WEEK))]).as_of == AS_OF


def test_a_week_that_is_not_the_least_is_complete() -> None:
    quiet = usage_of(steady() | {-4: 60, 0: 61})
    assert period_of(quiet).as_of == AS_OF
    assert period_of(usage_of(steady() | {-9: 60, 0: 61})).as_of == AS_OF - WEEK


@pytest.mark.parametrize(
    ("closedate", "whole"),
    [
        ("2020-02-22", False),  # Saturday
        ("2020-02-23", True),
        ("2020-02-24", True),
        ("2020-03-01", True),
        ("2020-03-02", False),  # planned: nothing says how far the export goes
    ],
)
def test_a_conversion_at_the_weeks_end_shows_that_it_is_over(closedate: str, whole: bool) -> None:
    usage = in_last_week(usage_of(steady()), 3)
    closedates = pd.Series(pd.to_datetime([closedate, "2019-12-01", None])).astype("datetime64[us]")
    assert find_period(usage, closedates, None, settings(), hubspot()).as_of == (
        AS_OF if whole else AS_OF - WEEK
    )


def test_a_given_as_of_keeps_the_week() -> None:
    usage = in_last_week(usage_of(steady()), 3)
    assert period_of(usage, AS_OF).as_of == AS_OF
    assert period_of(usage, AS_OF).incomplete is None
    assert period_of(usage, partial_week=0.0).as_of == AS_OF


@pytest.mark.parametrize(("weeks", "rows"), [(4, 100), (20, 49)])
def test_little_is_not_judged(weeks: int, rows: int) -> None:
    assert period_of(in_last_week(usage_of(steady(weeks, rows)), 1)).as_of == AS_OF
    enough = in_last_week(usage_of(steady(max(weeks, 5), max(rows, 50))), 1)
    assert period_of(enough).as_of == AS_OF - WEEK


def test_only_the_last_week_can_be_incomplete() -> None:
    assert period_of(usage_of(steady() | {0: 70, -1: 75})).as_of == AS_OF - WEEK


# Other days that show when the export was taken


def taken(
    last_days: dict[int, int] | None = None,
    signed_up: list[int] | None = None,
    usage: pd.DataFrame | None = None,
    converted: list[int] | None = None,
    **changed: Any,
) -> Period:
    """Find the period by the last day with usage of each week, Monday is 0, or by days of companies.

    Weeks and days are counted as in `usage_of`: week 0 ends, and day 0 is, at `AS_OF`.
    """
    days = ExportDays(None if signed_up is None else moments(signed_up), ends_of(last_days))
    rows = usage_of(steady()) if usage is None else usage
    paid = NEVER if converted is None else moments(converted)
    return find_period(rows, paid, None, settings(**changed), hubspot(), days)


def moments(days: list[int]) -> pd.Series:
    return pd.Series([AS_OF + pd.Timedelta(days=day) for day in days], dtype="datetime64[us]")


def ends_of(last_days: dict[int, int] | None) -> dict[pd.Timestamp, pd.Timestamp] | None:
    if last_days is None:
        return None
    mondays = {week: AS_OF + (week - 1) * WEEK for week in last_days}
    return {mondays[week]: mondays[week] + pd.Timedelta(days=day) for week, day in last_days.items()}


def each_week(day: int, last: int) -> dict[int, int]:
    """Let all weeks end with one day, Monday is 0, but for the last one."""
    return dict.fromkeys(range(-19, 0), day) | {0: last}


@pytest.mark.parametrize(
    ("usual", "last", "whole"),
    [
        (6, 6, True), (6, 5, False), (6, 2, False), (6, 0, False),
        (4, 4, True), (4, 5, True), (4, 3, False), (4, 2, False),
    ],
)  # fmt: skip
def test_a_week_without_usage_on_its_usual_last_day_is_not_complete(
    usual: int, last: int, whole: bool
) -> None:
    """However much usage it has: an export taken on a Wednesday gives no list of next Monday."""
    period = taken(each_week(usual, last))
    assert period.as_of == (AS_OF if whole else AS_OF - WEEK)
    wednesday = AS_OF - WEEK + pd.Timedelta(days=last)
    assert period.early == (None if whole else EarlyEnd("usage", wednesday))
    assert period.last == AS_OF - WEEK


def test_a_holiday_before_does_not_make_a_wednesday_usual() -> None:
    assert taken(each_week(6, 2) | {-1: 2, -2: 2, -5: 1}).as_of == AS_OF - WEEK
    assert taken(each_week(4, 4) | {-1: 2}).as_of == AS_OF


def test_a_sunday_shows_that_little_usage_is_all_there_is() -> None:
    little = in_last_week(usage_of(steady()), 3)
    assert taken(each_week(6, 6), usage=little).as_of == AS_OF
    assert taken(each_week(4, 4), usage=little).as_of == AS_OF - WEEK, "a Friday does not"


def test_in_a_short_export_only_a_sunday_ends_a_week() -> None:
    usage = usage_of(steady(4, rows=3))
    assert taken({-3: 4, -2: 4, -1: 4, 0: 4}, usage=usage).as_of == AS_OF - WEEK
    assert taken({-3: 4, -2: 4, -1: 4, 0: 6}, usage=usage).as_of == AS_OF


def test_a_row_with_a_future_day_ends_no_week() -> None:
    usage = usage_of(steady() | {3: 1})
    assert taken(each_week(6, 2) | {3: 6}, usage=usage).as_of == AS_OF - WEEK
    assert taken(each_week(6, 6) | {3: 0}, usage=usage).as_of == AS_OF


@pytest.mark.parametrize("day", [-2, -1, 0, 3, 7])
def test_a_day_after_the_last_usage_does_not_show_that_a_week_is_over(day: int) -> None:
    """It may be booked ahead: one subscription from next Monday on would make half a week a whole one."""
    early = taken(each_week(6, 2))
    assert early.as_of == AS_OF - WEEK
    assert taken(each_week(6, 2), signed_up=[-300, day]) == early
    assert taken(each_week(6, 2), converted=[-300, day]) == early
    assert taken(each_week(6, 6), converted=[-300, day]) == taken(each_week(6, 6))


@given(days=st.lists(st.integers(-400, 40), max_size=5), last=st.integers(0, 6))
def test_where_the_last_day_of_usage_is_known_conversions_decide_nothing(days: list[int], last: int) -> None:
    assert taken(each_week(6, last), converted=days) == taken(each_week(6, last))


def test_without_days_of_usage_a_week_is_over_by_a_conversion_but_not_silently() -> None:
    little = in_last_week(usage_of(steady()), 3)
    period = taken(converted=[-300, 3], usage=little)
    assert (period.as_of, period.incomplete) == (AS_OF, None)
    assert period.shown is not None
    assert period.shown.day == AS_OF + pd.Timedelta(days=3)
    assert period.shown.volume.last < period.shown.volume.usual
    assert taken(converted=[-300, 3]).shown is None, "it looks complete anyway"
    assert taken(converted=[-300, -3], usage=little).shown is None


@pytest.mark.parametrize(
    ("last_days", "planned"),
    [(each_week(6, 6), [0, 0, 3, 7]), (each_week(6, 4), [-2, 0, 0, 3, 7]),
     (each_week(6, 2), [-2, 0, 0, 3, 7]), (each_week(4, 4), [0, 0, 3, 7]), (None, [7])],
)  # fmt: skip
def test_conversions_after_the_export_was_taken_are_planned(
    last_days: dict[int, int] | None, planned: list[int]
) -> None:
    """As far as they are not known as of the list: a day of an idle weekend before it is."""
    days = moments([-300, -5, -2, 0, 0, 3, 7])
    period = taken(last_days, converted=[-300])
    ends = ExportDays(None, ends_of(last_days))
    assert planned_days(days, period, ends).tolist() == moments(planned).tolist()


SUNDAYS = [-1 - 7 * week for week in range(1, 9)]
"""Of the eight weeks before the last one."""


@pytest.mark.parametrize(
    ("days", "whole"),
    [
        ([*SUNDAYS, -5], False),  # Wednesday
        ([*SUNDAYS, -3], False),  # Friday
        (SUNDAYS, False),  # none at all
        ([*SUNDAYS, -2], True),  # Saturday
        ([*SUNDAYS, -1], True),
        ([*SUNDAYS[1:], -5], True),  # the Sunday before has none: there are too few to tell
        ([*SUNDAYS[:-1], -5], True),
    ],
)
def test_a_weekend_without_sign_ups_where_each_had_some_is_not_over(days: list[int], whole: bool) -> None:
    period = taken(signed_up=days)
    assert period.as_of == (AS_OF if whole else AS_OF - WEEK)
    last = max(days)
    seen = AS_OF + pd.Timedelta(days=last) if last >= -7 else None
    assert period.early == (None if whole else EarlyEnd("sign-ups", seen))


def test_a_week_that_ends_early_is_kept_on_request() -> None:
    assert taken(each_week(6, 2), partial_week=0.0).as_of == AS_OF
    usage = usage_of(steady())
    days = ExportDays(None, {AS_OF - WEEK: AS_OF - WEEK})
    assert find_period(usage, NEVER, AS_OF, settings(), hubspot(), days).as_of == AS_OF


def test_the_days_of_an_export() -> None:
    tables = {
        "teams": pd.DataFrame({"created": pd.to_datetime(["2020-01-01", None])}),
        "payments": pd.DataFrame({"from_day": pd.to_datetime(["2020-02-01"]), "kind": ["trial"]}),
    }
    converted, days = export_days(tables, {"2020-02-17": "2020-02-19"}, memberships())
    assert converted.tolist() == [pd.Timestamp("2020-02-01")], "a trial shows the day too"
    assert days.signed_up is not None
    assert days.signed_up.tolist()[0] == pd.Timestamp("2020-01-01")
    assert days.last_days == {pd.Timestamp("2020-02-17"): pd.Timestamp("2020-02-19")}
    customers = pd.DataFrame({"CLOSEDATE": pd.to_datetime(["2020-01-03"])})
    converted, days = export_days({"customers": customers, "noncustomers": customers[[]]}, None, hubspot())
    assert converted.tolist() == [pd.Timestamp("2020-01-03")]
    assert days == ExportDays()


# Another contract


def account_usage(rows: dict[int, int], actions: int = 8) -> pd.DataFrame:
    """Give `usage_of` in the columns of `projects`, with text ids."""
    usage = usage_of(rows, actions)
    when = usage.loc[:, ["WHEN_TIMESTAMP"]].set_axis(["week"], axis=1)
    counts = dict.fromkeys(projects().counts, 0) | {"automation_runs": usage["ACTIONS_EMAIL"]}
    return when.assign(id="A" + usage["id"].astype(str).str.zfill(4), **counts)


def test_any_contract_has_a_period() -> None:
    usage = account_usage(steady() | {-60: 1})
    assert find_period(usage, NEVER, None, settings(), projects()) == Period(
        AS_OF - 20 * WEEK, AS_OF - WEEK, AS_OF
    )
    half = usage.assign(automation_runs=usage["automation_runs"].mask(usage["week"] == AS_OF - WEEK, 3))
    period = find_period(half, NEVER, None, settings(), projects())
    assert period.as_of == AS_OF - WEEK
    assert period.incomplete == pytest.approx((300, 800))


def test_faults_carry_the_contracts_names() -> None:
    with pytest.raises(ExportError, match=r"^weekly_usage: week: .* first id A0000 at 2019-02-04; correct"):
        find_period(account_usage(steady() | {-53: 100, -54: 6}), NEVER, None, settings(), projects())
    with pytest.raises(ExportError, match=r"^weekly_usage: week: the rows span 30 weeks, .* to id A0000 at"):
        find_period(account_usage(steady(30)), NEVER, None, settings(max_weeks=26), projects())


# Time travel


def test_a_list_without_the_last_week_is_the_list_of_time_travel() -> None:
    usage = in_last_week(usage_of({-30: 2} | steady()), 3)
    closedates = pd.Series(pd.to_datetime(["2020-02-20"])).astype("datetime64[us]")
    latest = find_period(usage, closedates, None, settings(), hubspot())
    travelled = find_period(usage, closedates, AS_OF - WEEK, settings(), hubspot())
    assert latest.as_of == travelled.as_of == AS_OF - WEEK
    assert latest.first == travelled.first == AS_OF - 20 * WEEK


futures = st.dictionaries(st.integers(1, 300), st.integers(1, 150), max_size=4)
pasts = st.dictionaries(st.integers(-300, -12), st.integers(1, 3), max_size=2)


@given(past=pasts, future=futures)
def test_later_rows_do_not_change_the_first_week(past: dict[int, int], future: dict[int, int]) -> None:
    known = usage_of(past | steady(12))
    later = usage_of(past | steady(12) | future)
    assert period_of(later, AS_OF)[0::2] == period_of(known, AS_OF)[0::2]


@given(past=pasts, later=st.integers(1, 20))
def test_the_first_week_stays_once_the_weeks_after_it_are_known(past: dict[int, int], later: int) -> None:
    usage = usage_of(past | dict.fromkeys(range(-11, later), 100))
    assert period_of(usage).first == period_of(usage, AS_OF).first


# The sample


@functools.cache
def sample() -> tuple[pd.DataFrame, pd.Series]:
    made = simulate(8_000, 52, dt.date(2018, 10, 1), 3)
    return made.usage_actions, made.customers["CLOSEDATE"]


def counts_as_whole(week: pd.Timestamp, share: float) -> bool:
    """Cut the sample in a week after a share of its actions; return whether the week counts as whole."""
    usage, closedate = sample()
    known = usage[usage["WHEN_TIMESTAMP"] <= week].copy()
    last = known["WHEN_TIMESTAMP"] == week
    rng = np.random.default_rng(week.day_of_year)
    known.loc[last, list(hubspot().actions)] = rng.binomial(known.loc[last, list(hubspot().actions)], share)
    closed = closedate[closedate < week + share * WEEK]
    return find_period(known, closed, None, settings(), hubspot()).as_of == week + WEEK


@pytest.mark.parametrize(("days", "least", "most"), [(7, 1.0, 1.0), (4, 0.0, 0.4), (3, 0.0, 0.1)])
def test_whole_weeks_of_the_sample_are_recognized(days: int, least: float, most: float) -> None:
    weeks = sorted(sample()[0]["WHEN_TIMESTAMP"].unique())[6:]
    whole = np.mean([counts_as_whole(week, days / 7) for week in weeks])
    assert least <= whole <= most
