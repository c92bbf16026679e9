"""How far probabilities are from what then happened."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conversion.stats.numeric import Floats, finite
from conversion.stats.portable_math import log, log1p


def log_loss(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> float:
    """Mean negative log likelihood of the labels; probabilities of 0 and 1 are moved inside by one epsilon.

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


def brier_score(label: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference of probability and label.

    Parameters
    ----------
    label
        0 or 1.
    probability
        Of label 1.

    Returns
    -------
    float
        0 is perfect.
    """
    return float(np.mean(np.square(finite(probability) - np.asarray(label))))


def log_losses(label: NDArray[Any], probability: Floats) -> Floats:
    """Give each row's negative log likelihood, as `log_loss` averages it."""
    epsilon = np.finfo(np.float64).eps
    inside = np.clip(probability, epsilon, 1 - epsilon)
    losses: Floats = -log(np.where(label == 1, inside, 1 - inside))
    return losses


TINIEST: Final = 1e-9  # probability; whoever says 0 or 1 is held to this


def weighted_log_loss(probability: Floats, y: np.ndarray, weight: np.ndarray) -> float:
    """Sum the weighted log losses, in nats; probabilities are held to [1e-9, 1 - 1e-9]."""
    clipped = _clipped(probability)
    return -float((weight * np.where(y == 1, log(clipped), log1p(-clipped))).sum())


def log_odds(probability: Floats) -> Floats:
    """Give the log-odds, of probabilities held to [1e-9, 1 - 1e-9]."""
    clipped = _clipped(probability)
    return log(clipped / (1 - clipped))


def _clipped(probability: Floats) -> Floats:
    return np.minimum(np.maximum(probability, TINIEST), 1 - TINIEST)
