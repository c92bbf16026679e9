"""Pages and single leads of the lead list that ``score`` wrote."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.config.contract import MEASURES
from conversion.leads.lead_files import read_lead_files
from conversion.leads.lead_list import REASON_COLUMNS
from conversion.serving.messages import Lead, Leads, LeadWithUsage, Tier, UsageWeek
from conversion.serving.predictor import VERSION_DIGITS

_WHOLE: Final = ("last_week_actions", "last_week_users")


@dataclass(frozen=True)
class LeadList:
    """A lead list in the order to call, with the usage behind it.

    Attributes
    ----------
    leads
        `conversion.leads.lead_list.LEAD_COLUMNS`.
    usage
        Clean usage rows, sorted by ``id`` and week.
    as_of
        Moment of the list.
    model_sha256
        Of the model file that scored the list.
    """

    leads: pd.DataFrame
    usage: pd.DataFrame
    as_of: dt.date
    model_sha256: str

    @property
    def model_version(self) -> str:
        """Version of the model that scored the list, named as in predictions."""
        return self.model_sha256[:VERSION_DIGITS]


def read_lead_list(root: Path, file_format: str) -> LeadList | None:
    """Read what ``score`` wrote; see `conversion.leads.lead_files.read_lead_files`."""
    files = read_lead_files(root, file_format)
    if files is None:
        return None
    return LeadList(files.leads, files.usage, files.manifest.as_of, files.manifest.model_sha256)


def lead_page(lead_list: LeadList, tier: Tier | None, limit: int, offset: int) -> Leads:
    """Return a page of the list, or of one tier of it."""
    leads = lead_list.leads
    if tier is not None:
        leads = leads[leads["tier"] == tier]
    rows = leads.iloc[offset : offset + limit]
    return Leads(
        leads=[Lead(**values) for values in _plain(rows)],
        total=len(leads),
        limit=limit,
        offset=offset,
        as_of=lead_list.as_of,
        model_version=lead_list.model_version,
    )


def find_lead(lead_list: LeadList, company_id: int) -> LeadWithUsage | None:
    """Find a lead and its usage; None: the company is not on the list."""
    row = lead_list.leads[lead_list.leads["id"] == company_id]
    if row.empty:
        return None
    (values,) = _plain(row)
    return LeadWithUsage(**values, usage=_usage_of(lead_list.usage, company_id))


def _usage_of(usage: pd.DataFrame, company_id: int) -> list[UsageWeek]:
    ids = usage["id"].to_numpy()
    low, high = np.searchsorted(ids, company_id, side="left"), np.searchsorted(ids, company_id, side="right")
    rows = usage.iloc[low:high]
    days = rows["WHEN_TIMESTAMP"].dt.date
    counts = rows[list(MEASURES)].to_numpy().astype(int).tolist()
    return [
        UsageWeek(WHEN_TIMESTAMP=day, **dict(zip(MEASURES, row, strict=True)))
        for day, row in zip(days, counts, strict=True)
    ]


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn rows into keyword arguments of `Lead`: None for missing values, one list of reasons."""
    rows = rows.astype(object).where(rows.notna(), None)
    return [_lead(dict(row)) for row in rows.to_dict("records")]


def _lead(row: dict[Any, Any]) -> dict[str, Any]:
    reasons = [row.pop(name) for name in REASON_COLUMNS]
    whole = {name: None if row[name] is None else int(row[name]) for name in _WHOLE}
    return row | whole | {"reasons": reasons}
