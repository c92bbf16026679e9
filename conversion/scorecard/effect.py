"""What calling adds: companies offered for a call against companies held back by a draw.

The unit is a company, not its place on a list: who stands on six lists counts once, and so does its
conversion. A company enters with the first list on which it was within the cut while a draw decided, and is
followed for the horizon of that list. Whether it is offered follows from a hash of its id, so it is offered
on all its lists or on none. The effect is the share that converts of those offered, minus that of those held
back, whether or not anyone called them (intention to treat).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.delivery.statuses import BELOW, EXPLORED, LISTED, WITHIN_THE_CUT
from conversion.scorecard.intervals import (
    UNDEFINED,
    Interval,
    difference_interval,
    effective_number,
    share_interval,
)

NEEDED: Final = ("id", "as_of", "horizon_days", "status", "call_probability", "label", "converted")
"""Columns of the rows of all lists."""


class Group(NamedTuple):
    """Companies of which one share converted.

    Attributes
    ----------
    companies
        How many.
    conversions
        Of them, not weighted.
    rate
        The share, weighted by how likely a company was to be in the group.
    """

    companies: int
    conversions: int
    rate: Interval


class Contrast(NamedTuple):
    """Two groups, and the first one's share minus the second one's."""

    first: Group
    second: Group
    difference: Interval


def entries(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each company's first list on which it was within the cut while a draw decided.

    Companies that explorers called before are left out, and those that could have been stand in for them.

    Parameters
    ----------
    rows
        `NEEDED`, of all lists.

    Returns
    -------
    pandas.DataFrame
        Of lists whose horizon is over, and where the outcome is known: the rows, with ``offered`` and
        ``weight``, one over the probability of the group that the company is in.
    """
    drawn = rows[(rows["call_probability"] > 0) & (rows["call_probability"] < 1)]
    cut = drawn[drawn["status"].isin(WITHIN_THE_CUT)]
    first = cut.sort_values("as_of", kind="stable").drop_duplicates("id")
    pool = drawn[drawn["status"].isin((EXPLORED, BELOW)) & drawn["id"].isin(first["id"])]
    before = pool.merge(first[["id", "as_of", "call_probability"]], on="id", suffixes=("", "_entry"))
    before = before[before["as_of"] < before["as_of_entry"]]
    explored = before.loc[before["status"] == EXPLORED, "id"]
    # Explorers are drawn from companies that are not held back.
    not_drawn = 1 - before["call_probability"] / before["call_probability_entry"]
    passed = not_drawn.groupby(before["id"]).prod()
    found = first[first["label"].notna() & ~first["id"].isin(explored)]
    offered = found["status"].eq(LISTED)
    chance = found["call_probability"].where(offered, 1 - found["call_probability"])
    # Nobody held back is ever an explorer, so only the others had to be passed over.
    not_explored = found["id"].map(passed).astype(np.float64).fillna(1.0).where(offered, 1.0)
    return found.assign(offered=offered, weight=1 / (chance * not_explored))


def effect_of_offering(entered: pd.DataFrame) -> Contrast | None:
    """Compare the companies offered for a call with those held back (Hajek's weighted means).

    Parameters
    ----------
    entered
        From `entries`.

    Returns
    -------
    Contrast, or None where one of the groups is empty
    """
    return _contrast(entered, entered["offered"])


def effect_of_exploring(rows: pd.DataFrame) -> Contrast | None:
    """Compare explorers with the companies below the cut that could have been, list by list.

    Here a row is a company on a list, as each list draws anew. All rows of a company count as one in the
    interval.

    Parameters
    ----------
    rows
        `NEEDED`, of all lists.
    """
    chance = rows["call_probability"]
    drawn = (chance > 0) & (chance < 1) & rows["status"].isin((EXPLORED, BELOW)) & rows["label"].notna()
    pool = rows[drawn]
    explored = pool["status"].eq(EXPLORED)
    chance = pool["call_probability"].where(explored, 1 - pool["call_probability"])
    return _contrast(pool.assign(weight=1 / chance), explored)


def called_within(entered: pd.DataFrame, contacts: pd.DataFrame) -> pd.Series:
    """Return which companies were contacted within the horizon of their list, before they converted.

    Parameters
    ----------
    entered
        ``id``, ``as_of``, ``horizon_days`` and ``converted``.
    contacts
        Clean: ``id`` and ``when``.
    """
    until = entered["as_of"] + pd.to_timedelta(entered["horizon_days"], unit="D")
    windows = pd.DataFrame(
        {"id": entered["id"], "start": entered["as_of"], "end": until, "converted": entered["converted"]}
    )
    found = windows.merge(contacts[["id", "when"]], on="id")
    inside = (found["when"] >= found["start"]) & (found["when"] < found["end"])
    # A call after the conversion has not brought it about.
    called = found.loc[inside & ~(found["when"] > found["converted"]), "id"]
    return entered["id"].isin(called)


def first_listed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each company's first list on which it stood, of those whose outcome is known."""
    listed = rows[rows["status"] == LISTED].sort_values("as_of", kind="stable").drop_duplicates("id")
    return listed[listed["label"].notna()].assign(weight=1.0)


def called_against_not_called(listed: pd.DataFrame, contacts: pd.DataFrame) -> Contrast | None:
    """Compare who was called with who was not, as a report without a control group would.

    This is no effect of calling: reps choose whom to call, and who converts early is not called any more.

    Parameters
    ----------
    listed
        From `first_listed`.
    contacts
        Clean.
    """
    return _contrast(listed, called_within(listed, contacts))


def _contrast(rows: pd.DataFrame, is_first: pd.Series) -> Contrast | None:
    first, second = _group(rows[is_first]), _group(rows[~is_first])
    if not first.companies or not second.companies:
        return None
    return Contrast(first, second, difference_interval(first.rate, second.rate))


def _group(rows: pd.DataFrame) -> Group:
    if rows.empty:
        return Group(0, 0, UNDEFINED)
    rate = weighted_share(rows["label"], rows["weight"])
    by_company = rows["weight"].groupby(rows["id"]).sum()
    return Group(
        len(by_company), int(rows["label"].sum()), share_interval(rate, effective_number(by_company))
    )


def weighted_share(of: pd.Series, weight: pd.Series) -> float:
    """Return Hajek's mean: the weights in a group make up for who was likely to be in it."""
    weights = weight.to_numpy(dtype=np.float64)
    return float((weights * of.to_numpy(dtype=np.float64)).sum() / weights.sum())


def per_call(effect: Interval, called_more: float) -> Interval:
    """Return the effect of one call from that of offering: only those called in addition can gain.

    Parameters
    ----------
    effect
        Of offering.
    called_more
        The share called of those offered, minus that of those held back.
    """
    if called_more <= 0:
        return UNDEFINED
    return Interval(*(each / called_more for each in effect))
