"""The lead list that ``score`` wrote, as the service shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.contract import Lead, Leads, LeadWithUsage, Tier, UsageWeek
from conversion.errors import ArtifactError
from conversion.files import read_parquet, read_value, reading, verified_parquet
from conversion.schemas import MEASURES
from conversion.scoring import LEAD_COLUMNS, REASON_COLUMNS

USAGE: Final = "data/clean/usage.parquet"
EXPORT: Final = "data/clean/export.json"
FOLDER: Final = "data/leads"

_TEXTS: Final = ("tier", "EMPLOYEE_RANGE", "INDUSTRY", "sector", "last_active_week")
_WHOLE: Final = ("last_week_actions", "last_week_users")


# Texts stay texts: an industry may be called None, and an employee range is 1.
def _read_csv(path: Path) -> pd.DataFrame:
    texts: dict[Any, Any] = dict.fromkeys((*_TEXTS, *REASON_COLUMNS), "str")
    return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])


def _read_json(path: Path) -> pd.DataFrame:
    return pd.read_json(path, dtype=False, precise_float=True)


_READERS: Final[dict[str, Callable[[Path], pd.DataFrame]]] = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".parquet": verified_parquet,
}


@dataclass(frozen=True)
class LeadList:
    """A lead list in the order to call, with the usage behind it.

    Attributes
    ----------
    leads
        `conversion.scoring.LEAD_COLUMNS`.
    usage
        Clean usage rows, sorted by ``id`` and week.
    as_of
        Moment of the list.
    """

    leads: pd.DataFrame
    usage: pd.DataFrame
    as_of: dt.date


def read_lead_list(root: Path, file_format: str) -> LeadList | None:
    """Read what ``score`` and ``clean`` wrote.

    Parameters
    ----------
    root
        The project's root.
    file_format
        ``score.format`` of params.yaml.

    Returns
    -------
    LeadList, or None where there is no lead list

    Raises
    ------
    ArtifactError
        There is a lead list without the usage it was made from, or it is not one.
    """
    path = root / FOLDER / f"leads.{file_format}"
    if not path.is_file():
        return None
    for needed in (root / USAGE, root / EXPORT):
        if not needed.is_file():
            raise ArtifactError(f"{needed}: not found, but {path} is there; run 'dvc repro score'")
    with reading(path):
        leads = _READERS[path.suffix](path)
    missing = [name for name in LEAD_COLUMNS if name not in leads]
    if missing:
        raise ArtifactError(f"{path}: lacks the columns {', '.join(missing)}; run 'dvc repro score' again")
    as_of = dt.date.fromisoformat(read_value(root / EXPORT, "as_of"))
    return LeadList(leads[list(LEAD_COLUMNS)], read_parquet(root / USAGE), as_of)


def page(lead_list: LeadList, tier: Tier | None, limit: int, offset: int) -> Leads:
    """Cut a page out of the list, or out of one tier of it."""
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
    )


def find(lead_list: LeadList, company_id: int) -> LeadWithUsage | None:
    """Find a lead and its usage; None where the company is not on the list."""
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
    """Turn rows into keyword arguments of `Lead`: missing is None, reasons are one list."""
    rows = rows.astype(object).where(rows.notna(), None)
    return [_lead(dict(row)) for row in rows.to_dict("records")]


def _lead(row: dict[Any, Any]) -> dict[str, Any]:
    reasons = [row.pop(name) for name in REASON_COLUMNS]
    whole = {name: None if row[name] is None else int(row[name]) for name in _WHOLE}
    return row | whole | {"reasons": reasons}
