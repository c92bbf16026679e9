"""Why a call list cannot be split among reps, and which rule to relax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, maximum_flow

from conversion.delivery.reps import Rep, Reps, RepsError
from conversion.stats.numeric import Bools, Ints

MOST_NAMED: Final = 5  # companies or reps in one message


def require_feasible(
    listed: pd.DataFrame, reps: Reps, allowed: Bools, owned: Bools, owner: str | None
) -> None:
    """Raise an error if the companies are too many for the reps who may call them.

    By Hall's theorem a split exists unless some companies have, together, too little capacity. The cut of a
    maximal flow finds such companies: those that the remaining ones without a rep compete with.

    Parameters
    ----------
    listed
        The call list.
    reps
        Who calls.
    allowed, owned
        For each company and rep, whether the rep may call it, and whether because of owning it.
    owner
        The column of the owner.

    Raises
    ------
    RepsError
        One line for each group of companies: how many, who may call them and why, and what to change.
    """
    if len(listed) > reps.calls:
        raise RepsError(
            f"{reps.source}: the call list has {len(listed)} companies, the reps together have a capacity of "
            f"{reps.calls}: raise capacities by {len(listed) - reps.calls}, or call fewer"
        )
    nobody = np.flatnonzero(~allowed.any(axis=1))
    faults = [_nobody(listed.iloc[nobody], reps)] if len(nobody) else []
    for companies, who in _crowded(allowed, np.array([rep.capacity for rep in reps.all])):
        by_owner = int(owned[companies].any(axis=1).sum())
        faults.append(_too_many(len(companies), by_owner, [reps.all[each] for each in who], owner))
    if faults:
        raise RepsError("\n".join(f"{reps.source}: {fault}" for fault in faults))


def _crowded(allowed: Bools, capacity: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Find companies that are more than their reps can call; in groups that share no rep."""
    served, left = _flow(allowed, capacity)
    companies = allowed.any(axis=1) & ~served.any(axis=1)
    if not companies.any():
        return
    # Those without a rep compete with the companies of every rep whom they may have, and so on.
    while True:
        full = allowed[companies].any(axis=0)
        more = companies | served[:, full].any(axis=1)
        if np.array_equal(more, companies):
            break
        companies = more
    assert not left[full].any(), "a larger flow exists"
    inside = np.flatnonzero(companies)
    shares = csr_array(allowed[inside].astype(np.int64).T @ allowed[inside].astype(np.int64))
    _, group = connected_components(shares, directed=False)
    of_company = group[allowed[inside].argmax(axis=1)]
    for each in np.unique(of_company):
        who = np.flatnonzero((group == each) & full)
        yield inside[of_company == each], who


def _flow(allowed: Bools, capacity: Ints) -> tuple[Bools, Ints]:
    """Give as many companies a rep as possible; also return the capacity that is left."""
    companies, reps = allowed.shape
    company, rep = np.nonzero(allowed)
    source, sink = companies + reps, companies + reps + 1
    begins = np.concatenate([np.full(companies, source), company, companies + np.arange(reps)])
    ends = np.concatenate([np.arange(companies), companies + rep, np.full(reps, sink)])
    limits = np.concatenate([np.ones(companies + len(company)), np.minimum(capacity, companies)])
    graph = csr_array(coo_array((limits.astype(np.int32), (begins, ends)), shape=(sink + 1, sink + 1)))
    flow = maximum_flow(graph, source, sink).flow.tocsr()
    served = flow[:companies, companies:source].toarray() > 0
    return served, np.minimum(capacity, companies) - served.sum(axis=0)


def _nobody(listed: pd.DataFrame, reps: Reps) -> str:
    """Describe the companies that are in no territory."""
    columns = sorted({column for rep in reps.all for column in rep.territory})
    first = [
        f"{row['id']} ({', '.join(f'{name}: {_shown(row[name])}' for name in columns)})"
        for _, row in listed.head(MOST_NAMED).iterrows()
    ]
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return (
        f"{_companies(len(listed))} of the call list {'is' if len(listed) == 1 else 'are'} in no rep's "
        f"territory: {', '.join(first)}{more}; add the values to a rep's row, or leave "
        f"{' and '.join(columns)} empty in one"
    )


def _shown(value: object) -> str:
    return "missing" if pd.isna(value) else str(value)  # type: ignore[call-overload]  # of one cell


def _too_many(companies: int, by_owner: int, who: list[Rep], owner: str | None) -> str:
    """Describe companies that only some reps may call, who have too little capacity together."""
    names = [rep.name for rep in who]
    capacity = sum(rep.capacity for rep in who)
    many = len(names) > MOST_NAMED
    shown = f"{len(names)} reps ({', '.join(names[:3])}, ...)" if many else " and ".join(names)
    one = len(who) == 1
    have = f"who has a capacity of {capacity}" if one else f"who have a capacity of {capacity} together"
    missing = companies - capacity
    # Capacity that is only added makes the list longer, by companies that may be theirs again.
    ways = [f"give {'this rep' if one else 'them'} {missing} of the other reps' capacity"]
    if by_owner == companies:
        why = f"owner, column {owner}"
        ways.append(f"give {missing} of them another {owner}, or set deliver.owner to null")
    elif by_owner:
        why = f"{by_owner} by owner, column {owner}, {companies - by_owner} by territory"
        ways.append("widen another rep's territory, or set deliver.owner to null")
    else:
        why = "territory"
        ways.append("widen another rep's territory")
    return (
        f"{_companies(companies)} of the call list may only be called by {shown} ({why}), {have}: "
        f"{', or '.join(ways)}"
    )


def _companies(number: int) -> str:
    return "1 company" if number == 1 else f"{number} companies"
