"""How good the model's probabilities are, as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from conversion.evaluation.bootstrap import company_weights, interval
from conversion.evaluation.predictions import BASE_RATE, MODEL, companies_of
from conversion.stats.bins import quantile_bins
from conversion.stats.losses import log_losses
from conversion.stats.numeric import Floats, divide, finite
from conversion.stats.portable_math import sums_at_counts


def probability_measures(predictions: pd.DataFrame, samples: int, seed: int) -> dict[str, Any]:
    """How good the probabilities are, as probabilities, over all rows.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`; the column ``base_rate`` is optional.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    dict
        ``value``, ``low`` and ``high`` (95 %) of ``log_loss``, ``brier_score``, ``ece`` (its bins are those
        of all rows), ``expected_over_observed``, and of the model that says the base rate to everyone
        (``base_rate_log_loss``, ``base_rate_brier_score``), and ``log_loss_ratio`` (below 1 is better than
        the base rate). None where undefined: no column ``base_rate``, no conversion.
    """
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability = finite(predictions[MODEL])
    base = finite(predictions[BASE_RATE]) if BASE_RATE in predictions else np.full(len(label), np.nan)
    bins = quantile_bins(probability)
    excess = (probability - label)[:, None] * (bins[:, None] == np.arange(bins.max() + 1))
    sums = [
        np.ones_like(label),
        label,
        probability,
        log_losses(label, probability),
        np.square(probability - label),
        log_losses(label, base),
        np.square(base - label),
        *excess.T,
    ]
    companies = companies_of(predictions)
    by_company = np.stack(
        [np.bincount(companies.index, column, companies.count) for column in sums], axis=1
    ).astype(np.float64, copy=False)
    sampled = [
        _probability_measures(sums_at_counts(weights, by_company))
        for weights in company_weights(companies.count, samples, seed)
    ]
    value = _probability_measures(by_company.sum(axis=0, keepdims=True))
    return {
        name: interval(value[name][0], np.concatenate([part[name] for part in sampled])) for name in value
    }


def expected_calibration_error(label: ArrayLike, probability: ArrayLike, bins: int = 10) -> float:
    """Mean distance of predicted and observed share over `quantile_bins`, weighted by the bins' rows.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.
    bins
        Quantile bins.

    Returns
    -------
    float
        0 is perfect.
    """
    excess = finite(probability) - np.asarray(label)
    by_bin = np.bincount(quantile_bins(probability, bins), weights=excess)
    return float(np.abs(by_bin).sum() / len(excess))


def _probability_measures(sums: Floats) -> dict[str, Floats]:
    """Measures from the weighted sums of each sample (samples by columns of `probability_measures`)."""
    rows, observed, expected, loss, square, base_loss, base_square = sums.T[:7]
    return {
        "log_loss": divide(loss, rows),
        "brier_score": divide(square, rows),
        "ece": divide(np.abs(sums[:, 7:]).sum(axis=1), rows),
        "expected_over_observed": divide(expected, observed),
        "base_rate_log_loss": divide(base_loss, rows),
        "base_rate_brier_score": divide(base_square, rows),
        "log_loss_ratio": divide(loss, base_loss),
    }
