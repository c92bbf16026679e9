"""The weeks that an export covers, without strays and without an incomplete last week.

A wrong date puts a usage row years away from the others, and an export taken in the middle of a week has half
of that week. Both would move ``as_of``, the moment of the list. The decisions here depend on the rows alone,
and with a given ``as_of`` only on the rows that were known then, so time travel stays exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.config.params import Clean
from conversion.data.timeline import WEEK, known_at
from conversion.data.usage_weeks import logs_by_week, usage_weeks
from conversion.runtime.errors import ExportError
from conversion.stats.portable_math import exp


class Volume(NamedTuple):
    """How much usage the last week has, and the median of the weeks before it."""

    last: float
    usual: float


class EarlyEnd(NamedTuple):
    """A last week that ends early: the last day (None: none at all) of ``usage`` or of ``sign-ups`` in it."""

    of: str
    last_day: pd.Timestamp | None


class Shown(NamedTuple):
    """A ``day`` of a company that shows that the last week was over, though its ``volume`` looks too low."""

    day: pd.Timestamp
    volume: Volume


class ExportDays(NamedTuple):
    """Days that show when the export was taken, where the contract records them.

    Attributes
    ----------
    signed_up
        Days of sign-up.
    last_days
        By week, the last day with usage, of grain day or event.
    """

    signed_up: pd.Series | None = None
    last_days: Mapping[pd.Timestamp, pd.Timestamp] | None = None


NO_DAYS: Final = ExportDays()


class Period(NamedTuple):
    """The weeks that an export covers.

    Attributes
    ----------
    first, last
        Usage rows of weeks before ``first`` or after ``last`` are strays.
    as_of
        The moment of the list, a Monday 00:00.
    incomplete
        The volume of the week that begins at ``as_of``, if that week is left out because it looks incomplete.
    latest
        The latest moment that ``data.as_of`` may be, if ``as_of`` is earlier because last weeks are strays.
    early
        How the week that begins at ``as_of`` ends, if that week is left out because it ends early.
    shown
        The day by which alone the last week counts as complete, if its volume does not look so.
    """

    first: pd.Timestamp
    last: pd.Timestamp
    as_of: pd.Timestamp
    incomplete: Volume | None = None
    latest: pd.Timestamp | None = None
    early: EarlyEnd | None = None
    shown: Shown | None = None


def export_days(
    tables: Mapping[str, pd.DataFrame], last_days: Mapping[str, str] | None, contract: Contract
) -> tuple[pd.Series, ExportDays]:
    """Collect the days of conversion, and the others that show when the export was taken.

    Parameters
    ----------
    tables
        Typed, by name.
    last_days
        As `conversion.ingest.last_days` returns them; None with grain week.
    contract
        Names tables and columns. With subscriptions, each start counts, of trials too.
    """
    names = contract.companies
    companies = [tables[name] for name in names.tables]
    if names.subscriptions is None:
        converted = _all_of(companies, names.converted)
    else:
        converted = tables[names.subscriptions.table][names.subscriptions.start]
    signed_up = None if names.signed_up is None else _all_of(companies, names.signed_up)
    days = None if last_days is None else {pd.Timestamp(k): pd.Timestamp(v) for k, v in last_days.items()}
    return converted, ExportDays(signed_up, days)


def _all_of(tables: list[pd.DataFrame], column: str) -> pd.Series:
    return pd.concat([table[column] for table in tables if column in table], ignore_index=True)


def find_period(
    usage: pd.DataFrame,
    converted: pd.Series,
    as_of: pd.Timestamp | None,
    settings: Clean,
    contract: Contract,
    days: ExportDays = NO_DAYS,
) -> Period:
    """Return the weeks that the export covers, and the moment of the list.

    Parameters
    ----------
    usage
        Typed usage rows, or of an export in parts `usage_weeks`, merged.
    converted
        Days of conversion.
    as_of
        The param ``data.as_of``; None for the end of the last complete week.
    settings
        The thresholds, section ``clean`` of the params.
    contract
        Names the table and columns of usage.
    days
        Others that show when the export was taken.

    Returns
    -------
    Period
        With a given ``as_of`` it depends only on the rows known then, and the last week is kept as it is.

    Raises
    ------
    ExportError
        ``as_of`` lies outside the export, too many rows are strays, or the weeks span too long a time.
    """
    weeks = usage_weeks(usage, contract) if contract.usage.time in usage else usage
    rows = weeks["rows"]
    run = _main_run(rows, settings.max_gap_weeks)
    if as_of is None:
        kept = _without_strays(run, settings.stray_week)
        period = _complete_period(weeks, kept, converted, settings, days)
        if kept.index[-1] < run.index[-1]:
            period = period._replace(latest=run.index[-1] + WEEK)
        known = weeks
    else:
        _check_inside(as_of, run)
        known = weeks[known_at(weeks.index.to_series(), as_of)]
        run = _runs(known["rows"], settings.max_gap_weeks)[-1]
        first = _without_early_strays(run, settings.stray_week).index[0]
        period = Period(first, rows.index[-1], as_of)
    _check_strays(known, period, settings, contract)
    _check_span(known, period, settings.max_weeks, contract)
    return period


def planned_days(converted: pd.Series, period: Period, days: ExportDays) -> pd.Series:
    """Return the days of conversion that are after the export was taken, as far as usage shows when that was.

    They are not known at the period's ``as_of``. Without last days of usage, the
    export may have been taken at any moment of the week that follows: only later days are returned.
    """
    last_day = None if days.last_days is None else days.last_days.get(period.last)
    from_day = period.last + 2 * WEEK if last_day is None else last_day + pd.Timedelta(days=1)
    return converted[converted >= max(from_day, period.as_of)]


def strays(when: pd.Series, period: Period) -> pd.Series:
    """Return which usage rows (by the first day of their week) lie outside the export's weeks."""
    return (when < period.first) | (when > period.last)


def describe_first(weeks: pd.DataFrame) -> str:
    """Return the id and week of the earliest usage row, then by the lowest id."""
    return f"id {weeks['lowest_id'].iloc[0]} at {weeks.index[0]:%Y-%m-%d}"


def _main_run(rows: pd.Series, max_gap_weeks: int) -> pd.Series:
    """Return the run of weeks with the most rows; among equals the latest."""
    return max(reversed(_runs(rows, max_gap_weeks)), key=lambda run: run.sum())


def _runs(rows: pd.Series, max_gap_weeks: int) -> list[pd.Series]:
    """Split the weeks into runs, wherever the next one with rows is further away than the gap."""
    cuts = np.flatnonzero(np.diff(rows.index) > max_gap_weeks * WEEK) + 1
    return [rows.iloc[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


USUAL_WEEKS: Final = 8
"""Weeks beside a week whose median is the usual."""
LEAST_WEEKS: Final = 4
"""Weeks needed before the last one to judge it."""


def _without_strays(run: pd.Series, share: float) -> pd.Series:
    """Drop first and last weeks that have hardly any rows compared with their neighbours.

    A row with a date in the future would move the list. So a last week behind empty weeks is also compared
    with the week of the typical row: several such weeks in a row do not justify each other.
    """
    by_size = np.sort(run.to_numpy())
    typical = by_size[np.searchsorted(by_size.cumsum(), by_size.sum() / 2)]
    end = len(run)
    while end > LEAST_WEEKS:
        alone = run.index[end - 1] - run.index[end - 2] > WEEK
        usual = run.iloc[max(end - 1 - USUAL_WEEKS, 0) : end - 1].median()
        if run.iloc[end - 1] >= share * (max(usual, typical) if alone else usual):
            break
        end -= 1
    return _without_early_strays(run.iloc[:end], share)


def _without_early_strays(run: pd.Series, share: float) -> pd.Series:
    """Drop first weeks that have hardly any rows compared with the weeks that follow.

    Only the next weeks are compared, never the whole export: once they are known, the answer stays the same.
    """
    start = 0
    while start + USUAL_WEEKS < len(run):
        if run.iloc[start] >= share * run.iloc[start + 1 : start + 1 + USUAL_WEEKS].median():
            break
        start += 1
    return run.iloc[start:]


def _complete_period(
    weeks: pd.DataFrame,
    run: pd.Series,
    converted: pd.Series,
    settings: Clean,
    days: ExportDays,
) -> Period:
    """Return the period that ends with the last complete week of the run.

    With the last days of usage, these decide when the export was taken: a company's day may be booked ahead.
    Without them, a company's day that shows that the last week was over decides before one that shows that it
    was not. The volume comes last. Without a share of the usual volume, ``clean.partial_week``, nothing is
    judged.
    """
    first, last = run.index[0], run.index[-1]
    whole = Period(first, last, last + WEEK)
    if not settings.partial_week:
        return whole
    if days.last_days is None:
        shown = [day for each in (converted, days.signed_up) if (day := _reaching(each, last)) is not None]
        if shown:
            volume = _volume_if_incomplete(weeks, run.index, settings)
            return whole if volume is None else whole._replace(shown=Shown(max(shown), volume))
    elif days.last_days.get(last) == last + SUNDAY:
        return whole
    early = _early_usage(days.last_days, run.index) or _early_sign_ups(days.signed_up, last)
    if early is not None:
        return whole._replace(as_of=last, early=early)
    volume = _volume_if_incomplete(weeks, run.index, settings)
    return whole if volume is None else whole._replace(as_of=last, incomplete=volume)


SUNDAY: Final = pd.Timedelta(days=6)
"""From the first to the last day of a week."""
FRIDAY: Final = pd.Timedelta(days=4)


def _reaching(days: pd.Series | None, week: pd.Timestamp) -> pd.Timestamp | None:
    """Return the newest day if it shows that the week was over when the export was taken.

    It is the week's last day, or lies in the next week. A later one was planned ahead, and does not show when
    the export was taken.
    """
    if days is None:
        return None
    newest = days.max()
    return newest if week + SUNDAY <= newest < week + 2 * WEEK else None


def _early_usage(last_days: Mapping[pd.Timestamp, pd.Timestamp] | None, weeks: pd.Index) -> EarlyEnd | None:
    """Return how the last week ends if it has no usage on the day that weeks usually end with.

    Where nobody works on Sundays that is an earlier day, the median of the weeks before.
    """
    if last_days is None:
        return None
    week, before = weeks[-1], weeks[-1 - USUAL_WEEKS : -1]
    ends = [last_days[each] - each for each in before if each in last_days]
    # Of an even number the later one of the two in the middle.
    usual = sorted(ends)[len(ends) // 2] if len(ends) >= LEAST_WEEKS else SUNDAY
    last_day = last_days.get(week)
    return None if last_day is not None and last_day - week >= usual else EarlyEnd("usage", last_day)


def _early_sign_ups(signed_up: pd.Series | None, week: pd.Timestamp) -> EarlyEnd | None:
    """Return how the last week ends if its weekend has no sign-up, but each Sunday before it has."""
    if signed_up is None:
        return None
    days = set(signed_up.dropna().dt.normalize())
    sundays = [week - number * WEEK + SUNDAY for number in range(1, USUAL_WEEKS + 1)]
    if not all(day in days for day in sundays):
        return None
    last_day = max((day for day in days if week <= day < week + WEEK), default=None)
    return EarlyEnd("sign-ups", last_day) if last_day is None or last_day - week <= FRIDAY else None


def _volume_if_incomplete(usage: pd.DataFrame, weeks: pd.Index, settings: Clean) -> Volume | None:
    """Return the volume of the last week if it is too low for a complete one.

    Rows alone do not show it: half a week has nearly as many as a whole one.
    """
    weeks = weeks[-1 - USUAL_WEEKS :]
    if len(weeks) <= LEAST_WEEKS:
        return None
    recent = usage.loc[weeks]
    count = recent["active"]
    volume = count * exp((recent["logs"] / count).fillna(0.0))
    last, before = float(volume.iloc[-1]), volume.iloc[:-1]
    usual = float(before.median())
    if count.iloc[:-1].median() < settings.partial_week_rows:
        return None
    return Volume(last, usual) if last < before.min() and last < settings.partial_week * usual else None


def weekly_volume(usage: pd.DataFrame, weeks: pd.Index, columns: Sequence[str], time: str) -> pd.DataFrame:
    """Compute how much was done in each week: the active rows times the geometric mean of their actions.

    Totals do not work: a few companies have most of the actions, so complete weeks often have half of the
    usual.

    Parameters
    ----------
    usage
        Usage rows.
    weeks
        The weeks to compute it for.
    columns
        Of the actions that count.
    time
        Column of the week.

    Returns
    -------
    pandas.DataFrame
        By week, in the order given: ``rows`` (active ones), ``volume``, and ``variance`` of the logarithm of
        a row's actions (0 with less than two rows).
    """
    recent = usage[usage[time].isin(weeks)]
    by_week = logs_by_week(recent, columns, time)
    rows = by_week.size().reindex(weeks, fill_value=0)
    volume = rows * exp(by_week.mean().reindex(weeks, fill_value=0.0))
    return pd.DataFrame(
        {"rows": rows, "volume": volume, "variance": by_week.var().reindex(weeks).fillna(0.0)}
    )


def _check_inside(as_of: pd.Timestamp, run: pd.Series) -> None:
    first, last = run.index[0] + WEEK, run.index[-1] + WEEK
    if not first <= as_of <= last:
        raise ExportError(
            f"data.as_of: given {as_of:%Y-%m-%d}, but the export is known from {first:%Y-%m-%d} "
            f"to {last:%Y-%m-%d}; choose a Monday between them, or null for the last complete week"
        )


def _check_strays(known: pd.DataFrame, period: Period, settings: Clean, contract: Contract) -> None:
    table, time = contract.usage.table, contract.usage.time
    outside = known[strays(known.index.to_series(), period)]
    rows, every = int(outside["rows"].sum()), int(known["rows"].sum())
    if rows > settings.max_stray_rows * every:
        last = min(period.last, known.index.max())
        raise ExportError(
            f"{table}: {time}: expected at most clean.max_stray_rows "
            f"({settings.max_stray_rows:g}) of the rows far from the weeks of the others, "
            f"{period.first:%Y-%m-%d} to {last:%Y-%m-%d}; found {rows} of {every}, first "
            f"{describe_first(outside)}; correct their dates or leave them out; if the gap is real, "
            f"raise clean.max_gap_weeks ({settings.max_gap_weeks})"
        )


def _check_span(known: pd.DataFrame, period: Period, max_weeks: int, contract: Contract) -> None:
    table, time = contract.usage.table, contract.usage.time
    inside = known[~strays(known.index.to_series(), period)]
    weeks = (inside.index[-1] - period.first) // WEEK + 1
    if weeks > max_weeks:
        raise ExportError(
            f"{table}: {time}: the rows span {weeks} weeks, from {describe_first(inside)} to "
            f"{describe_first(inside.iloc[-1:])}; expected at most clean.max_weeks "
            f"({max_weeks}); correct the dates, leave old rows out, or raise it"
        )
