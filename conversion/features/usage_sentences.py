"""What to say of the usage of a company, by the facts that `conversion.features.catalogue` measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from conversion.config.contract_types import VALUE
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
from conversion.features.window_sentences import (
    BEFORE,
    BOTH,
    LATELY,
    QUIET_WEEKS,
    Claims,
    Window,
    actions_sentence,
    growth_sentence,
    people_sentence,
    use_in,
)
from conversion.features.words import (
    amount,
    capitalised,
    filled,
    in_last_weeks,
    listed,
    number,
    spoken,
    weeks_ago,
)

Template = Callable[[Company], Sentence | None]

_MOST_NAMES, _MOST_CHARACTERS = 4, 50  # of modules in a sentence
_IN_WEEKS_BEFORE: Final = f"in the {number(RECENT_WEEKS)} weeks before"
_WAYS: Final[dict[int, Leaning]] = {1: "good", 0: "neutral", -1: "bad"}


class _Module(NamedTuple):
    """A module, its place among all and among those with users, and what it is called."""

    place: int
    users: int | None
    said: str
    did: str  # what people did in it

    def actions(self, company: Company) -> Window:
        place = self.place
        return Window(company.actions[place], company.actions_before[place], company.last_used[place])

    def people(self, company: Company) -> Window:
        if self.users is None:
            return Window(0.0, 0.0, 0.0)
        last = company.last_used[self.place]
        return Window(company.people[self.users], company.people_before[self.users], last)


def usage_templates(contract: Contract) -> dict[str, Template]:
    """Return what writes the sentence of each fact of usage."""
    modules = _modules_of(contract)
    with_users = [module for module in modules if module.users is not None]
    templates: dict[str, Template] = {
        ACTIONS: _actions,
        PEOPLE: lambda company: _people(company, with_users),
        GROWTH: _growth,
        RECENCY: _recency,
        REGULARITY: _regularity,
        TENURE: _tenure,
        MODULES: lambda company: _modules(company, modules),
    }
    for name, module in zip(contract.usage.modules, modules, strict=True):
        templates[module_fact(name)] = _template_of(module)
    for place, (name, measure) in enumerate(contract.usage.measures.items()):
        templates[measure_fact(name)] = _measure(place, name, measure)
    return templates


def _modules_of(contract: Contract) -> list[_Module]:
    named, users = contract.usage.modules, 0
    modules = []
    for place, (name, module) in enumerate(named.items()):
        said = spoken(name, module.say)
        did = "used the product" if len(named) == 1 else f"worked in {said}"
        modules.append(_Module(place, None if module.users is None else users, said, did))
        users += module.users is not None
    return modules


# All modules


def _actions(company: Company) -> Sentence | None:
    window = _all_actions(company)
    return _no_actions(company) if window is None else actions_sentence(company, window, "", ACTIONS)


def _growth(company: Company) -> Sentence | None:
    window = _all_actions(company)
    return _no_actions(company) if window is None else growth_sentence(company, window, ACTIONS)


def _all_actions(company: Company) -> Window | None:
    now, before = sum(company.actions), sum(company.actions_before)
    if now == before == 0:
        return None
    return Window(now, before, min(weeks for weeks in company.last_used if weeks))


def _no_actions(company: Company) -> Sentence:
    if company.started == 0:
        return Sentence("They have not taken any action yet", "bad", NEVER, ((ACTIVITY, -1),))
    idle = max(2.0 * RECENT_WEEKS, company.last_active - 1)
    return Sentence(f"No actions {in_last_weeks(idle)}", "bad", (ACTIONS, 0.0, 0.0), ((ACTIONS, -1),))


def _people(company: Company, modules: Sequence[_Module]) -> Sentence | None:
    """Say how many people there were in the module that had the most."""
    if company.started == 0:
        return Sentence("Nobody has used the product yet", "bad", NEVER, ((ACTIVITY, -1),))
    windows = [(module.people(company), module.did) for module in modules]
    window, did = max(windows, key=itemgetter(0))
    if window.now > 0 or window.before > 0:
        return people_sentence(company, window, did, PEOPLE)
    if company.last_active <= 2 * RECENT_WEEKS:
        return None  # what happened is not known to be anybody's
    text = f"Nobody has used the product {in_last_weeks(company.last_active - 1)}"
    return Sentence(text, "bad", (PEOPLE, 0.0, 0.0), ((PEOPLE, -1), (ACTIVITY, -1)))


def _recency(company: Company) -> Sentence:
    if company.started == 0:
        return Sentence("They have never used the product", "bad", NEVER, ((ACTIVITY, -1),))
    quiet = company.last_active - 1
    if quiet == 0:
        return Sentence("They were active last week", "good", (RECENCY, quiet), ((ACTIVITY, 1),))
    if quiet < QUIET_WEEKS:
        return Sentence("They were not active last week, but the week before", "bad", (RECENCY, quiet))
    return Sentence(f"No activity {in_last_weeks(quiet)}", "bad", (RECENCY, quiet), ((ACTIVITY, -1),))


def _regularity(company: Company) -> Sentence:
    active, weeks = company.active_weeks, min(company.started, float(REGULAR_WEEKS))
    if active == 0:
        return _recency(company)
    if weeks == 1:
        return _tenure(company)
    new = company.started < REGULAR_WEEKS
    span = f"{number(weeks)} weeks since they started" if new else f"last {number(weeks)} weeks"
    says, tells = (REGULARITY, active, weeks), ((TENURE, weeks),) if new else ()
    if active == weeks:
        text = f"They were active in every one of the {span}"
        return Sentence(text, "good", says, ((ACTIVITY, 1),), tells)
    text = f"They were active in {number(active)} of the {span}"
    return Sentence(text, regularity(active / weeks), says, (), tells)


def _tenure(company: Company) -> Sentence:
    if company.started == 0:
        return _recency(company)
    text = f"They started {weeks_ago(company.started)}"
    return Sentence(text, "neutral", (TENURE, company.started), (), use_in(company.started))


def _modules(company: Company, modules: Sequence[_Module]) -> Sentence | None:
    if company.started == 0:
        return Sentence("They have not used any module yet", "bad", NEVER, ((ACTIVITY, -1),))
    windows = [(module.said, module.actions(company)) for module in modules]
    lately = [(said, window) for said, window in windows if window.now > 0]
    # What another sentence calls over is not in use.
    now = [said for said, window in lately if not window.is_over] or [said for said, _ in lately]
    if (quiet := company.last_active - 1) >= QUIET_WEEKS or not now:
        return _modules_before(windows, quiet)
    says = (MODULES, *now)
    if len(now) == 1:
        return Sentence(f"They use only {now[0]}", "bad", says)
    text, names = f"They use {_share(len(now), len(modules))}", _names(now)
    before = sum(window.before > 0 for _, window in windows)
    leaning: Leaning = "good" if len(now) > 2 or len(now) == len(modules) else "neutral"
    claims: Claims = ()
    if len(now) > before and company.started > RECENT_WEEKS:
        text = f"{text}, {number(len(now) - before)} more than {_IN_WEEKS_BEFORE}"
        leaning, claims = "good", ((MODULES, 1), (ACTIVITY, 1))
    return Sentence(f"{text}: {names}" if names else text, leaning, says, claims)


def _modules_before(windows: list[tuple[str, Window]], quiet: float) -> Sentence:
    """Say which modules were used up to some weeks ago."""
    used = [said for said, window in windows if window.now + window.before > 0]
    if not used:
        return Sentence(f"They used no module {BOTH}", "bad", (MODULES,), ((MODULES, -1),))
    if quiet < QUIET_WEEKS:
        return Sentence(f"They used no module {LATELY}", "bad", (MODULES,), ((MODULES, -1),))
    said = _names(used) or _share(len(used), len(windows))
    text = f"They used {said} {BOTH}, but nothing in the last {number(quiet)}"
    leaning: Leaning = "bad" if len(used) == 1 else "neutral"
    return Sentence(text, leaning, (MODULES, *used), ((MODULES, -1), (ACTIVITY, -1)))


def _share(used: int, modules: int) -> str:
    """Say how many of the modules are used."""
    if used < modules:
        return f"{number(used)} of {number(modules)} modules"
    return "both modules" if used == 2 else f"all {number(used)} modules"


def _names(used: list[str]) -> str:
    """Name modules if they are few; empty otherwise."""
    names = listed(used)
    return names if len(used) <= _MOST_NAMES and len(names) <= _MOST_CHARACTERS else ""


# One module


def _template_of(module: _Module) -> Template:
    """Return what writes the sentence of a module's use."""
    said, subject = module.said, f"module {module.said}"

    def write(company: Company) -> Sentence | None:
        actions, people = module.actions(company), module.people(company)
        first, last = company.first_used[module.place], company.last_used[module.place]
        if first == 0:
            says = NEVER if company.started == 0 else (subject, "never")
            return Sentence(f"They have not used {said} yet", "bad", says, ((subject, -1),))
        if last > 2 * RECENT_WEEKS:
            text = used_when("last used", said, last)
            return Sentence(text, "bad", (subject, "last", last), ((subject, -1),))
        if company.started > RECENT_WEEKS >= first:
            return _new(said, first, last, subject)
        if max(people.now, people.before) > 1 and (people.now > 1 or people.is_over):
            return people_sentence(company, people, module.did, subject)
        return actions_sentence(company, actions, f" in {said}", subject)

    return write


def used_when(did: str, said: str, weeks: float) -> str:
    """Say when they did something with a module; two numbers do not meet."""
    ago = weeks_ago(weeks)
    if said[-1:].isdigit() and ago[:1].isdigit():
        return f"{ago} they {did} {said}"
    return f"They {did} {said} {ago}"


def _new(said: str, first: float, last: float, subject: str) -> Sentence:
    """Say that a module is new to a company that has used others."""
    says = (subject, "new", first)
    if first == last > QUIET_WEEKS:
        text = f"{used_when('tried', said, first)}, but not since"
        return Sentence(text, "bad", says, ((subject, -1),))
    text = used_when("first used", said, first)
    return Sentence(text, "good", says, ((subject, 1), (ACTIVITY, 1)), use_in(first))


# Measures


def _measure(place: int, name: str, measure: Measure) -> Template:
    """Return what writes the sentence of a weekly measure."""
    said, unit = spoken(name, measure.say), f" {measure.unit}" if measure.unit else ""
    verb = {"sum": "came to", "max": "peaked at", "last": "stood at"}[measure.combine]
    subject = f"measure {said}"
    state = filled(measure.sentence or f"Their {said} {verb} {VALUE}")

    def write(company: Company) -> Sentence | None:
        now, before = company.measures[place], company.measures_before[place]
        if math.isnan(now):
            return Sentence(f"Nothing is known of their {said} {LATELY}", "bad", (subject, None))
        way = 0 if math.isnan(before) else (now > before) - (now < before)
        change = "" if math.isnan(before) else f", as {BEFORE}"
        if way:
            change = f", {'up' if way > 0 else 'down'} from {amount(before)} {BEFORE}"
        text = capitalised(f"{state(f'{amount(now)}{unit}')} {LATELY}{change}")
        return Sentence(text, _WAYS[way * measure.direction], (subject, now, before), ((subject, way),))

    return write
