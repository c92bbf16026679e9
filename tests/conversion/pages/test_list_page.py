from __future__ import annotations

import csv
import dataclasses
import io
import re

import pytest

from conversion.pages.layout import Site
from conversion.pages.list_page import csv_of, list_page
from conversion.pages.list_query import ListQuery
from tests.lists import ABOUT, COMPANIES, HOSTILE, SITE, USAGE, plain_list, projects_list


def page(query: ListQuery | None = None, table=None, about=ABOUT, site=SITE) -> str:
    text = list_page(projects_list() if table is None else table, query or ListQuery(), about, site)
    return " ".join(text.split())


def test_what_a_row_says() -> None:
    text = page()
    assert '<a href="/companies/a"><bdi>Zürich AG</bdi></a>' in text
    assert '<span class="of">Owner</span> <bdi>Ann</bdi>' in text
    assert "<b>50 %</b>" in text
    assert 'Expected value <span class="unit">(EUR)</span></th>' in text
    assert '<span class="of">Expected value EUR </span>10</td>' in text
    assert '<span class="move up">Up from 3</span> <span class="of">was 20 %</span>' in text
    assert '<span class="move down">Down from 1</span>' in text
    assert '<span class="move new">New</span>' in text
    assert '<span class="move same">Same place</span></td>' in text, "the same probability is not told"


def test_a_list_of_one_company() -> None:
    assert "1 company on the free tier" in page(table=projects_list(changed=COMPANIES[:1], usage=USAGE[:1]))


def test_what_it_says_of_the_list() -> None:
    text = page()
    assert "4 companies on the free tier" in text
    assert "within 30 days first" in text
    assert "52 of 100 converted." in text
    assert "27 April 2020" in text
    assert "<code>abc123</code>" in text
    assert "Another model" not in text


def test_what_is_not_known_is_left_out() -> None:
    about = dataclasses.replace(ABOUT, record=None, horizon_days=None, of_served_model=False)
    text = page(table=plain_list(), about=about)
    assert "Since last week" not in text
    assert "converted." not in text
    assert "Another model made this list" in text
    assert '<a href="/companies/100"><bdi>100</bdi></a>' in text


def test_a_list_without_leads() -> None:
    text = page(table=plain_list(0))
    assert "No company matches." in text
    assert "<table" not in text


def test_pages() -> None:
    many = [dict(COMPANIES[0]) | {"id": f"n{place}", "name": f"n{place}"} for place in range(120)]
    table = projects_list(many)
    first, last = page(table=table), page(ListQuery(page=3), table)
    assert "1 to 50 of 120 companies." in first
    assert 'href="/?page=2"' in first
    assert ">Previous<" not in first
    assert "101 to 120 of 120 companies." in last
    assert "Page 3 of 3" in last
    assert ">Next<" not in last
    assert page(ListQuery(page=99), table) == last, "the last one, as lists get shorter"


def test_links_keep_what_was_asked_and_the_prefix() -> None:
    many = [dict(COMPANIES[0]) | {"id": f"n{place}", "name": "A&B"} for place in range(120)]
    many.append(COMPANIES[1])
    text = page(ListQuery("a&b", {"owner": "Ann"}, "name"), projects_list(many), site=Site("/crm"))
    assert 'href="/crm/?q=a%26b&amp;sort=name&amp;by.owner=Ann&amp;page=2"' in text
    assert 'href="/crm/leads.csv?q=a%26b&amp;sort=name&amp;by.owner=Ann"' in text
    links = re.findall(r'(?:href|src|action)="([^"]*)"', text)
    assert all(link.startswith(("/crm/", "#", "data:,")) for link in links), links


def test_what_was_asked_is_shown_in_the_form() -> None:
    text = page(ListQuery("acme", {"owner": "Cleo"}))
    assert 'value="acme"' in text
    assert '<option value="Cleo" selected>Cleo</option>' in text, "though nobody has this owner this week"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str) -> None:
    hostile = dict(COMPANIES[0]) | {"name": name, "owner": name, "country": name}
    table = projects_list([hostile, COMPANIES[1]])
    text = list_page(table, ListQuery(name[:50], {"owner": name}), ABOUT, SITE)
    assert "<script>alert" not in text
    assert "<img" not in text
    assert ">49<" not in text
    assert text.count("<script") == 1


def test_nothing_is_inline() -> None:
    text = page()
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:|https?://", text)
    assert not re.search(r"<script(?! src=)", text)


def rows_of(query: ListQuery, table=None) -> list[dict[str, str]]:
    text = "".join(csv_of(projects_list() if table is None else table, query))
    assert text.startswith("\ufeff"), "spreadsheets know by it that it is UTF-8"
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_the_download_has_the_leads_that_were_asked_for() -> None:
    table = projects_list()
    assert [row["id"] for row in rows_of(ListQuery())] == ["a", "b", "c/ü 1", ".."]
    found = rows_of(ListQuery("acme", sort="rose", page=7))
    assert [row["id"] for row in found] == ["..", "b"], "of all pages"
    assert list(found[0]) == list(table.leads)
    assert rows_of(ListQuery("nobody")) == []


def test_whole_numbers_of_the_download_have_no_decimals() -> None:
    table = projects_list()
    numbers = {"last_week_actions": [117.0, None, 2.0, 3.0], "last_week_users": [6.0, None, 1.0, 1.0]}
    table.leads = table.leads.assign(**numbers)
    rows = rows_of(ListQuery(), table)
    assert [row["last_week_actions"] for row in rows] == ["117", "", "2", "3"]
    assert [row["last_week_users"] for row in rows] == ["6", "", "1", "1"]
    assert all(row["rank_before"].isdecimal() for row in rows if row["rank_before"])
    text = "".join(csv_of(table, ListQuery())).splitlines()[1]
    assert ",117,6," in text, "numbers are not quoted"


@pytest.mark.parametrize("name", [*HOSTILE, "+1", "-1", "@x", "\t=1", "a\rb", "a\nb", 'a"b', "'x"])
def test_no_cell_of_the_download_is_a_formula(name: str) -> None:
    (row,) = rows_of(ListQuery(), projects_list([dict(COMPANIES[0]) | {"name": name}]))
    assert row["name"] in {name, f"'{name}"}
    assert not re.match(r"\s*[=+\-@]|[\t\r\n]", row["name"])


def test_a_long_download_comes_in_parts() -> None:
    many = [dict(COMPANIES[0]) | {"id": f"n{place}"} for place in range(5_001)]
    parts = list(csv_of(projects_list(many), ListQuery()))
    assert len(parts) == 2
    assert "".join(parts).count("\ufeff") == 1
    assert [row["id"] for row in csv.DictReader(io.StringIO("".join(parts)))] == [row["id"] for row in many]
