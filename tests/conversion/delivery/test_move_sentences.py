from __future__ import annotations

from typing import Any

import pytest

from conversion.delivery.move_clauses import Seen
from conversion.delivery.move_sentences import Called, Change, MoveWriter, back, explorer, new
from conversion.delivery.moves import PARTS
from tests.contract_files import projects
from tests.conversion.delivery.test_move_clauses import LEVELS, company

WRITER = MoveWriter(projects(), LEVELS, LEVELS)
NEWCOMER, LEAVER = Called(before=False, now=True), Called(before=True, now=False)


def change(facts: dict[str, float] | None = None, **parts: float) -> Change:
    every = dict.fromkeys(PARTS, 0.0) | parts
    return Change(sum(every.values()), every, facts or {})


def more(**changed: Any) -> Seen:
    """Return a company that does more, with more people, in more weeks."""
    values: dict[str, Any] = {"actions": [20.0, 0.0, 0.0], "people": [3.0, 0.0], "active_weeks": 7.0}
    return Seen(company(), company(**values | changed), 1)


SAME = Seen(company(), company(), 1)
MORE = "they do more (20 actions in four weeks, ten before)"
PEOPLE = "more people use the product (up to three a week, two before)"
TWO = f"{PEOPLE}, and {MORE}"
THREE_WEEKS = "the last three weeks were better than the weeks before"
QUIET = Seen(company(), company(last_active=3.0), 1)


@pytest.mark.parametrize(
    ("facts", "parts", "seen", "cause"),
    [
        ({"actions": 0.4, "people": 0.3}, {"activity": 0.7}, more(), f"{MORE}, and {PEOPLE}"),
        ({"people": 0.4, "actions": 0.3, "regularity": 0.2}, {"activity": 0.9}, more(), TWO),
        ({"actions": 0.7, "people": 0.01}, {"activity": 0.7}, more(), MORE),
        # Of two clauses on one thing, the one that adds more.
        ({"actions": 0.4, "growth": 0.3}, {"activity": 0.7}, more(), MORE),
        ({}, {"activity": 0.7}, SAME, "last week was better than the weeks before"),
        ({}, {"activity": 0.7}, SAME._replace(weeks=3), THREE_WEEKS),
        ({}, {"windows": 0.7}, SAME, "what they did some weeks ago counts more now"),
        ({}, {"model": 0.7}, more(), "the new model rates them higher"),
        ({"actions": 0.1}, {"model": 0.7, "activity": 0.1}, more(), "the new model rates them higher"),
        (
            {"actions": 0.5},
            {"model": 0.7, "activity": 0.5},
            more(),
            f"the new model rates them higher; also, {MORE}",
        ),
        (
            {"attribute:head_count": 0.6, "actions": 0.7},
            {"attributes": 0.6, "activity": 0.1},
            more(attributes=[1.0, 2.0, 40.0, 1.0]),
            "what is known of them changed: they have 40 employees",
        ),
        ({}, {"attributes": 0.6}, SAME, "what is known of them changed"),
    ],
)  # fmt: skip
def test_why_a_company_rose(facts: dict[str, float], parts: dict[str, float], seen: Seen, cause: str) -> None:
    assert WRITER.moved(3, 12, change(facts, **parts), seen) == f"Up from 12th to 3rd: {cause}"


@pytest.mark.parametrize(
    ("facts", "parts", "seen", "cause"),
    [
        ({"recency": -0.5}, {"activity": -0.5}, QUIET, "quiet in the last two weeks"),
        # More people is not why a score fell, whatever the model makes of it.
        ({"people": -0.5}, {"activity": -0.5}, more(), "last week was weaker than the weeks before"),
        ({}, {"windows": -0.5}, SAME, "what they did some weeks ago counts less now"),
        ({}, {"model": -0.5}, SAME, "the new model rates them lower"),
        ({}, {"activity": 0.01}, SAME, "little changed for them, others moved ahead"),
        ({}, {"activity": 0.5}, SAME, "others moved ahead"),
    ],
)  # fmt: skip
def test_why_a_company_fell(facts: dict[str, float], parts: dict[str, float], seen: Seen, cause: str) -> None:
    assert WRITER.moved(22, 2, change(facts, **parts), seen) == f"Down from 2nd to 22nd: {cause}"


@pytest.mark.parametrize(
    ("rank", "before", "total", "text"),
    [
        (5, 5, 0.0, "Still 5th: little changed for them"),
        (5, 5, 0.2, "Still 5th: what they did some weeks ago counts more now"),
        (5, 6, 0.04, "Up from 6th to 5th: little changed for them, others fell behind or left the list"),
        (5, 6, -0.2, "Up from 6th to 5th: others fell behind or left the list"),
    ],
)
def test_its_place_and_its_score_do_not_contradict_each_other(
    rank: int, before: int, total: float, text: str
) -> None:
    assert WRITER.moved(rank, before, change(windows=total), SAME) == text


def test_models_that_cannot_be_compared() -> None:
    text = WRITER.moved(3, 12, None, more())
    assert text == (
        "Up from 12th to 3rd: this list is of a model that reads other data, so the cause cannot be told"
    )


def test_who_comes_to_the_call_list_and_who_leaves_it_have_no_places() -> None:
    rose, fell = change({"actions": 0.7}, activity=0.7), change(windows=-0.7)
    assert WRITER.moved(48, 61, rose, more(), NEWCOMER) == f"New on the call list: {MORE}"
    text = "Off the call list: what they did some weeks ago counts less now"
    assert WRITER.moved(61, 48, fell, SAME, LEAVER) == text


def test_a_longer_or_shorter_call_list_is_the_cause() -> None:
    rose = change({"actions": 0.7}, activity=0.7)
    text = "New on the call list: more companies are called this time"
    assert WRITER.moved(61, 60, rose, more(), NEWCOMER) == text
    text = "Off the call list: fewer companies are called this time"
    assert WRITER.moved(47, 48, rose, more(), LEAVER) == text


def test_one_thing_is_said_once() -> None:
    now = company(
        actions=[10.0, 0.0, 9.0], first_used=[12.0, 0.0, 1.0], last_used=[1.0, 0.0, 1.0], people=[2.0, 0.0]
    )
    text = WRITER.moved(
        3, 12, change({"modules": 0.3, "module:invoices": 0.2}, activity=0.5), Seen(company(), now, 1)
    )
    assert text == "Up from 12th to 3rd: they use two modules, up from one"


@pytest.mark.parametrize("reason", ["They first used Projects last week", None])
def test_sentences_of_explorers_are_like_all_others(reason: str | None) -> None:
    why = "" if reason is None else ": they first used Projects last week"
    assert explorer(50, 311, reason, NEWCOMER) == f"New on the call list{why}"
    assert explorer(311, 50, reason, LEAVER) == "Off the call list: others moved ahead"
    assert explorer(50, 50, reason, Called(before=True, now=True)) == f"Still 50th{why}"
    assert (
        explorer(50, 49, reason, Called(before=True, now=True))
        == "Down from 49th to 50th: others moved ahead"
    )


def test_who_is_new_or_back() -> None:
    assert new("Berlin is their city", was_customer=False) == "New on the list: Berlin is their city"
    assert new("Berlin is their city", was_customer=True) == "New on the list: they were a customer before"
    assert back("They are active") == "Back on the list after a pause: they are active"
