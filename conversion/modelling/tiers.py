"""Tiers: names for parts of a list, from the most probable prospects to the least."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from conversion.config.params import TierProbabilities, Tiers

TIERS: Final = (*TierProbabilities.model_fields, "low")
"""The names, highest first."""
_ASCENDING: Final = np.array(TIERS[::-1])
Probability = Field(ge=0, le=1)


class TierCuts(BaseModel):
    """The least probability of each tier of a list, highest first; below ``medium`` is the tier low."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    very_high: float = Probability
    high: float = Probability
    medium: float = Probability


def tier_cuts(probability: ArrayLike, tiers: Tiers, top_n: int) -> TierCuts:
    """Return the cuts of a list.

    By rank share, a tier reaches down to the probability at its rank, so that equal probabilities share the
    higher tier. A list with fewer prospects than that ends in the tier.

    Parameters
    ----------
    probability
        Of all prospects of the list, in any order.
    tiers, top_n
        ``score.tiers`` and ``score.top_n`` of params.yaml.
    """
    given = tiers.model_dump()  # all of it, whatever `by` says: a stage reads the same params in each case
    descending = -np.sort(-np.asarray(probability, dtype=np.float64))
    if given["by"] == "probability" or not len(descending):
        return TierCuts(**given["probability"])
    ranks = {name: max(round(share * top_n), 1) for name, share in given["rank_share"].items()}
    last = len(descending)
    return TierCuts(**{name: float(descending[min(rank, last) - 1]) for name, rank in ranks.items()})


def cuts_by_probability(tiers: Tiers) -> TierCuts:
    """Return the cuts where there is no list to rank in: ``score.tiers.probability``."""
    return TierCuts(**tiers.probability.model_dump())


def tier_of(probability: ArrayLike, cuts: TierCuts) -> NDArray[np.str_]:
    """Return each probability's tier.

    Parameters
    ----------
    probability
        One, or an array of any shape.
    cuts
        Of the list that it is or would be on.

    Returns
    -------
    numpy.ndarray of str, of the same shape
        Each one of `TIERS`.
    """
    ascending = (cuts.medium, cuts.high, cuts.very_high)
    reached = np.searchsorted(ascending, np.asarray(probability), side="right")
    return np.asarray(_ASCENDING[reached])


def empty_tiers(found: Collection[str]) -> list[str]:
    """Return the tiers above low that no prospect of a list is in, highest first."""
    return [name for name in TIERS[:-1] if name not in found]
