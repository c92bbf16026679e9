"""Write a seeded, realistic sample export, and the true conversion probabilities behind it.

A company's firmographics are drawn first, then its weekly usage; whether and when it converts follows from
the hazard below, and only then does its row go to one file or the other. Once it converts its usage jumps.

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

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.contract import (
    ACTIONS,
    CUSTOMERS,
    EMPLOYEE_RANGES,
    MEASURES,
    MODULES,
    NONCUSTOMERS,
    UNRANKED,
    USAGE_ACTIONS,
)
from conversion.config.params import load_params
from conversion.runtime.cli import run
from conversion.runtime.files import write_csv, write_parquet
from conversion.stats.portable_math import exp, log1p, power
from conversion.stats.portable_math import log as ln

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SAMPLE: Final = Path("data/sample")
TRUTH: Final = Path("data/truth.parquet")

LAG_WEEKS: Final = 4
DAY_SHARES: Final = (0.10, 0.22, 0.20, 0.21, 0.20, 0.03, 0.04)
LAST_DAYS_SHARE: Final = DAY_SHARES[0] + DAY_SHARES[1]
"""Share of the fifth week's hazard that falls within 30 days."""

FIRST_ID: Final = 100_001
NEVER: Final = 2**31

FULL_WEEKS: Final = 82
SEEN_SHARE: Final = 0.66
"""Share of the companies that show up within `FULL_WEEKS`; in a shorter export fewer do."""
WARM_UP_WEEKS: Final = 16
"""Weeks of usage before the export, so that some companies are active when it starts."""
TEAM_SHARE: Final = 0.155
"""Share of the companies that come as a team, with more users, more modules, for longer."""

MODULE_ODDS: Final = (2.1, -1.2, -1.25, -4.2)
MODULE_BREADTH: Final = (0.5, 0.9, 0.9, 1.4)
LOG_ACTIONS_EACH: Final = (1.45, 1.25, 1.45, 0.85)
"""By module, log odds of use, what a company's breadth adds to them, median log actions of one user."""

SIZE_SHARES: Final = (0.115, 0.208, 0.185, 0.070, 0.108, 0.078, 0.061, 0.065, 0.007)
"""Of each employee range; the rest is missing."""
RANKED_SHARES: Final = (0.13, 0.08, 0.18, 0.36, 0.43, 0.51, 0.64, 0.78, 0.82, 0.84)
"""By size 0 (missing) to 9."""
MEDIAN_LOG_RANKS: Final = (6.50, 6.58, 6.57, 6.45, 6.35, 6.29, 6.09, 5.58, 4.85, 3.98)
INDUSTRY_SHARES: Final = (0.02, 0.01, 0.05, 0.27, 0.24, 0.39, 0.54, 0.64, 0.75, 0.81)
LAST_LOG_RANK: Final = 7.03
RANK_MISSING_SHARE: Final = 0.022

CAPITAL_INDUSTRIES: Final = (
    "COMPUTER_SOFTWARE",
    "MARKETING_AND_ADVERTISING",
    "HIGHER_EDUCATION",
    "INFORMATION_TECHNOLOGY_AND_SERVICES",
    "REAL_ESTATE",
    "CONSUMER_SERVICES",
    "FINANCIAL_SERVICES",
    "EDUCATION_MANAGEMENT",
    "CONSTRUCTION",
    "NON_PROFIT_ORGANIZATION_MANAGEMENT",
    "LEISURE_TRAVEL_TOURISM",
    "MANAGEMENT_CONSULTING",
    "RETAIL",
    "INSURANCE",
    "PUBLISHING",
    "HEALTH_WELLNESS_AND_FITNESS",
    "AUTOMOTIVE",
    "IMPORT_AND_EXPORT",
    "APPAREL_FASHION",
    "ELECTRICAL_ELECTRONIC_MANUFACTURING",
    "ARCHITECTURE_PLANNING",
    "CONSUMER_ELECTRONICS",
    "CONSUMER_GOODS",
    "RESTAURANTS",
    "HOSPITAL_HEALTH_CARE",
    "DESIGN",
    "BUILDING_MATERIALS",
    "ENTERTAINMENT",
    "HOSPITALITY",
    "OIL_ENERGY",
    "TELECOMMUNICATIONS",
    "FOOD_BEVERAGES",
    "PRINTING",
    "RELIGIOUS_INSTITUTIONS",
    "PROFESSIONAL_TRAINING_COACHING",
    "TRANSPORTATION_TRUCKING_RAILROAD",
    "E_LEARNING",
    "ACCOUNTING",
    "LEGAL_SERVICES",
    "GOVERNMENT_ADMINISTRATION",
    "BANKING",
    "WHOLESALE",
    "BIOTECHNOLOGY",
)
TITLE_INDUSTRIES: Final = (
    "Non-Profit/Educational Institution",
    "Technology - Software",
    "Other",
    "Consulting/Advisory",
    "Manufacturing",
    "Marketing Services",
    "Education",
    "Consumer Products",
    "Finance and Insurance",
    "Technology - Hardware and Equipment",
    "Healthcare",
    "eCommerce",
    "Media & Publishing",
)
CAPITAL_SHARE: Final = 0.755

DUPLICATED_SHARE: Final = 3 / 5000
BAD_MRR_SHARE: Final = 0.02


@dataclass(frozen=True)
class Sample:
    """A sample export (typed, not yet formatted as text) and the truth behind it."""

    customers: pd.DataFrame
    noncustomers: pd.DataFrame
    usage_actions: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class Firms:
    """Firmographics of each company as exported: 0 for a missing size, 0 for a missing Alexa rank."""

    id: Ints
    size: Ints
    rank: Ints
    industry: NDArray[np.object_]


@dataclass
class Traits:
    """What makes a company use the product; none of it is exported.

    ``level`` is the mean of the latent log users (nobody where it is not positive) and ``noise`` its slow
    weekly change, ``stick`` how long a company stays, ``breadth`` how many modules it uses, ``arrival`` its
    first week; ``alive`` says whether it uses the product at all now, ``converted`` and ``joining`` whether
    it has converted and does so this week.
    """

    level: Floats
    stick: Floats
    breadth: Floats
    arrival: Ints
    noise: Floats
    alive: Bools
    converted: Bools
    joining: Bools


@dataclass
class Signals:
    """What the hazard sees of the usage exported so far: E, the first row's week, each module's last week."""

    users: Floats
    first_week: Ints
    last_used: Ints


def simulate(companies: int, weeks: int, first_week: dt.date, seed: int) -> Sample:
    """Draw a sample export and its truth.

    Parameters
    ----------
    companies, weeks
        Size of the export.
    first_week
        The Monday of the first usage week.
    seed
        Same seed, same sample.

    Returns
    -------
    Sample
        The three tables with real types, and the true probability of each prospect at each Monday from the
        end of the first week to the end of the last.
    """
    rng = np.random.default_rng(seed)
    firms = draw_firms(companies, rng)
    usage, hazards, close_day = live(firms, weeks, rng)
    start = np.datetime64(first_week, "D")
    customers, noncustomers = company_tables(firms, close_day, start, rng)
    return Sample(
        customers=customers,
        noncustomers=noncustomers,
        usage_actions=usage_table(firms, usage, start, rng),
        truth=truth_table(firms.id, hazards, close_day, start),
    )


def draw_firms(companies: int, rng: np.random.Generator) -> Firms:
    """Draw firmographics, missing values and all.

    Parameters
    ----------
    companies
        How many.
    rng
        Source of randomness.

    Returns
    -------
    Firms
        One entry a company.
    """
    size = rng.choice(10, companies, p=[1 - sum(SIZE_SHARES), *SIZE_SHARES])
    gap = LAST_LOG_RANK - np.asarray(MEDIAN_LOG_RANKS)[size]
    # A Weibull draw with median 1.
    shape = 0.9 + 0.55 * gap
    factor = power(rng.standard_exponential(companies) / ln(2), 1 / shape)
    log_rank = LAST_LOG_RANK - gap * factor
    rank = np.floor(power(10, np.maximum(log_rank, 0))).astype(np.int64)
    ranked = rng.random(companies) < np.asarray(RANKED_SHARES)[size]
    rank = np.where(ranked, rank, UNRANKED)
    rank[rng.random(companies) < RANK_MISSING_SHARE] = 0
    return Firms(
        id=FIRST_ID + rng.permutation(companies),
        size=size,
        rank=rank,
        industry=_draw_industries(size, ranked, rng),
    )


def _draw_industries(size: Ints, ranked: Bools, rng: np.random.Generator) -> NDArray[np.object_]:
    labels = np.asarray([*CAPITAL_INDUSTRIES, *TITLE_INDUSTRIES], dtype=object)
    shares = [
        CAPITAL_SHARE * _zipf(len(CAPITAL_INDUSTRIES)),
        (1 - CAPITAL_SHARE) * _zipf(len(TITLE_INDUSTRIES)),
    ]
    industry = labels[rng.choice(len(labels), len(size), p=np.concatenate(shares))]
    # A company found by its site has a known industry more often.
    known = np.asarray(INDUSTRY_SHARES)[size] * np.where(ranked, 1.15, 0.8)
    industry[rng.random(len(size)) >= known] = None
    return industry


def _zipf(labels: int) -> Floats:
    weights = 1 / np.arange(2, labels + 2)
    return np.asarray(weights / weights.sum())


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


def live(firms: Firms, weeks: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Floats, Ints]:
    """Let the companies use the product, and convert, week after week.

    Parameters
    ----------
    firms
        The companies.
    weeks
        Length of the export.
    rng
        Source of randomness.

    Returns
    -------
    usage
        One row a company and week with a usage row: ``company`` and ``week`` (positions) and the counts.
    hazards
        Row k: H from what was known at the start of week k, for k = 0 to ``weeks``.
    close_day
        Day of conversion since the start of the export, `NEVER` for none.
    """
    companies = len(firms.id)
    traits = draw_traits(companies, weeks, rng)
    signals = Signals(
        users=np.zeros(companies),
        first_week=np.full(companies, NEVER),
        last_used=np.full((companies, len(MODULES)), -NEVER),
    )
    # A company converts once its cumulative hazard exceeds a unit exponential draw.
    endurance = rng.standard_exponential(companies)
    spent = np.zeros(companies)
    close_day = np.full(companies, NEVER)
    hazards, rows = [], []
    for week in range(-WARM_UP_WEEKS, weeks):
        if week >= 0:
            hazards.append(weekly_hazard(firms, signals, week))
            hazard = hazards[max(week - LAG_WEEKS, 0)]
            converting = ~traits.converted & (spent + hazard > endurance)
            close_day[converting] = 7 * week + _day_of_week(((endurance - spent) / hazard)[converting])
            _jump(traits, converting, rng)
            spent += hazard
        active, counts = draw_week(traits, week, rng)
        if week >= 0:
            _observe(signals, week, active, counts)
            rows.append(_week_rows(week, active, counts))
    hazards.append(weekly_hazard(firms, signals, weeks))
    return pd.concat(rows, ignore_index=True), np.stack(hazards), close_day


def _day_of_week(share: Floats) -> Ints:
    return np.searchsorted(np.cumsum(DAY_SHARES)[:-1], share, side="right").astype(np.int64)


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
    stick = rng.standard_normal(companies) + 1.6 * team
    level = -0.49 + 0.20 * stick + (0.32 + 0.22 * team) * rng.standard_normal(companies) + 0.9 * team
    span = WARM_UP_WEEKS + max(weeks, FULL_WEEKS)
    # The power below 1: a little more companies sign up each week than the week before.
    arrival = np.floor(span * power(rng.random(companies), 0.9)).astype(np.int64) - WARM_UP_WEEKS
    # Some of those who come during the warm-up have left before the export starts.
    arrival[rng.random(companies) >= SEEN_SHARE * span / (span - 7)] = NEVER
    return Traits(
        level=level,
        stick=stick,
        breadth=rng.standard_normal(companies) + 0.8 * team,
        arrival=arrival,
        noise=rng.standard_normal(companies),
        alive=np.zeros(companies, dtype=bool),
        converted=np.zeros(companies, dtype=bool),
        joining=np.zeros(companies, dtype=bool),
    )


def _jump(traits: Traits, converting: Bools, rng: np.random.Generator) -> None:
    """Usage jumps in the week of the conversion, which no prospect's list has seen."""
    shift = rng.standard_normal(len(converting))
    traits.converted |= converting
    traits.joining = converting
    traits.level[converting] = 0.4 * traits.level[converting] + 1.4 + 0.8 * shift[converting]
    traits.breadth[converting] += 1.0


def draw_week(traits: Traits, week: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw one week's usage rows and move the companies' state on.

    Parameters
    ----------
    traits
        The companies; ``alive`` and ``noise`` are updated.
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
    leaving = 0.8 / (1 + exp(-0.72 + 2.2 * traits.stick))
    stays = traits.alive & (draw[0] >= leaving)
    returns = ~traits.alive & (traits.arrival < week) & (draw[1] < 0.009)
    traits.alive = stays | returns | (traits.arrival == week) | traits.converted
    traits.noise = 0.85 * traits.noise + np.sqrt(1 - 0.85**2) * rng.standard_normal(companies)
    # A company that signs up has a row that week, one that converts mostly.
    chance = np.where(traits.converted, 0.75, 1 / (1 + exp(-0.25 - 0.8 * traits.stick)))
    chance[traits.joining] = 0.9
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
        Log of the users of the main module; nobody where it is not positive.
    breadth
        How many modules are used, standardised.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        One row a company, columns in the order of `MEASURES`.
    """
    rows = len(latent)
    most = np.where(latent > 0, np.floor(exp(np.minimum(latent, 4.8))), 0).astype(np.int64)
    odds = np.asarray(MODULE_ODDS) + np.outer(breadth, MODULE_BREADTH) + 0.7 * latent[:, None]
    used = rng.random((rows, len(MODULES))) < 1 / (1 + exp(-odds))
    used[~used.any(axis=1), 0] = True
    main = np.argmax(used, axis=1)
    users = 1 + rng.binomial(np.maximum(most - 1, 0)[:, None], 0.45, size=used.shape)
    users[np.arange(rows), main] = most
    users = np.where(used & (most > 0)[:, None], users, 0)
    center = np.asarray(LOG_ACTIONS_EACH) + 0.35 * np.maximum(latent, 0)[:, None]
    each = exp(center + 0.9 * rng.standard_normal((rows, 1)) + 1.1 * rng.standard_normal(users.shape))
    actions = np.maximum(users, np.round(users * np.minimum(each, 300))).astype(np.int64)
    return np.hstack([actions, users])


def _observe(signals: Signals, week: int, active: Ints, counts: Ints) -> None:
    users = counts[:, len(ACTIONS) :]
    keep = float(power(2, -1 / 6))
    signals.users *= keep
    signals.users[active] += (1 - keep) * users.max(axis=1)
    signals.first_week[active] = np.minimum(signals.first_week[active], week)
    signals.last_used[active] = np.where(users > 0, week, signals.last_used[active])


def _week_rows(week: int, active: Ints, counts: Ints) -> pd.DataFrame:
    rows = pd.DataFrame(counts, columns=list(MEASURES))
    rows["company"] = active
    rows["week"] = week
    return rows


def usage_table(
    firms: Firms, usage: pd.DataFrame, start: np.datetime64, rng: np.random.Generator
) -> pd.DataFrame:
    """Make the ``usage_actions`` table, in random order.

    Parameters
    ----------
    firms
        The companies.
    usage
        As `live` returns it.
    start
        The first week.
    rng
        Source of randomness.

    Returns
    -------
    DataFrame
        Columns ``WHEN_TIMESTAMP``, the counts, ``id``.
    """
    table = usage.iloc[rng.permutation(len(usage))].reset_index(drop=True)
    stamps = start + 7 * table["week"].to_numpy()
    table.insert(0, "WHEN_TIMESTAMP", stamps.astype("datetime64[us]"))
    table["id"] = firms.id[table["company"].to_numpy()]
    return table[["WHEN_TIMESTAMP", *MEASURES, "id"]]


def company_tables(
    firms: Firms, close_day: Ints, start: np.datetime64, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the ``customers`` and ``noncustomers`` tables, in random order, with their traps.

    Parameters
    ----------
    firms
        The companies.
    close_day
        Day of conversion since ``start``, `NEVER` for none.
    start
        The first week.
    rng
        Source of randomness.

    Returns
    -------
    customers, noncustomers
        The tables.
    """
    order = rng.permutation(len(firms.id))
    customer = order[close_day[order] != NEVER]
    prospect = order[close_day[order] == NEVER]
    customers = _firmographics(firms, customer)
    customers.insert(0, "MRR", draw_mrr(firms.size[customer], rng))
    customers.insert(0, "CLOSEDATE", (start + close_day[customer]).astype("datetime64[us]"))
    # One missing rank makes a whole CSV column float; the real export's non-customers have it so.
    noncustomers = _firmographics(firms, prospect).astype({"ALEXA_RANK": "float64"})
    return customers, _with_duplicates(noncustomers, rng)


def _firmographics(firms: Firms, chosen: Ints) -> pd.DataFrame:
    ranges = np.asarray([None, *EMPLOYEE_RANGES], dtype=object)
    rank = pd.Series(firms.rank[chosen], dtype="Int64")
    return pd.DataFrame(
        {
            "ALEXA_RANK": rank.mask(rank == 0),
            "EMPLOYEE_RANGE": ranges[firms.size[chosen]],
            "INDUSTRY": firms.industry[chosen],
            "id": firms.id[chosen],
        }
    )


def draw_mrr(size: Ints, rng: np.random.Generator) -> Floats:
    """Draw each customer's ``MRR``: lognormal, higher for larger companies, a few not positive.

    Parameters
    ----------
    size
        1 to 9, 0 for missing.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        In cents' precision.
    """
    mrr = np.round(exp(ln(285) + 0.08 * (size - 4) + 0.62 * rng.standard_normal(len(size))), 2)
    bad = rng.permutation(len(size))[: int(np.ceil(BAD_MRR_SHARE * len(size)))]
    mrr[bad] = np.where(rng.random(len(bad)) < 0.5, 0.0, -mrr[bad])
    return np.asarray(mrr)


def _with_duplicates(companies: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Repeat a few complete rows with gaps, at random places."""
    complete = np.flatnonzero(companies.notna().all(axis=1))
    twice = rng.permutation(complete)[: int(np.ceil(DUPLICATED_SHARE * len(companies)))]
    repeats = companies.iloc[twice].copy()
    repeats["ALEXA_RANK"] = np.nan
    repeats["INDUSTRY"] = None
    both = pd.concat([companies, repeats], ignore_index=True)
    return both.iloc[rng.permutation(len(both))].reset_index(drop=True)


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


def as_text(sample: Sample) -> dict[str, pd.DataFrame]:
    """Format the export's tables as the CRM writes them.

    Parameters
    ----------
    sample
        The sample.

    Returns
    -------
    dict
        By table: what goes into its CSV file.
    """
    stamps = sample.usage_actions["WHEN_TIMESTAMP"]
    written = {stamp: f"{stamp:%Y-%m-%d %H:%M:%S}.000" for stamp in stamps.unique()}
    return {
        CUSTOMERS: sample.customers.assign(CLOSEDATE=sample.customers["CLOSEDATE"].dt.strftime("%Y-%m-%d")),
        NONCUSTOMERS: sample.noncustomers,
        USAGE_ACTIONS: sample.usage_actions.assign(WHEN_TIMESTAMP=stamps.map(written)),
    }


def main() -> None:
    """Read the params, write the sample export and its truth."""
    params = load_params()
    sizes = params.simulate
    sample = simulate(sizes.companies, sizes.weeks, sizes.first_week, params.seed)
    for name, table in as_text(sample).items():
        write_csv(SAMPLE / f"{name}.csv", table)
    write_parquet(TRUTH, sample.truth)
    log.info(
        "simulated",
        extra={
            "companies": sizes.companies,
            "customers": len(sample.customers),
            "usage_rows": len(sample.usage_actions),
            "truth_rows": len(sample.truth),
        },
    )


if __name__ == "__main__":
    run(main)
