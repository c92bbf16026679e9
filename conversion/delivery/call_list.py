"""Which companies to call this week: those at the top, but for a control group, and explorers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.deliver_params import Deliver
from conversion.delivery.statuses import BELOW, EXPLORED, HELD_BACK, LISTED, OBJECTED, SUPPRESSED
from conversion.stats.hashing import uniform_hash


@dataclass(frozen=True)
class Design:
    """How a call list is drawn.

    Attributes
    ----------
    calls
        Its length.
    holdout
        Share of companies that are held back.
    explore
        Share of the calls that go below the cut.
    explore_depth
        Explorers are drawn down to this rank, as a multiple of the calls.
    salt
        Another salt draws others.
    """

    calls: int
    holdout: float
    explore: float
    explore_depth: float
    salt: str

    @classmethod
    def of(cls, deliver: Deliver, calls: int) -> Design:
        """Return the design that params.yaml asks for."""
        return cls(calls, deliver.holdout, deliver.explore, deliver.explore_depth, deliver.salt)


def call_list(
    ids: pd.Series, as_of: dt.date, design: Design, suppressed: pd.Series, objected: pd.Series
) -> pd.DataFrame:
    """Draw the call list from ranked prospects.

    The list is filled from the top with eligible companies that are not in the control group. Whether a
    company is in it depends on its id and the salt alone, so it stays there from week to week. The explorers
    are drawn anew each week, from those below.

    Parameters
    ----------
    ids
        Of the prospects, by rank.
    as_of
        Moment of the list.
    design
        Of the draw.
    suppressed, objected
        Ids of companies that are not eligible.

    Returns
    -------
    pandas.DataFrame
        In the order of ``ids``: ``id``, ``status`` of `conversion.delivery.statuses.STATUSES`,
        ``call_probability`` and ``place``. The probability is by design, given who is above the cut:
        ``1 - holdout`` there; below it the share of explorers, as far down as they are drawn; else 0.
    """
    never, waits = ids.isin(objected).to_numpy(), ids.isin(suppressed).to_numpy()
    eligible = ~never & ~waits
    control = uniform_hash(ids, design.salt, seed=0) < design.holdout
    within_reach = np.arange(1, len(ids) + 1) <= design.explore_depth * design.calls
    explorers = round(design.explore * design.calls)
    while True:
        cut = _cut(eligible & ~control, design.calls - explorers)
        below = np.arange(len(ids)) >= cut
        pool = eligible & below & within_reach
        if explorers <= (available := int((pool & ~control).sum())):
            break
        explorers = available
    listed = eligible & ~below & ~control
    explored = _smallest(
        uniform_hash(ids, as_of.isoformat(), design.salt, seed=1), pool & ~control, explorers
    )
    status = np.select(
        [never, waits, listed, explored, eligible & ~below],
        [OBJECTED, SUPPRESSED, LISTED, EXPLORED, HELD_BACK],
        BELOW,
    )
    # Also of the last one above the cut, although the walk always ends with a listed company: whether the
    # walk gets as far as a company depends on the draws of those before it, not on its own.
    probability = np.where(eligible & ~below, 1.0 - design.holdout, 0.0)
    probability[pool] = explorers / max(int(pool.sum()), 1)
    return pd.DataFrame(
        {
            "id": ids.array,
            "status": pd.Series(status, dtype="str"),
            "call_probability": probability,
            "place": _places(listed, explored),
        }
    )


def _cut(offered: NDArray[np.bool_], wanted: int) -> int:
    """Return how many rows to walk down until as many as wanted were offered; all where they are fewer."""
    places = np.flatnonzero(offered)
    if wanted == 0:
        return 0
    return int(places[wanted - 1]) + 1 if wanted <= len(places) else len(offered)


def _smallest(draws: NDArray[np.float64], pool: NDArray[np.bool_], wanted: int) -> NDArray[np.bool_]:
    """Choose the rows of the pool with the smallest draws."""
    candidates = np.flatnonzero(pool)
    chosen = np.zeros(len(pool), dtype=bool)
    chosen[candidates[np.argsort(draws[candidates], kind="stable")[:wanted]]] = True
    return chosen


def _places(listed: NDArray[np.bool_], explored: NDArray[np.bool_]) -> pd.Series:
    """Return the places on the call list: those listed by rank, then the explorers by rank."""
    places = np.zeros(len(listed), dtype=np.int64)
    order = [*np.flatnonzero(listed), *np.flatnonzero(explored)]
    places[order] = np.arange(1, len(order) + 1)
    return pd.Series(places, dtype="Int64").mask(places == 0)
