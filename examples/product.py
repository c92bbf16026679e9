"""What happens at the accounts of an example product: they sign up, use its modules, and some begin to pay.

Usage and conversions are those of the sample export (`conversion.simulation.hazard` has the formula of the
hazard). The examples add days of sign-up, and write all of it as the tables of other products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.simulation.behaviour import NEVER
from conversion.simulation.firms import draw_firms
from conversion.simulation.sample import draw_weeks
from conversion.stats.numeric import Bools, Floats, Ints

MODULES: Final = 4
ALREADY_THERE_WEEKS: Final = 4
"""Accounts whose usage begins in one of the first weeks signed up before the export begins."""
MOST_DAYS_BEFORE: Final = 360
"""Longest time before the export in which an account signed up."""
DAY_SHARES: Final = (0.19, 0.20, 0.20, 0.18, 0.14, 0.04, 0.05)
"""Share of a week's usage on each day, from Monday on."""
HEAD_COUNTS: Final = (1, 2, 6, 11, 26, 51, 201, 1001, 10_001, 40_000)
"""Least head count of each size from 1 to 9, and the largest of all."""


@dataclass(frozen=True)
class History:
    """What happened at each account and in each of its weeks with usage; days and weeks since the start.

    Attributes
    ----------
    size
        1 to 9, 0 for unknown.
    ranked
        Whether the account has a site that is known.
    signed_up
        Day of sign-up, negative before the export.
    converted
        Day of the first payment, `NEVER` for none.
    account, week
        Position of the account and the week of each row of usage.
    actions, users
        Counts of each row by module.
    """

    size: Ints
    ranked: Bools
    signed_up: Ints
    converted: Ints
    account: Ints
    week: Ints
    actions: Ints
    users: Ints


def draw_history(accounts: int, weeks: int, rng: np.random.Generator) -> History:
    """Draw what happens at the accounts in the weeks of an export.

    Parameters
    ----------
    accounts, weeks
        Size of the export.
    rng
        Source of randomness.
    """
    firms = draw_firms(accounts, rng)
    usage, _, converted = draw_weeks(firms, weeks, rng)
    account, week = usage["company"].to_numpy(), usage["week"].to_numpy()
    counts = usage.drop(columns=["company", "week"]).to_numpy()
    first_week = np.full(accounts, NEVER)
    np.minimum.at(first_week, account, week)
    return History(
        size=firms.size,
        ranked=(firms.rank > 0) & (firms.rank < firms.rank.max()),
        signed_up=_draw_sign_ups(first_week, converted, weeks, rng),
        converted=converted,
        account=account,
        week=week,
        actions=counts[:, :MODULES],
        users=counts[:, MODULES:],
    )


def _draw_sign_ups(first_week: Ints, converted: Ints, weeks: int, rng: np.random.Generator) -> Ints:
    """Draw days of sign-up: in the first week with usage, and not after the conversion."""
    accounts = len(first_week)
    in_week: Ints = 7 * first_week + rng.choice(7, accounts, p=DAY_SHARES)
    before = -rng.integers(1, MOST_DAYS_BEFORE, accounts)
    # Who never uses the product may have signed up at any time.
    any_day = rng.integers(-MOST_DAYS_BEFORE, 7 * weeks, accounts)
    day = np.select([first_week == NEVER, first_week < ALREADY_THERE_WEEKS], [any_day, before], in_week)
    return np.asarray(np.where(day > converted, converted - rng.integers(0, 30, accounts), day))


def draw_days(history: History, rows: Ints, rng: np.random.Generator) -> Ints:
    """Draw a day for each use in the given rows of usage: of the row's week, and not before the sign-up."""
    monday = 7 * history.week[rows]
    day = monday + rng.choice(7, len(rows), p=DAY_SHARES)
    return np.asarray(np.maximum(day, history.signed_up[history.account[rows]]))


def draw_head_counts(size: Ints, rng: np.random.Generator) -> pd.Series:
    """Draw head counts within the ranges of the sizes; missing for size 0."""
    edges = np.asarray(HEAD_COUNTS)
    low = edges[np.maximum(size - 1, 0)]
    high = np.where(size == 9, edges[-1] + 1, edges[np.maximum(size, 1)])
    return pd.Series(rng.integers(low, high), dtype="Int64").mask(pd.Series(size == 0))


def zipf(levels: int) -> Floats:
    """Return shares that fall from level to level."""
    weights = 1 / np.arange(2, levels + 2)
    return np.asarray(weights / weights.sum())


def as_days(day: Ints, start: np.datetime64) -> pd.Series:
    """Write days since the start as dates; missing from `NEVER` on."""
    known = day < NEVER
    dates = pd.Series(start + np.where(known, day, 0)).dt.strftime("%Y-%m-%d")
    written: pd.Series = dates.where(pd.Series(known))
    return written
