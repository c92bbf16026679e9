"""What became of the calls of lists: who was reached, how soon, and whom reps chose themselves."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from pydantic import Field

from conversion.config.param_types import Section
from conversion.data.timeline import WEEK
from conversion.delivery.statuses import CALLED

REACHED: Final = ("talking", "refused", "reached")
"""Meanings of outcomes where somebody answered."""
NEEDED: Final = ("id", "as_of", "status", "tier", "label")
"""Columns of the rows of lists."""


class Reach(Section):
    """How many of the companies on call lists were called, and reached, in the week of their list."""

    listed: int = Field(description="companies on call lists, once a list")
    called: int = Field(description="of them, contacted within the week of the list")
    reached: int = Field(description="of them, those of whom somebody answered")
    called_rate: float | None = Field(description="called over listed; None: none was listed")
    reach_rate: float | None = Field(description="reached over called; None: none was called")
    days_to_first_touch: float | None = Field(
        description="median of the days from the list's as_of to the first contact; None: none was called"
    )


class Override(Section):
    """Where the team and the list differ, in one tier."""

    tier: str = Field(description="of the list")
    listed: int = Field(description="companies on call lists, once a list")
    not_called: int = Field(description="of them, not contacted within the week of the list")
    not_called_rate: float | None = Field(description="not called over listed; None: none was listed")
    contacted: int = Field(description="companies contacted in the week of a list, once a list")
    not_listed: int = Field(description="of them, not on its call list")
    override_rate: float | None = Field(description="not listed over contacted; None: none was contacted")


class Called(Section):
    """Companies on call lists that were called, or were not, and the conversions of both."""

    companies: int = Field(description="once a list, of lists whose outcome is known")
    conversions: int = Field(description="of them within the horizon")
    share: float | None = Field(description="that converted; None: no companies")


class CalledOrNot(Section):
    """Not an effect of calling: reps choose whom they call."""

    called: Called
    not_called: Called


def first_touches(rows: pd.DataFrame, contacts: pd.DataFrame) -> pd.DataFrame:
    """Add to rows of lists the contacts in the week that begins at their ``as_of``.

    Parameters
    ----------
    rows
        ``id`` and ``as_of``, one row a company and list.
    contacts
        Clean: ``id``, ``when`` and ``meaning``.

    Returns
    -------
    pandas.DataFrame
        The rows with ``days`` (to the first contact, 0 to 6; NaN: none) and ``reached`` (whether somebody
        answered one of them).
    """
    keys = pd.DataFrame({"row": np.arange(len(rows)), "id": rows["id"].array, "as_of": rows["as_of"].array})
    found = keys.merge(contacts[["id", "when", "meaning"]], on="id")
    found = found[(found["when"] >= found["as_of"]) & (found["when"] < found["as_of"] + WEEK)]
    days = (found["when"] - found["as_of"]).dt.days.groupby(found["row"]).min()
    answered = found.loc[found["meaning"].isin(REACHED), "row"].unique()
    return rows.assign(
        days=days.reindex(keys["row"]).to_numpy(dtype=np.float64),
        reached=keys["row"].isin(answered).to_numpy(),
    )


def reach(rows: pd.DataFrame, contacts: pd.DataFrame) -> Reach:
    """Count who of the call lists was called and reached in the week of the list, and how soon.

    Parameters
    ----------
    rows
        `NEEDED`, of all companies of the lists; of lists whose week is over.
    contacts
        Clean.
    """
    touched = first_touches(rows[rows["status"].isin(CALLED)], contacts)
    called = touched["days"].notna()
    reached = int(touched["reached"].sum())
    return Reach(
        listed=len(touched),
        called=int(called.sum()),
        reached=reached,
        called_rate=_share(int(called.sum()), len(touched)),
        reach_rate=_share(reached, int(called.sum())),
        days_to_first_touch=float(touched["days"].median()) if called.any() else None,
    )


def overrides(rows: pd.DataFrame, contacts: pd.DataFrame) -> tuple[Override, ...]:
    """Count by tier the companies on the list that were not called, and those called that were not on it.

    Contacts with companies that were no prospects, such as customers, count for nothing.

    Parameters
    ----------
    rows
        `NEEDED`, of all companies of the lists, best tier first; of lists whose week is over.
    contacts
        Clean.
    """
    touched = first_touches(rows, contacts)
    found = []
    for tier in touched["tier"].drop_duplicates():
        own = touched[touched["tier"] == tier]
        listed, called = own["status"].isin(CALLED), own["days"].notna()
        found.append(
            Override(
                tier=str(tier),
                listed=int(listed.sum()),
                not_called=int((listed & ~called).sum()),
                not_called_rate=_share(int((listed & ~called).sum()), int(listed.sum())),
                contacted=int(called.sum()),
                not_listed=int((called & ~listed).sum()),
                override_rate=_share(int((called & ~listed).sum()), int(called.sum())),
            )
        )
    return tuple(found)


def called_or_not(rows: pd.DataFrame, contacts: pd.DataFrame) -> CalledOrNot:
    """Count the conversions of the companies on call lists that were called in its week, and of the others.

    Parameters
    ----------
    rows
        `NEEDED`; ``label`` is 1 or 0, NaN where it is not known, and then the row counts for nothing.
    contacts
        Clean.
    """
    known = rows[rows["status"].isin(CALLED) & rows["label"].notna()]
    touched = first_touches(known, contacts)
    called = touched["days"].notna()
    return CalledOrNot(called=_called(touched[called]), not_called=_called(touched[~called]))


def _called(rows: pd.DataFrame) -> Called:
    conversions = int((rows["label"] == 1).sum())
    return Called(companies=len(rows), conversions=conversions, share=_share(conversions, len(rows)))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
