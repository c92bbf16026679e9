"""Conversions among the first calls of each cutoff's list, over all companies and over bootstrap samples.

A sample has each company as often as it was drawn, so its copies stand on a list one after the other, and the
first calls reach as many companies as in the real list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.bootstrap import Resampled
from conversion.evaluation.ranking_metrics import Ranked, ranked_list
from conversion.stats.numeric import Floats, Ints
from conversion.stats.resampling import run_weights

RULES: Final = ("users_rule", "actions_rule")
"""The rules to measure the model by; a backtest's is the first that its predictions have."""


@dataclass(frozen=True)
class FirstCalls:
    """What the first calls of each list reach.

    All companies come first on the last axis, and the bootstrap samples behind them.

    Attributes
    ----------
    calls
        Numbers of calls.
    reached
        Conversions among so many calls, cutoffs by calls by samples.
    called
        Companies that so many calls reach: fewer where a list is shorter; the same shape.
    conversions
        All conversions of each list, cutoffs by samples.
    prospects
        All companies of each list, cutoffs by samples.
    """

    calls: Ints
    reached: Floats
    called: Floats
    conversions: Floats
    prospects: Floats


def rule_in(predictions: pd.DataFrame) -> str:
    """Return the column of the rule that the model is drawn beside."""
    return next(name for name in RULES if name in predictions)


def first_calls(of: Resampled, rankers: Sequence[str], calls: Sequence[int]) -> dict[str, FirstCalls]:
    """Count the conversions among the first calls of each list.

    Parameters
    ----------
    of
        The predictions, and samples of their companies.
    rankers
        Columns to rank by.
    calls
        Numbers of calls, increasing.

    Returns
    -------
    dict
        By ranker.
    """
    counts = np.asarray(calls, dtype=np.int64)
    reached, conversions, prospects = (
        np.concatenate(each, axis=-1)
        for each in zip(
            *(_counted(of, rankers, counts, weights) for _, weights in of.draws.blocks()), strict=True
        )
    )
    called = np.minimum(counts[:, None], prospects[:, None])
    return {
        ranker: FirstCalls(counts, reached[number], called, conversions, prospects)
        for number, ranker in enumerate(rankers)
    }


def weights_before(
    ranked: Ranked, weights: NDArray[np.integer], calls: int
) -> tuple[Ints, NDArray[np.float32], NDArray[np.float32]]:
    """Return the conversions that so many calls may reach.

    Returns
    -------
    ndarray of int64, ndarray of float32, ndarray of float32
        Their places on the list; the copies of all companies above each, and its own; conversions by samples.
    """
    rows = min(2 * calls, len(ranked.company))
    while True:
        places = ranked.position[ranked.position < rows]
        starts = np.unique(np.append(places, 0))
        runs = run_weights(weights, ranked.company[:rows], starts)
        if rows == len(ranked.company) or runs.sum(axis=0).min() >= calls:
            break
        rows = min(2 * rows, len(ranked.company))
    above = (np.cumsum(runs, axis=0) - runs)[np.searchsorted(starts, places)]
    copies = np.take(weights, ranked.company[places], axis=0)
    return places, above.astype(np.float32), copies.astype(np.float32)


def _counted(
    of: Resampled, rankers: Sequence[str], calls: Ints, weights: NDArray[np.integer]
) -> tuple[Floats, Floats, Floats]:
    """Count in some samples.

    Returns
    -------
    ndarray of float64, ndarray of float64, ndarray of float64
        Reached: rankers by cutoffs by calls by samples; conversions and prospects: cutoffs by samples.
    """
    reached, conversions, prospects = [], [], []
    for cutoff in of.cutoffs():
        reached.append([_reached(ranked_list(cutoff, ranker), weights, calls) for ranker in rankers])
        conversions.append(_total(weights, cutoff.company[cutoff.label == 1]))
        prospects.append(_total(weights, cutoff.company))
    return np.stack(reached, axis=1), np.stack(conversions), np.stack(prospects)


def _total(weights: NDArray[np.integer], companies: NDArray[np.int32]) -> Floats:
    return np.asarray(run_weights(weights, companies, np.array([0]))[0])


def _reached(ranked: Ranked, weights: NDArray[np.integer], calls: Ints) -> Floats:
    """Return the conversions that numbers of calls reach, calls by samples."""
    last, samples = int(calls[-1]), weights.shape[1]
    _, before, copies = weights_before(ranked, weights, last)
    # +1 at the call that reaches a conversion's first copy, -1 after its last: the running sum is the copies
    # that each call reaches.
    cell = np.arange(samples) + samples * np.stack((before, before + copies)).clip(max=last).astype(np.int64)
    begin, end = (np.bincount(each.ravel(), minlength=(1 + last) * samples) for each in cell)
    by_call = np.cumsum((begin - end).reshape(-1, samples), axis=0)
    reached = np.concatenate((np.zeros((1, samples)), np.cumsum(by_call, axis=0)))
    return np.asarray(reached[calls])
