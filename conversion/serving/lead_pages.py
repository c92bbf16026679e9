"""Pages and single leads of the lead list that ``score`` wrote."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.data.timeline import days_before_monday
from conversion.leads.lead_files import read_lead_files
from conversion.leads.lead_list import REASON_COLUMNS
from conversion.serving.contract_messages import Messages
from conversion.serving.messages import Leads, LeadWithUsage, Tier, UsageWeek
from conversion.serving.predictor import VERSION_DIGITS

_WHOLE: Final = ("last_week_actions", "last_week_users")


@dataclass(frozen=True)
class LeadList:
    """A lead list in the order to call, with the usage behind it.

    Attributes
    ----------
    leads
        `conversion.leads.lead_list.lead_columns`.
    usage
        Clean usage rows, sorted by ``id`` and week.
    as_of
        Moment of the list.
    model_sha256
        Of the model file that scored the list.
    messages
        Of the served model's contract.
    """

    leads: pd.DataFrame
    usage: pd.DataFrame
    as_of: dt.date
    model_sha256: str
    messages: Messages

    @property
    def model_version(self) -> str:
        """Version of the model that scored the list, named as in predictions."""
        return self.model_sha256[:VERSION_DIGITS]


def read_lead_list(root: Path, file_format: str, messages: Messages) -> LeadList | None:
    """Read what ``score`` wrote; see `conversion.leads.lead_files.read_lead_files`."""
    files = read_lead_files(root, file_format, messages.contract)
    if files is None:
        return None
    return LeadList(files.leads, files.usage, files.manifest.as_of, files.manifest.model_sha256, messages)


def lead_page(lead_list: LeadList, tier: Tier | None, limit: int, offset: int) -> Leads:
    """Return a page of the list, or of one tier of it."""
    leads = lead_list.leads
    if tier is not None:
        leads = leads[leads["tier"] == tier]
    rows = leads.iloc[offset : offset + limit]
    return lead_list.messages.leads(
        leads=[lead_list.messages.lead(**values) for values in _plain(rows)],
        total=len(leads),
        limit=limit,
        offset=offset,
        as_of=lead_list.as_of,
        model_version=lead_list.model_version,
    )


def find_lead(lead_list: LeadList, company_id: int | str) -> LeadWithUsage | None:
    """Find a lead and its usage; None: the company is not on the list."""
    row = lead_list.leads[lead_list.leads["id"] == company_id]
    if row.empty:
        return None
    (values,) = _plain(row)
    usage = _usage_of(lead_list.usage, company_id, lead_list.messages)
    return lead_list.messages.lead_with_usage(**values, usage=usage)


def _usage_of(usage: pd.DataFrame, company_id: int | str, messages: Messages) -> list[UsageWeek]:
    contract = messages.contract
    ids = usage["id"].to_numpy()
    low, high = np.searchsorted(ids, company_id, side="left"), np.searchsorted(ids, company_id, side="right")
    rows = usage.iloc[low:high]
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
    reasons = [row.pop(name) for name in REASON_COLUMNS]
    whole = {name: None if row[name] is None else int(row[name]) for name in _WHOLE if name in row}
    return row | whole | {"reasons": reasons}
