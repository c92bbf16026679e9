"""What a model family is: from a design matrix to raw probabilities, and what each column contributes."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from conversion.features.definitions import Feature
from conversion.modelling.kept_fits import KeptFits, fitted_or_kept
from conversion.modelling.levels import Levels
from conversion.modelling.preprocessing import Preprocessor
from conversion.stats.numeric import Floats


class Scorer(BaseEstimator, ABC):  # type: ignore[misc]
    """One model family.

    A family implements `estimator`, `raw_probability`, `contributions` and `base_log_odds`, and overrides of
    the rest what differs: the other methods fit trees of any library.

    Parameters
    ----------
    hyperparameters
        The family's block of params.yaml.
    seed
        Seed of the estimator.
    memory
        Where the fits of a family that `keeps_fits` are kept; None: nowhere. It is no part of a model's file.

    Attributes
    ----------
    estimator_
        What `estimator` returned, fitted.
    """

    rows_at_once: ClassVar[int] = 8192
    """Rows whose design matrix is made at once: libraries take long to start, but the matrix stays small."""

    keeps_fits: ClassVar[bool] = False
    """Whether a fit can be kept: it depends on nothing but its arguments, the class's code and libraries."""

    def __init__(self, hyperparameters: dict[str, Any], seed: int, memory: KeptFits | None = None) -> None:
        self.hyperparameters = hyperparameters
        self.seed = seed
        self.memory = memory

    def __getstate__(self) -> dict[str, Any]:
        """Leave out where fits are kept."""
        return {**super().__getstate__(), "memory": None}

    @abstractmethod
    def estimator(self, monotone: NDArray[np.int64]) -> Any:
        """Return the unfitted estimator; ``monotone`` has the direction of each design column."""

    @abstractmethod
    def raw_probability(self, columns: Floats) -> Floats:
        """Return the probability of conversion before calibration, one a row of the design matrix."""

    @abstractmethod
    def contributions(self, columns: Floats) -> Floats:
        """Split each row's log-odds among the design columns, relative to `base_log_odds`."""

    @abstractmethod
    def base_log_odds(self) -> float:
        """Return the log-odds before calibration that contributions start from: an average over training."""

    def raw_with_contributions(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return both; override it where one pass over the columns gives both."""
        return self.raw_probability(columns), self.contributions(columns)

    def importance(self) -> Floats:
        """Return the weight of each design column, on any scale."""
        return np.asarray(self.estimator_.feature_importances_, dtype=np.float64)

    def preprocessor(
        self, features: tuple[Feature, ...], levels: Levels, preparation: dict[str, Any]
    ) -> Preprocessor:
        """Return the unfitted preprocessor; trees take numbers as they are, imputed, categories one-hot."""
        return Preprocessor(features, levels, **preparation)

    def fit(self, columns: Floats, y: np.ndarray, weight: np.ndarray, monotone: NDArray[np.int64]) -> Self:
        """Fit on the design matrix of training snapshots."""
        if self.keeps_fits:
            settings = (_source(type(self)), self.hyperparameters, self.seed)
            self.estimator_ = fitted_or_kept(
                self.memory, self._fitted_estimator, settings, columns, y, weight, monotone
            )
        else:
            self.estimator_ = self._fitted_estimator(columns, y, weight, monotone)
        return self

    def _fitted_estimator(
        self, columns: Floats, y: np.ndarray, weight: np.ndarray, monotone: NDArray[np.int64]
    ) -> Any:
        return self.estimator(monotone).fit(columns, y, sample_weight=weight)

    def without(self, names: Collection[str]) -> Self:  # noqa: ARG002
        """Return the same scorer, unfitted, for a model that leaves these features out."""
        return self._unfitted()

    def of_summary(self, features: tuple[Feature, ...]) -> Self:  # noqa: ARG002
        """Return the same scorer, unfitted, for the model of summaries, which has these features."""
        return self._unfitted()

    def _unfitted(self, **hyperparameters: Any) -> Self:
        """Return an unfitted copy, with some hyperparameters replaced."""
        copy: Self = clone(self)
        copy.hyperparameters = self.hyperparameters | hyperparameters
        return copy


def _source(family: type) -> str:
    """Return the code that calls a family's library: its whole module."""
    # Not the class alone: to find it Python 3.11 parses the module, which fails in threads side by side.
    return inspect.getsource(sys.modules[family.__module__])
