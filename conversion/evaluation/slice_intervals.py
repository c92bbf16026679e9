"""Intervals of how well slices of the prospects are ranked: the bootstrap of the means over the cutoffs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.bootstrap import company_weights
from conversion.evaluation.first_calls import weights_before
from conversion.evaluation.predictions import MODEL, Cutoff, companies_of, cutoffs_of
from conversion.evaluation.ranking_metrics import Ranked, mean_measures, measure_names, part_of, ranked_list
from conversion.evaluation.slice_metrics import members_of, with_bounds
from conversion.stats.numeric import Bools, Floats, divide
from conversion.stats.resampling import percentiles

_AUC: Final = measure_names((), revenue=False).index("roc_auc")


@dataclass(frozen=True)
class _Slice:
    """One slice.

    Attributes
    ----------
    lists
        Its part of each cutoff's list on which it has a conversion.
    own
        Which conversions of each cutoff's whole list are its own.
    """

    lists: list[Ranked]
    own: list[Bools]


def with_ranking_intervals(
    slices: pd.DataFrame, predictions: pd.DataFrame, top_k: Sequence[int], samples: int, seed: int
) -> pd.DataFrame:
    """Add the 95 % intervals of the measures that are means over the cutoffs.

    Parameters
    ----------
    slices
        From `conversion.evaluation.slice_metrics.slice_measures`.
    predictions, top_k, samples, seed
        As the slices were measured.

    Returns
    -------
    DataFrame
        With the bounds ``_low`` and ``_high`` of ``roc_auc`` and of each ``recall_at_<k>`` behind it.
    """
    companies = companies_of(predictions)
    cutoffs = list(cutoffs_of(predictions, companies.index))
    whole = [replace(ranked_list(cutoff, MODEL), mrr=None) for cutoff in cutoffs]
    keys = zip(slices["by"], slices["slice"], strict=True)
    parts = [_slice_of(cutoffs, whole, companies.count, by, name) for by, name in keys]
    chunks = [
        _measures(parts, whole, weights, top_k) for weights in company_weights(companies.count, samples, seed)
    ]
    sampled = np.concatenate(chunks, axis=-1)
    names = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    for place, name in enumerate(names):
        bounds = [percentiles(each) for each in sampled[:, place]]
        slices = slices.assign(**dict(zip((f"{name}_low", f"{name}_high"), np.array(bounds).T, strict=True)))
    columns = with_bounds(names)
    return slices[[*(name for name in slices if name not in columns), *columns]]


def _slice_of(
    cutoffs: Sequence[Cutoff], whole: Sequence[Ranked], companies: int, by: str, name: str
) -> _Slice:
    lists, own = [], []
    for cutoff, ranked in zip(cutoffs, whole, strict=True):
        member = np.zeros(companies, dtype=np.bool_)
        member[cutoff.company[members_of(cutoff.rows, by, name)]] = True
        own.append(member[ranked.company[ranked.position]])
        if own[-1].any():
            lists.append(part_of(ranked, member))
    return _Slice(lists, own)


def _measures(
    parts: Sequence[_Slice], whole: Sequence[Ranked], weights: NDArray[np.float32], top_k: Sequence[int]
) -> Floats:
    """Return slices by measures by samples."""
    reached = [_reached(ranked, weights, top_k) for ranked in whole]
    copies = [np.take(weights, ranked.company[ranked.position], axis=0) for ranked in whole]
    return np.stack(
        [
            np.stack((mean_measures(part.lists, weights, ())[_AUC], *_recalls(part, reached, copies)))
            for part in parts
        ]
    )


def _reached(ranked: Ranked, weights: NDArray[np.float32], top_k: Sequence[int]) -> NDArray[np.float32]:
    """Return the copies of each conversion among the first k; list lengths by conversions by samples.

    The conversions are the first of the list: those behind them are not reached.
    """
    _, before, copies = weights_before(ranked, weights, top_k[-1])
    return np.stack([np.clip(np.float32(k) - before, 0.0, copies) for k in top_k])


def _recalls(
    part: _Slice, reached: Sequence[NDArray[np.float32]], copies: Sequence[NDArray[np.float32]]
) -> Floats:
    """Return the mean share of a slice's conversions that is reached; list lengths by samples."""
    shares = np.stack(
        [
            divide(among[:, own[: among.shape[1]]].sum(axis=1, dtype=np.float64), each[own].sum(axis=0))
            for own, among, each in zip(part.own, reached, copies, strict=True)
        ]
    )
    known = ~np.isnan(shares)
    return divide(np.where(known, shares, 0.0).sum(axis=0), known.sum(axis=0))
