"""Tables with a bar in each row, and the frame of a chart: readable with and without the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from conversion.pages.svg import element, joined, picture

LENGTH: Final = 100.0
THICK: Final = 8.0


@dataclass(frozen=True)
class Bar:
    """One row of a table of bars.

    Attributes
    ----------
    name
        What the row is about.
    value
        Where the bar ends; None: no bar.
    texts
        The cells after the name: the value in words, and what else belongs to it.
    low, high
        Ends of the interval; None: none.
    kind
        Style, see `conversion.pages.charts.KINDS`.
    note
        A second line below the name.
    """

    name: str
    value: float | None
    texts: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    kind: int = 1
    note: str = ""


def bar_table(
    caption: str, header: Sequence[str], bars: Sequence[Bar], longest: float, reference: float | None = None
) -> Markup:
    """Draw a table whose rows have bars from 0, and intervals on them, below their names.

    Parameters
    ----------
    caption
        What the table shows.
    header
        Titles of the columns: of the names, then of `Bar.texts`.
    bars
        The rows.
    longest
        The value at the right end; larger ones are cut off.
    reference
        Where to draw a line, such as 1 for ratios; values are then marks and not bars.
    """
    rows = [
        _row(bar, _drawing(bar, max(longest, 1e-12), reference) if bar.value is not None else Markup(""))
        for bar in bars
    ]
    return table(caption, header, rows, "bars")


@dataclass(frozen=True)
class Step:
    """One step of a waterfall.

    Attributes
    ----------
    name
        What made the step.
    value
        How far it goes, up or down; of the first and the last row where they stand.
    text
        The value in words.
    note
        A second line below the name.
    """

    name: str
    value: float
    text: str
    note: str = ""


def waterfall(caption: str, header: tuple[str, str], start: Step, steps: Sequence[Step], end: Step) -> Markup:
    """Draw how steps lead from a start to an end, each from where the one before it ended.

    Parameters
    ----------
    caption
        What the table shows.
    header
        Titles of the columns of names and of texts.
    start, end
        Where it starts and ends; ``start.value`` and the steps' values add up to ``end.value``.
    steps
        In between.
    """
    stands = [start.value]
    for step in steps:
        stands.append(stands[-1] + step.value)
    least, most = min(*stands, end.value), max(*stands, end.value)
    scale = LENGTH / max(most - least, 1e-12)
    rows = [_row(Bar(start.name, None, (start.text,)), _mark((start.value - least) * scale))]
    for step, before, after in zip(steps, stands, stands[1:], strict=False):
        left, width = (min(before, after) - least) * scale, abs(after - before) * scale
        way = "up" if step.value > 0 else "down"
        drawn = element("rect", x=left, y=0.0, width=max(width, 0.5), height=THICK, class_=way)
        rows.append(_row(Bar(step.name, None, (step.text,), note=step.note), _stretched(drawn)))
    rows.append(_row(Bar(end.name, None, (end.text,)), _mark((end.value - least) * scale), "end"))
    return table(caption, header, rows, "bars waterfall")


def table(caption: str, header: Sequence[str], rows: Sequence[Markup], class_: str) -> Markup:
    """Write a table of finished rows."""
    titles = joined(element("th", title, scope="col") for title in header)
    head = element("thead", element("tr", titles))
    return element(
        "table", element("caption", caption) + head + element("tbody", joined(rows)), class_=class_
    )


def data_table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Write a table of texts; the first cell of a row is its name."""
    written = [
        element("tr", element("th", row[0], scope="row") + joined(element("td", cell) for cell in row[1:]))
        for row in rows
    ]
    return table(caption, header, written, "data")


def framed(title: str, chart: Markup, how_to_read: str, data: Markup | None = None, level: int = 3) -> Markup:
    """Put a chart below its title, with a sentence on how to read it and its data to unfold.

    Parameters
    ----------
    title
        A heading.
    chart
        The chart, or a table of bars.
    how_to_read
        One sentence.
    data
        The chart's numbers as a table; None if the chart is one.
    level
        Of the heading.
    """
    said = element("p", how_to_read)
    if data is not None:
        label = f"{title}: numbers"
        unfolded = element("div", data, class_="scroll", tabindex="0", role="region", aria_label=label)
        said += element("details", element("summary", "The numbers") + unfolded)
    parts = (element(f"h{level}", title), chart, element("figcaption", said))
    return element("figure", joined(parts), class_="figure")


def _row(bar: Bar, drawing: Markup, class_: str | None = None) -> Markup:
    note = element("span", bar.note, class_="note") if bar.note else Markup("")
    name = element("th", element("span", bar.name) + note + drawing, scope="row")
    return element("tr", name + joined(element("td", text) for text in bar.texts), class_=class_)


def _drawing(bar: Bar, longest: float, reference: float | None) -> Markup:
    def at(value: float) -> float:
        return min(max(value / longest, 0.0), 1.0) * LENGTH

    assert bar.value is not None, "rows without a value have no bar"
    parts = [element("rect", x=0.0, y=0.0, width=LENGTH, height=THICK, class_="ground")]
    if reference is None:
        class_ = f"fill-{bar.kind}" if bar.low is None else f"pale fill-{bar.kind}"
        parts.append(element("rect", x=0.0, y=0.0, width=at(bar.value), height=THICK, class_=class_))
    else:
        parts.append(
            element("rect", x=at(reference) - 0.15, y=0.0, width=0.3, height=THICK, class_="reference-mark")
        )
    if bar.low is not None and bar.high is not None:
        left, right = at(bar.low), at(bar.high)
        parts.append(
            element(
                "rect", x=left, y=THICK / 2 - 0.75, width=max(right - left, 0.3), height=1.5, class_="whisker"
            )
        )
    if reference is not None or bar.low is not None:
        parts.append(
            element(
                "rect",
                x=max(at(bar.value) - 0.5, 0.0),
                y=0.5,
                width=1.0,
                height=THICK - 1.0,
                class_=f"fill-{bar.kind}",
            )
        )
    return _stretched(joined(parts))


def _mark(at: float) -> Markup:
    drawn = element(
        "rect", x=min(max(at - 0.4, 0.0), LENGTH - 0.8), y=0.0, width=0.8, height=THICK, class_="stand"
    )
    return _stretched(drawn)


def _stretched(drawing: Markup) -> Markup:
    """Wrap a bar in a picture that is as wide as its cell; the cells beside it say what it shows."""
    return picture(drawing, LENGTH, THICK, None, "bar", stretched=True)
