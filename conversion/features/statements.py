"""A sentence about a company, and what it says: two sentences can say the same, or contradict each other."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Leaning = Literal["good", "bad", "neutral"]
"""What the numbers of a sentence suggest to a rep."""

ACTIVITY: Final = "activity"
"""The subject of claims that something, or nothing, happened of late."""
NEVER: Final = ("never",)
"""What all sentences say of a company that never used the product."""
_REGULAR, _NOW_AND_THEN = 0.6, 0.35


class Sentence(NamedTuple):
    """What can be said about a company.

    Attributes
    ----------
    text
        One sentence without a full stop.
    leaning
        What its numbers suggest.
    says
        What it is about, and its numbers: sentences in which this is equal say the same.
    claims
        Subjects with 1 where the sentence says that there is more of it, -1 where less or none.
    tells
        What else another sentence may say that this one tells on the way.
    """

    text: str
    leaning: Leaning
    says: tuple[object, ...]
    claims: tuple[tuple[str, int], ...] = ()
    tells: tuple[tuple[object, ...], ...] = ()


def clash(one: Sentence, other: Sentence) -> bool:
    """Return whether two sentences cannot stand side by side: they say the same, or opposite things."""
    if one.says == other.says or one.says in other.tells or other.says in one.tells:
        return True
    return any(way and (subject, -way) in other.claims for subject, way in one.claims)


def regularity(share: float) -> Leaning:
    """Return what the share of weeks with activity suggests."""
    if share >= _REGULAR:
        return "good"
    return "neutral" if share >= _NOW_AND_THEN else "bad"
