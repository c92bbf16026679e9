"""Checks of the order of dates: sign-up, conversion, end and usage."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.subscriptions import is_trial
from conversion.data.timeline import known_at
from conversion.ingest.faults import Fault, row_key
from conversion.ingest.folders import Place, shown_file
from conversion.runtime.errors import ExportError

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
            # A trial is no conversion.
            table = table[~is_trial(table, subscriptions)]
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


MOST_BEFORE_SIGN_UP: Final = 0.3
"""Share of usage rows before sign-up above which the days must be wrong: demonstrations leave a few."""
LEAST_COMPANIES: Final = 20
"""Fewer companies may have used it before they signed up by chance."""
USE_OTHER_DAYS: Final = (
    "correct the days of {column}, or leave companies.signed_up out of the contract; if the days are right "
    "and such usage is the company's, set usage.before_sign_up to keep"
)


def check_usage_before_sign_up(
    tables: dict[str, pd.DataFrame], contract: Contract, folder: Place
) -> dict[str, dict[str, int]]:
    """Count the usage rows of weeks before the one in which their company signed up; refuse too many.

    Cleaning drops them unless the contract keeps them (``usage.before_sign_up``); then they are only counted.
    Else they are warned of.

    Parameters
    ----------
    tables
        Checked.
    contract
        Names their columns.
    folder
        Of the export.

    Returns
    -------
    dict
        ``usage_before_sign_up``: ``rows`` and ``companies`` they name; empty without sign-up dates.

    Raises
    ------
    ExportError
        They are of `LEAST_COMPANIES` and more than `MOST_BEFORE_SIGN_UP` of all rows: the days are wrong.
    """
    return warn_of_usage_before_sign_up(count_usage_before_sign_up(tables, contract), contract, folder)


def count_usage_before_sign_up(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, Any]:
    """Count what `check_usage_before_sign_up` looks for.

    Returns
    -------
    dict
        ``rows``, ``companies``, the usage rows ``of`` them all, and of these tables one of the ``examples``;
        empty without sign-up dates.
    """
    name = contract.companies.signed_up
    if name is None:
        return {}
    usage, time = tables[contract.usage.table], contract.usage.time
    signed_up = _sign_up_days(tables, contract, name)
    before = usage[known_at(usage[time], usage["id"].map(signed_up))]
    counts = {"rows": len(before), "companies": int(before["id"].nunique()), "of": len(usage)}
    return counts | {"examples": _example_before_sign_up(before, signed_up, contract)}


def _example_before_sign_up(before: pd.DataFrame, signed_up: pd.Series, contract: Contract) -> dict[str, int]:
    """Describe the earliest row of one company; the same company however many others are in the tables."""
    if before.empty:
        return {}
    by_text = before["id"].astype(str)
    rows = before[by_text == by_text.min()]
    lowest, week = rows["id"].iloc[0], rows[contract.usage.time].min()
    key = row_key(contract.companies.id, lowest)
    return {f"{key} signed up {signed_up[lowest]:%Y-%m-%d}, used in the week of {week:%Y-%m-%d}": 1}


def warn_of_usage_before_sign_up(
    counts: Mapping[str, Any], contract: Contract, folder: Place
) -> dict[str, dict[str, int]]:
    """Return what `check_usage_before_sign_up` reports of the counts, after its warning or refusal."""
    column = contract.companies.signed_up
    if column is None:
        return {}
    rows, companies, of = (counts[name] for name in ("rows", "companies", "of"))
    if rows and contract.usage.before_sign_up == "drop":
        example, remedy = min(counts["examples"]), USE_OTHER_DAYS.format(column=column)
        if rows > MOST_BEFORE_SIGN_UP * of and companies >= LEAST_COMPANIES:
            found = f"{rows} of {of} rows of {contract.usage.table}, of {companies} companies: {example}"
            tables = " and ".join(shown_file(folder, name) for name in contract.companies.tables)
            expected = f"at most a share of {MOST_BEFORE_SIGN_UP:g} of the usage in weeks before the sign-up"
            raise ExportError(str(Fault(tables, column, expected, remedy, found=(found,))))
        log.warning(
            "usage of weeks before its company signed up is left out: %s",
            remedy,
            extra={"rows": rows, "of": of, "companies": companies, "example": example},
        )
    return {"usage_before_sign_up": {"rows": rows, "companies": companies}}
