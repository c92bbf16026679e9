"""Evidence from the backtest: how many of the companies that were scored alike converted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from conversion.evaluation.predictions import MODEL, SUMMARY, rows_by_cutoff
from conversion.modelling.evidence import Evidence, EvidenceBin
from conversion.stats.distinct_counts import Distinct, DistinctCounts
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import finite

LEAST_COMPANIES: Final = 100
"""Companies of the bin with the highest probabilities, at least."""
GROWTH: Final = 1.5
"""Each bin has at least so many times the companies of the bin above: the top is told apart most finely."""


def backtest_evidence(predictions: pd.DataFrame, horizon_days: int, seed: int) -> Evidence:
    """Count what became of the companies on the lists of the backtest.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    horizon_days
        Days in which a conversion counts.
    seed
        Of the hash by which `without_overlaps` chooses.
    """
    counted, by_totals = DistinctCounts(), DistinctCounts()
    for rows in without_overlaps(predictions, horizon_days, seed):
        converted = (rows["label"] == 1).to_numpy()
        counted.add(finite(rows[MODEL]), converted)
        by_totals.add(finite(rows[SUMMARY]), converted)
    return Evidence(
        horizon_days=horizon_days,
        lists=len(rows_by_cutoff(predictions)),
        bins=evidence_bins(counted.result()),
        summary_bins=evidence_bins(by_totals.result()),
    )


def without_overlaps(predictions: pd.DataFrame, horizon_days: int, seed: int) -> Iterator[pd.DataFrame]:
    """Choose rows so that the horizons of a company do not overlap.

    A company is on many lists, with nearly the same probability and the same conversion ahead. It counts on
    every fifth weekly list (of a horizon of 30 days), and a hash of its id chooses where that begins. So no
    conversion counts twice, and each row has the same chance: if a company counted once however long it was
    listed, those that convert, and leave the lists, would count for more than they are.

    Parameters
    ----------
    predictions
        ``id`` and ``as_of``.
    horizon_days
        Days in which a conversion counts.
    seed
        Of the hash.

    Yields
    ------
    DataFrame
        The chosen rows of each list, in time order.
    """
    lists = rows_by_cutoff(predictions)
    days = np.array([as_of for as_of, _ in lists], dtype="datetime64[D]").astype(np.int64)
    apart = int(np.diff(days).min()) if len(days) > 1 else horizon_days
    every = math.ceil(horizon_days / apart)
    for number, (_, places) in enumerate(lists):
        rows = predictions.iloc[places]
        turn = np.floor(uniform_hash(rows["id"], seed=seed) * every).astype(np.int64)
        yield rows[turn == number % every]


def evidence_bins(
    counts: Distinct, least: int = LEAST_COMPANIES, growth: float = GROWTH
) -> list[EvidenceBin]:
    """Count the companies of each bin of probabilities, and those that converted.

    Parameters
    ----------
    counts
        Of the companies' probabilities; positive is who converted within the horizon.
    least
        Companies of the first bin, at least; if there are fewer, it is the only bin.
    growth
        Each bin has at least so many times the companies that were asked of the bin above.

    Returns
    -------
    list of EvidenceBin
        Highest first, from 1 to 0; equal probabilities share a bin. Rows that are too few for a bin belong to
        the last one.
    """
    if not len(counts.distinct):
        return [_bin(0.0, 1.0, 0, 0)]
    companies, converted = (np.cumsum(each[::-1]) for each in (counts.rows, counts.positives))
    ends: list[int] = []
    start, asked = 0, float(least)
    while start + math.ceil(asked) <= companies[-1]:
        ends.append(int(np.searchsorted(companies, start + math.ceil(asked))))
        start = int(companies[ends[-1]])
        asked *= growth
    ends = [*ends[:-1], len(companies) - 1]
    bounds = [1.0, *(float(counts.distinct[::-1][end]) for end in ends[:-1]), 0.0]
    of_bins = zip(np.diff(companies[ends], prepend=0), np.diff(converted[ends], prepend=0), strict=True)
    return [
        _bin(bounds[place + 1], bounds[place], int(each), int(some))
        for place, (each, some) in enumerate(of_bins)
    ]


def _bin(least: float, below: float, companies: int, converted: int) -> EvidenceBin:
    return EvidenceBin.model_validate(
        {"from": least, "to": below, "companies": companies, "converted": converted}
    )
