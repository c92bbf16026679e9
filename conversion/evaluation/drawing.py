"""Colours, axes and files of the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from conversion.evaluation.predictions import MODEL
from conversion.runtime.files import write_atomically

# The palette of Okabe and Ito, which the colour-blind can distinguish.
COLOURS: Final = {
    MODEL: "#0072B2",
    "oracle": "#009E73",
    "summary_only": "#56B4E9",
    "users_rule": "#D55E00",
    "actions_rule": "#CC79A7",
    "random": "#777777",
}
STYLES: Final = {"oracle": "--", "summary_only": (0, (5, 1)), "actions_rule": "-.", "random": ":"}
"""Line styles of the rankers; the others are solid."""
SERIES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
GREY: Final = "#777777"
_DPI: Final = 110
_RATIO_TICKS: Final = (0.1, 0.2, 0.33, 0.5, 0.75, 1, 1.33, 2, 3, 5, 10, 20)


def one_panel(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure with one panel; the size is in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


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
    axis.set_ticks([tick for tick in _RATIO_TICKS if low <= tick <= high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG file whose bytes depend only on the figure and on matplotlib's version."""
    write_atomically(
        path,
        lambda temporary: figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None}),
    )
