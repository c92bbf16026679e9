"""The columns of the lead list and of the files beside it."""

from __future__ import annotations

from typing import Final

from conversion.config.data_contract import Contract
from conversion.leads.reasons import REASONS

REASON_COLUMNS: Final = tuple(f"reason_{place}" for place in range(1, REASONS + 1))
FACT_COLUMNS: Final = tuple(f"fact_{place}" for place in range(1, REASONS + 1))
"""Columns of the keys of the facts that the reasons state."""
BASE: Final = "base"
"""The column of the log-odds that the contributions of the facts are added to."""


def lead_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns of the list: the score, where it comes from, the company, its last week, sentences.

    What the contract has no columns for is left out: the expected MRR, the users of the last active week.
    """
    return (
        "rank",
        "id",
        "probability",
        "tier",
        *(() if contract.companies.value is None else ("expected_mrr",)),
        "probability_before",
        "rank_before",
        "fit",
        "activity",
        *company_columns(contract),
        *contract.group_columns,
        *activity_columns(contract),
        *REASON_COLUMNS,
        "caution",
        "evidence",
    )


def company_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns that show who a company is, as the export has them."""
    return (*contract.companies.shown, *contract.companies.attributes)


def activity_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns of `conversion.leads.lead_list.last_activity`, but for the id."""
    users = ("last_week_users",) if contract.users else ()
    return ("last_active_week", "last_week_actions", *users)


def converted_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns of the companies of the past that converted: when, and who they were."""
    return ("id", "as_of", "converted", *company_columns(contract))
