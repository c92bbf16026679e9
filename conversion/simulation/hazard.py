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

from conversion.simulation.behaviour import NEVER
from conversion.simulation.firms import Firms
from conversion.simulation.vocabulary import ACTIONS, MODULES, UNRANKED
from conversion.stats.numeric import Bools, Floats, Ints
from conversion.stats.portable_math import exp, log1p, power
from conversion.stats.portable_math import log as ln

LAG_WEEKS: Final = 4
"""Weeks from what a company does to the hazard that follows from it: buying takes a month."""
MODULE_WEEKS: Final = 13
HALF_LIFE_WEEKS: Final = 6
DAY_SHARES: Final = (0.10, 0.22, 0.20, 0.21, 0.20, 0.03, 0.04)
"""Share of a week's hazard that each day takes, from Monday on: people buy on workdays."""
LAST_DAYS_SHARE: Final = DAY_SHARES[0] + DAY_SHARES[1]
"""Share of the fifth week's hazard that falls within 30 days, which are four weeks and two days."""


@dataclass
class Signals:
    """What the hazard reads from the usage so far.

    ``users`` is E of the formula, ``first_week`` the week of a company's first row, ``last_used`` the last
    week in which each module had users.
    """

    users: Floats
    first_week: Ints
    last_used: Ints


def no_signals(companies: int) -> Signals:
    """Return the signals of companies without usage so far."""
    return Signals(
        users=np.zeros(companies),
        first_week=np.full(companies, NEVER),
        last_used=np.full((companies, len(MODULES)), -NEVER),
    )


def update_signals(signals: Signals, week: int, active: Ints, counts: Ints) -> None:
    """Add one week's usage to the signals, in place.

    Parameters
    ----------
    signals
        From the weeks before.
    week
        Weeks since the export's first.
    active, counts
        As `conversion.simulation.behaviour.draw_week` returns them.
    """
    users = counts[:, len(ACTIONS) :]
    keep = float(power(2, -1 / HALF_LIFE_WEEKS))
    signals.users *= keep
    signals.users[active] += (1 - keep) * users.max(axis=1)
    signals.first_week[active] = np.minimum(signals.first_week[active], week)
    signals.last_used[active] = np.where(users > 0, week, signals.last_used[active])


def weekly_hazard(firms: Firms, signals: Signals, now: int) -> Floats:
    """Compute the hazard H from the usage known at the start of week ``now`` (see the module's formula).

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
        One value a company: the hazard of the week that starts `LAG_WEEKS` later.
    """
    modules = (now - signals.last_used <= MODULE_WEEKS).sum(axis=1)
    weeks_since = now - signals.first_week
    # A company that has just shown up is as likely to convert as an unseen one; the bonus then fades.
    freshness = np.where(weeks_since > 0, power(2, -np.maximum(weeks_since, 0) / HALF_LIFE_WEEKS), 0.0)
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


def firm_log_hazard(size: Ints, rank: Ints) -> Floats:
    """Sum the hazard's ``size`` and ``site`` terms (see the module's formula).

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
    # Both terms peak inside their range: neither the largest companies nor the smallest convert most.
    size_term = np.where(size == 0, -2.0, -0.13 * (size - 4.7) ** 2)
    ranked = -0.40 * (ln(np.maximum(rank, 1)) / ln(10) - 6.0) ** 2
    site_term = np.where(rank == 0, -1.5, np.where(rank == UNRANKED, -1.3, ranked))
    return np.asarray(size_term + site_term)


@dataclass
class Conversions:
    """Which companies have converted: a company does once its cumulative hazard exceeds its threshold.

    The thresholds are unit exponential draws, so each week's conversions have exactly the probabilities that
    the hazard gives. ``close_day`` is the day of conversion since the export's first, `NEVER` for none.
    """

    threshold: Floats
    cumulative: Floats
    close_day: Ints


def draw_conversions(companies: int, rng: np.random.Generator) -> Conversions:
    """Draw each company's threshold, before anyone has converted."""
    return Conversions(
        threshold=rng.standard_exponential(companies),
        cumulative=np.zeros(companies),
        close_day=np.full(companies, NEVER),
    )


def convert(conversions: Conversions, hazard: Floats, week: int) -> Bools:
    """Add one week's hazard, in place, and return which companies convert in that week.

    Parameters
    ----------
    conversions
        The state at the start of the week.
    hazard
        H of the week.
    week
        Weeks since the export's first.
    """
    left = conversions.threshold - conversions.cumulative
    exceeded: Bools = conversions.cumulative + hazard > conversions.threshold
    converting: Bools = exceeded & (conversions.close_day == NEVER)
    conversions.close_day[converting] = 7 * week + day_of_week((left / hazard)[converting])
    conversions.cumulative += hazard
    return converting


def day_of_week(share: Floats) -> Ints:
    """Convert shares of a week's hazard into days of the week, 0 for Monday, by `DAY_SHARES`."""
    return np.searchsorted(np.cumsum(DAY_SHARES)[:-1], share, side="right").astype(np.int64)


def truth_table(ids: Ints, hazards: Floats, close_day: Ints, start: np.datetime64) -> pd.DataFrame:
    """Compute the table of true 30-day conversion probabilities.

    Parameters
    ----------
    ids
        The companies' ids.
    hazards
        Row k: H from what was known at the start of week k, for k = 0 to the export's number of weeks.
    close_day
        Day of conversion since ``start``, `NEVER` for none.
    start
        The first week.

    Returns
    -------
    DataFrame
        Columns ``id``, ``as_of``, ``probability``: one row a prospect and ``as_of``, sorted by ``as_of``.
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
