"""Usage as a block companies x weeks x columns, and the sums, maxima and averages over its weeks.

What is computed from a block has the companies last: a step from week to week is then one operation on
contiguous memory, however many companies, modules and windows there are.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.features.definitions import FeatureSettings, LifetimeTotals
from conversion.stats.portable_math import log1p, power

TREND_WEEKS: Final = 13
ACCELERATION_WEEKS: Final = 4
ROWS: Final = "ROWS"
EVER: Final = 1 << 31  # weeks: longer than any usage
_ACCELERATION_BACK: Final = np.array([0, 1, 2]) * ACCELERATION_WEEKS
_TREND_BACK: Final = np.arange(TREND_WEEKS)[::-1]


class Layout(NamedTuple):
    """Where a block's last axis has what: actions by module, users, whether there is a row, measures."""

    modules: int
    users: int  # modules that have users
    measures: int

    @property
    def counts(self) -> int:
        """How many columns of counts there are; the next one marks rows."""
        return self.modules + self.users

    @property
    def columns(self) -> int:
        """How many columns there are."""
        return self.counts + 1 + self.measures


def block_layout(settings: FeatureSettings) -> Layout:
    """Return the layout of blocks for some settings."""
    users = sum(module.users is not None for _, module in settings.modules)
    return Layout(len(settings.modules), users, len(settings.measures))


def block_columns(settings: FeatureSettings) -> tuple[str, ...]:
    """Name the last axis of a usage block: actions, users, `ROWS`, measures.

    `ROWS` is 1 if the week has a usage row (even one of zeros).
    """
    modules = [module for _, module in settings.modules]
    users = [module.users for module in modules if module.users is not None]
    actions = [module.actions for module in modules]
    return (*actions, *users, ROWS, *(name for name, _ in settings.measures))


def usage_block(
    ids: np.ndarray, usage: pd.DataFrame, positions: np.ndarray, weeks: int, settings: FeatureSettings
) -> np.ndarray:
    """Return usage as companies x weeks x `block_columns`, without the rows of later weeks."""
    columns = block_columns(settings)
    block = np.zeros((len(ids), weeks, len(columns)))
    known = positions < weeks
    row, week = pd.Index(ids).get_indexer(pd.Index(usage["id"][known])), positions[known]
    rows = block_layout(settings).counts
    block[row, week, :rows] = usage[list(columns[:rows])].to_numpy()[known]
    block[row, week, rows] = 1.0
    if rows + 1 < len(columns):
        measures = usage[list(columns[rows + 1 :])].to_numpy(dtype=np.float64, na_value=np.nan)
        block[row, week, rows + 1 :] = measures[known]
    return block


class Counted:
    """Positions of a week's counts, and of their sums over weeks, among those of `WeeklyUsage`."""

    ACTIONS, USERS, ACTIVE, ROWS = range(4)
    TOTALS: Final = slice(0, 4)
    ACTIVE_AND_ROWS: Final = slice(ACTIVE, ROWS + 1)
    BY_MODULE: Final = slice(4, None)  # actions


class Windows(NamedTuple):
    """What the windows' lengths lead to; arrays over the windows and, last, the lifetime."""

    weeks: np.ndarray  # the length
    levels: np.ndarray  # the level of `maxima` that covers it
    level_count: int  # before the one of the lifetime
    cover_weeks: np.ndarray  # (2, windows + 1), how long before as_of the two spans of its cover end
    decays: np.ndarray  # of each half-life, from week to week


def windows_of(settings: FeatureSettings) -> Windows:
    """Prepare the windows and half-lives."""
    lengths = settings.windows
    spans = [2 ** (length.bit_length() - 1) for length in lengths]
    level_count = max(lengths).bit_length()
    early = [*(length - span for length, span in zip(lengths, spans, strict=True)), 0]
    return Windows(
        weeks=np.array([*lengths, EVER]),
        levels=np.array([*(span.bit_length() - 1 for span in spans), level_count]),
        level_count=level_count,
        cover_weeks=np.array([[0] * len(early), early]),
        decays=power(0.5, 1.0 / np.array(settings.half_lives)),
    )


class WeeklyUsage(NamedTuple):
    """Usage by position: position t holds week t - 1, the last one known at t; position 0 a week of zeros."""

    counts: np.ndarray  # (positions, `Counted`, companies)
    sums: np.ndarray  # the counts of all weeks up to the position
    users: np.ndarray  # (positions, modules with users + 1, companies), users and the most of any module
    most_users: np.ndarray  # (positions, companies), the last of these, not rounded


class WindowUsage(NamedTuple):
    """Usage in each window and, last, the lifetime; shape (as_ofs, windows + 1, ..., companies)."""

    sums: np.ndarray  # of `Counted`
    users_max: np.ndarray  # of the modules with users and, last, of any


class KnownUsage(NamedTuple):
    """Usage known at each ``as_of``; shape (as_ofs, companies) unless noted otherwise."""

    at: np.ndarray  # (as_ofs, 1), the positions
    totals: np.ndarray  # (as_ofs, `Counted`, companies)
    first_active: np.ndarray  # position at which the first active week was over; NaN for none
    last_active: np.ndarray
    first_row: np.ndarray  # the same of weeks with a usage row
    last_row: np.ndarray
    recent: np.ndarray  # (as_ofs, 2, companies), actions of the last ACCELERATION_WEEKS and of as many before
    log_actions: np.ndarray  # (as_ofs, TREND_WEEKS, companies), log(1 + actions) by week, oldest first


def weekly_usage(block: np.ndarray, layout: Layout) -> WeeklyUsage:
    """Count each week of a block, shape (companies, weeks, columns), and sum the weeks up to it."""
    companies, weeks, _ = block.shape
    columns = block.transpose(1, 2, 0)
    counts = np.zeros((weeks + 1, Counted.BY_MODULE.start + layout.modules, companies))
    # Exact in any order: sums of whole numbers.
    counts[1:, Counted.TOTALS] = (block[..., : layout.counts + 1] @ _totals(layout)).transpose(1, 2, 0)
    active = counts[:, Counted.ACTIVE]
    np.greater(active, 0.0, out=active)
    counts[1:, Counted.BY_MODULE] = columns[:, : layout.modules]
    most = np.zeros((weeks + 1, companies))
    # Rounding keeps the order, so the largest rounded number is the largest one rounded.
    users = np.zeros((weeks + 1, layout.users + 1, companies), dtype=np.float32)
    if layout.users:
        by_module = columns[:, layout.modules : layout.counts]
        np.maximum.reduce(by_module, axis=1, out=most[1:])
        users[1:, :-1] = by_module
        users[:, -1] = most
    return WeeklyUsage(counts, running_sums(counts), users, most)


@lru_cache
def _totals(layout: Layout) -> np.ndarray:
    """Return which columns of counts, and the marker of rows, each of `Counted.TOTALS` sums."""
    sums = np.zeros((layout.counts + 1, 4))
    sums[: layout.modules, Counted.ACTIONS] = 1.0
    sums[layout.modules : layout.counts, Counted.USERS] = 1.0
    sums[: layout.counts, Counted.ACTIVE] = 1.0  # of users too
    sums[layout.counts, Counted.ROWS] = 1.0
    return sums


def window_usage(weeks: WeeklyUsage, totals: np.ndarray, at: np.ndarray, windows: Windows) -> WindowUsage:
    """Compute sums and maxima of usage in each window and the lifetime, at each position ``at``.

    ``totals`` are those of `KnownUsage`.
    """
    # A window's sum is a difference of running sums, exact as all are whole numbers.
    begin = weeks.sums.take(back(at, windows.weeks), axis=0)
    sums = np.subtract(totals[:, None], begin, out=begin)
    return WindowUsage(sums, maxima(weeks.users, at, windows))


def known_usage(weeks: WeeklyUsage, at: np.ndarray) -> KnownUsage:
    """Compute what is known of the lifetime at each position ``at``."""
    happened = weeks.counts[:, Counted.ACTIVE_AND_ROWS] > 0
    (first_active, first_row), (last_active, last_row) = _first_and_last(happened, at)
    actions = weeks.sums[:, Counted.ACTIONS].take(back(at, _ACCELERATION_BACK), axis=0)
    return KnownUsage(
        at=at[:, None],
        totals=weeks.sums.take(at, axis=0),
        first_active=first_active,
        last_active=last_active,
        first_row=first_row,
        last_row=last_row,
        recent=actions[:, :-1] - actions[:, 1:],
        log_actions=log1p(weeks.counts[:, Counted.ACTIONS]).take(back(at, _TREND_BACK), axis=0),
    )


def lifetime_totals(usage: KnownUsage) -> LifetimeTotals:
    """Return the totals of the lifetime that is known at each ``as_of``, as a summary has them."""
    days_active = 7.0 * (usage.last_row - usage.first_row)
    rows = usage.totals[:, Counted.ROWS]
    return LifetimeTotals(
        actions=usage.totals[:, Counted.ACTIONS],
        users=usage.totals[:, Counted.USERS],
        days_active=days_active,
        activity_frequency=rows / (days_active + 1.0),
        seen=rows > 0,
    )


def back(at: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """Return the positions ``weeks`` before each position, at least 0; shape (positions, ...)."""
    return np.asarray(np.maximum(at.reshape(-1, *(1,) * weeks.ndim) - weeks, 0))


def running_sums(values: np.ndarray) -> np.ndarray:
    """Sum the values of all positions up to each, shape (positions, ..., companies), in their order."""
    return values.cumsum(axis=0)


def maxima(values: np.ndarray, at: np.ndarray, windows: Windows) -> np.ndarray:
    """Compute the maxima in each window and, last, the lifetime, at each position ``at``.

    Two overlapping spans whose length is a power of two cover any window; for each power (a level) the
    maxima of all positions come from the level before.

    Parameters
    ----------
    values
        Shape (positions, columns, companies).

    Returns
    -------
    numpy.ndarray, shape (as_ofs, windows + 1, columns, companies)
    """
    positions = len(values)
    levels = np.empty((windows.level_count + 1, *values.shape), dtype=values.dtype)
    levels[0] = values
    for level in range(1, windows.level_count):
        half = 2 ** (level - 1)
        narrow, wide = levels[level - 1], levels[level]
        wide[:half] = narrow[:half]
        np.maximum(narrow[half:], narrow[:-half], out=wide[half:])
    np.maximum.accumulate(values, axis=0, out=levels[windows.level_count])
    by_place = levels.reshape(-1, *values.shape[1:])
    place = back(at, windows.cover_weeks) + windows.levels * positions
    covers = by_place.take(place, axis=0)
    return np.asarray(np.maximum(covers[:, 0], covers[:, 1]))


def _first_and_last(happened: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first and the last position up to each ``at`` at which something happened; NaN for none.

    ``happened`` has shape (positions, things, companies), the results (things, as_ofs, companies).
    """
    positions = np.arange(len(happened))[:, None, None]
    last = np.maximum.accumulate(happened * positions, axis=0).take(at, axis=0)
    never = last == 0  # nothing happens at position 0
    first = np.where(never, np.nan, happened.argmax(axis=0))
    return first.transpose(1, 0, 2), np.where(never, np.nan, last).transpose(1, 0, 2)


def moving_averages(users: np.ndarray, at: np.ndarray, decays: np.ndarray) -> np.ndarray:
    """Compute exponentially weighted averages of weekly users; shape (as_ofs, half-lives, companies)."""
    # Week by week: the same bits whatever the block's first week is. A step reads contiguous memory.
    averages = users[:, None] * (1.0 - decays)[:, None]
    if averages.shape[2] == 1:
        # Python's floats are the same doubles, and a step costs far less than one with tiny arrays.
        weeks = averages[:, :, 0].T.tolist()
        sums = [_decayed_sums(*each) for each in zip(weeks, decays.tolist(), strict=True)]
        return np.array([[[each[position]] for each in sums] for position in at.tolist()])
    decayed = np.empty_like(averages[0])
    for before, now in pairwise(averages):
        np.multiply(before, decays[:, None], out=decayed)
        np.add(now, decayed, out=now)
    return np.asarray(averages.take(at, axis=0))


def _decayed_sums(weeks: list[float], decay: float) -> list[float]:
    return list(accumulate(weeks, lambda average, week: decay * average + week))
