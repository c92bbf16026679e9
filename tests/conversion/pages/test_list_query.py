from __future__ import annotations

import numpy as np
import pytest

from conversion.pages import list_query
from conversion.pages.list_query import ListQuery, QueryError, Selection, read_query, select, sorts_of
from tests.lists import plain_list, projects_list


def test_nothing_asked_is_the_whole_list_by_rank() -> None:
    table = projects_list()
    assert read_query([], table) == ListQuery()
    empty = [("q", ""), ("tier", ""), ("by.owner", " "), ("sort", ""), ("page", "")]
    assert read_query(empty, table) == ListQuery(), "forms send their empty fields"
    assert select(table, ListQuery()).tolist() == [0, 1, 2, 3]


def test_all_at_once() -> None:
    table = projects_list()
    given = [("q", "  acme   AN "), ("by.owner", "Ann"), ("tier", "low"), ("sort", "name"), ("page", "2")]
    query = read_query(given, table)
    assert query == ListQuery("acme AN", {"owner": "Ann", "tier": "low"}, "name", 2)
    assert select(table, query).tolist() == [3]
    assert read_query(list(query.parameters(2).items()), table) == query


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([("tier", "top")], "There is no tier “top”."),
        ([("sort", "size")], "The list cannot be sorted by “size”."),
        ([("page", "0")], "There is no page “0”."),
        ([("page", "-1")], "There is no page “-1”."),
        ([("page", "1.0")], "There is no page “1.0”."),
        ([("page", "٣")], "There is no page “٣”."),
        ([("page", "9" * 30)], f"There is no page “{'9' * 30}”."),
        ([("limit", "5")], "The list cannot be narrowed by “limit”."),
        ([("by.MRR", "5")], "The list cannot be narrowed by “by.MRR”."),
        ([("by.tier", "low")], "The list cannot be narrowed by “by.tier”."),
        ([("q", "a"), ("q", "b")], "“q” is given twice."),
        ([("q", "x" * 101)], "A search can have 100 characters at most, this one has 101."),
        ([("sort", "\x00\n<b>")], "The list cannot be sorted by “<b>”."),
        ([("sort", "y" * 500)], f"The list cannot be sorted by “{'y' * 79}…”."),
    ],
)
def test_a_bad_parameter_gets_one_sentence(given: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(QueryError) as error:
        read_query(given, projects_list())
    assert str(error.value) == sentence


def test_a_value_of_another_week_is_no_mistake() -> None:
    table = projects_list()
    query = read_query([("by.owner", "Cleo")], table)
    assert select(table, query).tolist() == []


def test_a_list_without_values_or_a_past_cannot_be_sorted_by_them() -> None:
    assert sorts_of(projects_list()) == ("rank", "value", "rose", "fell", "name")
    assert sorts_of(plain_list()) == ("rank", "value", "name")
    with pytest.raises(QueryError):
        read_query([("sort", "rose")], plain_list())


@pytest.mark.parametrize(
    ("sort", "expected"), [("rank", [1, 3]), ("value", [1, 3]), ("rose", [3, 1]), ("name", [1, 3])]
)
def test_a_search_keeps_the_order(sort: str, expected: list[int]) -> None:
    assert select(projects_list(), ListQuery(search="acme", sort=sort)).tolist() == expected


@pytest.mark.parametrize("sparse", [1, 10_000], ids=["walked", "sorted"])
@pytest.mark.parametrize("sort", ["rank", "value", "name"])
@pytest.mark.parametrize("filters", [{}, {"plan": "free"}, {"plan": "none of these"}], ids=str)
def test_a_page_is_a_part_of_all_that_a_query_asks_for(
    filters: dict[str, str], sort: str, sparse: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the leads are looked at in blocks smaller than a page, from either end."""
    plans = np.random.default_rng(1).choice(["free", "team"], 40)
    table = projects_list([{"id": f"c{place * 7 % 40}", "plan": plan} for place, plan in enumerate(plans)])
    monkeypatch.setattr(list_query, "BLOCK", 3)
    monkeypatch.setattr(list_query, "SPARSE", sparse)
    query = ListQuery(filters=filters, sort=sort)
    every, selection = select(table, query).tolist(), Selection(table, query)
    assert selection.total == len(every)
    for begin in range(len(every) + 2):
        for size in (1, 7, 50):
            assert selection.between(begin, begin + size).tolist() == every[begin : begin + size]
