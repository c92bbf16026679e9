"""What each fact about a company adds to its score, in log-odds before calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.features.facts import Fact, fact_places, facts_of, sum_by_fact
from conversion.leads.lead_columns import BASE
from conversion.modelling.model import ConversionModel
from conversion.stats.numeric import Floats

DECIMALS: Final = 9


@dataclass(frozen=True)
class ModelFacts:
    """The facts that a model's features measure.

    Attributes
    ----------
    model
        Fitted.
    """

    model: ConversionModel

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """The facts, in the order of the columns of `by_fact`."""
        return facts_of(self.model.features, self.model.data_contract)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """The place of each feature's fact among `facts`."""
        return fact_places(self.model.features)

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether each feature is about what a company is, rather than about what it does."""
        return np.array([fact.part == "fit" for fact in self.facts])[self.places]

    def by_fact(self, contributions: Floats) -> Floats:
        """Sum contributions, shape (rows, features), by fact; shape (rows, facts)."""
        return sum_by_fact(contributions, self.places)

    def parts(self, contributions: Floats) -> tuple[Floats, Floats]:
        """Return what fit and activity add; with the model's base they are the log-odds."""
        return contributions[:, self.fits].sum(axis=1), contributions[:, ~self.fits].sum(axis=1)

    def table(self, ids: pd.Series, contributions: Floats) -> pd.DataFrame:
        """Return ``id``, ``base`` and a column of float64 for the key of each fact."""
        summed = self.by_fact(contributions).round(DECIMALS)
        columns = {fact.key: summed[:, place] for place, fact in enumerate(self.facts)}
        base = np.full(len(ids), round(self.model.base_log_odds_, DECIMALS))
        return pd.DataFrame({"id": ids.array, BASE: base} | columns)
