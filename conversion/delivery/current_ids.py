"""Deliveries under the ids of today: a company that was merged, or has another id, is still the same."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import CurrentIds, ids_of_today, replaced
from conversion.delivery.ledger import Delivery
from conversion.runtime.files import read_parquet

if TYPE_CHECKING:
    from conversion.modelling.model import ConversionModel

TYPED: Final = "data/typed"


def read_current_ids(root: Path, contract: Contract) -> CurrentIds:
    """Read which ids of the newest export became which."""
    aliases = contract.companies.aliases
    if aliases is None:
        return {}
    return ids_of_today({aliases.table: read_parquet(root / TYPED / f"{aliases.table}.parquet")}, contract)


def under_current_ids(companies: pd.DataFrame, current: CurrentIds) -> pd.DataFrame:
    """Return the companies of a delivery with the ids of today, one row each.

    Of companies that have become one since, the one that stands first on the call list, or has the better
    rank, stays.

    Parameters
    ----------
    companies
        At least ``id``, ``rank`` and ``place``; the index is kept.
    current
        By id that is no longer used, the id of today.
    """
    companies = companies.assign(id=replaced(companies["id"], current))
    if not companies["id"].duplicated().any():
        return companies
    first = companies.sort_values(["place", "rank"], na_position="last").drop_duplicates("id").index
    return companies.loc[companies.index.isin(first)]


@dataclass(frozen=True)
class CurrentDelivery:
    """A delivery whose companies have the ids of today.

    Attributes
    ----------
    delivery
        As it went out.
    current
        By id that is no longer used, the id of today.
    """

    delivery: Delivery
    current: CurrentIds

    @property
    def as_of(self) -> dt.date:
        """Moment of the list."""
        return self.delivery.as_of

    @cached_property
    def _kept(self) -> pd.DataFrame:
        return under_current_ids(self.delivery.companies(), self.current)

    def companies(self) -> pd.DataFrame:
        """Return every prospect of the list."""
        return self._kept.reset_index(drop=True)

    def features(self) -> pd.DataFrame:
        """Return ``id`` and the model's features of the same prospects, in the same order."""
        features = self.delivery.features().loc[self._kept.index]
        return features.assign(id=self._kept["id"]).reset_index(drop=True)

    def model(self) -> ConversionModel:
        """Return the model that scored the list."""
        return self.delivery.model()
