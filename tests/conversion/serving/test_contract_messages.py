"""Messages, OpenAPI document and examples of contracts other than the default one."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from pydantic import ValidationError

from conversion.config.data_contract import Contract
from conversion.serving.contract_messages import Messages, build_messages
from conversion.serving.examples import history_example, summary_example
from conversion.serving.openapi import openapi_document
from conversion.serving.refusals import RefusalError
from conversion.serving.request_arrays import RequestReader, week_of
from tests.contract_files import hubspot, projects
from tests.serving import MESSAGES, PROJECTS

SUMMARY = {
    "id": "007", "country": "DE", "plan": "team", "head_count": 12.0, "is_partner": True, "total_actions": 9,
    "total_users": 2, "days_active": 7, "activity_frequency": 0.25,
}  # fmt: skip
WEEK = {
    "week": "2019-08-05", "projects_actions": 5, "automation_runs": 3, "invoices_sent": 2,
    "projects_users": 2, "invoices_users": 1,
}  # fmt: skip


def contract_of(attributes: dict[str, Any] | None = None, **usage: Any) -> Contract:
    """Return a contract of one module, with these attributes and keys of usage."""
    given = {"table": "use", "id": "id", "time": "week", "modules": {"docs": {"actions": "edits"}}}
    companies = {
        "tables": {"accounts": "some"},
        "id": "id",
        "ids": "whole",
        "converted": "paid",
        "attributes": attributes or {},
    }
    return Contract.model_validate({"companies": companies, "usage": given | usage})


def read(messages: Messages, body: dict[str, Any]) -> Any:
    return messages.company.validate_json(json.dumps(body))


def fault_of(messages: Messages, body: dict[str, Any]) -> tuple[str, tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as caught:
        read(messages, body)
    (fault,) = caught.value.errors()
    return fault["type"], fault["loc"][1:]


# Of the tool for project work


def test_the_fields_are_the_contracts() -> None:
    attributes = tuple(projects().companies.attributes)
    totals = ("total_actions", "total_users", "days_active", "activity_frequency")
    assert tuple(PROJECTS.summary.model_fields) == ("id", *attributes, *totals)
    assert tuple(PROJECTS.history.model_fields) == ("id", *attributes, "usage", "as_of")
    assert tuple(PROJECTS.usage_week.model_fields) == tuple(WEEK)
    assert tuple(PROJECTS.lead.model_fields) == (
        "rank", "id", "probability", "tier", "expected_mrr", "probability_before", "rank_before", "fit",
        "activity", "name", "owner", *attributes, "last_active_week", "last_week_actions", "last_week_users",
        "reasons", "caution", "evidence", "rep", "moved",
    )  # fmt: skip


def test_a_summary_and_a_history() -> None:
    assert read(PROJECTS, SUMMARY).model_dump() == SUMMARY
    company = read(PROJECTS, {"id": "a/b", "usage": [WEEK]})
    assert company.usage[0].model_dump(mode="json") == WEEK
    assert company.id == "a/b"


@pytest.mark.parametrize("company_id", ["1", "0001", "acme-7", "ß", " ", "x" * 200, "a/b?c#d", "\u2028"])
def test_ids_are_text(company_id: str) -> None:
    assert read(PROJECTS, {"id": company_id}).id == company_id


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (1, "string_type"), (None, "string_type"), ("", "string_too_short"), ("x" * 201, "string_too_long"),
        ("a\nb", "string_pattern_mismatch"), ("\x00", "string_pattern_mismatch"),
        ("a\n", "string_pattern_mismatch"), ("\x7f", "string_pattern_mismatch"),
    ],
)  # fmt: skip
def test_ids_that_are_refused(wrong: object, kind: str) -> None:
    assert fault_of(PROJECTS, {"id": wrong}) == (kind, ("id",))


@pytest.mark.parametrize(
    ("field", "wrong", "kind"),
    [
        ("plan", "Team", "literal_error"), ("plan", 1, "literal_error"),
        ("is_partner", "yes", "bool_type"), ("is_partner", 1, "bool_type"),
        ("head_count", 0, "greater_than"), ("head_count", "12", "float_type"),
        ("country", "x" * 201, "string_too_long"), ("country", 49, "string_type"),
        ("name", "Müller", "extra_forbidden"), ("owner", None, "extra_forbidden"),
        ("arr", 1, "extra_forbidden"), ("paid_since", "2019-01-01", "extra_forbidden"),
    ],
)  # fmt: skip
def test_values_that_are_refused(field: str, wrong: object, kind: str) -> None:
    """What is shown in the list only is no input either."""
    assert fault_of(PROJECTS, SUMMARY | {field: wrong}) == (kind, (field,))


def test_fewer_actions_than_users_only_where_there_are_users() -> None:
    reader = reader_of(PROJECTS)
    week = WEEK | {"automation_runs": 0, "invoices_users": 3}
    with pytest.raises(RefusalError) as caught:
        reader.usage_block([read(PROJECTS, {"id": "1", "usage": [week]})], [2600], [""])
    (fault,) = caught.value.body.detail
    assert fault.model_dump() == {
        "field": "usage[0].invoices_users",
        "given": "3",
        "allowed": "at most invoices_sent, which is 2",
    }


def reader_of(messages: Messages) -> RequestReader:
    levels = {"country": ("DE", "US", "Other", "Unknown")}
    return RequestReader(messages, levels, {"country": ("FR",)})


def test_a_block_by_hand() -> None:
    """Its columns: three modules' actions, two modules' users, whether there is a row."""
    body = {"id": "1", "usage": [WEEK, WEEK | {"week": "2019-08-19", "automation_runs": 8}]}
    as_of = week_of(dt.date(2019, 8, 26))
    (block,) = reader_of(PROJECTS).usage_block([read(PROJECTS, body)], [as_of], [""])
    assert block.tolist() == [[5, 3, 2, 2, 1, 1], [0] * 6, [5, 8, 2, 2, 1, 1]]


def test_attributes_by_hand() -> None:
    """In the contract's order: the country's place, the plan, the head count, whether it is a partner."""
    reader = reader_of(PROJECTS)
    some = [
        {"country": "US"},
        {"country": "FR"},
        {"country": "XX"},
        {"plan": "business", "is_partner": False},
    ]
    companies = [read(PROJECTS, {"id": "1", "head_count": 5} | known) for known in some]
    values = reader.attributes(reader.encoded(companies), [2600] * 4)
    assert values.shape == (4, 1, 4)
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert values[:, 0].tolist() == [[1, nan, 5, nan], [2, nan, 5, nan], [2, nan, 5, nan], [3, 3, 5, 0]]
    assert reader.unseen_levels(companies) == {"country": 1}, "FR is rare, but known"


def test_what_counts_as_known() -> None:
    reader = reader_of(PROJECTS)
    some = [{}, {"country": None}, {"country": "XX"}, {"is_partner": False}, {"total_users": 0.0}]
    companies = [read(PROJECTS, {"id": "1"} | known) for known in some]
    known = reader.anything_known(companies, reader.encoded(companies))
    assert known == [False, False, True, True, True]


# Examples and the document


@pytest.mark.parametrize("messages", [MESSAGES, PROJECTS], ids=["hubspot", "projects"])
def test_examples_are_right(messages: Messages) -> None:
    for example in (summary_example(messages), history_example(messages)):
        company = read(messages, example)
        assert company.model_dump(mode="json") == example
    assert set(summary_example(messages)) == set(messages.summary.model_fields)


def test_the_examples_of_the_default_contract() -> None:
    assert summary_example(MESSAGES) == {
        "id": 123, "ALEXA_RANK": 50000, "EMPLOYEE_RANGE": "26 to 50", "INDUSTRY": "COMPUTER_SOFTWARE",
        "total_actions": 150, "total_users": 5, "days_active": 30, "activity_frequency": 5.0,
    }  # fmt: skip
    assert list(history_example(MESSAGES)["usage"][0].values()) == ["2020-04-20", 42, 7, 0, 12, 4, 2, 0, 3]


def test_the_document_is_of_the_contract() -> None:
    text = openapi_document(PROJECTS, 1000).decode()
    document = json.loads(text)
    validate(document, cls=OpenAPIV31SpecValidator)
    for column in (*hubspot().companies.attributes, *hubspot().counts, hubspot().usage.time, "sector"):
        assert column not in text
    schemas = document["components"]["schemas"]
    assert schemas["Summary"]["properties"]["plan"]["anyOf"][0]["enum"] == ["free", "team", "business"]
    assert schemas["Prediction"]["properties"]["company_id"]["type"] == "string"
    assert "invoices_users" in schemas["Fault"]["properties"]["field"]["description"]
    assert document["paths"]["/leads/{id}"]["get"]["parameters"][0]["schema"]["type"] == "string"
    assert "a day given as `week` or `as_of`" in document["info"]["description"]


# Other contracts


def test_without_users_and_value() -> None:
    messages = build_messages(contract_of())
    assert messages.totals == ("total_actions", "days_active", "activity_frequency")
    assert fault_of(messages, {"id": 1, "total_users": 1}) == ("extra_forbidden", ("total_users",))
    assert "expected_mrr" not in messages.lead.model_fields
    assert "last_week_users" not in messages.lead.model_fields
    assert "as users" not in json.loads(openapi_document(messages, 5))["info"]["description"]
    reader = RequestReader(messages, {}, {})
    company = read(messages, {"id": 1, "usage": [{"week": "2019-08-05", "edits": 4}]})
    assert reader.usage_block([company], [week_of(dt.date(2019, 8, 12))], [""]).tolist() == [[[4, 1]]]
    assert reader.attributes(reader.encoded([company]), [2600]).shape == (1, 1, 0)
    totals = reader.totals([read(messages, {"id": 1, "total_actions": 3})])
    assert (totals.actions.tolist(), totals.seen.tolist()) == ([3.0], [1.0])
    assert totals.users.tolist() == [pytest.approx(float("nan"), nan_ok=True)]


def test_weeks_that_start_on_sunday() -> None:
    """Sunday 2019-08-04 to Saturday 2019-08-10 is known on Monday 2019-08-12, as the Monday's week is."""
    messages = build_messages(contract_of(week_starts="sunday"))
    reader = RequestReader(messages, {}, {})
    as_of = week_of(dt.date(2019, 8, 12))

    def block(*days: str) -> list[Any]:
        usage = [{"week": day, "edits": place + 1} for place, day in enumerate(days)]
        found = reader.usage_block([read(messages, {"id": 1, "usage": usage})], [as_of], [""])
        return found[0, :, 0].tolist()

    assert block("2019-08-04") == block("2019-08-10") == [1]
    assert block("2019-07-28", "2019-08-04") == [1, 2]
    for day, says in (
        ("2019-08-11", "so 2019-08-04 at the latest"),
        ("1990-01-07", "2009-08-23 at the earl"),
    ):
        with pytest.raises(RefusalError, match=says):
            block(day)
    example = history_example(messages)
    assert (example["as_of"], example["usage"][0]["week"]) == ("2020-04-27", "2020-04-19")
    assert dt.date.fromisoformat("2020-04-19").weekday() == 6
    text = openapi_document(messages, 5).decode()
    assert "Sunday of the week; any other day" in text
    validate(json.loads(text), cls=OpenAPIV31SpecValidator)
    for day in ("0001-01-01", "9999-12-31"):  # nothing that a day may be is beyond the calendar
        with pytest.raises(RefusalError):
            block(day)


def test_measures_are_nullable_numbers() -> None:
    measures = {"storage": {"column": "gb", "combine": "max", "unit": "GB"}}
    messages = build_messages(contract_of(measures=measures))
    reader = RequestReader(messages, {}, {})
    week = {"week": "2019-08-05", "edits": 4}
    assert read(messages, {"id": 1, "usage": [week | {"gb": 1e15}]}).usage[0].gb == 1e15
    usage = [week | {"gb": 1.5}, week | {"week": "2019-07-29", "gb": None}, week | {"week": "2019-07-22"}]
    company = read(messages, {"id": 1, "usage": usage})
    (block,) = reader.usage_block([company], [week_of(dt.date(2019, 8, 12))], [""])
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert block.tolist() == [[4, 1, nan], [4, 1, nan], [4, 1, 1.5]]
    for wrong, kind in (("x", "float_type"), (1e16, "less_than_equal")):
        found = fault_of(messages, {"id": 1, "usage": [week | {"gb": wrong}]})
        assert found == (kind, ("usage", 0, "gb"))
    schema = json.loads(openapi_document(messages, 5))["components"]["schemas"]["UsageWeek"]
    assert "gb" not in schema["required"]
    assert schema["properties"]["gb"]["description"] == "storage, in GB; null is not known"


def test_numbers_cuts_and_days() -> None:
    attributes = {
        "score": {"kind": "number", "minimum": 0, "maximum": 10},
        "seats": {"kind": "ordered", "cuts": [10, 100]},
        "first invoice": {"kind": "date"},
        "rating": {"kind": "number", "minimum": 1, "maximum": 5, "not_applicable": 99},
    }
    messages = build_messages(contract_of(attributes))
    reader = RequestReader(messages, {}, {})
    known = {"score": 10, "seats": 100, "first invoice": "2019-08-01", "rating": 99}
    as_ofs = [week_of(dt.date(2019, 8, day)) for day in (12, 5)]
    company = read(messages, {"id": 1} | known)
    (twice,) = [reader.attributes(reader.encoded([company] * 2), as_ofs)[:, 0].tolist()]
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert twice == [[10, 3, 11, nan, 1], [10, 3, 4, nan, 1]]
    later = read(messages, {"id": 1, "first invoice": "2019-08-05"})
    assert reader.attributes(reader.encoded([later]), as_ofs[1:])[0, 0].tolist() == [nan, nan, nan, nan, nan]
    for field, wrong in (("score", -1), ("score", 11), ("seats", "10 or more"), ("first invoice", "soon")):
        assert fault_of(messages, {"id": 1, field: wrong})[1] == (field,)
    example = summary_example(messages)
    assert {name: example[name] for name in known} == {
        "score": 10, "seats": 100, "first invoice": "2020-01-31", "rating": 5,
    }  # fmt: skip
    read(messages, example)


ODD = (
    "Head Count (FTE)",
    "copy",
    "json",
    "_private",
    "model_type",
    "class",
    "ключ",
    "a.b",
    "column_0",
    "schema",
)


def test_columns_of_any_name() -> None:
    attributes = {
        name: {
            "kind": "number",
            "feature": {"name": f"f{place}", "description": "x"},
            "missing": {"name": f"m{place}", "description": "x"},
        }
        for place, name in enumerate(ODD)
    }
    messages = build_messages(contract_of(attributes, modules={"docs": {"actions": "weekly edits"}}))
    week = {"week": "2019-08-05", "weekly edits": 3}
    body = {"id": 1} | {name: float(place) for place, name in enumerate(ODD)}
    assert read(messages, body).model_dump(exclude_none=True) == body
    company = read(messages, {"id": 1, "usage": [week]})
    assert json.loads(company.model_dump_json())["usage"] == [week]
    for name in ODD:
        assert fault_of(messages, {"id": 1, name: "x"}) == ("float_type", (name,))
    assert fault_of(messages, {"id": 1, "usage": [{"week": "2019-08-05"}]}) == (
        "missing",
        ("usage", 0, "weekly edits"),
    )
    reader = RequestReader(messages, {}, {})
    values = reader.attributes(reader.encoded([read(messages, body)]), [2600])
    assert values[0, 0].tolist() == list(map(float, range(len(ODD))))
    document = json.loads(openapi_document(messages, 5))
    assert set(ODD) < set(document["components"]["schemas"]["Summary"]["properties"])
    assert set(ODD) < set(document["components"]["schemas"]["Lead"]["properties"])
