"""What to say of the usage of a company, by the facts that `conversion.features.catalogue` measures.

Weekly usage knows the people of each week, not who they are, so sentences say how many there were in a week.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from conversion.config.data_contract import Contract
from conversion.config.usage_contract import Measure
from conversion.features.facts import (
    ACTIONS,
    GROWTH,
    MODULES,
    PEOPLE,
    RECENCY,
    REGULARITY,
    TENURE,
    measure_fact,
    module_fact,
)
from conversion.features.observations import RECENT_WEEKS, REGULAR_WEEKS, Company
from conversion.features.statements import ACTIVITY, NEVER, Leaning, Sentence, regularity
from conversion.features.words import (
    amount,
    capitalised,
    counted,
    filled,
    in_last_weeks,
    listed,
    number,
    spoken,
    weeks_ago,
)

Template = Callable[[Company], Sentence | None]

_LATELY: Final = f"in the last {number(RECENT_WEEKS)} weeks"
_BEFORE: Final = f"in the {number(RECENT_WEEKS)} before"
_QUIET_WEEKS: Final = 2  # from so many weeks without activity on, it counts as over
_MOST_NAMES: Final = 4
_WAYS: Final[dict[int, Leaning]] = {1: "good", 0: "neutral", -1: "bad"}


def usage_templates(contract: Contract) -> dict[str, Template]:
    """Return what writes the sentence of each fact of usage."""
    modules = contract.usage.modules
    names = [spoken(name, module.say) for name, module in modules.items()]
    with_users = [name for name, module in modules.items() if module.users is not None]
    worked = "used the product" if len(with_users) == 1 else "worked in the same module"
    templates: dict[str, Template] = {
        ACTIONS: _actions,
        PEOPLE: lambda company: _people_of_product(company, worked),
        GROWTH: _growth,
        RECENCY: _recency,
        REGULARITY: _regularity,
        TENURE: _tenure,
        MODULES: lambda company: _modules(company, names),
    }
    for place, (name, said) in enumerate(zip(modules, names, strict=True)):
        users = with_users.index(name) if name in with_users else None
        templates[module_fact(name)] = _module(place, users, said)
    for place, (name, measure) in enumerate(contract.usage.measures.items()):
        templates[measure_fact(name)] = _measure(place, name, measure)
    return templates


# Actions and growth


def _actions(company: Company) -> Sentence | None:
    now, before = sum(company.actions), sum(company.actions_before)
    if now == 0:
        return _no_actions(company, before, "")
    return _some_actions(company, now, before, "", "actions")


def _some_actions(company: Company, now: float, before: float, where: str, subject: str) -> Sentence:
    """Say how many actions there were, in all modules or ``where``."""
    said, says = f"{counted(now, 'action', 'actions')}{where}", (ACTIONS, now, before)
    if (quiet := company.last_active - 1) >= _QUIET_WEEKS:
        text = f"They took {said} {_LATELY}, but none in the last {number(quiet)}"
        return Sentence(text, "bad", says, ((subject, -1), (ACTIVITY, -1)))
    if company.started <= RECENT_WEEKS:
        text = f"They have taken {said} since they started {weeks_ago(company.started)}"
        return Sentence(text, "good", says, ((subject, 1), (ACTIVITY, 1)))
    text = f"They took {said} {_LATELY}{_compared(now, before, 'none')}"
    return Sentence(text, _leaning(now, before), says, _claims(now, before, subject))


def _no_actions(company: Company, before: float, opening: str) -> Sentence:
    says: tuple[object, ...] = (ACTIONS, 0.0, before)
    claims = (("actions", -1),)
    if company.started == 0:
        return Sentence("They have not taken any action yet", "bad", NEVER, ((ACTIVITY, -1),))
    if before > 0:
        text = f"{opening}no actions {_LATELY}, after {number(before)} {_BEFORE}"
    else:
        text = f"{opening}no actions {in_last_weeks(max(2.0 * RECENT_WEEKS, company.last_active - 1))}"
    return Sentence(capitalised(text), "bad", says, claims)


def _growth(company: Company) -> Sentence | None:
    now, before = sum(company.actions), sum(company.actions_before)
    if now == 0:
        return _no_actions(company, before, "their activity has stopped: ")
    if company.started <= RECENT_WEEKS or company.last_active > _QUIET_WEEKS:
        return _some_actions(company, now, before, "", "actions")
    says, claims = (ACTIONS, now, before), _claims(now, before, "actions")
    said = f"{counted(now, 'action', 'actions')} {_LATELY}"
    if before == 0:
        return Sentence(f"They are back: {said}, after none {_BEFORE}", "good", says, claims)
    text = f"Their activity {_ratio(now, before)}: {said}, {number(before)} {_BEFORE}"
    return Sentence(text, _leaning(now, before), says, claims)


def _ratio(now: float, before: float) -> str:
    """Say how something has changed."""
    if now == before:
        return "stayed the same"
    larger, smaller = max(now, before), min(now, before)
    multiples = ((4, "is four times as high"), (3, "tripled"), (2, "doubled"))
    if now < before:
        multiples = ((4, "fell to a quarter"), (3, "fell to a third"), (2, "halved"))
    for multiple, verb in multiples:
        if larger == multiple * smaller:
            return verb
    if larger < 2 * smaller:
        return "rose" if now > before else "fell"
    if now < before:
        return "more than halved"
    return "more than tripled" if larger > 3 * smaller else "more than doubled"


def _compared(now: float, before: float, nothing: str) -> str:
    if before == 0:
        return f", after {nothing} {_BEFORE}"
    if now == before:
        return f", as {_BEFORE}"
    return f", {'up' if now > before else 'down'} from {number(before)} {_BEFORE}"


def _leaning(now: float, before: float) -> Leaning:
    """Return what a change suggests; to lose up to a third may be chance."""
    if now > before:
        return "good"
    return "neutral" if 3 * now >= 2 * before else "bad"


def _claims(now: float, before: float, subject: str) -> tuple[tuple[str, int], ...]:
    way = (now > before) - (now < before)
    return ((subject, way),) if way <= 0 else ((subject, way), (ACTIVITY, 1))


# People


def _people_of_product(company: Company, worked: str) -> Sentence | None:
    now, before = company.people[-1], company.people_before[-1]
    if company.started == 0:
        return Sentence("Nobody has used the product yet", "bad", NEVER, ((ACTIVITY, -1),))
    if now > 0:
        return _people(company, now, before, worked, "people")
    if company.last_active <= RECENT_WEEKS:
        return None  # what happened is not known to be anybody's
    if before > 0:
        text = f"Nobody used the product {_LATELY}, after {_up_to(before)} {_BEFORE}"
    else:
        text = f"Nobody has used the product {in_last_weeks(company.last_active - 1)}"
    return Sentence(text, "bad", ("people", now, before), (("people", -1), (ACTIVITY, -1)))


def _people(company: Company, now: float, before: float, worked: str, subject: str) -> Sentence:
    """Say how many people ``worked``, where there were any."""
    some, says = capitalised(_up_to(now)), ("people", now, before)
    if (quiet := company.last_active - 1) >= _QUIET_WEEKS:
        text = f"{some} {worked} {_LATELY}, but nobody in the last {number(quiet)}"
        return Sentence(text, "bad", says, ((subject, -1), (ACTIVITY, -1)))
    if company.started <= RECENT_WEEKS:
        have = "has" if now == 1 else "have"
        who = capitalised(counted(now, "person", "people")) if company.started == 1 else some
        text = f"{who} {have} {worked} since they started {weeks_ago(company.started)}"
        return Sentence(text, "neutral" if now == 1 else "good", says, ((subject, 1), (ACTIVITY, 1)))
    text = f"{some} {worked} {_LATELY}{_compared(now, before, 'nobody')}"
    # One person, as before, is nothing to praise.
    leaning = "bad" if now == before == 1 else _leaning(now, before)
    return Sentence(text, leaning, says, _claims(now, before, subject))


def _up_to(people: float) -> str:
    return "at most one person a week" if people == 1 else f"up to {number(people)} people a week"


# Weeks


def _recency(company: Company) -> Sentence | None:
    if company.started == 0:
        return Sentence("They have never used the product", "bad", NEVER, ((ACTIVITY, -1),))
    quiet = company.last_active - 1
    if quiet == 0:
        return Sentence("They were active last week", "good", (RECENCY, quiet), ((ACTIVITY, 1),))
    if quiet < _QUIET_WEEKS:
        return Sentence("They were not active last week, but the week before", "neutral", (RECENCY, quiet))
    return Sentence(f"No activity {in_last_weeks(quiet)}", "bad", (RECENCY, quiet), ((ACTIVITY, -1),))


def _regularity(company: Company) -> Sentence | None:
    if company.started == 0:
        return Sentence("They have not been active in any week yet", "bad", NEVER, ((ACTIVITY, -1),))
    if company.started == 1:
        return _tenure(company)
    active, weeks = company.active_weeks, min(company.started, float(REGULAR_WEEKS))
    if active == 0:
        quiet = company.last_active - 1
        return Sentence(f"No activity {in_last_weeks(quiet)}", "bad", (RECENCY, quiet), ((ACTIVITY, -1),))
    new = company.started < REGULAR_WEEKS
    span = f"{number(weeks)} weeks since they started" if new else f"last {number(weeks)} weeks"
    share, says = active / weeks, (REGULARITY, active, weeks)
    if share == 1:
        text = f"They were active in every one of the {span}"
        return Sentence(text, "good", says, ((ACTIVITY, 1),))
    return Sentence(f"They were active in {number(active)} of the {span}", regularity(share), says)


def _tenure(company: Company) -> Sentence | None:
    if company.started == 0:
        return Sentence("They have not started yet", "bad", NEVER, ((ACTIVITY, -1),))
    return Sentence(f"They started {weeks_ago(company.started)}", "neutral", (TENURE, company.started))


# Modules


def _modules(company: Company, names: list[str]) -> Sentence | None:
    if company.started == 0:
        return Sentence("They have not used any module yet", "bad", NEVER, ((ACTIVITY, -1),))
    used = [name for name, actions in zip(names, company.actions, strict=True) if actions > 0]
    said, says = _names_of(used, len(names)), (MODULES, *used)
    if not used:
        return Sentence(f"They used no module {_LATELY}", "bad", says, ((MODULES, -1),))
    if (quiet := company.last_active - 1) >= _QUIET_WEEKS:
        text = f"They used {said} {_LATELY}, but nothing in the last {number(quiet)}"
        return Sentence(text, "bad", says, ((ACTIVITY, -1),))
    more = len(used) - sum(actions > 0 for actions in company.actions_before)
    if more > 0 and company.started > RECENT_WEEKS:
        text = f"They use {said}, {number(more)} more than {_BEFORE.replace('before', 'weeks before')}"
        return Sentence(text, "good", says, ((MODULES, 1), (ACTIVITY, 1)))
    if len(used) == 1:
        return Sentence(f"They use only {said}", "bad", says)
    leaning: Leaning = "good" if len(used) > 2 or len(used) == len(names) else "neutral"
    return Sentence(f"They use {said}", leaning, says)


def _names_of(used: list[str], modules: int) -> str:
    if len(used) <= _MOST_NAMES and sum(map(len, used)) <= 50:
        return listed(used) if used else ""
    return f"all {number(modules)} modules" if len(used) == modules else f"{number(len(used))} modules"


def _module(place: int, users: int | None, said: str) -> Template:
    """Return what writes the sentence of a module's use."""
    subject = f"module {said}"

    def write(company: Company) -> Sentence | None:
        now, before = company.actions[place], company.actions_before[place]
        people = 0.0 if users is None else company.people[users]
        if now == 0 and people == 0:
            return _unused(company, place, users, said)
        if company.started > RECENT_WEEKS >= company.first_used[place]:
            when = weeks_ago(company.first_used[place])
            text = f"They first used {said} {when}"
            return Sentence(text, "good", (subject, "new", when), ((subject, 1), (ACTIVITY, 1)))
        if users is not None and people > 1:
            return _people(company, people, company.people_before[users], f"worked in {said}", subject)
        return _some_actions(company, now, before, f" in {said}", subject)

    return write


def _unused(company: Company, place: int, users: int | None, said: str) -> Sentence:
    """Say that a module was not used of late."""
    subject = f"module {said}"
    claims = ((subject, -1),)
    if company.started == 0 or company.first_used[place] == 0:
        says = NEVER if company.started == 0 else (subject, "never")
        return Sentence(f"They have not used {said} yet", "bad", says, claims)
    before = company.actions_before[place]
    people = 0.0 if users is None else company.people_before[users]
    if people > 0:
        text = f"Nobody worked in {said} {_LATELY}, after {_up_to(people)} {_BEFORE}"
        return Sentence(text, "bad", (subject, "stopped"), claims)
    if before > 0:
        text = f"No actions in {said} {_LATELY}, after {number(before)} {_BEFORE}"
        return Sentence(text, "bad", (subject, "stopped"), claims)
    text = f"They last used {said} {weeks_ago(company.last_used[place])}"
    return Sentence(text, "bad", (subject, "stopped"), claims)


# Measures


def _measure(place: int, name: str, measure: Measure) -> Template:
    """Return what writes the sentence of a weekly measure."""
    said, unit = spoken(name, measure.say), f" {measure.unit}" if measure.unit else ""
    verb = {"sum": "came to", "max": "peaked at", "last": "stood at"}[measure.combine]
    subject, own = f"measure {said}", None if measure.sentence is None else filled(measure.sentence)

    def write(company: Company) -> Sentence | None:
        now, before = company.measures[place], company.measures_before[place]
        if math.isnan(now):
            return Sentence(f"Nothing is known of their {said} {_LATELY}", "bad", (subject, None))
        way = 0 if math.isnan(before) else (now > before) - (now < before)
        compared = "" if math.isnan(before) else f", as {_BEFORE}"
        if way:
            compared = f", {'up' if way > 0 else 'down'} from {amount(before)} {_BEFORE}"
        leaning = _WAYS[way * measure.direction]
        opening = f"Their {said} {verb} {amount(now)}{unit}" if own is None else own(f"{amount(now)}{unit}")
        text = f"{opening} {_LATELY}{compared}"
        return Sentence(text, leaning, (subject, now, before), ((subject, way),) if way else ())

    return write
