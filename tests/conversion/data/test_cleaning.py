from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.data import cleaning
from conversion.data.clean_tables import cleaning_report
from conversion.data.duplicates import deduplicate
from conversion.data.period import Period
from conversion.data.timeline import WEEK
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import Pipeline, Tables, dirty_export, small_params, typed

CUSTOMERS, NONCUSTOMERS, USAGE_ACTIONS = "customers", "noncustomers", "usage_actions"
AS_OF = pd.Timestamp("2020-02-24")
LAST_WEEK = AS_OF - WEEK
PERIOD = Period(AS_OF - 30 * WEEK, AS_OF + 9 * WEEK, AS_OF)
FINE = [4, 3, 2, 1, 2, 1, 1, 1]


def customer(company: int, close: str, mrr: float, **columns: Any) -> dict[str, Any]:
    firm = {"ALEXA_RANK": 10.0, "EMPLOYEE_RANGE": "1", "INDUSTRY": "RETAIL"} | columns
    return {"id": company, "CLOSEDATE": pd.Timestamp(close), "MRR": mrr, **firm}


def other(
    company: int, rank: float | None = 10.0, size: str | None = "1", industry: str | None = "RETAIL"
) -> Any:
    return {"id": company, "ALEXA_RANK": rank, "EMPLOYEE_RANGE": size, "INDUSTRY": industry}


def week(company: int, when: pd.Timestamp, counts: list[int]) -> dict[str, Any]:
    return {"id": company, "WHEN_TIMESTAMP": when, **dict(zip(hubspot().counts, counts, strict=True))}


def tables_of(
    customers: list[dict[str, Any]], noncustomers: list[dict[str, Any]], usage: list[dict[str, Any]]
) -> Tables:
    empty = tiny_export(companies=4, weeks=2)
    rows = {CUSTOMERS: customers, NONCUSTOMERS: noncustomers, USAGE_ACTIONS: usage}
    return typed({name: pd.DataFrame(rows[name], columns=list(empty[name])) for name in empty})


def companies_of(
    customers: list[dict[str, Any]], noncustomers: list[dict[str, Any]], deduplication: str = "most_complete"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    tables = tables_of(customers, noncustomers, [])
    both = [tables[CUSTOMERS], tables[NONCUSTOMERS]]
    return cleaning.clean_companies(both, AS_OF, deduplication, hubspot())


def usage_of(*rows: dict[str, Any]) -> pd.DataFrame:
    return tables_of([], [], list(rows))[USAGE_ACTIONS]


# Usage rows: one row for each rule


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        (week(1, LAST_WEEK, FINE), None),
        (week(1, LAST_WEEK, [0] * 8), None),
        (week(1, LAST_WEEK, [1] * 8), None),
        (week(1, AS_OF, FINE), "after_as_of"),
        (week(1, AS_OF + 9 * WEEK, FINE), "after_as_of"),
        (week(1, AS_OF - 30 * WEEK, FINE), None),
        (week(1, AS_OF - 31 * WEEK, FINE), "stray_week"),
        (week(1, AS_OF + 10 * WEEK, FINE), "stray_week"),
        (week(2, LAST_WEEK, FINE), "orphan_usage"),
        (week(1, LAST_WEEK, [-1, 0, 0, 0, -1, 0, 0, 0]), "negative_count"),
        (week(1, LAST_WEEK, [4, 3, 2, 1, 2, 1, 1, -1]), "negative_count"),
        (week(1, LAST_WEEK, [4, 3, 2, 1, 2, 1, 1, 2]), "actions_below_users"),
        (week(1, LAST_WEEK, [9, 9, 0, 9, 0, 0, 1, 0]), "actions_below_users"),
        # The first rule that a row breaks is the one that catches it.
        (week(2, AS_OF + 10 * WEEK, [-1, 0, 0, 0, 0, 0, 0, 7]), "stray_week"),
        (week(2, AS_OF, [-1, 0, 0, 0, 0, 0, 0, 7]), "after_as_of"),
        (week(2, LAST_WEEK, [-1, 0, 0, 0, 0, 0, 0, 7]), "orphan_usage"),
        (week(1, LAST_WEEK, [-1, 0, 0, 0, 0, 0, 0, 7]), "negative_count"),
    ],
)
def test_each_usage_rule(row: dict[str, Any], rule: str | None) -> None:
    kept, quarantine = cleaning.clean_usage(usage_of(row), pd.Series([1]), PERIOD, hubspot())
    assert len(kept) == (rule is None)
    assert list(quarantine["rule"]) == ([] if rule is None else [rule])
    assert kept.columns.tolist() == [*quarantine.columns.drop("rule")]


def test_of_a_repeated_week_the_most_complete_row_is_kept() -> None:
    complete, sparse = week(1, LAST_WEEK, FINE), week(1, LAST_WEEK, [90, 0, 0, 0, 50, 0, 0, 0])
    before = week(1, LAST_WEEK - WEEK, FINE)
    for rows in ([complete, sparse, before], [sparse, before, complete]):
        kept, quarantine = cleaning.clean_usage(usage_of(*rows), pd.Series([1]), PERIOD, hubspot())
        assert kept["ACTIONS_CRM_CONTACTS"].tolist() == [4, 4]
        assert quarantine[["rule", "ACTIONS_CRM_CONTACTS"]].to_numpy().tolist() == [["duplicate_week", 90]]


def test_of_equally_complete_rows_the_largest_is_kept() -> None:
    low, high = week(1, LAST_WEEK, [5, *FINE[1:]]), week(1, LAST_WEEK, [6, *FINE[1:]])
    for rows in ([low, high, low], [high, low, low]):
        kept, quarantine = cleaning.clean_usage(usage_of(*rows), pd.Series([1]), PERIOD, hubspot())
        assert kept["ACTIONS_CRM_CONTACTS"].tolist() == [6]
        assert len(quarantine) == 2


def test_a_broken_row_does_not_displace_its_sound_twin() -> None:
    broken = week(1, LAST_WEEK, [9, 9, 9, 9, 9, 9, 9, 10])
    kept, quarantine = cleaning.clean_usage(
        usage_of(week(1, LAST_WEEK, [0] * 8), broken), pd.Series([1]), PERIOD, hubspot()
    )
    assert kept["ACTIONS_CRM_CONTACTS"].tolist() == [0]
    assert quarantine["rule"].tolist() == ["actions_below_users"]


# Companies


@pytest.mark.parametrize(
    ("deduplication", "kept"), [("most_complete", 30.0), ("first", 10.0), ("last", 20.0)]
)
def test_deduplication_strategies(deduplication: str, kept: float) -> None:
    rows = [other(1, 10.0, None, None), other(1, 30.0, "1", "RETAIL"), other(1, 20.0, "1", None)]
    companies, quarantine = companies_of([], rows, deduplication)
    assert companies["ALEXA_RANK"].tolist() == [kept]
    assert sorted([*quarantine["ALEXA_RANK"], kept]) == [10.0, 20.0, 30.0]
    assert set(quarantine["rule"]) == {"duplicate_company"}


def test_zeros_and_empty_cells_are_not_complete() -> None:
    table = pd.DataFrame({"id": [1, 1, 2, 2], "count": [0.0, 3.0, np.nan, 1.0], "text": ["b", "", "", "c"]})
    assert deduplicate(table, ["id"], "most_complete").tolist() == [False, True, False, True]


@pytest.mark.parametrize("dates", [["2020-01-01", "2020-01-02"], ["2020-01-02", "2020-01-01"]])
def test_file_order_decides_no_tie(dates: list[str]) -> None:
    rows = [customer(1, date, mrr) for date, mrr in zip(dates, [5.0, 6.0], strict=True)]
    companies, _ = companies_of(rows, [])
    assert companies["CLOSEDATE"].tolist() == [pd.Timestamp("2020-01-01")]


@pytest.mark.parametrize("deduplication", ["most_complete", "first", "last"])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_the_first_conversion_counts_and_later_ones_are_quarantined(
    deduplication: str, order: list[int]
) -> None:
    bare = {"ALEXA_RANK": None, "EMPLOYEE_RANGE": None, "INDUSTRY": None}
    rows = [
        customer(1, "2019-03-04", 20.0, **bare),
        customer(1, "2019-09-02", 90.0),
        customer(1, "2020-01-06", 70.0),
    ]
    companies, quarantine = companies_of([rows[place] for place in order], [other(1)], deduplication)
    assert companies[["CLOSEDATE", "MRR"]].to_numpy().tolist() == [[pd.Timestamp("2019-03-04"), 20.0]]
    found = quarantine.sort_values(["rule", "CLOSEDATE"])[["rule", "MRR"]]
    assert found.iloc[1:].to_numpy().tolist() == [["later_conversion", 90.0], ["later_conversion", 70.0]]
    assert found["rule"].iloc[0] == "duplicate_company"


def test_a_later_conversion_is_not_known_yet() -> None:
    rows = [customer(1, "2020-02-20", 20.0), customer(1, "2020-03-02", 90.0), customer(2, "2020-03-02", 5.0)]
    companies, quarantine = companies_of([*rows, customer(2, "2020-04-01", 6.0)], [])
    assert companies["CLOSEDATE"].tolist() == [pd.Timestamp("2020-02-20"), pd.NaT]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [
        [1, "later_conversion"],
        [2, "later_conversion"],
    ]
    assert quarantine[["CLOSEDATE", "MRR"]].isna().all(axis=None)


def test_a_first_conversion_without_revenue_is_still_the_first() -> None:
    """From then on the company is not a prospect, so a later payment is not a conversion."""
    companies, quarantine = companies_of(
        [customer(1, "2020-01-20", 50.0), customer(1, "2020-01-06", 0.0)], []
    )
    assert companies["CLOSEDATE"].tolist() == [pd.Timestamp("2020-01-06")]
    assert companies["conversion_valid"].tolist() == [False]
    assert quarantine["rule"].tolist() == ["later_conversion", "mrr_not_positive"]


@pytest.mark.parametrize(("deduplication", "mrr"), [("most_complete", 9.0), ("first", 7.0), ("last", 8.0)])
def test_of_conversions_on_one_day_the_strategy_chooses(deduplication: str, mrr: float) -> None:
    rows = [customer(1, "2020-01-06", value) for value in (7.0, 9.0, 8.0)]
    companies, quarantine = companies_of(rows, [], deduplication)
    assert companies["MRR"].tolist() == [mrr]
    assert quarantine["rule"].tolist() == ["duplicate_company"] * 2


@pytest.mark.parametrize(("deduplication", "rank"), [("most_complete", 2.0), ("first", 1.0), ("last", 3.0)])
def test_a_company_is_the_same_before_and_after_its_conversions(deduplication: str, rank: float) -> None:
    """Of two rows of the first day one has the revenue, the other the firmographics; a later has most."""
    rows = [
        customer(1, "2020-01-20", 90.0, ALEXA_RANK=9.0),
        customer(1, "2020-01-06", 20.0, ALEXA_RANK=1.0, EMPLOYEE_RANGE=None, INDUSTRY=None),
        customer(1, "2020-01-06", 0.0, ALEXA_RANK=2.0, INDUSTRY=None),
        customer(1, "2020-01-06", 30.0, ALEXA_RANK=3.0, EMPLOYEE_RANGE=None, INDUSTRY=None),
    ]
    tables = tables_of(rows, [], [])
    for as_of in ("2020-01-06", "2020-01-13", "2020-02-24"):
        companies, quarantine = cleaning.clean_companies(
            [tables[CUSTOMERS], tables[NONCUSTOMERS]], pd.Timestamp(as_of), deduplication, hubspot()
        )
        assert companies["ALEXA_RANK"].tolist() == [rank]
        dropped = quarantine["rule"][quarantine["rule"] != "mrr_not_positive"]
        assert sorted(dropped) == ["duplicate_company"] * 2 + ["later_conversion"]


@pytest.mark.parametrize("deduplication", ["most_complete", "first", "last"])
def test_a_company_in_both_tables_has_converted(deduplication: str) -> None:
    bare = {"ALEXA_RANK": None, "EMPLOYEE_RANGE": None, "INDUSTRY": None}
    companies, quarantine = companies_of([customer(1, "2020-01-06", 20.0, **bare)], [other(1)], deduplication)
    assert companies["CLOSEDATE"].tolist() == [pd.Timestamp("2020-01-06")]
    assert companies["MRR"].tolist() == [20.0]
    assert quarantine[["rule", "ALEXA_RANK"]].to_numpy().tolist() == [["duplicate_company", 10.0]]


@settings(max_examples=20)
@given(st.permutations(range(6)))
def test_file_order_does_not_decide_what_is_most_complete(order: list[int]) -> None:
    ranks = [10.0, 20.0, None, 20.0, 10.0, 10.0]
    sizes = ["1", "2 to 5", "1", "2 to 5", None, "2 to 5"]
    rows = [other(1, rank, size) for rank, size in zip(ranks, sizes, strict=True)]
    companies, quarantine = companies_of([], [rows[place] for place in order])
    assert companies[["ALEXA_RANK", "EMPLOYEE_RANGE"]].to_numpy().tolist() == [[20.0, "2 to 5"]]
    assert len(quarantine) == 5


def test_a_conversion_without_revenue_is_quarantined_but_was_a_prospect() -> None:
    rows = [customer(1, "2020-01-06", 0.0), customer(2, "2020-01-06", -3.0), customer(3, "2020-01-06", 0.01)]
    companies, quarantine = companies_of(rows, [other(4)])
    assert companies["conversion_valid"].tolist() == [False, False, True, True]
    assert companies["CLOSEDATE"].notna().tolist() == [True, True, True, False]
    assert quarantine[["id", "rule"]].to_numpy().tolist() == [
        [1, "mrr_not_positive"],
        [2, "mrr_not_positive"],
    ]


def test_a_conversion_from_as_of_on_is_not_known() -> None:
    rows = [
        customer(1, "2020-02-23", 50.0), customer(2, "2020-02-24", 50.0), customer(3, "2020-03-30", -1.0),
    ]  # fmt: skip
    companies, quarantine = companies_of(rows, [])
    assert companies["CLOSEDATE"].notna().tolist() == [True, False, False]
    assert companies["MRR"].notna().tolist() == [True, False, False]
    assert companies["conversion_valid"].all()
    assert quarantine.empty


def test_firmographics_are_read() -> None:
    companies, _ = companies_of(
        [], [other(1, 16_000_001.0, "26 to 50", "Travel"), other(2, None, None, None)]
    )
    np.testing.assert_array_equal(companies["ALEXA_RANK"], [np.nan, np.nan])
    np.testing.assert_array_equal(companies["unranked"], [1.0, np.nan])
    np.testing.assert_array_equal(companies["size"], [5.0, np.nan])
    assert list(companies["sector"]) == ["Travel and leisure", "Unknown"]


# The whole tables


@pytest.fixture(scope="module")
def dirty() -> Pipeline:
    return Pipeline(dirty_export(), small_params(data__as_of="2019-08-26"))


def test_every_row_is_kept_or_in_quarantine(dirty: Pipeline) -> None:
    usage, quarantine = dirty.typed[USAGE_ACTIONS], dirty.usage_quarantine
    together = pd.concat([dirty.usage, quarantine.drop(columns="rule")])
    order = list(usage.columns)
    pd.testing.assert_frame_equal(
        together.sort_values(order, ignore_index=True), usage.sort_values(order, ignore_index=True)
    )
    duplicates = dirty.company_quarantine["rule"].isin(["duplicate_company", "later_conversion"]).sum()
    given_rows = len(dirty.typed[CUSTOMERS]) + len(dirty.typed[NONCUSTOMERS])
    assert len(dirty.companies) + duplicates == given_rows
    assert dirty.companies["id"].is_unique
    assert not dirty.usage.duplicated(["id", "WHEN_TIMESTAMP"]).any()


def test_the_report_counts_the_quarantine(dirty: Pipeline) -> None:
    report: Any = cleaning_report(dirty.clean, dirty.quarantine, dirty.as_of, hubspot())
    assert list(report) == ["as_of", "companies", "usage"]
    assert report["as_of"] == "2019-08-26"
    assert list(report["companies"]["quarantined"]) == list(cleaning.COMPANY_RULES)[:3]
    assert set(report["usage"]["quarantined"]) == set(cleaning.USAGE_RULES) - {"before_sign_up"}
    for part, quarantine in (("companies", dirty.company_quarantine), ("usage", dirty.usage_quarantine)):
        counts = report[part]["quarantined"]
        assert {rule: count for rule, count in counts.items() if count} == dict(
            quarantine["rule"].value_counts()
        )
        assert min(counts.values()) > 0, "the dirty export has something for each rule"
    invalid = report["companies"]["quarantined"]["mrr_not_positive"]
    assert report["companies"]["conversions"] == dirty.companies["CLOSEDATE"].notna().sum() - invalid
    assert report["companies"]["kept"] == len(dirty.companies)
    assert report["usage"]["kept"] == len(dirty.usage)
    json.dumps(report, allow_nan=False)


def test_cleaning_what_is_clean_changes_nothing(dirty: Pipeline) -> None:
    usage, quarantine = cleaning.clean_usage(dirty.usage, dirty.companies["id"], dirty.period, hubspot())
    pd.testing.assert_frame_equal(usage, dirty.usage)
    assert quarantine.empty
    rows = dirty.companies[list(dirty.typed[CUSTOMERS])].astype({"ALEXA_RANK": "float64"})
    rows["ALEXA_RANK"] = rows["ALEXA_RANK"].mask(dirty.companies["unranked"] == 1, 16_000_001.0)
    paying = rows["CLOSEDATE"].notna()
    companies, quarantine = cleaning.clean_companies(
        [rows[paying], rows.loc[~paying, list(dirty.typed[NONCUSTOMERS])]],
        dirty.as_of,
        "most_complete",
        hubspot(),
    )
    pd.testing.assert_frame_equal(companies, dirty.companies)
    assert set(quarantine["rule"]) == {"mrr_not_positive"}


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_changes_nothing(dirty: Pipeline, seed: int) -> None:
    tables = {
        name: table.sample(frac=1, random_state=seed, ignore_index=True)
        for name, table in dirty_export().items()
    }
    shuffled = Pipeline(tables, dirty.params)
    pd.testing.assert_frame_equal(shuffled.companies, dirty.companies)
    pd.testing.assert_frame_equal(shuffled.usage, dirty.usage)
    for name in ("company_quarantine", "usage_quarantine"):
        found, expected = getattr(shuffled, name), getattr(dirty, name)
        order = list(expected.columns)
        pd.testing.assert_frame_equal(
            found.sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
        )
