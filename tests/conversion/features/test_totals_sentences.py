from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.features.facts import ACTIONS, PEOPLE, RECENCY, REGULARITY
from conversion.features.observations import Totals
from conversion.features.statements import NEVER
from conversion.features.totals_sentences import TOTALS_TEMPLATES
from tests.reasons import faults_of

NAN = math.nan


def totals(actions: float = NAN, users: float = NAN, days: float = NAN, frequency: float = NAN) -> Totals:
    used = any(each > 0 for each in (actions, users, days, frequency))
    never = not used and frequency == 0
    return Totals(
        actions, users, NAN if never else days, frequency, 1.0 if used else 0.0 if never else NAN, []
    )


@pytest.mark.parametrize(
    ("fact", "company", "text", "leaning"),
    [
        (ACTIONS, totals(actions=1234), "They have taken 1,234 actions so far", "neutral"),
        (ACTIONS, totals(actions=1), "They have taken one action so far", "neutral"),
        (ACTIONS, totals(actions=0), "They have not taken any action yet", "bad"),
        (PEOPLE, totals(users=40), "Their users of each week and module add up to 40 so far", "neutral"),
        (PEOPLE, totals(users=0), "Nobody has used the product yet", "bad"),
        (RECENCY, totals(actions=3), "They have used the product", "good"),
        (RECENCY, totals(actions=0, frequency=0), "They have never used the product", "bad"),
        (REGULARITY, totals(actions=0, frequency=0), "They have never used the product", "bad"),
        (
            REGULARITY,
            totals(days=84, frequency=11 / 85),
            "They were active in eleven of 13 weeks from first to last use",
            "good",
        ),
        (
            REGULARITY,
            totals(days=84, frequency=2 / 85),
            "They were active in two of 13 weeks from first to last use",
            "bad",
        ),
        (REGULARITY, totals(days=0, frequency=1), "They were active in one week only", "bad"),
        (
            REGULARITY,
            totals(days=84, frequency=0.9),
            "Their first and last use are 84 days apart",
            "neutral",
        ),
        (REGULARITY, totals(days=9), "Their first and last use are nine days apart", "neutral"),
        (REGULARITY, totals(days=1), "Their first and last use are one day apart", "neutral"),
    ],
)
def test_totals_in_words(fact: str, company: Totals, text: str, leaning: str) -> None:
    sentence = TOTALS_TEMPLATES[fact](company)
    assert sentence is not None
    assert (sentence.text, sentence.leaning) == (text, leaning)
    assert ("never" in text) <= (sentence.says == NEVER)


def test_what_is_not_known_is_not_said() -> None:
    assert [write(totals()) for write in TOTALS_TEMPLATES.values()] == [None] * 4


number = st.sampled_from([NAN, 0.0, 1.0, 2.0, 6.5, 12.0, 700.0, 1e12])


@given(number, number, number, st.sampled_from([NAN, 0.0, 0.01, 0.2, 1.0]))
def test_every_sentence_is_english(actions: float, users: float, days: float, frequency: float) -> None:
    for write in TOTALS_TEMPLATES.values():
        if (sentence := write(totals(actions, users, days, frequency))) is not None:
            assert faults_of(sentence.text) == [], sentence.text
