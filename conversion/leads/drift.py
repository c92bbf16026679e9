"""How far a distribution has moved since training, and how much of that time alone does not explain.

The measure is the population stability index of N. Siddiqi, *Credit Risk Scorecards* (Wiley 2006): the sum of
(a - e) ln(a / e) over bins, where e are the expected shares and a the actual ones. It is the symmetric
Kullback-Leibler divergence of the binned shares. Siddiqi's reading: below 0.10 no change, to 0.25 some, above
it a shift. Shares below 0.0001 count as that, so an empty bin is finite.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from conversion.data.timeline import week_number
from conversion.features.definitions import Feature
from conversion.stats.bins import bin_edges
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import log

_SMALLEST_SHARE: Final = 1e-4
_EARLIER_LISTS: Final = 13
"""A quarter of weekly lists: long enough to be steady, short enough to be like now."""
_DISTINCT: Final = 2000


def population_stability_index(
    expected: ArrayLike, actual: ArrayLike, expected_weight: ArrayLike | None = None, bins: int = 10
) -> float:
    """How far the distribution of a feature or a score has moved.

    Bins are quantiles of ``expected`` (its values themselves when there are at most ``bins``), and missing
    values are a bin of their own.

    Parameters
    ----------
    expected
        Values at training time; NaN is missing.
    actual
        Values now.
    expected_weight
        How many rows each expected value stands for; None: one.
    bins
        Bins for values that are not missing.

    Returns
    -------
    float
        0 where nothing moved; NaN where one side is empty.
    """
    old, new = np.asarray(expected, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    weight = np.ones_like(old) if expected_weight is None else np.asarray(expected_weight, dtype=np.float64)
    if not weight.sum() > 0 or not len(new):
        return float("nan")
    known = ~np.isnan(old)
    edges = bin_edges(old[known], weight[known], np.arange(1, bins) / bins)
    return _index(_shares(old, weight, edges), _shares(new, np.ones_like(new), edges))


def index_beyond_time(
    train: ArrayLike, actual: ArrayLike, weight: ArrayLike, week: ArrayLike, now: int, bins: int = 10
) -> float:
    """How far a feature has moved from where time alone would have brought it.

    Some features are clocks: the prospects of today were first seen longer ago than those of the training
    snapshots, at any time. So the expected shares are not those of the training snapshots, but these times
    what the prospects of earlier lists had of each bin, over what the training snapshots of that earlier time
    had. Each time has its own bins, of its own training snapshots: their values, when they are at most
    ``bins``, else their quantiles, over which equal values are spread evenly. Missing values are a bin.

    Parameters
    ----------
    train
        Values at training time; NaN is missing.
    actual
        Values now.
    weight
        How many rows each training value stands for.
    week
        Each training value's week.
    now
        The week of ``actual``.
    bins
        Quantile bins.

    Returns
    -------
    float
        0 where the prospects of now are to the training snapshots what those of earlier lists were to
        theirs. Where no list is early enough to compare with, the index of the training snapshots themselves.
        NaN where one side is empty.
    """
    old, new = np.asarray(train, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    weights, weeks = np.asarray(weight, dtype=np.float64), np.asarray(week, dtype=np.int64)
    if not weights.sum() > 0 or not len(new):
        return float("nan")
    code, missing, by_value = _coded(old, new, bins)
    each_week, row = np.unique(weeks, return_inverse=True)
    codes = missing + 1
    cells = np.bincount(row * codes + code[: len(old)], weights, len(each_week) * codes)
    lists = cells.reshape(len(each_week), codes)
    known = np.cumsum(lists, axis=0)

    def shares(part: Floats, reference: Floats) -> Floats:
        found = part / part.sum()
        if not by_value:
            found = np.append(_grade_shares(found[:-1], reference[:-1], bins), found[-1])
        floored: Floats = np.maximum(found, _SMALLEST_SHARE)
        return floored

    ratios = [
        shares(lists[at], known[before]) / shares(known[before], known[before])
        for at, before in _earlier_lists(each_week, now - int(each_week[-1]))
        if lists[at].sum() > 0 and known[before].sum() > 0
    ]
    reference = known[-1]
    expected = shares(reference, reference) * (np.mean(ratios, axis=0) if ratios else 1.0)
    actual_counts = np.bincount(code[len(old) :], minlength=codes).astype(np.float64)
    return _index(expected / expected.sum(), shares(actual_counts, reference))


def _coded(old: Floats, new: Floats, bins: int) -> tuple[Ints, int, bool]:
    """Give the values of both sides numbers, in ascending order.

    Returns
    -------
    ndarray of int64, int, bool
        The numbers, those of ``old`` first; where there are thousands of values neighbours share one. The
        number of what is missing, which is the last. Whether the old values are few enough to be bins.
    """
    both = np.concatenate((old, new))
    present = ~np.isnan(both)
    distinct, rank = np.unique(both[present], return_inverse=True)
    count = min(len(distinct), _DISTINCT)
    code = np.full(len(both), count, dtype=np.int64)
    code[present] = rank * count // max(len(distinct), 1)
    of_old = rank[: int(present[: len(old)].sum())]
    return code, count, int((np.bincount(of_old) > 0).sum()) <= bins


def _earlier_lists(week: Ints, gap: int) -> list[tuple[int, int]]:
    """Choose the last lists to compare with, each with the last week of training that was mature then.

    Parameters
    ----------
    week
        The distinct weeks, ascending.
    gap
        Weeks from the last training snapshot to the list.

    Returns
    -------
    list of (int, int)
        Numbers of weeks; in the training that a list is compared with lie half of all the weeks or more.
    """
    last_mature = np.searchsorted(week, week - gap, side="right") - 1
    return [(at, int(before)) for at, before in enumerate(last_mature) if before + 1 >= len(week) / 2][
        -_EARLIER_LISTS:
    ]


def _grade_shares(counts: Floats, reference: Floats, bins: int) -> Floats:
    """Sum the counts in each quantile bin of the reference, both counted by value in ascending order.

    A value that covers several quantiles is spread evenly over them (the *relative distribution* of
    Handcock and Morris 1999), so that bins of one time can be compared with those of another.
    """
    reached = np.concatenate(([0.0], np.cumsum(counts)))
    grade = np.concatenate(([0.0], np.cumsum(reference)))
    levels = grade[-1] * np.arange(1, bins) / bins
    inner = np.interp(levels, grade, reached)
    summed: Floats = np.diff(np.concatenate(([0.0], inner, reached[-1:])))
    return summed


def _index(expected: Floats, actual: Floats) -> float:
    return float(np.sum((actual - expected) * log(actual / expected)))


def _shares(values: Floats, weight: Floats, edges: Floats) -> Floats:
    group = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    counts = np.bincount(group, weight, len(edges) + 2)
    shares: Floats = np.maximum(counts / counts.sum(), _SMALLEST_SHARE)
    return shares


DRIFT_DIGITS: Final = 4
SHIFT: Final = 0.25
"""An index above it is a shift, by Siddiqi's reading."""


def drift(
    train: pd.DataFrame, latest: pd.DataFrame, features: tuple[Feature, ...], as_of: pd.Timestamp
) -> dict[str, Any]:
    """Measure how far each feature of the prospects has moved, beyond what time alone does.

    Parameters
    ----------
    train
        Training snapshots with ``weight`` and ``as_of``.
    latest
        Snapshots to score.
    features
        The model's features.
    as_of
        The moment the list is made.

    Returns
    -------
    dict
        ``population_stability_index`` by feature, largest first: `conversion.leads.drift.index_beyond_time`,
        and in ``shifted_features`` the count above `SHIFT`. ``against_training`` is the plain index, that of
        the training snapshots, in which clocks always move.
    """
    week, now = week_number(train["as_of"]), int(week_number(pd.DatetimeIndex([as_of]))[0])
    weight = train["weight"].to_numpy()
    beyond: dict[str, float] = {}
    plain: dict[str, float] = {}
    for feature in features:
        old, new = train[feature.name], latest[feature.name]
        if feature.kind == "category":
            old, new = old.cat.codes, new.cat.codes
        beyond[feature.name] = round(
            index_beyond_time(old.to_numpy(), new.to_numpy(), weight, week, now), DRIFT_DIGITS
        )
        plain[feature.name] = round(
            population_stability_index(old.to_numpy(), new.to_numpy(), weight), DRIFT_DIGITS
        )
    return {
        "shifted_features": sum(index > SHIFT for index in beyond.values()),
        "population_stability_index": _largest_first(beyond),
        "against_training": _largest_first(plain),
    }


def _largest_first(index: dict[str, float]) -> dict[str, float]:
    return dict(sorted(index.items(), key=lambda item: (-item[1], item[0])))
