from __future__ import annotations

import datetime as dt
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from conversion.config.params import ConfidenceOdds, TierProbabilities
from conversion.leads.lead_columns import REASON_COLUMNS, lead_columns
from conversion.pages.list_query import SORTS
from conversion.serving.message_types import MAX_COUNT, MAX_ID, MAX_TOTAL, MAX_WEEKS, Day
from conversion.serving.messages import (
    MAX_LEADS,
    Confidence,
    Error,
    Fault,
    Health,
    LeadsQuery,
    RegisteredModel,
    Tier,
)
from tests.contract_files import hubspot
from tests.exports import EMPLOYEE_RANGES, FIRMOGRAPHICS, MEASURES
from tests.serving import EXAMPLE, MESSAGES, History, Summary, UsageWeek, week

TOTALS = ("total_actions", "total_users", "days_active", "activity_frequency")


def read(text: str | dict[str, Any]) -> Any:
    return MESSAGES.company.validate_json(text if isinstance(text, str) else json.dumps(text))


def fault_of(text: str | dict[str, Any]) -> tuple[str, tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as caught:
        read(text)
    (fault,) = caught.value.errors()
    return fault["type"], fault["loc"][1:]


def with_week(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "usage": [week("2020-02-03") | fields]}


# Names and types


def test_the_names_are_those_of_the_data_contract() -> None:
    assert tuple(UsageWeek.model_fields) == ("WHEN_TIMESTAMP", *MEASURES)
    assert tuple(Summary.model_fields) == ("id", *FIRMOGRAPHICS, *TOTALS)
    assert tuple(History.model_fields) == ("id", *FIRMOGRAPHICS, "usage", "as_of")
    columns = lead_columns(hubspot())
    first, last = columns.index(REASON_COLUMNS[0]), columns.index(REASON_COLUMNS[-1])
    # Who calls and what moved come from the delivery, not from the stage `score`.
    listed = (*columns[:first], "reasons", *columns[last + 1 :], "rep", "moved")
    assert tuple(MESSAGES.lead.model_fields) == listed
    assert tuple(MESSAGES.lead_with_usage.model_fields) == (*listed, "usage")


def test_the_tiers_and_levels_are_those_of_the_params() -> None:
    assert get_args(Tier) == (*TierProbabilities.model_fields, "low")
    assert get_args(Confidence) == (*ConfidenceOdds.model_fields, "low")


@pytest.mark.parametrize(
    "model",
    [
        MESSAGES.prediction,
        MESSAGES.predictions,
        MESSAGES.leads,
        MESSAGES.lead_with_usage,
        Health,
        RegisteredModel,
        Error,
        Fault,
    ],
)
def test_answers_never_leave_a_key_out(model: type[Any]) -> None:
    assert all(field.is_required() for field in model.model_fields.values())


@pytest.mark.parametrize("employee_range", [*EMPLOYEE_RANGES, None])
def test_every_employee_range(employee_range: str | None) -> None:
    company = read({"id": 1, "EMPLOYEE_RANGE": employee_range})
    assert company == Summary(id=1, EMPLOYEE_RANGE=employee_range)


@pytest.mark.parametrize("wrong", ["", "26 To 50", "26-50", "10001 or more", " 1", 1, ["1"], True])
def test_other_employee_ranges_are_refused(wrong: object) -> None:
    assert fault_of({"id": 1, "EMPLOYEE_RANGE": wrong}) == ("literal_error", ("EMPLOYEE_RANGE",))


def test_the_example_of_the_original() -> None:
    company = read(EXAMPLE)
    assert isinstance(company, Summary)
    assert company.model_dump() == EXAMPLE


def test_only_the_id_is_required() -> None:
    company = read('{"id": 7}')
    assert company == Summary(id=7)
    assert set(company.model_dump(exclude={"id"}).values()) == {None}
    nothing = dict.fromkeys((*FIRMOGRAPHICS, *TOTALS), None)
    assert read({"id": 7} | nothing) == company


@pytest.mark.parametrize("company", [True, 1.5, "1", None, [1], {"id": 1}])
def test_ids_are_whole_numbers(company: object) -> None:
    assert fault_of({"id": company}) == ("int_type", ("id",))


@pytest.mark.parametrize("field", ["ALEXA_RANK", *TOTALS])
@pytest.mark.parametrize("wrong", ["5", True, [], {}])
def test_numbers_are_not_made_of_other_types(field: str, wrong: object) -> None:
    assert fault_of({"id": 1, field: wrong}) == ("float_type", (field,))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("wrong", [1.5, "1", False, None])
def test_counts_are_whole_numbers(measure: str, wrong: object) -> None:
    assert fault_of(with_week(**{measure: wrong})) == ("int_type", ("usage", 0, measure))


@pytest.mark.parametrize(("text", "value"), [("5.0", 5), ("1e3", 1000), ("-0.0", 0), ("70E-1", 7)])
def test_a_whole_number_may_have_a_point(text: str, value: int) -> None:
    """JSON Schema calls 5.0 an integer, and clients in JavaScript or R write it."""
    company = read(json.dumps(with_week(USERS_EMAIL=77)).replace("77", text))
    assert isinstance(company, History)
    for number in (read(f'{{"id": {text}}}').id, company.usage[0].USERS_EMAIL):
        assert number == value
        assert type(number) is int


def test_a_whole_number_with_a_point_must_be_exact() -> None:
    """2**53 + 1 reads as 2**53: another company's id."""
    assert read({"id": 2**53 + 1}).id == 2**53 + 1
    assert read({"id": float(2**53 - 1)}).id == 2**53 - 1
    for text in ("9007199254740993.0", "9007199254740992.0", "1.23456789012345678e17", "-1e18"):
        assert fault_of(f'{{"id": {text}}}') == ("int_type", ("id",))


# Bounds


@pytest.mark.parametrize(
    ("field", "allowed", "refused"),
    [
        ("id", [-MAX_ID, 0, MAX_ID], [-MAX_ID - 1, MAX_ID + 1, 10**30]),
        ("ALEXA_RANK", [0.001, 1, 16_000_001, MAX_TOTAL], [0, -1, -0.0, 1.1e12]),
        ("INDUSTRY", ["", "x" * 200], ["x" * 201]),
        *((total, [0, 0.5, 1, MAX_TOTAL], [-1e-9, -1, 1.1e12]) for total in TOTALS),
    ],
)
def test_bounds(field: str, allowed: list[Any], refused: list[Any]) -> None:
    for value in allowed:
        assert getattr(read({"id": 1, field: value}), field) == value
    for value in refused:
        kind, where = fault_of({"id": 1, field: value})
        assert where == (field,)
        assert kind in ("greater_than", "greater_than_equal", "less_than_equal", "string_too_long")


@pytest.mark.parametrize("measure", MEASURES)
def test_bounds_of_counts(measure: str) -> None:
    company = read(with_week(**{measure: MAX_COUNT}))
    assert isinstance(company, History)
    assert getattr(company.usage[0], measure) == MAX_COUNT
    assert fault_of(with_week(**{measure: MAX_COUNT + 1})) == ("less_than_equal", ("usage", 0, measure))
    assert fault_of(with_week(**{measure: -1})) == ("greater_than_equal", ("usage", 0, measure))


def test_bounds_of_lists() -> None:
    weeks = [week("2020-02-03")] * (MAX_WEEKS + 1)
    assert fault_of({"id": 1, "usage": weeks}) == ("too_long", ("usage",))
    read({"id": 1, "usage": weeks[1:]})
    bounded = MESSAGES.companies(3)
    assert bounded.__name__ == "Companies"
    assert len(bounded.model_validate_json('{"companies": [{"id": 1}, {"id": 1}, {"id": 1}]}').companies) == 3
    assert bounded.model_validate_json('{"companies": []}').companies == []
    with pytest.raises(ValidationError, match="at most 3 items"):
        bounded.model_validate_json('{"companies": [{"id": 1}, {"id": 1}, {"id": 1}, {"id": 1}]}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400])
@pytest.mark.parametrize("field", ["id", "ALEXA_RANK", *TOTALS])
def test_numbers_are_finite(number: str, field: str) -> None:
    given = {"id": "1", field: number}
    kind, where = fault_of("{" + ", ".join(f'"{name}": {value}' for name, value in given.items()) + "}")
    assert where == (field,)
    assert kind in ("finite_number", "int_type", "less_than_equal")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1e-3"])
def test_counts_are_finite(number: str) -> None:
    text = json.dumps(with_week(USERS_EMAIL=77)).replace("77", number)
    assert fault_of(text) == ("int_type", ("usage", 0, "USERS_EMAIL"))


# Unknown and missing fields


@pytest.mark.parametrize("name", ["MRR", "CLOSEDATE", "alexa_rank", "as_of", "", "summary", "usage ", "é"])
def test_unknown_fields_of_a_summary_are_refused_by_name(name: str) -> None:
    assert fault_of({"id": 1, name: None}) == ("extra_forbidden", (name,))


@pytest.mark.parametrize("name", [*TOTALS, "MRR", "history"])
def test_unknown_fields_of_a_history_are_refused_by_name(name: str) -> None:
    assert fault_of({"id": 1, "usage": [], name: None}) == ("extra_forbidden", (name,))


def test_unknown_fields_of_a_week_are_refused_by_name() -> None:
    assert fault_of(with_week(id=1)) == ("extra_forbidden", ("usage", 0, "id"))


@pytest.mark.parametrize("name", ["WHEN_TIMESTAMP", *MEASURES])
def test_a_week_has_every_count(name: str) -> None:
    given = week("2020-02-03")
    del given[name]
    assert fault_of({"id": 1, "usage": [given]}) == ("missing", ("usage", 0, name))


# Days


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-03", "2020-02-03T00:00", "2020-02-03 00:00", "2020-02-03T00:00:00", "2020-02-03 00:00:00",
        "2020-02-03 00:00:00.000", "2020-02-03T00:00:00.000000",
    ],
)  # fmt: skip
def test_days_as_exports_write_them(text: str) -> None:
    company = read({"id": 1, "as_of": text, "usage": [week(text)]})
    assert isinstance(company, History)
    assert company.as_of == company.usage[0].WHEN_TIMESTAMP == dt.date(2020, 2, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        "", "2020-02-30", "2020-2-3", "20200203", "2020-W06-1", "2020-02-03T01:00", "2020-02-03 00:00:01",
        "2020-02-03T00:00Z", "2020-02-03T00:00:00+00:00", "2020-02-03 00:00:00.", " 2020-02-03",
        "2020-02-03\n", "٢٠٢٠-٠٢-٠٣", "0000-01-01", "10000-01-01", "-2020-02-03", "today", "0", "1580688000",
        1580688000, 18295, 20200203, True, 1.5, [], {},
    ],
)  # fmt: skip
def test_other_days_are_refused(wrong: object) -> None:
    assert fault_of({"id": 1, "as_of": wrong, "usage": []})[1] == ("as_of",)
    assert fault_of(with_week(WHEN_TIMESTAMP=wrong))[1] == ("usage", 0, "WHEN_TIMESTAMP")


def test_null_is_no_week_but_an_as_of() -> None:
    assert fault_of(with_week(WHEN_TIMESTAMP=None))[1] == ("usage", 0, "WHEN_TIMESTAMP")
    company = read({"id": 1, "as_of": None, "usage": []})
    assert isinstance(company, History)
    assert company.as_of is None


@given(st.dates())
def test_every_day_there_is(day: dt.date) -> None:
    adapter: TypeAdapter[dt.date] = TypeAdapter(Day)
    assert adapter.validate_json(json.dumps(day.isoformat())) == day
    assert adapter.validate_json(json.dumps(f"{day.isoformat()} 00:00:00.000")) == day


@given(st.text(st.sampled_from("0123456789-T :.Z+"), max_size=30))
def test_any_text_is_a_day_or_refused(text: str) -> None:
    adapter: TypeAdapter[dt.date] = TypeAdapter(Day)
    try:
        day = adapter.validate_json(json.dumps(text))
    except ValidationError:
        return
    assert text[:10] == day.isoformat()


# Which kind of request


def test_usage_makes_a_history() -> None:
    assert isinstance(read({"id": 1}), Summary)
    assert isinstance(read({"id": 1, "usage": []}), History)
    assert fault_of({"id": 1, "usage": None}) == ("list_type", ("usage",))
    assert fault_of({"id": 1, "usage": {}}) == ("list_type", ("usage",))


def test_models_are_told_apart_as_json_is() -> None:
    for company in (Summary(id=1), History(id=1, usage=[])):
        assert MESSAGES.company.validate_python(company) is company


@pytest.mark.parametrize("text", ["[]", "1", "null", '"usage"', '["usage"]', "true"])
def test_a_company_is_an_object(text: str) -> None:
    with pytest.raises(ValidationError):
        read(text)


# Queries


@pytest.mark.parametrize("tier", [None, *get_args(Tier)])
def test_queries_of_leads(tier: str | None) -> None:
    given = {"limit": "10", "offset": "20"} | ({} if tier is None else {"tier": tier})
    query = LeadsQuery.model_validate_strings(given)
    assert (query.tier, query.limit, query.offset) == (tier, 10, 20)


def test_a_query_has_defaults() -> None:
    query = LeadsQuery.model_validate_strings({})
    assert (query.tier, query.limit, query.offset) == (None, 50, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "-1"), ("limit", str(MAX_LEADS + 1)), ("limit", "1.0"), ("limit", ""),
        ("limit", "1_0"), ("limit", " 1"), ("limit", "+1"), ("limit", "٣"), ("limit", "1" * 5000),
        ("offset", "-1"), ("offset", str(MAX_COUNT + 1)), ("offset", "1e3"), ("offset", "null"),
        ("tier", ""), ("tier", "HIGH"), ("tier", "null"), ("page", "1"), ("Limit", "1"),
    ],
)  # fmt: skip
def test_queries_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LeadsQuery.model_validate_strings({name: value})
    (fault,) = caught.value.errors()
    assert fault["loc"] == (name,)


def test_what_rose_or_fell_is_since_the_list_before_however_old_that_is() -> None:
    """As ``probability_before`` says: several weeks may lie between two deliveries."""
    description = LeadsQuery.model_fields["sort"].description
    assert description is not None
    for text in (description, SORTS["rose"], SORTS["fell"]):
        assert "since the list before" in text
        assert "week" not in text
