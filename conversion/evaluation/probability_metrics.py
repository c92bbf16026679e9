"""Quality of the model's probabilities as probabilities, whatever order they give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import Resampled, interval, resampled_sums
from conversion.evaluation.predictions import BASE_RATE, MODEL, probability_counts
from conversion.stats.bins import quantile_edges
from conversion.stats.distinct_counts import Distinct
from conversion.stats.losses import log_losses
from conversion.stats.metric import LOWER, Metric
from conversion.stats.numeric import Floats, divide, finite

PROBABILITY_METRICS: Final = (
    Metric("log_loss", "mean of -log of the probability given to what happened, in nats", LOWER),
    Metric("brier_score", "mean squared difference between probability and outcome", LOWER),
    Metric(
        "ece",
        "expected calibration error: mean distance between predicted and observed share over ten quantile "
        "bins",
        LOWER,
    ),
    Metric(
        "expected_over_observed",
        "sum of the probabilities over the number of conversions; 1 is calibrated in the large, above 1 "
        "fewer prospects converted than expected",
        "1",
    ),
    Metric("base_rate_log_loss", "log loss of a model that gives everyone the prevalence known at the fit"),
    Metric("base_rate_brier_score", "Brier score of that model"),
    Metric("log_loss_ratio", "log loss over that model's; below 1 is better than the base rate", LOWER),
)


def probability_measures(
    of: Resampled, column: str = MODEL, counts: Distinct | None = None
) -> dict[str, Any]:
    """Measure the probabilities over all rows.

    Parameters
    ----------
    of
        The predictions, whose column ``base_rate`` is optional, and samples of their companies.
    column
        Of the probabilities.
    counts
        From `conversion.evaluation.predictions.probability_counts` of the column; None: they are counted.

    Returns
    -------
    dict
        ``value``, ``low`` and ``high`` (95 %) of each of `PROBABILITY_METRICS`; the bins of ``ece`` are those
        of all rows. None where undefined: no column ``base_rate``, no conversion.
    """
    edges = quantile_edges(probability_counts(of.predictions, column) if counts is None else counts)

    def columns_of(rows: pd.DataFrame) -> Iterator[Floats]:
        label, probability = rows["label"].to_numpy(dtype=np.float64), finite(rows[column])
        base = finite(rows[BASE_RATE]) if BASE_RATE in rows else np.full(len(label), np.nan)
        yield np.ones_like(label)
        yield label
        yield probability
        yield log_losses(label, probability)
        yield np.square(probability - label)
        yield log_losses(label, base)
        yield np.square(base - label)
        # The excess of the predictions in each bin, 0 elsewhere.
        bins, excess = np.searchsorted(edges, probability), probability - label
        for number in range(len(edges) + 1):
            yield np.where(bins == number, excess, 0.0)

    total, sampled = resampled_sums(of, columns_of)
    value, of_samples = _measures_of_sums(total), _measures_of_sums(sampled[:, 0])
    return {name: interval(value[name][0], of_samples[name]) for name in value}


def _measures_of_sums(sums: Floats) -> dict[str, Floats]:
    """Compute the measures from sums over the rows, samples by the columns of `probability_measures`."""
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
