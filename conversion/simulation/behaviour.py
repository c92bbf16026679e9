"""How the companies of the sample use the product, week by week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from conversion.simulation.vocabulary import MODULES
from conversion.stats.numeric import Bools, Floats, Ints
from conversion.stats.portable_math import exp, power

NEVER: Final = 2**31
"""A week or day that no export reaches."""
FULL_WEEKS: Final = 82
"""Length of the default export, for which the shares below hold."""
SEEN_SHARE: Final = 0.66
"""Share of the companies that show up within `FULL_WEEKS`; in a shorter export fewer do."""
WARM_UP_WEEKS: Final = 16
"""Weeks of usage before the export, so that some companies are active when it starts."""
TEAM_SHARE: Final = 0.155
"""Share of the companies that come as a team, with more users, more modules, for longer."""
MODULE_LOG_ODDS: Final = (2.1, -1.2, -1.25, -4.2)
"""Log odds that a company uses each of `MODULES` in a week."""
BREADTH_LOG_ODDS: Final = (0.5, 0.9, 0.9, 1.4)
"""What one standard deviation of a company's breadth adds to them."""
MEDIAN_LOG_ACTIONS: Final = (1.45, 1.25, 1.45, 0.85)
"""Log of the median actions of one user in each of `MODULES`."""


@dataclass
class Traits:
    """What makes a company use the product, and where it stands this week; none of it is exported.

    Attributes
    ----------
    level
        Mean of the latent log users; nobody uses the product where the latent value is not positive.
    stickiness
        How long the company stays, and how regularly it has a usage row.
    breadth
        How many modules it uses, standardised.
    arrival
        Its first week, `NEVER` for none.
    noise
        This week's deviation from ``level``, standardised; it changes slowly.
    alive
        Whether it uses the product at all now.
    converted, converting
        Whether it has converted by now, and whether it does so this week.
    """

    level: Floats
    stickiness: Floats
    breadth: Floats
    arrival: Ints
    noise: Floats
    alive: Bools
    converted: Bools
    converting: Bools


def draw_traits(companies: int, weeks: int, rng: np.random.Generator) -> Traits:
    """Draw what makes each company use the product.

    Parameters
    ----------
    companies
        How many.
    weeks
        Length of the export.
    rng
        Source of randomness.

    Returns
    -------
    Traits
        One entry a company, before its first week.
    """
    team = rng.random(companies) < TEAM_SHARE
    stickiness = rng.standard_normal(companies) + 1.6 * team
    level = -0.49 + 0.20 * stickiness + (0.32 + 0.22 * team) * rng.standard_normal(companies) + 0.9 * team
    span = WARM_UP_WEEKS + max(weeks, FULL_WEEKS)
    # With the power below 1, a few more companies sign up each week than the week before.
    arrival = np.floor(span * power(rng.random(companies), 0.9)).astype(np.int64) - WARM_UP_WEEKS
    # Some companies that arrive during the warm-up leave before the export starts; the 7 makes up for them.
    arrival[rng.random(companies) >= SEEN_SHARE * span / (span - 7)] = NEVER
    return Traits(
        level=level,
        stickiness=stickiness,
        breadth=rng.standard_normal(companies) + 0.8 * team,
        arrival=arrival,
        noise=rng.standard_normal(companies),
        alive=np.zeros(companies, dtype=bool),
        converted=np.zeros(companies, dtype=bool),
        converting=np.zeros(companies, dtype=bool),
    )


def raise_usage(traits: Traits, converting: Bools, rng: np.random.Generator) -> None:
    """Raise the usage of the companies that convert this week, in place.

    This is a trap of real data: usage from after the conversion separates customers well, and no list of
    prospects can know it.
    """
    # Drawn for all companies, so that the draws that follow do not depend on how many convert.
    shift = rng.standard_normal(len(converting))
    traits.converted |= converting
    traits.converting = converting
    traits.level[converting] = 0.4 * traits.level[converting] + 1.4 + 0.8 * shift[converting]
    traits.breadth[converting] += 1.0


def draw_week(traits: Traits, week: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw one week's usage rows, and update the state of the companies.

    Parameters
    ----------
    traits
        The companies; ``alive`` and ``noise`` change in place.
    week
        Weeks since the export's first, negative before it.
    rng
        Source of randomness.

    Returns
    -------
    active
        Positions of the companies that have a row.
    counts
        Their counts, columns in the order of `MEASURES`.
    """
    companies = len(traits.level)
    draw = rng.random((3, companies))
    leaving = 0.8 / (1 + exp(-0.72 + 2.2 * traits.stickiness))
    stays = traits.alive & (draw[0] >= leaving)
    returns = ~traits.alive & (traits.arrival < week) & (draw[1] < 0.009)
    traits.alive = stays | returns | (traits.arrival == week) | traits.converted
    traits.noise = 0.85 * traits.noise + np.sqrt(1 - 0.85**2) * rng.standard_normal(companies)
    # A company that signs up always has a row that week, one that converts nearly always.
    chance = np.where(traits.converted, 0.75, 1 / (1 + exp(-0.25 - 0.8 * traits.stickiness)))
    chance[traits.converting] = 0.9
    chance[traits.arrival == week] = 1.0
    active = np.flatnonzero(traits.alive & (draw[2] < chance))
    spread = np.where(traits.converted, 0.75, 0.60)
    latent = traits.level + spread * traits.noise
    return active, draw_counts(latent[active], traits.breadth[active], rng)


def draw_counts(latent: Floats, breadth: Floats, rng: np.random.Generator) -> Ints:
    """Draw users and actions by module.

    Parameters
    ----------
    latent
        Log of the users of the module used most; nobody where it is not positive.
    breadth
        How many modules each company uses, standardised.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        One row a company, columns in the order of `MEASURES`.
    """
    rows = len(latent)
    most = np.where(latent > 0, np.floor(exp(np.minimum(latent, 4.8))), 0).astype(np.int64)
    odds = np.asarray(MODULE_LOG_ODDS) + np.outer(breadth, BREADTH_LOG_ODDS) + 0.7 * latent[:, None]
    used = rng.random((rows, len(MODULES))) < 1 / (1 + exp(-odds))
    used[~used.any(axis=1), 0] = True  # a row has at least one module
    main = np.argmax(used, axis=1)
    users = 1 + rng.binomial(np.maximum(most - 1, 0)[:, None], 0.45, size=used.shape)
    users[np.arange(rows), main] = most
    users = np.where(used & (most > 0)[:, None], users, 0)
    center = np.asarray(MEDIAN_LOG_ACTIONS) + 0.35 * np.maximum(latent, 0)[:, None]
    each = exp(center + 0.9 * rng.standard_normal((rows, 1)) + 1.1 * rng.standard_normal(users.shape))
    actions = np.maximum(users, np.round(users * np.minimum(each, 300))).astype(np.int64)
    return np.hstack([actions, users])
