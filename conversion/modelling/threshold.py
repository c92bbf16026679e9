"""The probability that a prospect needs at least to be predicted to convert."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from conversion.runtime.errors import UserError
from conversion.stats.numeric import Floats, finite

Strategy = Literal["fixed", "f1", "precision", "recall"]


def choose_threshold(
    label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None, strategy: Strategy, value: float
) -> float:
    """Return the probability that a prospect needs at least to be predicted to convert.

    The decision is ``probability >= threshold``; every threshold but a fixed one is a probability that
    occurs.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Out-of-time predictions.
    weight
        How many prospects each row stands for; None: one.
    strategy
        ``fixed``: ``value`` itself. ``f1``: the best F1 (the highest threshold of several). ``precision``:
        the lowest threshold with at least this precision; where none reaches it, the one with the best
        precision (the lowest of several). ``recall``: the highest threshold with at least this recall.
    value
        The threshold or the floor; not used by ``f1``.

    Returns
    -------
    float
        The threshold.

    Raises
    ------
    UserError
        There is no conversion to choose by.
    """
    if strategy == "fixed":
        return float(value)
    threshold, hits, called, conversions = cumulative_decisions(label, probability, weight)
    if not conversions > 0:
        raise UserError(
            f"train.threshold: {strategy} needs conversions among the out-of-time predictions, found none; "
            "use fixed"
        )
    precision = hits / called
    if strategy == "f1":
        return float(threshold[np.argmax(2 * hits / (called + conversions))])
    if strategy == "precision":
        floor = min(value, precision.max())
        return float(threshold[np.flatnonzero(precision >= floor)[-1]])
    # Sums of weights in another order may miss the whole by a rounding error.
    return float(threshold[np.flatnonzero(hits >= conversions * min(value, 1 - 1e-12))[0]])


def cumulative_decisions(
    label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Floats, Floats, Floats, float]:
    """Count, for each threshold, the prospects at or above it and the conversions among them.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Or any score.
    weight
        How many prospects each row stands for; None: one.

    Returns
    -------
    thresholds : ndarray of float64
        Every distinct probability, descending.
    hits, called : ndarray of float64
        Conversions and all prospects with at least that probability.
    conversions : float
        All conversions.
    """
    score = finite(probability)
    share = np.ones_like(score) if weight is None else np.asarray(weight, dtype=np.float64)
    counted = share > 0
    score, share, actual = score[counted], share[counted], np.asarray(label)[counted]
    # Equal scores share a threshold: no decision can separate them.
    threshold, group = np.unique(-score, return_inverse=True)
    hits: Floats = np.cumsum(np.bincount(group, share * actual, len(threshold)), dtype=np.float64)
    called: Floats = np.cumsum(np.bincount(group, share, len(threshold)), dtype=np.float64)
    return -threshold, hits, called, float(hits[-1]) if len(hits) else 0.0
