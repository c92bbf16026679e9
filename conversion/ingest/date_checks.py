"""Checks of the order of dates: sign-up, conversion, end and usage."""

from __future__ import annotations

import logging

import pandas as pd

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.timeline import known_at

log = logging.getLogger(__name__)


def check_dates(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, int]:
    """Count the rows of companies whose dates are in the wrong order; warn of them.

    Parameters
    ----------
    tables
        Checked.
    contract
        Names their columns.

    Returns
    -------
    dict
        ``converted_before_signed_up`` and ``ended_before_converted``, each where both days are recorded.
    """
    names = contract.companies
    facts: dict[str, int] = {}
    if names.subscriptions is not None:
        return _check_subscribed_dates(tables, contract, names.subscriptions)
    for first, second, name, meaning in (
        (names.signed_up, names.converted, "converted_before_signed_up", "converted before they signed up"),
        (names.converted, names.ended, "ended_before_converted", "ended before they converted"),
    ):
        if first is None or second is None:
            continue
        dated = [table for table in tables.values() if first in table and second in table]
        rows = sum(int((table[second] < table[first]).sum()) for table in dated)
        facts[name] = _warned(meaning, first, second, rows)
    return facts


def _check_subscribed_dates(
    tables: dict[str, pd.DataFrame], contract: Contract, subscriptions: Subscriptions
) -> dict[str, int]:
    table, start = tables[subscriptions.table], subscriptions.start
    facts: dict[str, int] = {}
    if (signed_up := contract.companies.signed_up) is not None:
        rows = int((table[start] < table["id"].map(_sign_up_days(tables, contract, signed_up))).sum())
        meaning = "converted before they signed up"
        facts["converted_before_signed_up"] = _warned(meaning, signed_up, start, rows)
    if (end := subscriptions.end) is not None:
        rows = int((table[end] < table[start]).sum())
        facts["ended_before_converted"] = _warned("ended before they converted", start, end, rows)
    return facts


def _warned(meaning: str, first: str, second: str, rows: int) -> int:
    """Return the number of rows with two days in the wrong order, after a warning of them."""
    if rows:
        log.warning("some companies %s: compare %s with %s", meaning, second, first, extra={"rows": rows})
    return rows


def _sign_up_days(tables: dict[str, pd.DataFrame], contract: Contract, signed_up: str) -> pd.Series:
    """Return each company's first day of sign-up by id."""
    days = pd.concat([tables[name].set_index("id")[signed_up] for name in contract.companies.tables])
    first: pd.Series = days.groupby(level=0).min()
    return first


def check_usage_before_sign_up(
    tables: dict[str, pd.DataFrame], contract: Contract
) -> dict[str, dict[str, int]]:
    """Count the usage rows of weeks before the one in which their company signed up.

    Cleaning drops them unless the contract keeps them (``usage.before_sign_up``). Many of them are a sign
    that the days of signing up are wrong.

    Returns
    -------
    dict
        ``usage_before_sign_up``: ``rows`` and ``companies`` they name; empty without sign-up dates.
    """
    name = contract.companies.signed_up
    if name is None:
        return {}
    usage = tables[contract.usage.table]
    before = known_at(usage[contract.usage.time], usage["id"].map(_sign_up_days(tables, contract, name)))
    companies = int(usage.loc[before, "id"].nunique())
    return {"usage_before_sign_up": {"rows": int(before.sum()), "companies": companies}}
