"""Small tables for DVC's plots, and the same as figures that are drawn to identical PNG bytes every time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from conversion.evaluation.decision_metrics import CLASSES
from conversion.evaluation.predictions import MODEL
from conversion.evaluation.slice_metrics import observed_shares
from conversion.modelling.threshold import cumulative_decisions
from conversion.runtime.files import write_atomically
from conversion.stats.bins import quantile_bins
from conversion.stats.portable_math import exp, log
from conversion.stats.rank_order import rank_order

RANKER_NAMES: Final = {
    MODEL: "model",
    "oracle": "oracle (true probability)",
    "summary_only": "model, lifetime totals only",
    "users_rule": "rule: most users",
    "actions_rule": "rule: most actions",
    "random": "random order",
}
"""Rankers in the order of a legend."""

RELIABILITY_LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Deciles, the top one cut finer, as with a base rate below 1 % it holds nearly all conversions."""

GAINS_CALLS: Final = 500
"""Calls of each list that gains are followed to: reps get no further in a week."""
FIRST_CALLS: Final = 50
"""Calls that gains are shown one by one for."""

# Okabe and Ito's palette, told apart by the colour-blind.
_COLOURS: Final = {
    MODEL: "#0072B2",
    "oracle": "#009E73",
    "summary_only": "#56B4E9",
    "users_rule": "#D55E00",
    "actions_rule": "#CC79A7",
    "random": "#777777",
}
_STYLES: Final = {"oracle": "--", "summary_only": (0, (5, 1)), "actions_rule": "-.", "random": ":"}
_SERIES: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_GREY: Final = "#777777"
_DPI: Final = 110
_RATIO_TICKS: Final = (0.1, 0.2, 0.33, 0.5, 0.75, 1, 1.33, 2, 3, 5, 10, 20)
_SLICE_TITLES: Final = {
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": "expected over observed",
    "log_loss_ratio": "log loss over the base rate's",
    "roc_auc": "ROC AUC within the slice",
}
_SLICE_EVEN: Final = {
    "expected over observed": 1.0,
    "log loss over the base rate's": 1.0,
    "ROC AUC within the slice": 0.5,
}
_MONTHS_ABREAST: Final = 12
_SMALLEST_PROBABILITY: Final = 1e-6
_CURVE_POINTS: Final = 100
_CALLS: Final = np.concatenate((np.arange(FIRST_CALLS), np.arange(FIRST_CALLS, GAINS_CALLS, 10)))


def roc_curve_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Points of the model's ROC curve over all rows.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.

    Returns
    -------
    DataFrame
        ``false_positive_rate``, ``true_positive_rate``; at most 200 true points of the curve.
    """
    _, hits, called, conversions = cumulative_decisions(predictions["label"], predictions[MODEL])
    alarms = called - hits
    alarm_rate = np.concatenate(([0.0], alarms / max(len(predictions) - conversions, 1)))
    hit_rate = np.concatenate(([0.0], hits / max(conversions, 1)))
    kept = _spread(hit_rate, alarm_rate)
    table = pd.DataFrame({"false_positive_rate": alarm_rate[kept], "true_positive_rate": hit_rate[kept]})
    return table.round(6)


def precision_recall_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Points of the model's precision-recall curve over all rows.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.

    Returns
    -------
    DataFrame
        ``recall``, ``precision``, ``threshold``; at most 200 true points of the curve, the last at recall 1,
        where precision is the prevalence.
    """
    threshold, hits, called, conversions = cumulative_decisions(predictions["label"], predictions[MODEL])
    kept = _spread(hits, log(called))
    table = pd.DataFrame(
        {
            "recall": hits[kept] / max(conversions, 1),
            "precision": hits[kept] / called[kept],
            "threshold": threshold[kept],
        }
    )
    return table.round(6)


def reliability_table(predictions: pd.DataFrame, samples: int, seed: int) -> pd.DataFrame:
    """Compare predicted probability and observed share in quantile bins of the probability.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    DataFrame
        One row a bin of `RELIABILITY_LEVELS`: ``mean_probability``, ``observed_share``, the bounds ``low``
        and ``high`` of its 95 % interval, ``prospects``, ``conversions``.
    """
    bins = quantile_bins(predictions[MODEL], RELIABILITY_LEVELS)
    table = observed_shares(predictions, bins, int(bins.max()) + 1, samples, seed)
    columns = ["mean_probability", "observed_share", "low", "high", "prospects", "conversions"]
    return table.loc[table["prospects"] > 0, columns].round(8).reset_index(drop=True)


def gains_table(predictions: pd.DataFrame, rankers: Sequence[str] | None = None) -> pd.DataFrame:
    """Share of all conversions that the first calls of every cutoff's list would catch.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    rankers
        Columns to rank by; None: those of `RANKER_NAMES` that are there.

    Returns
    -------
    DataFrame
        Long: ``ranker`` (its legend name), ``calls`` of each list (none to `GAINS_CALLS`, or to the end of
        the longest list), ``share_of_conversions``, ``lift`` (over calling in random order).
    """
    chosen = [name for name in RANKER_NAMES if name in predictions] if rankers is None else rankers
    weeks = [week for _, week in predictions.groupby("as_of", sort=True)]
    return pd.concat([_gains(weeks, ranker) for ranker in chosen], ignore_index=True)


def expected_over_observed_table(months: pd.DataFrame) -> pd.DataFrame:
    """Compare predicted and actual conversions month by month.

    Parameters
    ----------
    months
        From `conversion.evaluation.slice_metrics.slice_measures`, a slice a month of cutoffs.

    Returns
    -------
    DataFrame
        ``month``, ``prospects``, ``conversions``, ``expected_conversions``, ``expected_over_observed`` and
        the bounds ``low`` and ``high`` of its 95 % interval; months without conversions are left out.
    """
    name = "expected_over_observed"
    table = pd.DataFrame(
        {
            "month": months["slice"],
            "prospects": months["prospects"],
            "conversions": months["conversions"],
            "expected_conversions": (months["prospects"] * months["mean_probability"]).round(2),
            name: months[name],
            "low": months[f"{name}_low"],
            "high": months[f"{name}_high"],
        }
    )
    return table.dropna().round(6).reset_index(drop=True)


def slices_table(slices: pd.DataFrame) -> pd.DataFrame:
    """Take from the measures by slice those that are drawn.

    Parameters
    ----------
    slices
        From `conversion.evaluation.slice_metrics.slice_measures`.

    Returns
    -------
    DataFrame
        Long: ``measure`` (its title), ``slice``, ``value``, ``low`` and ``high`` (its 95 % interval, or
        ``value`` where there is none); without what is undefined.
    """
    longest = [name for name in slices.columns if name.startswith("recall_at_")][-1:]
    titles = dict(_SLICE_TITLES) | {
        name: f"recall at {name.removeprefix('recall_at_')} of the whole list" for name in longest
    }
    parts = [
        pd.DataFrame(
            {
                "measure": title,
                "slice": slices["slice"],
                "value": slices[name],
                "low": slices[f"{name}_low" if f"{name}_low" in slices else name],
                "high": slices[f"{name}_high" if f"{name}_high" in slices else name],
            }
        )
        for name, title in titles.items()
    ]
    return pd.concat(parts).dropna().round(6).reset_index(drop=True)


def precision_over_time_table(weekly: pd.DataFrame) -> pd.DataFrame:
    """Precision of the top of each week's list, beside that week's prevalence.

    Parameters
    ----------
    weekly
        From `conversion.evaluation.ranking_metrics.weekly_measures`.

    Returns
    -------
    DataFrame
        ``as_of`` (ISO date), a ``precision_at_`` column for each list length, ``prevalence``; weeks without
        conversions have precision 0.
    """
    precisions = [name for name in weekly.columns if name.startswith("precision_at_")]
    shares = weekly[[*precisions, "prevalence"]].fillna(0.0).round(6)
    shares.insert(0, "as_of", pd.to_datetime(weekly["as_of"]).dt.strftime("%Y-%m-%d"))
    return shares


def probability_histogram_table(predictions: pd.DataFrame, bins: int = 40) -> pd.DataFrame:
    """Histogram of the model's probability by class, in bins of equal width on a log scale.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    bins
        Bins; probabilities below 1e-6 are in the first.

    Returns
    -------
    DataFrame
        Long: ``outcome``, ``probability_from``, ``probability_to``, ``prospects``, ``share`` (of the class).
    """
    probability = np.clip(predictions[MODEL].to_numpy(dtype=np.float64), _SMALLEST_PROBABILITY, 1.0)
    lowest = min(float(probability.min(initial=1.0)), 0.5)
    edges = exp(np.linspace(float(log(lowest)), 0.0, bins + 1))
    # The outer bins hold the extremes, whatever the last bit of a rounded edge is.
    number = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, bins - 1)
    parts = []
    for outcome, name in enumerate(CLASSES):
        counts = np.bincount(number[predictions["label"].to_numpy() == outcome], minlength=bins)
        parts.append(
            pd.DataFrame(
                {
                    "outcome": name,
                    "probability_from": edges[:-1],
                    "probability_to": edges[1:],
                    "prospects": counts,
                    "share": counts / max(counts.sum(), 1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(8)


def confusion_table(label: ArrayLike, predicted: ArrayLike) -> pd.DataFrame:
    """Count decisions by what became of the prospect.

    DVC's own ``confusion`` template counts rows, and would need a row for each prospect and week. This table
    has the counts in a column, and wants a template that sums it.

    Parameters
    ----------
    label
        0 or 1.
    predicted
        0 or 1.

    Returns
    -------
    DataFrame
        Four rows: ``actual``, ``predicted``, ``prospects``.
    """
    cell = 2 * np.asarray(label, dtype=np.int64) + np.asarray(predicted, dtype=np.int64)
    counts = np.bincount(cell, minlength=4)
    return pd.DataFrame(
        {
            "actual": np.repeat(CLASSES, 2),
            "predicted": np.tile(CLASSES, 2),
            "prospects": counts,
        }
    )


def confusion_figure(table: pd.DataFrame) -> Figure:
    """Draw `confusion_table`: counts, shaded by the share of what actually happened.

    Parameters
    ----------
    table
        From `confusion_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    counts = table["prospects"].to_numpy().reshape(2, 2)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure("Confusion matrix, all cutoffs", 6.0, 5.0)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{count:,}\n{100 * shares[row, column]:.1f} % of row"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=12)
    axes.set(xlabel="Predicted", ylabel="Actual", xticks=[0, 1], yticks=[0, 1])
    axes.set_xticklabels(CLASSES)
    axes.set_yticklabels(CLASSES, rotation=90, va="center")
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, format=FuncFormatter(_percent))
    bar.set_label("Share of the actual class")
    return figure


def importance_figure(table: pd.DataFrame, top: int = 20) -> Figure:
    """Draw the most important features.

    Parameters
    ----------
    table
        ``feature`` and ``importance``.
    top
        Bars at most.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    ordered = table.sort_values(["importance", "feature"], ascending=[False, True], kind="stable").head(top)
    title = f"Feature importance, top {len(ordered)} of {len(table)}"
    figure, axes = _figure(title, 8.0, 1.4 + 0.27 * len(ordered))
    axes.barh(ordered["feature"].astype(str), ordered["importance"], color=_COLOURS[MODEL])
    axes.invert_yaxis()
    axes.set(xlabel="Importance")
    axes.margins(y=0.01)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


def reliability_figure(table: pd.DataFrame) -> Figure:
    """Draw `reliability_table` on logarithmic axes; bins without a conversion stand on the lower edge.

    Parameters
    ----------
    table
        From `reliability_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    predicted = np.maximum(table["mean_probability"].to_numpy(), _SMALLEST_PROBABILITY)
    observed, below, above = (table[name].to_numpy() for name in ("observed_share", "low", "high"))
    seen = observed > 0
    shown = np.concatenate((predicted, observed[seen]))
    low = float(f"1e{int(np.floor(log(shown.min()) / log(10.0)))}")
    figure, axes = _figure("Reliability: predicted and observed, by quantiles of the probability", 6.8, 6.0)
    axes.plot([low, 1], [low, 1], color=_GREY, linestyle="--", label="perfectly calibrated")
    # An interval that reaches down to nothing reaches the lower edge.
    axes.vlines(
        *(predicted[seen], np.maximum(below[seen], low), above[seen]),
        color=_COLOURS[MODEL],
        linewidth=1.2,
        label="95 % interval",
    )
    axes.plot(
        *(predicted[seen], observed[seen]),
        color=_COLOURS[MODEL],
        marker="o",
        markersize=5,
        linestyle="none",
        label="model, a quantile bin each",
    )
    if not seen.all():
        floor = np.full(int((~seen).sum()), low)
        axes.plot(
            *(predicted[~seen], floor),
            color=_COLOURS["users_rule"],
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
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.minorticks_off()
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def expected_over_observed_figure(table: pd.DataFrame) -> Figure:
    """Draw `expected_over_observed_table`.

    Parameters
    ----------
    table
        From `expected_over_observed_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    figure, axes = _figure("Expected over observed conversions, by month of the cutoff", 9.0, 4.8)
    place = np.arange(len(table))
    ratio = table["expected_over_observed"]
    axes.axhline(1, color=_GREY, linestyle="--", label="as many observed as expected")
    axes.vlines(place, table["low"], table["high"], color=_COLOURS[MODEL], label="95 % interval")
    axes.plot(place, ratio, color=_COLOURS[MODEL], marker="o", linestyle="none", label="model")
    _ratio_axis(axes, "y", table)
    months = [
        f"{month}\n{count:,}" for month, count in zip(table["month"], table["conversions"], strict=True)
    ]
    axes.set_xticks(place, months, rotation=90 if len(months) > _MONTHS_ABREAST else 0)
    axes.set(xlabel="Month of the cutoff, and conversions observed", ylabel="Expected over observed")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def slices_figure(table: pd.DataFrame) -> Figure:
    """Draw `slices_table`: a panel a measure, a line a slice.

    Parameters
    ----------
    table
        From `slices_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
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
    """Draw `gains_table`: conversions caught by the first few calls of each list, and by the first hundreds.

    Parameters
    ----------
    table
        From `gains_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
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
                color=_COLOURS.get(ranker, "black"),
                linestyle=_STYLES.get(ranker, "-"),
                linewidth=2.4 if ranker == MODEL else 1.6,
            )
        top = max(1.08 * float(shown["share_of_conversions"].max()), 0.01)
        axes.set(title=f"The first {upto} calls", xlim=(0, upto), ylim=(0, min(top, 1.02)))
        axes.set(xlabel="Companies called of each week's list", ylabel="Share of conversions caught")
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.grid(alpha=0.3)
    if longest > FIRST_CALLS:
        all_calls.axvspan(0, FIRST_CALLS, color=_GREY, alpha=0.12, linewidth=0)
    figure.suptitle("Conversions caught by the first calls of each week's list")
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def roc_figure(table: pd.DataFrame) -> Figure:
    """Draw `roc_curve_table`.

    Parameters
    ----------
    table
        From `roc_curve_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    figure, axes = _figure("ROC of the model, all cutoffs pooled", 6.0, 6.0)
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", label="random order")
    axes.plot(
        *(table["false_positive_rate"], table["true_positive_rate"]),
        color=_COLOURS[MODEL],
        linewidth=2,
        label="model",
    )
    axes.set(
        xlabel="False positive rate (share of other prospects)",
        ylabel="True positive rate (share of conversions)",
        xlim=(0, 1),
        ylim=(0, 1.01),
    )
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def precision_recall_figure(table: pd.DataFrame) -> Figure:
    """Draw `precision_recall_table`.

    Parameters
    ----------
    table
        From `precision_recall_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    prevalence = float(table["precision"].iloc[-1])
    figure, axes = _figure("Precision and recall of the model, all cutoffs pooled", 7.0, 5.0)
    axes.plot(table["recall"], table["precision"], color=_COLOURS[MODEL], linewidth=2, label="model")
    axes.axhline(
        prevalence, color=_GREY, linestyle="--", label=f"random order (prevalence {100 * prevalence:.2f} %)"
    )
    axes.set(
        xlabel="Recall (share of conversions at or above the threshold)",
        ylabel="Precision (share that converts)",
        xlim=(0, 1),
        ylim=(0, min(1.02, max(1.1 * float(table["precision"].max()), 0.01))),
    )
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    return figure


def probability_histogram_figure(table: pd.DataFrame) -> Figure:
    """Draw `probability_histogram_table` on logarithmic axes.

    Parameters
    ----------
    table
        From `probability_histogram_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    figure, axes = _figure("Predicted probability by outcome, all cutoffs", 8.0, 5.0)
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
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right")
    return figure


def precision_over_time_figure(table: pd.DataFrame) -> Figure:
    """Draw `precision_over_time_table`.

    Parameters
    ----------
    table
        From `precision_over_time_table`.

    Returns
    -------
    Figure
        To save with `save_png`.
    """
    figure, axes = _figure("Precision of the top of each week's list", 9.0, 4.8)
    weeks = pd.to_datetime(table["as_of"])
    names = [name for name in table.columns if name.startswith("precision_at_")]
    for number, name in enumerate(names):
        axes.plot(
            *(weeks, table[name]),
            color=_SERIES[number % len(_SERIES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=f"top {name.removeprefix('precision_at_')}",
        )
    axes.plot(weeks, table["prevalence"], color=_GREY, linestyle="--", label="prevalence (random order)")
    axes.set(xlabel="Cutoff (Monday on which the list is made)", ylabel="Share of those called that convert")
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(names) + 1, frameon=False)
    return figure


def save_png(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG whose bytes depend on nothing but the figure and matplotlib's version.

    Parameters
    ----------
    figure
        To draw.
    path
        Ends in ``.png``.
    """
    write_atomically(
        path,
        lambda temporary: figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None}),
    )


def _draw_slices(axes: Axes, rows: pd.DataFrame, slices: Sequence[str]) -> None:
    measure = rows["measure"].iloc[0]
    place = [slices.index(name) for name in rows["slice"]]
    axes.hlines(place, rows["low"], rows["high"], color=_COLOURS[MODEL])
    axes.plot(rows["value"], place, color=_COLOURS[MODEL], marker="o", linestyle="none", clip_on=False)
    if measure == _SLICE_TITLES["expected_over_observed"]:
        _ratio_axis(axes, "x", rows)
    if measure in _SLICE_EVEN:
        axes.axvline(_SLICE_EVEN[measure], color=_GREY, linestyle="--")
    else:
        axes.set_xlim(0, None)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)


def _ratio_axis(axes: Axes, which: Literal["x", "y"], rows: pd.DataFrame) -> None:
    """Make an axis of ratios: logarithmic, at least from a half to twice, the ticks as plain numbers."""
    low, high = min(0.5, float(rows["low"].min())) / 1.1, max(2.0, float(rows["high"].max())) * 1.1
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis.set_ticks([tick for tick in _RATIO_TICKS if low <= tick <= high])
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.minorticks_off()


def _gains(weeks: Sequence[pd.DataFrame], ranker: str) -> pd.DataFrame:
    prospects = np.array([len(week) for week in weeks])
    longest = min(int(prospects.max()), GAINS_CALLS)
    calls = np.append(_CALLS[longest > _CALLS], longest)
    places = [
        np.flatnonzero(week["label"].to_numpy()[rank_order(week[ranker], week["id"])] == 1) for week in weeks
    ]
    caught = np.searchsorted(np.sort(np.concatenate(places)), calls, side="left")
    share = caught / max(sum(map(len, places)), 1)
    called = np.minimum(calls[:, None], prospects).sum(axis=1) / prospects.sum()
    return pd.DataFrame(
        {
            "ranker": RANKER_NAMES.get(ranker, ranker),
            "calls": calls,
            "share_of_conversions": share,
            "lift": np.divide(share, called, out=np.full_like(share, np.nan), where=called > 0),
        }
    ).round(6)


def _spread(*ascending: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose a few points of a curve, spread evenly along each of its (ascending) coordinates."""
    chosen = [
        np.searchsorted(values, np.linspace(values[0], values[-1], _CURVE_POINTS)) for values in ascending
    ]
    last = len(ascending[0]) - 1
    return np.unique(np.clip(np.concatenate(chosen), 0, last))[-2 * _CURVE_POINTS :]


def _figure(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _percent(value: float, _: int | None = None) -> str:
    return f"{100 * value:.6g} %"
