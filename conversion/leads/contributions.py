"""What each fact about a company adds to its score, in log-odds before calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.features.facts import Fact, Part, fact_places, facts_of, sum_by_fact
from conversion.leads.lead_columns import BASE
from conversion.stats.numeric import Floats

if TYPE_CHECKING:
    from conversion.modelling.model import ConversionModel

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
    def of_part(self) -> dict[Part, NDArray[np.intp]]:
        """The places of the features of each part."""
        part = np.array([fact.part for fact in self.facts])[self.places]
        return {"fit": np.flatnonzero(part == "fit"), "activity": np.flatnonzero(part == "activity")}

    def by_fact(self, contributions: Floats) -> Floats:
        """Sum contributions, shape (rows, features), by fact; shape (rows, facts)."""
        return sum_by_fact(contributions, self.places)

    def parts(self, contributions: Floats) -> tuple[Floats, Floats]:
        """Return what fit and activity add; with the model's base they are the log-odds."""
        fit, activity = (
            contributions.take(self.of_part[part], axis=1).sum(axis=1).round(DECIMALS)
            for part in ("fit", "activity")
        )
        return fit, activity

    def table(self, ids: pd.Series, contributions: Floats) -> pd.DataFrame:
        """Return ``id``, ``base`` and a column of float64 for the key of each fact."""
        summed = self.by_fact(contributions).round(DECIMALS)
        columns = {fact.key: summed[:, place] for place, fact in enumerate(self.facts)}
        base = np.full(len(ids), round(self.model.base_log_odds_, DECIMALS))
        return pd.DataFrame({"id": ids.array, BASE: base} | columns)
