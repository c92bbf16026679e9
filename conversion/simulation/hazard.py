"""What makes a company of the sample convert: its weekly hazard, and the true probabilities that follow.

The hazard
----------
Let k be a Monday 00:00, and let "known at k" mean the usage rows stamped before k. For a company let

- u(j) be the largest of its four ``USERS_*`` in the week stamped j weeks before k, 0 without a row;
- E = (1 - r) * sum over j >= 1 of r**(j - 1) * u(j), r = 2**(-1 / 6): users, half-life 6 weeks;
- M be how many modules had users in the 13 weeks before k, 0 to 4;
- S be 1 if it has a row known at k, else 0;
- F = S * 2**(-a / 6), a the weeks from the stamp of its first row to k;
- s be its ``EMPLOYEE_RANGE`` as 1 to 9, x the log10 of its ``ALEXA_RANK``, R 1 if the site is ranked, else 0.

The hazard of the week that starts at w follows from what was known at k = w - 4 weeks (buying takes a month;
before the export's first week nothing is known)::

    H(w) = exp(-6.75 + size + site + users + 0.4 * M + 1.2 * F - 1.0 * S + 0.45 * min(E, 1) * R)
    users = 2.2 * log(1 + 2 * min(E, 8))
    size = -0.13 * (s - 4.7)**2    or -2.0 if EMPLOYEE_RANGE is missing
    site = -0.40 * (x - 6.0)**2    or -1.3 if unranked, -1.5 if ALEXA_RANK is missing

A day takes a fixed share of its week's hazard, Monday to Sunday .10 .22 .20 .21 .20 .03 .04: a company that
has not converted before converts on that day with probability 1 - exp(-H(w) * share).

The truth
---------
The 30 days from a Monday T touch the weeks T to T + 28 days, whose hazards all follow from what is known at
T. So the true probability that a prospect at T converts within 30 days, given all that is known at T, is
exactly 1 - exp(-(H(T) + H(T + 7d) + H(T + 14d) + H(T + 21d) + .32 * H(T + 28d))).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.contract import ACTIONS, UNRANKED
from conversion.simulation.firms import Firms
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import exp, log1p, power
from conversion.stats.portable_math import log as ln

LAG_WEEKS: Final = 4
DAY_SHARES: Final = (0.10, 0.22, 0.20, 0.21, 0.20, 0.03, 0.04)
LAST_DAYS_SHARE: Final = DAY_SHARES[0] + DAY_SHARES[1]
"""Share of the fifth week's hazard that falls within 30 days."""


@dataclass
class Signals:
    """What the hazard sees of the usage exported so far: E, the first row's week, each module's last week."""

    users: Floats
    first_week: Ints
    last_used: Ints


def firm_log_hazard(size: Ints, rank: Ints) -> Floats:
    """Sum of the hazard's ``size`` and ``site`` terms (see the module's formula).

    Parameters
    ----------
    size
        1 to 9, 0 for missing.
    rank
        ``ALEXA_RANK``, 0 for missing.

    Returns
    -------
    ndarray
        One value a company.
    """
    size_term = np.where(size == 0, -2.0, -0.13 * (size - 4.7) ** 2)
    ranked = -0.40 * (ln(np.maximum(rank, 1)) / ln(10) - 6.0) ** 2
    site_term = np.where(rank == 0, -1.5, np.where(rank == UNRANKED, -1.3, ranked))
    return np.asarray(size_term + site_term)


def weekly_hazard(firms: Firms, signals: Signals, now: int) -> Floats:
    """Hazard H from the usage known at the start of week ``now`` (see the module's formula).

    Parameters
    ----------
    firms
        The companies.
    signals
        Their usage in the weeks before ``now``.
    now
        Weeks since the export's first.

    Returns
    -------
    ndarray
        One value a company: the hazard of the week that starts ``LAG_WEEKS`` later.
    """
    modules = (now - signals.last_used <= 13).sum(axis=1)
    weeks_since = now - signals.first_week
    freshness = np.where(weeks_since > 0, power(2, -np.maximum(weeks_since, 0) / 6), 0.0)
    ranked = (firms.rank > 0) & (firms.rank < UNRANKED)
    return np.asarray(
        exp(
            -6.75
            + firm_log_hazard(firms.size, firms.rank)
            + 2.2 * log1p(2 * np.minimum(signals.users, 8))
            + 0.4 * modules
            + 1.2 * freshness
            - 1.0 * (weeks_since > 0)
            + 0.45 * np.minimum(signals.users, 1) * ranked
        )
    )


def day_of_week(share: Floats) -> Ints:
    """Turn uniform draws into days of the week, 0 for Monday, by `DAY_SHARES`."""
    return np.searchsorted(np.cumsum(DAY_SHARES)[:-1], share, side="right").astype(np.int64)


def observe(signals: Signals, week: int, active: Ints, counts: Ints) -> None:
    """Update, in place, the signals that the hazard reads with the usage of one week."""
    users = counts[:, len(ACTIONS) :]
    keep = float(power(2, -1 / 6))
    signals.users *= keep
    signals.users[active] += (1 - keep) * users.max(axis=1)
    signals.first_week[active] = np.minimum(signals.first_week[active], week)
    signals.last_used[active] = np.where(users > 0, week, signals.last_used[active])


def truth_table(ids: Ints, hazards: Floats, close_day: Ints, start: np.datetime64) -> pd.DataFrame:
    """Make the table of true 30-day conversion probabilities.

    Parameters
    ----------
    ids
        Of the companies.
    hazards, close_day
        As `live` returns them.
    start
        The first week.

    Returns
    -------
    DataFrame
        Columns ``id``, ``as_of``, ``probability``, one row a prospect and ``as_of``, in that order.
    """
    weeks = len(hazards) - 1
    order = np.argsort(ids)
    # Nothing is known before the first week: its hazards stand for the weeks before.
    known = np.vstack([np.repeat(hazards[:1], LAG_WEEKS, axis=0), hazards])[:, order]
    total = LAST_DAYS_SHARE * known[LAG_WEEKS + 1 :]
    for lag in range(1, LAG_WEEKS + 1):
        total += known[LAG_WEEKS + 1 - lag : len(known) - lag]
    as_of = np.arange(1, weeks + 1)
    prospect = close_day[order] >= 7 * as_of[:, None]
    probability = np.round(1 - exp(-total[prospect]), 10)
    week, company = np.nonzero(prospect)
    mondays = (start + 7 * as_of).astype("datetime64[us]")
    return pd.DataFrame({"id": ids[order][company], "as_of": mondays[week], "probability": probability})
