"""Checks of the order of dates: sign-up, conversion, end and usage."""

from __future__ import annotations

import logging
from typing import Final

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
    return warn_of_dates(count_dates(tables, contract), contract)


MEANINGS: Final = {
    "converted_before_signed_up": "converted before they signed up",
    "ended_before_converted": "ended before they converted",
}
"""Wrong orders of two days of a company."""


def _days(contract: Contract) -> dict[str, tuple[str, str]]:
    """Name the columns of both days of each of `MEANINGS`, the one that should be earlier first."""
    names = contract.companies
    own = names if names.subscriptions is None else names.subscriptions
    start, end = (own.start, own.end) if isinstance(own, Subscriptions) else (own.converted, own.ended)
    days = dict(zip(MEANINGS, ((names.signed_up, start), (start, end)), strict=True))
    return {
        name: (first, second)
        for name, (first, second) in days.items()
        if first is not None and second is not None
    }


def count_dates(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, int]:
    """Count the rows of each of `MEANINGS`, where both days are recorded."""
    subscriptions, counts = contract.companies.subscriptions, {}
    for name, (first, second) in _days(contract).items():
        if subscriptions is None:
            dated = [table for table in tables.values() if first in table and second in table]
            pairs = [(table[first], table[second]) for table in dated]
        else:
            table = tables[subscriptions.table]
            signed_up = name == "converted_before_signed_up"
            early = table["id"].map(_sign_up_days(tables, contract, first)) if signed_up else table[first]
            pairs = [(early, table[second])]
        counts[name] = sum(int((late < early).sum()) for early, late in pairs)
    return counts


def warn_of_dates(counts: dict[str, int], contract: Contract) -> dict[str, int]:
    """Return the counts of `count_dates`, after a warning of each that is not 0."""
    days = _days(contract)
    for name, rows in counts.items():
        if rows:
            first, second = days[name]
            what = MEANINGS[name]
            log.warning("some companies %s: compare %s with %s", what, second, first, extra={"rows": rows})
    return counts


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
