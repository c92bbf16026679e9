from __future__ import annotations

import re

import numpy as np
import pytest

from conversion.features.facts import Fact
from conversion.leads.reasons import Explained
from conversion.pages.company_page import (
    Answer,
    Company,
    Explanation,
    WhatIf,
    better_than,
    company_page,
    usage_by_module,
    usage_figure,
    waterfall_of,
)
from conversion.pages.similar import Similar
from conversion.pages.what_if import attribute_fields, count_fields
from tests.contract_files import projects
from tests.lists import ABOUT, AS_OF, COMPANIES, HOSTILE, SITE, plain_list, projects_list

NOTHING = Company(explanation=None, similar=(), what_if="Nothing can be tried.")


def explanation_of(base: float, *facts: tuple[str, str | None, float]) -> Explanation:
    explained = (Explained(Fact(title, title, "activity"), said, added) for title, said, added in facts)
    return Explanation(base, tuple(explained))


def page(position: int = 0, company: Company = NOTHING, table=None) -> str:
    text = company_page(projects_list() if table is None else table, position, company, ABOUT, SITE)
    return " ".join(text.split())


def test_what_it_says_of_a_company() -> None:
    text = page()
    assert "<h1><bdi>Zürich AG</bdi></h1>" in text
    assert "<b>50 %</b>" in text
    assert "Rank 1 of 4" in text
    assert "Of 9 companies scored 33 % or more, 3 converted within 30 days." in text
    assert "<dt>Employees</dt><dd><bdi>12</bdi></dd>" in text
    assert "<dt>Is partner</dt><dd><bdi>not known</bdi></dd>" in text
    assert "EUR 10.00" in text
    assert "None is known yet." in text
    assert "Nothing can be tried." in text
    assert "How the score comes about" not in text


def test_a_company_without_a_name_is_called_by_its_id() -> None:
    assert "<h1>Company <bdi>101</bdi></h1>" in page(1, table=plain_list())


def test_reasons_and_caution() -> None:
    table = projects_list()
    table.leads["reason_1"] = "Eight people <b>worked</b>"
    table.leads["caution"] = "No activity"
    text = page(table=table)
    assert "<li>Eight people &lt;b&gt;worked&lt;/b&gt;</li>" in text
    assert '<p class="caution"><b>But:</b> No activity</p>' in text
    assert "Nothing sets this company apart." in page()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_text(name: str) -> None:
    company = {key: name if isinstance(value, str) else value for key, value in COMPANIES[0].items()}
    fact = Fact("people", "People", "activity")
    similar = Similar({"id": 1, "name": name, "converted": "2020-01-02"}, (fact,))
    explanation = explanation_of(-1.0, ("People", name, 1.0))
    text = page(0, Company(explanation, (similar,), name), projects_list([company]))
    assert text.count("<script") == 1
    assert "<img" not in text
    assert not re.search(r"\sstyle=|\son\w+=", text.replace("onerror=alert(1)", ""))


def test_usage_has_a_line_for_each_module_in_use() -> None:
    table = projects_list()
    usage = usage_by_module(table, 0)
    assert len(usage.days) == 26
    assert usage.days[-1].isoformat() == "2020-04-20"
    assert {title: values[-2:].tolist() for title, values in usage.actions.items()} == {
        "Projects": [5.0, 9.0],
        "Automations": [1.0, 0.0],
        "Invoices": [0.0, 0.0],
    }
    drawn = usage_figure(usage)
    assert drawn is not None
    assert "<td>9 (3)</td>" in drawn
    assert usage_figure(usage_by_module(table, 1)) is None, "long ago"
    assert usage_figure(usage_by_module(table, 3)) is None, "never"


def lines_of(drawn: str) -> list[tuple[str, str]]:
    """Return the name of each row of a waterfall, and the note below it."""
    return re.findall(r'<th scope="row"><span>([^<]+)</span>(?:<span class="note">([^<]+)</span>)?', drawn)


def test_the_steps_lead_from_a_typical_company_to_this_one() -> None:
    explanation = explanation_of(-2.0, ("People", "Eight people", 3.0), ("Size", None, -1.0))
    drawn = waterfall_of(explanation, {"probability": 0.5})
    assert lines_of(drawn) == [
        ("A typical company", ""),
        ("People", "Eight people"),
        ("Size", ""),
        ("This company", ""),
    ]
    assert re.findall(r"<td>([^<]+)</td>", drawn) == ["12 %", "73 %", "50 %", "50 %"]


def test_a_sentence_that_several_facts_share_is_said_of_the_strongest() -> None:
    module, people = ("Use of contacts", "Eight people", 1.0), ("How many people use it", "Eight people", 3.0)
    explanation = explanation_of(-2.0, module, people, ("Size", "Six", -2.0))
    assert lines_of(waterfall_of(explanation, {"probability": 0.5}))[1:4] == [
        ("How many people use it", "Eight people"),
        ("Size", "Six"),
        ("Use of contacts", ""),
    ]


def test_steps_of_a_calibrated_score_say_their_direction_alone() -> None:
    explanation = explanation_of(-2.0, ("People", None, 3.0), ("Size", None, -1.0))
    drawn = waterfall_of(explanation, {"probability": 0.3})
    assert re.findall(r"<td>([^<]*)</td>", drawn) == ["", "raises", "lowers", "30 %"]


def test_many_facts_are_added_up() -> None:
    explanation = explanation_of(0.0, *((f"f{place}", None, 0.1) for place in range(20)))
    drawn = waterfall_of(explanation, {"probability": 1 / (1 + np.exp(-2.0))})
    assert len(re.findall("<tr", drawn)) == 1 + 1 + 8 + 1 + 1
    assert "Everything else" in drawn


def test_similar_companies() -> None:
    facts = (
        Fact("people", "How many people use it", "activity"),
        Fact("attribute:is_partner", "Is_partner", "fit"),
    )
    similar = Similar({"id": "z", "name": "Zeta", "converted": "2020-01-02"}, facts)
    text = page(0, Company(None, (similar,), ""))
    assert '<b><bdi>Zeta</bdi></b> <span class="of">customer since 2 January 2020</span>' in text
    assert "Alike in how many people use it and is partner" in text


def what_if(**given: object) -> WhatIf:
    history = {"id": "a", "usage": []} | dict.fromkeys(projects().companies.attributes)
    now = Answer(0.5, "very_high", ("as it is",), None)
    usual = {"now": now, "then": None, "refusal": None, "first_day": "2020-04-20", "weeks": 520}
    fields = {
        "attributes": attribute_fields(projects(), history, {}),
        "modules": count_fields(projects(), history, AS_OF),
    }
    return WhatIf(**(fields | usual | given))


def test_the_form_of_what_if() -> None:
    text = page(2, Company(None, (), what_if()))
    assert 'action="/companies/c%2F%C3%BC%201#what-if"' in text
    assert 'data-lead="/leads/c%2F%C3%BC%201"' in text
    assert 'name="week.projects_actions"' in text
    assert 'name="set.plan"' in text
    assert 'type="hidden"' not in text


def test_an_id_that_browsers_take_out_of_paths_is_sent_as_a_field() -> None:
    text = page(3, Company(None, (), what_if()))
    assert '<input type="hidden" name="id" value="..">' in text
    assert 'action="/companies/?id=..#what-if"' in text


def test_what_changes() -> None:
    then = Answer(0.62, "very_high", ("Ten people",), "But")
    text = page(0, Company(None, (), what_if(then=then)))
    assert "12 points more, from 50 %." in text
    assert "<li>Ten people</li>" in text
    refused = page(0, Company(None, (), what_if(refusal="Employees should be a number.")))
    assert '<p class="refusal">Employees should be a number.</p>' in refused


def test_better_than_nobody_is_not_better_than_all() -> None:
    assert better_than(0.005) == "among the weakest of the list"
    assert better_than(1.0) == "among the strongest 1 % of the list"
