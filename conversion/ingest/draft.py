"""A draft of a data contract, guessed from a folder's tables: a YAML text with a comment at each guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from conversion.ingest.draft_columns import Column, describe
from conversion.ingest.draft_companies import CompanyDraft, draft_companies
from conversion.ingest.draft_roles import Roles, Table, find_roles
from conversion.ingest.draft_tables import Sample
from conversion.ingest.draft_usage import UsageDraft, draft_usage
from conversion.ingest.draft_yaml import contract_text, one_line
from conversion.runtime.errors import ExportError

MAX_DIGITS: Final = 18
"""Digits that a whole number may have, see `conversion.ingest.cells`."""


@dataclass(frozen=True)
class Draft:
    """A draft, and what it could not tell."""

    text: str
    """The contract file."""
    notes: tuple[str, ...]
    """What could not be told, or has to be changed in the tables; one line each."""


def draft_contract(samples: Sequence[Sample]) -> Draft:
    """Guess a contract from the first rows of tables.

    Parameters
    ----------
    samples
        One for each table of the folder.

    Returns
    -------
    Draft
        Its text is a contract file that `load_contract` reads. No value of a table is in it or in the notes,
        apart from levels of an order, words for yes and no, words for missing, and a number's bounds.

    Raises
    ------
    ExportError
        No table has one row a company.
    """
    tables = {
        sample.name: {str(name): describe(str(name), sample.columns[name]) for name in sample.columns}
        for sample in samples
    }
    roles = find_roles(tables)
    if roles is None:
        raise ExportError(
            f"none of the tables {', '.join(tables)} has one row a company: a column of ids, all different"
        )
    by_name = {sample.name: sample for sample in samples}
    merged = _merged([by_name[name] for name in roles.companies], tables)
    companies = draft_companies({name: merged[name] for name in merged if name != roles.company_id})
    usage = _usage(tables, roles)
    for name in roles.companies:
        companies.dropped |= by_name[name].dropped
    if usage is not None and roles.usage is not None:
        usage.dropped |= by_name[roles.usage].dropped
    kinds = _converted_in(tables, roles, companies)
    ids, why_ids, id_notes = _kind_of_ids(tables, roles)
    text = contract_text(roles, kinds, (ids, why_ids), companies, usage)
    notes = [
        *(f"{sample.name}: {note}" for sample in samples for note in sample.notes),
        *id_notes,
        *_notes(roles, companies, usage),
    ]
    return Draft(text, tuple(map(one_line, notes)))


def _merged(samples: list[Sample], tables: dict[str, Table]) -> Table:
    """Describe the columns of all company tables, one below the other."""
    if len(samples) == 1:
        return tables[samples[0].name]
    stacked = pd.concat([sample.columns for sample in samples], ignore_index=True)
    return {str(name): describe(str(name), stacked[name]) for name in stacked}


def _usage(tables: dict[str, Table], roles: Roles) -> UsageDraft | None:
    if roles.usage is None or roles.usage_id is None:
        return None
    table = tables[roles.usage]
    others = {name: column for name, column in table.items() if name != roles.usage_id}
    return draft_usage(others, table[roles.usage_id])


def _converted_in(
    tables: dict[str, Table], roles: Roles, draft: CompanyDraft
) -> dict[str, Literal["all", "some", "none"]]:
    """Find whether all, some or none of a table's companies have converted."""
    found: dict[str, Literal["all", "some", "none"]] = {}
    for name in roles.companies:
        column = tables[name].get(draft.converted.column) if draft.converted else None
        if draft.converted is None:
            found[name] = "some"
        elif column is None or column.rows == 0:
            found[name] = "none"
        else:
            found[name] = "all" if column.filled == 1 and len(roles.companies) > 1 else "some"
    return found


def _kind_of_ids(tables: dict[str, Table], roles: Roles) -> tuple[Literal["whole", "text"], str, list[str]]:
    columns = [tables[name][roles.company_id] for name in roles.companies]
    if roles.usage is not None and roles.usage_id is not None:
        columns.append(tables[roles.usage][roles.usage_id])
    notes = []
    if any(
        "e+" in level.casefold() for column in columns if column.kind == "whole" for level in column.levels
    ):
        notes.append(
            f"{roles.company_id}: ids with an exponent have lost digits; export them with all digits"
        )
    if all(column.kind == "whole" and not column.style and _is_short(column) for column in columns):
        return "whole", "whole numbers without leading zeros; or text, which takes any id", notes
    return "text", "letters, leading zeros or more digits than a whole number may have", notes


def _is_short(column: Column) -> bool:
    return bool((np.abs(column.parsed) < 10.0**MAX_DIGITS).all())


def _notes(roles: Roles, companies: CompanyDraft, usage: UsageDraft | None) -> list[str]:
    notes = [f"table {name}: not used: {why}" for name, why in roles.others.items()]
    if companies.converted is None:
        notes.append(
            "converted: no date of the first payment was found that some companies have and others not; "
            "put its column in the draft"
        )
    for role, guess in (
        ("signed_up", companies.signed_up),
        ("ended", companies.ended),
        ("value", companies.value),
    ):
        if guess is None:
            notes.append(f"{role}: no such column was found; null means that it is not recorded")
    notes += companies.notes
    if usage is None:
        notes.append("usage: no table with several rows a company, a date and counts was found")
    else:
        notes += usage.notes
        if not usage.modules:
            notes.append("usage.modules: no column of counts was found; put one in the draft")
    dropped = len(companies.dropped) + (len(usage.dropped) if usage else 0)
    if dropped:
        notes.append(f"{dropped} {'column' if dropped == 1 else 'columns'} left out: the draft says why")
    return notes
