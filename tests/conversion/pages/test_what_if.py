from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from conversion.pages.list_query import QueryError
from conversion.pages.what_if import attribute_fields, changed, count_fields, last_week
from tests.contract_files import hubspot, projects
from tests.lists import AS_OF

LAST = "2020-04-20"


def a_history(**given: Any) -> dict[str, Any]:
    week = {"week": LAST, "projects_actions": 9, "projects_users": 3, "automation_runs": 0}
    week |= {"invoices_sent": 0, "invoices_users": 0}
    attributes = {"country": "CH", "plan": "free", "head_count": 12.0, "is_partner": None}
    return {"id": "a", "as_of": "2020-04-27", "usage": [week]} | attributes | given


def test_the_last_week_is_the_one_before_the_list() -> None:
    assert last_week(projects(), AS_OF) == LAST
    assert last_week(hubspot(), dt.date(2020, 3, 2)) == "2020-02-24"


def test_fields_of_attributes() -> None:
    fields = attribute_fields(projects(), a_history(), {"country": ("CH", "DE")})
    assert [(field.name, field.kind, field.value, field.options) for field in fields] == [
        ("set.country", "choice", "CH", ("CH", "DE")),
        ("set.plan", "choice", "free", ("free", "team", "business")),
        ("set.head_count", "number", "12", ()),
        ("set.is_partner", "flag", "", ("yes", "no")),
    ]
    assert [field.title for field in fields] == ["Country", "Plan", "Employees", "Is partner"]


def test_a_value_that_the_model_does_not_know_can_be_kept() -> None:
    country, *_ = attribute_fields(projects(), a_history(country="Atlantis"), {"country": ("CH", "DE")})
    assert country.options == ("CH", "DE", "Atlantis")


def test_a_category_of_many_values_is_text() -> None:
    levels = tuple(f"c{place}" for place in range(2_000))
    country, *_ = attribute_fields(projects(), a_history(), {"country": levels})
    assert (country.kind, country.options, len(country.known)) == ("text", (), 1_000)


def test_fields_of_the_last_week() -> None:
    modules = count_fields(projects(), a_history(), AS_OF)
    assert [(each.title, each.actions.value, each.users and each.users.value) for each in modules] == [
        ("Projects", "9", "3"),
        ("Automations", "0", None),
        ("Invoices", "0", "0"),
    ]
    unused = count_fields(projects(), a_history(usage=[]), AS_OF)
    assert [each.actions.value for each in unused] == ["0", "0", "0"]


def test_nothing_changed_is_the_company_as_it_is() -> None:
    history = a_history()
    as_shown = [("set.country", "CH"), ("set.plan", "free"), ("set.head_count", "12"), ("set.is_partner", "")]
    as_shown += [("week.projects_actions", "9"), ("week.projects_users", "3")]
    assert changed(history, as_shown, projects(), AS_OF) == a_history()
    assert history == a_history(), "the history itself is left alone"


def test_changes() -> None:
    given = [
        ("set.plan", "team"),
        ("set.head_count", " 1.5 "),
        ("set.is_partner", "yes"),
        ("set.country", ""),
    ]
    new = changed(a_history(), [*given, ("week.automation_runs", "7")], projects(), AS_OF)
    assert (new["plan"], new["head_count"], new["is_partner"], new["country"]) == ("team", 1.5, True, None)
    assert new["usage"][0]["automation_runs"] == 7
    assert new["usage"][0]["projects_actions"] == 9


def test_a_week_without_usage_has_no_row() -> None:
    none = changed(a_history(usage=[]), [("week.projects_actions", "0")], projects(), AS_OF)
    assert none["usage"] == []
    some = changed(a_history(usage=[]), [("week.projects_actions", "2")], projects(), AS_OF)
    assert [(week["week"], week["projects_actions"], week["invoices_sent"]) for week in some["usage"]] == [
        (LAST, 2, 0)
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([("set.head_count", "many")], "Employees should be a number."),
        ([("set.is_partner", "maybe")], "Is partner should be yes or no."),
        ([("week.projects_actions", "-1")], "projects_actions should be a whole number."),
        ([("week.projects_actions", "1e3")], "projects_actions should be a whole number."),
        ([("week.projects_actions", "9" * 19)], "projects_actions should be a whole number."),
        ([("set.MRR", "5")], "A company has no “set.MRR”."),
        ([("set.plan", "free"), ("set.plan", "team")], "“set.plan” is given twice."),
    ],
)
def test_a_change_that_is_none_gets_one_sentence(given: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(QueryError) as error:
        changed(a_history(), given, projects(), AS_OF)
    assert str(error.value) == sentence
