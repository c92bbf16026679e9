"""Measures of the model on slices of the prospects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import Grouped, Resampled, resampled_sums
from conversion.evaluation.predictions import BASE_RATE, MODEL, tables_by_cutoff
from conversion.evaluation.probability_metrics import PROBABILITY_METRICS
from conversion.evaluation.ranking_metrics import LIST_METRICS
from conversion.evaluation.slice_counts import ALL, ALL_PROSPECTS, Split, count_slices, split_by
from conversion.stats.losses import log_losses
from conversion.stats.metric import HIGHER, Metric
from conversion.stats.numeric import Bools, Floats, divide, finite
from conversion.stats.resampling import percentiles

_COUNTS: Final = ("prospects", "conversions", "converters", "prevalence")
_RATIOS: Final = ("share_of_conversions", "expected_over_observed", "log_loss_ratio")
"""The measures that are a ratio of sums over the rows."""


def _with_interval(metric: Metric) -> tuple[Metric, Metric, Metric]:
    """Return a measure and the bounds of its interval."""
    low, high = (
        Metric(f"{metric.pattern}_{bound}", f"{end} end of its 95 % interval")
        for bound, end in (("low", "lower"), ("high", "upper"))
    )
    return metric, low, high


SLICE_METRICS: Final = (
    Metric("by", "how the prospects are split into slices"),
    Metric("slice", "the slice"),
    *LIST_METRICS,
    Metric("converters", "companies that convert"),
    *_with_interval(Metric("share_of_conversions", "share of all conversions")),
    Metric("mean_probability", "mean predicted probability"),
    *(each for metric in PROBABILITY_METRICS if metric.pattern in _RATIOS for each in _with_interval(metric)),
    *_with_interval(Metric("roc_auc", "ROC AUC among the slice's rows", HIGHER)),
    *_with_interval(
        Metric(
            "recall_at_<k>", "share of the slice's conversions among the first k of the whole list", HIGHER
        )
    ),
)


def slice_measures(
    of: Resampled, columns: Sequence[str], top_k: Sequence[int], *others: Split
) -> pd.DataFrame:
    """Measure the model on all prospects and on slices of them.

    Parameters
    ----------
    of
        The predictions, with ``base_rate`` and the ``columns``, and samples of their companies.
    columns
        Each splits the prospects into slices, in the order of its categories or values.
    top_k
        List lengths.
    *others
        More ways to split them, behind the columns.

    Returns
    -------
    DataFrame
        One row for each slice, with the columns of `SLICE_METRICS`: ``by`` (the column; ``all`` in the first
        row), ``slice``; ``prospects`` (one for each company and cutoff), ``conversions``, ``converters``
        (companies), ``prevalence``, ``share_of_conversions`` (of all), ``mean_probability``;
        ``expected_over_observed`` conversions and ``log_loss_ratio`` (over the base rate's: below 1 is
        better); ``roc_auc`` among the slice's own prospects, and ``recall_at_<k>``, the share of the slice's
        conversions among the first k of the whole list, both means over the cutoffs with conversions in the
        slice. The share of conversions and the two ratios have the bounds ``_low`` and ``_high`` of their
        95 % intervals. NaN where undefined.
    """
    splits = [ALL_PROSPECTS, *(split_by(of.predictions, column) for column in columns), *others]
    counted = count_slices(of.cutoffs(), splits, top_k)
    groups = [Grouped(len(each.slices), each.of) for each in splits]
    total, sampled = resampled_sums(of, _slice_columns, *groups)
    there = counted["prospects"].to_numpy() > 0
    table = counted[there].reset_index(drop=True)
    table["mean_probability"] = total[there, 1] / table["prospects"]
    for name, value, each in zip(_RATIOS, _slice_ratios(total), _slice_ratios(sampled), strict=True):
        bounds = [percentiles(samples_of) for samples_of in each.T[there]]
        table[[name, f"{name}_low", f"{name}_high"]] = np.column_stack((value[there], bounds))
    ranking = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    ratios = [with_bounds([name]) for name in _RATIOS]
    return table[["by", "slice", *_COUNTS, *ratios[0], "mean_probability", *ratios[1], *ratios[2], *ranking]]


def drop_repeated_slices(slices: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Leave out each slice with the same prospects as a slice above it, such as the whole.

    Two columns can lead to the same slice: a company that was never seen has no first week either.

    Parameters
    ----------
    slices
        From `slice_measures`.
    predictions
        That were measured.

    Returns
    -------
    DataFrame
        The same columns, fewer rows.
    """
    members = [hashlib.sha256() for _ in range(len(slices))]
    for rows in tables_by_cutoff(predictions):
        for member, by, name in zip(members, slices["by"], slices["slice"], strict=True):
            member.update(np.packbits(members_of(rows, by, name)).tobytes())
    digests = pd.Series([each.digest() for each in members], index=slices.index)
    return slices[~digests.duplicated()].reset_index(drop=True)


def members_of(rows: pd.DataFrame, by: str, name: str) -> Bools:
    """Return which rows of the predictions are in a slice of `slice_measures`."""
    if by == ALL:
        return np.ones(len(rows), dtype=np.bool_)
    values = rows[by].array
    if isinstance(values, pd.Categorical):  # a name that is none of its categories has no rows
        (code,) = values.categories.get_indexer(pd.Index([name]))
        return np.asarray((values.codes == code) & (values.codes >= 0))
    return np.asarray(rows[by].astype(str) == name)


def with_bounds(names: Sequence[str]) -> list[str]:
    """Return the names of measures, each followed by those of the bounds of its interval."""
    return [f"{name}{bound}" for name in names for bound in ("", "_low", "_high")]


def calibration_by_group(of: Resampled, groups: Grouped) -> pd.DataFrame:
    """Compare each group's mean probability with the share of it that converted.

    Parameters
    ----------
    of
        The predictions, and samples of their companies.
    groups
        How the rows fall into groups.

    Returns
    -------
    DataFrame
        One row for each group, in order: ``prospects``, ``conversions``, ``mean_probability``,
        ``observed_share`` with the bounds ``low`` and ``high`` of its 95 % interval. NaN in a group without
        rows.
    """
    total, sampled = resampled_sums(of, _calibration_columns, groups)
    prospects, conversions, expected = total.T
    bounds = np.array([percentiles(each) for each in divide(sampled[..., 1], sampled[..., 0]).T])
    return pd.DataFrame(
        {
            "prospects": prospects.astype(np.int64),
            "conversions": conversions.astype(np.int64),
            "mean_probability": divide(expected, prospects),
            "observed_share": divide(conversions, prospects),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
        }
    )


def _slice_columns(rows: pd.DataFrame) -> Iterator[Floats]:
    label, probability = rows["label"].to_numpy(dtype=np.float64), finite(rows[MODEL])
    yield label
    yield probability
    yield log_losses(label, probability)
    yield log_losses(label, finite(rows[BASE_RATE]))


def _calibration_columns(rows: pd.DataFrame) -> Iterator[Floats]:
    yield np.ones(len(rows))
    yield rows["label"].to_numpy(dtype=np.float64)
    yield finite(rows[MODEL])


def _slice_ratios(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Divide observed conversions by all, expected ones by observed, and log loss by the base rate's.

    The sums are on the last axis, those of all prospects first on the one before.
    """
    observed, expected, loss, base_loss = np.moveaxis(sums, -1, 0)
    return divide(observed, observed[..., :1]), divide(expected, observed), divide(loss, base_loss)
