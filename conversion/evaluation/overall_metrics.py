"""The headline numbers of a whole backtest, and how surely one column is better than another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.bootstrap import Measured, company_weights, difference, interval
from conversion.evaluation.predictions import BASE_RATE, MODEL, ORACLE, Companies, companies_of, cutoffs_of
from conversion.evaluation.ranking_metrics import mean_measures, measure_names, ranked_list
from conversion.stats.losses import log_losses
from conversion.stats.numeric import Floats, divide, finite, rounded
from conversion.stats.portable_math import sums_at_counts

_LOSSES: Final = ("log_loss", "brier_score")
"""Less of them is better; more of any other measure is."""


def headline(
    predictions: pd.DataFrame,
    rankers: Sequence[str],
    top_k: Sequence[int],
    samples: int,
    seed: int,
    probabilities: Sequence[str] = (),
) -> dict[str, Any]:
    """Ranking measures over the whole backtest, and how surely the model beats each baseline.

    A measure is the mean over the cutoffs where it is defined (those with conversions). The intervals are
    those of `conversion.evaluation.bootstrap`.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    rankers
        Columns to rank by.
    top_k
        List lengths.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.
    probabilities
        The columns that are probabilities; they need not rank.

    Returns
    -------
    dict
        ``cutoffs``, ``cutoffs_with_conversions``; ``rankers``: by ranker and measure ``value``, ``low`` and
        ``high``; ``differences``: by baseline and measure (average precision, ROC AUC, recall at k; log loss
        and Brier score where the baseline is a probability) the `conversion.evaluation.bootstrap.difference`
        of the model, the second, from the baseline, the first. Where ``oracle`` ranks and is a probability,
        as the model and ``base_rate`` are, ``share_of_oracle``: ``value``, ``low`` and ``high`` of
        ``average_precision`` (the model's over the oracle's) and ``log_loss_reduction``: how much the model's
        log loss is below the base rate's, over how much the oracle's is; 0 is no better than the base rate, 1
        as good as the truth.
    """
    measured = _measured(predictions, rankers, probabilities, top_k, samples, seed)
    columns = list(dict.fromkeys([*rankers, *probabilities]))
    recalls = [f"recall_at_{k}" for k in top_k]
    compared = ("average_precision", "roc_auc", *recalls, *_LOSSES)
    conversions = predictions.groupby("as_of")["label"].sum()
    return {
        "cutoffs": len(conversions),
        "cutoffs_with_conversions": int((conversions > 0).sum()),
        "rankers": {
            ranker: {name: interval(*measured[ranker, name]) for name in measure_names(top_k)}
            for ranker in rankers
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
    """Ask whether the second of two columns of probabilities is better, by a paired bootstrap of companies.

    Both are measured on the same rows and on the same samples of companies, so what makes a sample easy or
    hard for both cancels out of the difference.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`; with the columns ``first`` and ``second`` (``probability``
        is not needed).
    first, second
        Columns of probabilities.
    top_k
        List lengths.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    dict
        For ``average_precision``, each ``recall_at_<k>`` (means over the cutoffs with conversions) and
        ``log_loss`` (over all rows, in nats): the values ``first`` and ``second``, and their
        `conversion.evaluation.bootstrap.difference`. None where undefined: no conversion.

    Raises
    ------
    ValueError
        A column holds something that is no probability.
    """
    columns = (first, second)
    measured = _measured(predictions, columns, columns, top_k, samples, seed)
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
    predictions: pd.DataFrame,
    rankers: Sequence[str],
    probabilities: Sequence[str],
    top_k: Sequence[int],
    samples: int,
    seed: int,
) -> dict[tuple[str, str], Measured]:
    """By column and measure: the rankers' ranking measures, the probabilities' log loss and Brier score."""
    companies = companies_of(predictions)
    cutoffs = cutoffs_of(predictions, companies.index)
    lists = {ranker: [ranked_list(cutoff, ranker) for cutoff in cutoffs] for ranker in rankers}
    losses = {column: _losses_by_company(predictions, column, companies) for column in probabilities}

    def measure(weights: NDArray[np.float32]) -> dict[tuple[str, str], Floats]:
        ranking = {
            (ranker, name): values
            for ranker in rankers
            for name, values in zip(
                measure_names(top_k), mean_measures(lists[ranker], weights, top_k), strict=True
            )
        }
        return ranking | {
            (column, name): values
            for column in probabilities
            for name, values in zip(
                _LOSSES, _mean_losses(sums_at_counts(weights, losses[column])), strict=True
            )
        }

    value = measure(np.ones((companies.count, 1), dtype=np.float32))
    parts = [measure(weights) for weights in company_weights(companies.count, samples, seed)]
    return {
        key: Measured(float(value[key][0]), np.concatenate([part[key] for part in parts])) for key in value
    }


def _difference(
    measured: dict[tuple[str, str], Measured], name: str, first: str, second: str
) -> dict[str, float | None]:
    return difference(measured[first, name], measured[second, name], less_is_better=name in _LOSSES)


def _shares_of_oracle(measured: dict[tuple[str, str], Measured]) -> dict[str, Any]:
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


def _losses_by_company(predictions: pd.DataFrame, column: str, companies: Companies) -> Floats:
    """Companies by sums over their rows: of the rows, of the log losses, of the squared differences."""
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability = finite(predictions[column])
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f"{column} is no probability: from {probability.min():g} to {probability.max():g}")
    sums = (np.ones_like(label), log_losses(label, probability), np.square(probability - label))
    return np.stack([np.bincount(companies.index, each, companies.count) for each in sums], axis=1)


def _mean_losses(sums: Floats) -> Floats:
    rows, log_losses, squares = sums.T
    return np.stack((divide(log_losses, rows), divide(squares, rows)))
