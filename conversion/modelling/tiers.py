"""Tiers: names for probabilities by their lift over the training prevalence."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conversion.config.params import Tiers

TIERS: Final = (*Tiers.model_fields, "low")
"""The names, highest first."""


def tier_of(probability: ArrayLike, base_rate: ArrayLike, tiers: Tiers) -> NDArray[np.str_]:
    """Return each probability's tier by its lift over the training prevalence.

    Parameters
    ----------
    probability
        One, or an array of any shape.
    base_rate
        Prevalence among training snapshots: one for all, or one for each probability.
    tiers
        Least lift of each tier.

    Returns
    -------
    numpy.ndarray of str, of the same shape
        Each one of `TIERS`.
    """
    ascending = TIERS[::-1]
    least = [getattr(tiers, name) for name in ascending[1:]]
    reached = np.searchsorted(least, np.asarray(probability) / np.asarray(base_rate), side="right")
    return np.asarray(np.array(ascending)[reached])


def out_of_reach(base_rate: float, tiers: Tiers) -> list[str]:
    """Return the tiers that no probability reaches: their lift times the training prevalence is above 1."""
    return [name for name, least in tiers.model_dump().items() if least * base_rate > 1]
