from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.pages.lead_filters import MAX_SHOWN_CHOICES, NONE, PEEK, filter_columns
from conversion.pages.lead_table import LeadTable
from tests.lists import COMPANIES, plain_list, projects_list


def ids(table, positions) -> list[object]:
    return [table.id_at(int(position)) for position in positions]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("acme", ["b", ".."]),
        ("ACME", ["b", ".."]),
        ("zürich", ["a"]),
        ("ZU\u0308RICH", ["a"]),  # with the accent as a character of its own
        ("ann", ["a", ".."]),
        ("c/ü", ["c/ü 1"]),
        ("nobody", []),
        (".*", []),
        ("\\", []),
    ],
)
def test_a_search_looks_at_ids_and_shown_columns_in_any_case(word: str, found: list[str]) -> None:
    table = projects_list()
    assert ids(table, np.flatnonzero(table.matches(word))) == found


def test_a_search_of_whole_ids_looks_at_their_digits() -> None:
    table = plain_list()
    assert ids(table, np.flatnonzero(table.matches("02"))) == [102]


def test_words_do_not_match_across_columns() -> None:
    assert not projects_list().matches("agann").any()


def test_the_filters_are_tier_columns_of_few_values_and_attributes() -> None:
    filters = projects_list().filters
    assert list(filters) == ["tier", "name", "owner", "country", "plan", "is_partner"]
    assert filters["plan"].choices == ("free", "team", "business", NONE), "in the contract's order"
    assert filters["country"].choices == ("CH", "US", NONE), "in the alphabet's order"
    assert filters["is_partner"].choices == ("yes", "no", NONE)
    assert filters["tier"].labels == ("Very high", "High", "Medium", "Low")


def test_a_column_of_many_values_is_no_filter() -> None:
    many = [
        dict(COMPANIES[0]) | {"id": str(place), "name": f"n{place}"} for place in range(MAX_SHOWN_CHOICES + 1)
    ]
    assert "name" not in projects_list(many).filters
    assert "name" in projects_list(many[:-1]).filters


def test_groups_stand_for_the_levels_of_a_category() -> None:
    assert list(plain_list().filters) == ["tier", "EMPLOYEE_RANGE"], "of one sector there is no choice"
    table = plain_list()
    table.leads["sector"] = ["Retail", "Unknown", "Retail"]
    assert list(table.filters) == ["tier", "EMPLOYEE_RANGE", "sector"]
    assert table.filters["sector"].title == "Sector"


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("owner", "Ann", ["a", ".."]),
        ("owner", NONE, ["c/ü 1"]),
        ("plan", "team", ["b"]),
        ("is_partner", "no", [".."]),
        ("tier", "low", [".."]),
        ("owner", "gone", []),
    ],
)
def test_a_filter(column: str, value: str, found: list[str]) -> None:
    table = projects_list()
    assert ids(table, np.flatnonzero(table.filters[column].has(value))) == found


def test_spaces_around_values_do_not_count() -> None:
    owners = [
        dict(each) | {"owner": owner}
        for each, owner in zip(COMPANIES, ["A  b", " A b ", " ", "x"], strict=True)
    ]
    table = projects_list(owners)
    assert table.filters["owner"].choices == ("A b", "x", NONE)
    assert ids(table, np.flatnonzero(table.filters["owner"].has("A b"))) == ["a", "b"]


def test_a_value_called_as_missing_ones_are_is_found_with_them() -> None:
    owners = [
        dict(company) | {"owner": owner}
        for company, owner in zip(COMPANIES, [NONE, None, "x", "y"], strict=True)
    ]
    table = projects_list(owners)
    assert ids(table, np.flatnonzero(table.filters["owner"].has(NONE))) == ["a", "b"]


def test_orders() -> None:
    table = projects_list()
    assert ids(table, table.by_value) == ["b", "..", "c/ü 1", "a"]
    assert ids(table, table.by_rise) == ["a", "..", "b", "c/ü 1"], "new ones last"
    assert ids(table, table.by_fall) == ["b", "..", "a", "c/ü 1"], "new ones last"
    assert ids(table, table.by_name) == ["b", "..", "a", "c/ü 1"], "in any case, those without a name last"
    assert ids(plain_list(), plain_list().by_name) == [100, 101, 102]


def test_a_lead_is_found_by_its_id() -> None:
    table = projects_list()
    assert [table.position(each["id"]) for each in COMPANIES] == [0, 1, 2, 3]
    assert table.position("A") is None
    assert plain_list().position(7) is None


def test_rows_are_plain_values() -> None:
    (row,) = projects_list().rows(np.array([1]))
    assert (row["rank"], row["is_partner"], row["head_count"], row["rank_before"]) == (2, True, None, 1.0)
    assert type(row["is_partner"]) is bool


def test_a_lead_is_called_by_its_first_shown_column_or_its_id() -> None:
    table = projects_list()
    assert [table.name_of(row) for row in table.rows(np.arange(3))] == ["Zürich AG", "acme", "c/ü 1"]


def test_activity_is_of_the_last_weeks_oldest_first() -> None:
    table = projects_list()
    assert table.activity_of(0, 4) == [0.0, 0.0, 6.0, 9.0]
    assert table.activity_of(1, 4) == [0.0, 0.0, 0.0, 0.0], "long ago"
    assert table.activity_of(3, 4) == [0.0, 0.0, 0.0, 0.0], "never"
    assert len(table.usage_of(0)) == 2
    assert not len(table.usage_of(3))


def test_without_any_usage() -> None:
    assert plain_list().activity_of(1, 2) == [0.0, 0.0]


def test_any_shown_column_and_attribute_filters_whatever_its_choices() -> None:
    table = projects_list()
    assert {"name", "owner"} <= set(filter_columns(table.contract))
    assert not table.filters.keys() - set(filter_columns(table.contract))
    assert table.has("name", "acme").tolist() == [False, True, False, False]
    many = [{"id": f"c{place}", "name": f"  Company {place} "} for place in range(60)]
    table = projects_list(many)
    assert "name" not in table.filters, "too many to choose from"
    assert np.flatnonzero(table.has("name", "Company 7")).tolist() == [7]
    assert not table.has("name", NONE).any()
    assert table.has("owner", NONE).all()
    assert table.has("plan", NONE).all()


def test_a_value_is_found_whatever_its_spaces_also_among_too_many_to_choose_from() -> None:
    spaces = "".join(each for each in map(chr, range(0x3001)) if each.isspace())
    many = [{"id": f"c{place}", "name": f"{spaces}Company{spaces}{place}{spaces}"} for place in range(60)]
    assert np.flatnonzero(projects_list(many).has("name", "Company 7")).tolist() == [7]


def test_a_category_of_very_many_values_behind_many_missing_ones_is_found_too() -> None:
    few = projects_list()
    countries = pd.Series([*[None] * PEEK, *(f"c{place}" for place in range(40_000))], dtype="str")
    leads = pd.DataFrame(dict.fromkeys(few.leads, None), index=countries.index)
    leads = leads.assign(tier="low", country=countries)
    table = LeadTable(leads, few.usage, few.contract, few.as_of)
    assert np.flatnonzero(table.has("country", "c39999")).tolist() == [PEEK + 39_999]


def test_leads_are_filtered_by_who_calls_them() -> None:
    table = projects_list()
    assert table.has("rep", NONE).all()
    assert not table.has("rep", "Ann").any()
    reps = pd.Series(["Ann", None, "Bo", "Ann"], dtype="str")
    delivered = LeadTable(table.leads.assign(rep=reps), table.usage, table.contract, table.as_of)
    assert delivered.filters["rep"].choices == ("Ann", "Bo", NONE)
    assert delivered.has("rep", "Ann").tolist() == [True, False, False, True]
    assert delivered.has("rep", NONE).tolist() == [False, True, False, False]
