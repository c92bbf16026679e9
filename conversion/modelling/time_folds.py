"""Folds inside the training period, each predicted from what was known before it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.stats.numeric import Floats

Fold = tuple[NDArray[np.bool_], NDArray[np.bool_]]


class OutOfTime(NamedTuple):
    """Out-of-time predictions: arrays of one length, and the weeks they are of."""

    raw: Floats
    y: NDArray[np.int64]
    weight: Floats
    as_of: pd.Series


def out_of_time_folds(as_of: pd.Series, folds: int, horizon_days: int) -> list[Fold]:
    """Split the later half of the training period into folds, each predicted from what was known before it.

    Parameters
    ----------
    as_of
        Weeks of the training snapshots.
    folds
        Number of consecutive test periods.
    horizon_days
        A fold learns only from labels that were mature when its test period began.

    Returns
    -------
    list of (learn, test) masks
    """
    weeks = np.sort(as_of.unique())
    if len(weeks) < 2 * folds:
        return []
    blocks = np.array_split(weeks[len(weeks) // 2 :], folds)
    horizon = pd.Timedelta(days=horizon_days)
    return [
        (
            (as_of + horizon <= block[0]).to_numpy(),
            ((as_of >= block[0]) & (as_of <= block[-1])).to_numpy(),
        )
        for block in blocks
    ]


def folds_with_conversions(as_of: pd.Series, y: np.ndarray, folds: int, horizon_days: int) -> list[Fold]:
    """Return the folds of `out_of_time_folds` with conversions both to learn from and to test on."""
    masks = out_of_time_folds(as_of, folds, horizon_days)
    return [(learn, test) for learn, test in masks if y[learn].any() and y[test].any()]
