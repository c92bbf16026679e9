"""A draft of a data contract, guessed from a folder's tables: a YAML text with a comment at each guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.contract_types import MAX_ATTRIBUTES
from conversion.ingest.draft_columns import Column, describe
from conversion.ingest.draft_companies import CompanyDraft, draft_companies, is_converted
from conversion.ingest.draft_extras import (
    Extras,
    SubscriptionDraft,
    find_histories,
    find_subscriptions,
    notes_on_dates,
)
from conversion.ingest.draft_extras import paying as find_paying
from conversion.ingest.draft_roles import Roles, Table, find_roles
from conversion.ingest.draft_tables import Sample
from conversion.ingest.draft_usage import UsageDraft, draft_usage
from conversion.ingest.draft_yaml import contract_text, one_line
from conversion.runtime.errors import ExportError

MAX_DIGITS: Final = 18
"""Digits that a whole number may have, see `conversion.ingest.parsers`."""


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
        apart from levels of an order, words for yes and no, words for missing, a number's bounds, names of
        events, and words for trials, bots and staff.

    Raises
    ------
    ExportError
        No table has one row a company.
    """
    tables = {
        sample.name: {
            str(name): describe(str(name), sample.columns[name], sample.is_part) for name in sample.columns
        }
        for sample in samples
    }
    roles = find_roles(tables)
    if roles is None:
        raise ExportError(
            f"none of the tables {', '.join(tables)} has one row a company: a column of ids, all different"
        )
    by_name = {sample.name: sample for sample in samples}
    merged = _merged([by_name[name] for name in roles.companies], tables)
    extras, notes = _extras(tables, roles, merged)
    paying = None
    if extras.subscriptions is not None:
        paying = find_paying(
            extras.subscriptions, tables[extras.subscriptions.table], merged[roles.company_id]
        )
    companies = _companies(merged, roles, extras, paying)
    companies.notes += notes
    usage = _usage(tables, roles)
    for name in roles.companies:
        companies.dropped |= by_name[name].dropped
    if usage is not None and roles.usage is not None:
        usage.dropped |= by_name[roles.usage].dropped
    kinds = _converted_in(tables, roles, companies)
    placed = [each.table for each in (extras.subscriptions, *extras.histories) if each is not None]
    roles = replace(roles, others={name: why for name, why in roles.others.items() if name not in placed})
    ids, why_ids, id_notes = _kind_of_ids(tables, roles)
    text = contract_text(roles, kinds, (ids, why_ids), companies, usage, extras)
    notes = [
        *(f"{sample.name}: {note}" for sample in samples for note in sample.notes),
        *id_notes,
        *_notes(roles, companies, usage, extras.subscriptions),
    ]
    return Draft(text, tuple(map(one_line, notes)))


def _extras(tables: dict[str, Table], roles: Roles, merged: Table) -> tuple[Extras, list[str]]:
    """Find subscriptions, if no column of companies is the date of conversions by its name, and histories."""
    ids, notes = merged[roles.company_id], list[str]()
    extras = Extras()
    if not any(is_converted(name, column) for name, column in merged.items()):
        extras.subscriptions = find_subscriptions(tables, roles, ids)
    if extras.subscriptions:
        notes += notes_on_dates(extras.subscriptions, tables[extras.subscriptions.table])
    taken = extras.subscriptions.table if extras.subscriptions else None
    rest = replace(roles, others={name: why for name, why in roles.others.items() if name != taken})
    extras.histories = find_histories(tables, rest, ids, notes)
    return extras, notes


def _companies(merged: Table, roles: Roles, extras: Extras, paying: NDArray[np.bool_] | None) -> CompanyDraft:
    """Guess the columns of companies, but for those that a history has."""
    over_time = extras.attributes()
    others = {name: merged[name] for name in merged if name not in (roles.company_id, *over_time)}
    companies = draft_companies(others, paying)
    for name in [*companies.attributes][MAX_ATTRIBUTES - len(over_time) :]:
        del companies.attributes[name]
        companies.dropped[name] = f"a contract has at most {MAX_ATTRIBUTES} attributes, these come first"
    for name in over_time:
        if name in merged:
            companies.dropped[name] = "its history has it, with the day from which on it is known"
    return companies


def _merged(samples: list[Sample], tables: dict[str, Table]) -> Table:
    """Describe the columns of all company tables, one below the other."""
    if len(samples) == 1:
        return tables[samples[0].name]
    stacked = pd.concat([sample.columns for sample in samples], ignore_index=True)
    is_part = any(sample.is_part for sample in samples)
    return {str(name): describe(str(name), stacked[name], is_part) for name in stacked}


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


def _notes(
    roles: Roles, companies: CompanyDraft, usage: UsageDraft | None, subscriptions: SubscriptionDraft | None
) -> list[str]:
    notes = [f"table {name}: not used: {why}" for name, why in roles.others.items()]
    if companies.converted is None and subscriptions is None:
        notes.append(
            "converted: no date of the first payment was found that some companies have and others not; "
            "put its column in the draft"
        )
        if companies.attributes:
            notes.append(
                "companies.attributes: attributes were not checked for what tells who has converted, as no "
                "conversion was found: delete those that are known or change once a "
                "company pays, such as its plan"
            )
    paid: tuple[tuple[str, object], ...] = (("ended", companies.ended), ("value", companies.value))
    if subscriptions is not None:
        paid = (("subscriptions.end", subscriptions.end), ("subscriptions.value", subscriptions.value))
    for role, guess in (("signed_up", companies.signed_up), *paid):
        if guess is None:
            is_log = role == "subscriptions.end" and subscriptions is not None and subscriptions.is_log
            meaning = (
                "until: next_row lets a company's next row end one"
                if is_log
                else "null means that it is not recorded"
            )
            notes.append(f"{role}: no such column was found; {meaning}")
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
