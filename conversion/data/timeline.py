"""Weeks, what is known when, and labels: the one place that defines time.

A usage row stamped Monday *M* counts the week [*M*, *M* + 7 days) and is known at *M* + 7 days. ``as_of`` is
a Monday 00:00. A prospect at ``as_of`` has no ``CLOSEDATE`` or one not before ``as_of``; its label is 1 if
``CLOSEDATE`` falls in [``as_of``, ``as_of`` + horizon), and is mature once ``as_of`` + horizon has passed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

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


def known_at(when: pd.Series, as_of: pd.Timestamp) -> pd.Series:
    """Return which usage rows (by ``WHEN_TIMESTAMP``) are known at ``as_of``: their week is over."""
    return when + WEEK <= as_of


def prospects_at(closedate: pd.Series, as_of: pd.Timestamp) -> pd.Series:
    """Return which companies are prospects at ``as_of``."""
    return closedate.isna() | (closedate >= as_of)


def as_of_view(companies: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Return the companies as an export taken at ``as_of`` would show them, without later conversions.

    Parameters
    ----------
    companies
        Has ``CLOSEDATE`` (datetime64, NaT for free-tier companies) and ``MRR`` (float).

    Returns
    -------
    pandas.DataFrame
        A copy where ``CLOSEDATE`` and ``MRR`` are missing for every prospect at ``as_of``.
    """
    converted = ~prospects_at(companies["CLOSEDATE"], as_of)
    return companies.assign(
        CLOSEDATE=companies["CLOSEDATE"].where(converted), MRR=companies["MRR"].where(converted)
    )


def labels(
    closedate: pd.Series, valid: pd.Series, as_ofs: pd.DatetimeIndex, horizon: pd.Timedelta
) -> np.ndarray:
    """Compute the label of each (company, ``as_of``).

    Parameters
    ----------
    closedate
        Day of conversion, NaT for none; length companies.
    valid
        False where the conversion was quarantined: its label is then unknown, neither 1 nor 0.
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
    closed = closedate.to_numpy(dtype="datetime64[ns]")[:, None]
    starts = as_ofs.to_numpy(dtype="datetime64[ns]")[None, :]
    converts = (closed >= starts) & (closed < starts + horizon.to_timedelta64())
    label = converts.astype(np.float32)
    label[closed < starts] = np.nan
    label[converts & ~valid.to_numpy()[:, None]] = np.nan
    return label


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
