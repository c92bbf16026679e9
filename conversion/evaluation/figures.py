"""The plots as pictures.

Each function draws the table of the same name in `conversion.evaluation.curves`; what figures have in common
is in `conversion.evaluation.drawing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from conversion.evaluation.curves import FIRST_CALLS, RANKER_NAMES, SLICE_TITLES, SMALLEST_PROBABILITY
from conversion.evaluation.decision_metrics import CLASSES
from conversion.evaluation.drawing import (
    COLOURS,
    GREY,
    MARKERS,
    SERIES,
    STYLES,
    one_panel,
    percent,
    percent_axis,
    ratio_axis,
)
from conversion.evaluation.predictions import MODEL
from conversion.stats.portable_math import log

_EVEN: Final = {
    "expected over observed": 1.0,
    "log loss over the base rate's": 1.0,
    "ROC AUC within the slice": 0.5,
}
"""Where a measure of slices is neither good nor bad: a dashed line."""
_MONTHS_ABREAST: Final = 12
"""More month labels than this are rotated."""


def confusion_figure(table: pd.DataFrame) -> Figure:
    """Draw `confusion_table`: counts, shaded by the share of what actually happened."""
    counts = table["prospects"].to_numpy().reshape(2, 2)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = one_panel("Confusion matrix, all cutoffs", 6.0, 5.0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{count:,}\n{100 * shares[row, column]:.1f} % of row"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12)
    axes.set(xlabel="Predicted", ylabel="Actual", xticks=[0, 1], yticks=[0, 1])
    axes.set_xticklabels(CLASSES)
    axes.set_yticklabels(CLASSES, rotation=90, va="center")
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, format=FuncFormatter(percent))
    bar.set_label("Share of the actual class")
    return figure


def importance_figure(table: pd.DataFrame, top: int = 20) -> Figure:
    """Draw the ``top`` most important features of `importance_table`."""
    ordered = table.sort_values(["importance", "feature"], ascending=[False, True], kind="stable").head(top)
    title = f"Feature importance, top {len(ordered)} of {len(table)}"
    figure, axes = one_panel(title, 8.0, 1.4 + 0.27 * len(ordered))
    axes.barh(ordered["feature"].astype(str), ordered["importance"], color=COLOURS[MODEL])
    axes.invert_yaxis()
    axes.set(xlabel="Importance")
    axes.margins(y=0.01)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


def reliability_figure(table: pd.DataFrame) -> Figure:
    """Draw `reliability_table` on logarithmic axes; bins without a conversion are on the lower edge."""
    predicted = np.maximum(table["mean_probability"].to_numpy(), SMALLEST_PROBABILITY)
    observed, below, above = (table[name].to_numpy() for name in ("observed_share", "low", "high"))
    seen = observed > 0
    shown = np.concatenate((predicted, observed[seen]))
    low = float(f"1e{int(np.floor(log(shown.min()) / log(10.0)))}")
    figure, axes = one_panel("Reliability: predicted and observed, by quantiles of the probability", 6.8, 6.0)
    axes.plot([low, 1], [low, 1], color=GREY, linestyle="--", label="perfectly calibrated")
    # An interval that reaches 0 is drawn to the lower edge.
    axes.vlines(
        *(predicted[seen], np.maximum(below[seen], low), above[seen]),
        color=COLOURS[MODEL],
        linewidth=1.2,
        label="95 % interval",
    )
    axes.plot(
        *(predicted[seen], observed[seen]),
        color=COLOURS[MODEL],
        marker="o",
        markersize=5,
        linestyle="none",
        label="model, a quantile bin each",
    )
    if not seen.all():
        floor = np.full(int((~seen).sum()), low)
        axes.plot(
            *(predicted[~seen], floor),
            color=COLOURS["users_rule"],
            marker="v",
            linestyle="none",
            clip_on=False,
            label="no conversion observed",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(low, 1),
        ylim=(low, 1),
        xlabel="Mean predicted probability of converting within the horizon",
        ylabel="Observed share of prospects that converted",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.minorticks_off()
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def expected_over_observed_figure(table: pd.DataFrame) -> Figure:
    """Draw `expected_over_observed_table`."""
    figure, axes = one_panel("Expected over observed conversions, by month of the cutoff", 9.0, 4.8)
    place = np.arange(len(table))
    ratio = table["expected_over_observed"]
    axes.axhline(1, color=GREY, linestyle="--", label="as many observed as expected")
    axes.vlines(place, table["low"], table["high"], color=COLOURS[MODEL], label="95 % interval")
    axes.plot(place, ratio, color=COLOURS[MODEL], marker="o", linestyle="none", label="model")
    ratio_axis(axes, "y", table)
    months = [
        f"{month}\n{count:,}" for month, count in zip(table["month"], table["conversions"], strict=True)
    ]
    axes.set_xticks(place, months, rotation=90 if len(months) > _MONTHS_ABREAST else 0)
    axes.set(xlabel="Month of the cutoff, and conversions observed", ylabel="Expected over observed")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def slices_figure(table: pd.DataFrame) -> Figure:
    """Draw `slices_table`: a panel for each measure, a line for each slice."""
    slices = list(dict.fromkeys(table["slice"]))
    measures = table.groupby("measure", sort=False)
    figure = Figure(figsize=(3.0 * len(measures) + 1.5, 1.8 + 0.27 * len(slices)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(measures), sharey=True))
    for axes, (measure, rows) in zip(panels, measures, strict=True):
        _draw_slices(axes, rows, slices)
        axes.set_xlabel(str(measure)[:1].upper() + str(measure)[1:])
    figure.suptitle("The model on slices of the prospects, with 95 % intervals")
    panels[0].set_yticks(np.arange(len(slices)), slices)
    panels[0].set_ylabel("Slice of the prospects")
    panels[0].invert_yaxis()
    return figure


def gains_figure(table: pd.DataFrame) -> Figure:
    """Draw `gains_table`: a panel with the first dozens of calls of each list, one with hundreds."""
    figure = Figure(figsize=(11.0, 5.4), layout="constrained")
    first, all_calls = figure.subplots(1, 2)
    names = {name: ranker for ranker, name in RANKER_NAMES.items()}
    longest = max(int(table["calls"].max()), 1)
    for axes, upto in ((first, min(FIRST_CALLS, longest)), (all_calls, longest)):
        shown = table[table["calls"] <= upto]
        for name, rows in shown.groupby("ranker", sort=False):
            ranker = names.get(str(name), str(name))
            axes.plot(
                *(rows["calls"], rows["share_of_conversions"]),
                label=str(name),
                color=COLOURS.get(ranker, "black"),
                linestyle=STYLES.get(ranker, "-"),
                linewidth=2.4 if ranker == MODEL else 1.6,
            )
        top = max(1.08 * float(shown["share_of_conversions"].max()), 0.01)
        axes.set(title=f"The first {upto} calls", xlim=(0, upto), ylim=(0, min(top, 1.02)))
        axes.set(xlabel="Companies called of each week's list", ylabel="Share of conversions caught")
        percent_axis(axes.yaxis)
        axes.grid(alpha=0.3)
    if longest > FIRST_CALLS:
        all_calls.axvspan(0, FIRST_CALLS, color=GREY, alpha=0.12, linewidth=0)
    figure.suptitle("Conversions caught by the first calls of each week's list")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def roc_figure(table: pd.DataFrame) -> Figure:
    """Draw `roc_curve_table`."""
    figure, axes = one_panel("ROC of the model, all cutoffs pooled", 6.0, 6.0)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="random order")
    axes.plot(
        *(table["false_positive_rate"], table["true_positive_rate"]),
        color=COLOURS[MODEL],
        linewidth=2,
        label="model",
    )
    axes.set(
        xlabel="False positive rate (share of other prospects)",
        ylabel="True positive rate (share of conversions)",
        xlim=(0, 1),
        ylim=(0, 1.01),
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def precision_recall_figure(table: pd.DataFrame) -> Figure:
    """Draw `precision_recall_table`."""
    prevalence = float(table["precision"].iloc[-1])
    figure, axes = one_panel("Precision and recall of the model, all cutoffs pooled", 7.0, 5.0)
    axes.plot(table["recall"], table["precision"], color=COLOURS[MODEL], linewidth=2, label="model")
    axes.axhline(
        prevalence, color=GREY, linestyle="--", label=f"random order (prevalence {100 * prevalence:.2f} %)"
    )
    axes.set(
        xlabel="Recall (share of conversions at or above the threshold)",
        ylabel="Precision (share that converts)",
        xlim=(0, 1),
        ylim=(0, min(1.02, max(1.1 * float(table["precision"].max()), 0.01))),
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    return figure


def probability_histogram_figure(table: pd.DataFrame) -> Figure:
    """Draw `probability_histogram_table` on logarithmic axes."""
    figure, axes = one_panel("Predicted probability by outcome, all cutoffs", 8.0, 5.0)
    looks = (("#56B4E9", 0.6, None), ("#D55E00", 0.55, "//"))
    for outcome, (colour, opacity, hatch) in zip(CLASSES, looks, strict=True):
        rows = table[table["outcome"] == outcome]
        edges = np.append(rows["probability_from"], rows["probability_to"].iloc[-1])
        axes.stairs(
            *(rows["prospects"], edges),
            fill=True,
            color=colour,
            alpha=opacity,
            hatch=hatch,
            label=f"{outcome} ({rows['prospects'].sum():,})",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(table["probability_from"].min(), 1),
        ylim=(0.7, None),
        xlabel="Predicted probability of converting within the horizon",
        ylabel="Prospects (one a company and cutoff)",
    )
    percent_axis(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right")
    return figure


def precision_over_time_figure(table: pd.DataFrame) -> Figure:
    """Draw `precision_over_time_table`."""
    figure, axes = one_panel("Precision of the top of each week's list", 9.0, 4.8)
    weeks = pd.to_datetime(table["as_of"])
    names = [name for name in table.columns if name.startswith("precision_at_")]
    for number, name in enumerate(names):
        axes.plot(
            *(weeks, table[name]),
            color=SERIES[number % len(SERIES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            label=f"top {name.removeprefix('precision_at_')}",
        )
    axes.plot(weeks, table["prevalence"], color=GREY, linestyle="--", label="prevalence (random order)")
    axes.set(xlabel="Cutoff (Monday on which the list is made)", ylabel="Share of those called that convert")
    axes.set_ylim(0, None)
    percent_axis(axes.yaxis)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(names) + 1, frameon=False)
    return figure


def _draw_slices(axes: Axes, rows: pd.DataFrame, slices: Sequence[str]) -> None:
    measure = rows["measure"].iloc[0]
    place = [slices.index(name) for name in rows["slice"]]
    axes.hlines(place, rows["low"], rows["high"], color=COLOURS[MODEL])
    axes.plot(rows["value"], place, color=COLOURS[MODEL], marker="o", linestyle="none", clip_on=False)
    if measure == SLICE_TITLES["expected_over_observed"]:
        ratio_axis(axes, "x", rows)
    if measure in _EVEN:
        axes.axvline(_EVEN[measure], color=GREY, linestyle="--")
    else:
        axes.set_xlim(0, None)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
