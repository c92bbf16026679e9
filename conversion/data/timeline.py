"""Weeks, what is known when, and labels: the one place that defines time.

A usage row stamped Monday *M* counts the week [*M*, *M* + 7 days) and is known at *M* + 7 days. ``as_of`` is
a Monday 00:00. A prospect at ``as_of`` signed up before it, and has not converted before it or has ended its
subscription before it. Its label is 1 if its first conversion falls in [``as_of``, ``as_of`` + horizon), and
is mature once ``as_of`` + horizon has passed. Where sign-up days or ends are not recorded, every company was
always there, and a company that converts pays from then on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.data_contract import Contract

Bools = NDArray[np.bool_]
Days = NDArray[Any]
WEEK: Final = pd.Timedelta(days=7)
FIRST_MONDAY: Final = pd.Timestamp("1970-01-05")
"""The Monday of week 0: the epoch, 1970-01-01, was a Thursday."""


def week_number(weeks: pd.DatetimeIndex | pd.Series) -> np.ndarray:
    """Return the weeks since Monday 1970-01-05; a day belongs to the week that it lies in.

    Returns
    -------
    numpy.ndarray of int64
    """
    days = np.asarray(weeks, dtype="datetime64[D]") - FIRST_MONDAY.to_datetime64().astype("datetime64[D]")
    return np.asarray(days.astype(np.int64) // 7)


def on_mondays(usage: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return usage rows with weeks that begin on Mondays.

    A week from Sunday to Saturday moves to the Monday that follows its Sunday. It then counts as known a day
    after it is over, never before.
    """
    if contract.usage.week_starts == "monday":
        return usage
    return usage.assign(**{contract.usage.time: usage[contract.usage.time] + pd.Timedelta(days=1)})


def known_at(when: pd.Series, as_of: pd.Timestamp) -> pd.Series:
    """Return which usage rows (by the first day of their week) are known at ``as_of``: the week is over."""
    return when + WEEK <= as_of


def prospects_at(companies: pd.DataFrame, as_of: pd.Timestamp, contract: Contract) -> pd.Series:
    """Return which companies are prospects at ``as_of``.

    Parameters
    ----------
    companies
        Has the contract's days: of conversion, and where recorded, of sign-up and end; NaT where missing.
        A company without a sign-up day was always there.
    """
    signed_up, converted, ended = _days(companies, contract)
    prospect = _prospect(signed_up, converted, ended, as_of.to_datetime64())
    return pd.Series(prospect, index=companies.index)


def as_of_view(companies: pd.DataFrame, as_of: pd.Timestamp, contract: Contract) -> pd.DataFrame:
    """Return the companies as an export taken at ``as_of`` would show them.

    Parameters
    ----------
    companies
        As `prospects_at` reads them, with the conversion's value where the contract has one.

    Returns
    -------
    pandas.DataFrame
        A copy without companies that sign up at ``as_of`` or later, and without later conversions, their
        values, and later ends.
    """
    names = contract.companies
    if names.signed_up is not None:
        companies = companies[~(companies[names.signed_up] >= as_of)]
    known = companies[names.converted] < as_of
    seen = {name: companies[name].where(known) for name in (names.converted, names.value) if name is not None}
    if names.ended is not None:
        seen[names.ended] = companies[names.ended].where(companies[names.ended] < as_of)
    return companies.assign(**seen)


def labels(
    companies: pd.DataFrame, as_ofs: pd.DatetimeIndex, horizon: pd.Timedelta, contract: Contract
) -> np.ndarray:
    """Compute the label of each (company, ``as_of``).

    Only first conversions are recorded. So a prospect whose subscription has ended has the label 0.

    Parameters
    ----------
    companies
        As `prospects_at` reads them, with ``conversion_valid``: False where the conversion was quarantined.
        Its label is then unknown, neither 1 nor 0.
    as_ofs
        Monday 00:00s.
    horizon
        Time after ``as_of`` in which a conversion counts.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs)
        1 or 0 for prospects; NaN where the company is no prospect, or where a quarantined conversion
        falls in the horizon.
    """
    signed_up, converted, ended = (days[:, None] for days in _days(companies, contract))
    starts: Days = as_ofs.to_numpy(dtype="datetime64[ns]")[None, :]
    converts = (converted >= starts) & (converted < starts + horizon.to_timedelta64())
    label = converts.astype(np.float32)
    label[~_prospect(signed_up, converted, ended, starts)] = np.nan
    label[converts & ~companies["conversion_valid"].to_numpy(dtype=np.bool_)[:, None]] = np.nan
    return label


def _days(companies: pd.DataFrame, contract: Contract) -> tuple[Days, Days, Days]:
    """Return the days of sign-up, conversion and end; NaT where they are missing or not recorded."""
    names = contract.companies
    never = np.full(len(companies), np.datetime64("NaT"), dtype="datetime64[ns]")
    signed_up, converted, ended = (
        never if name is None else companies[name].to_numpy(dtype="datetime64[ns]")
        for name in (names.signed_up, names.converted, names.ended)
    )
    return signed_up, converted, ended


def _prospect(signed_up: Days, converted: Days, ended: Days, as_of: Days | np.datetime64) -> Bools:
    # Comparisons with NaT are False: no sign-up day is not later, no conversion is not earlier.
    prospect: Bools = ~(signed_up >= as_of) & (~(converted < as_of) | (ended < as_of))
    return prospect


def mature_weeks(
    first_week: pd.Timestamp, as_of: pd.Timestamp, horizon: pd.Timedelta, spacing_weeks: int
) -> pd.DatetimeIndex:
    """Return the snapshot weeks whose labels are mature at ``as_of``.

    The weeks lie on one absolute grid (every ``spacing_weeks`` since 1970), so moving ``as_of`` adds or
    removes weeks at the end but never shifts the others.

    Parameters
    ----------
    first_week
        First usage week of the export; the first snapshot is when it is known.
    as_of
        When the labels must be mature.

    Returns
    -------
    pandas.DatetimeIndex
        Increasing Mondays ``w`` with ``first_week + 7 days <= w <= as_of - horizon``.
    """
    weeks = pd.date_range(first_week + WEEK, as_of - horizon, freq="W-MON", unit="ns")
    return pd.DatetimeIndex(weeks[week_number(weeks) % spacing_weeks == 0])


def cutoff_weeks(
    first_cutoff: pd.Timestamp, as_of: pd.Timestamp, horizon: pd.Timedelta, spacing_weeks: int
) -> pd.DatetimeIndex:
    """Return the backtest's cutoffs: every ``spacing_weeks`` from the first one, while labels are mature."""
    return pd.date_range(first_cutoff, as_of - horizon, freq=spacing_weeks * WEEK, unit="ns")
