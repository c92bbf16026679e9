"""How good the model is on parts of the prospects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import company_weights, percentiles
from conversion.evaluation.predictions import BASE_RATE, MODEL, Companies, companies_of
from conversion.stats.losses import log_losses
from conversion.stats.numeric import Floats, Ints, divide, finite
from conversion.stats.portable_math import sums_at_counts
from conversion.stats.rank_order import rank_order


def slice_measures(
    predictions: pd.DataFrame, columns: Sequence[str], top_k: Sequence[int], samples: int, seed: int
) -> pd.DataFrame:
    """Measure the model on parts of the prospects, beside all of them.

    Parameters
    ----------
    predictions
        See `conversion.evaluation.predictions`; with ``base_rate`` and the ``columns``.
    columns
        Each parts the prospects into slices, in the order of its categories or values.
    top_k
        List lengths.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    DataFrame
        ``by`` (the column; ``all`` in the first row), ``slice``; ``prospects`` (one a company and cutoff),
        ``conversions``, ``converters`` (companies), ``prevalence``, ``share_of_conversions`` (of all),
        ``mean_probability``; ``expected_over_observed`` conversions and ``log_loss_ratio`` (over the base
        rate's: below 1 is better) with the bounds ``_low`` and ``_high`` of their 95 % intervals;
        ``roc_auc`` among the slice's own prospects, and ``recall_at_<k>``, the share of the slice's
        conversions that the first k of the whole list catch, both means over the cutoffs with conversions
        in the slice. NaN where undefined.
    """
    companies = companies_of(predictions)
    parts = [pd.Series("all prospects", index=predictions.index, name="all")]
    parts += [predictions[column] for column in columns]
    place = _places(predictions)
    tables = [_slices(predictions, part, place, top_k).assign(by=str(part.name)) for part in parts]
    table = pd.concat(tables, ignore_index=True)
    sums = np.concatenate([_slice_sums(predictions, part, companies) for part in parts], axis=1)
    flat = sums.reshape(companies.count, -1)
    sampled = np.concatenate(
        [
            sums_at_counts(weights, flat).reshape(-1, *sums.shape[1:])
            for weights in company_weights(companies.count, samples, seed)
        ]
    )
    for name, value, each in zip(
        ("expected_over_observed", "log_loss_ratio"),
        _slice_ratios(sums.sum(axis=0)),
        _slice_ratios(sampled),
        strict=True,
    ):
        bounds = [percentiles(each[:, number]) for number in range(len(table))]
        table[[name, f"{name}_low", f"{name}_high"]] = np.column_stack((value, bounds))
    first = ["by", "slice", "prospects", "conversions", "converters", "prevalence", "share_of_conversions"]
    last = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    middle = [name for name in table if name not in {*first, *last}]
    return table[[*first, *middle, *last]]


def without_repeats(slices: pd.DataFrame) -> pd.DataFrame:
    """Leave out each slice that holds the same prospects as one above it.

    Two ways to part the prospects can come to the same slice: who was never seen has no first week either.

    Parameters
    ----------
    slices
        From `slice_measures`.

    Returns
    -------
    DataFrame
        The same columns, fewer rows.
    """
    # The same rows have the same measures, to the last bits of their sums; others do not agree on all.
    repeated = slices.drop(columns=["by", "slice"]).round(9).duplicated()
    return slices[~repeated].reset_index(drop=True)


def observed_shares(
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
        Groups.
    samples, seed
        Of `conversion.evaluation.bootstrap.company_weights`.

    Returns
    -------
    DataFrame
        One row a group, in order: ``prospects``, ``conversions``, ``mean_probability``, ``observed_share``
        with the bounds ``low`` and ``high`` of its 95 % interval. NaN in a group without rows.
    """
    companies = companies_of(predictions)
    cell = companies.index * count + group
    prospects, conversions, expected = (
        np.bincount(cell, each, companies.count * count).reshape(companies.count, count)
        for each in (None, predictions["label"].to_numpy(dtype=np.float64), finite(predictions[MODEL]))
    )
    sampled = np.concatenate(
        [
            divide(
                sums_at_counts(weights, conversions.astype(np.float64)),
                sums_at_counts(weights, prospects.astype(np.float64)),
            )
            for weights in company_weights(companies.count, samples, seed)
        ]
    )
    rows = prospects.sum(axis=0)
    bounds = np.array([percentiles(each) for each in sampled.T])
    return pd.DataFrame(
        {
            "prospects": rows.astype(np.int64),
            "conversions": conversions.sum(axis=0).astype(np.int64),
            "mean_probability": divide(expected.sum(axis=0), rows),
            "observed_share": divide(conversions.sum(axis=0), rows),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
        }
    )


def _places(predictions: pd.DataFrame) -> Ints:
    """Each row's place on the model's list of its cutoff, from 0."""
    place = np.empty(len(predictions), dtype=np.int64)
    for rows in predictions.groupby("as_of", sort=False).indices.values():
        order = rank_order(predictions[MODEL].to_numpy()[rows], predictions["id"].to_numpy()[rows])
        place[rows[order]] = np.arange(len(rows))
    return place


def _slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """One row a slice of ``part``: what needs no bootstrap."""
    part = part.rename("slice")
    converted = predictions["label"] == 1
    weekly = _weekly_slices(predictions, part, place, top_k)
    by_slice = weekly.groupby(level="slice", observed=True)
    table = by_slice[["prospects", "conversions"]].sum()
    converters = predictions["id"][converted].groupby(part[converted], observed=True).nunique()
    table["converters"] = converters.reindex(table.index).fillna(0).astype(np.int64)
    table["prevalence"] = table["conversions"] / table["prospects"]
    table["share_of_conversions"] = table["conversions"] / max(int(converted.sum()), 1)
    table["mean_probability"] = predictions[MODEL].groupby(part, observed=True).mean()
    means = ["roc_auc", *(f"recall_at_{k}" for k in top_k)]
    table[means] = by_slice[means].mean()
    return table.reset_index().astype({"slice": str})


def _weekly_slices(
    predictions: pd.DataFrame, part: pd.Series[Any], place: Ints, top_k: Sequence[int]
) -> pd.DataFrame:
    """One row a cutoff and slice: its prospects, conversions, ROC AUC and recall at each k."""
    keys = [predictions["as_of"], part]
    converted = predictions["label"] == 1
    rank = predictions[MODEL].groupby(keys, observed=True).rank()  # equal ones share the mean of theirs
    rows = pd.DataFrame({"prospects": 1, "conversions": converted, "rank": rank.where(converted, 0.0)})
    for k in top_k:
        rows[f"recall_at_{k}"] = converted & (place < k)
    weekly = rows.groupby(keys, observed=True).sum()
    conversions = weekly["conversions"]
    pairs = conversions * (weekly["prospects"] - conversions)
    won = weekly.pop("rank") - conversions * (conversions + 1) / 2
    weekly["roc_auc"] = won / pairs.replace(0, np.nan)
    for k in top_k:
        weekly[f"recall_at_{k}"] /= conversions.replace(0, np.nan)
    return weekly


def _slice_sums(predictions: pd.DataFrame, part: pd.Series[Any], companies: Companies) -> Floats:
    """Companies by slices by sums: of labels, probabilities, and the log losses of model and base rate."""
    slices, _ = pd.factorize(part, sort=True)
    count = int(slices.max()) + 1
    label = predictions["label"].to_numpy(dtype=np.float64)
    probability, base_rate = finite(predictions[MODEL]), finite(predictions[BASE_RATE])
    sums = (label, probability, log_losses(label, probability), log_losses(label, base_rate))
    cell = companies.index * count + slices
    by_cell = np.empty((companies.count * count, len(sums)))
    for number, each in enumerate(sums):
        by_cell[:, number] = np.bincount(cell, each, len(by_cell))
    return by_cell.reshape((companies.count, count, len(sums)))


def _slice_ratios(sums: Floats) -> tuple[Floats, Floats]:
    """Divide expected by observed conversions, and log loss by the base rate's; sums are on the last axis."""
    observed, expected, loss, base_loss = np.moveaxis(sums, -1, 0)
    return divide(expected, observed), divide(loss, base_loss)
