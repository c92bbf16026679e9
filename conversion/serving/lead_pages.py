"""Pages and single leads of the lead list that ``score`` wrote."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.data.timeline import days_before_monday
from conversion.leads.lead_batches import LEADS
from conversion.leads.lead_columns import REASON_COLUMNS
from conversion.leads.lead_files import LIST, LeadFiles, read_lead_files, read_list_manifest
from conversion.pages.lead_table import LeadTable
from conversion.pages.list_query import ListQuery, Selection
from conversion.pages.stored_table import StoredTable
from conversion.runtime.seals import sha256_of
from conversion.serving.contract_messages import Messages
from conversion.serving.lead_index import StoredFiles, read_stored_files
from conversion.serving.messages import Leads, LeadWithUsage, UsageWeek
from conversion.serving.predictor import VERSION_DIGITS

LARGE: Final = 200_000
"""Leads of a list at most, for each worker to hold it in memory; larger ones stay in files."""
TOO_LARGE: Final = (
    "each worker holds the whole list in memory and reads it as a whole when it starts; "
    "set score.format to parquet in params.yaml, from which large lists are served without"
)

log = logging.getLogger(__name__)

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

    files: LeadFiles | StoredFiles
    messages: Messages

    @property
    def leads(self) -> pd.DataFrame:
        """The list: `conversion.leads.lead_columns.lead_columns`."""
        return self.table.leads

    @property
    def usage(self) -> pd.DataFrame:
        """Clean usage rows of a list that is held in memory, sorted by ``id`` and week."""
        assert isinstance(self.files, LeadFiles)
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
    def table(self) -> LeadTable:
        """The list, as it is searched and sorted."""
        files, contract = self.files, self.messages.contract
        if isinstance(files, StoredFiles):
            return StoredTable(files.store, contract, self.as_of)
        return LeadTable(files.leads, files.usage, contract, self.as_of)

    @property
    def contribution_columns(self) -> tuple[str, ...]:
        """The keys of `contributions_of`."""
        if isinstance(self.table, StoredTable):
            return self.table.contribution_columns
        assert isinstance(self.files, LeadFiles)
        return tuple(map(str, self.files.contributions.columns))

    def contributions_of(self, position: int) -> Mapping[str, float]:
        """Return what each fact adds to a lead's score, by its key, and the base."""
        if isinstance(self.table, StoredTable):
            return self.table.contributions_of(position)
        assert isinstance(self.files, LeadFiles)
        row = self.files.contributions.iloc[position]
        return {str(name): float(value) for name, value in row.items() if name != "id"}

    @cached_property
    def sha256(self) -> str:
        """What tells it from any other list."""
        return sha256_of(self.files.manifest.model_dump_json().encode())


def read_lead_list(root: Path, messages: Messages, indexes: Path | None = None) -> LeadList | None:
    """Read what ``score`` wrote: a small list into memory, of a large one in Parquet an index.

    Parameters
    ----------
    root
        The folder that has the list.
    messages
        Of the contract of the model that scored the list.
    indexes
        The folder of indexes; None: every list is read into memory.

    Raises
    ------
    ArtifactError
        See `conversion.leads.lead_files.read_lead_files`.
    """
    manifest = read_list_manifest(root)
    if manifest is None:
        return None
    files: LeadFiles | StoredFiles | None
    if indexes is not None and manifest.leads == LEADS and manifest.prospects > LARGE:
        files = read_stored_files(root, manifest, messages.contract, indexes)
    else:
        if manifest.prospects > LARGE:
            log.warning(
                TOO_LARGE, extra={"leads": manifest.prospects, "format": manifest.leads.removeprefix(LIST)}
            )
        files = read_lead_files(root, messages.contract)
    return None if files is None else LeadList(files, messages)


def lead_page(lead_list: LeadList, query: ListQuery, limit: int, offset: int) -> Leads:
    """Return some of the leads that a query asks for, in its order; its page does not matter."""
    table, found = lead_list.table, Selection(lead_list.table, query)
    rows = table.rows(found.between(offset, offset + limit))
    return lead_list.messages.leads(
        leads=[lead_list.messages.lead(**_lead(row)) for row in rows],
        total=found.total,
        limit=limit,
        offset=offset,
        as_of=lead_list.as_of,
        model_version=lead_list.model_version,
    )


def find_lead(lead_list: LeadList, company_id: int | str) -> LeadWithUsage | None:
    """Find a lead and its usage; None: the company is not on the list."""
    table, messages = lead_list.table, lead_list.messages
    position = table.position(company_id)
    if position is None:
        return None
    (row,) = table.rows(np.array([position]))
    return messages.lead_with_usage(**_lead(row), usage=usage_weeks(table.usage_of(position), messages))


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


def _lead(row: dict[Any, Any]) -> dict[str, Any]:
    """Turn a row into a lead's fields: one list of reasons, and whole numbers where a column has floats."""
    reasons = [reason for name in REASON_COLUMNS if (reason := row.pop(name)) is not None]
    whole = {name: None if row[name] is None else int(row[name]) for name in _WHOLE if name in row}
    return {"rep": None, "moved": None} | row | whole | {"reasons": reasons}
