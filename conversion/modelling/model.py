"""The one model: from a feature frame to the calibrated probability of conversion."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from conversion.config.data_contract import Contract
from conversion.features.definitions import Feature
from conversion.features.facts import facts_of
from conversion.modelling import ensemble
from conversion.modelling.calibration import Method, calibrated, choose_method, fit_calibrator
from conversion.modelling.ensemble import Member, MemberFit, Values, fit_side_by_side
from conversion.modelling.fact_profile import FactImportance, FactProfile
from conversion.modelling.levels import (
    Learned,
    Levels,
    feature_values,
    learn_levels,
    unseen_levels,
)
from conversion.modelling.scorer import Scorer
from conversion.modelling.threshold import Strategy, choose_threshold
from conversion.modelling.time_folds import Fold, OutOfTime, folds_with_conversions
from conversion.runtime.errors import ExportError
from conversion.stats.numeric import Floats

ENSEMBLE: Final = "ensemble"
"""The family of a model with several scorers."""


class ConversionModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Preprocessor, scorer, calibrator and threshold, fitted together.

    A model of one scorer is of that family; one of several is an ensemble, the mean of their log-odds. Each
    scorer has its own preprocessor; calibrator and threshold belong to the model.

    Parameters
    ----------
    features
        Definitions of the columns that the model reads.
    summary
        Names of the features that can be known from lifetime totals and attributes alone.
    contract
        The data contract, JSON-ready.
    scorers
        Unfitted, by the name of their family.
    preparation
        ``imputation``, ``fill_value``, ``scaling`` and ``min_frequency`` of params.yaml's ``train``, and the
        ``own_levels`` of `conversion.modelling.preprocessing.Preprocessor`.
    calibration
        ``none``, ``sigmoid``, ``isotonic``, or ``auto``: see
        `conversion.modelling.calibration.choose_method`.
    threshold, threshold_value
        How the decision threshold is chosen, see `conversion.modelling.threshold.choose_threshold`.
    folds
        Out-of-time folds inside the training period, for calibration and threshold.
    horizon_days
        Days after ``as_of`` in which a conversion counts.

    Attributes
    ----------
    levels : dict of tuple of str
        The levels of each category that the model tells apart, by attribute, see
        `conversion.modelling.levels.learn_levels`.
    rare_levels : dict of tuple of str
        Levels of training snapshots that count as the category's ``other``.
    members_ : dict of Member
        The fitted scorers behind their preprocessors, by the name of their family.
    calibration_ : str
        The calibration in use: with ``auto`` the one that was chosen.
    calibrator_ : object
        What `conversion.modelling.calibration.fit_calibrator` returned.
    threshold_ : float
        `predict` returns 1 from this probability on.
    base_rate_ : float
        Weighted prevalence among the training snapshots.
    base_log_odds_ : float
        The log-odds, before calibration, that contributions are relative to.
    profile_ : FactProfile
        What was learned about each fact, see `conversion.modelling.fact_profile`.
    summary_ : ConversionModel
        The model of summaries, see `fit_with_summary`.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        summary: tuple[str, ...],
        contract: dict[str, Any],
        scorers: dict[str, Scorer],
        preparation: dict[str, Any],
        calibration: Method | Literal["auto"],
        threshold: Strategy,
        threshold_value: float,
        folds: int,
        horizon_days: int,
    ) -> None:
        self.features = features
        self.summary = summary
        self.contract = contract
        self.scorers = scorers
        self.preparation = preparation
        self.calibration = calibration
        self.threshold = threshold
        self.threshold_value = threshold_value
        self.folds = folds
        self.horizon_days = horizon_days

    @property
    def family(self) -> str:
        """Return the name of the one scorer's family, or `ENSEMBLE`."""
        return next(iter(self.scorers)) if len(self.scorers) == 1 else ENSEMBLE

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Return the one scorer's hyperparameters; of an ensemble each scorer's, by name in ``members``."""
        blocks = {family: scorer.hyperparameters for family, scorer in self.scorers.items()}
        return {"members": blocks} if self.family == ENSEMBLE else blocks[self.family]

    @property
    def data_contract(self) -> Contract:
        """Return the data contract as checked, frozen values."""
        return Contract.model_validate(self.contract)

    def fit(self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series) -> Self:
        """Fit on training snapshots.

        Parameters
        ----------
        X
            Feature frame; columns are found by name. With ``id`` where a category of the contract may have
            levels outside of groups.
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
        values = self._fit_all_but_members(X, y, sample_weight, as_of)
        self._keep_members(self._fitted_members(values, y, sample_weight))
        return self._learn_profile(values, sample_weight)

    def fit_with_summary(
        self,
        X: pd.DataFrame,
        y: np.ndarray,
        sample_weight: np.ndarray,
        as_of: pd.Series,
        threads: int = 1,
        explained: bool = True,
    ) -> Self:
        """Fit, and fit ``summary_`` too: the same recipe on the features of summaries alone.

        It serves clients that know only a company's lifetime totals. That model leaves out what a summary
        cannot know; imputing it into the full model would treat the company as average in it. Fitting on the
        features at hand does better than imputing (Saar-Tsechansky and Provost 2007, Handling Missing Values
        when Applying Classification Models, JMLR 8).

        Parameters and errors are those of `fit`; ``threads`` fit members of both models side by side. Models
        that are not ``explained`` have no ``profile_``: enough for a backtest, which only asks for
        probabilities.
        """
        summary = self.of_summary()
        both = [(model, model._fit_all_but_members(X, y, sample_weight, as_of)) for model in (self, summary)]
        fits = [fit for model, values in both for fit in model._member_fits(values, y, sample_weight)]
        fitted = iter(fit_side_by_side(fits, threads))
        for model, values in both:
            model._keep_members({family: next(fitted) for family in model.scorers})
            if explained:
                model._learn_profile(values, sample_weight)
        self.summary_ = summary
        return self

    def of_features(self, names: Collection[str]) -> Self:
        """Return the same recipe, unfitted, for some of the features."""
        features = tuple(feature for feature in self.features if feature.name in names)
        left_out = set(self._names()) - set(names)
        scorers = {family: scorer.without(left_out) for family, scorer in self.scorers.items()}
        return clone(self).set_params(features=features, scorers=scorers)  # type: ignore[no-any-return]

    def of_summary(self) -> Self:
        """Return the same recipe, unfitted, for what a summary can know."""
        summary = self.of_features(self.summary)
        scorers = {family: scorer.of_summary(summary.features) for family, scorer in summary.scorers.items()}
        return summary.set_params(scorers=scorers)  # type: ignore[no-any-return]

    def learn_levels(self, X: pd.DataFrame) -> Self:
        """Learn the levels of categories from training snapshots, as `fit` does first; return the model."""
        self.levels: Levels
        self.rare_levels: Levels
        self.levels, self.rare_levels = learn_levels(X, self.features, self.data_contract)
        return self

    def unseen_levels(self, X: pd.DataFrame) -> dict[str, dict[str, int]]:
        """Count the rows of a feature frame with levels that were not in training, by attribute and level."""
        return unseen_levels(X, self.features, Learned(self.levels, self.rare_levels))

    def values(self, X: pd.DataFrame) -> Floats:
        """Find the model's features in a frame.

        Parameters
        ----------
        X
            Feature frame with at least the model's columns, in any order.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            In the order of ``features``, as `conversion.features.compute.compute_features` returns them; a
            category is the position in the model's ``levels``, see `conversion.modelling.levels.level_codes`.

        Raises
        ------
        KeyError
            A column is missing.
        """
        return feature_values(X, self.features, self.levels, self.data_contract)

    def predict_out_of_time(
        self, values: Floats, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series
    ) -> OutOfTime:
        """Predict later training snapshots with models of what was known before them.

        The folds are those of `conversion.modelling.time_folds.folds_with_conversions`.

        Parameters
        ----------
        values
            Shape (rows, features), as `values` returns them.
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
        rows, raw = [], []
        for learn, test in self._folds(y, as_of):
            earlier = self._fitted_members(values[learn], y[learn], sample_weight[learn])
            rows.append(np.flatnonzero(test))
            raw.append(ensemble.raw_probability(list(earlier.values()), values[test]))
        if not rows:
            raise ExportError(
                f"{self.data_contract.conversion_tables}: too little history to calibrate, to choose a "
                "threshold or to search hyperparameters on out-of-time predictions; set train.calibration: "
                "none and train.threshold: fixed, with train.search.trials: 0, or give a longer export"
            )
        index = np.concatenate(rows)
        return OutOfTime(np.concatenate(raw), y[index], sample_weight[index], as_of.iloc[index])

    def probability(self, values: Values) -> Floats:
        """Return the calibrated probability of conversion.

        Parameters
        ----------
        values
            float64 or float32, shape (rows, features), in the order of ``features``, as
            `conversion.features.compute.compute_features` returns them, categories by the model's ``levels``.
            A row's result does not depend on the others.

        Returns
        -------
        numpy.ndarray of float64, shape (rows,)
        """
        return calibrated(self.calibrator_, ensemble.raw_probability(self._members(), values))

    def probability_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        """Return `probability` and `contributions`, preprocessing once."""
        raw, contributions = ensemble.raw_with_contributions(self._members(), values)
        return calibrated(self.calibrator_, raw), contributions

    def contributions(self, values: Values) -> Floats:
        """Split each score among the features, relative to the average training snapshot.

        Parameters
        ----------
        values
            As in `probability`.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            In log-odds, before calibration; positive raises the score. With ``base_log_odds_`` they add up to
            the log-odds of the row.
        """
        return self.probability_with_contributions(values)[1]

    def distinct(self, by_fact: Floats) -> Floats:
        """Return how much each fact sets a company apart from those that usually top a list.

        Parameters
        ----------
        by_fact
            Contributions summed by fact, as `conversion.features.facts.sum_by_fact` does.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, facts)
            Share of what is typical, `FactProfile.typical`, strictly below; from 0 to 1.
        """
        return self.profile_.distinct(by_fact)

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Return the calibrated probabilities of (no conversion, conversion).

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

    def probability_and_by_summary(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """Return the calibrated probability of conversion, and that of ``summary_``, of a feature frame."""
        values, names = self.values(X), self._names()
        # Both learned the levels of their categories from the same snapshots.
        places = [names.index(name) for name in self.summary_._names()]
        return self.probability(values), self.summary_.probability(values.take(places, axis=1))

    def predict(self, X: pd.DataFrame) -> NDArray[np.int64]:
        """Return 1 where the probability is at least the threshold, else 0."""
        return (self.predict_proba(X)[:, 1] >= self.threshold_).astype(np.int64)

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the `contributions` of a feature frame's rows, with the features' names."""
        return pd.DataFrame(self.contributions(self.values(X)), columns=self._names())

    def get_feature_importance(self) -> pd.Series:
        """Weigh the features; they sum to 1 and are indexed by name, most important first."""
        weights = ensemble.importance(self._members())
        series = pd.Series(weights, index=self._names(), name="importance")
        return series.sort_values(ascending=False, kind="stable")

    def importance_by_fact(self) -> list[FactImportance]:
        """Weigh the facts, the most important first; the shares sum to 1."""
        return self.profile_.importance(facts_of(self.features, self.data_contract))

    def _fit_all_but_members(
        self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series
    ) -> Floats:
        """Fit the rest; return `values`."""
        if len(np.unique(y)) < 2:
            raise ExportError(
                f"{self.data_contract.conversion_tables}: the {len(y)} training snapshots have a single "
                f"class ({y[:1]}); there is nothing to learn from: give a longer export or a later as_of"
            )
        values = self.learn_levels(X).values(X)
        self.classes_ = np.array([0, 1])
        self.base_rate_ = float(np.average(y, weights=sample_weight))
        self.calibration_: Method = "none"
        self.calibrator_: Any = None
        self.threshold_ = self.threshold_value
        if self.calibration != "none" or self.threshold != "fixed":
            self._fit_out_of_time(values, y, sample_weight, as_of)
        return values

    def _keep_members(self, members: dict[str, Member]) -> None:
        """Keep the fitted members, and where their contributions start."""
        self.members_ = members
        self.base_log_odds_ = ensemble.base_log_odds(self._members())

    def _learn_profile(self, values: Floats, weight: np.ndarray) -> Self:
        """Learn about each fact from the fitted members."""
        self.profile_ = FactProfile.learned(self.features, self._members(), values, weight)
        return self

    def _member_fits(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> list[MemberFit]:
        """Return what fits each member when it is called."""
        given = (self.features, self.levels, self.preparation, values, y, weight)
        return [partial(Member.fitted, scorer, *given) for scorer in self.scorers.values()]

    def _fitted_members(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> dict[str, Member]:
        return dict(zip(self.scorers, fit_side_by_side(self._member_fits(values, y, weight)), strict=True))

    def _members(self) -> list[Member]:
        return list(self.members_.values())

    def _folds(self, y: np.ndarray, as_of: pd.Series) -> list[Fold]:
        return folds_with_conversions(as_of, y, self.folds, self.horizon_days)

    def _fit_out_of_time(self, values: Floats, y: np.ndarray, weight: np.ndarray, as_of: pd.Series) -> None:
        """Fit calibrator and threshold on predictions of later snapshots by models of earlier ones."""
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

    def _names(self) -> list[str]:
        return [feature.name for feature in self.features]
