"""What to say of a company of which only lifetime totals are known, by fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conversion.features.facts import ACTIONS, PEOPLE, RECENCY, REGULARITY
from conversion.features.observations import Totals
from conversion.features.statements import ACTIVITY, NEVER, Sentence, regularity
from conversion.features.words import counted, number

Template = Callable[[Totals], Sentence | None]


def _actions(totals: Totals) -> Sentence | None:
    if totals.actions > 0:
        said = counted(totals.actions, "action", "actions")
        return Sentence(f"They have taken {said} so far", "neutral", (ACTIONS, totals.actions))
    if totals.actions == 0:
        return Sentence("They have not taken any action yet", "bad", (ACTIONS, 0.0), ((ACTIONS, -1),))
    return None  # not known


def _people(totals: Totals) -> Sentence | None:
    if totals.users > 0:
        text = f"Their users of each week and module add up to {number(totals.users)} so far"
        return Sentence(text, "neutral", (PEOPLE, totals.users))
    if totals.users == 0:
        return Sentence("Nobody has used the product yet", "bad", NEVER, ((ACTIVITY, -1),))
    return None


def _recency(totals: Totals) -> Sentence | None:
    if totals.seen == 1:
        return Sentence("They have used the product", "good", (RECENCY, 1), ((ACTIVITY, 1),))
    if totals.seen == 0:
        return Sentence("They have never used the product", "bad", NEVER, ((ACTIVITY, -1),))
    return None


def _regularity(totals: Totals) -> Sentence | None:
    if totals.seen == 0:
        return _recency(totals)
    days = totals.days_active
    if not days >= 0:
        return None
    weeks = days // 7 + 1
    rows = totals.activity_frequency * (days + 1)
    # A usage row is of a week; where there are more, the frequency counts something else.
    if weeks > 1 and 0.5 <= rows < weeks + 0.5:
        active = round(rows)
        text = f"They were active in {number(active)} of {number(weeks)} weeks from first to last use"
        return Sentence(text, regularity(active / weeks), (REGULARITY, active, weeks))
    if days == 0:
        return Sentence("They were active in one week only", "bad", (REGULARITY, 1, 1))
    text = f"Their first and last use are {counted(days, 'day', 'days')} apart"
    return Sentence(text, "neutral", (REGULARITY, days))


TOTALS_TEMPLATES: Final[dict[str, Template]] = {
    ACTIONS: _actions,
    PEOPLE: _people,
    RECENCY: _recency,
    REGULARITY: _regularity,
}
"""What writes the sentence of each fact of usage that totals tell of."""
