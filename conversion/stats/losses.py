"""Log loss and log-odds of predicted probabilities."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conversion.stats.numeric import Floats, finite
from conversion.stats.portable_math import log

SMALLEST_PROBABILITY: Final = 1e-9
"""Predictions are written with nine digits, so a written 0 or 1 means closer than this."""


def log_loss(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Return the mean of `log_losses`.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.
    weight
        Of each row in the mean; None: the same for all.

    Returns
    -------
    float
        In nats.
    """
    losses = log_losses(np.asarray(label), finite(probability))
    return float(np.average(losses, weights=None if weight is None else np.asarray(weight)))


def weighted_log_loss(probability: Floats, y: NDArray[Any], weight: NDArray[Any]) -> float:
    """Return the weighted sum of `log_losses`."""
    return float((weight * log_losses(y, probability)).sum())


def log_losses(label: NDArray[Any], probability: Floats) -> Floats:
    """Return each row's negative log likelihood, in nats, of the probability as `log_odds` clips it."""
    clipped = _clipped(probability)
    losses: Floats = -log(np.where(label == 1, clipped, 1 - clipped))
    return losses


def log_odds(probability: Floats) -> Floats:
    """Return the log-odds of probabilities clipped to [1e-9, 1 - 1e-9], so that 0 and 1 have some too."""
    clipped = _clipped(probability)
    return log(clipped / (1 - clipped))


def _clipped(probability: Floats) -> Floats:
    return np.minimum(np.maximum(probability, SMALLEST_PROBABILITY), 1 - SMALLEST_PROBABILITY)
