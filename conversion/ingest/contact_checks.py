"""How contacts are read, and the checks of contacts and objections."""

from __future__ import annotations

import logging
from typing import Final

import pandas as pd

from conversion.config.contacts_contract import MEANINGS, Outcomes
from conversion.config.data_contract import Contract
from conversion.data.contacts import UNKNOWN
from conversion.data.timeline import WEEK
from conversion.ingest.faults import one_of
from conversion.stats.metric import Metric

log = logging.getLogger(__name__)


def is_known_outcome(values: pd.Series, outcomes: Outcomes) -> pd.Series:
    """Return which words the contract gives a meaning."""
    return values.astype("str").str.strip().str.casefold().isin(list(outcomes.meanings()))


def expected_outcomes(outcomes: Outcomes) -> str:
    """Return what is expected of an outcome, for messages."""
    return one_of([word for meaning in MEANINGS for word in getattr(outcomes, meaning)])


def private_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns that may name a company or a person: their values are in no report."""
    contacts = contract.contacts
    named = () if contacts is None else (contacts.who, contacts.reason)
    return (*contract.companies.shown, *(name for name in named if name is not None))


def check_contacts(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, dict[str, int]]:
    """Count what each outcome means, and the days after the end of the export; warn of these.

    Parameters
    ----------
    tables
        Checked, with ids of today.
    contract
        Names the tables.

    Returns
    -------
    dict
        ``contacts`` and ``objections``, each where the contract has the table.
    """
    last_week = tables[contract.usage.table][contract.usage.time].max()
    return warn_of_contacts(count_contacts(tables, contract, last_week), contract)


def warn_of_contacts(facts: dict[str, dict[str, int]], contract: Contract) -> dict[str, dict[str, int]]:
    """Return the counts of `count_contacts`, after a warning of days after the end of the export."""
    late = facts.get("contact_outcomes", {}).get("after_the_export", 0)
    if late and contract.contacts is not None:
        log.warning(
            "contacts of days after the last week of usage: are these plans, or is the usage old?",
            extra={"table": contract.contacts.table, "rows": late},
        )
    return facts


def count_contacts(
    tables: dict[str, pd.DataFrame], contract: Contract, last_week: pd.Timestamp
) -> dict[str, dict[str, int]]:
    """Count what `check_contacts` reports; ``last_week`` is the last one of usage in the whole export."""
    facts: dict[str, dict[str, int]] = {}
    if (named := contract.contacts) is not None:
        table, meanings = tables[named.table], named.outcomes.meanings()
        found = table["id" if named.outcome == named.id else named.outcome]
        meaning = found.str.strip().str.casefold().map(meanings).fillna(UNKNOWN)
        late = int((table[named.when] >= last_week + WEEK).sum())
        facts["contact_outcomes"] = {
            **{each: int((meaning == each).sum()) for each in MEANINGS},
            "missing": int(found.isna().sum()),
            "after_the_export": late,
        }
    if (objections := contract.objections) is not None:
        ids = tables[objections.table]["id"].drop_duplicates()
        known = pd.concat([tables[name]["id"] for name in contract.companies.tables])
        facts["objecting_companies"] = {
            "ids": len(ids),
            "in_no_company_table": int((~ids.isin(known)).sum()),
        }
    return facts


CONTACT_METRICS: Final = (
    *(
        Metric(f"contact_outcomes.{meaning}", f"contacts whose outcome means {meaning}")
        for meaning in MEANINGS
    ),
    Metric("contact_outcomes.missing", "contacts without an outcome, which count as missed"),
    Metric("contact_outcomes.after_the_export", "contacts of days after the last week of usage"),
    Metric("objecting_companies.ids", "companies that object to being contacted"),
    Metric("objecting_companies.in_no_company_table", "those of them that no company table lists"),
)
"""What `check_contacts` reports."""
