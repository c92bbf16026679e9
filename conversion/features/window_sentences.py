"""What to say of people or actions in the last weeks, beside as many weeks before.

Weekly usage knows the people of each week, not who they are, so sentences say how many there were in a week.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from conversion.features.facts import ACTIONS, PEOPLE, RECENCY, TENURE
from conversion.features.observations import RECENT_WEEKS, Company
from conversion.features.statements import ACTIVITY, Leaning, Sentence
from conversion.features.words import capitalised, counted, number, weeks_ago

LATELY: Final = f"in the last {number(RECENT_WEEKS)} weeks"
BEFORE: Final = f"in the {number(RECENT_WEEKS)} before"
BOTH: Final = f"in the last {number(2 * RECENT_WEEKS)} weeks"
QUIET_WEEKS: Final = 2
"""After so many weeks without use, use counts as over."""

Claims = tuple[tuple[str, int], ...]


class Window(NamedTuple):
    """Numbers of the last weeks, of as many before, and how many weeks ago the last use was."""

    now: float
    before: float
    last: float

    @property
    def is_over(self) -> bool:
        """Return whether there was some use, but none of late."""
        return self.last > QUIET_WEEKS


def people_sentence(company: Company, people: Window, did: str, subject: str) -> Sentence:
    """Say how many people ``did`` something, where there were any in either window."""
    says = (PEOPLE, people.now, people.before)
    if people.is_over:
        most, quiet = max(people.now, people.before), number(people.last - 1)
        text = f"{_up_to(most)} {did} {BOTH}, but nobody in the last {quiet}"
        leaning = "bad" if most == 1 else _leaning_of_over(company, people)
        return Sentence(capitalised(text), leaning, says, _over(company, subject))
    some = capitalised(_up_to(people.now))
    if company.started <= RECENT_WEEKS:
        return _people_of_new(company, people.now, did, says, subject)
    text = f"{some} {did} {LATELY}{compared(people, 'nobody')}"
    # One person, and no fewer before, is nothing to praise.
    leaning = "bad" if people.now == 1 <= people.before else leaning_of(people)
    return Sentence(text, leaning, says, claims_of(people, subject))


def _people_of_new(
    company: Company, people: float, did: str, says: tuple[object, ...], subject: str
) -> Sentence:
    one_week = company.started == 1
    some = capitalised(counted(people, "person", "people") if one_week else _up_to(people))
    have = "has" if people == 1 else "have"
    text = f"{some} {have} {did} since they started {weeks_ago(company.started)}"
    leaning: Leaning = "neutral" if people == 1 else "good"
    return Sentence(text, leaning, says, ((subject, 1), (ACTIVITY, 1)), _start(company))


def actions_sentence(company: Company, actions: Window, where: str, subject: str) -> Sentence:
    """Say how many actions there were, in all modules or ``where``, where there were any in either window."""
    says = (ACTIONS, actions.now, actions.before)
    if actions.is_over:
        said, quiet = _actions(actions.now + actions.before), number(actions.last - 1)
        text = f"They took {said}{where} {BOTH}, but none in the last {quiet}"
        return Sentence(text, _leaning_of_over(company, actions), says, _over(company, subject))
    said = f"{_actions(actions.now)}{where}"
    if company.started <= RECENT_WEEKS:
        text = f"They have taken {said} since they started {weeks_ago(company.started)}"
        return Sentence(text, "good", says, ((subject, 1), (ACTIVITY, 1)), _start(company))
    text = f"They took {said} {LATELY}{compared(actions, 'none')}"
    return Sentence(text, leaning_of(actions), says, claims_of(actions, subject))


def growth_sentence(company: Company, actions: Window, subject: str) -> Sentence:
    """Say how actions have changed, where there were any in either window."""
    says = (ACTIONS, actions.now, actions.before)
    if actions.is_over:
        said, quiet = _actions(actions.now + actions.before), number(actions.last - 1)
        text = f"Their activity has stopped: {said} {BOTH}, but none in the last {quiet}"
        return Sentence(text, "bad", says, _over(company, subject))
    if company.started <= RECENT_WEEKS:
        return actions_sentence(company, actions, "", subject)
    said, claims = f"{_actions(actions.now)} {LATELY}", claims_of(actions, subject)
    if actions.before == 0:
        return Sentence(f"They are back: {said}, after none {BEFORE}", "good", says, claims)
    text = f"Their activity {_ratio(actions)}: {said}, {number(actions.before)} {BEFORE}"
    return Sentence(text, leaning_of(actions), says, claims)


def compared(window: Window, nothing: str) -> str:
    """Return the end of a sentence that says what was before."""
    now, before, _ = window
    if before == 0:
        return f", after {nothing} {BEFORE}"
    if now == before:
        return f", as {BEFORE}"
    return f", {'up' if now > before else 'down'} from {number(before)} {BEFORE}"


def leaning_of(window: Window) -> Leaning:
    """Return what a change suggests; where half or more is left it may be chance."""
    if window.now >= window.before:
        return "good"
    return "neutral" if 2 * window.now >= window.before else "bad"


def claims_of(window: Window, subject: str) -> Claims:
    """Return what a comparison claims; use that is not over also claims activity."""
    way = (window.now > window.before) - (window.now < window.before)
    return ((subject, way), (ACTIVITY, 1))


def _leaning_of_over(company: Company, window: Window) -> Leaning:
    """Return what use that is over suggests: nothing good where the company went on with something else."""
    return "bad" if window.now == 0 and company.last_active <= QUIET_WEEKS else "neutral"


def _start(company: Company) -> tuple[tuple[object, ...], ...]:
    return ((TENURE, company.started), *use_in(company.started))


def use_in(week: float) -> tuple[tuple[object, ...], ...]:
    """Return what the use in a week, so many weeks ago, tells on the way: whether they were active."""
    return ((RECENCY, 0.0),) if week == 1 else ()


def _over(company: Company, subject: str) -> Claims:
    over = company.last_active > QUIET_WEEKS
    return ((subject, -1), (ACTIVITY, -1)) if over else ((subject, -1),)


def _actions(count: float) -> str:
    return counted(count, "action", "actions")


def _up_to(people: float) -> str:
    return "at most one person a week" if people == 1 else f"up to {number(people)} people a week"


def _ratio(window: Window) -> str:
    """Say how something has changed that was there before and still is."""
    now, before, _ = window
    if now == before:
        return "stayed the same"
    larger, smaller = max(now, before), min(now, before)
    if larger < 2 * smaller:
        return "rose" if now > before else "fell"
    if now < before:
        return "halved" if larger == 2 * smaller else "more than halved"
    multiple, rest = divmod(larger, smaller)
    verb = {2.0: "doubled", 3.0: "tripled"}.get(multiple)
    if verb is None:
        return f"grew {'more than ' if rest else ''}{number(multiple)}fold"
    return f"more than {verb}" if rest else verb
