"""Measures of a whole backtest, and how certain it is that one column is better than another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import (
    Measured,
    Resampled,
    difference,
    interval,
    resample,
)
from conversion.evaluation.predictions import (
    BASE_RATE,
    MODEL,
    ORACLE,
    REVENUE,
    tables_by_cutoff,
)
from conversion.evaluation.probability_sums import ProbabilitySums, probability_sums
from conversion.evaluation.ranking_metrics import Means, measure_names, ranked_list, ranking_measures
from conversion.stats.metric import HIGHER, Metric
from conversion.stats.numeric import Floats, divide, rounded

_LOSSES: Final = ("log_loss", "brier_score")
"""Of these measures less is better; of all others more is."""

CUTOFF_METRICS: Final = (
    Metric("cutoffs", "lists in the backtest"),
    Metric(
        "cutoffs_with_conversions", "lists with a conversion within the horizon; the means are over these"
    ),
)
DIFFERENCE_METRICS: Final = (
    Metric(
        "<baseline>.<measure>",
        "how much better the model is than a baseline, by average precision, ROC AUC, recall at k, log loss "
        "or Brier score (less is better for the last two)",
        HIGHER,
    ),
)
ORACLE_METRICS: Final = (
    Metric("average_precision", "the model's average precision over that of the sample's truth", HIGHER),
    Metric(
        "log_loss_reduction",
        "how far the model's log loss is below the base rate's, over how far the truth's is",
        HIGHER,
    ),
)

_Measures = dict[tuple[str, str], Measured]
"""By column and name of the measure."""


def ranker_measures(
    of: Resampled,
    rankers: Sequence[str],
    top_k: Sequence[int],
    probabilities: Sequence[str] = (),
    sums: ProbabilitySums | None = None,
) -> dict[str, Any]:
    """Measure each ranker over the whole backtest, and compare the model with each baseline.

    A measure is the mean over the cutoffs where it is defined (those with conversions). The intervals are
    those of `conversion.evaluation.bootstrap`.

    Parameters
    ----------
    of
        The predictions, and samples of their companies.
    rankers
        Columns to rank by.
    top_k
        List lengths.
    probabilities
        The columns that are probabilities; they need not be rankers.
    sums
        Of the probabilities; None: they are summed up.

    Returns
    -------
    dict
        ``cutoffs``, ``cutoffs_with_conversions``; ``rankers``: by ranker and measure ``value``, ``low`` and
        ``high``; ``differences``: by baseline and measure (average precision, ROC AUC, recall at k; log loss
        and Brier score if the baseline is a probability) the `conversion.evaluation.bootstrap.difference`
        of the model, the second, from the baseline, the first. If ``oracle`` is a ranker and a probability,
        and the model and ``base_rate`` are probabilities, ``share_of_oracle``: ``value``, ``low`` and
        ``high`` of ``average_precision`` (the model's over the oracle's) and ``log_loss_reduction``: how far
        the model's log loss is below the base rate's, over how far the oracle's is; 0 is no better than the
        base rate, 1 as good as the truth.
    """
    measured = _measured(of, rankers, probabilities, top_k, sums)
    columns = list(dict.fromkeys([*rankers, *probabilities]))
    ranking_names = measure_names(top_k, REVENUE in of.predictions)
    recalls = [f"recall_at_{k}" for k in top_k]
    compared = ("average_precision", "roc_auc", *recalls, *_LOSSES)
    conversions = [int(rows["label"].sum()) for rows in tables_by_cutoff(of.predictions)]
    return {
        "cutoffs": len(conversions),
        "cutoffs_with_conversions": sum(each > 0 for each in conversions),
        "rankers": {
            ranker: {name: interval(*measured[ranker, name]) for name in ranking_names} for ranker in rankers
        },
        "differences": {
            baseline: {
                name: _difference(measured, name, baseline, MODEL)
                for name in compared
                if (baseline, name) in measured and (MODEL, name) in measured
            }
            for baseline in columns
            if baseline != MODEL and MODEL in columns
        },
        **_shares_of_oracle(measured),
    }


def paired_differences(
    predictions: pd.DataFrame, first: str, second: str, top_k: Sequence[int], samples: int, seed: int
) -> dict[str, dict[str, float | None]]:
    """Compare two columns of probabilities by a paired bootstrap of companies.

    Both are measured on the same rows and the same samples of companies, so what makes a sample easy or hard
    for both cancels out of the difference.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`; ``probability`` is not needed.
    first, second
        Columns of probabilities.
    top_k
        List lengths.
    samples, seed
        See `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    dict
        For ``average_precision``, each ``recall_at_<k>`` (means over the cutoffs with conversions) and
        ``log_loss`` (over all rows, in nats): the values ``first`` and ``second``, and their
        `conversion.evaluation.bootstrap.difference`. None where undefined: no conversion.

    Raises
    ------
    ValueError
        A column has values outside [0, 1].
    """
    columns = (first, second)
    measured = _measured(resample(predictions, samples, seed), columns, columns, top_k)
    names = ("average_precision", *(f"recall_at_{k}" for k in top_k), "log_loss")
    return {
        name: {
            "first": rounded(measured[first, name].value),
            "second": rounded(measured[second, name].value),
        }
        | _difference(measured, name, first, second)
        for name in names
    }


def _measured(
    of: Resampled,
    rankers: Sequence[str],
    probabilities: Sequence[str],
    top_k: Sequence[int],
    sums: ProbabilitySums | None = None,
) -> _Measures:
    """Take the ranking measures of the rankers, and log loss and Brier score of the probabilities."""
    measured = _ranking(of, rankers, top_k)
    if not probabilities:
        return measured
    return measured | _losses(probability_sums(of, probabilities) if sums is None else sums, probabilities)


def _ranking(of: Resampled, rankers: Sequence[str], top_k: Sequence[int]) -> _Measures:
    names = measure_names(top_k, REVENUE in of.predictions)
    means = Means(len(rankers), len(names), of.draws.samples)
    for samples, weights in of.draws.blocks():
        for cutoff in of.cutoffs():
            for place, ranker in enumerate(rankers):
                measures = ranking_measures(ranked_list(cutoff, ranker), weights, top_k)
                means.add(place, samples, measures)
    keys = [(ranker, name) for ranker in rankers for name in names]
    found = means.means().reshape(len(keys), -1)
    return {key: Measured(float(each[0]), each[1:]) for key, each in zip(keys, found, strict=True)}


def _losses(sums: ProbabilitySums, probabilities: Sequence[str]) -> _Measures:
    means = {
        (column, name): divide(each, sums.rows)
        for name, of_measure in zip(_LOSSES, (sums.log_losses, sums.squares), strict=True)
        for column, each in of_measure.items()
        if column in probabilities
    }
    return {key: Measured(float(mean[0]), mean[1:]) for key, mean in means.items()}


def _difference(measured: _Measures, name: str, first: str, second: str) -> dict[str, float | None]:
    return difference(measured[first, name], measured[second, name], less_is_better=name in _LOSSES)


def _shares_of_oracle(measured: _Measures) -> dict[str, Any]:
    needed = [(column, "average_precision") for column in (MODEL, ORACLE)]
    needed += [(column, "log_loss") for column in (MODEL, BASE_RATE, ORACLE)]
    if not all(key in measured for key in needed):
        return {}

    def shares(*of: Floats) -> tuple[Floats, Floats]:
        precision, best_precision, loss, base_loss, least_loss = of
        return divide(precision, best_precision), divide(base_loss - loss, base_loss - least_loss)

    values = shares(*(np.array([measured[key].value]) for key in needed))
    samples = shares(*(measured[key].sampled for key in needed))
    names = ("average_precision", "log_loss_reduction")
    return {
        "share_of_oracle": {
            name: interval(value[0], sampled)
            for name, value, sampled in zip(names, values, samples, strict=True)
        }
    }
