"""What all model families share: columns by name, calibration, threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from conversion.data.industries import SECTORS
from conversion.features.definitions import Feature
from conversion.modelling.calibration import Method, calibrated, choose_method, fit_calibrator
from conversion.modelling.preprocessing import Preprocessor
from conversion.modelling.threshold import Strategy, choose_threshold
from conversion.modelling.time_folds import Fold, OutOfTime, folds_with_conversions
from conversion.runtime.errors import ExportError

Floats = NDArray[np.float64]
Values = NDArray[np.floating[Any]]
# What lifetime totals and firmographics alone can tell.
SUMMARY_FEATURES: Final = (
    "total_actions",
    "total_users",
    "days_active",
    "activity_frequency",
    "actions_per_user",
    "seen",
    "log_alexa_rank",
    "unranked",
    "size",
    "sector",
    "alexa_missing",
    "size_missing",
    "sector_missing",
)


class ConversionModel(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """What all types share: columns by name, calibration, threshold.

    Parameters
    ----------
    features
        Definitions of the columns that the model reads.
    hyperparameters
        The type's block of params.yaml, see `conversion.config.params.Model.hyperparameters`.
    preparation
        ``imputation``, ``fill_value``, ``scaling`` and ``min_frequency`` of params.yaml's ``train``.
    calibration
        ``none``, ``sigmoid``, ``isotonic``, or ``auto``: see
        `conversion.modelling.calibration.choose_method`.
    threshold, threshold_value
        How the decision threshold is chosen, see `conversion.modelling.threshold.choose_threshold`.
    folds
        Out-of-time folds inside the training period, for calibration and threshold.
    horizon_days
        Days after ``as_of`` in which a conversion counts.
    seed
        Seed of the estimator.

    Attributes
    ----------
    calibration_ : str
        The calibration in use: with ``auto`` the one that was chosen.
    threshold_ : float
        Probability from which on `predict` says 1.
    base_rate_ : float
        Weighted prevalence among the training snapshots.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        hyperparameters: dict[str, Any],
        preparation: dict[str, Any],
        calibration: Method | Literal["auto"],
        threshold: Strategy,
        threshold_value: float,
        folds: int,
        horizon_days: int,
        seed: int,
    ) -> None:
        self.features = features
        self.hyperparameters = hyperparameters
        self.preparation = preparation
        self.calibration = calibration
        self.threshold = threshold
        self.threshold_value = threshold_value
        self.folds = folds
        self.horizon_days = horizon_days
        self.seed = seed

    @abstractmethod
    def _fit_raw(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> None:
        """Fit all that comes before calibration."""

    @abstractmethod
    def _raw_probability(self, values: Values) -> Floats:
        """Give the probability of conversion before calibration, one a row."""

    @abstractmethod
    def contributions(self, values: Values) -> Floats:
        """Share each score out among the features, against the average training snapshot.

        Parameters
        ----------
        values
            As in `probability`.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            In log-odds, before calibration; positive raises the score.
        """

    @abstractmethod
    def _raw_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        """Give both, preprocessing once."""

    @abstractmethod
    def _importance(self) -> Floats:
        """Weigh the features, on any scale."""

    def fit(self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series) -> Self:
        """Fit on training snapshots.

        Parameters
        ----------
        X
            Feature frame; columns are found by name.
        y
            Labels, 0 or 1.
        sample_weight
            Inverse sampling shares.
        as_of
            The snapshots' weeks, to order folds by time.

        Raises
        ------
        ExportError
            Only one class is there, or calibration or threshold need more history.
        """
        if len(np.unique(y)) < 2:
            raise ExportError(
                f"customers: the {len(y)} training snapshots have a single class ({y[:1]}); "
                "there is nothing to learn from: give a longer export or a later as_of"
            )
        values = self.values(X)
        self.classes_ = np.array([0, 1])
        self.base_rate_ = float(np.average(y, weights=sample_weight))
        self.calibration_: Method = "none"
        self.calibrator_: Any = None
        self.threshold_ = self.threshold_value
        if self.calibration != "none" or self.threshold != "fixed":
            self._fit_out_of_time(values, y, sample_weight, as_of)
        self._fit_raw(values, y, sample_weight)
        return self

    def fit_with_summary(
        self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series
    ) -> Self:
        """Fit, and fit beside it ``summary_``, the same recipe on `SUMMARY_FEATURES` alone.

        It is for whoever knows a company's lifetime totals only. What a summary cannot know is left out of
        that model instead of being imputed into the full one, as if the company were average in it: fitting
        on the features at hand does better than imputing (Saar-Tsechansky and Provost 2007, Handling Missing
        Values when Applying Classification Models, JMLR 8).

        Parameters and errors are those of `fit`.
        """
        self.fit(X, y, sample_weight, as_of)
        self.summary_ = self.of_summary().fit(X, y, sample_weight, as_of)
        return self

    def of_summary(self) -> Self:
        """Give the same recipe, unfitted, for what a summary can know."""
        return self.of_features(SUMMARY_FEATURES)

    def of_features(self, names: Collection[str]) -> Self:
        """Give the same recipe, unfitted, for some of the features."""
        features = tuple(feature for feature in self.features if feature.name in names)
        return clone(self).set_params(features=features)  # type: ignore[no-any-return]

    def values(self, X: pd.DataFrame) -> Floats:
        """Find the model's features in a frame.

        Parameters
        ----------
        X
            Feature frame with at least the model's columns, in any order.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            In the order of ``features``, as `conversion.features.compute.compute_features` gives them; a
            sector that is none of `conversion.data.industries.SECTORS` is NaN.

        Raises
        ------
        KeyError
            A column is missing.
        """
        missing = [name for name in self._names() if name not in X.columns]
        if missing:
            raise KeyError(f"the feature frame lacks the columns {', '.join(missing)}")
        values = np.empty((len(X), len(self.features)))
        numbers = [index for index, feature in enumerate(self.features) if feature.kind != "category"]
        values[:, numbers] = X[[self.features[index].name for index in numbers]].to_numpy(dtype=np.float64)
        for index in set(range(len(self.features))) - set(numbers):
            codes = pd.Index(SECTORS).get_indexer(pd.Index(X[self.features[index].name]))
            values[:, index] = np.where(codes < 0, np.nan, codes)
        return values

    def predict_out_of_time(
        self, values: Floats, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series
    ) -> OutOfTime:
        """Predict later training snapshots by models of what was known before.

        The folds are those of `conversion.modelling.time_folds.folds_with_conversions`.

        Parameters
        ----------
        values
            Shape (rows, features), as `values` gives them.
        y, sample_weight, as_of
            As in `fit`.

        Returns
        -------
        OutOfTime
            Of the snapshots that could be predicted, before calibration.

        Raises
        ------
        ExportError
            No fold has conversions both before and in it.
        """
        rows, probability = [], []
        for learn, test in self._folds(y, as_of):
            earlier = clone(self)
            earlier._fit_raw(values[learn], y[learn], sample_weight[learn])
            rows.append(np.flatnonzero(test))
            probability.append(earlier._raw_probability(values[test]))
        if not rows:
            raise ExportError(
                "customers: too little history to calibrate, to choose a threshold or to search "
                "hyperparameters on out-of-time predictions; set train.calibration: none and "
                "train.threshold: fixed, with train.search.trials: 0, or give a longer export"
            )
        index = np.concatenate(rows)
        return OutOfTime(np.concatenate(probability), y[index], sample_weight[index], as_of.iloc[index])

    def probability(self, values: Values) -> Floats:
        """Give the calibrated probability of conversion.

        Parameters
        ----------
        values
            float64 or float32, shape (rows, features), in the order of ``features``, as
            `conversion.features.compute.compute_features` gives them. A row's result does not depend on the
            others.

        Returns
        -------
        numpy.ndarray of float64, shape (rows,)
        """
        return calibrated(self.calibrator_, self._raw_probability(values))

    def probability_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        """Give `probability` and `contributions`, preprocessing once."""
        raw, contributions = self._raw_with_contributions(values)
        return calibrated(self.calibrator_, raw), contributions

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Give the calibrated probabilities of (no conversion, conversion).

        Parameters
        ----------
        X
            Feature frame with at least the model's columns, in any order.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, 2)
        """
        probability = self.probability(self.values(X))
        return np.column_stack([1.0 - probability, probability])

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """Decide: 1 where the probability is at least the threshold."""
        return (self.predict_proba(X)[:, 1] >= self.threshold_).astype(np.int64)

    def get_feature_importance(self) -> pd.Series:
        """Weigh the features; they sum to 1 and are indexed by name, most important first.

        Returns
        -------
        pandas.Series of float64
        """
        importance = self._importance()
        total = importance.sum()
        series = pd.Series(importance / (total if total > 0 else 1.0), index=self._names(), name="importance")
        return series.sort_values(ascending=False, kind="stable")

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """Give the `contributions` of a feature frame's rows, with the features' names."""
        return pd.DataFrame(self.contributions(self.values(X)), columns=self._names())

    def _folds(self, y: np.ndarray, as_of: pd.Series) -> list[Fold]:
        return folds_with_conversions(as_of, y, self.folds, self.horizon_days)

    def _fit_out_of_time(self, values: Floats, y: np.ndarray, weight: np.ndarray, as_of: pd.Series) -> None:
        """Fit calibration and threshold on predictions of later snapshots by models of earlier ones."""
        if self.calibration == "auto" and self.threshold == "fixed" and not self._folds(y, as_of):
            return  # nothing to choose by: none
        predictions = self.predict_out_of_time(values, y, weight, as_of)
        raw, y, weight, _ = predictions
        if self.calibration == "auto":
            self.calibration_ = choose_method(predictions, self.folds, self.horizon_days)
        else:
            self.calibration_ = self.calibration
        self.calibrator_ = fit_calibrator(self.calibration_, raw, y, weight)
        self.threshold_ = choose_threshold(
            y, calibrated(self.calibrator_, raw), weight, self.threshold, self.threshold_value
        )

    def _names(self, *kinds: str) -> list[str]:
        return [feature.name for feature in self.features if not kinds or feature.kind in kinds]


class FamilyModel(ConversionModel):
    """One estimator on what one preprocessing makes of the features."""

    @abstractmethod
    def preprocessing(self) -> Preprocessor:
        """Give the unfitted preprocessing of feature values."""

    @abstractmethod
    def estimator(self, preprocessor: Preprocessor) -> Any:
        """Give the unfitted estimator of what the fitted ``preprocessor`` makes."""

    @abstractmethod
    def _column_importance(self) -> Floats:
        """Weigh the design columns."""

    @abstractmethod
    def _raw(self, columns: Floats) -> Floats:
        """Give the probability of conversion before calibration, one a row."""

    @abstractmethod
    def _column_contributions(self, columns: Floats) -> Floats:
        """Share each row's log-odds out among the design columns."""

    def _both_of_columns(self, columns: Floats) -> tuple[Floats, Floats]:
        """Give both; families that can get them from one pass do."""
        return self._raw(columns), self._column_contributions(columns)

    def contributions(self, values: Values) -> Floats:
        """Share each score out among the features, see `ConversionModel.contributions`."""
        return self._by_feature(self._column_contributions(self.preprocessor_.transform(values)))

    def _raw_probability(self, values: Values) -> Floats:
        return self._raw(self.preprocessor_.transform(values))

    def _raw_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        raw, contributions = self._both_of_columns(self.preprocessor_.transform(values))
        return raw, self._by_feature(contributions)

    def _importance(self) -> Floats:
        return self._by_feature(self._column_importance())

    def _fit_raw(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> None:
        self._fit_estimator(values, y, weight)

    def _fit_estimator(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> Floats:
        """Fit preprocessing and estimator; give the design matrix."""
        self.preprocessor_ = self.preprocessing()
        columns = self.preprocessor_.fit_transform(values)
        self.estimator_ = self.estimator(self.preprocessor_).fit(columns, y, sample_weight=weight)
        return columns

    def _by_feature(self, columns: Floats) -> Floats:
        return self.preprocessor_.by_feature(columns)
