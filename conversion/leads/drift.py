"""How far the features have moved since training, beyond what time alone explains.

The measure is the population stability index of N. Siddiqi, *Credit Risk Scorecards* (Wiley 2006): the sum of
(a - e) ln(a / e) over bins, where e are the expected shares and a the actual ones. It is the symmetric
Kullback-Leibler divergence of the binned shares. Siddiqi's reading: below 0.10 no change, to 0.25 some, above
it a shift. Shares below 0.0001 count as 0.0001, so that an empty bin has a finite index.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from conversion.data.timeline import week_number
from conversion.features.definitions import Feature
from conversion.stats.bins import bin_edges
from conversion.stats.metric import LOWER, Metric
from conversion.stats.numeric import Floats, Ints
from conversion.stats.portable_math import log

SHIFT: Final = 0.25
"""An index above it is a shift, by Siddiqi's reading."""
DRIFT_DIGITS: Final = 4
_SMALLEST_SHARE: Final = 1e-4
_EARLIER_LISTS: Final = 13
"""A quarter of weekly lists: long enough to be steady, short enough to resemble the present."""
_DISTINCT: Final = 2000
"""Distinct values of a feature that are counted one by one."""
_BINS: Final = 10

DRIFT_METRICS: Final = (
    Metric("as_of", "the moment the list is made"),
    Metric("shifted_features", "features whose index is above 0.25"),
    Metric(
        "population_stability_index.<feature>",
        "how far a feature of the prospects has moved from where time alone would have brought it, judged by "
        "what earlier lists were to the training snapshots of their time; below 0.1 no change, above 0.25 a "
        "shift (Siddiqi 2006)",
        LOWER,
    ),
    Metric(
        "against_training.<feature>",
        "the same index against the training snapshots themselves, by which clocks, such as the weeks since "
        "a company was first seen, always move",
    ),
)


class Columns(Protocol):
    """What has a column by name, such as a table."""

    def __getitem__(self, name: str, /) -> pd.Series[Any]:
        """Return a column."""


class _Values(NamedTuple):
    """A feature's values on both sides.

    Attributes
    ----------
    distinct
        Those of either side, increasing, without missing ones.
    old, new
        By row, the place of its value among them; of a missing value the place after the last.
    """

    distinct: Floats
    old: Ints
    new: Ints

    @classmethod
    def of(cls, old: ArrayLike, new: ArrayLike) -> Self:
        """Find them; most features have few, which are hashed much faster than all rows are sorted."""
        before, now = np.asarray(old), np.asarray(new)
        code, found = pd.factorize(np.concatenate((before, now)))
        order = np.argsort(found)
        place = np.full(len(found) + 1, len(found), dtype=np.int64)  # a missing value has the code -1
        place[order] = np.arange(len(found))
        rows = place[code]
        return cls(found[order].astype(np.float64), rows[: len(before)], rows[len(before) :])


class _Weeks(NamedTuple):
    """The weeks of the training snapshots, increasing, and by snapshot the place of its own."""

    distinct: Ints
    place: Ints

    @classmethod
    def of(cls, week: ArrayLike) -> Self:
        """Find them."""
        return cls(*np.unique(np.asarray(week, dtype=np.int64), return_inverse=True))


def feature_drift(
    train: pd.DataFrame, latest: Columns, features: tuple[Feature, ...], as_of: pd.Timestamp
) -> dict[str, Any]:
    """Measure how far each feature of the prospects has moved since training, beyond what time explains.

    Parameters
    ----------
    train
        Training snapshots with ``weight`` and ``as_of``.
    latest
        Snapshots to score, or their columns, each of which is asked for once, in the order of ``features``.
    features
        The model's features.
    as_of
        The moment the list is made.

    Returns
    -------
    dict
        ``population_stability_index``: by feature, largest first, the `index_beyond_time`;
        ``shifted_features``: how many of these are above `SHIFT`; ``against_training``: the plain
        `population_stability_index` against the training snapshots, in which clocks always move.
    """
    weeks, now = _Weeks.of(week_number(train["as_of"])), int(week_number(pd.DatetimeIndex([as_of]))[0])
    weight = train["weight"].to_numpy(dtype=np.float64)
    beyond: dict[str, float] = {}
    plain: dict[str, float] = {}
    for feature in features:
        values = _Values.of(*_numbers(train[feature.name], latest[feature.name], feature))
        beyond[feature.name] = round(_beyond_time(values, weight, weeks, now, _BINS), DRIFT_DIGITS)
        plain[feature.name] = round(_stability_index(values, weight, _BINS), DRIFT_DIGITS)
    return {
        "shifted_features": sum(index > SHIFT for index in beyond.values()),
        "population_stability_index": _largest_first(beyond),
        "against_training": _largest_first(plain),
    }


def _numbers(
    old: pd.Series[Any], new: pd.Series[Any], feature: Feature
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the values of both sides as numbers; equal levels of a category have equal ones."""
    if feature.kind != "category":
        return old.to_numpy(), new.to_numpy()
    before, now = old.astype("category"), new.astype("category")
    if before.cat.categories.equals(now.cat.categories):
        return before.cat.codes.to_numpy(), now.cat.codes.to_numpy()
    *_, unknown = before.cat.categories
    levels = [*sorted({*before.cat.categories, *now.cat.categories} - {unknown}), unknown]
    before, now = before.cat.set_categories(levels), now.cat.set_categories(levels)
    return before.cat.codes.to_numpy(), now.cat.codes.to_numpy()


def index_beyond_time(
    train: ArrayLike, actual: ArrayLike, weight: ArrayLike, week: ArrayLike, now: int, bins: int = _BINS
) -> float:
    """Measure how far a feature has moved from where time alone would have brought it.

    Some features are clocks: at any time, the prospects of a list were first seen longer ago than those of
    the training snapshots. So the expected share of a bin is its share of the training snapshots times a
    ratio: its share of the prospects of earlier lists, over its share of the training snapshots of that
    earlier time. Each time has its own bins, of its own training snapshots: their values if there are at
    most ``bins``, else their quantiles, over which equal values are spread evenly. Missing values are a bin.

    Parameters
    ----------
    train
        Values at training time; NaN is missing.
    actual
        Values now.
    weight
        How many rows each training value counts for.
    week
        Each training value's week.
    now
        The week of ``actual``.
    bins
        Quantile bins.

    Returns
    -------
    float
        0 if the prospects differ from the training snapshots just as those of earlier lists differed from
        theirs. If no list is early enough to compare with, the index against the training snapshots
        themselves. NaN if one side is empty.
    """
    weights = np.asarray(weight, dtype=np.float64)
    return _beyond_time(_Values.of(train, actual), weights, _Weeks.of(week), now, bins)


def _beyond_time(values: _Values, weight: Floats, weeks: _Weeks, now: int, bins: int) -> float:
    if not weight.sum() > 0 or not len(values.new):
        return float("nan")
    code, missing, by_value = _coded(values, bins)
    old, new = code[values.old], code[values.new]
    codes = missing + 1
    cells = np.bincount(weeks.place * codes + old, weight, len(weeks.distinct) * codes)
    lists = cells.reshape(len(weeks.distinct), codes)
    known = np.cumsum(lists, axis=0)

    def shares(part: Floats, reference: Floats) -> Floats:
        found = part / part.sum()
        if not by_value:
            found = np.append(_grade_shares(found[:-1], reference[:-1], bins), found[-1])
        floored: Floats = np.maximum(found, _SMALLEST_SHARE)
        return floored

    ratios = [
        shares(lists[at], known[before]) / shares(known[before], known[before])
        for at, before in _earlier_lists(weeks.distinct, now - int(weeks.distinct[-1]))
        if lists[at].sum() > 0 and known[before].sum() > 0
    ]
    reference = known[-1]
    expected = shares(reference, reference) * (np.mean(ratios, axis=0) if ratios else 1.0)
    actual_counts = np.bincount(new, minlength=codes).astype(np.float64)
    return _index(expected / expected.sum(), shares(actual_counts, reference))


def population_stability_index(
    expected: ArrayLike, actual: ArrayLike, expected_weight: ArrayLike | None = None, bins: int = _BINS
) -> float:
    """Measure how far the distribution of a feature or a score has moved.

    Bins are quantiles of ``expected`` (its values themselves if there are at most ``bins``), and missing
    values are a bin.

    Parameters
    ----------
    expected
        Values at training time; NaN is missing.
    actual
        Values now.
    expected_weight
        How many rows each expected value counts for; None: one.
    bins
        Bins for values that are not missing.

    Returns
    -------
    float
        0 if nothing moved; NaN if one side is empty.
    """
    values = _Values.of(expected, actual)
    none = expected_weight is None
    weight = np.ones(len(values.old)) if none else np.asarray(expected_weight, dtype=np.float64)
    return _stability_index(values, weight, bins)


def _stability_index(values: _Values, weight: Floats, bins: int) -> float:
    if not weight.sum() > 0 or not len(values.new):
        return float("nan")
    distinct, known = values.distinct, len(values.distinct)
    there = np.bincount(values.old, minlength=known + 1)[:known] > 0
    weights = np.bincount(values.old, weight, known + 1)[:known]
    edges = bin_edges(distinct[there], weights[there], np.arange(1, bins) / bins)
    group = np.append(np.searchsorted(edges, distinct, side="left"), len(edges) + 1)
    expected = np.bincount(group[values.old], weight, len(edges) + 2)
    actual = np.bincount(group[values.new], minlength=len(edges) + 2)
    return _index(_shares(expected), _shares(actual))


def _coded(values: _Values, bins: int) -> tuple[Ints, int, bool]:
    """Assign numbers to the distinct values and, last, to missing ones, in ascending order.

    Returns
    -------
    ndarray of int64, int, bool
        The numbers; if there are thousands of values, neighbours share a number. The number of missing
        values, which is the last. Whether the old values are few enough to be bins.
    """
    distinct = len(values.distinct)
    count = min(distinct, _DISTINCT)
    code = np.append(np.arange(distinct) * count // max(distinct, 1), count)
    rows = np.bincount(values.old, minlength=distinct + 1)[:distinct]
    return code, count, int((rows > 0).sum()) <= bins


def _earlier_lists(week: Ints, gap: int) -> list[tuple[int, int]]:
    """Choose the earlier lists to compare with, each with the last training week that was mature then.

    Parameters
    ----------
    week
        The distinct weeks, ascending.
    gap
        Weeks from the last training snapshot to the list.

    Returns
    -------
    list of (int, int)
        Positions of weeks; the training that a list is compared with has at least half of all weeks.
    """
    last_mature = np.searchsorted(week, week - gap, side="right") - 1
    return [(at, int(before)) for at, before in enumerate(last_mature) if before + 1 >= len(week) / 2][
        -_EARLIER_LISTS:
    ]


def _grade_shares(counts: Floats, reference: Floats, bins: int) -> Floats:
    """Return the counts in each quantile bin of the reference, both given by value in ascending order.

    A value that covers several quantiles is spread evenly over them (the *relative distribution* of
    Handcock and Morris 1999), so that the bins of different times can be compared.
    """
    reached = np.concatenate(([0.0], np.cumsum(counts)))
    grade = np.concatenate(([0.0], np.cumsum(reference)))
    levels = grade[-1] * np.arange(1, bins) / bins
    inner = np.interp(levels, grade, reached)
    summed: Floats = np.diff(np.concatenate(([0.0], inner, reached[-1:])))
    return summed


def _index(expected: Floats, actual: Floats) -> float:
    return float(np.sum((actual - expected) * log(actual / expected)))


def _shares(counts: NDArray[Any]) -> Floats:
    shares: Floats = np.maximum(counts / counts.sum(), _SMALLEST_SHARE)
    return shares


def _largest_first(index: dict[str, float]) -> dict[str, float]:
    return dict(sorted(index.items(), key=lambda item: (-item[1], item[0])))
