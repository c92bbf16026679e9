"""What a feature is, the settings that features depend on, and what they read."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from conversion.config.attribute_kinds import AnyAttribute
from conversion.config.usage_contract import Measure, Module
from conversion.data.attribute_encoding import Levels

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
        Weeks before ``as_of`` that it looks at, ``lifetime``, or ``-`` for attributes of the company.
    kind
        How a model may treat it: counts, durations and shares are heavy-tailed, and hardly ever negative;
        changes are other numbers; of flags and ordinals, many rows share a value.
    monotone
        Direction in which a higher value may move the probability: 1, -1, or 0 for either.
    group
        What it is computed from; params.yaml's ``features.groups`` switches groups on and off.
    column
        The attribute that it is made of; None for features of usage.
    fact
        Key of the fact about the company that it is one of the measures of, see `conversion.features.facts`.
    """

    name: str
    description: str
    unit: str
    window: str
    kind: Kind
    monotone: Literal[-1, 0, 1]
    group: Group = "usage"
    column: str | None = None
    fact: str = "actions"


@dataclass(frozen=True)
class FeatureSettings:
    """What features depend on; `conversion.features.compute.feature_settings` makes it.

    Attributes
    ----------
    windows, half_lives
        In weeks, from the params.
    modules, measures, attributes
        From the contract, in its order, each with its name; an attribute's name is its column, and a category
        is without its groups.
    time
        The column of usage with the first day of the week.
    """

    windows: tuple[int, ...]
    half_lives: tuple[int, ...]
    modules: tuple[tuple[str, Module], ...]
    measures: tuple[tuple[str, Measure], ...]
    attributes: tuple[tuple[str, AnyAttribute], ...]
    time: str

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    def __hash__(self) -> int:
        """Return the hash, computed once, as each request looks its plan up."""
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """Leave the hash out: texts have other hashes in another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}


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


class AttributeColumns(NamedTuple):
    """Companies' attributes as features read them.

    Attributes
    ----------
    values
        An array for each encoded column, of one shape.
    levels
        By category, its levels in the order of their codes; the last one is that of missing values.
    """

    values: list[np.ndarray]
    levels: Levels
