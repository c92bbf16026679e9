"""Checks that the export is whole: its age, the volume of its last week, what is missing.

What is usual is the median of the weeks before, and its spread their median absolute deviation, so that one
odd week among them changes little (Hampel 1974). Counts are compared as logarithms, with the chance of small
counts added to the spread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Number
from conversion.config.attribute_names import flag_name, label, slug
from conversion.config.data_contract import Contract
from conversion.config.gate_params import Gate as Settings
from conversion.data.period import weekly_volume
from conversion.data.timeline import WEEK
from conversion.delivery.gate_checks import Check, Status, between, judged, most, number, passed_over, percent
from conversion.stats.numeric import Bools, Floats
from conversion.stats.portable_math import exp, log

MAD_TO_SPREAD: Final = 1.4826
"""Makes the median absolute deviation of a normal sample its standard deviation."""
_LEAST_WEEKS: Final = 4
"""Weeks without which nothing is called usual."""
_HALF: Final = 0.5
"""Stands for no row in a logarithm."""
_NEWEST: Final = -1
"""Days: a list is made on the Sunday whose midnight is its moment."""


def check_age(as_of: dt.date, today: dt.date, settings: Settings, not_checked: str | None) -> Check:
    """Check that the export's last complete week ended not long ago.

    Parameters
    ----------
    as_of
        The end of the last complete week.
    today
        The day of the delivery, where the weeks begin.
    settings
        Section ``gate`` of the params.
    not_checked
        Why its age says nothing; None: it does.
    """
    if not_checked is not None:
        return passed_over("export_age", not_checked)
    days = (today - as_of).days
    bound = settings.days_old
    if days < _NEWEST:
        sentence = f"The list is of {as_of}, which is after today, {today}: see to the clock or to the dates."
    elif days < 0:
        sentence = f"The last complete week ends tonight, before {as_of}."
    else:
        sentence = f"The last complete week ended {days} days ago, on {as_of}; up to {bound.watch} are usual."
    return judged("export_age", days, between((_NEWEST, bound.watch), (_NEWEST, bound.stop)), sentence)


def check_model_age(as_of: dt.date, trained: dt.date, settings: Settings) -> Check:
    """Check that the model is not too old for the list, and does not know its future."""
    weeks, bound = (as_of - trained).days / 7, settings.model_weeks
    if weeks < 0:
        sentence = (
            f"The model was trained as of {trained}, after the moment of the list: it knows its future."
        )
    else:
        sentence = (
            f"The model was trained as of {trained}, {number(weeks)} weeks before the list; up to "
            f"{bound.watch} are usual."
        )
    return judged("model_age", weeks, between((0, bound.watch), (0, bound.stop)), sentence)


def check_volumes(
    companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp, contract: Contract, settings: Settings
) -> Iterator[Check]:
    """Check rows, active companies, new companies and the actions in each module of the last week.

    Parameters
    ----------
    companies, usage
        Clean tables.
    as_of
        The moment of the list: the last week ended then.
    contract
        Names the columns.
    settings
        Section ``gate`` of the params.
    """
    time = contract.usage.time
    weeks = pd.date_range(end=as_of - WEEK, periods=settings.weeks + 1, freq=WEEK, unit="s")
    weeks = weeks[weeks >= usage[time].min()]
    recent = usage[usage[time].isin(weeks)]
    in_holidays = (as_of - WEEK).isocalendar().week in settings.holiday_weeks
    at_worst: Status = "watch" if in_holidays else "stop"

    def against_usual(name: str, what: str, found: pd.Series, noise: pd.Series | None = None) -> Check:
        by_week = found.reindex(weeks, fill_value=0).to_numpy(dtype=np.float64)
        counts = by_week if noise is None else noise.reindex(weeks, fill_value=0).to_numpy(dtype=np.float64)
        return _against_usual(name, what, by_week, counts, settings, at_worst)

    def of_modules(name: str, where: str, of: pd.DataFrame) -> Check:
        what = f"in {where} (active companies times their typical actions)"
        # The error of a mean of logarithms shrinks with the rows, as that of their number does.
        return against_usual(name, what, of["volume"], of["rows"] / (1 + of["variance"]))

    yield against_usual("usage_rows", "rows of usage", recent[time].value_counts())
    every = weekly_volume(recent, weeks, contract.actions, time)
    yield against_usual("active_companies", "active companies", every["rows"])
    yield of_modules("actions", "all modules", every)
    yield against_usual(
        "new_companies", "new companies", new_by_week(companies, usage, contract).value_counts()
    )
    for name, module in contract.usage.modules.items():
        of = weekly_volume(recent, weeks, (module.actions,), time)
        yield of_modules(f"actions_{name.lower()}", label(name, module), of)


def new_by_week(companies: pd.DataFrame, usage: pd.DataFrame, contract: Contract) -> pd.Series:
    """Return the week in which each company was new, by id: of its sign-up, else of its first usage."""
    signed_up, time = contract.companies.signed_up, contract.usage.time
    if signed_up is None:
        ordered = usage.sort_values(time, kind="stable").drop_duplicates("id")
        first: pd.Series = ordered.set_index("id")[time]
        return first
    days = companies.set_index("id")[signed_up].dropna()
    week: pd.Series = days.dt.normalize() - pd.to_timedelta(days.dt.day_of_week, unit="D")
    return week


def usual(values: Floats, noise: Floats, floor: float) -> tuple[float, float]:
    """Return the middle of logarithms and their spread.

    Parameters
    ----------
    values
        Of the weeks before.
    noise
        How many rows each stands for: their chance belongs to the spread.
    floor
        Least spread.
    """
    logs = log(np.maximum(values, _HALF))
    middle = float(np.median(logs))
    mad = MAD_TO_SPREAD * float(np.median(np.abs(logs - middle)))
    chance = 1 / max(float(np.median(noise)), 1.0)
    return middle, float(np.sqrt(max(mad, floor) ** 2 + chance))


def _against_usual(
    name: str, what: str, by_week: Floats, counts: Floats, settings: Settings, at_worst: Status
) -> Check:
    """Compare the last week with those before it."""
    if len(by_week) <= _LEAST_WEEKS:
        return passed_over(name, f"the export has only {len(by_week)} weeks, {_LEAST_WEEKS + 1} are needed")
    middle, spread = usual(by_week[:-1], counts[:-1], settings.volume_floor)
    bands = [
        (float(exp(middle - width * spread)), float(exp(middle + width * spread)))
        for width in (settings.volume_spreads.watch, settings.volume_spreads.stop)
    ]
    low, high = bands[0]
    # A number near zero cannot be too low by chance.
    watch, stop = ((0.0 if least < _HALF else least, most_of) for least, most_of in bands)
    bounds = between(watch, stop)
    sentence = (
        f"The last week has {number(by_week[-1])} {what}; the {len(by_week) - 1} weeks before have "
        f"{number(float(exp(middle)))} in the middle, and {number(low)} to {number(high)} is usual."
    )
    return judged(name, float(by_week[-1]), bounds, sentence, at_worst)


def check_missing(
    companies: pd.DataFrame, usage: pd.DataFrame, as_of: pd.Timestamp, contract: Contract, settings: Settings
) -> Iterator[Check]:
    """Check each attribute's share of missing values: of all companies, and of those new in the last week."""
    week = new_by_week(companies, usage, contract).reindex(companies["id"]).reset_index(drop=True)
    last = as_of - WEEK
    is_new = (week == last).to_numpy()
    before = ((week < last) & (week >= last - settings.weeks * WEEK)).to_numpy()
    for column, attribute in contract.companies.attributes.items():
        missing = _missing(companies, column, attribute)
        name = f"missing_{slug(column)}"
        yield _missing_of_all(name, column, float(missing.mean()), settings)
        yield _rise(f"{name}_new", column, missing[is_new], missing[before], settings)


def _missing(companies: pd.DataFrame, column: str, attribute: AnyAttribute) -> Bools:
    """Return which companies have no value, and are not known to have none either."""
    missing = companies[column].isna()
    flag = flag_name(column, attribute) if isinstance(attribute, Number) else None
    if flag in companies:
        missing &= companies[flag] != 1
    return missing.to_numpy()


def _missing_of_all(name: str, column: str, share: float, settings: Settings) -> Check:
    limit = settings.missing_most
    sentence = (
        f"{column} is missing for {percent(share)} of the companies; up to {percent(limit)} is accepted."
    )
    return judged(name, share, most(limit, limit), sentence)


def _rise(name: str, column: str, new: Bools, before: Bools, settings: Settings) -> Check:
    """Compare the missing share of the last week's new companies with that of the weeks before."""
    if not len(new) or not len(before):
        return passed_over(name, f"no new companies tell whether {column} is missing more often")
    share, reference = float(new.mean()), float(before.mean())
    chance = 3 * np.sqrt(max(reference * (1 - reference), 0.01) / len(new))
    bound = settings.missing_rise
    sentence = (
        f"{column} is missing for {percent(share)} of the {len(new)} new companies of the last week, and for "
        f"{percent(reference)} of the {len(before)} of the {settings.weeks} weeks before."
    )
    return judged(name, share - reference, most(bound.watch + chance, bound.stop + chance), sentence)
