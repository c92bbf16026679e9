"""Companies that pay again, with a row of the company table for each time: as subscriptions say it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.data.clean_tables import CleanTables, Quarantine, clean_tables
from conversion.data.period import Period
from conversion.data.timeline import WEEK, conversion_values, labels, prospects_by_week
from tests.contract_files import projects

AS_OF = pd.Timestamp("2020-02-24")
HORIZON = pd.Timedelta(days=30)
ABOUT = {
    "id": "str", "created": "datetime64[us]", "name": "str", "owner": "str", "country": "str", "plan": "str",
    "head_count": "float64", "is_partner": "boolean",
}  # fmt: skip
PAID = {"paid_since": "datetime64[us]", "cancelled": "datetime64[us]", "arr": "float64"}
Row = tuple[str, int | None, int | None, float | None]
"""A company, the days around `AS_OF` on which a paid period starts and ends, and its value."""


def day(offset: int | None) -> pd.Timestamp | None:
    return None if offset is None else AS_OF + pd.Timedelta(days=offset)


def about(company: str) -> dict[str, Any]:
    return {"id": company, "created": day(-400), "name": f"{company} Ltd", "country": "DE"}


def paid(row: Row) -> dict[str, Any]:
    company, start, end, value = row
    return {"id": company, "paid_since": day(start), "cancelled": day(end), "arr": value}


def table_of(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def no_usage() -> pd.DataFrame:
    usage = projects().usage
    rows = pd.DataFrame([{"id": "z", usage.time: AS_OF - WEEK} | dict.fromkeys(projects().counts, 0)])
    return rows.astype({"id": "str", usage.time: "datetime64[us]"})


def cleaned(
    tables: dict[str, pd.DataFrame], as_of: int, contract: Contract
) -> tuple[CleanTables, Quarantine]:
    moment = AS_OF + pd.Timedelta(days=as_of)
    period = Period(AS_OF - 90 * WEEK, AS_OF + 90 * WEEK, moment)
    tables = tables | {contract.usage.table: no_usage()}
    return clean_tables(tables, period, "most_complete", contract)


def of_companies(rows: list[Row], as_of: int = 0, ids: str = "") -> tuple[CleanTables, Quarantine]:
    """Clean an export whose company table has the paid periods, and companies that have never paid."""
    accounts = table_of([about(row[0]) | paid(row) for row in rows] + [*map(about, ids)], ABOUT | PAID)
    return cleaned({"accounts": accounts}, as_of, projects())


def subscribed() -> Contract:
    """Return the same contract with a table of subscriptions."""
    written = projects().model_dump(mode="json")
    companies = {
        name: each
        for name, each in written["companies"].items()
        if name not in ("converted", "ended", "value")
    }
    companies["subscriptions"] = {
        "table": "payments", "id": "id", "start": "paid_since", "end": "cancelled", "value": "arr",
    }  # fmt: skip
    return Contract.model_validate(written | {"companies": companies})


def of_subscriptions(rows: list[Row], as_of: int = 0, ids: str = "") -> tuple[CleanTables, Quarantine]:
    """Clean the same export with a table of subscriptions."""
    companies = sorted({*ids, *(row[0] for row in rows)})
    payments = table_of([paid(row) for row in rows if row[1] is not None], {"id": "str"} | PAID)
    accounts = table_of([*map(about, companies)], ABOUT)
    return cleaned({"accounts": accounts, "payments": payments}, as_of, subscribed())


def as_days(periods: pd.DataFrame) -> list[tuple[str, int, int | None, float]]:
    ends = [None if pd.isna(each) else (each - AS_OF).days for each in periods["end"]]
    starts = (periods["start"] - AS_OF).dt.days
    return list(zip(periods["id"], starts, ends, periods["value"], strict=True))


# By hand


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", -150, -120, 100.0), ("a", -100, None, 80.0)],
         [("a", -150, -120, 100.0), ("a", -100, None, 80.0)]),
        ([("a", -150, -120, 100.0), ("a", -100, -60, 80.0), ("a", -9, None, 70.0)],
         [("a", -150, -120, 100.0), ("a", -100, -60, 80.0), ("a", -9, None, 70.0)]),
        # Renewed on the day after, and before the end: one period.
        ([("a", -150, -120, 100.0), ("a", -119, -60, 80.0)], [("a", -150, -60, 100.0)]),
        ([("a", -150, -120, 100.0), ("a", -140, -130, 80.0)], [("a", -150, -120, 100.0)]),
        # What goes on is not begun again; nor is what has an end before its start.
        ([("a", -150, None, 100.0), ("a", -100, -60, 80.0)], [("a", -150, None, 100.0)]),
        ([("a", -150, -151, 100.0), ("a", -100, -60, 80.0)], [("a", -150, None, 100.0)]),
        # A start and an end that are not known yet.
        ([("a", -150, -120, 100.0), ("a", 0, None, 80.0)], [("a", -150, -120, 100.0)]),
        ([("a", -150, -120, 100.0), ("a", -100, 0, 80.0)],
         [("a", -150, -120, 100.0), ("a", -100, None, 80.0)]),
        # Another row of the same day is a duplicate, also of a later conversion.
        ([("a", -150, -120, 100.0), ("a", -100, -60, 80.0), ("a", -100, -60, 90.0)],
         [("a", -150, -120, 100.0), ("a", -100, -60, 90.0)]),
    ],
)  # fmt: skip
def test_rows_of_a_company_become_paid_periods(rows: list[Row], expected: list[Any]) -> None:
    assert as_days(of_companies(rows)[0].periods) == expected
    assert as_days(of_companies(rows[::-1], ids="b")[0].periods) == expected


def test_a_company_that_returns_was_a_prospect_in_between_and_converts_again() -> None:
    clean, quarantine = of_companies([("a", -150, -120, 100.0), ("a", -100, None, 80.0)])
    weeks = pd.DatetimeIndex([AS_OF - number * WEEK for number in (22, 21, 17, 16, 15, 14)])
    prospects = prospects_by_week(clean.companies, weeks, projects(), clean.periods)
    # The end, day -120, is the Sunday before the third Monday: a renewal could still follow on that day.
    assert prospects.tolist() == [[True, False, False, True, True, False]]
    label = labels(clean.companies, weeks, HORIZON, projects(), clean.periods)
    np.testing.assert_array_equal(label, [[1, np.nan, np.nan, 1, 1, np.nan]])
    value = conversion_values(clean.companies, weeks, HORIZON, projects(), clean.periods)
    assert value.tolist() == [[100, 0, 80, 80, 80, 0]]
    assert quarantine.companies["rule"].tolist() == ["later_conversion"]


def test_the_columns_of_a_company_are_its_first_conversion_and_its_last_end() -> None:
    clean, _ = of_companies([("a", -150, -120, 100.0), ("a", -100, -60, 80.0), ("b", -150, -120, None)])
    made = clean.companies[["paid_since", "arr", "cancelled"]]
    assert made.iloc[0].tolist() == [day(-150), 100.0, day(-60)]
    assert made["paid_since"].tolist() == [day(-150), day(-150)]
    assert made["cancelled"].tolist() == [day(-60), day(-120)]


def test_a_later_conversion_with_nothing_to_pay_or_a_wrong_end_is_reported() -> None:
    clean, quarantine = of_companies(
        [("a", -150, -120, 100.0), ("a", -100, -101, 0.0), ("b", -150, -120, 100.0), ("b", 3, 2, 0.0)]
    )
    assert clean.periods["conversion_valid"].tolist() == [True, False, True]
    assert clean.companies["conversion_valid"].tolist() == [True, True]
    assert quarantine.companies[["id", "rule"]].to_numpy().tolist() == [
        ["a", "later_conversion"],
        ["b", "later_conversion"],
        ["a", "mrr_not_positive"],
        ["a", "ended_before_converted"],
    ]


def test_without_ends_there_is_one_conversion() -> None:
    companies = projects().companies.model_copy(update={"ended": None})
    contract = projects().model_copy(update={"companies": companies})
    rows: list[Row] = [("a", -150, -120, 100.0), ("a", -100, -60, 0.0)]
    accounts = table_of([about(row[0]) | paid(row) for row in rows], ABOUT | PAID).drop(columns="cancelled")
    clean, quarantine = cleaned({"accounts": accounts}, 0, contract)
    assert as_days(clean.periods) == [("a", -150, None, 100.0)]
    assert quarantine.companies["rule"].tolist() == ["later_conversion"]


# Against a table of subscriptions

DAYS = 120
starts = st.tuples(st.sampled_from("abc"), st.integers(-DAYS, 20))
lasting = st.tuples(st.none() | st.integers(-2, 40), st.sampled_from([100.0, 50.0, 0.0, None]))
exports = st.dictionaries(starts, lasting, max_size=8).map(
    lambda drawn: [
        (company, start, None if length is None else start + length, value)
        for (company, start), (length, value) in drawn.items()
    ]
)


@settings(max_examples=60)
@given(rows=exports, as_of=st.integers(-60, 30))
def test_rows_of_companies_say_the_same_as_subscriptions(rows: list[Row], as_of: int) -> None:
    own, _ = of_companies(rows, as_of, "d")
    other, _ = of_subscriptions(rows, as_of, "abcd")
    pd.testing.assert_frame_equal(own.periods, other.periods)
    both = other.companies[other.companies["id"].isin(own.companies["id"])].reset_index(drop=True)
    for name, made in (("paid_since", "converted"), ("cancelled", "ended"), ("arr", "value")):
        pd.testing.assert_series_equal(own.companies[name], both[made], check_names=False)
    assert own.companies["conversion_valid"].tolist() == both["conversion_valid"].tolist()
    mondays = pd.date_range(AS_OF - 20 * WEEK, periods=26, freq="7D")
    for function in (labels, conversion_values):
        np.testing.assert_array_equal(
            function(own.companies, mondays, HORIZON, projects(), own.periods),
            function(both, mondays, HORIZON, subscribed(), other.periods),
        )
    found = prospects_by_week(own.companies, mondays, projects(), own.periods)
    expected = prospects_by_week(both, mondays, subscribed(), other.periods)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=60)
@given(rows=exports, week=st.integers(-15, 3))
def test_what_a_company_does_later_changes_no_earlier_prospect(rows: list[Row], week: int) -> None:
    monday = pd.DatetimeIndex([AS_OF + week * WEEK])
    then, later = (of_companies(rows, known, "abc")[0] for known in (7 * week, 100))
    found = [prospects_by_week(each.companies, monday, projects(), each.periods) for each in (then, later)]
    assert found[0].tolist() == found[1].tolist()
