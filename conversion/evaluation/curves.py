"""The tables behind the plots.

In all of them ``predictions`` is the table that `conversion.evaluation.predictions` describes, and
``samples`` and ``seed`` are those of `conversion.evaluation.bootstrap.company_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import confusion_matrix_at_thresholds

from conversion.evaluation.decision_metrics import CLASSES, decision_counts
from conversion.evaluation.predictions import MODEL
from conversion.evaluation.slice_metrics import calibration_by_group
from conversion.stats.bins import quantile_bins
from conversion.stats.numeric import Floats, Ints, finite
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
"""Rankers in the order of the legend."""
RELIABILITY_LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Deciles; the top one is cut finer, because with a base rate below 1 % it has nearly all conversions."""
GAINS_CALLS: Final = 500
"""Calls of each list that the gains cover: reps make no more in a week."""
FIRST_CALLS: Final = 50
"""Calls that the gains show one by one."""
SLICE_TITLES: Final = {
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": "expected over observed",
    "log_loss_ratio": "log loss over the base rate's",
    "roc_auc": "ROC AUC within the slice",
}
SMALLEST_PROBABILITY: Final = 1e-6
_CURVE_POINTS: Final = 100
_CALLS: Final = np.concatenate((np.arange(FIRST_CALLS), np.arange(FIRST_CALLS, GAINS_CALLS, 10)))


def roc_curve_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute points of the model's ROC curve over all rows.

    Returns
    -------
    DataFrame
        ``false_positive_rate``, ``true_positive_rate``; at most 200 true points of the curve.
    """
    hits, alarms, _ = _decisions_by_threshold(predictions)
    # Not scikit-learn's roc_curve: its rates are undefined if there is one class alone.
    alarm_rate = np.concatenate(([0.0], alarms / max(alarms[-1], 1)))
    hit_rate = np.concatenate(([0.0], hits / max(hits[-1], 1)))
    kept = _spread(hit_rate, alarm_rate)
    table = pd.DataFrame({"false_positive_rate": alarm_rate[kept], "true_positive_rate": hit_rate[kept]})
    return table.round(6)


def precision_recall_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compute points of the model's precision-recall curve over all rows.

    Returns
    -------
    DataFrame
        ``recall``, ``precision``, ``threshold``; at most 200 true points of the curve, the last at recall 1,
        where precision is the prevalence.
    """
    hits, alarms, threshold = _decisions_by_threshold(predictions)
    called = hits + alarms
    # Not scikit-learn's precision_recall_curve: the points are spread along counts, which it does not return.
    kept = _spread(hits, log(called))
    table = pd.DataFrame(
        {
            "recall": hits[kept] / max(hits[-1], 1),
            "precision": hits[kept] / called[kept],
            "threshold": threshold[kept],
        }
    )
    return table.round(6)


def reliability_table(predictions: pd.DataFrame, samples: int, seed: int) -> pd.DataFrame:
    """Compare predicted probability and observed share in quantile bins of the probability.

    Returns
    -------
    DataFrame
        One row for each bin of `RELIABILITY_LEVELS`: ``mean_probability``, ``observed_share``, the bounds
        ``low`` and ``high`` of its 95 % interval, ``prospects``, ``conversions``.
    """
    bins = quantile_bins(predictions[MODEL], RELIABILITY_LEVELS)
    table = calibration_by_group(predictions, bins, int(bins.max()) + 1, samples, seed)
    columns = ["mean_probability", "observed_share", "low", "high", "prospects", "conversions"]
    return table.loc[table["prospects"] > 0, columns].round(8).reset_index(drop=True)


def gains_table(predictions: pd.DataFrame, rankers: Sequence[str] | None = None) -> pd.DataFrame:
    """Compute the share of all conversions that the first calls of every cutoff's list would catch.

    Parameters
    ----------
    predictions
        With the columns to rank by.
    rankers
        Columns to rank by; None: those of `RANKER_NAMES` that the predictions have.

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
        From `conversion.evaluation.slice_metrics.slice_measures`, one slice for each month of cutoffs.

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
    """Choose from the measures by slice those that are drawn.

    Parameters
    ----------
    slices
        From `conversion.evaluation.slice_metrics.slice_measures`.

    Returns
    -------
    DataFrame
        Long: ``measure`` (its title), ``slice``, ``value``, ``low`` and ``high`` (its 95 % interval, or
        ``value`` if it has none); undefined measures are left out.
    """
    longest = [name for name in slices.columns if name.startswith("recall_at_")][-1:]
    titles = dict(SLICE_TITLES) | {
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
    """Return the precision of the top of each week's list, and that week's prevalence.

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
    """Count the model's probabilities by class, in bins of equal width on a log scale.

    Parameters
    ----------
    predictions
        With ``label`` and ``probability``.
    bins
        Number of bins; probabilities below 1e-6 are in the first.

    Returns
    -------
    DataFrame
        Long: ``outcome``, ``probability_from``, ``probability_to``, ``prospects``, ``share`` (of the class).
    """
    probability = np.clip(predictions[MODEL].to_numpy(dtype=np.float64), SMALLEST_PROBABILITY, 1.0)
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
    """Count decisions by what happened to the prospect.

    DVC's own ``confusion`` template counts rows, so it would need a row for each prospect and week. This
    table has the counts in a column, for a template that sums it.

    Parameters
    ----------
    label, predicted
        0 or 1.

    Returns
    -------
    DataFrame
        Four rows: ``actual``, ``predicted``, ``prospects``.
    """
    return pd.DataFrame(
        {
            "actual": np.repeat(CLASSES, 2),
            "predicted": np.tile(CLASSES, 2),
            "prospects": decision_counts(label, predicted).ravel(),
        }
    )


def importance_table(importance: pd.Series[float]) -> pd.DataFrame:
    """Return ``feature`` and ``importance``, in the order of the series of importances by feature."""
    return importance.rename_axis("feature").reset_index()


def _decisions_by_threshold(predictions: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Return the conversions and the other rows from each distinct probability on, and it, descending."""
    label, probability = predictions["label"].to_numpy(), finite(predictions[MODEL])
    _, alarms, _, hits, threshold = confusion_matrix_at_thresholds(label, probability, pos_label=1)
    return hits, alarms, threshold


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


def _spread(*ascending: Floats) -> Ints:
    """Choose a few points of a curve, evenly spread along each of its (ascending) coordinates."""
    chosen = [
        np.searchsorted(values, np.linspace(values[0], values[-1], _CURVE_POINTS)) for values in ascending
    ]
    last = len(ascending[0]) - 1
    return np.unique(np.clip(np.concatenate(chosen), 0, last))[-2 * _CURVE_POINTS :]
