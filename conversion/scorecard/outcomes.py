"""What became of the companies of delivered lists, by the newest export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import CurrentIds
from conversion.data.timeline import labels
from conversion.delivery.current_ids import under_current_ids
from conversion.delivery.ledger import Delivery
from conversion.delivery.statuses import OFFERED

COLUMNS: Final = (
    *("id", "rank", "probability", "tier", "rule_rank", "status", "call_probability", "place", "rep"),
    "fact_1",
)
"""What the scorecard reads of a delivery."""


@dataclass(frozen=True)
class Today:
    """What the newest export says.

    Attributes
    ----------
    as_of
        When it was taken.
    companies, periods
        Clean, as `conversion.data.clean_tables.CleanTables` has them.
    current
        By id that is no longer used, the id of today.
    contract
        Of the export.
    """

    as_of: pd.Timestamp
    companies: pd.DataFrame
    periods: pd.DataFrame
    current: CurrentIds
    contract: Contract


@dataclass(frozen=True)
class Outcome:
    """A delivered list and what became of it.

    Attributes
    ----------
    as_of, number, horizon_days, calls, reason
        Of the delivery.
    rows
        `COLUMNS` with ids of today, ``label`` (1: converted within the horizon, 0: did not, NaN: not known)
        and ``converted`` (the day).
    is_mature
        Whether its horizon is over.
    """

    as_of: pd.Timestamp
    number: int
    horizon_days: int
    calls: int
    reason: str | None
    rows: pd.DataFrame
    is_mature: bool

    @property
    def mature_on(self) -> pd.Timestamp:
        """Return when the horizon is over."""
        return self.as_of + pd.Timedelta(days=self.horizon_days)


def outcomes_of(deliveries: Sequence[Delivery], today: Today) -> tuple[Outcome, ...]:
    """Return what became of deliveries, in the order given."""
    return tuple(outcome_of(each, today) for each in deliveries)


def outcome_of(delivery: Delivery, today: Today) -> Outcome:
    """Return what became of a delivery."""
    as_of, about = pd.Timestamp(delivery.as_of), delivery.manifest
    is_mature = as_of + pd.Timedelta(days=about.horizon_days) <= today.as_of
    rows = with_labels(delivery.companies(COLUMNS), as_of, about.horizon_days, today)
    if not is_mature:
        rows = rows.assign(label=np.nan)
    return Outcome(as_of, delivery.number, about.horizon_days, about.calls, about.reason, rows, is_mature)


def with_labels(rows: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int, today: Today) -> pd.DataFrame:
    """Add to the rows of a list who has converted, under the ids of today.

    Parameters
    ----------
    rows
        `COLUMNS`.
    as_of, horizon_days
        Of the list.
    today
        The newest export.

    Returns
    -------
    pandas.DataFrame
        The rows with ``label`` and ``converted``. A label is NaN where the export no longer has the company,
        where it now says that the company paid already at ``as_of``, or where its conversion is quarantined.
    """
    rows = under_current_ids(rows, today.current)
    horizon, contract = pd.Timedelta(days=horizon_days), today.contract
    label = labels(today.companies, pd.DatetimeIndex([as_of]), horizon, contract, today.periods)[:, 0]
    known = pd.Series(label.astype(np.float64), index=pd.Index(today.companies["id"]))
    start = today.periods["start"]
    within = today.periods[(start >= as_of) & (start < as_of + horizon) & today.periods["conversion_valid"]]
    days = within.groupby("id")["start"].min()
    ids = pd.Index(rows["id"])
    return rows.assign(
        label=known.reindex(ids).to_numpy(), converted=days.reindex(ids).to_numpy(dtype="datetime64[us]")
    )


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the companies of the published list in its order: the call list by place, then by rank."""
    offered = rows[rows["status"].isin(OFFERED)]
    return offered.sort_values(["place", "rank"], na_position="last")


def by_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same companies in the order of the rule."""
    return rows[rows["status"].isin(OFFERED)].sort_values("rule_rank")


def is_called(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are on the call list."""
    return rows["place"].notna()
