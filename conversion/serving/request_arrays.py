"""From a request to arrays: a usage block, attributes of companies, lifetime totals."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.attribute_kinds import Category, Date
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import TOTALS
from conversion.data.attribute_block import ages
from conversion.data.attribute_encoding import Levels, encoder, level_of
from conversion.data.timeline import FIRST_MONDAY, days_before_monday
from conversion.features.definitions import LifetimeTotals
from conversion.serving.contract_messages import Messages
from conversion.serving.message_types import MAX_WEEKS
from conversion.serving.messages import Company, Fault, History, Summary
from conversion.serving.refusals import invalid_fields
from conversion.stats.numeric import Floats

Encoded = dict[str, NDArray[Any]]

_FIRST_MONDAY: Final = FIRST_MONDAY.date().toordinal()
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


def places_of(companies: Sequence[Summary | History]) -> list[str]:
    """Return the prefix of each company's fields in a batch."""
    return [f"companies[{place}]." for place in range(len(companies))]


def week_of(day: dt.date, early: int = 0) -> int:
    """Return the number of the week that a day lies in, counted from Monday 1970-01-05.

    ``early`` is how many days before its Monday a week starts.
    """
    return (day.toordinal() + early - _FIRST_MONDAY) // 7


def first_day_of(week: int, early: int = 0) -> dt.date:
    """Return a week's first day, as `week_of` counts; the calendar's first day for weeks before it."""
    return dt.date.fromordinal(max(_FIRST_MONDAY + 7 * week - early, 1))


def _getter(names: Sequence[str | None]) -> Callable[[object], tuple[Any, ...]]:
    """Return what reads attributes of a message, always as a tuple; None in place of those without a name."""
    named = [name for name in names if name is not None]
    if len(named) == len(names) > 1:
        return attrgetter(*named)
    return lambda message: tuple(None if name is None else getattr(message, name) for name in names)


class RequestReader:
    """Turns the companies of requests into the arrays that features are computed from.

    Parameters
    ----------
    messages
        Of the model's contract.
    levels
        By category, the levels in the order of their codes; unknown is the last.
    rare_levels
        By category of the model, further levels that it has seen.
    """

    def __init__(self, messages: Messages, levels: Levels, rare_levels: Levels) -> None:
        contract, names = messages.contract, messages.names
        usage, attributes = contract.usage, contract.companies.attributes
        dates = contract.attributes_of(Date)
        self._dates = {name for column in dates for name in encoded_names(column, attributes[column])}
        self._columns = tuple(attributes)
        self._encode = encoder(contract, levels)
        categories = contract.attributes_of(Category)
        self._unknown = {
            encoded_names(column, category)[0]: len(levels[column]) - 1
            for column, category in categories.items()
        }
        self._unseen = {
            column: _unseen_test(categories[column], frozenset((*levels[column], *rare)))
            for column, rare in rare_levels.items()
            if categories[column].groups is None or categories[column].unlisted == "keep"
        }
        self._values = _getter([names[column] for column in attributes])
        self._totals = _getter([name if name in messages.totals else None for name in TOTALS])
        self._time, self._first_day = usage.time, attrgetter(names[usage.time])
        self._early = days_before_monday(contract)
        measures = [measure.column for measure in usage.measures.values()]
        self._numbers = _getter([names[column] for column in (*contract.counts, *measures)])
        self._counts = contract.counts
        # The block's columns: counts, whether there is a row, measures.
        self._rows = len(contract.counts)
        self._width = len(contract.counts) + 1 + len(measures)
        of_users = [place for place, each in enumerate(usage.modules.values()) if each.users is not None]
        modules = len(contract.actions)
        # A slice is quicker than a list of places.
        self._actions: slice | list[int] = slice(modules) if len(of_users) == modules else of_users
        self._users = slice(modules, self._rows)

    # Companies

    def encoded(self, companies: Sequence[Company]) -> Encoded:
        """Encode the companies' attributes, see `conversion.data.attribute_encoding.encode`."""
        by_column = zip(*map(self._values, companies), strict=True)
        return self._encode(dict(zip(self._columns, by_column, strict=True)))

    def attributes(self, encoded: Encoded, as_ofs: Sequence[int]) -> Floats:
        """Return the companies' attributes at each one's own ``as_of``, as `week_of` counts.

        Returns
        -------
        numpy.ndarray of float64, shape (companies, 1, columns)
            As from `conversion.data.attribute_block.attribute_array`, which takes longer for one company.
        """
        columns = list(encoded.values())
        if self._dates:
            days = 7 * np.array(as_ofs, dtype=np.int64) + (_FIRST_MONDAY - _EPOCH)
            columns = [
                ages(values, days) if name in self._dates else values for name, values in encoded.items()
            ]
        return np.array(columns, dtype=np.float64).T.reshape(len(as_ofs), 1, len(columns))

    def totals(self, companies: Sequence[Summary]) -> LifetimeTotals:
        """Return the companies' totals as arrays, one value a company.

        A company is seen where any total is positive. It was never seen where none is and its frequency is 0:
        without a usage row there is no first day, so days and frequency are not known then, as in the lists.
        """
        totals = np.array([self._totals(company) for company in companies], dtype=np.float64)  # None is NaN
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

    def anything_known(self, companies: Sequence[Company], encoded: Encoded) -> list[bool]:
        """Return which companies have more than an id; an unknown level of a category counts as nothing."""
        known = [self._usage_known(company) for company in companies]
        if all(known):
            return known
        attributes = np.zeros(len(companies), dtype=np.bool_)
        for name, values in encoded.items():
            unknown = self._unknown.get(name)
            attributes |= ~np.isnan(values) if unknown is None else np.not_equal(values, unknown)
        return [total or attribute for total, attribute in zip(known, attributes.tolist(), strict=True)]

    def _usage_known(self, company: Company) -> bool:
        if isinstance(company, History):
            return bool(company.usage)
        return any(total is not None for total in self._totals(company))

    def unseen_levels(self, companies: Sequence[Company]) -> Counter[str]:
        """Count the values that the model has not seen, by category."""
        found: Counter[str] = Counter()
        for column, is_unseen in self._unseen.items():
            place = self._columns.index(column)
            found[column] = sum(is_unseen(self._values(company)[place]) for company in companies)
        return +found

    # Usage

    def usage_block(
        self, companies: Sequence[History], as_ofs: Sequence[int], where: Sequence[str]
    ) -> Floats:
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
        numpy.ndarray of float64, shape (companies, weeks, columns)
            See `conversion.features.compute.features_of_block`.

        Raises
        ------
        RefusalError
            See `conversion.serving.predictor.predict`.
        """
        faults: list[Fault] = []
        laid: list[tuple[list[int], Floats]] = []
        for company, as_of, start in zip(companies, as_ofs, where, strict=True):
            back = [as_of - week_of(self._first_day(week), self._early) for week in company.usage]
            numbers = np.array([self._numbers(week) for week in company.usage], dtype=np.float64)
            numbers = numbers.reshape(len(back), self._width - 1)  # None is NaN
            if (back and not 0 < min(back) <= max(back) <= MAX_WEEKS) or len(set(back)) < len(back):
                faults += self._week_faults(company, as_of, back, start)
            if (numbers[:, self._actions] < numbers[:, self._users]).any():
                faults += self._count_faults(numbers, start)
            laid.append((back, numbers))
        if faults:
            raise invalid_fields(faults)
        return self._block(laid)

    def _block(self, laid: Sequence[tuple[list[int], Floats]]) -> Floats:
        weeks = max((max(back) for back, _ in laid if back), default=0)
        block = np.zeros((len(laid), weeks, self._width))
        for rows, (back, numbers) in zip(block, laid, strict=True):
            if back:
                places = weeks - np.array(back)
                rows[places, : self._rows] = numbers[:, : self._rows]
                rows[places, self._rows] = 1.0
                if self._rows + 1 < self._width:
                    rows[places, self._rows + 1 :] = numbers[:, self._rows :]
        return block

    def _week_faults(self, company: History, as_of: int, back: list[int], start: str) -> list[Fault]:
        monday = first_day_of(as_of)
        first, last = (first_day_of(week, self._early) for week in (as_of - MAX_WEEKS, as_of - 1))
        faults = []
        for place, (week, weeks_back) in enumerate(zip(company.usage, back, strict=True)):
            field, given = f"{start}usage[{place}].{self._time}", self._first_day(week).isoformat()
            if weeks_back <= 0:
                allowed = (
                    f"a week that is over at as_of {monday}, so {last} at the latest; or give a later as_of"
                )
                faults.append(Fault(field=field, given=given, allowed=allowed))
            elif weeks_back > MAX_WEEKS:
                allowed = f"a week in the {MAX_WEEKS} weeks before as_of {monday}, so {first} at the earliest"
                faults.append(Fault(field=field, given=given, allowed=allowed))
            elif weeks_back in back[:place]:
                allowed = f"each week once; usage[{back.index(weeks_back)}] is of the same week"
                faults.append(Fault(field=field, given=given, allowed=allowed))
        return faults

    def _count_faults(self, numbers: Floats, start: str) -> list[Fault]:
        actions, users = numbers[:, self._actions], numbers[:, self._users]
        of_actions = np.array(self._counts)[self._actions]
        of_users = self._counts[self._users]
        return [
            Fault(
                field=f"{start}usage[{row}].{of_users[place]}",
                given=f"{users[row, place]:.0f}",
                allowed=f"at most {of_actions[place]}, which is {actions[row, place]:.0f}",
            )
            for row, place in np.argwhere(actions < users).tolist()
        ]


def _unseen_test(category: Category, known: frozenset[str]) -> Callable[[object], bool]:
    find = level_of(category)
    return lambda value: find(value) not in known
