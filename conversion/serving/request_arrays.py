"""From a request to arrays: a usage block, firmographics, lifetime totals and summary features."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import numpy as np

from conversion.config.contract import ACTIONS, MEASURES, USERS
from conversion.data.firmographics import Firmographics, encode_firmographics
from conversion.data.timeline import FIRST_MONDAY
from conversion.features.catalogue import SUMMARY_FEATURES
from conversion.features.compute import summary_features
from conversion.features.definitions import LifetimeTotals
from conversion.features.usage_block import BLOCK_COLUMNS
from conversion.serving.messages import MAX_WEEKS, Company, Fault, History, Summary
from conversion.serving.refusals import invalid_fields

_FIRST_MONDAY: Final = FIRST_MONDAY.date().toordinal()
_COUNTS: Final = attrgetter(*MEASURES)
_TOTALS: Final = attrgetter("total_actions", "total_users", "days_active", "activity_frequency")
_FIRMOGRAPHICS: Final = attrgetter("ALEXA_RANK", "EMPLOYEE_RANGE", "INDUSTRY")
_SUMMARY_PLACES: Final = {feature.name: place for place, feature in enumerate(SUMMARY_FEATURES)}


def places_of(companies: Sequence[Summary | History]) -> list[str]:
    """Return the prefix of each company's fields in a batch."""
    return [f"companies[{place}]." for place in range(len(companies))]


def week_of(day: dt.date) -> int:
    """Return the number of the week that a day lies in, counted from Monday 1970-01-05."""
    return (day.toordinal() - _FIRST_MONDAY) // 7


def monday_of(week: int) -> dt.date:
    """Return a week's Monday; the calendar's first day for weeks before it."""
    return dt.date.fromordinal(max(_FIRST_MONDAY + 7 * week, 1))


def usage_block(companies: Sequence[History], as_ofs: Sequence[int], where: Sequence[str]) -> np.ndarray:
    """Return usage as a block that ends at each company's own ``as_of``.

    Parameters
    ----------
    companies
        With their usage.
    as_ofs
        Their ``as_of``, as `week_of` counts.
    where
        The prefix of each company's fields in the request.

    Returns
    -------
    numpy.ndarray of float64, shape (companies, weeks, measures + 1)
        See `conversion.features.compute.features_of_block`.

    Raises
    ------
    RefusalError
        See `conversion.serving.predictor.predict`.
    """
    faults: list[Fault] = []
    laid: list[tuple[list[int], np.ndarray]] = []
    for company, as_of, start in zip(companies, as_ofs, where, strict=True):
        back = [as_of - week_of(week.WHEN_TIMESTAMP) for week in company.usage]
        counts = np.array([_COUNTS(week) for week in company.usage], dtype=np.float64)
        counts = counts.reshape(len(back), len(MEASURES))
        if (back and not 0 < min(back) <= max(back) <= MAX_WEEKS) or len(set(back)) < len(back):
            faults += _week_faults(company, as_of, back, start)
        if (counts[:, : len(ACTIONS)] < counts[:, len(ACTIONS) :]).any():
            faults += _count_faults(counts, start)
        laid.append((back, counts))
    if faults:
        raise invalid_fields(faults)
    weeks = max((max(back) for back, _ in laid if back), default=0)
    block = np.zeros((len(companies), weeks, len(BLOCK_COLUMNS)))
    for rows, (back, counts) in zip(block, laid, strict=True):
        if back:
            places = weeks - np.array(back)
            rows[places, : len(MEASURES)] = counts
            rows[places, len(MEASURES)] = 1.0
    return block


def _week_faults(company: History, as_of: int, back: list[int], start: str) -> list[Fault]:
    monday, first, last = monday_of(as_of), monday_of(as_of - MAX_WEEKS), monday_of(as_of - 1)
    faults = []
    for place, (week, weeks_back) in enumerate(zip(company.usage, back, strict=True)):
        field, given = f"{start}usage[{place}].WHEN_TIMESTAMP", week.WHEN_TIMESTAMP.isoformat()
        if weeks_back <= 0:
            allowed = f"a week that is over at as_of {monday}, so {last} at the latest; or give a later as_of"
            faults.append(Fault(field=field, given=given, allowed=allowed))
        elif weeks_back > MAX_WEEKS:
            allowed = f"a week in the {MAX_WEEKS} weeks before as_of {monday}, so {first} at the earliest"
            faults.append(Fault(field=field, given=given, allowed=allowed))
        elif weeks_back in back[:place]:
            allowed = f"each week once; usage[{back.index(weeks_back)}] is of the same week"
            faults.append(Fault(field=field, given=given, allowed=allowed))
    return faults


def _count_faults(counts: np.ndarray, start: str) -> list[Fault]:
    actions, users = counts[:, : len(ACTIONS)], counts[:, len(ACTIONS) :]
    return [
        Fault(
            field=f"{start}usage[{row}].{USERS[module]}",
            given=f"{users[row, module]:.0f}",
            allowed=f"at most {ACTIONS[module]}, which is {actions[row, module]:.0f}",
        )
        for row, module in np.argwhere(actions < users).tolist()
    ]


def firmographics_of(companies: Sequence[Company]) -> Firmographics:
    """Encode the companies' firmographics as arrays, one value a company."""
    ranks, ranges, industries = zip(*map(_FIRMOGRAPHICS, companies), strict=True)
    return encode_firmographics(np.array(ranks, dtype=np.float64), ranges, industries)


def totals_of(companies: Sequence[Summary]) -> LifetimeTotals:
    """Return the companies' totals as arrays, one value a company.

    A company is seen where any total is positive. It was never seen where none is and its frequency is 0:
    without a usage row there is no first day, so days and frequency are not known then, as in the lists.
    """
    totals = np.array([_TOTALS(company) for company in companies], dtype=np.float64)  # None is NaN
    actions, users, days_active, frequency = totals.T
    used = (totals > 0).any(axis=1)
    never = ~used & (frequency == 0)
    return LifetimeTotals(
        actions=actions,
        users=users,
        days_active=np.where(never, np.nan, days_active),
        activity_frequency=np.where(never, np.nan, np.minimum(frequency, 1.0)),
        seen=np.where(used, 1.0, np.where(never, 0.0, np.nan)),
    )


def summary_values(companies: Sequence[Summary], names: Sequence[str]) -> np.ndarray:
    """Compute the features that totals give; what is not known is NaN.

    Parameters
    ----------
    companies
        With what is known of them.
    names
        The features, in order; some of `conversion.features.catalogue.SUMMARY_FEATURES`.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, features)
        Rounded as the features of the lists are.
    """
    values = summary_features(totals_of(companies), firmographics_of(companies))
    return values[:, [_SUMMARY_PLACES[name] for name in names]]
