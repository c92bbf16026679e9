"""What a company does more or less of than at the last list, in clauses that a rep understands.

Each compares what could be seen of the company at two moments, so what it says is true whatever the model
made of it. Whether it is said depends on what it did to the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from conversion.config.data_contract import Contract
from conversion.config.usage_contract import Measure
from conversion.data.attribute_encoding import Levels
from conversion.features.attribute_sentences import attribute_templates
from conversion.features.facts import (
    ACTIONS,
    GROWTH,
    MODULES,
    PEOPLE,
    RECENCY,
    REGULARITY,
    measure_fact,
    module_fact,
)
from conversion.features.observations import RECENT_WEEKS, REGULAR_WEEKS, Company
from conversion.features.window_sentences import QUIET_WEEKS
from conversion.features.words import amount, in_last_weeks, number, spoken, weeks_ago

FOUR_WEEKS: Final = f"{number(RECENT_WEEKS)} weeks"
LEAST_RISE: Final = 0.1
"""Actions that change by a smaller share are about as many as before."""
_OPENINGS: Final = (
    *("They ", "Their ", "It ", "No ", "Nobody ", "Nothing "),
    *("Up to ", "At most ", "One ", "Two ", "Three ", "Four "),
)
"""What a sentence may begin with that is no name."""


class Seen(NamedTuple):
    """What could be seen of a company at the last list, and now, so many weeks later."""

    before: Company
    now: Company
    weeks: int


class Clause(NamedTuple):
    """Something that changed.

    Attributes
    ----------
    text
        A clause, without a capital and a full stop.
    way
        1 if there is more of it, -1 if less, 0 if that is for the model to judge.
    kind
        What it is about: two clauses of one kind are not said together, nor one of ``module`` and one of
        ``module: deals``.
    """

    text: str
    way: int
    kind: str

    def repeats(self, other: Clause) -> bool:
        """Return whether both are about the same."""
        one, two = f"{self.kind}:", f"{other.kind}:"
        return one.startswith(two) or two.startswith(one)


Write = Callable[[Seen], Clause | None]


def clauses_of(contract: Contract, levels: Levels, own: Levels) -> dict[str, Write]:
    """Return what writes the clause of each fact that can change; None where nothing did.

    Parameters are those of `conversion.features.sentences.templates_of`.
    """
    writers: dict[str, Write] = {
        ACTIONS: partial(_unless_new, _actions),
        GROWTH: partial(_unless_new, _actions),
        PEOPLE: partial(_unless_new, _people),
        RECENCY: _recency,
        REGULARITY: partial(_unless_new, _regularity),
        MODULES: partial(_unless_new, _modules),
    }
    users = 0
    only = len(contract.usage.modules) == 1
    for place, (name, module) in enumerate(contract.usage.modules.items()):
        has_users = module.users is not None
        said = "the product" if only else spoken(name, module.say)
        write = partial(_module, place, users if has_users else None, said)
        writers[module_fact(name)] = partial(_unless_new, write)
        users += has_users
    for place, (name, measure) in enumerate(contract.usage.measures.items()):
        writers[measure_fact(name)] = partial(_measure, place, measure, spoken(name, measure.say))
    for key, template in attribute_templates(contract, levels, own).items():
        writers[key] = lambda seen, template=template: _attribute(template(seen.now.attributes).text)  # type: ignore[misc]
    return writers


def _difference(now: float, before: float) -> int:
    return (now > before) - (now < before)


def _unless_new(write: Write, seen: Seen) -> Clause | None:
    """Write a clause; of a company that has just started, all there is to say is that it did."""
    return _recency(seen) if 0 < seen.now.started <= seen.weeks else write(seen)


# All modules


def _actions(seen: Seen) -> Clause | None:
    return _more_or_less(sum(seen.now.actions), sum(seen.before.actions), "")


def _more_or_less(now: float, before: float, where: str) -> Clause | None:
    way = _difference(now, before)
    if not now or abs(now - before) < LEAST_RISE * before or not way:
        return None  # that nothing happens is the recency's to say
    unit = "action" if now == 1 else "actions"
    said = f"they do {'more' if way > 0 else 'less'}{where}"
    was = number(before) if before else "none"
    return Clause(f"{said} ({number(now)} {unit} in {FOUR_WEEKS}, {was} before)", way, "actions")


def _people(seen: Seen) -> Clause | None:
    now, before = max(seen.now.people, default=0.0), max(seen.before.people, default=0.0)
    return _more_or_fewer(now, before, "use the product")


def _more_or_fewer(now: float, before: float, do: str) -> Clause | None:
    way = _difference(now, before)
    if not way or not now:
        return None
    some = "one" if now == 1 else f"up to {number(now)}"
    none = "nobody" if before == 0 else number(before)
    said = f"{'more' if way > 0 else 'fewer'} people {do}"
    return Clause(f"{said} ({some} a week, {none} before)", way, "people")


def _recency(seen: Seen) -> Clause | None:
    before, now = seen.before, seen.now
    if now.started == 0:
        return None
    if now.started <= seen.weeks:
        return Clause(f"they started to use the product {weeks_ago(now.started)}", 1, "recency")
    quiet, was_quiet = now.last_active - 1, before.last_active - 1
    if quiet < seen.weeks and was_quiet >= 1:
        after = f" after {_quiet_weeks(was_quiet)}" if seen.weeks == 1 else ""
        return Clause(f"they are active again{after}", 1, "recency")
    if quiet >= 1:
        return Clause(f"quiet {in_last_weeks(quiet)}", -1, "recency")
    return None


def _quiet_weeks(weeks: float) -> str:
    return "a quiet week" if weeks == 1 else f"{number(weeks)} quiet weeks"


def _regularity(seen: Seen) -> Clause | None:
    now, before = seen.now.active_weeks, seen.before.active_weeks
    way = _difference(now, before)
    if not way or not now:
        return None
    inside = "all" if now == REGULAR_WEEKS else number(now)
    return Clause(
        f"they were active in {inside} of the last {number(REGULAR_WEEKS)} weeks, {_from(before, way)}",
        way,
        "regularity",
    )


def _from(before: float, way: int) -> str:
    return f"{'up' if way > 0 else 'down'} from {number(before) if before else 'none'}"


def _modules(seen: Seen) -> Clause | None:
    now, before = (sum(count > 0 for count in company.actions) for company in (seen.now, seen.before))
    way = _difference(now, before)
    if not way or not now:
        return None
    unit = "module" if now == 1 else "modules"
    return Clause(f"they use {number(now)} {unit}, {_from(before, way)}", way, "module")


# One module


def _module(place: int, users: int | None, said: str, seen: Seen) -> Clause | None:
    before, now = seen.before, seen.now
    first, last, was = now.first_used[place], now.last_used[place], before.last_used[place]
    if first and first <= seen.weeks:
        return Clause(f"they used {said} for the first time {weeks_ago(first)}", 1, f"module: {said}")
    if was > QUIET_WEEKS and last <= seen.weeks:
        after = f" after {_quiet_weeks(was - 1)}" if seen.weeks == 1 else ""
        return Clause(f"they use {said} again{after}", 1, "recency: again")
    if users is not None:
        do = "use the product" if said == "the product" else f"work in {said}"
        clause = _more_or_fewer(now.people[users], before.people[users], do)
        if clause is not None:
            return clause
    where = "" if said == "the product" else f" in {said}"
    clause = _more_or_less(now.actions[place], before.actions[place], where)
    if clause is None and before.actions[place] and not now.actions[place]:
        return Clause(f"nothing happened in {said} in the last {FOUR_WEEKS}", -1, "over")
    return clause


# Measures and attributes


def _measure(place: int, measure: Measure, said: str, seen: Seen) -> Clause | None:
    now, before = seen.now.measures[place], seen.before.measures[place]
    if math.isnan(now) or math.isnan(before) or now == before:
        return None
    verb = {"sum": "came to", "max": "peaked at", "last": "stood at"}[measure.combine]
    unit = f" {measure.unit}" if measure.unit else ""
    text = f"their {said} {verb} {amount(now)}{unit} in {FOUR_WEEKS}, {amount(before)} before"
    return Clause(text, _difference(now, before) * measure.direction, f"measure {said}")


def _attribute(text: str) -> Clause:
    """Say what is known now of an attribute; it is asked for where that changed."""
    return Clause(f"what is known of them changed: {as_clause(text)}", 0, "attribute")


def as_clause(sentence: str) -> str:
    """Return a sentence without its capital, unless it may begin with a name.

    Examples
    --------
    >>> as_clause("They first used deals last week"), as_clause("Berlin is their city")
    ('they first used deals last week', 'Berlin is their city')
    """
    return sentence[:1].lower() + sentence[1:] if sentence.startswith(_OPENINGS) else sentence
