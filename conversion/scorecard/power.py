"""How small an effect of calling a control group shows, and how many weeks that takes.

A week's list brings few new companies: most of it stood on the last one. The new ones are what the
comparison of `conversion.scorecard.effect` grows by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.scorecard.intervals import Z95

Z80: Final = 0.8416212335729143
"""The 80 % quantile of the normal distribution."""
WEEKS: Final = (4, 8, 13, 26, 52, 104)
SHARES: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
EFFECTS: Final = (0.02, 0.05, 0.1, 0.2)
"""Effects in conversions a company, of which the weeks are given."""
MOST_WEEKS: Final = 520


class Lists(NamedTuple):
    """What the weekly lists are like.

    Attributes
    ----------
    calls
        Companies called from a list.
    fresh
        Companies of a list that stood on none before it, on average.
    base_rate
        Share of companies that convert within the horizon of their first list.
    weeks
        Lists that this was seen on.
    """

    calls: int
    fresh: float
    base_rate: float
    weeks: int


def lists_of(first_calls: pd.DataFrame) -> Lists | None:
    """Describe lists from whom they named.

    Parameters
    ----------
    first_calls
        One row a list and company that was called from it: ``id``, ``as_of``, ``label`` (NaN: not known).

    Returns
    -------
    Lists, or None where no outcome is known, or of a single list: it does not show how fast names change
    """
    weeks = first_calls["as_of"].nunique()
    first = first_calls.sort_values("as_of", kind="stable").drop_duplicates("id")
    known = first["label"].dropna()
    if weeks < 2 or known.empty:
        return None
    calls = len(first_calls) / weeks
    later = first["as_of"] > first["as_of"].min()
    return Lists(round(calls), float(later.sum()) / (weeks - 1), float(known.mean()), int(weeks))


def companies_after(lists: Lists, weeks: int, share: float) -> float:
    """Return how many companies a number of weekly lists brings within the cut.

    The cut goes deeper by what is held back, so that as many are called.
    """
    return (lists.calls + (weeks - 1) * lists.fresh) / (1 - share)


def smallest_effect(companies: float, share: float, base_rate: float) -> float | None:
    """Return the least gain in the conversion rate that is seen with 80 % power, at 5 % and two-sided.

    Parameters
    ----------
    companies
        Within the cut.
    share
        Held back.
    base_rate
        Of those held back.

    Returns
    -------
    float, or None if no gain is large enough

    Examples
    --------
    >>> round(smallest_effect(2000, 0.5, 0.1), 4)
    0.0407
    """
    low, high = 0.0, 1 - base_rate
    if high <= 0 or not _is_seen(high, companies, share, base_rate):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if _is_seen(middle, companies, share, base_rate):
            high = middle
        else:
            low = middle
    return high


def _is_seen(effect: float, companies: float, share: float, base_rate: float) -> bool:
    offered = base_rate + effect
    of_offered = offered * (1 - offered) / (companies * (1 - share))
    of_control = base_rate * (1 - base_rate) / (companies * share)
    return effect >= (Z95 + Z80) * float(np.sqrt(of_offered + of_control))


def weeks_for(effect: float, lists: Lists, share: float) -> int | None:
    """Return how many weekly lists it takes to see an effect; None if more than `MOST_WEEKS`."""
    if effect > 1 - lists.base_rate:
        return None
    if not _is_seen(effect, companies_after(lists, MOST_WEEKS, share), share, lists.base_rate):
        return None
    low, high = 0, MOST_WEEKS
    while high - low > 1:
        middle = (low + high) // 2
        if _is_seen(effect, companies_after(lists, middle, share), share, lists.base_rate):
            high = middle
        else:
            low = middle
    return high


def effects_table(lists: Lists, weeks: Sequence[int], shares: Sequence[float]) -> list[list[float | None]]:
    """Return the smallest effect for each number of weeks, by the share held back."""
    return [
        [smallest_effect(companies_after(lists, each, share), share, lists.base_rate) for share in shares]
        for each in weeks
    ]


def weeks_table(lists: Lists, effects: Sequence[float], shares: Sequence[float]) -> list[list[int | None]]:
    """Return the number of weeks for each effect, by the share held back."""
    return [[weeks_for(effect, lists, share) for share in shares] for effect in effects]
