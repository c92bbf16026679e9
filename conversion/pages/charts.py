"""Charts as inline SVG, readable at a phone's width; colours: `conversion/pages/static/charts.css`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from markupsafe import Markup

from conversion.pages.svg import (
    Axis,
    Point,
    decades,
    element,
    joined,
    number,
    path,
    picture,
    round_step,
    runs,
)
from conversion.pages.words import percent

WIDTH: Final = 360.0
HEIGHT: Final = 236.0
LEFT: Final = 46.0
RIGHT: Final = 14.0
TOP: Final = 30.0
BOTTOM: Final = 44.0
"""Charts are drawn 360 units wide: on a phone a unit is a pixel, and the text, of 13, stays readable."""
CHARACTER: Final = 7.0
"""Width of a character of 13, at most."""
KINDS: Final = 6
"""Styles of lines in the stylesheet: colour and dashes."""
MOST_TICKS: Final = 5
ALL_OF_IT: Final = 1.0


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes
    ----------
    name
        In the legend.
    values
        One a position; None is a gap.
    low, high
        Of the band around it; empty: none.
    kind
        From 1 to `KINDS`: its style.
    """

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = field(default=())
    high: Sequence[float | None] = field(default=())
    kind: int = 1


def line_chart(
    label: str,
    across: Axis,
    positions: Sequence[float],
    up: Axis,
    lines: Sequence[Line],
) -> Markup:
    """Draw lines over common positions, with bands, and a legend below.

    Parameters
    ----------
    label
        What the chart shows, in one sentence.
    across
        The horizontal axis.
    positions
        Of the values, ascending.
    up
        The vertical axis.
    lines
        The first one is drawn on top.
    """
    parts = [_grid(across, up)]
    for line in reversed(lines):
        places = [None if value is None else (_x(across, at), _y(up, value))
                  for at, value in zip(positions, line.values, strict=True)]  # fmt: skip
        parts.append(_band(line, [_x(across, at) for at in positions], up))
        parts.extend(_stretches(places, line.kind))
    drawing = picture(joined(parts), WIDTH, HEIGHT, label, "chart")
    return drawing + legend([(line.name, line.kind) for line in lines])


def over_weeks(
    label: str, days: Sequence[str], shown: Sequence[str], up: Axis, lines: Sequence[Line]
) -> Markup:
    """Draw lines over weeks.

    Parameters
    ----------
    label
        What the chart shows.
    days
        Of the weeks, in order.
    shown
        What the axis says of each day; four or fewer are written.
    up, lines
        See `line_chart`.
    """
    last = max(len(days) - 1, 1)
    every = max(-(-len(days) // 4), 1)
    ticks = tuple((float(place), shown[place]) for place in range(0, len(days), every))
    across = Axis("", 0.0, float(last), ticks)
    return line_chart(label, across, [float(place) for place in range(len(days))], up, lines)


def share_axis(title: str, values: Sequence[float | None]) -> Axis:
    """Return an axis of shares from 0 to a round end above the values, at most 100 %."""
    largest = max((value for value in values if value is not None), default=0.0)
    step = round_step(min(max(largest, 1e-6), ALL_OF_IT), MOST_TICKS)
    steps = min(int(np.ceil(largest / step - 1e-9)) or 1, round(ALL_OF_IT / step))
    return Axis(title, 0.0, steps * step, tuple((at * step, percent(at * step)) for at in range(steps + 1)))


def count_axis(title: str, values: Sequence[float | None]) -> Axis:
    """Return an axis of whole numbers from 0 to a round end above the values."""
    largest = max((value for value in values if value is not None), default=0.0)
    step = max(round_step(max(largest, 1.0), MOST_TICKS), 1.0)
    steps = int(np.ceil(largest / step - 1e-9)) or 1
    return Axis(title, 0.0, steps * step, tuple((at * step, f"{at * step:,.0f}") for at in range(steps + 1)))


@dataclass(frozen=True)
class Reliable:
    """A bin of the reliability chart: prospects of similar probability.

    Attributes
    ----------
    predicted
        Their mean probability.
    observed
        The share that converted.
    low, high
        The interval around it.
    """

    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None


def reliability_chart(label: str, bins: Sequence[Reliable]) -> Markup:
    """Draw the observed share over the predicted one, both in powers of ten, and where they are equal.

    Shares of nothing are drawn at the lower end, as hollow points.
    """
    seen = [share for each in bins for share in (each.predicted, each.observed) if share > 0.0]
    first = int(np.floor(decades(min(seen, default=0.01)) + 1e-9))
    ticks = tuple((_power(at), percent(_power(at))) for at in range(min(first, -1), 1))
    across = Axis("predicted", ticks[0][0], 1.0, ticks, is_log=True)
    up = Axis("converted", ticks[0][0], 1.0, ticks, is_log=True)
    equal = path([(_x(across, ticks[0][0]), _y(up, ticks[0][0])), (_x(across, 1.0), _y(up, 1.0))])
    parts = [_grid(across, up), element("path", d=equal, class_="reference")]
    for each in bins:
        x = _x(across, each.predicted)
        if each.low is not None and each.high is not None:
            ends = path([(x, _y(up, each.low)), (x, _y(up, each.high))])
            parts.append(element("path", d=ends, class_="interval line-1"))
        point = "point point-1" if each.observed > 0.0 else "point hollow"
        parts.append(element("circle", cx=x, cy=_y(up, each.observed), r=3.5, class_=point))
    return picture(joined(parts), WIDTH, HEIGHT, label, "chart")


def sparkline(values: Sequence[float], label: str | None = None) -> Markup:
    """Draw one thin column for each week, the last at the right; a dash where nothing happened."""
    width, tall, largest = 6.0, 22.0, max(values, default=0.0)
    columns = []
    for place, value in enumerate(values):
        height = max(value / largest * tall, 1.5) if value > 0.0 else 0.75
        columns.append(f"M{number(place * width)} {number(tall + 2 - height)}h4v{number(height)}h-4z")
    drawn = element("path", d="".join(columns))
    return picture(drawn, max(len(values) * width - 2.0, 1.0), tall + 2.0, label, "spark")


def share_bar(share: float, label: str | None = None) -> Markup:
    """Draw a share as a filled part of a bar; beside its number, so that without a label it says nothing."""
    filled = element(
        "rect", x=0.0, y=0.0, width=min(max(share, 0.0), 1.0) * 100.0, height=8.0, class_="fill-1"
    )
    ground = element("rect", x=0.0, y=0.0, width=100.0, height=8.0, class_="ground")
    return picture(ground + filled, 100.0, 8.0, label, "share", stretched=True)


def legend(names: Sequence[tuple[str, int]]) -> Markup:
    """List the names of lines with a sample of each; nothing for a single line."""
    if len(names) < 2:
        return Markup("")
    items = (
        element(
            "li",
            picture(element("path", d="M0 5H28", class_=f"line line-{kind}"), 28, 10, None, "key") + name,
        )
        for name, kind in names
    )
    return element("ul", joined(items), class_="legend")


def _grid(across: Axis, up: Axis) -> Markup:
    """Draw axes: lines at the ticks of the vertical one, texts at all ticks, and titles."""
    parts, right, bottom = [], WIDTH - RIGHT, HEIGHT - BOTTOM
    for value, text in up.ticks:
        y = _y(up, value)
        parts.append(element("path", d=path([(LEFT, y), (right, y)]), class_="grid"))
        parts.append(element("text", text, x=LEFT - 6.0, y=y + 4.5, text_anchor="end"))
    free = -WIDTH
    for value, text in across.ticks:
        x, half = _x(across, value), len(text) * CHARACTER / 2.0
        middle = min(x, WIDTH - half)
        if middle - half >= free:  # texts that would run into the one before are left out
            free = middle + half + CHARACTER
            parts.append(element("path", d=path([(x, bottom), (x, bottom + 4.0)]), class_="grid"))
            parts.append(element("text", text, x=middle, y=bottom + 18.0, text_anchor="middle"))
    parts.append(element("text", up.title, x=2.0, y=13.0, class_="title"))
    if across.title:
        parts.append(
            element("text", across.title, x=right, y=HEIGHT - 5.0, text_anchor="end", class_="title")
        )
    return joined(parts)


def _band(line: Line, xs: Sequence[float], up: Axis) -> Markup:
    if not line.low or not line.high:
        return Markup("")
    parts = []
    for places in runs([None if low is None or high is None else 0.0
                        for low, high in zip(line.low, line.high, strict=True)]):  # fmt: skip
        above = [(xs[place], _y(up, line.high[place] or 0.0)) for place in places]
        below = [(xs[place], _y(up, line.low[place] or 0.0)) for place in reversed(places)]
        parts.append(element("path", d=f"{path(above + below)}z", class_=f"band fill-{line.kind}"))
    return joined(parts)


def _stretches(places: Sequence[Point | None], kind: int) -> list[Markup]:
    """Draw the parts of a line between its gaps; a point that stands alone is a dot."""
    parts = []
    for run in runs([None if place is None else 0.0 for place in places]):
        points = [place for place in (places[at] for at in run) if place is not None]
        if len(points) == 1:
            ((x, y),) = points
            parts.append(element("circle", cx=x, cy=y, r=3.5, class_=f"point point-{kind}"))
        else:
            parts.append(element("path", d=path(points), class_=f"line line-{kind}"))
    return parts


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)


def _power(exponent: int) -> float:
    return float(f"1e{exponent}")
