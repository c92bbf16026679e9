from __future__ import annotations

import pytest

from conversion.features.statements import ACTIVITY, Sentence, clash, regularity

PEOPLE_UP = Sentence("up", "good", ("people", 8, 3), (("people", 1), (ACTIVITY, 1)), (("tenure", 2),))


@pytest.mark.parametrize(
    ("other", "together"),
    [
        (Sentence("the same numbers", "good", ("people", 8, 3)), False),
        (Sentence("the opposite", "bad", ("people", 2, 3), (("people", -1),)), False),
        (Sentence("nothing of late", "bad", ("recency", 3), ((ACTIVITY, -1),)), False),
        (Sentence("told on the way", "neutral", ("tenure", 2)), False),
        (Sentence("another start", "neutral", ("tenure", 3)), True),
        (
            Sentence("more of something else", "good", ("actions", 8, 3), (("actions", 1), (ACTIVITY, 1))),
            True,
        ),
        (Sentence("less of something else", "bad", ("actions", 8, 9), (("actions", -1),)), True),
        (Sentence("no change", "neutral", ("people", 3, 3), (("people", 0),)), True),
    ],
)
def test_which_sentences_stand_side_by_side(other: Sentence, together: bool) -> None:
    assert clash(PEOPLE_UP, other) is clash(other, PEOPLE_UP) is not together


def test_what_regular_use_suggests() -> None:
    assert [regularity(share) for share in (1.0, 0.6, 0.5, 0.35, 0.3, 0.0)] == [
        *("good", "good", "neutral", "neutral", "bad", "bad"),
    ]
