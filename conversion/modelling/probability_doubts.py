"""Reasons to doubt that as many companies will convert as the probabilities add up to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RECENT_MONTHS: Final = 3
"""So many of the backtest's last months are looked at."""
LEAST_MONTHS: Final = 2
"""In so many of them, the ratio must be off in the same direction: one month may be of chance."""
RIGHT: Final = (0.8, 1.25)
"""A ratio of expected to observed conversions is off if its whole 95 % interval is outside."""


def off_text(months: Mapping[str, Mapping[str, float | None]]) -> str | None:
    """Say that recent lists expected too many or too few conversions; None if they did not.

    Parameters
    ----------
    months
        ``probability.expected_over_observed_by_month`` of metrics/evaluation.json, in time order: ``value``,
        ``low`` and ``high`` by month, None where not known.

    Examples
    --------
    >>> low = {"value": 0.3, "low": 0.2, "high": 0.4}
    >>> off_text({"2025-01": low, "2025-02": low | {"value": 0.5}})
    'In recent months more companies converted than the model expected: of 100 that did, it expected 30 in \
2025-01 and 50 in 2025-02. A season or a trend may be why. Do not plan with sums of probabilities; the order \
of the list does not depend on their level'
    """
    recent = list(months.items())[-RECENT_MONTHS:]
    fewest, most = RIGHT
    too_low = {month: ratio for month, ratio in recent if _of(ratio, "high", default=most) < fewest}
    too_high = {month: ratio for month, ratio in recent if _of(ratio, "low", default=fewest) > most}
    off = max(too_low, too_high, key=len)
    if len(off) < LEAST_MONTHS:
        return None
    expected = [f"{100 * _of(ratio, 'value', default=1.0):.0f} in {month}" for month, ratio in off.items()]
    return (
        f"In recent months {'more' if off is too_low else 'fewer'} companies converted than the model "
        f"expected: of 100 that did, it expected {', '.join(expected[:-1])} and {expected[-1]}. A season or "
        "a trend may be why. Do not plan with sums of probabilities; the order of the list does not depend "
        "on their level"
    )


def _of(ratio: Mapping[str, float | None], name: str, default: float) -> float:
    value = ratio[name]
    return default if value is None else value
