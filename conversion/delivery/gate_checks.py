"""What the gate's checks give, and how a number is judged by its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from conversion.stats.numeric import rounded

Status = Literal["ok", "watch", "stop"]
STATUSES: Final[tuple[Status, ...]] = ("ok", "watch", "stop")
"""From the best to the worst."""


class Band(NamedTuple):
    """The least and the most that a number may be; None: unbounded."""

    low: float | None
    high: float | None

    def holds(self, value: float) -> bool:
        """Return whether the value lies within the band."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


class Bounds(NamedTuple):
    """Outside of ``watch`` a number is watched, outside of ``stop`` it stops the delivery."""

    watch: Band
    stop: Band


@dataclass(frozen=True)
class Check:
    """What one check of the gate found.

    Attributes
    ----------
    name
        Of the check; it stays the same from week to week.
    status
        ``ok``, ``watch`` or ``stop``.
    sentence
        What was found, with its numbers.
    value
        The number that was judged; None: there was nothing to judge.
    bounds
        What it was judged by; None: likewise.
    """

    name: str
    status: Status
    sentence: str
    value: float | None = None
    bounds: Bounds | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is written for monitoring."""
        bounds = None if self.bounds is None else {k: list(v) for k, v in self.bounds._asdict().items()}
        return asdict(self) | {"bounds": bounds}


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of the statuses; ``ok`` of none."""
    return max(statuses, key=STATUSES.index, default="ok")


def most(watch: float, stop: float) -> Bounds:
    """Return bounds of a number that should be small."""
    return Bounds(Band(None, rounded(watch)), Band(None, rounded(stop)))


def between(watch: tuple[float, float], stop: tuple[float, float]) -> Bounds:
    """Return bounds of a number that should be neither small nor large."""
    return Bounds(Band(*map(rounded, watch)), Band(*map(rounded, stop)))


def judged(name: str, value: float, bounds: Bounds, sentence: str, at_worst: Status = "stop") -> Check:
    """Judge a number by its bounds.

    Parameters
    ----------
    name
        Of the check.
    value
        The number; NaN stops.
    bounds
        What it is judged by.
    sentence
        What was found.
    at_worst
        The worst status that is given.
    """
    shown = rounded(value)
    if shown is None:
        status: Status = "stop"
    elif bounds.watch.holds(shown) and bounds.stop.holds(shown):
        status = "ok"
    else:
        status = "watch" if bounds.stop.holds(shown) else "stop"
    return Check(name, min(status, at_worst, key=STATUSES.index), sentence, shown, bounds)


def passed_over(name: str, why: str) -> Check:
    """Return a check that had nothing to judge, and why."""
    return Check(name, "ok", f"Not checked: {why}.")


def number(value: float) -> str:
    """Write a number for a sentence: whole from 100 on, else with two significant digits or three."""
    if not math.isfinite(value):
        return "no number"
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def percent(share: float) -> str:
    """Write a share as per cent."""
    return f"{100 * share:.0f} %" if share == 0 or abs(share) >= 0.1 else f"{100 * share:.2g} %"
