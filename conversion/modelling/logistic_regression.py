"""The logistic regression with quadratic terms."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from conversion.config.model_params import AUTO
from conversion.config.params import BASELINE_WEEKS
from conversion.features.definitions import Feature
from conversion.modelling.levels import Levels
from conversion.modelling.preprocessing import NUMBERS, Preprocessor
from conversion.modelling.scorer import Scorer
from conversion.runtime.errors import ParamsError
from conversion.stats.numeric import Floats
from conversion.stats.portable_logistic_regression import PortableLogisticRegression
from conversion.stats.portable_math import expit

MOST_ATTRIBUTES: Final = 10
"""Attributes that ``auto`` squares: products grow with the square of their number."""
MOST_OF_SUMMARY: Final = 20
"""Features that the model of summaries squares."""


class LogisticRegressionScorer(Scorer):
    """L2-penalised logistic regression on logs of the heavy-tailed features, with chosen quadratic terms.

    Attributes
    ----------
    center_ : numpy.ndarray of float64, shape (columns,)
        Weighted mean of each design column in training; contributions are relative to it.
    spread_ : numpy.ndarray of float64, shape (columns,)
        Standard deviation of each design column in training; it makes coefficients comparable.
    """

    rows_at_once: ClassVar[int] = 2048
    """The columns are added up one by one: all of them stay in the processor's cache."""

    def preprocessor(
        self, features: tuple[Feature, ...], levels: Levels, preparation: dict[str, Any]
    ) -> Preprocessor:
        """Return the unfitted preprocessor: it also takes logs, and adds squares and products.

        Raises
        ------
        ParamsError
            ``quadratic`` names something that is not a number among the features.
        """
        quadratic = tuple(self.hyperparameters["quadratic"])
        allowed = _numbers(features)
        unknown = sorted(set(quadratic) - set(allowed))
        if unknown:
            near = get_close_matches(unknown[0], allowed, n=1)
            raise ParamsError(
                f"params.yaml: model.logistic_regression.quadratic: given {', '.join(unknown)}, "
                f"allowed are {AUTO} and the features {', '.join(allowed)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        return Preprocessor(features, levels, **preparation, logs=True, quadratic=quadratic)

    def estimator(self, monotone: NDArray[np.int64]) -> PortableLogisticRegression:  # noqa: ARG002
        """Return the unfitted regression; it has no constraints."""
        return PortableLogisticRegression(
            C=self.hyperparameters["C"], max_iter=self.hyperparameters["max_iter"]
        )

    def fit(self, columns: Floats, y: np.ndarray, weight: np.ndarray, monotone: NDArray[np.int64]) -> Self:
        """Fit, and keep each column's mean and spread."""
        super().fit(columns, y, weight, monotone)
        self.center_ = np.average(columns, axis=0, weights=weight)
        self.spread_ = columns.std(axis=0)
        return self

    def raw_probability(self, columns: Floats) -> Floats:
        """Return the probability of conversion before calibration, one a row."""
        return expit(self.estimator_.decision_function(columns))

    def contributions(self, columns: Floats) -> Floats:
        """Return each coefficient times the column's distance from its mean; they add up exactly."""
        return np.asarray((columns - self.center_) * self.estimator_.coef_[0])

    def base_log_odds(self) -> float:
        """Return the log-odds of a row whose columns are all at their mean."""
        return float(self.estimator_.decision_function(self.center_[None])[0])

    def importance(self) -> Floats:
        """Return what one standard deviation of each column changes of the log-odds."""
        return np.asarray(np.abs(self.estimator_.coef_[0]) * self.spread_)

    def without(self, names: Collection[str]) -> Self:
        """Return the same scorer, unfitted; features that are left out are not squared either."""
        kept = tuple(name for name in self.hyperparameters["quadratic"] if name not in names)
        return self._unfitted(quadratic=kept)

    def of_summary(self, features: tuple[Feature, ...]) -> Self:
        """Return the same scorer, unfitted; a summary has so few features that the first are all squared."""
        return self._unfitted(quadratic=tuple(_numbers(features)[:MOST_OF_SUMMARY]))


def squared_features(
    given: Collection[str], features: tuple[Feature, ...], half_lives: Collection[int]
) -> tuple[str, ...]:
    """Return the features to square that params.yaml asks for, those that `AUTO` stands for by name.

    Parameters
    ----------
    given
        ``model.logistic_regression.quadratic`` of params.yaml.
    features
        All that there are.
    half_lives
        ``featurize.half_lives``.
    """
    chosen = _chosen(features, half_lives) if AUTO in given else []
    return tuple(dict.fromkeys([*chosen, *(name for name in given if name != AUTO)]))


def _chosen(features: tuple[Feature, ...], half_lives: Collection[int]) -> list[str]:
    """Name the values of the first attributes that are an amount, and what says most of usage."""
    amounts = [
        feature.name
        for feature in features
        if feature.group == "firmographics" and feature.kind not in ("flag", "category")
    ]
    usage = (
        "weeks_since_first_seen",
        "recency_weeks",
        f"users_max_{BASELINE_WEEKS}w",
        f"users_ewm_{max(half_lives, default=0)}w",
    )
    names = _numbers(features)
    return [*amounts[:MOST_ATTRIBUTES], *(name for name in usage if name in names)]


def _numbers(features: tuple[Feature, ...]) -> list[str]:
    return [feature.name for feature in features if feature.kind in NUMBERS]
