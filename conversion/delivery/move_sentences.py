"""One sentence on what moved a lead since the last list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.delivery.move_clauses import Clause, Seen, as_clause, clauses_of
from conversion.features.words import number

LEAST_CHANGE: Final = 0.05
"""Log-odds that change by less are not worth a cause."""
LEAST_OF_FACT: Final = 0.02
"""Nor is a fact that adds less of the change."""
MOST_CLAUSES: Final = 2
_LARGE_PART: Final = 1 / 3
"""A cause beside the main one is worth saying from this share of the change on."""
NOT_COMPARABLE: Final = "this list is of a model that reads other data, so the cause cannot be told"


OVERTAKEN: Final = "others moved ahead"
"""True of those whose scores rose, and of those who are new or back on the list."""
CLEARED: Final = "others fell behind or left the list"
"""A company also moves up when those before it became customers, or rest after a talk."""


class Called(NamedTuple):
    """Whether a company was on the last call list, and is on this one."""

    before: bool
    now: bool


BOTH_TIMES: Final = Called(before=True, now=True)


class Change(NamedTuple):
    """What changed for a company that was a prospect at the last list.

    Attributes
    ----------
    total
        Of its log-odds.
    parts
        By name of `conversion.delivery.moves.PARTS`; they add up to the total.
    facts
        What each fact adds more, or less, because of what is known of the company, by its key.
    """

    total: float
    parts: Mapping[str, float]
    facts: Mapping[str, float]


class MoveWriter:
    """Writes what moved leads.

    Parameters
    ----------
    contract
        Says what reps call modules, measures and attributes.
    levels
        By category, its levels in the order of their codes in observations.
    own
        By category, the levels that the model tells apart.
    """

    def __init__(self, contract: Contract, levels: Levels, own: Levels) -> None:
        self._clauses = clauses_of(contract, levels, own)

    def moved(
        self, rank: int, before: int, change: Change | None, seen: Seen, called: Called = BOTH_TIMES
    ) -> str:
        """Say where a company was on the last list, and what moved it.

        Parameters
        ----------
        rank, before
            Its place on this list and on the last one, as reps see them.
        change
            None: the two models cannot be compared.
        seen
            Of the company at both lists.
        called
            Whether it is on the call lists of both.
        """
        way = _way(rank, before)
        place = _place(rank, before, called)
        if called.now != called.before and (way > 0) != called.now:
            return f"{place}: {'more' if called.now else 'fewer'} companies are called this time"
        if change is None:
            return f"{place}: {NOT_COMPARABLE}"
        score = (change.total >= LEAST_CHANGE) - (change.total <= -LEAST_CHANGE)
        if not score:
            others = {1: f", {CLEARED}", 0: "", -1: f", {OVERTAKEN}"}[way]
            return f"{place}: little changed for them{others}"
        if way == -score:
            return f"{place}: {CLEARED if way > 0 else OVERTAKEN}"
        return f"{place}: {self._cause(change, score, seen)}"

    def _cause(self, change: Change, way: int, seen: Seen) -> str:
        """Say what changed the score of a company the way it changed."""
        parts = change.parts
        causes = {
            "model": parts["model"] * way,
            "attributes": parts["attributes"] * way,
            "usage": (parts["activity"] + parts["windows"]) * way,
        }
        ordered = sorted(causes, key=lambda name: -causes[name])  # the first of equals first
        main, beside = ordered[0], ordered[1]
        also = causes[beside] >= _LARGE_PART * abs(change.total)
        if main != "model":
            return self._of_data(main, change, way, seen)
        by_model = f"the new model rates them {'higher' if way > 0 else 'lower'}"
        return f"{by_model}; also, {self._of_data(beside, change, way, seen)}" if also else by_model

    def _of_data(self, cause: str, change: Change, way: int, seen: Seen) -> str:
        """Say what a company did, or what is known of it, that changed its score."""
        about_it = cause == "attributes"
        said = self._chosen(change.facts, way, seen, about_it)
        if said:
            return ", and ".join(said)
        if about_it:
            return "what is known of them changed"
        if change.parts["activity"] * way > change.parts["windows"] * way:
            late = "last week" if seen.weeks == 1 else f"the last {number(seen.weeks)} weeks"
            were = "was" if seen.weeks == 1 else "were"
            return f"{late} {were} {'better' if way > 0 else 'weaker'} than the weeks before"
        return f"what they did some weeks ago counts {'more' if way > 0 else 'less'} now"

    def _chosen(self, facts: Mapping[str, float], way: int, seen: Seen, attributes: bool) -> list[str]:
        """Choose clauses that say what moved the score, of the facts that moved it most."""
        said: list[Clause] = []
        for key in sorted(facts, key=lambda name: -facts[name] * way):
            if facts[key] * way < LEAST_OF_FACT or len(said) == MOST_CLAUSES:
                break
            if key not in self._clauses or key.startswith("attribute:") != attributes:
                continue
            clause = self._clauses[key](seen)
            if clause is None or clause.way == -way:
                continue
            if not any(clause.repeats(other) for other in said):
                said.append(clause)
        return [clause.text for clause in said]


def explorer(rank: int, before: int, reason: str | None, called: Called) -> str:
    """Say what moved a company that a draw put on this call list, or on the last one.

    It reads like any other sentence, as reps are to call all companies alike. The place is by chance, so it
    gives no cause for that.

    Parameters are those of `MoveWriter.moved`, and why to call it.

    Examples
    --------
    >>> explorer(50, 311, "They first used deals last week", Called(before=False, now=True))
    'New on the call list: they first used deals last week'
    >>> explorer(311, 50, None, Called(before=True, now=False))
    'Off the call list: others moved ahead'
    """
    place = _place(rank, before, called)
    is_behind = called.before and _way(rank, before) < 0
    return f"{place}: {OVERTAKEN}" if is_behind else f"{place}{_after_colon(reason)}"


def new(reason: str | None, was_customer: bool) -> str:
    """Say that a company was no prospect at the last list.

    Examples
    --------
    >>> new("They first used deals last week", was_customer=False), new(None, was_customer=True)
    ('New on the list: they first used deals last week', 'New on the list: they were a customer before')
    """
    if was_customer:
        return "New on the list: they were a customer before"
    return f"New on the list{_after_colon(reason)}"


def back(reason: str | None) -> str:
    """Say that a company was left out of the last list, although it was a prospect.

    Examples
    --------
    >>> back(None)
    'Back on the list after a pause'
    """
    return f"Back on the list after a pause{_after_colon(reason)}"


def _way(rank: int, before: int) -> int:
    return (before > rank) - (before < rank)


def _place(rank: int, before: int, called: Called) -> str:
    """Say where a company was and is; outside the call list, its place means nothing to a rep."""
    if called.now != called.before:
        return "New on the call list" if called.now else "Off the call list"
    way = _way(rank, before)
    if not way:
        return f"Still {ordinal(rank)}"
    return f"{'Up' if way > 0 else 'Down'} from {ordinal(before)} to {ordinal(rank)}"


def ordinal(place: int) -> str:
    """Write a place.

    Examples
    --------
    >>> [ordinal(place) for place in (1, 2, 3, 4, 11, 12, 13, 22, 101, 1111)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '22nd', '101st', '1,111th']
    """
    teens = 10 <= place % 100 <= 20
    ending = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place:,}{ending}"


def _after_colon(reason: str | None) -> str:
    return "" if reason is None else f": {as_clause(reason)}"
