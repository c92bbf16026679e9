from __future__ import annotations

import dataclasses

import pytest

from conversion.delivery.leavers import Leaver
from conversion.pages.left_section import left_section
from conversion.pages.list_page import list_page
from conversion.pages.list_query import ListQuery
from tests.lists import ABOUT, HOSTILE, SITE, projects_list

LEFT = (
    Leaver("z", "Gone Ltd", 3, "Ann", "converted", "Became a customer on 23 April 2020"),
    Leaver("y", None, 7, None, "converted", "Became a customer on 24 April 2020"),
    Leaver("b", "acme", 1_250, "Bo", "cooled", "Quiet in the last two weeks"),
)


def test_what_it_says() -> None:
    section = left_section(LEFT, ListQuery(), projects_list(), SITE)
    assert section is not None
    assert section.summary == "Left the call list since the last one: 3 companies"
    assert section.reasons == "2 became customers and 1 is no longer at the top"
    assert [(each.name, each.address) for each in section.companies] == [
        ("Gone Ltd", None),
        ("y", None),
        ("acme", "/companies/b"),  # still on the list
    ]


def test_a_rep_sees_their_own() -> None:
    def names(rep: str) -> list[str]:
        section = left_section(LEFT, ListQuery(filters={"rep": rep}), projects_list(), SITE)
        return [] if section is None else [each.name for each in section.companies]

    assert [names(rep) for rep in ("Ann", "Bo", "(none)", "Cem")] == [["Gone Ltd"], ["acme"], ["y"], []]


@pytest.mark.parametrize(
    "query", [ListQuery(page=2), ListQuery(search="acme"), ListQuery(filters={"tier": "high"})]
)
def test_it_is_not_among_what_was_searched_for(query: ListQuery) -> None:
    assert left_section(LEFT, query, projects_list(), SITE) is None


def test_the_page_has_it_closed() -> None:
    text = list_page(projects_list(), ListQuery(), dataclasses.replace(ABOUT, left=LEFT), SITE)
    assert '<details class="gone">' in text
    assert '<a href="/companies/b"><bdi>acme</bdi></a>' in text
    assert "was 1,250, called by <bdi>Bo</bdi>" in text
    assert "Quiet in the last two weeks.</span>" in text
    assert "<details" not in list_page(projects_list(), ListQuery(), ABOUT, SITE)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_harmless(name: str) -> None:
    leaver = Leaver(name, name, 1, name, "gone", name)
    text = list_page(projects_list(), ListQuery(), dataclasses.replace(ABOUT, left=(leaver,)), SITE)
    assert "<script>alert" not in text
    assert "<img" not in text
