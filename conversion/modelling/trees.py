"""Tree families: random forest and XGBoost."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, Final

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from conversion.modelling.model import FamilyModel
from conversion.modelling.preprocessing import Preprocessor
from conversion.modelling.tree_paths import Trees, margin_of
from conversion.stats.losses import log_odds
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import expit

# One thread a fit: a forest's threads add votes up as they finish, so the last bits would vary from run to
# run; the backtest runs refits side by side instead.
THREADS: Final = 1
# Rows that are walked down a forest at once; their paths stay within the processor's caches.
BLOCK_ROWS: Final = 64
# Probabilities so close are one: a quotient of their differences would be noise.
SAME: Final = 1e-9


class _TreeModel(FamilyModel):
    """Trees take numbers as they are, imputed, with the sector one-hot."""

    def preprocessing(self) -> Preprocessor:
        """Impute and encode; scale as params say (of no effect on trees)."""
        return Preprocessor(self.features, **self.preparation)

    def _column_importance(self) -> Floats:
        return np.asarray(self.estimator_.feature_importances_, dtype=np.float64)


class _TreeWalkModel(_TreeModel):
    """Trees that are also laid out as arrays, see `conversion.modelling.tree_paths`.

    For many rows the library gives the probabilities; contributions come from the arrays however many rows
    there are.
    """

    @abstractmethod
    def _trees(self) -> Trees:
        """Lay the fitted trees out."""

    @abstractmethod
    def _raw_of_many(self, columns: Floats) -> Floats:
        """Give the probability of conversion before calibration by the library."""

    @abstractmethod
    def _raw_of_leaves(self, values: Floats) -> Floats:
        """Give the same from the values of the leaves that each row ends in, shape (rows, trees)."""

    @abstractmethod
    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:
        """Turn what the splits change of the values, summed over trees, into log-odds."""

    def _fit_estimator(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> Floats:
        columns = super()._fit_estimator(values, y, weight)
        self.trees_ = self._trees()
        return columns

    def _raw(self, columns: Floats) -> Floats:
        if len(columns) > BLOCK_ROWS:
            return self._raw_of_many(columns)
        return self._raw_of_leaves(self.trees_.leaf_values(self.trees_.paths(columns)))

    def _column_contributions(self, columns: Floats) -> Floats:
        return self._both_of_columns(columns)[1]

    def _both_of_columns(self, columns: Floats) -> tuple[Floats, Floats]:
        """Walk block by block, to bound the memory of the paths."""
        raw, contributions = np.empty(len(columns)), np.empty(columns.shape)
        for start in range(0, len(columns), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            paths = self.trees_.paths(columns[block])
            raw[block] = self._raw_of_leaves(self.trees_.leaf_values(paths))
            changes = self.trees_.contributions(paths, columns.shape[1])
            contributions[block] = self._in_log_odds(changes, raw[block])
        return raw, contributions


class RandomForestModel(_TreeWalkModel):
    """A forest of shallow trees with large leaves, as positives are sparse, monotone as definitions say."""

    def estimator(self, preprocessor: Preprocessor) -> RandomForestClassifier:
        """Give the forest with each column's constraint."""
        settings = {name: value for name, value in self.hyperparameters.items() if name != "monotone"}
        monotone = preprocessor.monotone_ if self.hyperparameters["monotone"] else None
        return RandomForestClassifier(
            **settings, monotonic_cst=monotone, n_jobs=THREADS, random_state=self.seed
        )

    def _trees(self) -> Trees:
        return Trees.of_forest(self.estimator_)

    def _raw_of_many(self, columns: Floats) -> Floats:
        return np.asarray(self.estimator_.predict_proba(columns)[:, 1])

    def _raw_of_leaves(self, values: Floats) -> Floats:
        return np.asarray(values.mean(axis=1))

    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:
        """Stretch each row's, so that they add up to a difference of log-odds, not of probabilities."""
        start = float(self.trees_.value[self.trees_.roots].mean())
        moved = raw - start
        slope = np.full(len(raw), 1.0 / (start * (1.0 - start)))
        np.divide(log_odds(raw) - log_odds(np.array(start)), moved, out=slope, where=np.abs(moved) > SAME)
        return contributions * (slope / len(self.trees_.roots))[:, None]


class XGBoostModel(_TreeWalkModel):
    """Gradient-boosted trees, monotone in the features whose definition says so."""

    def estimator(self, preprocessor: Preprocessor) -> Any:
        """Give the booster with each column's constraint."""
        from xgboost import XGBClassifier

        settings = {name: value for name, value in self.hyperparameters.items() if name != "monotone"}
        monotone = tuple(preprocessor.monotone_.tolist()) if self.hyperparameters["monotone"] else None
        return XGBClassifier(
            **settings,
            monotone_constraints=monotone,
            tree_method="hist",
            n_jobs=THREADS,
            random_state=self.seed,
        )

    def _trees(self) -> Trees:
        learner = json.loads(self.estimator_.get_booster().save_raw("json"))["learner"]
        self.margin_ = margin_of(learner)
        return Trees.of_booster(learner)

    def _raw_of_many(self, columns: Floats) -> Floats:
        booster = self.estimator_.get_booster()
        margin = booster.inplace_predict(columns, predict_type="margin", validate_features=False)
        return expit(margin.astype(np.float64))

    def _raw_of_leaves(self, values: Floats) -> Floats:
        # Added up as the library does: tree after tree, in single precision.
        start = np.full((len(values), 1), self.margin_, dtype=np.float32)
        margin = np.cumsum(np.concatenate([start, values.astype(np.float32)], axis=1), axis=1)[:, -1]
        return expit(margin.astype(np.float64))

    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:  # noqa: ARG002
        return contributions
