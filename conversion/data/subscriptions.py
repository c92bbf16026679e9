"""Paid periods, of a table with any number of subscriptions a company.

A period is the time that one or several subscriptions cover without a gap of more than a day; its start is a
conversion. A change of plan is none: the next subscription starts before the last one ends, or the day after.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract, Subscriptions
from conversion.data.rules import first_rule
from conversion.data.timeline import RENEWAL

SUBSCRIPTION_RULES: Final = {
    "starts_after_as_of": "it had not started before as_of",
    "orphan_subscription": "the id is in no company table",
    "trial": "the contract says that such a row is a trial: no conversion",
    "ended_before_started": "the end is before the start: kept without the end",
    "value_not_positive": "the value is 0 or less: no positive label where a paid period starts with it",
}
PERIODS: Final = ("id", "start", "end", "value", "conversion_valid")
"""Columns of paid periods."""
MADE_TYPES: Final = {"converted": "datetime64[us]", "ended": "datetime64[us]", "value": "float64"}
"""Types of the columns of companies that are made of subscriptions."""
_OPEN: Final = pd.Timestamp("9999-12-31")


def subscription_rules(contract: Contract) -> tuple[str, ...]:
    """List the rules of `SUBSCRIPTION_RULES` whose columns the contract has; none without subscriptions."""
    named = contract.companies.subscriptions
    if named is None:
        return ()
    needed = {"trial": named.trials, "ended_before_started": named.end, "value_not_positive": named.value}
    return tuple(rule for rule in SUBSCRIPTION_RULES if needed.get(rule, rule))


def clean_subscriptions(
    table: pd.DataFrame, ids: pd.Series, as_of: pd.Timestamp, named: Subscriptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Merge the paid subscriptions that are known at ``as_of`` into paid periods.

    Parameters
    ----------
    table
        The typed table: ``id``, and the columns that ``named`` names.
    ids
        The companies' ids.
    as_of
        The moment; a start or end from then on is not known.
    named
        The contract's section on subscriptions.

    Returns
    -------
    periods : pandas.DataFrame
        Sorted by ``id`` and ``start``: ``id``, ``start``, ``end`` (NaT if it has not ended), ``value`` of the
        subscription that it starts with (of several on the first day the largest; NaN if not known), and
        ``conversion_valid``: False if that value is 0 or less.
    quarantine : pandas.DataFrame
        Rows that are left out, and rows of which something is not used, with a ``rule`` column.
    """
    broken = {
        "starts_after_as_of": ~(table[named.start] < as_of),
        "orphan_subscription": ~table["id"].isin(ids),
        "trial": is_trial(table, named),
    }
    rule = first_rule(broken, table.index)
    ends = _ends(table, named)
    paid = table[rule.isna()]
    flawed = {}
    if named.end is not None:
        flawed["ended_before_started"] = paid[named.end] < paid[named.start]
    if named.value is not None:
        flawed["value_not_positive"] = paid[named.value] <= 0
    quarantine = pd.concat(
        [
            table.assign(rule=rule)[rule.notna()],
            *(paid[rows].assign(rule=name) for name, rows in flawed.items() if rows.any()),
        ],
        ignore_index=True,
    )
    return merged_periods(_plain(paid, ends[rule.isna()], as_of, named)), quarantine


def is_trial(table: pd.DataFrame, named: Subscriptions) -> pd.Series:
    """Return which rows of a typed table of subscriptions are trials, by the contract."""
    trial = pd.Series(False, index=table.index)
    for column, values in named.trials.items():
        cells = table["id" if column == named.id else column]
        if pd.api.types.is_float_dtype(cells):
            # The values of subscriptions are numbers: 0 is 0.0, and 0.00.
            trial |= cells.isin(pd.to_numeric(pd.Series(values), errors="coerce").dropna())
            continue
        given = cells.astype("str").str.strip().str.casefold()
        trial |= given.isin([value.strip().casefold() for value in values])
    return trial


def _ends(table: pd.DataFrame, named: Subscriptions) -> pd.Series:
    """Return the day that ends each row; NaT where it goes on."""
    start = table[named.start]
    if named.end is not None:
        return table[named.end]
    if named.until == "end":
        return pd.Series(pd.NaT, table.index, start.dtype)
    # Rows of one day are in no order: all of them last until the company's next day with a row.
    days = pd.DataFrame({"id": table["id"], "day": start}).drop_duplicates().sort_values(["id", "day"])
    ends = days.assign(end=days.groupby("id")["day"].shift(-1)).set_index(["id", "day"])["end"]
    rows = pd.MultiIndex.from_arrays([table["id"], start])
    return pd.Series(ends.reindex(rows).array, index=table.index)


def _plain(paid: pd.DataFrame, ends: pd.Series, as_of: pd.Timestamp, named: Subscriptions) -> pd.DataFrame:
    """Return paid subscriptions as ``id``, ``start``, ``end`` and ``value``, ends only where they count."""
    start = paid[named.start]
    end = ends.where((ends < as_of) & (ends >= start))
    value = np.nan if named.value is None else paid[named.value]
    return pd.DataFrame({"id": paid["id"], "start": start, "end": end, "value": value})


def merged_periods(paid: pd.DataFrame) -> pd.DataFrame:
    """Merge what companies paid for into paid periods, as `clean_subscriptions` returns them.

    Parameters
    ----------
    paid
        ``id``, ``start``, ``end`` (NaT: goes on; never before the start) and ``value``, in any order.
    """
    paid = paid.sort_values("value", ascending=False, na_position="last")
    paid = paid.sort_values(["id", "start"], kind="stable", ignore_index=True)
    until = paid["end"].fillna(_OPEN)
    covered = until.groupby(paid["id"]).cummax()
    before = covered.groupby(paid["id"]).shift()
    first = before.isna() | (paid["start"] > before + RENEWAL)
    periods = paid[first].reset_index(drop=True)
    end = covered.groupby(first.cumsum()).max().reset_index(drop=True)
    valid = ~(periods["value"] <= 0)
    periods = periods.assign(end=end.where(end < _OPEN), conversion_valid=valid)
    return periods[list(PERIODS)].astype({"end": paid["start"].dtype, "value": "float64"})


def conversions_of(companies: pd.DataFrame, periods: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return what cleaning makes of paid periods: the first conversion, its value, and the last end.

    Parameters
    ----------
    companies
        Their ``id``.
    periods
        From `merged_periods`.

    Returns
    -------
    pandas.DataFrame
        Beside the companies: the contract's columns ``converted``, and ``ended`` and ``value`` where they are
        recorded; ``ended`` is missing unless the last paid period has ended. ``conversion_valid`` is that of
        the first conversion.
    """
    names = contract.companies
    first = periods.drop_duplicates("id").set_index("id")
    last = periods.drop_duplicates("id", keep="last").set_index("id")
    ids = companies["id"]
    made = {
        names.converted: first["start"].reindex(ids),
        names.ended: last["end"].reindex(ids),
        names.value: first["value"].reindex(ids),
    }
    columns = {name: column.array for name, column in made.items() if name is not None}
    valid = ~ids.isin(first.index[~first["conversion_valid"]])
    return pd.DataFrame(columns, index=companies.index).assign(conversion_valid=valid)
