"""Sums over all rows, and over bootstrap samples of their companies, that probabilities are measured by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from conversion.evaluation.bootstrap import Resampled, resampled_sums
from conversion.stats.losses import log_losses
from conversion.stats.numeric import Floats, finite


@dataclass(frozen=True)
class ProbabilitySums:
    """Sums over all companies, the first of each array, and over each bootstrap sample of them.

    Attributes
    ----------
    rows, conversions
        How many they are.
    expected, log_losses, squares
        By column of probabilities: their sum, and the sums of each row's log loss and squared error.
    """

    rows: Floats
    conversions: Floats
    expected: Mapping[str, Floats]
    log_losses: Mapping[str, Floats]
    squares: Mapping[str, Floats]


def probability_sums(of: Resampled, columns: Sequence[str]) -> ProbabilitySums:
    """Sum up columns of probabilities; ValueError if one has values outside [0, 1]."""

    def columns_of(rows: pd.DataFrame) -> Iterator[Floats]:
        label = rows["label"].to_numpy(dtype=np.float64)
        yield np.ones_like(label)
        yield label
        for name in columns:
            probability = _probability(rows, name)
            yield probability
            yield log_losses(label, probability)
            yield np.square(probability - label)

    total, sampled = resampled_sums(of, columns_of)
    rows, conversions, *others = np.concatenate((total, sampled[:, 0])).T
    by_column = (dict(zip(columns, others[place::3], strict=True)) for place in range(3))
    return ProbabilitySums(rows, conversions, *by_column)


def _probability(rows: pd.DataFrame, column: str) -> Floats:
    probability = finite(rows[column])
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(f"{column} is no probability: from {probability.min():g} to {probability.max():g}")
    return probability
