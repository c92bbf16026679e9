"""Companies of the past that converted and looked like another one, by what speaks for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.features.facts import Fact
from conversion.stats.numeric import Floats

SIMILAR: Final = 3
SHARED: Final = 3
"""Facts that two companies share, at most as many as are said."""
LEAST: Final = 0.1
"""Log-odds that a fact must say of both companies to count as shared."""


@dataclass(frozen=True)
class Similar:
    """A company that converted.

    Attributes
    ----------
    row
        Of `Converted.companies`; None is missing.
    shared
        Facts that say the same of both, the strongest first.
    """

    row: Mapping[str, Any]
    shared: tuple[Fact, ...]


@dataclass(frozen=True)
class Converted:
    """The companies of the past that converted, each as it was at the last Monday before.

    Attributes
    ----------
    companies
        Who they were, and when they converted.
    contributions
        In the same order, a column of log-odds for the key of each fact.
    facts
        Whose contributions they are.
    """

    companies: pd.DataFrame
    contributions: pd.DataFrame
    facts: tuple[Fact, ...]

    @cached_property
    def _by_fact(self) -> Floats:
        keys = [fact.key for fact in self.facts]
        return np.ascontiguousarray(self.contributions[keys].to_numpy(dtype=np.float64))

    def nearest(self, contributions: Sequence[float], company_id: int | str) -> tuple[Similar, ...]:
        """Return the companies whose contributions of facts are nearest, the nearest first.

        Parameters
        ----------
        contributions
            Of the company, in the order of ``facts``.
        company_id
            Of the company, which is not similar to itself.
        """
        own = np.asarray(contributions, dtype=np.float64)
        distance = np.square(self._by_fact - own).sum(axis=1)
        distance[(self.companies["id"] == company_id).to_numpy(dtype=bool)] = np.inf
        order = np.argsort(distance, kind="stable")[:SIMILAR]
        nearest = [int(place) for place in order if np.isfinite(distance[place])]
        return tuple(Similar(self._row(place), self._shared(own, self._by_fact[place])) for place in nearest)

    def _row(self, place: int) -> dict[str, Any]:
        values = self.companies.iloc[place].to_dict()
        return {str(name): None if pd.isna(value) else value for name, value in values.items()}

    def _shared(self, own: Floats, other: Floats) -> tuple[Fact, ...]:
        """Return the facts that speak for both companies, by how much they do for the one less favoured."""
        least = np.minimum(own, other)
        order = np.argsort(-least, kind="stable")[:SHARED]
        return tuple(self.facts[place] for place in order if least[place] >= LEAST)
