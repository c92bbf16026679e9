"""ROC AUC from ranks, within strata.

Scikit-learn's ``roc_auc_score`` takes one list at a time. Here thousands of small strata are counted at once,
and their pairs can be pooled. The ROC AUC of bootstrap samples, in which companies have weights, is in
`conversion.evaluation.ranking_metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd


def pairs_in_order(
    score: pd.Series[Any], positive: pd.Series[Any], strata: Sequence[pd.Series[Any]]
) -> pd.DataFrame:
    """Count in each stratum the pairs of a positive and a negative row, and those the score puts in order.

    Parameters
    ----------
    score
        A number for each row.
    positive
        Whether each row is positive.
    strata
        Columns whose values together name a row's stratum; only rows of one stratum form pairs.

    Returns
    -------
    pandas.DataFrame
        Indexed by stratum: ``pairs`` and ``in_order`` (the positive row has the higher score; a tie counts
        half). The ROC AUC is ``in_order / pairs``.

    Examples
    --------
    >>> score, positive = pd.Series([7, 8, 1, 2, 9]), pd.Series([True, True, False, False, False])
    >>> pairs_in_order(score, positive, [pd.Series([0, 0, 0, 0, 0])]).iloc[0].tolist()
    [6.0, 4.0]
    """
    # The Mann-Whitney statistic: what the positive ranks sum to beyond the least that they could.
    rank = score.groupby(list(strata), observed=True).rank()
    rows = pd.DataFrame({"rows": 1, "positive": positive, "rank": rank.where(positive, 0.0)})
    sums = rows.groupby(list(strata), observed=True).sum()
    count = sums["positive"]
    return pd.DataFrame(
        {
            "pairs": count * (sums["rows"] - count),
            "in_order": sums["rank"] - count * (count + 1) / 2,
        }
    )


def pairs_of_counts(
    score: pd.Series[Any],
    positives: pd.Series[Any],
    negatives: pd.Series[Any],
    strata: Sequence[pd.Series[Any]],
) -> pd.DataFrame:
    """Count what `pairs_in_order` counts, of rows that each stand for many with the same score.

    Parameters
    ----------
    score
        A number for each row.
    positives, negatives
        How many positive and negative ones each row stands for.
    strata
        As in `pairs_in_order`.

    Examples
    --------
    >>> score, stratum = pd.Series([1, 7]), pd.Series([0, 0])
    >>> pairs_of_counts(score, pd.Series([1, 3]), pd.Series([4, 0]), [stratum]).iloc[0].tolist()
    [16.0, 14.0]
    """
    names = [f"stratum_{place}" for place in range(len(strata))]
    rows = pd.DataFrame(dict(zip(names, strata, strict=True)))
    rows = rows.assign(score=score, positives=positives, negatives=negatives)
    sums = rows.groupby([*names, "score"], observed=True).sum()
    below = sums.groupby(level=names)["negatives"].cumsum() - sums["negatives"]
    sums["in_order"] = sums["positives"] * (below + sums["negatives"] / 2)
    found = sums.groupby(level=names).sum()
    pairs = (found["positives"] * found["negatives"]).astype("float64")
    return pd.DataFrame({"pairs": pairs, "in_order": found["in_order"]})
