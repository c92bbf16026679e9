"""What decisions are worth: yes or no at a threshold, and calls down each cutoff's list."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from conversion.evaluation.predictions import MODEL, companies_of, cutoffs_of
from conversion.stats.numeric import Floats
from conversion.stats.rank_order import rank_order

CLASSES: Final = ("no conversion", "conversion")


def classification_measures(label: ArrayLike, predicted: ArrayLike) -> dict[str, float | int | None]:
    """Take the familiar measures of yes-or-no decisions.

    Parameters
    ----------
    label
        0 or 1.
    predicted
        0 or 1.

    Returns
    -------
    dict
        ``accuracy``, ``precision``, ``recall``, ``f1`` (None where undefined) and the four counts.
    """
    actual, decided = np.asarray(label).astype(bool), np.asarray(predicted).astype(bool)
    hits, alarms = int((actual & decided).sum()), int((~actual & decided).sum())
    missed, quiet = int((actual & ~decided).sum()), int((~actual & ~decided).sum())
    return {
        "accuracy": _ratio(hits + quiet, len(actual)),
        "precision": _ratio(hits, hits + alarms),
        "recall": _ratio(hits, hits + missed),
        "f1": _ratio(2 * hits, 2 * hits + alarms + missed),
        "true_positives": hits,
        "false_positives": alarms,
        "false_negatives": missed,
        "true_negatives": quiet,
    }


def classification_report(label: ArrayLike, predicted: ArrayLike) -> str:
    """Write the familiar text table of precision, recall, F1 and support by class.

    Parameters
    ----------
    label
        0 or 1.
    predicted
        0 or 1.

    Returns
    -------
    str
        The table; ``n/a`` where a measure is undefined.
    """
    actual, decided = np.asarray(label).astype(bool), np.asarray(predicted).astype(bool)
    by_class = [classification_measures(~actual, ~decided), classification_measures(actual, decided)]
    names = ("precision", "recall", "f1")
    table = np.array([[_or_nan(measures[name]) for name in names] for measures in by_class])
    support = np.array([(~actual).sum(), actual.sum()])
    weighted = (support[:, None] * table).sum(axis=0) / max(len(actual), 1)
    titles = ("precision", "recall", "f1-score", "support")
    lines = [f"{'':>15}" + "".join(f"{title:>11}" for title in titles), ""]
    lines += [_report_line(*line) for line in zip(CLASSES, table, support, strict=True)]
    accuracy = _or_nan(by_class[1]["accuracy"])
    lines += ["", f"{'accuracy':>15}{'':>22}{_cell(accuracy)}{len(actual):>11}"]
    lines += [_report_line("macro avg", table.mean(axis=0), len(actual))]
    lines += [_report_line("weighted avg", weighted, len(actual))]
    return "\n".join(lines) + "\n"


def business_measures(
    predictions: pd.DataFrame, contacts_per_week: int, value_per_conversion: float, cost_per_contact: float
) -> dict[str, float | int | None]:
    """Count what it brings when reps call the first ``contacts_per_week`` of each cutoff's list.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    contacts_per_week
        Calls from each list.
    value_per_conversion
        Revenue of a conversion that was called in time.
    cost_per_contact
        Cost of one call.

    Returns
    -------
    dict
        ``contacts`` (calls), ``companies_called``; ``conversions_reached``: converters called at a cutoff
        with label 1, each once however often it was called; ``conversions_missed``: those that never were;
        ``revenue``, ``cost``, ``profit`` and ``return_on_investment`` (profit over cost, None without cost).
    """
    companies = companies_of(predictions)
    called = [
        np.column_stack((cutoff.company, cutoff.label))[
            rank_order(cutoff.score(MODEL), cutoff.ids)[:contacts_per_week]
        ]
        for cutoff in cutoffs_of(predictions, companies.index)
    ]
    calls = np.concatenate(called) if called else np.empty((0, 2), dtype=np.int64)
    converters = np.unique(companies.index[predictions["label"].to_numpy() == 1])
    reached = len(np.unique(calls[calls[:, 1] == 1, 0]))
    revenue, cost = reached * value_per_conversion, len(calls) * cost_per_contact
    return {
        "contacts": len(calls),
        "companies_called": len(np.unique(calls[:, 0])),
        "conversions_reached": reached,
        "conversions_missed": len(converters) - reached,
        "revenue": round(float(revenue), 6),
        "cost": round(float(cost), 6),
        "profit": round(float(revenue - cost), 6),
        "return_on_investment": _ratio(revenue - cost, cost),
    }


def _ratio(numerator: float, denominator: float) -> float | None:
    return round(float(numerator / denominator), 6) if denominator else None


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _cell(value: float) -> str:
    return f"{'n/a':>11}" if np.isnan(value) else f"{value:>11.4f}"


def _report_line(name: str, measures: Floats, support: int) -> str:
    return f"{name:>15}" + "".join(map(_cell, measures)) + f"{support:>11}"
