"""Checks of the order of dates: sign-up, conversion, end and usage."""

from __future__ import annotations

import logging

import pandas as pd

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.timeline import WEEK

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
        facts[name] = sum(int((table[second] < table[first]).sum()) for table in dated)
        _warn_of_dates(meaning, first, second, facts[name])
    return facts


def _check_subscribed_dates(
    tables: dict[str, pd.DataFrame], contract: Contract, subscriptions: Subscriptions
) -> dict[str, int]:
    table, start = tables[subscriptions.table], subscriptions.start
    facts: dict[str, int] = {}
    if (signed_up := contract.companies.signed_up) is not None:
        days = pd.concat([tables[name].set_index("id")[signed_up] for name in contract.companies.tables])
        before = table[start] < table["id"].map(days.groupby(level=0).min())
        facts["converted_before_signed_up"] = int(before.sum())
        _warn_of_dates("converted before they signed up", signed_up, start, facts[[*facts][-1]])
    if (end := subscriptions.end) is not None:
        facts["ended_before_converted"] = int((table[end] < table[start]).sum())
        _warn_of_dates("ended before they converted", start, end, facts[[*facts][-1]])
    return facts


def _warn_of_dates(meaning: str, first: str, second: str, rows: int) -> None:
    if rows:
        log.warning("some companies %s: compare %s with %s", meaning, second, first, extra={"rows": rows})


def check_usage_before_sign_up(
    tables: dict[str, pd.DataFrame], contract: Contract
) -> dict[str, dict[str, int]]:
    """Count the usage rows of weeks before the one in which their company signed up.

    They are kept: people may try a product before their company has an account, and dates of signing up may
    be wrong. Many of them are a sign of the latter.

    Returns
    -------
    dict
        ``usage_before_sign_up``: ``rows`` and ``companies`` they name; empty without sign-up dates.
    """
    name = contract.companies.signed_up
    if name is None:
        return {}
    days = pd.concat([tables[each].set_index("id")[name].dropna() for each in contract.companies.tables])
    usage = tables[contract.usage.table]
    before = usage[contract.usage.time] + WEEK <= usage["id"].map(days.groupby(level=0).min())
    companies = int(usage.loc[before, "id"].nunique())
    return {"usage_before_sign_up": {"rows": int(before.sum()), "companies": companies}}
