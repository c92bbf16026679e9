"""Companies of the past that converted, as the model sees them shortly before: to compare a lead with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from conversion.leads.contributions import ModelFacts
from conversion.leads.lead_columns import converted_columns
from conversion.leads.lead_list import as_day, shown_columns

if TYPE_CHECKING:
    from conversion.modelling.model import ConversionModel


@dataclass(frozen=True)
class ConvertedCompanies:
    """Companies of the past that converted.

    Attributes
    ----------
    companies
        `conversion.leads.lead_columns.converted_columns`, sorted by id: days as ISO text, and who the company
        is, as exported today.
    contributions
        From `conversion.leads.contributions.ModelFacts.table`, in the same order.
    """

    companies: pd.DataFrame
    contributions: pd.DataFrame


def converted_companies(
    model: ConversionModel, train: pd.DataFrame, companies: pd.DataFrame, periods: pd.DataFrame
) -> ConvertedCompanies:
    """Return the companies that converted, each at the last training snapshot before.

    Parameters
    ----------
    model
        Fitted.
    train
        Training snapshots with ``id``, ``as_of``, ``label`` and the features.
    companies
        Clean companies.
    periods
        Paid periods, see `conversion.data.clean_tables.CleanTables`.
    """
    contract = model.data_contract
    last = last_conversions([train])
    known = companies.set_index("id").loc[last["id"]].reset_index()
    days = _conversion_days(last, periods)
    converted = shown_columns(known, contract).assign(as_of=as_day(last["as_of"]), converted=as_day(days))
    contributions = model.contributions(model.values(last))
    return ConvertedCompanies(
        converted[list(converted_columns(contract))], ModelFacts(model).table(last["id"], contributions)
    )


def last_conversions(train: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the last converting snapshot of each company, sorted by id.

    Parameters
    ----------
    train
        Training snapshots, some at a time.
    """
    found = pd.concat([_last(some) for some in train], ignore_index=True)
    return _last(found).sort_values("id", ignore_index=True)


def _last(train: pd.DataFrame) -> pd.DataFrame:
    converting = train[train["label"] == 1].sort_values("as_of", kind="stable")
    return converting.drop_duplicates("id", keep="last")


def _conversion_days(snapshots: pd.DataFrame, periods: pd.DataFrame) -> pd.Series:
    """Return the day of the first conversion that counts from each snapshot on."""
    counted = periods.loc[periods["conversion_valid"], ["id", "start"]]
    pairs = snapshots[["id", "as_of"]].merge(counted, on="id", how="left")
    first = pairs[pairs["start"] >= pairs["as_of"]].groupby("id")["start"].min()
    return pd.Series(first.reindex(snapshots["id"]).array, index=snapshots.index)
