"""The sample drawn from end to end: companies, then week by week their usage and conversions."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from conversion.simulation.behaviour import WARM_UP_WEEKS, draw_traits, draw_week, raise_usage
from conversion.simulation.export import Sample, company_tables, usage_table
from conversion.simulation.firms import FIRST_ID, Firms, draw_firms
from conversion.simulation.hazard import (
    LAG_WEEKS,
    convert,
    draw_conversions,
    no_signals,
    truth_table,
    update_signals,
    weekly_hazard,
)
from conversion.simulation.vocabulary import MEASURES
from conversion.stats.numeric import Floats, Ints


def simulate(
    companies: int,
    weeks: int,
    first_week: dt.date,
    seed: int | np.random.SeedSequence,
    first_id: int = FIRST_ID,
) -> Sample:
    """Draw a sample export and its truth, all in memory; `conversion.simulation.blocks` draws large ones.

    Parameters
    ----------
    companies, weeks
        Size of the export.
    first_week
        The Monday of the first usage week.
    seed
        Same seed, same sample.
    first_id
        The smallest of the companies' ids, which follow each other.

    Returns
    -------
    Sample
        The three tables, typed, and the true probability of each prospect at each Monday from the end of
        the first week to the end of the last.
    """
    rng = np.random.default_rng(seed)
    firms = draw_firms(companies, rng, first_id)
    usage, hazards, close_day = draw_weeks(firms, weeks, rng)
    start = np.datetime64(first_week, "D")
    customers, noncustomers = company_tables(firms, close_day, start, rng)
    return Sample(
        customers=customers,
        noncustomers=noncustomers,
        usage_actions=usage_table(firms, usage, start, rng),
        truth=truth_table(firms.id, hazards, close_day, start),
    )


def draw_weeks(firms: Firms, weeks: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Floats, Ints]:
    """Draw the usage and the conversions of all companies, week after week.

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
        Day of conversion since the start of the export, `conversion.simulation.behaviour.NEVER` for none.
    """
    companies = len(firms.id)
    traits = draw_traits(companies, weeks, rng)
    conversions = draw_conversions(companies, rng)
    signals = no_signals(companies)
    hazards, rows = [], []
    for week in range(-WARM_UP_WEEKS, weeks):
        if week >= 0:
            hazards.append(weekly_hazard(firms, signals, week))
            converting = convert(conversions, hazards[max(week - LAG_WEEKS, 0)], week)
            raise_usage(traits, converting, rng)
        active, counts = draw_week(traits, week, rng)
        if week >= 0:
            update_signals(signals, week, active, counts)
            rows.append(_week_rows(week, active, counts))
    hazards.append(weekly_hazard(firms, signals, weeks))
    return pd.concat(rows, ignore_index=True), np.stack(hazards), conversions.close_day


def _week_rows(week: int, active: Ints, counts: Ints) -> pd.DataFrame:
    rows = pd.DataFrame(counts, columns=list(MEASURES))
    rows["company"] = active
    rows["week"] = week
    return rows
