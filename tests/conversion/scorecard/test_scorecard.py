from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from conversion.scorecard.results import ScorecardResults
from conversion.scorecard.sentences import lists_table
from tests.scorecards import a_year, delivery, results_of, today, week

IDS = ["a", "b", "c", "d", "e"]
ROWS = [
    {"id": "a", "probability": 0.5, "tier": "very_high", "rep": "Ann", "fact_1": "users", "rule_rank": 5},
    {"id": "b", "probability": 0.4, "tier": "high", "rep": "Bo", "fact_1": "size", "rule_rank": 4},
    {"id": "c", "probability": 0.2, "tier": "high", "status": "held_back", "rule_rank": 1},
    {"id": "d", "probability": 0.2, "tier": "medium", "status": "below", "rule_rank": 2},
    {"id": "e", "probability": 0.1, "tier": "medium", "status": "below", "rule_rank": 3},
]


def test_one_list_by_hand() -> None:
    results = results_of([delivery(week(0), ROWS)], today(IDS, {"a": "2020-01-10", "d": "2020-01-20"}))
    found = results.lists[0]
    assert found.as_of == dt.date(2020, 1, 6)
    # The call list is a and b; the rule's first two of the companies that could be called are d and e.
    assert (found.call_list.delivered.conversions, found.call_list.delivered.companies) == (1, 2)
    assert (found.call_list.rule.conversions, found.call_list.rule.companies) == (1, 2)
    assert found.prospects.rate.value == pytest.approx(0.4)
    assert [each.delivered.conversions for each in found.lengths] == [1, 1]
    assert [each.rule.conversions for each in found.lengths] == [1, 1]
    assert found.expected == pytest.approx(0.9)
    assert (found.held_back, found.explored) == (1, 0)
    whole = results.overall
    assert whole is not None
    assert whole.observed_over_expected.value == pytest.approx(1 / 0.9, abs=1e-6)
    assert whole.above_rule.value == 0.0
    assert [(each.name, each.converted.conversions, each.converted.companies) for each in results.tiers] == [
        ("very_high", 1, 1), ("high", 0, 1), ("medium", 1, 2),
    ]  # fmt: skip
    assert [(each.name, each.converted.conversions) for each in results.reps] == [("Ann", 1), ("Bo", 0)]
    assert {each.name: each.converted.conversions for each in results.reasons} == {"users": 1, "size": 0}
    assert results.trend is None
    assert results.effect.offered is None
    assert "50 % converted within 30 days" in results.line
    assert "the call list of 6 January 2020" in results.line


def test_the_interval_of_the_base_rate_is_from_resampling_companies_too() -> None:
    rows = [{"id": each, "rule_rank": at} for at, each in enumerate(IDS, 1)]
    lists = [delivery(week(number), rows) for number in range(3)]
    whole = results_of(lists, today(IDS, {"a": "2020-01-22"})).overall
    assert whole is not None
    # All prospects are on the call lists, so both are the same number.
    assert whole.prospects == whole.call_list.delivered


def test_the_last_delivery_of_a_week_counts_and_the_earlier_one_is_mentioned() -> None:
    export = today(IDS, {"a": "2020-01-10"})
    first = delivery(week(0), ROWS)
    second = delivery(week(0), [{"id": "b"}, {"id": "d"}], number=2, reason="two owners had left")
    results = results_of([first, second], export)
    assert [(each.number, each.reason) for each in results.lists] == [(2, "two owners had left")]
    assert results.lists[0].call_list.delivered.conversions == 0
    earlier = results.lists[0].earlier[0]
    assert (earlier.number, earlier.call_list.conversions, earlier.call_list.companies) == (1, 1, 2)
    assert results.overall is not None
    assert results.overall.lists == 1


def test_a_list_that_is_not_old_enough_waits() -> None:
    export = today(IDS, {"a": "2020-01-10"}, as_of="2020-02-10")
    results = results_of([delivery(week(0), ROWS), delivery(week(2), ROWS)], export)
    assert [each.as_of for each in results.lists] == [week(0)]
    assert [(each.as_of, each.mature_on) for each in results.waiting] == [(week(2), dt.date(2020, 2, 19))]


def test_without_a_mature_list_it_says_when_the_first_will_be() -> None:
    results = results_of([delivery(week(0), ROWS)], today(IDS, {}, as_of="2020-01-13"))
    assert results.overall is None
    assert results.lists == ()
    assert results.power is None
    assert results.line == (
        "No delivered list is 30 days old yet: the first, of 6 January 2020, will be on 5 February 2020."
    )


def test_a_new_horizon_does_not_change_what_is_said_of_older_lists() -> None:
    lists = [delivery(week(0), ROWS), delivery(week(1), ROWS, horizon_days=60)]
    young = results_of(lists, today(IDS, {}, as_of="2020-01-20"))
    assert young.line == (
        "No delivered list is 30 days old yet: the first, of 6 January 2020, will be on 5 February 2020."
    )
    assert " converted within 30 days " in results_of(lists, today(IDS, {}, as_of="2020-02-10")).line


def test_without_a_delivery_it_says_so() -> None:
    results = results_of([], today(IDS, {}))
    assert results.line.startswith("No list has been delivered yet")
    assert results.horizon_days is None
    assert lists_table(results.lists).empty


def test_unknown_outcomes_count_nowhere_and_are_counted() -> None:
    export = today(["a", "c", "d", "e"], {"a": "2019-12-30"})
    results = results_of([delivery(week(0), ROWS)], export, forgotten=3)
    found = results.lists[0]
    assert (found.left_out.not_in_export, found.left_out.no_prospect) == (1, 1)
    assert found.call_list.delivered.companies == 0
    assert found.call_list.delivered.rate.value is None
    assert found.expected == 0.0
    assert results.forgotten == 3


def test_a_company_on_every_list_is_one_company() -> None:
    # One of two companies converts, on both lists: the interval knows that these are two companies, not four.
    lists = [delivery(week(at), [{"id": each} for each in ("a", "b")]) for at in range(2)]
    whole = results_of(lists, today(["a", "b"], {"a": "2020-01-20"})).overall
    assert whole is not None
    assert (whole.companies, whole.converters) == (2, 1)
    rate = whole.call_list.delivered.rate
    assert (rate.value, rate.low, rate.high) == (0.5, 0.0, 1.0)


def test_the_trend_compares_the_later_half_with_the_earlier() -> None:
    names = [f"{at}" for at in range(8)]
    lists = [delivery(week(5 * at), [{"id": names[2 * at]}, {"id": names[2 * at + 1]}]) for at in range(4)]
    converted = {names[at]: str(week(5 * (at // 2)) + dt.timedelta(days=3)) for at in (1, 4, 5, 6)}
    trend = results_of(lists, today(names, converted, as_of="2021-01-04")).trend
    assert trend is not None
    assert (trend.earlier_lists, trend.later_lists) == (2, 2)
    assert (trend.earlier, trend.later, trend.change.value) == (0.25, 0.75, 0.5)


def test_a_year_with_a_control_group_explorers_and_contacts() -> None:
    lists, export, contacts = a_year()
    results = results_of(lists, export, contacts)
    effect = results.effect
    assert effect.offered is not None
    assert effect.explored is not None
    assert effect.naive is not None
    assert effect.per_call is not None
    assert effect.offered.second.called == 0.0
    assert effect.naive_excess == pytest.approx(
        effect.naive.difference.value - effect.per_call.value,
        abs=2e-6,  # type: ignore[operator]
    )
    assert "30 days of the first list" in effect.estimand
    assert results.contacts is not None
    assert 0 < results.contacts.reach.called == results.contacts.reach.reached < results.contacts.reach.listed
    assert [each.tier for each in results.contacts.overrides] == ["very_high", "high", "medium"]
    assert results_of(lists, export).contacts is None
    assert results_of(lists, export).effect.naive is None
    assert results_of(lists, export).effect.offered == effect.offered.model_copy(
        update={
            name: getattr(effect.offered, name).model_copy(update={"called": None})
            for name in ("first", "second")
        }
    )


def test_the_same_tables_give_the_same_results_through_json() -> None:
    lists, export, contacts = a_year()
    results = results_of(lists, export, contacts)
    assert results == results_of(lists, export, contacts)
    assert ScorecardResults.model_validate_json(results.model_dump_json()) == results


def test_reasons_have_the_titles_of_their_facts() -> None:
    rows = [{"id": "a", "fact_1": "people"}, {"id": "b", "fact_1": "attribute:of another contract"}]
    found = results_of([delivery(week(0), rows)], today(["a", "b"], {})).reasons
    assert {each.name: each.title for each in found} == {
        "people": "How many people use it",
        "attribute:of another contract": "attribute:of another contract",
    }


def test_the_table_has_a_row_for_each_list_and_length() -> None:
    results = results_of([delivery(week(0), ROWS)], today(IDS, {"a": "2020-01-10"}))
    table = lists_table(results.lists)
    assert table["part"].tolist() == ["call_list", "first_1", "first_2"]
    assert table["as_of"].unique().tolist() == ["2020-01-06"]
    assert table.loc[0, ["conversions", "expected", "held_back"]].tolist() == [1, 0.9, 1]
    assert pd.isna(table.loc[1, "expected"])
