"""Pages and single leads of the lead list that ``score`` wrote."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.data.timeline import days_before_monday
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.lead_files import LeadFiles, read_lead_files
from conversion.modelling.tiers import TIERS
from conversion.serving.contract_messages import Messages
from conversion.serving.messages import Leads, LeadWithUsage, Tier, UsageWeek
from conversion.serving.predictor import VERSION_DIGITS

_WHOLE: Final = ("rank_before", "last_week_actions", "last_week_users")


@dataclass(frozen=True)
class LeadList:
    """A lead list in the order to call, with what belongs to it.

    Attributes
    ----------
    files
        As read.
    messages
        Of the served model's contract.
    """

    files: LeadFiles
    messages: Messages

    @property
    def leads(self) -> pd.DataFrame:
        """The list: `conversion.leads.lead_columns.lead_columns`."""
        return self.files.leads

    @property
    def usage(self) -> pd.DataFrame:
        """Clean usage rows, sorted by ``id`` and week."""
        return self.files.usage

    @property
    def as_of(self) -> dt.date:
        """Moment of the list."""
        return self.files.manifest.as_of

    @property
    def model_version(self) -> str:
        """Version of the model that scored the list, named as in predictions."""
        return self.files.manifest.model_sha256[:VERSION_DIGITS]

    @cached_property
    def rows_of_tier(self) -> dict[str, NDArray[np.intp]]:
        """The rows of each tier, so that a page copies no more than itself."""
        return {name: np.flatnonzero(self.leads["tier"] == name) for name in TIERS}


def read_lead_list(root: Path, file_format: str, messages: Messages) -> LeadList | None:
    """Read what ``score`` wrote; see `conversion.leads.lead_files.read_lead_files`."""
    files = read_lead_files(root, file_format, messages.contract)
    return None if files is None else LeadList(files, messages)


def lead_page(lead_list: LeadList, tier: Tier | None, limit: int, offset: int) -> Leads:
    """Return a page of the list, or of one tier of it."""
    leads, total = lead_list.leads, len(lead_list.leads)
    if tier is None:
        rows = leads.iloc[offset : offset + limit]
    else:
        of_tier = lead_list.rows_of_tier[tier]
        rows, total = leads.iloc[of_tier[offset : offset + limit]], len(of_tier)
    return lead_list.messages.leads(
        leads=[lead_list.messages.lead(**values) for values in _plain(rows)],
        total=total,
        limit=limit,
        offset=offset,
        as_of=lead_list.as_of,
        model_version=lead_list.model_version,
    )


def find_lead(lead_list: LeadList, company_id: int | str) -> LeadWithUsage | None:
    """Find a lead and its usage; None: the company is not on the list."""
    (rows,) = np.nonzero(lead_list.leads["id"] == company_id)
    if not len(rows):
        return None
    (values,) = _plain(lead_list.leads.iloc[rows])
    usage = usage_weeks(_usage_of(lead_list.usage, company_id), lead_list.messages)
    return lead_list.messages.lead_with_usage(**values, usage=usage)


def _usage_of(usage: pd.DataFrame, company_id: int | str) -> pd.DataFrame:
    # Text ids are no numpy array, and making one would take longer than the rest.
    ids, places = usage["id"].array, range(len(usage))
    low = bisect_left(places, company_id, key=ids.__getitem__)
    return usage.iloc[low : bisect_right(places, company_id, lo=low, key=ids.__getitem__)]


def usage_weeks(rows: pd.DataFrame, messages: Messages) -> list[UsageWeek]:
    """Return usage rows of one company as requests have them."""
    contract = messages.contract
    # As requests have them: the days on which the weeks of the export start.
    starts = rows[contract.usage.time] - pd.Timedelta(days=days_before_monday(contract))
    columns: dict[str, list[Any]] = {contract.usage.time: starts.dt.date.tolist()}
    columns |= {name: rows[name].astype(int).tolist() for name in contract.counts}
    for name, measure in contract.usage.measures.items():
        values = rows[name].tolist()
        columns[measure.column] = [None if np.isnan(value) else value for value in values]
    weeks = zip(*columns.values(), strict=True)
    return [messages.usage_week(**dict(zip(columns, week, strict=True))) for week in weeks]


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into values of a lead's fields: None for missing values, one list of reasons."""
    rows = rows.astype(object).where(rows.notna(), None)
    return [_lead(dict(row)) for row in rows.to_dict("records")]


def _lead(row: dict[Any, Any]) -> dict[str, Any]:
    reasons = [reason for name in REASON_COLUMNS if (reason := row.pop(name)) is not None]
    whole = {name: None if row[name] is None else int(row[name]) for name in _WHOLE if name in row}
    return row | whole | {"reasons": reasons}
