"""Figures of what the score rests on: of the tables of `conversion.evaluation.importance`."""

from __future__ import annotations

import textwrap
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from conversion.evaluation.drawing import BLUE, GREY, ORANGE, TICK, name_axes, one_panel, percent_axis

FACT_BARS: Final = 15
FEATURE_BARS: Final = 20
_COLOURS: Final = {1: BLUE, -1: ORANGE, 0: GREY}


def importance_by_fact_figure(table: pd.DataFrame) -> Figure:
    """Draw the most important facts of `importance_by_fact_table`, each with its effect."""
    shown = table.head(FACT_BARS)
    figure, axes = one_panel("What the score rests on", 10.0, 1.8 + 0.4 * len(shown))
    places = range(len(shown))
    colours = [_COLOURS[direction] for direction in shown["direction"]]
    axes.barh(places, shown["importance"], color=colours)
    axes.set_yticks(places, shown["fact"].tolist())
    axes.margins(y=0.02)
    axes.invert_yaxis()
    # The effects are tick labels of an axis at the right, since the layout leaves room for those alone.
    effects = axes.secondary_yaxis("right")
    effects.set_yticks(places, shown["effect"].tolist(), fontsize=TICK)
    effects.tick_params(length=0)
    effects.spines["right"].set_visible(False)
    name_axes(axes, "Share of what the score rests on")
    percent_axis(axes.xaxis)
    axes.grid(visible=False, axis="y")
    return figure


def importance_figure(table: pd.DataFrame) -> Figure:
    """Draw the most important features of `importance_table`."""
    shown = table.head(FEATURE_BARS)
    title = f"The {len(shown)} most important of {len(table)} features"
    figure, axes = one_panel(title, 10.0, 1.8 + 0.36 * len(shown))
    axes.barh(range(len(shown)), shown["importance"], color=BLUE)
    axes.set_yticks(range(len(shown)), [textwrap.shorten(each, 70) for each in shown["description"]])
    axes.margins(y=0.02)
    axes.invert_yaxis()
    name_axes(axes, "Share of importance")
    percent_axis(axes.xaxis)
    axes.grid(visible=False, axis="y")
    return figure
