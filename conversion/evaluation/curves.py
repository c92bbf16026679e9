"""The tables behind the plots.

In all of them ``of`` is the predictions that `conversion.evaluation.predictions` describes with samples of
their companies, and ``counts`` what `conversion.evaluation.predictions.probability_counts` returns of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import Grouped, Resampled
from conversion.evaluation.decision_metrics import CLASSES
from conversion.evaluation.first_calls import FirstCalls, first_calls, rule_in
from conversion.evaluation.predictions import (
    MODEL,
    RANKER_NAMES,
    rows_by_cutoff,
    tables_by_cutoff,
)
from conversion.evaluation.ranking_metrics import middle
from conversion.evaluation.slice_counts import ALL
from conversion.evaluation.slice_metrics import calibration_by_group
from conversion.stats.bins import quantile_edges
from conversion.stats.distinct_counts import Distinct
from conversion.stats.numeric import Floats, Ints, divide, finite
from conversion.stats.portable_math import exp, log
from conversion.stats.resampling import percentiles

RELIABILITY_LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Deciles; the top one is cut finer, because with a base rate below 1 % it has nearly all conversions."""
GAINS_CALLS: Final = 500
"""Calls of each list that the gains cover: reps make no more in a week."""
FIRST_CALLS: Final = 50
"""Calls that the gains show one by one."""
SMOOTHED_LISTS: Final = 5
"""Lists in the moving mean of the precision; one list of few calls says little."""
SLICE_TITLES: Final = {
    "share_of_conversions": "share of all conversions",
    "expected_over_observed": "conversions expected for each that happened",
    "recall_at_<k>": "share of its conversions among the first <k> calls",
    "roc_auc": "chance that one that converts is above one that does not (random: 50 %)",
}
"""Measures of slices that are drawn; the recall is at the longest list."""
LEAST_CONVERTERS: Final = 5
"""Of fewer companies, a bootstrap cannot say how uncertain a measure is."""
SMALLEST_PROBABILITY: Final = 1e-6
_CURVE_POINTS: Final = 100
_HISTOGRAM_BINS: Final = 40
_CALLS: Final = np.concatenate((np.arange(FIRST_CALLS), np.arange(FIRST_CALLS, GAINS_CALLS, 10)))


def roc_curve_table(counts: Distinct) -> pd.DataFrame:
    """Compute points of the model's ROC curve over all rows.

    Returns
    -------
    DataFrame
        ``false_positive_rate``, ``true_positive_rate``; at most 200 true points of the curve.
    """
    hits, alarms, _ = _decisions_by_threshold(counts)
    # Not scikit-learn's roc_curve: its rates are undefined if there is one class alone.
    alarm_rate = np.concatenate(([0.0], alarms / max(alarms[-1], 1)))
    hit_rate = np.concatenate(([0.0], hits / max(hits[-1], 1)))
    kept = _spread(hit_rate, alarm_rate)
    table = pd.DataFrame({"false_positive_rate": alarm_rate[kept], "true_positive_rate": hit_rate[kept]})
    return table.round(6)


def precision_recall_table(counts: Distinct) -> pd.DataFrame:
    """Compute points of the model's precision-recall curve over all rows.

    Returns
    -------
    DataFrame
        ``recall``, ``precision``, ``threshold``; at most 200 true points of the curve, the last at recall 1,
        where precision is the prevalence.
    """
    hits, alarms, threshold = _decisions_by_threshold(counts)
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


def reliability_table(of: Resampled, counts: Distinct) -> pd.DataFrame:
    """Compare predicted probability and observed share in quantile bins of the probability.

    Returns
    -------
    DataFrame
        One row for each bin of `RELIABILITY_LEVELS`: ``mean_probability``, ``observed_share``, the bounds
        ``low`` and ``high`` of its 95 % interval, ``prospects``, ``conversions``.
    """
    edges = quantile_edges(counts, RELIABILITY_LEVELS)
    bins = Grouped(len(edges) + 1, lambda rows: np.searchsorted(edges, finite(rows[MODEL])))
    table = calibration_by_group(of, bins)
    columns = ["mean_probability", "observed_share", "low", "high", "prospects", "conversions"]
    return table.loc[table["prospects"] > 0, columns].round(8).reset_index(drop=True)


def gains_table(of: Resampled, rankers: Sequence[str] | None = None) -> pd.DataFrame:
    """Compute the share of all conversions that the first calls of every cutoff's list would reach.

    Parameters
    ----------
    of
        With the columns to rank by.
    rankers
        Columns to rank by; None: those of `RANKER_NAMES` that the predictions have.

    Returns
    -------
    DataFrame
        Long: ``ranker`` (its legend name), ``calls`` of each list (none to `GAINS_CALLS`, or to the end of
        the longest list), ``share_of_conversions`` with the bounds ``low`` and ``high`` of its 95 % interval,
        ``lift`` (over calling in random order).
    """
    chosen = [name for name in RANKER_NAMES if name in of.predictions] if rankers is None else rankers
    lists = [len(rows) for rows in tables_by_cutoff(of.predictions)]
    longest = min(max(lists), GAINS_CALLS)
    calls = [*_CALLS[longest > _CALLS].tolist(), longest]
    found = first_calls(of, chosen, calls)
    return pd.concat([_gains(ranker, found[ranker]) for ranker in chosen], ignore_index=True)


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
        Long: ``measure`` (its title), ``place`` (of the slice among all), ``by`` (the column that makes it),
        ``slice``, ``value``, ``low`` and ``high`` (its 95 % interval). Left out are undefined measures, the
        share that the whole has of itself, and all but the share of slices with fewer than
        `LEAST_CONVERTERS` companies that convert.
    """
    measured = slices.mask(slices["converters"] < LEAST_CONVERTERS)
    longest = [name for name in slices.columns if re.fullmatch(r"recall_at_\d+", name)][-1]
    titles = {
        name.replace("recall_at_<k>", longest): title.replace("<k>", longest.removeprefix("recall_at_"))
        for name, title in SLICE_TITLES.items()
    }
    parts = [
        pd.DataFrame(
            {
                "measure": title,
                "place": np.arange(len(slices)),
                "by": slices["by"],
                "slice": slices["slice"],
                "value": each[name],
                "low": each[f"{name}_low"],
                "high": each[f"{name}_high"],
            }
        )
        for name, title in titles.items()
        for each in [slices if name == "share_of_conversions" else measured]
    ]
    table = pd.concat(parts).dropna().round(6)
    whole = (table["by"] == ALL) & (table["measure"] == SLICE_TITLES["share_of_conversions"])
    return table[~whole].reset_index(drop=True)


def precision_over_time_table(of: Resampled, top_k: Sequence[int]) -> pd.DataFrame:
    """Compute the share of the first calls of each week's list that convert, of the model and of the rule.

    Parameters
    ----------
    of
        See the module.
    top_k
        List lengths; the first, the middle and the last are taken.

    Returns
    -------
    DataFrame
        Long: ``calls`` of the list, ``ranker`` (its legend name), ``as_of`` (ISO date), ``precision`` of the
        week, ``mean`` (over `SMOOTHED_LISTS` lists, the week's in the middle) and the bounds ``low`` and
        ``high`` of the mean's 95 % interval. In random order the precision is the share of all prospects.
    """
    calls = sorted({top_k[0], middle(top_k), top_k[-1]})
    rankers = (MODEL, rule_in(of.predictions))
    found = first_calls(of, rankers, calls)
    shares = {RANKER_NAMES[ranker]: found[ranker].reached / found[ranker].called for ranker in rankers}
    some = found[MODEL]
    prevalence = (some.conversions / some.prospects)[:, None]
    shares[RANKER_NAMES["random"]] = np.broadcast_to(prevalence, some.reached.shape)
    weeks = [f"{as_of:%Y-%m-%d}" for as_of, _ in rows_by_cutoff(of.predictions)]
    parts = [
        _over_time(share[:, number]).assign(calls=count, ranker=name, as_of=weeks)
        for number, count in enumerate(calls)
        for name, share in shares.items()
    ]
    names = ["calls", "ranker", "as_of", "precision", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True)[names].round(6)


def probability_histogram_table(counts: Distinct) -> pd.DataFrame:
    """Count the model's probabilities by class, in bins of equal width on a log scale.

    Probabilities below `SMALLEST_PROBABILITY` are in the first bin.

    Returns
    -------
    DataFrame
        Long: ``outcome``, ``probability_from``, ``probability_to``, ``prospects``, ``share`` (of the class).
    """
    probability = np.clip(counts.distinct, SMALLEST_PROBABILITY, 1.0)
    lowest = min(float(probability.min(initial=1.0)), 0.5)
    edges = exp(np.linspace(float(log(lowest)), 0.0, _HISTOGRAM_BINS + 1))
    # The outer bins hold the extremes, whatever the last bit of a rounded edge is.
    number = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, _HISTOGRAM_BINS - 1)
    parts = []
    rows = (counts.rows - counts.positives, counts.positives)
    for name, each in zip(CLASSES, rows, strict=True):
        prospects = np.bincount(number, each, _HISTOGRAM_BINS).astype(np.int64)
        parts.append(
            pd.DataFrame(
                {
                    "outcome": name,
                    "probability_from": edges[:-1],
                    "probability_to": edges[1:],
                    "prospects": prospects,
                    "share": prospects / max(prospects.sum(), 1),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(8)


def confusion_table(counts: Ints) -> pd.DataFrame:
    """Count decisions by what happened to the prospect.

    DVC's own ``confusion`` template counts rows, so it would need a row for each prospect and week. This
    table has the counts in a column, for a template that sums it.

    Parameters
    ----------
    counts
        From `conversion.evaluation.decision_metrics.decision_counts`.

    Returns
    -------
    DataFrame
        Four rows: ``actual``, ``predicted``, ``prospects``.
    """
    return pd.DataFrame(
        {
            "actual": np.repeat(CLASSES, 2),
            "predicted": np.tile(CLASSES, 2),
            "prospects": counts.ravel(),
        }
    )


def _decisions_by_threshold(counts: Distinct) -> tuple[Floats, Floats, Floats]:
    """Return the conversions and the other rows from each distinct probability on, and it, descending."""
    others = counts.rows - counts.positives
    hits, alarms = (np.cumsum(each[::-1]).astype(np.float64) for each in (counts.positives, others))
    return hits, alarms, counts.distinct[::-1]


def _gains(ranker: str, of: FirstCalls) -> pd.DataFrame:
    shares = divide(of.reached.sum(axis=0), of.conversions.sum(axis=0))
    called = divide(of.called[..., 0].sum(axis=0), of.prospects[..., 0].sum(axis=0))
    share = np.nan_to_num(shares[:, 0])
    return pd.DataFrame(
        {
            "ranker": RANKER_NAMES.get(ranker, ranker),
            "calls": of.calls,
            "share_of_conversions": share,
            **_bounds(shares),
            "lift": divide(share, called),
        }
    ).round(6)


def _over_time(precision: Floats) -> pd.DataFrame:
    """Return a row for each list, from the precision of cutoffs by samples."""
    reach = SMOOTHED_LISTS // 2
    mean = np.stack(
        [precision[max(0, week - reach) : week + reach + 1].mean(axis=0) for week in range(len(precision))]
    )
    return pd.DataFrame({"precision": precision[:, 0], "mean": mean[:, 0], **_bounds(mean)})


def _bounds(of_samples: Floats) -> dict[str, Floats]:
    """Return the bounds of the interval of each row; the samples are behind the value of all companies."""
    bounds = np.array([percentiles(each) for each in of_samples[:, 1:]])
    return {"low": bounds[:, 0], "high": bounds[:, 1]}


def _spread(*ascending: Floats) -> Ints:
    """Choose a few points of a curve, evenly spread along each of its (ascending) coordinates."""
    chosen = [
        np.searchsorted(values, np.linspace(values[0], values[-1], _CURVE_POINTS)) for values in ascending
    ]
    last = len(ascending[0]) - 1
    return np.unique(np.clip(np.concatenate(chosen), 0, last))[-2 * _CURVE_POINTS :]
