"""Numbers with decimal commas or separators of thousands, read where a whole column is written in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_SPACES: Final = "\u0020\u00a0\u2009\u202f'\u2019"
"""Separators of thousands that are nothing else; thin and no-break spaces among them."""


def _format(thousands: str, decimal: str) -> re.Pattern[str]:
    """Write the pattern of numbers: with groups of three digits where there are thousands, or without any."""
    whole = rf"(?:0|[1-9]\d{{0,2}}(?:{thousands}\d{{3}})*)" if thousands else r"\d+"
    return re.compile(rf"[+-]?{whole}(?:{decimal}\d+)?", re.ASCII)


_POINT: Final[dict[str, str]] = {",": "."}
FORMATS: Final[tuple[tuple[str, re.Pattern[str], dict[str, str]], ...]] = (
    ("decimal commas", _format("", ","), _POINT),
    ("commas between thousands", _format(",", r"\."), {",": ""}),
    ("points between thousands and decimal commas", _format(r"\.", ","), {".": "", **_POINT}),
    ("spaces between thousands", _format(f"[{_SPACES}]", r"\."), dict.fromkeys(_SPACES, "")),
    (
        "spaces between thousands and decimal commas",
        _format(f"[{_SPACES}]", ","),
        dict.fromkeys(_SPACES, "") | _POINT,
    ),
)
"""Ways to write numbers: what they are called, the pattern, and what to put in place of characters."""


_MAYBE_GROUPED: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,2}(?P<group>\.\d{3})?)", re.ASCII)


def may_have_thousands(values: Iterable[str]) -> str | None:
    """Find a number that could be another one, as ``2.010`` among ``7`` and ``45``: 2.01, or 2010.

    Returns
    -------
    str or None
        One with a point. None if some number shows that points are decimal, as ``0.125``, ``1.5`` and
        ``1500`` do, or if all numbers have three decimals, as programs write them.
    """
    found = [_MAYBE_GROUPED.fullmatch(value) for value in values]
    if not all(found):
        return None
    grouped = [match[0] for match in found if match and match["group"]]
    return max(grouped) if 0 < len(grouped) < len(found) else None


def format_of(
    values: Iterable[str], accepts: Callable[[str], bool]
) -> tuple[str, Callable[[str], str]] | None:
    """Find the one way in which all numbers of a column are written, other than with a decimal point alone.

    Parameters
    ----------
    values
        The column's distinct texts.
    accepts
        Whether a column may have a number, given with a decimal point and without separators.

    Returns
    -------
    tuple or None
        What the way is called, and what rewrites a number of it with a decimal point and without separators.
        None if some value is in no such way, or if two ways would give different numbers, as of ``1,234``.
    """
    texts = list(values)
    found: dict[tuple[str, ...], tuple[str, dict[int, str]]] = {}
    for name, pattern, changes in FORMATS:
        if not all(map(pattern.fullmatch, texts)):
            continue
        table = {ord(character): new for character, new in changes.items()}
        plain = tuple(text.translate(table) for text in texts)
        if all(map(accepts, plain)):
            found.setdefault(plain, (name, table))
    if len(found) != 1:
        return None
    ((name, table),) = found.values()
    return name, lambda text: text.translate(table)
