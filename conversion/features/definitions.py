"""What a feature is, the settings that features depend on, and what they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["count", "duration", "change", "share", "flag", "ordinal", "category"]
Group = Literal["usage", "firmographics", "missingness"]


@dataclass(frozen=True)
class Feature:
    """What one feature is.

    Attributes
    ----------
    name
        Column name in the feature frame.
    description
        What it measures, in plain words.
    unit
        Unit of its values.
    window
        Weeks before ``as_of`` that it looks at, ``lifetime``, or ``-`` for firmographics.
    kind
        How a model may treat it: counts, durations and shares are non-negative and heavy-tailed.
    monotone
        Direction in which a higher value may move the probability: 1, -1, or 0 for either.
    group
        What it is computed from; params.yaml's ``features.groups`` switches groups on and off.
    """

    name: str
    description: str
    unit: str
    window: str
    kind: Kind
    monotone: Literal[-1, 0, 1]
    group: Group = "usage"


@dataclass(frozen=True)
class FeatureSettings:
    """The params that features depend on: ``windows`` and ``half_lives``, in weeks."""

    windows: tuple[int, ...]
    half_lives: tuple[int, ...]


class LifetimeTotals(NamedTuple):
    """What usage adds up to over the lifetime; arrays of one shape, NaN where not known.

    Attributes
    ----------
    actions
        In all modules.
    users
        Weekly users, summed over weeks and modules.
    days_active
        Last minus first day with a usage row.
    activity_frequency
        Usage rows over ``days_active + 1``.
    seen
        Whether there is a usage row: 1.0 or 0.0.
    """

    actions: np.ndarray
    users: np.ndarray
    days_active: np.ndarray
    activity_frequency: np.ndarray
    seen: np.ndarray


class Plan(NamedTuple):
    """What depends on the settings alone, computed once."""

    groups: tuple[tuple[Feature, ...], ...]
    features: tuple[Feature, ...]
    windowed: np.ndarray  # which columns of (windows and lifetime) x `catalogue.WINDOWED` are features
    # Of each window and, last, of the lifetime:
    window_weeks: np.ndarray  # its length
    window_levels: np.ndarray  # the level of `usage_block._maxima` that covers it
    cover_weeks: np.ndarray  # (2, windows + 1): how long before as_of the two parts of its cover end
    levels: int  # of `usage_block._maxima`, before the one of the lifetime
    decays: np.ndarray  # of each half-life, from week to week
