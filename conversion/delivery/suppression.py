"""Companies that stay off the call list for a time, because the team has contacted them."""

from __future__ import annotations

from typing import Final

import pandas as pd

from conversion.config.deliver_params import Suppress

WHY: Final = ("refused", "talking", "called")
"""Why a company is suppressed; of several for the same time, the first."""
DAY: Final = pd.Timedelta(days=1)


def suppressed(contacts: pd.DataFrame, as_of: pd.Timestamp, suppress: Suppress) -> pd.DataFrame:
    """Return the companies that stay off the list of ``as_of``, and until when.

    The weeks of a contact begin when its day is over, and its company may be on a list again once they have
    passed. Of several contacts, the one that keeps the company off for the longest time counts: a call that
    nobody answered ends no refusal.

    Parameters
    ----------
    contacts
        Clean: ``id``, ``when`` and ``meaning``.
    as_of
        The list's moment; contacts of that day and later are not known.
    suppress
        Weeks, of ``deliver.suppress``.

    Returns
    -------
    pandas.DataFrame
        Sorted by ``id``: ``id``, ``until`` (the first ``as_of`` that may list it, if it is a Monday), and
        ``why``: one of `WHY`.
    """
    known = contacts[contacts["when"] < as_of]
    weeks = {
        "refused": suppress.refused_weeks,
        "talking": suppress.talking_weeks,
        "called": suppress.called_weeks,
    }
    spells = []
    for why in WHY:
        rows = known if why == "called" else known[known["meaning"] == why]
        until = rows["when"] + DAY + pd.Timedelta(weeks=weeks[why])
        # Without weeks, not even the day after the contact is suppressed.
        if weeks[why]:
            spells.append(pd.DataFrame({"id": rows["id"], "until": until, "why": why}))
    if not spells:
        return pd.DataFrame({"id": contacts["id"][:0], "until": contacts["when"][:0]}).assign(
            why=pd.Series(dtype="str")
        )
    every = pd.concat(spells, ignore_index=True)
    still = every[every["until"] > as_of]
    order = still["why"].map({why: place for place, why in enumerate(WHY)})
    longest = still.assign(order=order).sort_values(["id", "until", "order"], ascending=[True, False, True])
    return longest.drop_duplicates("id")[["id", "until", "why"]].reset_index(drop=True).astype({"why": "str"})
