"""Weeks, what is known when, and labels: the one place that defines time.

A usage row stamped Monday *M* counts the week [*M*, *M* + 7 days) and is known at *M* + 7 days. ``as_of`` is
a Monday 00:00. A company pays in periods: those of a table of subscriptions, else those that its rows in the
company tables name, each from a conversion to its end. A conversion is the start of a period. A prospect at
``as_of`` signed up before it and does not pay then. Its label is 1 if a conversion falls in [``as_of``,
``as_of`` + horizon), and is mature once ``as_of`` + horizon has passed. Where sign-up days or ends are not
recorded, every company was always there, and a company that converts pays from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import Date
from conversion.config.data_contract import Contract
from conversion.stats.numeric import Bools

Days = NDArray[Any]
WEEK: Final = pd.Timedelta(days=7)
FIRST_MONDAY: Final = pd.Timestamp("1970-01-05")
"""The Monday of week 0: the epoch, 1970-01-01, was a Thursday."""
RENEWAL: Final = pd.Timedelta(days=1)
"""A subscription that starts so soon after the end of another one renews it: the company paid throughout."""


def week_number(weeks: pd.DatetimeIndex | pd.Series) -> np.ndarray:
    """Return the weeks since Monday 1970-01-05; a day belongs to the week that it lies in.

    Returns
    -------
    numpy.ndarray of int64
    """
    days = np.asarray(weeks, dtype="datetime64[D]") - FIRST_MONDAY.to_datetime64().astype("datetime64[D]")
    return np.asarray(days.astype(np.int64) // 7)


def days_before_monday(contract: Contract) -> int:
    """Return how many days before the Monday by which the project dates it a week of usage starts."""
    return 1 if contract.usage.week_starts == "sunday" else 0


def on_mondays(usage: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return usage rows with weeks that begin on Mondays.

    A week from Sunday to Saturday moves to the Monday that follows its Sunday. It then counts as known a day
    after it is over, never before.
    """
    if contract.usage.week_starts == "monday":
        return usage
    early = pd.Timedelta(days=days_before_monday(contract))
    return usage.assign(**{contract.usage.time: usage[contract.usage.time] + early})


def known_at(when: pd.Series, as_of: pd.Timestamp | pd.Series) -> pd.Series:
    """Return which usage rows (by the first day of their week) are known at ``as_of``: the week is over.

    ``as_of`` is one moment for all rows, or one for each; at a missing one nothing is known.
    """
    return when + WEEK <= as_of


def prospects_at(
    companies: pd.DataFrame, as_of: pd.Timestamp, contract: Contract, periods: pd.DataFrame | None = None
) -> pd.Series:
    """Return which companies are prospects at ``as_of``.

    Parameters
    ----------
    companies
        Has the contract's days: of conversion, and where recorded, of sign-up and end; NaT where missing.
        A company without a sign-up day was always there.
    as_of
        The moment.
    contract
        Names the columns. A company is a prospect again a day later after an end: what starts on the next day
        renews the last period, and cannot be known at that day's start.
    periods
        The paid periods, as `conversion.data.subscriptions.merged_periods` returns them; None: those of the
        companies' own columns.
    """
    prospect = prospects_by_week(companies, pd.DatetimeIndex([as_of]), contract, periods)
    return pd.Series(prospect[:, 0], index=companies.index)


def prospects_by_week(
    companies: pd.DataFrame,
    as_ofs: pd.DatetimeIndex,
    contract: Contract,
    periods: pd.DataFrame | None = None,
) -> Bools:
    """Return which companies are prospects at each ``as_of``, shape (companies, as_ofs).

    The other parameters are those of `prospects_at`.
    """
    days: Days = as_ofs.to_numpy(dtype="datetime64[ns]")
    return _prospects(companies, days, contract, [*_spans(companies, contract, periods)])


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
        values, later ends, and later days in attributes.
    """
    names = contract.companies
    if names.signed_up is not None:
        companies = companies[~(companies[names.signed_up] >= as_of)]
    known = companies[names.converted] < as_of
    seen = {name: companies[name].where(known) for name in (names.converted, names.value) if name is not None}
    days = [
        name
        for name in (names.ended, *contract.attributes_of(Date))
        if name is not None and name in companies
    ]
    seen |= {name: companies[name].where(companies[name] < as_of) for name in days}
    return companies.assign(**seen)


def labels(
    companies: pd.DataFrame,
    as_ofs: pd.DatetimeIndex,
    horizon: pd.Timedelta,
    contract: Contract,
    periods: pd.DataFrame | None = None,
) -> np.ndarray:
    """Compute the label of each (company, ``as_of``).

    The companies' own columns name one conversion. So without ``periods`` a prospect whose period has ended
    has the label 0.

    Parameters
    ----------
    companies
        As `prospects_at` reads them.
    as_ofs
        Monday 00:00s.
    horizon
        Time after ``as_of`` in which a conversion counts.
    contract
        Names the columns.
    periods
        As `prospects_at` reads them. They, or without them the companies, have ``conversion_valid``: False
        where the conversion was quarantined. It makes no label 1, nor 0.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs)
        1 or 0 for prospects; NaN where the company is no prospect, or where of the conversions in the horizon
        all were quarantined.
    """
    spans = [*_spans(companies, contract, periods)]
    starts: Days = as_ofs.to_numpy(dtype="datetime64[ns]")
    label = np.zeros((len(companies), len(starts)), dtype=np.float32)
    for span in spans:
        converts = _converts(span, starts, horizon)
        known = np.where(span.valid()[:, None], np.float32(1.0), np.float32(np.nan))
        # A conversion that counts is not undone by one that does not.
        label[span.rows] = np.where(converts & (label[span.rows] != 1), known, label[span.rows])
    label[~_prospects(companies, starts, contract, spans)] = np.nan
    return label


def conversion_values(
    companies: pd.DataFrame,
    as_ofs: pd.DatetimeIndex,
    horizon: pd.Timedelta,
    contract: Contract,
    periods: pd.DataFrame | None = None,
) -> np.ndarray:
    """Return the value of the first conversion that each label of `labels` counts.

    Returns
    -------
    numpy.ndarray of float64, shape (companies, as_ofs)
        0 where no conversion counts, where its value is not known, or where the contract has no values.
    """
    starts: Days = as_ofs.to_numpy(dtype="datetime64[ns]")
    values = np.zeros((len(companies), len(starts)))
    for span in reversed([*_spans(companies, contract, periods)]):
        counts = _converts(span, starts, horizon) & span.valid()[:, None]
        value = span.periods["value"].to_numpy(dtype=np.float64, na_value=0.0)
        values[span.rows] = np.where(counts, value[:, None], values[span.rows])
    return values


class _Span(NamedTuple):
    """The first, or second, ... paid period of each company that has so many."""

    rows: NDArray[np.int64]  # positions of the companies, each once
    periods: pd.DataFrame  # one of each

    def days(self, column: str) -> Days:
        """Return the days of a column, shape (periods, 1); NaT where there is none."""
        return self.periods[column].to_numpy(dtype="datetime64[ns]")[:, None]

    def valid(self) -> Bools:
        return self.periods["conversion_valid"].to_numpy(dtype=np.bool_)


def _spans(companies: pd.DataFrame, contract: Contract, periods: pd.DataFrame | None) -> Iterator[_Span]:
    if periods is None:
        own = _own_periods(companies, contract)
        yield _Span(own["row"].to_numpy(), own)
        return
    rows = pd.Index(companies["id"]).get_indexer(pd.Index(periods["id"]))
    turn = periods.groupby("id").cumcount().to_numpy()
    for number in range(turn.max(initial=-1) + 1):
        some = (turn == number) & (rows >= 0)
        yield _Span(rows[some], periods[some])


def _own_periods(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the companies' own periods with their positions, ``row``; the columns that there are."""
    names = contract.companies
    start = companies[names.converted]
    never = pd.Series(pd.NaT, companies.index, start.dtype)
    columns = {
        "row": np.arange(len(companies)),
        "start": start,
        "end": never if names.ended is None else companies[names.ended],
        "value": companies.get(names.value, np.nan),
    }
    if "conversion_valid" in companies:
        columns["conversion_valid"] = companies["conversion_valid"]
    return pd.DataFrame(columns)[start.notna()]


def _prospects(companies: pd.DataFrame, as_ofs: Days, contract: Contract, spans: list[_Span]) -> Bools:
    """Return who is a prospect when; shape (companies, as_ofs)."""
    names = contract.companies
    prospect: Bools = np.ones((len(companies), len(as_ofs)), dtype=np.bool_)
    # Comparisons with NaT are False: no sign-up day is not later, no end is not earlier.
    if names.signed_up is not None:
        signed_up = companies[names.signed_up].to_numpy(dtype="datetime64[ns]")
        prospect = ~(signed_up[:, None] >= as_ofs)
    for span in spans:
        over = span.days("end") + RENEWAL.to_timedelta64() < as_ofs
        prospect[span.rows] &= ~((span.days("start") < as_ofs) & ~over)
    return prospect


def _converts(span: _Span, as_ofs: Days, horizon: pd.Timedelta) -> Bools:
    start = span.days("start")
    converts: Bools = (start >= as_ofs) & (start < as_ofs + horizon.to_timedelta64())
    return converts


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
