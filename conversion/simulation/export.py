"""The sample as a CRM exports it: its tables, with the traps of real data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from conversion.simulation.behaviour import NEVER
from conversion.simulation.firms import Firms
from conversion.simulation.vocabulary import CUSTOMERS, EMPLOYEE_RANGES, MEASURES, NONCUSTOMERS, USAGE_ACTIONS
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import exp
from conversion.stats.portable_math import log as ln

DUPLICATED_SHARE: Final = 3 / 5000
"""Share of the non-customers that are listed twice."""
BAD_MRR_SHARE: Final = 0.02
"""Share of the customers whose ``MRR`` is not positive."""


@dataclass(frozen=True)
class Sample:
    """A sample export (typed, not yet formatted as text) and the truth behind it."""

    customers: pd.DataFrame
    noncustomers: pd.DataFrame
    usage_actions: pd.DataFrame
    truth: pd.DataFrame


def usage_table(
    firms: Firms, usage: pd.DataFrame, start: np.datetime64, rng: np.random.Generator
) -> pd.DataFrame:
    """Build the ``usage_actions`` table, in random order.

    Parameters
    ----------
    firms
        The companies.
    usage
        As `conversion.simulation.sample.draw_weeks` returns it.
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
    """Build the ``customers`` and ``noncustomers`` tables, in random order, with their traps.

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
    # One missing rank turns a whole CSV column into floats (16000001.0), as in the real export.
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
        One amount a company, rounded to cents.
    """
    mrr = np.round(exp(ln(285) + 0.08 * (size - 4) + 0.62 * rng.standard_normal(len(size))), 2)
    bad = rng.permutation(len(size))[: int(np.ceil(BAD_MRR_SHARE * len(size)))]
    mrr[bad] = np.where(rng.random(len(bad)) < 0.5, 0.0, -mrr[bad])
    return np.asarray(mrr)


def _with_duplicates(companies: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Repeat a few complete rows at random places, with values missing in the repeats."""
    complete = np.flatnonzero(companies.notna().all(axis=1))
    twice = rng.permutation(complete)[: int(np.ceil(DUPLICATED_SHARE * len(companies)))]
    repeats = companies.iloc[twice].copy()
    repeats["ALEXA_RANK"] = np.nan
    repeats["INDUSTRY"] = None
    both = pd.concat([companies, repeats], ignore_index=True)
    return both.iloc[rng.permutation(len(both))].reset_index(drop=True)


def as_text(sample: Sample) -> dict[str, pd.DataFrame]:
    """Format the export's tables as the CRM writes them.

    Parameters
    ----------
    sample
        The sample.

    Returns
    -------
    dict
        The CSV file of each table, by its name.
    """
    stamps = sample.usage_actions["WHEN_TIMESTAMP"]
    written = {stamp: f"{stamp:%Y-%m-%d %H:%M:%S}.000" for stamp in stamps.unique()}
    return {
        CUSTOMERS: sample.customers.assign(CLOSEDATE=sample.customers["CLOSEDATE"].dt.strftime("%Y-%m-%d")),
        NONCUSTOMERS: sample.noncustomers,
        USAGE_ACTIONS: sample.usage_actions.assign(WHEN_TIMESTAMP=stamps.map(written)),
    }
