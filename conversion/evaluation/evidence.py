"""Evidence from the backtest: how many of the companies that were scored alike converted."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.backtest import SUMMARY
from conversion.evaluation.predictions import MODEL
from conversion.modelling.evidence import Evidence, EvidenceBin
from conversion.stats.hashing import uniform_hash
from conversion.stats.numeric import Floats

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
    counted = predictions[without_overlaps(predictions, horizon_days, seed)]
    return Evidence(
        horizon_days=horizon_days,
        lists=int(predictions["as_of"].nunique()),
        bins=evidence_bins(counted[MODEL].to_numpy(), counted["label"].to_numpy()),
        summary_bins=evidence_bins(counted[SUMMARY].to_numpy(), counted["label"].to_numpy()),
    )


def without_overlaps(predictions: pd.DataFrame, horizon_days: int, seed: int) -> NDArray[np.bool_]:
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
    """
    lists, number = np.unique(predictions["as_of"].to_numpy(dtype="datetime64[D]"), return_inverse=True)
    apart = int(np.diff(lists).astype(np.int64).min()) if len(lists) > 1 else horizon_days
    every = math.ceil(horizon_days / apart)
    turn = np.floor(uniform_hash(predictions["id"], seed=seed) * every).astype(np.int64)
    return np.asarray(number % every == turn)


def evidence_bins(
    probability: Floats, converted: NDArray[np.int8], least: int = LEAST_COMPANIES, growth: float = GROWTH
) -> list[EvidenceBin]:
    """Count the companies of each bin of probabilities, and those that converted.

    Parameters
    ----------
    probability
        Of each company.
    converted
        Whether it converted within the horizon, 0 or 1.
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
    if not len(probability):
        return [_bin(0.0, 1.0, 0, 0)]
    order = np.argsort(-probability, kind="stable")
    descending, conversions = probability[order], np.cumsum(converted[order], dtype=np.int64)
    ends: list[int] = []
    start, asked, rows = 0, float(least), len(descending)
    while start + math.ceil(asked) <= rows:
        last = descending[start + math.ceil(asked) - 1]
        start = int(np.searchsorted(-descending, -last, side="right"))
        ends.append(start)
        asked *= growth
    ends = [*ends[:-1], rows]
    bounds = [1.0, *(float(descending[end - 1]) for end in ends[:-1]), 0.0]
    companies = np.diff(ends, prepend=0)
    of_bin = np.diff(conversions[np.array(ends) - 1], prepend=0)
    return [
        _bin(bounds[place + 1], bounds[place], int(each), int(some))
        for place, (each, some) in enumerate(zip(companies, of_bin, strict=True))
    ]


def _bin(least: float, below: float, companies: int, converted: int) -> EvidenceBin:
    return EvidenceBin.model_validate(
        {"from": least, "to": below, "companies": companies, "converted": converted}
    )
