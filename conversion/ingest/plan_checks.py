"""A check of subscriptions without ends, which may be a log of changes of plan."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.subscriptions import is_trial
from conversion.ingest.faults import row_key

log = logging.getLogger(__name__)


def check_plans(tables: Mapping[str, pd.DataFrame], contract: Contract) -> None:
    """Warn of companies with a row that nobody pays for behind one that is paid, where nothing ends a row.

    Parameters
    ----------
    tables
        Checked.
    contract
        Names their columns.
    """
    warn_of_plans(count_plans(tables, contract), contract)


def count_plans(tables: Mapping[str, pd.DataFrame], contract: Contract) -> dict[str, Any]:
    """Count what `check_plans` warns of.

    Returns
    -------
    dict
        ``companies``, and of these tables one of the ``examples``; empty where rows have an end, or none are
        trials.
    """
    named = contract.companies.subscriptions
    if named is None or not named.trials or named.end is not None or named.until != "end":
        return {}
    later = _trials_after_paid(tables[named.table], named)
    if later.empty:
        return {"companies": 0, "examples": {}}
    lowest = min(later.index, key=str)
    example = f"{row_key(named.id, lowest)} has a row under trials of {later[lowest]:%Y-%m-%d}"
    return {"companies": len(later), "examples": {example: 1}}


def _trials_after_paid(table: pd.DataFrame, named: Subscriptions) -> pd.Series:
    """Return by id the day of the first trial behind the first paid row, of the companies that have one."""
    trial = is_trial(table, named)
    first_paid = table[~trial].groupby("id")[named.start].min()
    trials = table[trial]
    later = trials[trials[named.start] > trials["id"].map(first_paid)]
    days: pd.Series = later.groupby("id")[named.start].min()
    return days


def warn_of_plans(counts: Mapping[str, Any], contract: Contract) -> None:
    """Warn of the counts of `count_plans`, if there are any."""
    named = contract.companies.subscriptions
    if named is None or not counts.get("companies"):
        return
    log.warning(
        "companies that paid have a later row under trials, and nothing ends what they pay for: they are "
        "never prospects again; if %s is a log of changes of plan, set until: next_row under subscriptions, "
        "else name the column of ends as end",
        named.table,
        extra={"companies": counts["companies"], "example": min(counts["examples"])},
    )
