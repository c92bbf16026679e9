"""Usage as a block companies x weeks x measures, and the sums, maxima and averages over its weeks."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.contract import ACTIONS, MEASURES, MODULES, USERS
from conversion.features.definitions import LifetimeTotals, Plan
from conversion.stats.portable_math import log1p

TREND_WEEKS: Final = 13
ACCELERATION_WEEKS: Final = 4
ROWS: Final = "ROWS"
BLOCK_COLUMNS: Final = (*MEASURES, ROWS)
"""Last axis of a usage block: a week's measures, and 1 if the week has a usage row (even one of zeros)."""
EVER: Final = 1 << 31  # weeks: longer than any usage
_ACCELERATION_BACK: Final = np.array([0, 1, 2]) * ACCELERATION_WEEKS
_TREND_BACK: Final = np.arange(TREND_WEEKS)[::-1]


def usage_block(ids: np.ndarray, usage: pd.DataFrame, positions: np.ndarray, weeks: int) -> np.ndarray:
    """Return usage as companies x weeks x `BLOCK_COLUMNS`, without the rows of later weeks."""
    block = np.zeros((len(ids), weeks, len(BLOCK_COLUMNS)))
    known = positions < weeks
    row = np.searchsorted(ids, usage["id"].to_numpy()[known])
    block[row, positions[known], : len(MEASURES)] = usage[list(MEASURES)].to_numpy()[known]
    block[row, positions[known], len(MEASURES)] = 1.0
    return block


class Counted:
    """Positions of a week's counts, and of their sums over weeks, on the last axis."""

    BY_MODULE: Final = slice(0, len(MODULES))  # actions
    ACTIONS, USERS, ACTIVE, ROWS = range(len(MODULES), len(MODULES) + 4)
    ACTIVE_AND_ROWS: Final = slice(ACTIVE, ROWS + 1)


# The columns of a block that each count sums; any measure makes a week active.
_COUNTED: Final = np.array(
    [
        [
            *(name == action for action in ACTIONS),
            name in ACTIONS,
            name in USERS,
            name in MEASURES,
            name == ROWS,
        ]
        for name in BLOCK_COLUMNS
    ],
    dtype=np.float64,
)


class WeeklyUsage(NamedTuple):
    """Usage by position: position t holds week t - 1, the last one known at t; position 0 a week of zeros."""

    counts: np.ndarray  # (companies, positions, `Counted`)
    sums: np.ndarray  # the counts of all weeks up to the position
    users: np.ndarray  # (companies, positions, modules + 1), users by module, then the most of any module


class WindowUsage(NamedTuple):
    """Usage in each window and, last, the lifetime; shape (companies, as_ofs, windows + 1)."""

    sums: np.ndarray  # (..., `Counted`)
    users_max_by_module: np.ndarray  # (..., modules)
    users_max: np.ndarray


class KnownUsage(NamedTuple):
    """Usage known at each ``as_of``; shape (companies, as_ofs) unless noted otherwise."""

    at: np.ndarray  # (as_ofs,), the positions
    totals: np.ndarray  # (..., `Counted`)
    first_active: np.ndarray  # position at which the first active week was over; NaN for none
    last_active: np.ndarray
    first_row: np.ndarray  # the same of weeks with a usage row
    last_row: np.ndarray
    recent: np.ndarray  # actions of the last ACCELERATION_WEEKS
    earlier: np.ndarray  # actions of as many weeks before
    log_actions: np.ndarray  # (companies, as_ofs, TREND_WEEKS), log(1 + actions) of each week, oldest first


def weekly_usage(block: np.ndarray) -> WeeklyUsage:
    """Count each week of a block, shape (companies, weeks, `BLOCK_COLUMNS`), and sum the weeks up to it."""
    companies, weeks, _ = block.shape
    counts = np.zeros((companies, weeks + 1, _COUNTED.shape[1]))
    np.matmul(block, _COUNTED, out=counts[:, 1:])  # exact: sums of whole numbers
    counts[..., Counted.ACTIVE] = counts[..., Counted.ACTIVE] > 0
    users = np.zeros((companies, weeks + 1, len(MODULES) + 1))
    by_module = users[:, 1:, :-1]
    by_module[:] = block[:, :, len(ACTIONS) : len(MEASURES)]
    by_module.max(axis=2, out=users[:, 1:, -1])
    return WeeklyUsage(counts, counts.cumsum(axis=1), users)


def window_usage(weeks: WeeklyUsage, at: np.ndarray, plan: Plan) -> WindowUsage:
    """Compute sums and maxima of usage in each window and the lifetime, at each position ``at``."""
    # A window's sum is a difference of running sums, exact as all are whole numbers.
    begin = weeks.sums.take(_back(at, plan.window_weeks), axis=1)
    sums = weeks.sums.take(at, axis=1)[:, :, None] - begin
    users_max = _maxima(weeks.users, at, plan)
    return WindowUsage(sums, users_max[..., :-1], users_max[..., -1])


def known_usage(weeks: WeeklyUsage, at: np.ndarray) -> KnownUsage:
    """Compute what is known of the lifetime at each position ``at``."""
    happened = weeks.counts[..., Counted.ACTIVE_AND_ROWS] > 0
    (first_active, first_row), (last_active, last_row) = _first_and_last(happened, at)
    actions = weeks.sums[..., Counted.ACTIONS].take(_back(at, _ACCELERATION_BACK), axis=1)
    now, half, before = actions.transpose(2, 0, 1)
    return KnownUsage(
        at=at,
        totals=weeks.sums.take(at, axis=1),
        first_active=first_active,
        last_active=last_active,
        first_row=first_row,
        last_row=last_row,
        recent=now - half,
        earlier=half - before,
        log_actions=log1p(weeks.counts[..., Counted.ACTIONS]).take(_back(at, _TREND_BACK), axis=1),
    )


def lifetime_totals(usage: KnownUsage) -> LifetimeTotals:
    """Return the totals of the lifetime that is known at each ``as_of``, as a summary has them."""
    days_active = 7.0 * (usage.last_row - usage.first_row)
    rows = usage.totals[..., Counted.ROWS]
    return LifetimeTotals(
        actions=usage.totals[..., Counted.ACTIONS],
        users=usage.totals[..., Counted.USERS],
        days_active=days_active,
        activity_frequency=rows / (days_active + 1.0),
        seen=rows > 0,
    )


def _back(at: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """Return the positions ``weeks`` before each position, at least 0; shape (positions, *weeks)."""
    return np.asarray(np.maximum(at.reshape(-1, *(1,) * weeks.ndim) - weeks, 0))


def _first_and_last(happened: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first and the last position up to each ``at`` at which something happened; NaN for none.

    ``happened`` has shape (companies, positions, things), the results (things, companies, as_ofs).
    """
    positions = np.arange(happened.shape[1])[:, None]
    last = np.maximum.accumulate(happened * positions, axis=1).take(at, axis=1)
    never = last == 0  # nothing happens at position 0
    first = np.where(never, np.nan, happened.argmax(axis=1)[:, None])
    return first.transpose(2, 0, 1), np.where(never, np.nan, last).transpose(2, 0, 1)


def _maxima(users: np.ndarray, at: np.ndarray, plan: Plan) -> np.ndarray:
    """Compute the maxima in each window and, last, the lifetime.

    The shape is (companies, as_ofs, windows + 1, columns of ``users``).

    Two overlapping windows whose length is a power of two cover any window; for each power (a level) the
    maxima of all positions come from the level before.
    """
    companies, positions, columns = users.shape
    maxima = np.empty((companies, plan.levels + 1, positions, columns))
    maxima[:, 0] = users
    for level in range(1, plan.levels):
        half = 2 ** (level - 1)
        narrow, wide = maxima[:, level - 1], maxima[:, level]
        wide[:, :half] = narrow[:, :half]
        np.maximum(narrow[:, half:], narrow[:, :-half], out=wide[:, half:])
    np.maximum.accumulate(users, axis=1, out=maxima[:, plan.levels])
    by_place = maxima.reshape(companies, (plan.levels + 1) * positions, columns)
    place = _back(at, plan.cover_weeks) + plan.window_levels * positions
    late, early = by_place.take(place, axis=1).transpose(2, 0, 1, 3, 4)
    return np.asarray(np.maximum(late, early))


def moving_averages(users: np.ndarray, at: np.ndarray, plan: Plan) -> np.ndarray:
    """Compute exponentially weighted averages of weekly users; shape (companies, as_ofs, half-lives)."""
    # Week by week: the same bits whatever the block's first week is. A step reads contiguous memory.
    averages = np.multiply(users.T[:, :, None], 1.0 - plan.decays, order="C")
    if len(users) == 1:
        # Python's floats are the same doubles, and a step costs far less than one with tiny arrays.
        for place, decay in enumerate(plan.decays.tolist()):
            averages[:, 0, place] = _decayed_sums(averages[:, 0, place].tolist(), decay)
    else:
        decayed = np.empty_like(averages[0])
        for before, now in pairwise(averages):
            np.multiply(before, plan.decays, out=decayed)
            np.add(now, decayed, out=now)
    return np.asarray(averages.take(at, axis=0).transpose(1, 0, 2))


def _decayed_sums(weeks: list[float], decay: float) -> list[float]:
    return list(accumulate(weeks, lambda average, week: decay * average + week))
