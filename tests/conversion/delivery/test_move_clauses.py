from __future__ import annotations

from typing import Any

import pytest

from conversion.config.data_contract import Contract
from conversion.delivery.move_clauses import Clause, Seen, clauses_of
from conversion.features.observations import Company
from tests.contract_files import projects

LEVELS = {"country": ("(unknown)", "CH", "US")}


def company(**changed: Any) -> Company:
    """Return a company of the contract ``projects`` that has used Projects alone, for twelve weeks."""
    values: dict[str, Any] = {
        "actions": [10.0, 0.0, 0.0],
        "actions_before": [10.0, 0.0, 0.0],
        "people": [2.0, 0.0],  # of Projects and Invoices
        "people_before": [2.0, 0.0],
        "first_used": [12.0, 0.0, 0.0],
        "last_used": [1.0, 0.0, 0.0],
        "started": 12.0,
        "last_active": 1.0,
        "active_weeks": 6.0,
        "measures": [],
        "measures_before": [],
        "attributes": [1.0, 2.0, 12.0, 1.0],
    }
    return Company(**values | changed)


def said(
    key: str, before: Company, now: Company, weeks: int = 1, contract: Contract | None = None
) -> str | None:
    clause = clause_of(key, before, now, weeks, contract)
    return None if clause is None else clause.text


def clause_of(
    key: str, before: Company, now: Company, weeks: int = 1, contract: Contract | None = None
) -> Clause | None:
    return clauses_of(contract or projects(), LEVELS, LEVELS)[key](Seen(before, now, weeks))


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (10, 20, "they do more (20 actions in four weeks, ten before)"),
        (10, 1, "they do less (one action in four weeks, ten before)"),
        (0, 3, "they do more (three actions in four weeks, none before)"),
        (100, 110, "they do more (110 actions in four weeks, 100 before)"),
        (100, 109, None),  # about as many
        (100, 91, None),
        (10, 0, None),  # that they are quiet says more
    ],
)
def test_actions(before: float, now: float, text: str | None) -> None:
    found = said("actions", company(actions=[before, 0.0, 0.0]), company(actions=[now, 0.0, 0.0]))
    assert found == text


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (2, 5, "more people use the product (up to five a week, two before)"),
        (2, 1, "fewer people use the product (one a week, two before)"),
        (0, 1, "more people use the product (one a week, nobody before)"),
        (2, 2, None),
        (2, 0, None),
    ],
)
def test_people(before: float, now: float, text: str | None) -> None:
    assert said("people", company(people=[before, 0.0]), company(people=[0.0, now])) == text


@pytest.mark.parametrize(
    ("was_active", "is_active", "weeks", "text"),
    [
        (1, 1, 1, None),
        (1, 2, 1, "quiet last week"),
        (3, 4, 1, "quiet in the last three weeks"),
        (2, 1, 1, "they are active again after a quiet week"),
        (4, 1, 1, "they are active again after three quiet weeks"),
        (4, 2, 3, "they are active again"),  # how long they were quiet since is not told by either list
    ],
)
def test_recency(was_active: float, is_active: float, weeks: int, text: str | None) -> None:
    assert said("recency", company(last_active=was_active), company(last_active=is_active), weeks) == text


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (6, 7, "they were active in seven of the last 13 weeks, up from six"),
        (6, 5, "they were active in five of the last 13 weeks, down from six"),
        (12, 13, "they were active in all of the last 13 weeks, up from twelve"),
        (0, 1, "they were active in one of the last 13 weeks, up from none"),
        (6, 6, None),
        (1, 0, None),
    ],
)
def test_regularity(before: float, now: float, text: str | None) -> None:
    assert said("regularity", company(active_weeks=before), company(active_weeks=now)) == text


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ([1, 0, 0], [1, 1, 0], "they use two modules, up from one"),
        ([1, 1, 0], [1, 0, 0], "they use one module, down from two"),
        ([1, 1, 0], [0, 1, 1], None),
        ([1, 0, 0], [0, 0, 0], None),
    ],
)
def test_modules(before: list[float], now: list[float], text: str | None) -> None:
    assert said("modules", company(actions=before), company(actions=now)) == text


USED = {"first_used": [12.0, 9.0, 9.0], "last_used": [1.0, 1.0, 1.0]}
MORE_INVOICES = "they do more in Invoices (eight actions in four weeks, four before)"
LESS_INVOICES = "they do less in Invoices (one action in four weeks, four before)"
BOTH = company(**USED, actions=[10.0, 4.0, 4.0], people=[2.0, 1.0])


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ({}, {"actions": [9.0, 0.0, 8.0]}, MORE_INVOICES),
        ({}, {"actions": [9.0, 0.0, 1.0]}, LESS_INVOICES),
        ({}, {"people": [2.0, 3.0]}, "more people work in Invoices (up to three a week, one before)"),
        ({"people": [2.0, 4.0]}, {}, "fewer people work in Invoices (one a week, four before)"),
        (
            {},
            {"actions": [10.0, 4.0, 0.0], "people": [2.0, 0.0]},
            "nothing happened in Invoices in the last four weeks",
        ),
        ({"last_used": [1.0, 1.0, 6.0]}, {}, "they use Invoices again after five quiet weeks"),
        ({"last_used": [1.0, 1.0, 2.0]}, {}, None),  # one quiet week of a module is no news
        ({}, {"first_used": [12.0, 9.0, 1.0]}, "they used Invoices for the first time last week"),
        ({}, {}, None),
    ],
)  # fmt: skip
def test_a_module(before: dict[str, Any], now: dict[str, Any], text: str | None) -> None:
    assert said("module:invoices", BOTH._replace(**before), BOTH._replace(**now)) == text


def test_a_module_without_people_tells_of_actions() -> None:
    now = BOTH._replace(actions=[10.0, 1.0, 4.0])
    assert (
        said("module:automations", BOTH, now)
        == "they do less in Automations (one action in four weeks, four before)"
    )


def test_the_only_module_is_the_product() -> None:
    contract = projects()
    only = contract.usage.model_copy(update={"modules": {"projects": contract.usage.modules["projects"]}})
    contract = contract.model_copy(update={"usage": only})
    before = company(actions=[10.0], people=[2.0], first_used=[12.0], last_used=[1.0])
    more = said("module:projects", before, before._replace(people=[3.0]), contract=contract)
    assert more == "more people use the product (up to three a week, two before)"
    less = said("module:projects", before, before._replace(actions=[5.0]), contract=contract)
    assert less == "they do less (five actions in four weeks, ten before)"


@pytest.mark.parametrize("key", ["actions", "people", "growth", "regularity", "modules", "module:projects"])
def test_a_company_that_has_just_started_has_one_thing_to_tell(key: str) -> None:
    nothing = [0.0, 0.0, 0.0]
    before = company(
        actions=nothing,
        people=[0.0, 0.0],
        first_used=nothing,
        last_used=nothing,
        started=0.0,
        last_active=0.0,
    )
    now = company(first_used=[2.0, 0.0, 0.0], started=2.0)
    assert said(key, before, now, weeks=2) == "they started to use the product two weeks ago"
    assert said("recency", before, before) is None, "they never did"


def test_an_attribute_is_told_as_it_is_now() -> None:
    changed = company(attributes=[2.0, 3.0, 40.0, 0.0])
    told = {name: said(f"attribute:{name}", company(), changed) for name in ("country", "plan", "head_count")}
    assert told == {
        "country": "what is known of them changed: their country is US",
        "plan": "what is known of them changed: their plan is business",
        "head_count": "what is known of them changed: they have 40 employees",
    }


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("module", "module: deals", True),
        ("module: deals", "module", True),
        ("module: deals", "module: email", False),
        ("module: deals", "module: deals and offers", False),
        ("people", "people", True),
        ("people", "actions", False),
    ],
)
def test_what_repeats(one: str, two: str, same: bool) -> None:
    assert Clause("", 1, one).repeats(Clause("", 1, two)) is same
