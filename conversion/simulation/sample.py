"""The life of all companies of the sample, drawn week by week."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from conversion.config.contract import MEASURES, MODULES
from conversion.simulation.behaviour import NEVER, WARM_UP_WEEKS, draw_traits, draw_week, jump
from conversion.simulation.export import Sample, company_tables, usage_table
from conversion.simulation.firms import Firms, draw_firms
from conversion.simulation.hazard import LAG_WEEKS, Signals, day_of_week, observe, truth_table, weekly_hazard
from conversion.stats.numeric import Floats, Ints


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
            close_day[converting] = 7 * week + day_of_week(((endurance - spent) / hazard)[converting])
            jump(traits, converting, rng)
            spent += hazard
        active, counts = draw_week(traits, week, rng)
        if week >= 0:
            observe(signals, week, active, counts)
            rows.append(_week_rows(week, active, counts))
    hazards.append(weekly_hazard(firms, signals, weeks))
    return pd.concat(rows, ignore_index=True), np.stack(hazards), close_day


def _week_rows(week: int, active: Ints, counts: Ints) -> pd.DataFrame:
    rows = pd.DataFrame(counts, columns=list(MEASURES))
    rows["company"] = active
    rows["week"] = week
    return rows
