"""Contacts with companies, known from the day after, and the companies that object to being contacted."""

from __future__ import annotations

from typing import Final

import pandas as pd

from conversion.config.contacts_contract import TEAM_CONTACTS, Contacts
from conversion.config.data_contract import Contract
from conversion.data.rules import first_rule
from conversion.data.timeline import FIRST_MONDAY, WEEK, week_number

CONTACT_COLUMNS: Final = ("id", "when", "who", "channel", "outcome", "reason", "meaning")
"""Columns of clean contacts."""
CONTACT_RULES: Final = {
    "after_as_of": "the day was not over at as_of",
    "orphan_contact": "the id is in no company table",
    "duplicate_contact": "another row says the same of the same company and day",
}
OBJECTION_RULES: Final = {
    "orphan_objection": "the id is in no company table",
    "duplicate_objection": "another row has the same id",
}
UNKNOWN: Final = "missed"
"""What a contact without an outcome means."""


def clean_contacts(
    table: pd.DataFrame | None, ids: pd.Series, as_of: pd.Timestamp, named: Contacts | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the contacts that are known at ``as_of`` with companies of the export.

    Parameters
    ----------
    table
        The typed table: ``id`` of today, and the columns that ``named`` names; None without one.
    ids
        The companies' ids.
    as_of
        The moment: a contact is known if its day is before it.
    named
        The contract's section on contacts.

    Returns
    -------
    contacts : pandas.DataFrame
        `CONTACT_COLUMNS`, sorted: the words as exported, and what the outcome means.
    quarantine : pandas.DataFrame
        The other rows as exported, with a ``rule`` column.
    """
    if table is None or named is None:
        return _renamed(pd.DataFrame({"id": ids[:0]}), None), pd.DataFrame({"id": ids[:0]}).assign(rule="")
    contacts = _renamed(table, named)
    broken = {
        "after_as_of": ~(contacts["when"] < as_of),
        "orphan_contact": ~contacts["id"].isin(ids),
    }
    rule = first_rule(broken, contacts.index)
    rule = rule.mask(rule.isna() & contacts.assign(rule=rule).duplicated(), "duplicate_contact")
    kept = contacts[rule.isna()].sort_values([*CONTACT_COLUMNS], ignore_index=True)
    left_out = table.assign(rule=rule)[rule.notna()]
    return kept, left_out.sort_values([*left_out.columns], ignore_index=True)


def _renamed(table: pd.DataFrame, named: Contacts | None) -> pd.DataFrame:
    """Return typed contacts with the columns of clean ones; those not recorded are missing."""
    columns = {"id": table["id"]}
    for role in CONTACT_COLUMNS[1:-1]:
        column = None if named is None else getattr(named, role)
        dtype = "datetime64[us]" if role == "when" else "str"
        columns[role] = (
            pd.Series(pd.NaT if role == "when" else pd.NA, table.index, dtype)
            if column is None
            else table["id" if named is not None and column == named.id else column]
        )
    contacts = pd.DataFrame(columns)
    meanings = {} if named is None else named.outcomes.meanings()
    words = contacts["outcome"].str.strip().str.casefold()
    return contacts.assign(meaning=words.map(meanings).astype("str").fillna(UNKNOWN))


def clean_objections(table: pd.DataFrame | None, ids: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return each company that objects once, sorted, and the other rows with a ``rule`` column.

    Objections have no date: they hold at every moment, also before they were made.
    """
    given = pd.DataFrame({"id": ids[:0]}) if table is None else table[["id"]]
    rule = first_rule(
        {"orphan_objection": ~given["id"].isin(ids), "duplicate_objection": given["id"].duplicated()},
        given.index,
    )
    kept = given[rule.isna()].sort_values("id", ignore_index=True)
    left_out = given.assign(rule=rule)[rule.notna()]
    return kept, left_out.sort_values(["id", "rule"], ignore_index=True)


def with_team_contacts(
    usage: pd.DataFrame,
    contacts: pd.DataFrame,
    signed_up: pd.Series | None,
    contract: Contract,
    first_week: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Add the contacts of each company and week to clean usage, where the contract learns from them.

    A week with contacts and no row of usage gets one, in which all else is 0 or missing.

    Parameters
    ----------
    usage
        Clean, of the export's own table.
    contacts
        Clean.
    signed_up
        Days of sign-up by id; contacts of weeks that were over by then are not counted.
    contract
        Names the columns.
    first_week
        The first week of the export's clean usage; None: of ``usage``.
    """
    if not contract.learns_from_contacts:
        return usage
    time = contract.usage.time
    monday = (FIRST_MONDAY + pd.to_timedelta(7 * week_number(contacts["when"]), unit="D")).astype(
        usage[time].dtype
    )
    weeks = pd.DataFrame({"id": contacts["id"].array, time: monday})
    # Contacts from before the export's first week of usage have no week to be counted in.
    known = weeks[time] >= (usage[time].min() if first_week is None else first_week)
    if signed_up is not None:
        known &= ~(weeks[time] + WEEK <= weeks["id"].map(signed_up))
    counted = weeks[known].groupby(["id", time]).size().astype("float64").rename(TEAM_CONTACTS)
    joined = usage.merge(counted.reset_index(), on=["id", time], how="outer", validate="one_to_one")
    filled = joined.fillna(dict.fromkeys((*contract.counts, TEAM_CONTACTS), 0))
    order = [*usage.columns, TEAM_CONTACTS]
    types = usage.dtypes.to_dict() | {TEAM_CONTACTS: "float64"}
    return filled[order].astype(types).sort_values(["id", time], ignore_index=True)
