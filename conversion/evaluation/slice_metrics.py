"""Measures of the model on slices of the prospects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import resampled_sums
from conversion.evaluation.predictions import BASE_RATE, MODEL, Companies, companies_of, company_sums
from conversion.evaluation.probability_metrics import PROBABILITY_METRICS
from conversion.evaluation.ranking_metrics import LIST_METRICS
from conversion.stats.losses import log_losses
from conversion.stats.metric import HIGHER, Metric
from conversion.stats.numeric import Bools, Floats, Ints, divide, finite
from conversion.stats.rank_order import rank_order
from conversion.stats.resampling import percentiles
from conversion.stats.roc_auc import pairs_in_order

ALL: Final = "all"
"""What makes the slice of all prospects."""
_COUNTS: Final = ("prospects", "conversions", "converters", "prevalence")
_RATIOS: Final = ("share_of_conversions", "expected_over_observed", "log_loss_ratio")
"""The measures that are a ratio of sums over the rows."""
_RANKING: Final = ("roc_auc", "recall_at_<k>")
"""The measures that are means over the cutoffs; their intervals are those of `slice_intervals`."""

SLICE_METRICS: Final = (
    Metric("by", "how the prospects are split into slices"),
    Metric("slice", "the slice"),
    *LIST_METRICS,
    Metric("converters", "companies that convert"),
    Metric("share_of_conversions", "share of all conversions"),
    Metric("mean_probability", "mean predicted probability"),
    *(metric for metric in PROBABILITY_METRICS if metric.pattern in _RATIOS[1:]),
    *(
        Metric(f"{name}_{bound}", f"{end} end of its 95 % interval")
        for name in (*_RATIOS, *_RANKING)
        for bound, end in (("low", "lower"), ("high", "upper"))
    ),
    Metric("roc_auc", "ROC AUC among the slice's rows", HIGHER),
    Metric("recall_at_<k>", "share of the slice's conversions among the first k of the whole list", HIGHER),
)


def slice_measures(
    predictions: pd.DataFrame, columns: Sequence[str], top_k: Sequence[int], samples: int, seed: int
) -> pd.DataFrame:
    """Measure the model on all prospects and on slices of them.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`; with ``base_rate`` and the ``columns``.
    columns
        Each splits the prospects into slices, in the order of its categories or values.
    top_k
        List lengths.
    samples, seed
        See `conversion.evaluation.bootstrap.company_weights`.

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
    companies = companies_of(predictions)
    parts = [pd.Series("all prospects", index=predictions.index, name=ALL)]
    parts += [predictions[column] for column in columns]
    place = _places(predictions)
    tables = [_slices(predictions, part, place, top_k).assign(by=str(part.name)) for part in parts]
    table = pd.concat(tables, ignore_index=True)
    sums = np.concatenate([_slice_sums(predictions, part, companies) for part in parts], axis=1)
    total, sampled = resampled_sums(sums, samples, seed)
    for name, value, each in zip(_RATIOS, _slice_ratios(total), _slice_ratios(sampled), strict=True):
        bounds = [percentiles(each[:, number]) for number in range(len(table))]
        table[[name, f"{name}_low", f"{name}_high"]] = np.column_stack((value, bounds))
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
    members = [
        np.packbits(members_of(predictions, by, name)).tobytes()
        for by, name in zip(slices["by"], slices["slice"], strict=True)
    ]
    return slices[~pd.Series(members, index=slices.index).duplicated()].reset_index(drop=True)


def members_of(rows: pd.DataFrame, by: str, name: str) -> Bools:
    """Return which rows of the predictions are in a slice of `slice_measures`."""
    if by == ALL:
        return np.ones(len(rows), dtype=np.bool_)
    return np.asarray((rows[by].astype(str) if rows[by].dtype != "category" else rows[by]) == name)


def with_bounds(names: Sequence[str]) -> list[str]:
    """Return the names of measures, each followed by those of the bounds of its interval."""
    return [f"{name}{bound}" for name in names for bound in ("", "_low", "_high")]


def calibration_by_group(
    predictions: pd.DataFrame, group: Ints, count: int, samples: int, seed: int
) -> pd.DataFrame:
    """Compare each group's mean probability with the share of it that converted.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`.
    group
        Each row's group, from 0 to ``count`` - 1.
    count
        Number of groups.
    samples, seed
        See `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    DataFrame
        One row for each group, in order: ``prospects``, ``conversions``, ``mean_probability``,
        ``observed_share`` with the bounds ``low`` and ``high`` of its 95 % interval. NaN in a group without
        rows.
    """
    sums = company_sums(predictions, companies_of(predictions), _calibration_columns, group, count)
    total, sampled = resampled_sums(sums, samples, seed)
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


def _places(predictions: pd.DataFrame) -> Ints:
    """Return each row's place on the model's list of its cutoff, from 0."""
    place = np.empty(len(predictions), dtype=np.int64)
    for rows in predictions.groupby("as_of", sort=False).indices.values():
        order = rank_order(predictions[MODEL].to_numpy()[rows], predictions["id"].to_numpy()[rows])
        place[rows[order]] = np.arange(len(rows))
    return place


def _slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """Return one row for each slice of ``part``: the measures that need no bootstrap."""
    part = part.rename("slice")
    converted = predictions["label"] == 1
    weekly = _weekly_slices(predictions, part, place, top_k)
    by_slice = weekly.groupby(level="slice", observed=True)
    table = by_slice[["prospects", "conversions"]].sum()
    converters = predictions["id"][converted].groupby(part[converted], observed=True).nunique()
    table["converters"] = converters.reindex(table.index).fillna(0).astype(np.int64)
    table["prevalence"] = table["conversions"] / table["prospects"]
    table["mean_probability"] = predictions[MODEL].groupby(part, observed=True).mean()
    means = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    table[means] = by_slice[means].mean()
    return table.reset_index().astype({"slice": str})


def _weekly_slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """Return one row for each cutoff and slice: prospects, conversions, ROC AUC and recall at each k."""
    keys = [predictions["as_of"], part]
    converted = predictions["label"] == 1
    rows = pd.DataFrame({"prospects": 1, "conversions": converted})
    for k in top_k:
        rows[f"recall_at_{k}"] = converted & (place < k)
    weekly = rows.groupby(keys, observed=True).sum()
    counts = pairs_in_order(predictions[MODEL], converted, keys)
    weekly["roc_auc"] = counts["in_order"] / counts["pairs"].replace(0, np.nan)
    for k in top_k:
        weekly[f"recall_at_{k}"] /= weekly["conversions"].replace(0, np.nan)
    return weekly


def _slice_sums(predictions: pd.DataFrame, part: pd.Series[Any], companies: Companies) -> Floats:
    """Return companies by slices by sums: of labels, probabilities, log losses of model and base rate."""
    slices, _ = pd.factorize(part, sort=True)
    return company_sums(predictions, companies, _slice_columns, slices, int(slices.max()) + 1)


def _slice_columns(rows: pd.DataFrame) -> Sequence[Floats]:
    label = rows["label"].to_numpy(dtype=np.float64)
    probability, base_rate = finite(rows[MODEL]), finite(rows[BASE_RATE])
    return label, probability, log_losses(label, probability), log_losses(label, base_rate)


def _calibration_columns(rows: pd.DataFrame) -> Sequence[Floats]:
    return np.ones(len(rows)), rows["label"].to_numpy(dtype=np.float64), finite(rows[MODEL])


def _slice_ratios(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Divide observed conversions by all, expected ones by observed, and log loss by the base rate's.

    The sums are on the last axis, those of all prospects first on the one before.
    """
    observed, expected, loss, base_loss = np.moveaxis(sums, -1, 0)
    return divide(observed, observed[..., :1]), divide(expected, observed), divide(loss, base_loss)
