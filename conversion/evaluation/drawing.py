"""Colours, axes and files of the figures."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from conversion.evaluation.predictions import MODEL, ORACLE, SUMMARY
from conversion.runtime.files import write_atomically

# The palette of Okabe and Ito, which the colour-blind can distinguish.
COLOURS: Final = {
    MODEL: "#0072B2",
    "users_rule": "#D55E00",
    "actions_rule": "#CC79A7",
    SUMMARY: "#56B4E9",
    "random": "#777777",
    ORACLE: "#009E73",
}
STYLES: Final = {ORACLE: "--", SUMMARY: (0, (5, 1)), "actions_rule": "-.", "random": ":"}
"""Line styles of the rankers; the others are solid."""
BLUE: Final = COLOURS[MODEL]
ORANGE: Final = COLOURS["users_rule"]
GREY: Final = "#777777"
TICK: Final = 11.5
_TITLE, _LABEL = 15, 12.5
_DPI: Final = 110
_FINE_TICKS: Final = (0.33, 0.5, 0.75, 1, 1.33, 2, 3)
_WIDE_TICKS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_WIDE: Final = 6.0
"""From this ratio of the ends of an axis on, its ticks are wide apart."""


def panels(
    title: str, count: int, width: float, height: float, *, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure with panels beside each other; the size is in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    found = list(np.atleast_1d(figure.subplots(1, count, sharey=share_y)))
    figure.suptitle(title, fontsize=_TITLE)
    for axes in found:
        axes.tick_params(labelsize=TICK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, found


def one_panel(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure with one panel; the size is in inches."""
    figure, (axes,) = panels(title, 1, width, height)
    return figure, axes


def name_axes(axes: Axes, x: str = "", y: str = "", title: str = "") -> None:
    """Name the axes of a panel, and the panel itself."""
    axes.set_xlabel(x, fontsize=_LABEL)
    axes.set_ylabel(y, fontsize=_LABEL)
    axes.set_title(title, fontsize=_LABEL)


def legend(axes: Axes, place: Literal["upper left", "upper right", "lower right"]) -> None:
    """Draw the legend inside of a panel."""
    axes.legend(loc=place, fontsize=TICK, framealpha=1.0)


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Draw the legend of a panel below the figure."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=TICK,
    )


def draw_band(
    axes: Axes, x: pd.Series[Any], rows: pd.DataFrame, colour: str, label: str | None = None
) -> None:
    """Shade the intervals ``low`` to ``high`` of a curve."""
    axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.18, linewidth=0, label=label)


def wrapped(text: str, width: int) -> str:
    """Return a text with a capital letter first, in lines of at most so many characters."""
    return textwrap.fill(text[:1].upper() + text[1:], width)


def percent(value: float, _: int | None = None) -> str:
    """Format a share as a tick label."""
    return f"{100 * value:.6g} %"


def percent_axis(axis: Axis) -> None:
    """Label the ticks of an axis of shares as percentages."""
    axis.set_major_formatter(FuncFormatter(percent))


def ratio_axis(axes: Axes, which: Literal["x", "y"], rows: pd.DataFrame) -> None:
    """Make an axis of ratios: logarithmic, at least from a half to twice, ticks as plain numbers.

    Parameters
    ----------
    axes
        To change.
    which
        Its axis.
    rows
        ``low`` and ``high`` of the ratios, all of which the axis covers.
    """
    low, high = min(0.5, float(rows["low"].min())) / 1.1, max(2.0, float(rows["high"].max())) * 1.1
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    ticks = _FINE_TICKS if high / low < _WIDE else _WIDE_TICKS
    axis.set_ticks([tick for tick in ticks if low <= tick <= high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG file whose bytes depend only on the figure and on matplotlib's version."""
    write_atomically(
        path,
        lambda temporary: figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None}),
    )
