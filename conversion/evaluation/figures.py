"""The plots as pictures, for people who know the product and no statistics.

Each function draws the table of the same name in `conversion.evaluation.curves`, ``days`` being the horizon;
what figures have in common is in `conversion.evaluation.drawing`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from conversion.evaluation.curves import FIRST_CALLS, SMALLEST_PROBABILITY, SMOOTHED_LISTS
from conversion.evaluation.decision_metrics import CLASSES
from conversion.evaluation.drawing import (
    BLUE,
    COLOURS,
    GREY,
    ORANGE,
    STYLES,
    draw_band,
    legend,
    legend_below,
    name_axes,
    one_panel,
    panels,
    percent_axis,
    ratio_axis,
)
from conversion.evaluation.first_calls import RULES
from conversion.evaluation.predictions import MODEL, ORACLE, RANKER_NAMES, SUMMARY
from conversion.stats.portable_math import log

_RANKERS: Final = {name: ranker for ranker, name in RANKER_NAMES.items()}
_MONTHS_ABREAST: Final = 10
"""More month labels than this are rotated."""


def confusion_figure(table: pd.DataFrame, days: int) -> Figure:
    """Draw `confusion_table`: counts, shaded by the share of what actually happened."""
    counts = table["prospects"].to_numpy().reshape(2, 2)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = one_panel("What was predicted, and what happened", 7.0, 5.2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    said = (("not predicted to convert", "predicted to convert"), ("did not convert", "converted"))
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.65 else "black"
        text = f"{count:,}\n{100 * shares[row, column]:.1f} % of those\nthat {said[1][row]}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12.5)
    axes.set(xticks=[0, 1], yticks=[0, 1])
    axes.set_xticklabels([each.capitalize() for each in said[0]])
    axes.set_yticklabels([each.capitalize() for each in said[1]], rotation=90, va="center")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    name_axes(axes, "Companies, counted once on each list of the past", f"Within {days} days")
    return figure


def reliability_figure(table: pd.DataFrame, days: int) -> Figure:
    """Draw `reliability_table` on logarithmic axes; bins without a conversion are on the lower edge."""
    predicted = np.maximum(table["mean_probability"].to_numpy(), SMALLEST_PROBABILITY)
    observed, below, above = (table[name].to_numpy() for name in ("observed_share", "low", "high"))
    seen = observed > 0
    shown = np.concatenate((predicted, observed[seen]))
    low = float(f"1e{int(np.floor(log(shown.min()) / log(10.0)))}")
    figure, axes = one_panel("Do companies convert as often as predicted?", 7.4, 7.0)
    axes.plot([low, 1], [low, 1], color=GREY, linestyle="--", label="exactly as often as predicted")
    # An interval that reaches 0 is drawn to the lower edge.
    axes.vlines(
        predicted[seen],
        np.maximum(below[seen], low),
        above[seen],
        color=BLUE,
        linewidth=1.6,
        label="95 % interval",
    )
    axes.plot(
        predicted[seen],
        observed[seen],
        color=BLUE,
        marker="o",
        markersize=6,
        linestyle="none",
        label="companies of about the same prediction",
    )
    if not seen.all():
        axes.plot(
            predicted[~seen],
            np.full(int((~seen).sum()), low),
            color=ORANGE,
            marker="v",
            linestyle="none",
            clip_on=False,
            label="none of them converted",
        )
    axes.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1))
    name_axes(axes, f"Predicted probability of converting within {days} days", "Share of them that converted")
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.minorticks_off()
    axes.set_aspect("equal")
    legend(axes, "upper left")
    return figure


def expected_over_observed_figure(table: pd.DataFrame) -> Figure:
    """Draw `expected_over_observed_table`."""
    figure, axes = one_panel("Conversions predicted for each one that happened, month by month", 9.5, 5.4)
    place = np.arange(len(table))
    ratio = table["expected_over_observed"]
    axes.axhline(1, color=GREY, linestyle="--", label="as many as predicted")
    axes.vlines(place, table["low"], table["high"], color=BLUE, linewidth=1.6, label="95 % interval")
    axes.plot(place, ratio, color=BLUE, marker="o", markersize=6, linestyle="none", label="model")
    ratio_axis(axes, "y", table)
    months = [
        f"{month}\n{count:,}" for month, count in zip(table["month"], table["conversions"], strict=True)
    ]
    axes.set_xticks(place, months, rotation=90 if len(months) > _MONTHS_ABREAST else 0)
    axes.set_xlim(-0.5, max(len(table), 1) - 0.5)
    name_axes(
        axes,
        "Month of the lists, and the conversions on them that happened",
        "Predicted for each that happened\n(above 1: fewer came than predicted)",
    )
    legend_below(figure, axes, 3)
    return figure


def gains_figure(table: pd.DataFrame, days: int) -> Figure:
    """Draw `gains_table`: the first dozens of calls of each list, and hundreds; of the rules the first."""
    there = {_RANKERS.get(name) for name in table["ranker"].unique()}
    rule = [rule for rule in RULES if rule in there][:1]
    drawn = [ranker for ranker in (MODEL, *rule, "random", ORACLE) if ranker in there]
    longest = max(int(table["calls"].max()), 1)
    limits = [FIRST_CALLS, longest] if longest > FIRST_CALLS else [longest]
    title = f"Share of all conversions within {days} days that the first calls reach"
    figure, found = panels(title, len(limits), 1.5 + 5.5 * len(limits), 5.8)
    for axes, upto in zip(found, limits, strict=True):
        shown = table[table["calls"] <= upto]
        for ranker in drawn:
            _draw_gains(axes, shown[shown["ranker"] == RANKER_NAMES[ranker]], ranker)
        of_drawn = shown[shown["ranker"].map(_RANKERS).isin(drawn)]
        # Without conversions there is no interval.
        top = float(of_drawn[["share_of_conversions", "high"]].fillna(0.0).max().max())
        axes.set(xlim=(0, upto), ylim=(0, min(max(1.05 * top, 0.01), 1.02)))
        name_axes(
            axes,
            "Companies called from the top of each week's list",
            "Share of all conversions",
            f"The first {upto} calls",
        )
        percent_axis(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(limits) > 1:
        found[1].axvspan(0, FIRST_CALLS, color=GREY, alpha=0.12, linewidth=0)
    found[0].fill_between([], [], [], color=GREY, alpha=0.3, label="95 % interval")
    legend_below(figure, found[0], 3)
    return figure


def roc_figure(table: pd.DataFrame) -> Figure:
    """Draw `roc_curve_table`."""
    figure, axes = one_panel("How far down the list the conversions are (ROC curve)", 7.0, 7.2)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="random order")
    axes.plot(
        table["false_positive_rate"], table["true_positive_rate"], color=BLUE, linewidth=2.4, label="model"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    name_axes(
        axes,
        "Share of the companies that did not convert\ndown to the same place (false positive rate)",
        "Share of the conversions down to a place on the lists\n(true positive rate)",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.set_aspect("equal")
    legend(axes, "lower right")
    return figure


def precision_recall_figure(table: pd.DataFrame) -> Figure:
    """Draw `precision_recall_table`."""
    prevalence = float(table["precision"].iloc[-1])
    figure, axes = one_panel("The further down the list, the fewer convert (precision and recall)", 8.5, 5.6)
    axes.plot(table["recall"], table["precision"], color=BLUE, linewidth=2.4, label="model")
    axes.axhline(
        prevalence, color=GREY, linestyle="--", label=f"random order: {100 * prevalence:.2f} % convert"
    )
    axes.set(xlim=(0, 1), ylim=(0, min(1.02, max(1.1 * float(table["precision"].max()), 0.01))))
    name_axes(
        axes,
        "Share of the conversions down to a place on the lists (recall)",
        "Share of the companies down to it\nthat converted (precision)",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend(axes, "upper right")
    return figure


def probability_histogram_figure(table: pd.DataFrame, days: int) -> Figure:
    """Draw `probability_histogram_table` on logarithmic axes."""
    figure, axes = one_panel("Predicted probabilities of those that converted, and of the others", 9.0, 5.6)
    looks = (("did not convert", COLOURS[SUMMARY], 0.6, None), ("converted", ORANGE, 0.55, "//"))
    for outcome, (name, colour, opacity, hatch) in zip(CLASSES, looks, strict=True):
        rows = table[table["outcome"] == outcome]
        edges = np.append(rows["probability_from"], rows["probability_to"].iloc[-1])
        axes.stairs(
            rows["prospects"],
            edges,
            fill=True,
            color=colour,
            alpha=opacity,
            hatch=hatch,
            label=f"{name} ({rows['prospects'].sum():,})",
        )
    axes.set(xscale="log", yscale="log", xlim=(table["probability_from"].min(), 1), ylim=(0.7, None))
    name_axes(
        axes,
        f"Predicted probability of converting within {days} days",
        "Companies, counted once on each list\n(each line is ten times the one below)",
    )
    percent_axis(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    legend(axes, "upper right")
    return figure


def precision_over_time_figure(table: pd.DataFrame, days: int) -> Figure:
    """Draw `precision_over_time_table`: a panel for each number of calls."""
    by_calls = table.groupby("calls", sort=True)
    title = f"Of the companies called, how many converted within {days} days, list by list"
    figure, found = panels(title, len(by_calls), 1.0 + 4.4 * len(by_calls), 5.4)
    for axes, (calls, rows) in zip(found, by_calls, strict=True):
        for name, each in rows.groupby("ranker", sort=False):
            _draw_over_time(axes, each, str(name))
        axes.set_ylim(0, min(1.02, max(1.08 * float(rows[["precision", "high"]].max().max()), 0.01)))
        name_axes(axes, "Monday of the list", "", f"The first {calls} of each list")
        percent_axis(axes.yaxis)
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(DateFormatter("%Y-%m"))  # type: ignore[no-untyped-call]
    found[0].set_ylabel("Share that converted", fontsize=found[0].xaxis.label.get_fontsize())
    legend_below(figure, found[0], 2)
    return figure


def _draw_gains(axes: Axes, rows: pd.DataFrame, ranker: str) -> None:
    colour = COLOURS[ranker]
    if ranker in (MODEL, *RULES):
        draw_band(axes, rows["calls"], rows, colour)
    axes.plot(
        rows["calls"],
        rows["share_of_conversions"],
        label=RANKER_NAMES[ranker],
        color=colour,
        linestyle=STYLES.get(ranker, "-"),
        linewidth=2.6 if ranker == MODEL else 2.0,
    )


def _draw_over_time(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    ranker, weeks = _RANKERS[name], pd.to_datetime(rows["as_of"])
    colour = COLOURS[ranker]
    if ranker == MODEL:
        draw_band(axes, weeks, rows, colour, "95 % interval of the model's mean")
    if ranker != "random":
        mark = "o" if ranker == MODEL else "s"
        axes.plot(
            weeks, rows["precision"], color=colour, marker=mark, markersize=3.5, alpha=0.55, linestyle="none"
        )
    axes.plot(
        weeks,
        rows["mean"],
        color=colour,
        linewidth=2.6 if ranker == MODEL else 2.0,
        linestyle=STYLES.get(ranker, "-"),
        label="all companies" if ranker == "random" else f"{name}: mean of {SMOOTHED_LISTS} lists",
    )
