"""Levels of a column: ranges and known scales in their order, yes and no."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_ORDERED: Final = 40
SCALES: Final = (
    ("free", "trial", "hobby", "lite", "starter", "basic", "standard", "essentials", "plus", "team",
     "growth", "pro", "professional", "advanced", "premium", "business", "scale", "enterprise", "ultimate"),
    ("solo", "tiny", "micro", "very small", "small", "smb", "medium", "mid", "mid-market", "large",
     "very large", "enterprise"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl"),
    ("very low", "low", "medium", "high", "very high"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("bronze", "silver", "gold", "platinum", "diamond"),
    ("cold", "warm", "hot"),
    ("junior", "mid", "senior"),
)  # fmt: skip
"""Words in an order that is known without looking at the companies."""
YES_NO: Final = (
    ("true", "false"), ("yes", "no"), ("1", "0"), ("y", "n"), ("t", "f"), ("on", "off"), ("ja", "nein"),
    ("oui", "non"), ("si", "no"), ("sí", "no"), ("wahr", "falsch"), ("vrai", "faux"), ("active", "inactive"),
    ("enabled", "disabled"), ("1.0", "0.0"),
)  # fmt: skip
_AMOUNT = r"[$€£]?\s*(\d[\d,.' ]*)\s*([kKmM]|mio|bn)?\b\s*[$€£]?"
_UNIT = r"(?:\s*(?:employees?|people|users?|seats?|fte|usd|eur|years?|days?))?"
_BETWEEN = re.compile(rf"{_AMOUNT}\s*(?:-|\u2013|\u2014|to|bis|\.\.)\s*{_AMOUNT}{_UNIT}", re.IGNORECASE)
_UPWARD = re.compile(
    rf"(?:>=?|≥|over|more than|above|at least|from)\s*{_AMOUNT}{_UNIT}"
    rf"|{_AMOUNT}\s*(?:\+|(?:or|and) (?:more|above|over)|plus){_UNIT}",
    re.IGNORECASE,
)
_DOWNWARD = re.compile(
    rf"(?:<=?|≤|under|less than|below|up to|at most)\s*{_AMOUNT}{_UNIT}"
    rf"|{_AMOUNT}\s*or (?:less|fewer){_UNIT}",
    re.IGNORECASE,
)
_SINGLE = re.compile(rf"{_AMOUNT}{_UNIT}", re.IGNORECASE)
_FACTORS: Final = {"k": 1e3, "m": 1e6, "mio": 1e6, "bn": 1e9}


def ordered_ranges(levels: Iterable[str]) -> tuple[str, ...] | None:
    """Sort levels that are ranges by their bounds; None where they are not.

    Examples
    --------
    >>> ordered_ranges(["1000+", "11-50", "2 to 4", "1", "51 to 999"])
    ('1', '2 to 4', '11-50', '51 to 999', '1000+')
    >>> ordered_ranges(["1", "2", "3"]) is None
    True
    """
    bounds = {level: _bounds(level) for level in levels}
    known = {level: found for level, found in bounds.items() if found is not None}
    ranges = [level for level in known if not _SINGLE.fullmatch(level)]
    if len(known) < len(bounds) or not 2 <= len(known) <= MAX_ORDERED or not ranges:
        return None
    return tuple(sorted(known, key=lambda level: known[level]))


def _bounds(level: str) -> tuple[float, float] | None:
    """Read the lower and upper bound of a range."""
    text = level.strip()
    if found := _BETWEEN.fullmatch(text):
        high = _number(found[3], found[4])
        low = _number(found[1], found[2] or found[4])  # "1-5k" begins at 1,000
        if low > high:
            low = _number(found[1], found[2])  # "500-1k" at 500
        return (low, high) if low <= high else None
    for pattern, place in ((_UPWARD, 1), (_DOWNWARD, -1), (_SINGLE, 0)):
        if found := pattern.fullmatch(text):
            amount, factor = next(
                (found[at], found[at + 1]) for at in (1, 3) if at <= pattern.groups and found[at]
            )
            bound = _number(amount, factor)
            if place == 0:
                return bound, bound
            return (bound, float("inf")) if place > 0 else (float("-inf"), bound)
    return None


def _number(digits: str, factor: str | None) -> float:
    plain = re.sub(r"(?<=\d)[,.' ](?=\d{3}(\D|$))", "", digits.strip())
    plain = re.sub(r"[^\d.]", "", plain.replace(",", ".")).rstrip(".")
    number = float(plain) if plain.count(".") <= 1 else float(plain.replace(".", ""))
    return number * _FACTORS.get((factor or "").casefold(), 1.0)


def ordered_words(levels: Iterable[str]) -> tuple[str, ...] | None:
    """Sort levels that are all of one known scale; None where there is no such scale."""
    found = {level: level.strip().casefold() for level in levels}
    if len(found) < 2 or len(set(found.values())) < len(found):
        return None
    for scale in SCALES:
        if set(found.values()) <= set(scale):
            return tuple(sorted(found, key=lambda level: scale.index(found[level])))
    return None


def yes_and_no(levels: Iterable[str]) -> tuple[str, str] | None:
    """Return the two levels that mean yes and no, as they are written; None where they do not.

    Examples
    --------
    >>> yes_and_no(["No", "Yes"])
    ('Yes', 'No')
    """
    found = {level.casefold(): level for level in levels}
    if len(found) != 2:
        return None
    return next(((found[yes], found[no]) for yes, no in YES_NO if {yes, no} == set(found)), None)
