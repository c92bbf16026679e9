"""Quality of each cutoff's list: measures of its order alone, whatever the scores mean.

These are written out here, and not scikit-learn's, because the bootstrap takes them for hundreds of samples
of weighted companies at once, and because the companies of a list have a fixed order within ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.predictions import REVENUE, Cutoff, cutoffs_of
from conversion.stats.metric import HIGHER, Metric
from conversion.stats.numeric import Bools, Floats, Ints, divide
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.resampling import run_weights

RANKING_METRICS: Final = (
    Metric(
        "average_precision",
        "mean over the conversions of the precision at their place on the list; all of the list counts, its "
        "top most. Random order gives the prevalence",
        HIGHER,
    ),
    Metric(
        "roc_auc",
        "probability that a prospect that converts is above one that does not; ties count half. Random "
        "order gives 0.5",
        HIGHER,
    ),
    Metric("precision_at_<k>", "share of the first k that convert within the horizon", HIGHER),
    Metric("recall_at_<k>", "share of all the list's conversions that are among the first k", HIGHER),
    Metric("lift_at_<k>", "precision at k over the prevalence of the list", HIGHER),
    Metric("mrr_recall_at_<k>", "share of the conversions' MRR that is among the first k", HIGHER),
)
LIST_METRICS: Final = (
    Metric("prospects", "rows"),
    Metric("conversions", "rows that convert within the horizon"),
    Metric("prevalence", "their share"),
)
WEEKLY_METRICS: Final = (Metric("as_of", "the cutoff"), *LIST_METRICS, *RANKING_METRICS)


def middle(top_k: Sequence[int]) -> int:
    """Return the list length in the middle, for where one stands for all."""
    return top_k[len(top_k) // 2]


def measure_names(top_k: Sequence[int], revenue: bool = True) -> tuple[str, ...]:
    """Name the ranking measures for these list lengths, in the order of the columns of `weekly_measures`.

    Parameters
    ----------
    top_k
        List lengths.
    revenue
        Whether the conversions' revenue is recorded.
    """
    at_k = ("precision_at_{}", "recall_at_{}", "lift_at_{}", *(("mrr_recall_at_{}",) if revenue else ()))
    return ("average_precision", "roc_auc", *(name.format(k) for k in top_k for name in at_k))


def weekly_measures(
    predictions: pd.DataFrame,
    ranker: str,
    top_k: Sequence[int],
    cutoffs: Iterable[Cutoff] | None = None,
) -> pd.DataFrame:
    """Measure each cutoff's list.

    ROC AUC counts tied pairs half; average precision and the top k follow `rank_order`. A list shorter than k
    counts as a whole.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    ranker
        The column to rank by.
    top_k
        List lengths.
    cutoffs
        From `conversion.evaluation.predictions.cutoffs_of` of the predictions; None: they are split here.

    Returns
    -------
    DataFrame
        One row for each cutoff in time order; NaN where a measure is undefined (no conversion that week).
    """
    rows = []
    for cutoff in cutoffs_of(predictions) if cutoffs is None else cutoffs:
        everyone = np.ones((1 + int(cutoff.company.max()), 1), dtype=np.uint8)
        measures = ranking_measures(ranked_list(cutoff, ranker), everyone, top_k)[:, 0]
        prospects, conversions = len(cutoff.label), int(cutoff.label.sum())
        rows.append((cutoff.as_of, prospects, conversions, conversions / prospects, *measures))
    names = measure_names(top_k, REVENUE in predictions)
    columns = ["as_of", "prospects", "conversions", "prevalence", *names]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Ranked:
    """One cutoff's list: its companies in rank order, and the place, MRR and tie group of each conversion.

    MRR is None where revenue is not recorded.
    """

    company: NDArray[np.int32]
    position: Ints
    mrr: Floats | None
    tie_start: Ints
    tie_stop: Ints


def ranked_list(cutoff: Cutoff, ranker: str) -> Ranked:
    """Order a cutoff's companies by a ranker."""
    score = cutoff.score(ranker)
    order = cutoff.order(ranker)
    position = np.flatnonzero(cutoff.label[order] == 1)
    descending = -score[order]
    at = descending[position]
    return Ranked(
        company=cutoff.company[order],
        position=position,
        mrr=None if cutoff.mrr is None else cutoff.mrr[order[position]],
        tie_start=np.searchsorted(descending, at, side="left"),
        tie_stop=np.searchsorted(descending, at, side="right"),
    )


def part_of(ranked: Ranked, member: Bools) -> Ranked:
    """Return the part of a list with some of its companies, in the same order.

    Parameters
    ----------
    ranked
        The whole list.
    member
        Whether each company of the list is in the part.
    """
    above = np.concatenate(([0], np.cumsum(member)))
    own = member[ranked.position]
    return Ranked(
        company=ranked.company[member],
        position=above[ranked.position[own]],
        mrr=None if ranked.mrr is None else ranked.mrr[own],
        tie_start=above[ranked.tie_start[own]],
        tie_stop=above[ranked.tie_stop[own]],
    )


class Means:
    """Means over the cutoffs where measures are defined.

    Parameters
    ----------
    *shape
        Lists of a cutoff, their measures, and the samples that these are taken of.
    """

    def __init__(self, *shape: int) -> None:
        self._total = np.zeros(shape)
        self._defined = np.zeros(shape)

    def add(self, place: int, samples: slice, measures: Floats) -> None:
        """Add the measures of a cutoff's list, by some of the samples; NaN where undefined."""
        known = ~np.isnan(measures)
        self._total[place, :, samples] += np.where(known, measures, 0.0)
        self._defined[place, :, samples] += known

    def means(self) -> Floats:
        """Return lists by measures by samples; NaN where undefined at every cutoff."""
        return divide(self._total, self._defined)


def ranking_measures(ranked: Ranked, weights: NDArray[np.integer], top_k: Sequence[int]) -> Floats:
    """Return the measures of `measure_names`, by samples, of a list with each company as often as its weight.

    Only the conversions' places matter, so weights are cumulated only up to those. Average precision takes
    the precision at a company's first copy: its further copies are not other converters, and counting them
    would double the average precision of a poor ranker in every bootstrap sample.
    """
    position = ranked.position
    if not len(position):
        return np.full((len(measure_names(top_k, ranked.mrr is not None)), weights.shape[1]), np.nan)
    cuts, cumulated = _cumulated(ranked, weights)
    total = cumulated[-1]
    upto = cumulated[np.searchsorted(cuts, position + 1)]
    weight = upto - cumulated[np.searchsorted(cuts, position)]
    hits = np.concatenate((np.zeros((1, weights.shape[1])), np.cumsum(weight, axis=0)))
    conversions = hits[-1]
    before = upto - weight
    precision = (hits[:-1] + 1) / (before + 1)
    average_precision = divide(np.sum(weight * precision, axis=0), conversions)

    hits_above = hits[np.searchsorted(position, ranked.tie_start)]
    hits_through = hits[np.searchsorted(position, ranked.tie_stop)]
    above = cumulated[np.searchsorted(cuts, ranked.tie_start)] - hits_above
    through = cumulated[np.searchsorted(cuts, ranked.tie_stop)] - hits_through
    others = total - conversions
    roc_auc = divide(np.sum(weight * (others - (above + through) / 2), axis=0), conversions * others)

    measures = [average_precision, roc_auc]
    caught = [np.minimum(np.maximum(k - before, 0.0), weight) for k in top_k]
    if ranked.mrr is not None:
        counts = np.concatenate((weight, *caught), axis=1)
        revenue, *revenue_at_k = sums_at_counts(counts, ranked.mrr[:, None]).reshape(1 + len(top_k), -1)
    for place, (k, each) in enumerate(zip(top_k, caught, strict=True)):
        reached = each.sum(axis=0)
        precision_at_k = divide(reached, np.minimum(k, total))
        measures += [
            np.where(conversions > 0, precision_at_k, np.nan),
            divide(reached, conversions),
            divide(precision_at_k * total, conversions),
        ]
        if ranked.mrr is not None:
            measures.append(divide(revenue_at_k[place], revenue))
    return np.stack(measures)


def _cumulated(ranked: Ranked, weights: NDArray[np.integer]) -> tuple[Ints, Floats]:
    """Return the places that the measures need, and the weight of all rows before each, by samples."""
    places = (ranked.position, ranked.position + 1, ranked.tie_start, ranked.tie_stop)
    cuts = np.unique(np.concatenate((np.array([0, len(ranked.company)]), *places)))
    between = run_weights(weights, ranked.company, cuts[:-1])
    return cuts, np.concatenate((np.zeros((1, weights.shape[1])), np.cumsum(between, axis=0)))
