"""Paid periods: worked out by hand, and against a reference that looks at each day."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.subscriptions import clean_subscriptions, conversions_of, subscription_rules
from conversion.data.timeline import WEEK, conversion_values, labels, prospects_at
from tests.contract_files import ROOT, hubspot, projects
from tests.memberships import memberships, table_of
from tests.paid_periods import paid_periods

AS_OF = pd.Timestamp("2020-02-24")
HORIZON = pd.Timedelta(days=30)
NAMED = memberships().companies.subscriptions
assert NAMED is not None


def day(offset: float | None) -> pd.Timestamp | None:
    """Return a day around `AS_OF`."""
    return None if offset is None else AS_OF + pd.Timedelta(days=offset)


def payment(
    start: int, end: int | None = None, amount: float | None = 20.0, kind: str = "paid", team: str = "a"
) -> dict[str, Any]:
    return {"team": team, "from_day": day(start), "to_day": day(end), "amount": amount, "kind": kind}


def periods_of(
    rows: list[dict[str, Any]], as_of: pd.Timestamp = AS_OF, ids: str = "abc"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    assert NAMED is not None
    table = table_of("payments", rows).rename(columns={"team": "id"})
    return clean_subscriptions(table, pd.Series(list(ids), dtype="str"), as_of, NAMED)


def as_days(periods: pd.DataFrame) -> list[tuple[str, float, float | None]]:
    """Return periods by company, start and end, as days around `AS_OF`."""
    starts = (periods["start"] - AS_OF).dt.days
    ends = [None if pd.isna(each) else (each - AS_OF).days for each in periods["end"]]
    return list(zip(periods["id"], starts, ends, strict=True))


def teams(*created: int | None, ids: str = "abc") -> pd.DataFrame:
    days = pd.Series([day(each) for each in created], dtype="datetime64[us]")
    return pd.DataFrame({"id": pd.Series(list(ids[: len(created)]), dtype="str"), "created": days})


# Merging, by hand


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([payment(-90)], [("a", -90, None)]),
        ([payment(-90, -60)], [("a", -90, -60)]),
        # The next plan: on the last day, the day after, before the end; and two days after it.
        ([payment(-90, -60), payment(-60, -30)], [("a", -90, -30)]),
        ([payment(-90, -60), payment(-59, -30)], [("a", -90, -30)]),
        ([payment(-90, -60), payment(-70, -30)], [("a", -90, -30)]),
        ([payment(-90, -60), payment(-58, -30)], [("a", -90, -60), ("a", -58, -30)]),
        # One inside another, and a second one that goes on although the first has ended.
        ([payment(-90, -30), payment(-80, -70), payment(-40, -35)], [("a", -90, -30)]),
        ([payment(-90, -60), payment(-80)], [("a", -90, None)]),
        ([payment(-90, -60), payment(-30, -20)], [("a", -90, -60), ("a", -30, -20)]),
        # Companies are apart.
        ([payment(-90, -60), payment(-60, -30, team="b")], [("a", -90, -60), ("b", -60, -30)]),
        # An end, and a start, that are not known yet.
        ([payment(-90, 0)], [("a", -90, None)]),
        ([payment(-90, -60), payment(0, 30)], [("a", -90, -60)]),
        # An end before the start is no end.
        ([payment(-90, -91), payment(-30, -20)], [("a", -90, None)]),
        ([payment(-90, -90)], [("a", -90, -90)]),
    ],
)  # fmt: skip
def test_periods_by_hand(rows: list[dict[str, Any]], expected: list[tuple[str, int, int | None]]) -> None:
    for order in (rows, rows[::-1]):
        assert as_days(periods_of(order)[0]) == expected


@pytest.mark.parametrize("kind", ["trial", "Trial", " FREE MONTH "])
def test_a_trial_is_no_conversion(kind: str) -> None:
    periods, quarantine = periods_of([payment(-90, -60, kind=kind), payment(-60), payment(-50, kind="free")])
    assert as_days(periods) == [("a", -60, None)]
    assert quarantine["rule"].tolist() == ["trial"]


def test_a_trial_between_two_subscriptions_fills_no_gap() -> None:
    rows = [payment(-90, -60), payment(-60, -30, kind="trial"), payment(-30)]
    assert as_days(periods_of(rows)[0]) == [("a", -90, -60), ("a", -30, None)]


def test_a_period_has_the_value_that_it_starts_with() -> None:
    rows = [payment(-90, -60, 20.0), payment(-60, None, 90.0), payment(-50, team="b", amount=None)]
    periods, _ = periods_of(rows)
    np.testing.assert_array_equal(periods["value"], [20.0, np.nan])
    assert periods["conversion_valid"].tolist() == [True, True]
    same_day = [payment(-90, -60, 20.0), payment(-90, -80, 50.0), payment(-90, -70, None)]
    for rows in (same_day, same_day[::-1]):
        assert periods_of(rows)[0]["value"].tolist() == [50.0]


def test_a_period_that_starts_with_nothing_to_pay_is_not_valid() -> None:
    rows = [payment(-90, -60, 0.0), payment(-40, -30, -1.0), payment(-20, None, 5.0), payment(-19, None, 0.0)]
    periods, quarantine = periods_of(rows)
    assert periods["conversion_valid"].tolist() == [False, False, True]
    assert quarantine["rule"].tolist() == ["value_not_positive"] * 3


def test_each_rule_and_its_columns() -> None:
    rows = [
        payment(-9), payment(0), payment(-9, team="z"), payment(-9, kind="trial"), payment(-9, -10),
        payment(-9, amount=0.0), payment(3, team="z", kind="trial"),
    ]  # fmt: skip
    _, quarantine = periods_of(rows)
    assert quarantine["rule"].tolist() == [
        "starts_after_as_of", "orphan_subscription", "trial", "starts_after_as_of",
        "ended_before_started", "value_not_positive",
    ]  # fmt: skip
    assert set(quarantine["rule"]) == set(subscription_rules(memberships()))
    assert subscription_rules(projects()) == ()
    bare = memberships().companies.model_copy(
        update={"subscriptions": NAMED.model_copy(update={"trials": {}, "end": None, "value": None})}
    )
    rules = subscription_rules(memberships().model_copy(update={"companies": bare}))
    assert rules == ("starts_after_as_of", "orphan_subscription")


def test_without_ends_and_values_the_first_start_is_the_only_conversion() -> None:
    named = NAMED.model_copy(update={"end": None, "value": None})
    table = table_of("payments", [payment(-90, -60, -1.0), payment(-30)]).rename(columns={"team": "id"})
    periods, quarantine = clean_subscriptions(table, pd.Series(["a"], dtype="str"), AS_OF, named)
    assert as_days(periods) == [("a", -90, None)]
    assert periods["value"].isna().all()
    assert periods["conversion_valid"].all()
    assert quarantine.empty


def test_no_subscription_at_all() -> None:
    periods, quarantine = periods_of([])
    assert list(periods) == ["id", "start", "end", "value", "conversion_valid"]
    assert periods.empty
    assert quarantine.empty
    assert prospects_at(teams(-9, 3), AS_OF, memberships(), periods).tolist() == [True, False]


def test_what_cleaning_makes_of_periods() -> None:
    rows = [payment(-90, -60, 0.0), payment(-40, -30, 50.0), payment(-90, team="b", amount=7.0)]
    periods, _ = periods_of(rows)
    made = conversions_of(teams(-99, -99, -99), periods, memberships())
    assert list(made) == ["converted", "ended", "value", "conversion_valid"]
    assert made["converted"].tolist() == [day(-90), day(-90), pd.NaT]
    assert made["ended"].tolist() == [day(-30), pd.NaT, pd.NaT]
    np.testing.assert_array_equal(made["value"], [0.0, 7.0, np.nan])
    assert made["conversion_valid"].tolist() == [False, True, True]


# Prospects and labels, by hand

LIFE = [payment(10, 40, 20.0), payment(41, 45, 90.0), payment(60, 65, 0.0), payment(67, None, 50.0)]
"""Pays from day 10 to 45, on a free plan from 60 to 65, and again from 67."""


def test_labels_and_values_over_the_life_of_a_company() -> None:
    then = AS_OF + 20 * WEEK
    periods, _ = periods_of(LIFE, as_of=then)
    assert as_days(periods) == [("a", 10, 45), ("a", 60, 65), ("a", 67, None)]
    weeks = pd.date_range(AS_OF, periods=12, freq="7D")  # days 0, 7, ..., 77
    companies = teams(-5)
    prospects = [prospects_at(companies, week, memberships(), periods).item() for week in weeks]
    assert prospects == [True, True, *[False] * 5, True, True, False, False, False]
    label = labels(companies, weeks, HORIZON, memberships(), periods)
    nan = np.nan
    np.testing.assert_array_equal(label, [[1, 1, nan, nan, nan, nan, nan, 1, 1, nan, nan, nan]])
    values = conversion_values(companies, weeks, HORIZON, memberships(), periods)
    assert values[0, [0, 1, 7, 8]].tolist() == [20.0, 20.0, 50.0, 50.0]


def test_a_conversion_that_does_not_count_leaves_a_label_open_unless_one_does() -> None:
    periods, _ = periods_of([payment(4, 5, 0.0), payment(35, None, 9.0)], as_of=AS_OF + 20 * WEEK)
    weeks = pd.DatetimeIndex([AS_OF, AS_OF + WEEK])
    np.testing.assert_array_equal(
        labels(teams(-9), weeks[:1], HORIZON, memberships(), periods), [[np.nan]], "only the free one"
    )
    for horizon, expected in ((36, [1, 1]), (35, [np.nan, 1])):
        found = labels(teams(-9), weeks, pd.Timedelta(days=horizon), memberships(), periods)
        np.testing.assert_array_equal(found, [expected])


def test_of_two_conversions_in_the_horizon_the_first_has_the_value() -> None:
    periods, _ = periods_of([payment(3, 5, 20.0), payment(9, 12, 90.0)], as_of=AS_OF + 20 * WEEK)
    weeks = pd.DatetimeIndex([AS_OF, AS_OF + WEEK])
    assert labels(teams(-9), weeks, HORIZON, memberships(), periods).tolist() == [[1, 1]]
    assert conversion_values(teams(-9), weeks, HORIZON, memberships(), periods).tolist() == [[20.0, 90.0]]


def test_a_company_is_a_prospect_a_day_after_its_last_paid_day() -> None:
    """A subscription that starts on the day of the list would renew one that ended the day before."""
    for end, expected in ((-1, False), (-2, True)):
        periods, _ = periods_of([payment(-90, end)])
        assert prospects_at(teams(-99), AS_OF, memberships(), periods).tolist() == [expected]


def test_labels_before_the_sign_up_are_none() -> None:
    periods, _ = periods_of([payment(10)], as_of=AS_OF + 20 * WEEK)
    weeks = pd.date_range(AS_OF, periods=3, freq="7D")
    np.testing.assert_array_equal(
        labels(teams(1), weeks, HORIZON, memberships(), periods), [[np.nan, 1, np.nan]]
    )


def test_a_value_that_is_not_known_counts_nothing() -> None:
    periods, _ = periods_of([payment(3, amount=None)], as_of=AS_OF + 20 * WEEK)
    weeks = pd.DatetimeIndex([AS_OF])
    assert labels(teams(-9), weeks, HORIZON, memberships(), periods).tolist() == [[1]]
    assert conversion_values(teams(-9), weeks, HORIZON, memberships(), periods).tolist() == [[0]]


@pytest.mark.parametrize("contract", [hubspot(), projects()], ids=["no end", "end"])
def test_the_periods_of_columns_say_the_same_as_the_columns(contract: Contract) -> None:
    names = contract.companies
    rng = np.random.default_rng(3)
    offsets = rng.integers(-100, 100, (60, 3)).astype(float)
    offsets[rng.random((60, 3)) < 0.3] = np.nan
    columns = zip((names.signed_up, names.converted, names.ended), offsets.T, strict=True)
    table = pd.DataFrame(
        {name: AS_OF + pd.to_timedelta(each, unit="D") for name, each in columns if name is not None}
    ).assign(id=np.arange(60), conversion_valid=rng.random(60) < 0.8, **{str(names.value): 9.0})
    periods = paid_periods(table, contract)
    weeks = pd.date_range(AS_OF - 20 * WEEK, periods=40, freq="7D")
    for function in (labels, conversion_values):
        np.testing.assert_array_equal(
            function(table, weeks, HORIZON, contract, periods), function(table, weeks, HORIZON, contract)
        )
    for week in weeks:
        pd.testing.assert_series_equal(
            prospects_at(table, week, contract, periods), prospects_at(table, week, contract)
        )


# A slow reference: day by day

DAYS = 90
spans = st.tuples(st.integers(0, DAYS), st.none() | st.integers(-2, 25), st.sampled_from([20.0, 50.0, 0.0]))
subscriptions = st.lists(st.tuples(st.sampled_from("ab"), spans, st.booleans()), max_size=9)


def as_rows(drawn: list[Any]) -> list[dict[str, Any]]:
    return [
        payment(start, None if length is None else start + length, amount, "trial" if trial else "paid", team)
        for team, (start, length, amount), trial in drawn
    ]


def paid_days(drawn: list[Any], team: str, as_of: int) -> set[int]:
    """Return the days that are known to be paid, or to go on being paid, up to a far day."""
    days: set[int] = set()
    for company, (start, length, _), trial in drawn:
        if company == team and not trial and start < as_of:
            known = length is not None and length >= 0 and start + length < as_of
            days |= set(range(start, start + length + 1 if known else 10 * DAYS))
    return days


def conversion_days(drawn: list[Any], team: str, as_of: int) -> dict[int, float]:
    """Return the days on which paying begins, with the value: nothing was paid the day before."""
    paid = paid_days(drawn, team, as_of)
    found: dict[int, float] = {}
    for company, (start, _, amount), trial in drawn:
        if company == team and not trial and start < as_of and start - 1 not in paid:
            found[start] = max(amount, found.get(start, amount))
    return found


@given(drawn=subscriptions, as_of=st.integers(0, DAYS + 20))
def test_periods_are_the_days_that_are_paid(drawn: list[Any], as_of: int) -> None:
    moment = day(as_of)
    assert moment is not None
    periods, _ = periods_of(as_rows(drawn), moment)
    for team in "ab":
        own = periods[periods["id"] == team]
        converted = conversion_days(drawn, team, as_of)
        starts = (own["start"] - AS_OF).dt.days.tolist()
        assert starts == sorted(converted)
        assert own["value"].tolist() == [converted[start] for start in starts]
        assert own["conversion_valid"].tolist() == [converted[start] > 0 for start in starts]
        covered: set[int] = set()
        for start, end in zip(starts, own["end"], strict=True):
            covered |= set(range(start, 10 * DAYS if pd.isna(end) else (end - AS_OF).days + 1))
        assert covered == paid_days(drawn, team, as_of)


@given(
    drawn=subscriptions,
    created=st.none() | st.integers(-30, 60),
    week=st.integers(0, 12),
    horizon=st.integers(1, 60),
)
def test_prospects_and_labels_by_their_definition(
    drawn: list[Any], created: int | None, week: int, horizon: int
) -> None:
    moment, later = day(7 * week), 4 * DAYS
    end = day(later)
    assert moment is not None
    assert end is not None
    periods, _ = periods_of(as_rows(drawn), end)
    companies = teams(created, created)
    span = pd.Timedelta(days=horizon)
    found = labels(companies, pd.DatetimeIndex([moment]), span, memberships(), periods)[:, 0]
    values = conversion_values(companies, pd.DatetimeIndex([moment]), span, memberships(), periods)[:, 0]
    prospects = prospects_at(companies, moment, memberships(), periods).tolist()
    for place, team in enumerate("ab"):
        here = created is None or created < 7 * week
        # Of what was known then, nothing was paid on the day before.
        prospect = here and 7 * week - 1 not in paid_days(drawn, team, 7 * week)
        assert prospects[place] == prospect
        converts = conversion_days(drawn, team, later)
        soon = [start for start in sorted(converts) if 7 * week <= start < 7 * week + horizon]
        counted = [converts[start] for start in soon if converts[start] > 0]
        expected = (1.0 if counted else np.nan if soon else 0.0) if prospect else np.nan
        np.testing.assert_equal(found[place], np.float32(expected))
        assert values[place] == (counted[0] if counted else 0.0)


@given(drawn=subscriptions, week=st.integers(0, 14))
def test_what_is_known_later_changes_no_earlier_prospect(drawn: list[Any], week: int) -> None:
    moment, end = day(7 * week), day(4 * DAYS)
    assert moment is not None
    assert end is not None
    then, later = (periods_of(as_rows(drawn), known)[0] for known in (moment, end))
    companies = teams(-99, -99)
    pd.testing.assert_series_equal(
        prospects_at(companies, moment, memberships(), then),
        prospects_at(companies, moment, memberships(), later),
    )
    # And the companies' own columns, as they are known then, say the same.
    made = companies.join(conversions_of(companies, then, memberships()))
    pd.testing.assert_series_equal(
        prospects_at(made, moment, memberships()), prospects_at(companies, moment, memberships(), then)
    )


@pytest.mark.parametrize(("column", "value"), [("amount", "0"), ("amount", "0.00"), ("team", "a")])
def test_trials_may_be_named_by_any_column(column: str, value: str) -> None:
    """Values of subscriptions are numbers: a trial's 0 is 0.0 in the table."""
    assert NAMED is not None
    named = NAMED.model_copy(update={"trials": {column: (value,)}})
    rows = table_of("payments", [payment(-9, amount=0.0), payment(-5, team="b")]).rename(
        columns={"team": "id"}
    )
    periods, quarantine = clean_subscriptions(rows, pd.Series(["a", "b"], dtype="str"), AS_OF, named)
    assert periods["id"].tolist() == ["b"]
    assert quarantine["rule"].tolist() == ["trial"]


# A log of changes of plan: the next row ends one


def changes_of(rows: list[dict[str, Any]], as_of: pd.Timestamp = AS_OF) -> pd.DataFrame:
    """Return the paid periods of rows without an end of their own."""
    assert NAMED is not None
    log = NAMED.model_copy(update={"end": None, "until": "next_row"})
    table = table_of("payments", rows).rename(columns={"team": "id"}).drop(columns="to_day")
    return clean_subscriptions(table, pd.Series(list("abc"), dtype="str"), as_of, log)[0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Free, then paid, then free again; and paid again.
        ([payment(-90, kind="trial"), payment(-60)], [("a", -60, None)]),
        ([payment(-90, kind="trial"), payment(-60), payment(-30, kind="trial")], [("a", -60, -30)]),
        ([payment(-60), payment(-30, kind="trial"), payment(-9)], [("a", -60, -30), ("a", -9, None)]),
        # A change from one paid plan to another, and then the end of both.
        ([payment(-60), payment(-40), payment(-30, kind="trial")], [("a", -60, -30)]),
        # In any order, and rows of other companies end nothing.
        ([payment(-30, kind="trial"), payment(-60)], [("a", -60, -30)]),
        ([payment(-60), payment(-30, kind="trial", team="b")], [("a", -60, None)]),
        # A change that is not known yet; and two rows of one day: the next day's row ends both.
        ([payment(-60), payment(0, kind="trial")], [("a", -60, None)]),
        ([payment(-60), payment(-60, kind="trial")], [("a", -60, None)]),
        ([payment(-60), payment(-60, kind="trial"), payment(-30, kind="trial")], [("a", -60, -30)]),
    ],
)
def test_the_next_row_of_a_log_ends_a_plan(
    rows: list[dict[str, Any]], expected: list[tuple[str, int, int | None]]
) -> None:
    assert as_days(changes_of(rows)) == expected


def test_the_log_of_the_docs() -> None:
    page = (ROOT / "docs/how-to/own_export.md").read_text(encoding="utf-8")
    section = page.split("### A log of changes of plan")[1]
    rows, contract = (section.split(f"```{kind}\n")[1].split("```")[0] for kind in ("text", "yaml"))
    named = Subscriptions.model_validate(yaml.safe_load(contract)["subscriptions"])
    table = pd.read_csv(io.StringIO(rows), parse_dates=["since"]).rename(columns={"org": "id"})
    periods, _ = clean_subscriptions(table, table["id"], pd.Timestamp("2026-06-29"), named)
    assert periods["start"].tolist() == [pd.Timestamp("2026-02-02"), pd.Timestamp("2026-06-01")]
    assert periods["end"].tolist() == [pd.Timestamp("2026-04-06"), pd.NaT]


changes = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, DAYS)), st.sampled_from(["paid", "trial"]), max_size=9
)


@given(drawn=changes, as_of=st.integers(0, DAYS + 20))
def test_a_log_says_the_same_as_its_rows_with_ends(drawn: dict[tuple[str, int], str], as_of: int) -> None:
    moment = day(as_of)
    assert moment is not None
    log, ended = [], []
    for (team, start), kind in drawn.items():
        later = [other for company, other in drawn if company == team and other > start]
        log.append(payment(start, kind=kind, team=team))
        ended.append(payment(start, min(later, default=None), kind=kind, team=team))
    pd.testing.assert_frame_equal(changes_of(log, moment), periods_of(ended, moment)[0])
