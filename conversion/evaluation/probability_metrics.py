"""Quality of the model's probabilities as probabilities, whatever order they give."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from conversion.evaluation.bootstrap import Grouped, Resampled, interval, resampled_sums
from conversion.evaluation.predictions import BASE_RATE, MODEL, probability_counts
from conversion.evaluation.probability_sums import ProbabilitySums, probability_sums
from conversion.stats.bins import quantile_edges
from conversion.stats.distinct_counts import Distinct
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
    Metric(
        "base_rate_brier_score", "Brier score of a model that gives everyone the prevalence known at the fit"
    ),
    Metric(
        "log_loss_ratio",
        "log loss over that of the prevalence known at the fit, given to everyone; below 1 is better than it",
        LOWER,
    ),
)


def probability_measures(
    of: Resampled,
    column: str = MODEL,
    counts: Distinct | None = None,
    sums: ProbabilitySums | None = None,
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
    sums
        Of the column and, where the predictions have it, of ``base_rate``; None: they are summed up.

    Returns
    -------
    dict
        ``value``, ``low`` and ``high`` (95 %) of each of `PROBABILITY_METRICS`; the bins of ``ece`` are those
        of all rows. None where undefined: no column ``base_rate``, no conversion.
    """
    edges = quantile_edges(probability_counts(of.predictions, column) if counts is None else counts)
    if sums is None:
        sums = probability_sums(of, [name for name in (column, BASE_RATE) if name in of.predictions])
    unknown = np.full_like(sums.rows, np.nan)
    loss, base_loss = sums.log_losses[column], sums.log_losses.get(BASE_RATE, unknown)
    measures = {
        "log_loss": divide(loss, sums.rows),
        "brier_score": divide(sums.squares[column], sums.rows),
        "ece": divide(_excess(of, column, edges), sums.rows),
        "expected_over_observed": divide(sums.expected[column], sums.conversions),
        "base_rate_log_loss": divide(base_loss, sums.rows),
        "base_rate_brier_score": divide(sums.squares.get(BASE_RATE, unknown), sums.rows),
        "log_loss_ratio": divide(loss, base_loss),
    }
    return {name: interval(float(each[0]), each[1:]) for name, each in measures.items()}


def _excess(of: Resampled, column: str, edges: Floats) -> Floats:
    """Sum up how far predicted and observed conversions are apart in each bin, over all and by samples."""
    bins = Grouped(len(edges) + 1, lambda rows: np.searchsorted(edges, finite(rows[column])))
    total, sampled = resampled_sums(of, lambda rows: [finite(rows[column]) - rows["label"].to_numpy()], bins)
    return np.asarray(np.abs(np.concatenate((total[None], sampled))[..., 0]).sum(axis=1))
