"""Fitted scorers behind their preprocessors, and the mean of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone

from conversion.features.definitions import Feature
from conversion.modelling.levels import Levels
from conversion.modelling.preprocessing import Preprocessor
from conversion.modelling.scorer import Scorer
from conversion.stats.losses import log_odds
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import expit

SMALLEST_SUM: Final = 1e-200
"""Keeps the quotient of a row without any contribution finite."""

Values = NDArray[np.floating[Any]]


class RowScores(NamedTuple):
    """Rows' raw probabilities, their log-odds, and each feature's contribution to these."""

    raw: Floats
    log_odds: Floats
    contributions: Floats


@dataclass(frozen=True)
class Member:
    """A fitted scorer behind its own fitted preprocessor: from feature values to raw probabilities.

    Attributes
    ----------
    preprocessor, scorer
        Fitted.
    base_log_odds
        What contributions are relative to.
    """

    preprocessor: Preprocessor
    scorer: Scorer
    base_log_odds: float

    @classmethod
    def fitted(
        cls,
        scorer: Scorer,
        features: tuple[Feature, ...],
        levels: Levels,
        preparation: dict[str, Any],
        values: Floats,
        y: np.ndarray,
        weight: np.ndarray,
    ) -> Self:
        """Fit a preprocessor, and a copy of the scorer on the design matrix that comes out of it."""
        preprocessor = scorer.preprocessor(features, levels, preparation)
        columns = preprocessor.fit_transform(values)
        fitted = clone(scorer).fit(columns, y, weight, preprocessor.monotone_)
        return cls(preprocessor, fitted, fitted.base_log_odds())

    def raw_probability(self, values: Values) -> Floats:
        """Return the probability of conversion before calibration, one a row."""
        blocks = self._blocks(values)
        if len(blocks) == 1:
            return self._raw_of_block(values)
        raw = np.empty(len(values))
        for block in blocks:
            raw[block] = self._raw_of_block(values[block])
        return raw

    def scores(self, values: Values) -> RowScores:
        """Return the same and what each feature contributes to it, preprocessing once."""
        blocks = self._blocks(values)
        if len(blocks) == 1:
            return self._scores_of_block(values)
        scores = RowScores(np.empty(len(values)), np.empty(len(values)), np.empty(values.shape))
        for block in blocks:
            for whole, part in zip(scores, self._scores_of_block(values[block]), strict=True):
                whole[block] = part
        return scores

    def _blocks(self, values: Values) -> list[slice]:
        """Cut rows into blocks that are best scored at once."""
        rows, at_once = len(values), self.scorer.rows_at_once
        # The last block is at least as large as the others, so that none is scored as few rows are.
        starts = range(0, max(rows - at_once, 0) + 1, at_once)
        return [slice(start, end) for start, end in zip(starts, (*starts[1:], rows), strict=True)]

    def _raw_of_block(self, values: Values) -> Floats:
        return self.scorer.raw_probability(self.preprocessor.transform(values))

    def _scores_of_block(self, values: Values) -> RowScores:
        raw, contributions = self.scorer.raw_with_contributions(self.preprocessor.transform(values))
        score = log_odds(raw)
        return RowScores(raw, score, self._adding_up(self.preprocessor.by_feature(contributions), score))

    def _adding_up(self, contributions: Floats, score: Floats) -> Floats:
        """Spread over a row's contributions, by their size, what they are short of its log-odds.

        That is what the score lost: XGBoost adds up in single precision, and log-odds are clipped.
        """
        size = np.abs(contributions)
        short = score - self.base_log_odds - np.add.reduce(contributions, axis=1)
        short /= np.maximum(np.add.reduce(size, axis=1), SMALLEST_SUM)
        size *= short[:, None]
        size += contributions
        return size

    def importance(self) -> Floats:
        """Return the weight of each feature, on any scale."""
        return self.preprocessor.by_feature(self.scorer.importance())


MemberFit = Callable[[], Member]
"""Fits one member when it is called."""


def fit_side_by_side(fits: Sequence[MemberFit], threads: int = 1) -> list[Member]:
    """Fit members in so many threads, which changes no result; boosters and array operations free the GIL."""
    fitted: list[Member] = Parallel(n_jobs=threads, backend="threading")(delayed(fit)() for fit in fits)
    return fitted


def raw_probability(members: Sequence[Member], values: Values) -> Floats:
    """Return the probability of the members' mean log-odds, one a row."""
    return _mean_probability([member.raw_probability(values) for member in members])


def raw_with_contributions(members: Sequence[Member], values: Values) -> tuple[Floats, Floats]:
    """Return the same, and the mean of the members' contributions, shape (rows, features)."""
    each = [member.scores(values) for member in members]
    if len(each) == 1:
        return each[0].raw, each[0].contributions
    return expit(_mean([one.log_odds for one in each])), _mean([one.contributions for one in each])


def base_log_odds(members: Sequence[Member]) -> float:
    """Return the log-odds that contributions are relative to."""
    return sum(member.base_log_odds for member in members) / len(members)


def importance(members: Sequence[Member]) -> Floats:
    """Return the weight of each feature; the weights sum to 1."""
    weights = [member.importance() for member in members]
    if len(weights) > 1:  # their scales differ
        weights = [_shares(weight) for weight in weights]
    return _shares(_mean(weights))


def _mean_probability(probabilities: list[Floats]) -> Floats:
    if len(probabilities) == 1:
        return probabilities[0]  # its last bits would not survive the way to log-odds and back
    return expit(_mean([log_odds(probability) for probability in probabilities]))


def _mean(parts: list[Floats]) -> Floats:
    """Average arrays one after the other: fast for a few, and always summed in the same order."""
    return np.asarray(sum(parts[1:], start=parts[0]) / len(parts))


def _shares(weights: Floats) -> Floats:
    total = weights.sum()
    return np.asarray(weights / (total if total > 0 else 1.0))
