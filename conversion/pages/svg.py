"""Elements of inline SVG, and the axes of charts. Texts are escaped; colours come from CSS classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from markupsafe import Markup, escape

from conversion.stats.portable_math import log

DECADE: Final = float(log(10.0))
STEPS: Final = (1.0, 2.0, 5.0, 10.0)
"""What one step between ticks may be, times a power of ten."""

Point = tuple[float, float]


def number(value: float) -> str:
    """Write a coordinate with at most two decimals.

    Examples
    --------
    >>> number(12.0), number(-0.001), number(3.456)
    ('12', '0', '3.46')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, content: str = "", **attributes: str | float | None) -> Markup:
    """Write an element; texts are escaped, None leaves an attribute out.

    Parameters
    ----------
    name
        Of the element.
    content
        Text, or `Markup` of other elements.
    **attributes
        Underscores in names stand for hyphens, ``class_`` for ``class``.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    # Not by Markup.format, which takes ten times as long: a page of the list has hundreds of elements.
    return Markup(f"<{name}{written}>{escape(content)}</{name}>")  # noqa: S704 (each part is escaped)


def _attribute(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def joined(parts: Iterable[str]) -> Markup:
    """Join elements without anything between them."""
    return Markup("").join(parts)


def picture(
    content: str, width: float, height: float, label: str | None, class_: str, stretched: bool = False
) -> Markup:
    """Wrap elements in an ``svg``.

    Parameters
    ----------
    content
        Elements in a box of ``width`` times ``height``.
    width, height
        Of the box.
    label
        What the picture shows, for those who do not see it. None: the text beside it says it.
    class_
        Of the ``svg``.
    stretched
        Whether the picture fills its box in both directions, whatever its proportions.
    """
    named: dict[str, str | None] = {"aria_hidden": "true"}
    if label is not None:
        named = {"role": "img", "aria_label": label}
    box = f"0 0 {number(width)} {number(height)}"
    ratio = "none" if stretched else None
    return element("svg", content, class_=class_, viewBox=box, preserveAspectRatio=ratio, **named)


def path(points: Sequence[Point]) -> str:
    """Write points as the data of a path of straight lines."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def runs(values: Sequence[float | None]) -> Iterator[list[int]]:
    """Split the places of values at those that are None."""
    for known, places in groupby(range(len(values)), key=lambda place: values[place] is not None):
        if known:
            yield list(places)


@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Attributes
    ----------
    title
        What it measures.
    low, high
        Its ends.
    ticks
        Positions and what is written there.
    is_log
        Whether equal ratios are equally far apart.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Return how far along the axis a value is, from 0 to 1; values beyond are at its ends."""
        within = min(max(value, self.low), self.high)
        if self.high == self.low:
            return 0.0
        if self.is_log:
            return decades(within / self.low) / decades(self.high / self.low)
        return (within - self.low) / (self.high - self.low)


def decades(ratio: float) -> float:
    """Return the logarithm to base ten, the same on every processor."""
    return float(log(np.float64(ratio))) / DECADE


def round_step(span: float, most: int) -> float:
    """Return the least round step that divides a span into at most ``most`` parts.

    Examples
    --------
    >>> round_step(0.9, 5), round_step(500.0, 5)
    (0.2, 100.0)
    """
    if span <= 0.0:
        return 1.0
    power = float(f"1e{int(np.floor(decades(span / most)))}")
    return next(step * power for step in STEPS if span / (step * power) <= most + 1e-9)
