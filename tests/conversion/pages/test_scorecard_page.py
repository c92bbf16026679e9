from __future__ import annotations

import re

import pytest

from conversion.pages.scorecard_page import NO_CONTROL_GROUP, scorecard_html
from tests.scorecards import a_year, delivery, results_of, today, week


@pytest.fixture(scope="module")
def page() -> str:
    lists, export, contacts = a_year()
    return scorecard_html(results_of(lists, export, contacts, forgotten=2))


def test_it_has_what_became_of_the_lists(page: str) -> None:
    for said in ("By length of the list", "By tier", "By rep", "By first reason", "held back", "explorers"):
        assert said in page
    assert "In no number above: 2 places on call lists or in the control group." in page
    assert page.count("<svg") > 10


def test_what_calling_does_reads_well_whatever_its_sign(page: str) -> None:
    assert re.search(r"What calling adds: [+\u2212]\d+\.\d conversions per 100 companies", page)
    assert "companies offered as explorers, " in page
    assert re.search(r"On the earlier 6 lists, [\d.]+.% converted; on the later 6, [\d.]+.%: ", page)


def test_it_needs_nothing_from_elsewhere_and_runs_no_script(page: str) -> None:
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#)', page)


def test_without_a_mature_list_it_says_when_and_draws_nothing() -> None:
    results = results_of([delivery(week(0), [{"id": "a"}])], today(["a"], {}, as_of="2020-01-13"))
    page = scorecard_html(results)
    assert "will be on 5 February 2020" in page
    assert NO_CONTROL_GROUP in page
    assert "<svg" not in page


def test_names_of_reps_and_reasons_do_no_harm() -> None:
    rows = [{"id": "a", "rep": "<script>alert(1)</script>", "fact_1": "<b>x</b>"}]
    first = delivery(week(0), rows)
    second = delivery(week(0), rows, number=2, reason="<img src=x>")
    page = scorecard_html(results_of([first, second], today(["a"], {"a": "2020-01-07"})))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
