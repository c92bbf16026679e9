"""Sentences of usage, worked out by hand from usage rows, and their English whatever the usage."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.compute import feature_definitions
from conversion.features.facts import ACTIONS, GROWTH, MODULES, PEOPLE, RECENCY, REGULARITY, TENURE, facts_of
from conversion.features.observations import Company, Totals, observe_table
from conversion.features.sentences import Template, templates_of
from conversion.features.statements import Sentence, clash
from conversion.features.usage_sentences import used_when
from tests.contract_files import hubspot, projects
from tests.conversion.features.cases import (
    AS_OF,
    CONTRACTS,
    cases,
    companies_of,
    settings_of,
    usage_of,
    workspaces,
)
from tests.reasons import faults_of

CONTACTS, COMPANIES, DEALS, EMAIL = (
    f"module:{name}" for name in ("CRM_CONTACTS", "CRM_COMPANIES", "CRM_DEALS", "EMAIL")
)


def sentences(
    contract: Contract, company: Company | Totals, levels: Any = None
) -> dict[str, Sentence | None]:
    """Return the sentence of each fact."""
    return {key: write(company) for key, write in templates(contract, levels or {}).items()}


def templates(contract: Contract, levels: Levels) -> dict[str, Template]:
    """Return what writes the sentence of each fact."""
    facts = facts_of(feature_definitions(settings_of(contract)), contract)
    written = templates_of(facts, contract, levels, levels)
    return {fact.key: write for fact, write in zip(facts, written, strict=True)}


def seen(contract: Contract, weeks: dict[int, list[float]]) -> dict[str, Sentence | None]:
    """Return the sentences of a company with these counts and measures, by how many weeks ago they began."""
    identity: Any = 3 if contract.companies.ids == "whole" else "7"
    usage = usage_of(contract, *[(identity, ago - 1, numbers) for ago, numbers in weeks.items()])
    companies = companies_of(contract, identity)
    observed = observe_table(companies, usage, AS_OF, settings_of(contract))
    return sentences(contract, observed.company(0), observed.levels)


def texts(contract: Contract, weeks: dict[int, list[float]], *keys: str) -> list[str | None]:
    found = seen(contract, weeks)
    return [None if (each := found[key]) is None else each.text for key in keys]


def crm(contacts: int = 0, deals: int = 0, by: int = 0, email: int = 0) -> list[float]:
    """Return a week's counts; half of the people in contacts are in deals too, if there are actions."""
    return [contacts, 0, deals, email, by, 0, by // 2 if deals else 0, min(email, 1)]


LATELY, BEFORE = "in the last four weeks", "in the four before"
GROWING = {**{ago: crm(40, 10, 8) for ago in range(1, 5)}, **{ago: crm(10, 10, 3) for ago in range(5, 21)}}
"""Up to eight people in contacts, up from three; four in deals, up from one."""
STOPPED = {3: crm(30, 0, 5), 4: crm(10, 0, 2), 6: crm(60, 0, 9), 30: crm(1, 0, 1)}
NEW = {1: crm(20, 0, 4), 2: crm(15, 5, 2)}
FIRST_WEEK = {1: crm(20, 0, 4)}


def test_a_company_that_grows() -> None:
    assert texts(hubspot(), GROWING, CONTACTS, DEALS, PEOPLE, ACTIONS, GROWTH) == [
        f"Up to eight people a week worked in contacts {LATELY}, up from three {BEFORE}",
        "Up to four people a week worked in deals in the last four weeks, up from one in the four before",
        f"Up to eight people a week worked in contacts {LATELY}, up from three {BEFORE}",
        "They took 200 actions in the last four weeks, up from 80 in the four before",
        "Their activity more than doubled: 200 actions in the last four weeks, 80 in the four before",
    ]
    assert texts(hubspot(), GROWING, COMPANIES, EMAIL, RECENCY, REGULARITY, TENURE, MODULES) == [
        "They have not used companies yet",
        "They have not used email yet",
        "They were active last week",
        "They were active in every one of the last 13 weeks",
        "They started 20 weeks ago",
        "They use two of four modules: contacts and deals",
    ]


def test_a_company_that_has_stopped() -> None:
    assert texts(hubspot(), STOPPED, CONTACTS, PEOPLE, ACTIONS, GROWTH) == [
        "Up to nine people a week worked in contacts in the last eight weeks, but nobody in the last two",
        "Up to nine people a week worked in contacts in the last eight weeks, but nobody in the last two",
        "They took 100 actions in the last eight weeks, but none in the last two",
        "Their activity has stopped: 100 actions in the last eight weeks, but none in the last two",
    ]
    assert texts(hubspot(), STOPPED, RECENCY, REGULARITY, TENURE, MODULES) == [
        "No activity in the last two weeks",
        "They were active in three of the last 13 weeks",
        "They started 30 weeks ago",
        "They used contacts in the last eight weeks, but nothing in the last two",
    ]


def test_a_company_that_is_new() -> None:
    assert texts(hubspot(), NEW, CONTACTS, DEALS, ACTIONS, GROWTH, REGULARITY, TENURE) == [
        "Up to four people a week have worked in contacts since they started two weeks ago",
        "They have taken five actions in deals since they started two weeks ago",
        "They have taken 40 actions since they started two weeks ago",
        "They have taken 40 actions since they started two weeks ago",
        "They were active in every one of the two weeks since they started",
        "They started two weeks ago",
    ]
    assert texts(hubspot(), FIRST_WEEK, CONTACTS, REGULARITY, MODULES) == [
        "Four people have worked in contacts since they started last week",
        "They started last week",
        "They use only contacts",
    ]
    assert texts(hubspot(), {1: crm(1, 0, 1)}, CONTACTS, PEOPLE, ACTIONS) == [
        "They have taken one action in contacts since they started last week",
        "One person has worked in contacts since they started last week",
        "They have taken one action since they started last week",
    ]


def test_a_company_that_never_used_the_product() -> None:
    found = seen(hubspot(), {})
    assert {each.says for key, each in found.items() if each and not key.startswith("attribute:")} == {
        ("never",)
    }
    assert texts(hubspot(), {}, CONTACTS, PEOPLE, ACTIONS, MODULES, RECENCY) == [
        "They have not used contacts yet",
        "Nobody has used the product yet",
        "They have not taken any action yet",
        "They have not used any module yet",
        "They have never used the product",
    ]
    assert {found[key] for key in (RECENCY, REGULARITY, TENURE)} == {found[RECENCY]}


def test_a_company_of_long_ago() -> None:
    assert texts(hubspot(), {60: crm(5, 0, 2)}, CONTACTS, PEOPLE, ACTIONS, RECENCY, REGULARITY, TENURE) == [
        "They last used contacts over a year ago",
        "Nobody has used the product in over a year",
        "No actions in over a year",
        "No activity in over a year",
        "No activity in over a year",
        "They started over a year ago",
    ]
    assert texts(hubspot(), {10: crm(5, 0, 2)}, CONTACTS, PEOPLE, GROWTH, MODULES) == [
        "They last used contacts ten weeks ago",
        "Nobody has used the product in the last nine weeks",
        "No actions in the last nine weeks",
        "They used no module in the last eight weeks",
    ]


@pytest.mark.parametrize(
    ("weeks", "text", "leaning"),
    [
        ({2: crm(5, 3, 4), 20: crm(5)}, "They first used deals two weeks ago", "good"),
        ({1: crm(5, 3, 4), 20: crm(5)}, "They first used deals last week", "good"),
        ({1: crm(5), 3: crm(5, 3, 4), 20: crm(5)}, "They tried deals three weeks ago, but not since", "bad"),
        (
            {1: crm(5, 3, 6), 20: crm(5, 3, 4)},
            f"Up to three people a week worked in deals {LATELY}, after nobody {BEFORE}",
            "good",
        ),
        (
            {1: crm(5, 3, 6), 5: crm(5, 3, 6)},
            "Up to three people a week worked in deals in the last four weeks, as in the four before",
            "good",
        ),
        (
            {1: crm(5, 3, 6), 5: crm(5, 3, 12)},
            f"Up to three people a week worked in deals {LATELY}, down from six {BEFORE}",
            "neutral",
        ),
        (
            {1: crm(5, 3, 4), 5: crm(5, 3, 12)},
            f"Up to two people a week worked in deals {LATELY}, down from six {BEFORE}",
            "bad",
        ),
        (
            {1: crm(5), 6: crm(5, 3, 12)},
            "Up to six people a week worked in deals in the last eight weeks, but nobody in the last five",
            "bad",
        ),
        (
            {1: crm(5, 30, 2), 5: crm(5, 3, 12)},
            "They took 30 actions in deals in the last four weeks, up from three in the four before",
            "good",
        ),
        ({1: crm(5, 0, 2), 12: crm(5, 3, 12)}, "They last used deals twelve weeks ago", "bad"),
    ],
)
def test_what_a_module_is_used_for(weeks: dict[int, list[float]], text: str, leaning: str) -> None:
    sentence = seen(hubspot(), weeks)[DEALS]
    assert sentence is not None
    assert (sentence.text, sentence.leaning) == (text, leaning)


@pytest.mark.parametrize(
    ("now", "before", "verb", "leaning"),
    [
        (80, 80, "stayed the same", "good"),
        (81, 80, "rose", "good"),
        (79, 80, "fell", "neutral"),
        (160, 80, "doubled", "good"),
        (161, 80, "more than doubled", "good"),
        (240, 80, "tripled", "good"),
        (250, 80, "more than tripled", "good"),
        (320, 80, "grew fourfold", "good"),
        (1200, 80, "grew 15fold", "good"),
        (1201, 80, "grew more than 15fold", "good"),
        (40, 80, "halved", "neutral"),
        (39, 80, "more than halved", "bad"),
    ],
)
def test_how_activity_has_changed(now: int, before: int, verb: str, leaning: str) -> None:
    sentence = seen(hubspot(), {1: crm(now), 5: crm(before), 40: crm(1)})[GROWTH]
    assert sentence is not None
    said = f"{now:,} actions in the last four weeks, {before} in the four before"
    assert (sentence.text, sentence.leaning) == (f"Their activity {verb}: {said}", leaning)


def test_activity_that_is_back() -> None:
    assert texts(hubspot(), {1: crm(1), 40: crm(1)}, GROWTH, ACTIONS) == [
        "They are back: one action in the last four weeks, after none in the four before",
        "They took one action in the last four weeks, after none in the four before",
    ]


@pytest.mark.parametrize(
    ("weeks", "text"),
    [
        ({2: crm(1)}, "They were not active last week, but the week before"),
        ({1: crm(1)}, "They were active last week"),
        ({4: crm(1)}, "No activity in the last three weeks"),
    ],
)
def test_when_they_were_last_active(weeks: dict[int, list[float]], text: str) -> None:
    assert texts(hubspot(), weeks, RECENCY) == [text]


def test_modules_of_which_there_are_more_than_before() -> None:
    weeks = {1: crm(3, 3, 2, 3), 6: crm(3, 0, 2)}
    assert texts(hubspot(), weeks, MODULES) == [
        "They use three of four modules, two more than in the four weeks before: contacts, deals and email"
    ]


@pytest.mark.parametrize("weeks", [{}, {60: crm(5, 0, 2)}, {10: crm(5, 0, 2)}], ids=["never", "60", "10"])
@pytest.mark.parametrize("key", [PEOPLE, RECENCY])
def test_that_nothing_happens_contradicts_what_happened_last_week(key: str, weeks: Any) -> None:
    said, active = seen(hubspot(), weeks)[key], seen(hubspot(), {1: crm(9, 0, 3)})[RECENCY]
    assert said is not None
    assert active is not None
    assert clash(said, active)


@pytest.mark.parametrize("key", [TENURE, CONTACTS, PEOPLE])
def test_who_started_last_week_was_active_last_week(key: str) -> None:
    found = seen(hubspot(), {1: crm(9, 0, 3)})
    start, recent = found[key], found[RECENCY]
    assert start is not None
    assert recent is not None
    assert "started last week" in start.text
    assert recent.text == "They were active last week"
    assert clash(start, recent)


def test_a_module_whose_use_is_over_is_not_in_use() -> None:
    weeks = {1: crm(3, 0, 12, 3), 3: crm(3, 6, 12, 3), 6: crm(3, 5, 12, 3)}
    assert texts(hubspot(), weeks, MODULES, DEALS) == [
        "They use two of four modules: contacts and email",
        "Up to six people a week worked in deals in the last eight weeks, but nobody in the last two",
    ]


def test_a_module_without_users_and_a_contract_without_words() -> None:
    week = [5.0, 40.0, 3.0, 2.0, 1.0]
    assert texts(projects(), {1: week, 6: week}, "module:automations", MODULES, "module:projects") == [
        "They took 40 actions in Automations in the last four weeks, as in the four before",
        "They use all three modules: Projects, Automations and Invoices",
        "Up to two people a week worked in Projects in the last four weeks, as in the four before",
    ]


def test_measures() -> None:
    now, before = [1, 0, 0, 1, 0, 12.5, 300, 7], [1, 0, 0, 1, 0, 8, 100, 7]
    assert texts(workspaces(), {2: now, 6: before}, "measure:stored", "measure:Uploaded", "measure:peak") == [
        "Their storage stood at 12.50 GB in the last four weeks, up from 8 in the four before",
        "Their Uploaded came to 300 in the last four weeks, up from 100 in the four before",
        "Their peak peaked at 7 in the last four weeks, as in the four before",
    ]
    assert texts(workspaces(), {6: before}, "measure:stored") == [
        "Nothing is known of their storage in the last four weeks"
    ]


@pytest.mark.parametrize("name", CONTRACTS)
@settings(max_examples=40)
@given(data=st.data())
def test_every_sentence_is_english(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]()
    case = data.draw(cases(contract))
    observed = observe_table(case.companies, case.usage, AS_OF, settings_of(contract), case.histories)
    writers = templates(contract, observed.levels)
    for company in observed.companies():
        for key, write in writers.items():
            if (sentence := write(company)) is not None:
                assert faults_of(sentence.text) == [], (key, sentence.text)


def test_two_numbers_do_not_meet() -> None:
    assert used_when("last used", "feature 19", 19) == "19 weeks ago they last used feature 19"
    assert used_when("last used", "feature 19", 2) == "They last used feature 19 two weeks ago"
    assert used_when("tried", "contacts", 19) == "They tried contacts 19 weeks ago"
