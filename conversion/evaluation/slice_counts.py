"""How prospects split into slices, and what can be counted of the slices list by list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.evaluation.bootstrap import everyone
from conversion.evaluation.predictions import MODEL, Cutoff, rows_by_cutoff
from conversion.stats.numeric import Floats, Ints, divide

ALL: Final = "all"
"""What makes the slice of all prospects."""
MONTH: Final = "month"
"""What makes the slices of `split_by_month`."""


@dataclass(frozen=True)
class Split:
    """How the prospects of a cutoff split into slices.

    Attributes
    ----------
    by
        What makes the slices.
    slices
        Their names, in order.
    of
        From the rows of a cutoff to the number of each one's slice, from 0.
    """

    by: str
    slices: tuple[str, ...]
    of: Callable[[pd.DataFrame], Ints]


ALL_PROSPECTS: Final = Split(ALL, ("all prospects",), everyone)


def split_by(predictions: pd.DataFrame, column: str) -> Split:
    """Split the prospects by a column, in the order of its categories or values."""
    values = predictions[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = tuple(map(str, values.dtype.categories))
        return Split(column, names, lambda rows: np.asarray(rows[column].cat.codes, dtype=np.int64))
    known = pd.Index(np.sort(values.unique()))

    def of(rows: pd.DataFrame) -> Ints:
        return np.asarray(known.get_indexer(pd.Index(rows[column])), dtype=np.int64)

    return Split(column, tuple(map(str, known)), of)


def split_by_month(predictions: pd.DataFrame) -> Split:
    """Split the prospects by the month of the cutoff."""
    months = sorted({f"{as_of:%Y-%m}" for as_of, _ in rows_by_cutoff(predictions)})

    def of(rows: pd.DataFrame) -> Ints:
        month = months.index(f"{rows['as_of'].iloc[0]:%Y-%m}") if len(rows) else 0
        return np.full(len(rows), month, dtype=np.int64)

    return Split(MONTH, tuple(months), of)


class _Week(NamedTuple):
    """A split on one list: slices by measures, and slice and id of each conversion."""

    prospects: Ints
    conversions: Ints
    means: Floats
    slice_of: Ints
    ids: NDArray[Any]


def count_slices(cutoffs: Iterable[Cutoff], splits: Sequence[Split], top_k: Sequence[int]) -> pd.DataFrame:
    """Count prospects and conversions of slices, and take the means of their measures over the lists.

    Parameters
    ----------
    cutoffs
        From `conversion.evaluation.predictions.cutoffs_of`.
    splits
        What the slices are.
    top_k
        List lengths.

    Returns
    -------
    DataFrame
        One row for each slice, also one without prospects: ``by``, ``slice``, ``prospects``, ``conversions``,
        ``converters``, ``prevalence``, ``roc_auc``, ``recall_at_<k>``.
    """
    weeks = [_of_list(cutoff, splits, top_k) for cutoff in cutoffs]
    tables = [
        _over_lists(split, [week[number] for week in weeks], top_k) for number, split in enumerate(splits)
    ]
    return pd.concat(tables, ignore_index=True)


def _of_list(cutoff: Cutoff, splits: Sequence[Split], top_k: Sequence[int]) -> list[_Week]:
    order = cutoff.order(MODEL)
    score, converts = cutoff.score(MODEL)[order], cutoff.label[order] == 1
    converters = cutoff.rows["id"].to_numpy()[order[converts]]
    found = []
    for split in splits:
        slices, count = split.of(cutoff.rows)[order], len(split.slices)
        prospects, own = np.bincount(slices, minlength=count), slices[converts]
        conversions = np.bincount(own, minlength=count)
        first = [np.bincount(slices[:k][converts[:k]], minlength=count) for k in top_k]
        recalls = [divide(each.astype(np.float64), conversions.astype(np.float64)) for each in first]
        means = np.stack([_roc_auc(slices, score, converts, prospects, conversions), *recalls])
        found.append(_Week(prospects, conversions, means, own, converters))
    return found


def _roc_auc(
    slices: Ints, descending: Floats, converts: NDArray[np.bool_], prospects: Ints, conversions: Ints
) -> Floats:
    """Return the ROC AUC among the rows of each slice, NaN where it has rows of one class alone.

    It is the Mann-Whitney statistic: what the ranks of the conversions sum to beyond the least possible.
    """
    order = np.argsort(slices.astype(np.int16), kind="stable")
    own, score = slices[order], descending[order]
    starts = np.concatenate(([True], (own[1:] != own[:-1]) | (score[1:] != score[:-1])))[: len(own)]
    firsts = np.flatnonzero(starts)  # of the rows with equal scores
    ends = np.append(firsts, len(own))
    tie = np.cumsum(starts)[converts[order]] - 1
    slice_of = own[converts[order]]
    above = np.cumsum(prospects)[slice_of] - ends[tie + 1]
    rank = above + (ends[tie + 1] - ends[tie] + 1) / 2
    in_order = np.bincount(slice_of, rank, len(prospects)) - conversions * (conversions + 1) / 2
    return divide(in_order, (conversions * (prospects - conversions)).astype(np.float64))


def _over_lists(split: Split, weeks: Sequence[_Week], top_k: Sequence[int]) -> pd.DataFrame:
    prospects, conversions = (
        np.sum([getattr(week, name) for week in weeks], axis=0) for name in ("prospects", "conversions")
    )
    pairs = pd.DataFrame(
        {
            "slice": np.concatenate([week.slice_of for week in weeks]),
            "id": np.concatenate([week.ids for week in weeks]),
        }
    ).drop_duplicates()
    each = np.stack([week.means for week in weeks])
    known = ~np.isnan(each)
    means = divide(np.where(known, each, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
    return pd.DataFrame(
        {
            "by": split.by,
            "slice": split.slices,
            "prospects": prospects,
            "conversions": conversions,
            "converters": np.bincount(pairs["slice"], minlength=len(split.slices)),
            "prevalence": divide(conversions.astype(np.float64), prospects.astype(np.float64)),
            **dict(zip(("roc_auc", *(f"recall_at_{k}" for k in top_k)), means, strict=True)),
        }
    )
