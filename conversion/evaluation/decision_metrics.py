"""Value of decisions, yes or no at a threshold.

Scikit-learn computes the measures of decisions. The text of the report is ours: scikit-learn's has no way to
write ``n/a``, and averages over the classes as if an undefined measure were not there.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from conversion.stats.metric import HIGHER, LOWER, Metric
from conversion.stats.numeric import Floats, Ints, rounded

CLASSES: Final = ("no conversion", "conversion")
DECISION_COUNTS: Final = (("true_negatives", "false_positives"), ("false_negatives", "true_positives"))
"""What the measures call each cell of `decision_counts`."""
_CELLS: Final = ([0, 0, 1, 1], [0, 1, 0, 1])
"""What happened and what was predicted, in each cell of `decision_counts`."""

DECISION_METRICS: Final = (
    Metric(
        "threshold",
        "probability from which on the last fit predicts a conversion; each list goes by its own fit's",
    ),
    Metric("true_positives", "rows predicted to convert that do", HIGHER),
    Metric("false_positives", "rows predicted to convert that do not", LOWER),
    Metric("false_negatives", "rows that convert and were not predicted to", LOWER),
    Metric("true_negatives", "rows that do not convert and were not predicted to", HIGHER),
    Metric(
        "accuracy", "share of correct decisions; always predicting no conversion has 1 - prevalence", HIGHER
    ),
    Metric("precision", "share of those predicted to convert that do", HIGHER),
    Metric("recall", "share of those that convert that were predicted to", HIGHER),
    Metric("f1", "harmonic mean of precision and recall", HIGHER),
)


def decision_counts(label: ArrayLike, predicted: ArrayLike) -> Ints:
    """Count decisions by what happened (rows) and what was predicted (columns), in the order of `CLASSES`.

    Parameters
    ----------
    label, predicted
        0 or 1.

    Returns
    -------
    ndarray of int64
        Shape (2, 2).
    """
    actual, decided = np.asarray(label, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    # Not scikit-learn's confusion_matrix: its checks take more time than the counting.
    return np.bincount(2 * actual + decided, minlength=4).reshape(2, 2).astype(np.int64)


def classification_measures(counts: Ints) -> dict[str, float | int | None]:
    """Compute the usual measures of yes-or-no decisions.

    Parameters
    ----------
    counts
        From `decision_counts`.

    Returns
    -------
    dict
        ``accuracy``, ``precision``, ``recall``, ``f1`` (None where undefined) and the four counts.
    """
    (true_negatives, false_positives), (false_negatives, true_positives) = counts.tolist()
    precision, recall, f1 = _by_class(counts)[1]
    return {
        "accuracy": rounded(_accuracy(counts)),
        "precision": rounded(precision),
        "recall": rounded(recall),
        "f1": rounded(f1),
        "true_positives": true_positives,
        "false_positives": false_positives,
        "false_negatives": false_negatives,
        "true_negatives": true_negatives,
    }


def classification_report(counts: Ints) -> str:
    """Write the usual text table of precision, recall, F1 and support by class.

    Parameters
    ----------
    counts
        From `decision_counts`.

    Returns
    -------
    str
        The table; ``n/a`` where a measure is undefined.
    """
    table, support = _by_class(counts), counts.sum(axis=1)
    rows = int(support.sum())
    titles = ("precision", "recall", "f1-score", "support")
    lines = [f"{'':>15}" + "".join(f"{title:>11}" for title in titles), ""]
    lines += [_report_line(*line) for line in zip(CLASSES, table, support, strict=True)]
    lines += ["", f"{'accuracy':>15}{'':>22}{_cell(_accuracy(counts))}{rows:>11}"]
    lines += [_report_line("macro avg", table.mean(axis=0), rows)]
    lines += [_report_line("weighted avg", np.average(table, axis=0, weights=support), rows)]
    return "\n".join(lines) + "\n"


def _accuracy(counts: Ints) -> float:
    return float(accuracy_score(*_CELLS, sample_weight=counts.ravel()))


def _by_class(counts: Ints) -> Floats:
    """Return classes by precision, recall and F1; NaN where undefined."""
    measures = precision_recall_fscore_support(
        *_CELLS, labels=[0, 1], zero_division=np.nan, sample_weight=counts.ravel()
    )
    return np.asarray(measures[:3], dtype=np.float64).T


def _cell(value: float) -> str:
    return f"{'n/a':>11}" if np.isnan(value) else f"{value:>11.4f}"


def _report_line(name: str, measures: Floats, support: int) -> str:
    return f"{name:>15}" + "".join(map(_cell, measures)) + f"{support:>11}"
