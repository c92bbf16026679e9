"""What a rep can see of companies at ``as_of``: people and actions a week, first and last uses, attributes.

Features summarise the same usage for a model; observations are what sentences about a company are made of.
They are numbers side by side, one row a company, so that a list has them as one array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_names import encoded_names
from conversion.data.attribute_block import attribute_block
from conversion.data.attribute_encoding import Levels
from conversion.data.timeline import week_number
from conversion.features.compute import levels_in
from conversion.features.definitions import FeatureSettings, LifetimeTotals
from conversion.features.usage_block import block_layout, usage_block
from conversion.stats.numeric import Floats

RECENT_WEEKS: Final = 4
"""Weeks that a sentence is about; it compares them with as many before."""
REGULAR_WEEKS: Final = 13
"""Weeks in which active weeks are counted."""
_COMPANIES_AT_ONCE: Final = 500

Values = list[float]


class Company(NamedTuple):
    """What can be seen of a company and its weeks of usage.

    Weeks since something are counted to the start of its week, so last week is 1; 0 is never.
    """

    actions: Values  # by module, of the last `RECENT_WEEKS`
    actions_before: Values  # of as many weeks before
    people: Values  # most in a week, by module with users
    people_before: Values
    first_used: Values  # weeks since a module was first used
    last_used: Values
    started: float  # weeks since the product was first used
    last_active: float
    active_weeks: float  # of the last `REGULAR_WEEKS`
    measures: Values  # of the last `RECENT_WEEKS`; NaN where not known
    measures_before: Values
    attributes: Values


class Totals(NamedTuple):
    """What can be seen of a company of which only lifetime totals are known; NaN where not known."""

    actions: float
    users: float
    days_active: float
    activity_frequency: float
    seen: float
    attributes: Values


@dataclass(frozen=True)
class Observations:
    """What can be seen of companies.

    Attributes
    ----------
    numbers
        Shape (companies, what can be seen).
    levels
        By category, its levels in the order of their codes in the attributes; the last one is unknown.
    """

    numbers: Floats
    levels: Levels
    _read: Callable[[Values], Company | Totals]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.intp]) -> Observations:
        """Return some companies' observations, in the order of ``rows``."""
        return Observations(self.numbers[rows], self.levels, self._read)

    def company(self, row: int) -> Company | Totals:
        """Return what can be seen of one company."""
        return self._read(self.numbers[row].tolist())

    def companies(self) -> Iterator[Company | Totals]:
        """Yield what can be seen of each company."""
        return map(self._read, self.numbers.tolist())


def observe(block: Floats, attributes: Floats, settings: FeatureSettings, levels: Levels) -> Observations:
    """Return what can be seen of companies at the end of a block of their usage.

    Parameters
    ----------
    block
        Shape (companies, weeks, columns), as in `conversion.features.compute.features_of_block`; it ends at
        ``as_of``.
    attributes
        Shape (companies, encoded columns), as in `features_of_block`.
    settings
        From `conversion.features.compute.feature_settings`.
    levels
        By category, its levels in the order of their codes in ``attributes``; the last one is unknown.
    """
    plan = _plan(settings)
    modules, counts, places = plan.modules, plan.counts, plan.places
    values = np.zeros((len(block), plan.width))
    for at, span in ((0, slice(-RECENT_WEEKS, None)), (1, slice(-2 * RECENT_WEEKS, -RECENT_WEEKS))):
        inside = block[:, span]
        values[:, places.actions[at]] = inside[:, :, :modules].sum(axis=1)
        if counts > modules:
            values[:, places.people[at]] = inside[:, :, modules:counts].max(axis=1, initial=0.0)
        if plan.ways:
            _put_measures(values[:, places.measures[at]], inside, plan)
    _put_uses(values, block, plan)
    values[:, places.attributes] = attributes
    return Observations(values, levels, plan.read)


def observe_table(
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    as_of: pd.Timestamp,
    settings: FeatureSettings,
    histories: Mapping[str, pd.DataFrame] | None = None,
) -> Observations:
    """Return what could be seen of the companies of a table at ``as_of``.

    Parameters are those of `conversion.features.compute.compute_features`, with one ``as_of``; usage of other
    companies is left out.
    """
    ids = companies["id"].to_numpy()
    place = pd.Index(ids).get_indexer(pd.Index(usage["id"]))
    order = np.argsort(place, kind="stable")
    last = int(week_number(pd.DatetimeIndex([as_of]))[0])
    attributes = attribute_block(companies, pd.DatetimeIndex([as_of]), settings.attributes, histories)[:, 0]
    levels, plan = levels_in(companies, settings), _plan(settings)
    values = np.empty((len(ids), plan.width))
    for start in range(0, len(ids), _COMPANIES_AT_ONCE):
        some = slice(start, start + _COMPANIES_AT_ONCE)
        rows = order[slice(*np.searchsorted(place, (start, some.stop), sorter=order))]
        block = _block_until(last, ids[some], usage.iloc[rows], settings)
        values[some] = observe(block, attributes[some], settings, levels).numbers
    return Observations(values, levels, plan.read)


def observe_totals(
    totals: LifetimeTotals, attributes: Floats, settings: FeatureSettings, levels: Levels
) -> Observations:
    """Return what can be seen of companies of which only lifetime totals are known.

    ``totals`` are arrays of length companies; the other parameters are those of `observe`.
    """
    known = len(totals)
    values = np.empty((len(attributes), known + _plan(settings).encoded))
    values[:, :known] = np.array(totals).T
    values[:, known:] = attributes
    return Observations(values, levels, _read_totals)


def _block_until(
    last: int, ids: NDArray[np.object_], usage: pd.DataFrame, settings: FeatureSettings
) -> Floats:
    weeks = week_number(usage[settings.time])
    first = min(int(weeks.min()) if len(usage) else last - 1, last - 1)
    block: Floats = usage_block(ids, usage, weeks - first, last - first, settings)
    return block


# The numbers of a row


class _Places(NamedTuple):
    """Where a row has what; of pairs, the last weeks and those before."""

    actions: tuple[slice, slice]
    people: tuple[slice, slice]
    measures: tuple[slice, slice]
    first: slice  # by module and, last, the product's
    last: slice
    active: int
    attributes: slice


class _Plan(NamedTuple):
    """What depends on the settings alone, computed once."""

    modules: int
    counts: int  # columns of actions and users
    with_users: list[int]  # places of the modules that have users
    encoded: int  # columns of attributes
    ways: tuple[str, ...]  # how each measure is combined
    places: _Places
    width: int
    read: Callable[[Values], Company]


@lru_cache
def _plan(settings: FeatureSettings) -> _Plan:
    layout = block_layout(settings)
    encoded = sum(len(encoded_names(column, attribute)) for column, attribute in settings.attributes)
    modules, measures = layout.modules, layout.measures
    users, ever = layout.users, modules + 1
    lengths = (modules, modules, users, users, ever, ever, 1, measures, measures, encoded)
    ends = [0, *accumulate(lengths)]
    spans = [slice(start, end) for start, end in pairwise(ends)]
    places = _Places(
        actions=(spans[0], spans[1]),
        people=(spans[2], spans[3]),
        measures=(spans[7], spans[8]),
        first=spans[4],
        last=spans[5],
        active=spans[6].start,
        attributes=spans[9],
    )
    return _Plan(
        modules=modules,
        counts=layout.counts,
        with_users=[place for place, (_, each) in enumerate(settings.modules) if each.users is not None],
        encoded=encoded,
        ways=tuple(measure.combine for _, measure in settings.measures),
        places=places,
        width=ends[-1],
        read=_reader(places),
    )


def _reader(places: _Places) -> Callable[[Values], Company]:
    """Return what reads a row of numbers."""
    (actions, before), (people, people_before), (measures, measures_before) = places[:3]
    first, last = (slice(each.start, each.stop - 1) for each in (places.first, places.last))
    started, last_active = first.stop, last.stop
    active, attributes = places.active, places.attributes

    def read(row: Values) -> Company:
        return Company(
            row[actions],
            row[before],
            row[people],
            row[people_before],
            row[first],
            row[last],
            row[started],
            row[last_active],
            row[active],
            row[measures],
            row[measures_before],
            row[attributes],
        )

    return read


def _read_totals(row: Values) -> Totals:
    actions, users, days_active, frequency, seen, *attributes = row
    return Totals(actions, users, days_active, frequency, seen, attributes)


def _put_uses(values: Floats, block: Floats, plan: _Plan) -> None:
    """Find when each module and the product were first and last used, and in how many weeks of late."""
    (companies, weeks, _), modules, places = block.shape, plan.modules, plan.places
    used = np.empty((companies, weeks, modules + 1), dtype=np.bool_)
    np.greater(block[:, :, :modules], 0.0, out=used[:, :, :-1])
    if plan.counts > modules:
        used[:, :, plan.with_users] |= block[:, :, modules : plan.counts] > 0.0
    used[:, :, -1] = used[:, :, :-1].any(axis=2)
    ago = np.arange(weeks, 0, -1.0)[:, None]
    # The first use is the longest ago; the last one has the most weeks before it.
    values[:, places.first] = (used * ago).max(axis=1, initial=0.0)
    passed = (used * ago[::-1]).max(axis=1, initial=0.0)
    values[:, places.last] = np.where(passed > 0.0, weeks + 1.0 - passed, 0.0)
    values[:, places.active] = used[:, -REGULAR_WEEKS:, -1].sum(axis=1)


def _put_measures(target: Floats, inside: Floats, plan: _Plan) -> None:
    """Combine the measures of some weeks; a week without a usage row has none."""
    rows = inside[:, :, plan.counts] > 0.0
    for place, way in enumerate(plan.ways):
        values = np.where(rows, inside[:, :, plan.counts + 1 + place], np.nan)
        known = ~np.isnan(values)
        if way == "sum":
            # In the order of the weeks, whatever the shape of the block.
            total = sum(np.where(known, values, 0.0).T, np.zeros(len(values)))
            target[:, place] = np.where(rows.any(axis=1) & ~known.any(axis=1), np.nan, total)
        elif way == "max":
            most = np.where(known, values, -np.inf).max(axis=1, initial=-np.inf)
            target[:, place] = np.where(known.any(axis=1), most, np.nan)
        else:
            target[:, place] = np.nan
            for week, is_known in zip(values.T, known.T, strict=True):
                np.copyto(target[:, place], week, where=is_known)
