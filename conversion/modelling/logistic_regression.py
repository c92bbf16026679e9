"""The logistic regression with quadratic terms."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Self

import numpy as np

from conversion.modelling.model import FamilyModel
from conversion.modelling.preprocessing import NUMBERS, Preprocessor
from conversion.runtime.errors import ParamsError
from conversion.stats.numeric import Floats
from conversion.stats.portable_logistic_regression import PortableLogisticRegression
from conversion.stats.portable_math import expit


class LogisticRegressionModel(FamilyModel):
    """L2-penalised logistic regression on logs of the heavy-tailed features, with chosen quadratic terms."""

    def preprocessing(self) -> Preprocessor:
        """Impute, take logs, scale, encode; add squares and products of the ``quadratic`` features."""
        quadratic = tuple(self.hyperparameters["quadratic"])
        allowed = self._names(*NUMBERS)
        unknown = sorted(set(quadratic) - set(allowed))
        if unknown:
            near = get_close_matches(unknown[0], allowed, n=1)
            raise ParamsError(
                f"params.yaml: model.logistic_regression.quadratic: given {', '.join(unknown)}, "
                f"allowed are the features {', '.join(allowed)}"
                + (f"; did you mean {near[0]}?" if near else "")
            )
        return Preprocessor(self.features, **self.preparation, logs=True, quadratic=quadratic)

    def estimator(self, preprocessor: Preprocessor) -> PortableLogisticRegression:  # noqa: ARG002
        """Give the regression."""
        return PortableLogisticRegression(
            C=self.hyperparameters["C"], max_iter=self.hyperparameters["max_iter"]
        )

    def of_features(self, names: Collection[str]) -> Self:
        """Give the same recipe, unfitted, for some of the features; the others are not squared either."""
        left_out = set(self._names()) - set(names)
        quadratic = tuple(name for name in self.hyperparameters["quadratic"] if name not in left_out)
        return self._squaring(super().of_features(names), quadratic)

    def of_summary(self) -> Self:
        """Give the same recipe, unfitted, for what a summary can know; with so few, all are squared."""
        restricted = super().of_summary()
        return self._squaring(restricted, tuple(restricted._names(*NUMBERS)))

    def _squaring(self, restricted: Self, quadratic: tuple[str, ...]) -> Self:
        restricted.hyperparameters = self.hyperparameters | {"quadratic": quadratic}
        return restricted

    def _fit_estimator(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> Floats:
        """Remember each column's mean, to explain by, and its spread, to compare coefficients by."""
        columns = super()._fit_estimator(values, y, weight)
        self.center_ = np.average(columns, axis=0, weights=weight)
        self.spread_ = columns.std(axis=0)
        return columns

    def _column_importance(self) -> Floats:
        return np.asarray(np.abs(self.estimator_.coef_[0]) * self.spread_)

    def _raw(self, columns: Floats) -> Floats:
        return expit(self.estimator_.decision_function(columns))

    def _column_contributions(self, columns: Floats) -> Floats:
        return np.asarray((columns - self.center_) * self.estimator_.coef_[0])
