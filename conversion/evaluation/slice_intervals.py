"""Intervals of how well slices of the prospects are ranked: the bootstrap of the means over the cutoffs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.bootstrap import Resampled
from conversion.evaluation.first_calls import weights_before
from conversion.evaluation.predictions import MODEL
from conversion.evaluation.ranking_metrics import (
    Means,
    Ranked,
    measure_names,
    part_of,
    ranked_list,
    ranking_measures,
)
from conversion.evaluation.slice_metrics import members_of, with_bounds
from conversion.stats.numeric import Bools, Floats, divide
from conversion.stats.resampling import percentiles

_RANKING: Final = measure_names((), revenue=False)


def with_ranking_intervals(slices: pd.DataFrame, of: Resampled, top_k: Sequence[int]) -> pd.DataFrame:
    """Add the 95 % intervals of the measures that are means over the cutoffs.

    Parameters
    ----------
    slices
        From `conversion.evaluation.slice_metrics.slice_measures`.
    of, top_k
        As the slices were measured.

    Returns
    -------
    DataFrame
        With the bounds ``_low`` and ``_high`` of ``roc_auc`` and of each ``recall_at_<k>`` behind it.
    """
    sampled = _measured(of, list(zip(slices["by"], slices["slice"], strict=True)), top_k)
    names = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    for place, name in enumerate(names):
        bounds = [percentiles(each) for each in sampled[:, place]]
        slices = slices.assign(**dict(zip((f"{name}_low", f"{name}_high"), np.array(bounds).T, strict=True)))
    columns = with_bounds(names)
    return slices[[*(name for name in slices if name not in columns), *columns]]


def _measured(of: Resampled, slices: Sequence[tuple[str, str]], top_k: Sequence[int]) -> Floats:
    """Return slices by measures by samples."""
    draws = of.draws
    ranking = Means(len(slices), len(_RANKING), draws.samples)
    recalls = Means(len(slices), len(top_k), draws.samples)
    for samples, weights in draws.blocks():
        for cutoff in of.cutoffs():
            whole, order = replace(ranked_list(cutoff, MODEL), mrr=None), cutoff.order(MODEL)
            own = []
            for place, (by, name) in enumerate(slices):
                member = members_of(cutoff.rows, by, name)[order]
                own.append(member[whole.position])
                if own[-1].any():
                    ranking.add(place, samples, ranking_measures(part_of(whole, member), weights, ()))
            for place, shares in enumerate(_recalls(whole, own, weights, top_k)):
                recalls.add(place, samples, shares)
    auc = ranking.means()[:, [_RANKING.index("roc_auc")]]
    found = np.concatenate((auc, recalls.means()), axis=1)
    return np.asarray(found[..., 1:])  # behind everyone


def _recalls(
    whole: Ranked, own: Sequence[Bools], weights: NDArray[np.integer], top_k: Sequence[int]
) -> Iterator[Floats]:
    """Yield the share of each slice's own conversions that the first k of the list reach, by samples."""
    reached = _reached(whole, weights, top_k)
    copies = np.take(weights, whole.company[whole.position], axis=0).astype(np.float32)
    for mine in own:
        among = reached[:, mine[: reached.shape[1]]].sum(axis=1, dtype=np.float64)
        yield divide(among, copies[mine].sum(axis=0))


def _reached(ranked: Ranked, weights: NDArray[np.integer], top_k: Sequence[int]) -> NDArray[np.float32]:
    """Return the copies of each conversion among the first k; list lengths by conversions by samples.

    The conversions are the first of the list: those behind them are not reached.
    """
    _, before, copies = weights_before(ranked, weights, top_k[-1])
    return np.stack([np.clip(np.float32(k) - before, 0.0, copies) for k in top_k])
