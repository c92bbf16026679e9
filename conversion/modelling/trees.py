"""Tree families: random forest and XGBoost."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from conversion.modelling.scorer import Scorer
from conversion.modelling.tree_paths import Trees, margin_of
from conversion.modelling.tree_shap import DEEPEST, ShapTables
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


class TreeScorer(Scorer):
    """Trees that are also laid out as arrays, see `conversion.modelling.tree_paths`.

    The library computes the probabilities of many rows; few rows are walked down the arrays, as the library
    takes longer to start than to score them. Contributions always come from the arrays: SHAP values of trees
    that have tables of them (`conversion.modelling.tree_shap`), and of others what the splits on a row's way
    change.

    Attributes
    ----------
    trees_ : Trees
        The fitted trees as arrays.
    shap_ : ShapTables or None
        Their SHAP values.
    """

    shap_: ShapTables | None = None

    @abstractmethod
    def _trees(self) -> tuple[Trees, ShapTables | None]:
        """Lay the fitted trees out, and compute their SHAP values unless they are too deep."""

    @abstractmethod
    def _raw_of_many(self, columns: Floats) -> Floats:
        """Return the probability of conversion before calibration, as the library computes it."""

    @abstractmethod
    def _raw_of_leaves(self, values: Floats) -> Floats:
        """Return the same from the values of the leaves that each row ends in, in the order of the trees."""

    @abstractmethod
    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:
        """Convert contributions to the trees' values, summed over trees, into log-odds."""

    def fit(self, columns: Floats, y: np.ndarray, weight: np.ndarray, monotone: NDArray[np.int64]) -> Self:
        """Fit, and lay the trees out."""
        super().fit(columns, y, weight, monotone)
        self.trees_, self.shap_ = self._trees()
        return self

    def raw_probability(self, columns: Floats) -> Floats:
        """Return the probability of conversion before calibration, one a row."""
        if len(columns) > BLOCK_ROWS:
            return self._raw_of_many(columns)
        return self._raw_of_leaves(self.trees_.leaf_values(self.trees_.paths(columns)))

    def contributions(self, columns: Floats) -> Floats:
        """Split each row's log-odds among the design columns."""
        return self.raw_with_contributions(columns)[1]

    def raw_with_contributions(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return both from one walk, block by block, which bounds the memory of the paths."""
        raw, contributions = np.empty(len(columns)), np.empty(columns.shape)
        for start in range(0, len(columns), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            leaves, changes = self._leaves_and_changes(columns[block])
            raw[block] = self._raw_of_leaves(leaves)
            contributions[block] = self._in_log_odds(changes, raw[block])
        return raw, contributions

    def _leaves_and_changes(self, columns: Floats) -> tuple[Floats, Floats]:
        if self.shap_ is not None:
            return self.shap_.leaves_and_contributions(columns)
        paths = self.trees_.paths(columns)
        return self.trees_.leaf_values(paths), self.trees_.contributions(paths, columns.shape[1])

    def base_log_odds(self) -> float:
        """Return the log-odds of a row that has not passed a split."""
        start = self._raw_of_leaves(self.trees_.value[self.trees_.roots][None])
        return float(log_odds(start)[0])

    def _settings(self) -> dict[str, Any]:
        """Return the hyperparameters that the library knows by the same names."""
        return {name: value for name, value in self.hyperparameters.items() if name != "monotone"}


class RandomForestScorer(TreeScorer):
    """A forest of shallow trees with large leaves, as positives are sparse, monotone as definitions say.

    Its trees are too deep for SHAP values; `conversion.modelling.tree_paths` has the measured difference.
    """

    def estimator(self, monotone: NDArray[np.int64]) -> RandomForestClassifier:
        """Return the unfitted forest with each column's constraint."""
        return RandomForestClassifier(
            **self._settings(),
            monotonic_cst=monotone if self.hyperparameters["monotone"] else None,
            n_jobs=THREADS,
            random_state=self.seed,
        )

    def _trees(self) -> tuple[Trees, None]:
        return Trees.of_forest(self.estimator_), None

    def _raw_of_many(self, columns: Floats) -> Floats:
        return np.asarray(self.estimator_.predict_proba(columns)[:, 1])

    def _raw_of_leaves(self, values: Floats) -> Floats:
        return np.asarray(values.mean(axis=1))

    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:
        """Stretch each row's contributions so that they add up to a difference of log-odds.

        A forest averages probabilities, so its splits change probabilities. All contributions of a row are
        multiplied by the same slope: (log-odds of the row - of the start) / (probability of the row - of the
        start). Where the row is at the start that is 0 / 0, and the slope is the derivative there.
        """
        start = float(self.trees_.value[self.trees_.roots].mean())
        moved = raw - start
        slope = np.full(len(raw), 1.0 / (start * (1.0 - start)))
        np.divide(log_odds(raw) - log_odds(np.array(start)), moved, out=slope, where=np.abs(moved) > SAME)
        return contributions * (slope / len(self.trees_.roots))[:, None]


class XGBoostScorer(TreeScorer):
    """Gradient-boosted trees, monotone in the features whose definition says so.

    Attributes
    ----------
    margin_ : numpy.float32
        The log-odds that the trees are added to.
    """

    keeps_fits: ClassVar[bool] = True

    def estimator(self, monotone: NDArray[np.int64]) -> Any:
        """Return the unfitted booster with each column's constraint."""
        from xgboost import XGBClassifier

        return XGBClassifier(
            **self._settings(),
            monotone_constraints=tuple(monotone.tolist()) if self.hyperparameters["monotone"] else None,
            tree_method="hist",
            n_jobs=THREADS,
            random_state=self.seed,
        )

    def _fitted_estimator(
        self, columns: Floats, y: np.ndarray, weight: np.ndarray, monotone: NDArray[np.int64]
    ) -> Any:
        """Fit as ``XGBClassifier.fit`` does, but on a ``DMatrix``.

        That makes a ``QuantileDMatrix``, which takes an eighth of the memory. A ``DMatrix`` gives the same
        trees, on one thread in four fifths of the time.
        """
        from xgboost import DMatrix, train

        classifier = self.estimator(monotone)
        matrix = DMatrix(columns, label=y, weight=weight, nthread=THREADS)
        classifier.n_classes_ = 2
        classifier._Booster = train(classifier.get_xgb_params(), matrix, classifier.get_num_boosting_rounds())
        return classifier

    def _trees(self) -> tuple[Trees, ShapTables | None]:
        learner = json.loads(self.estimator_.get_booster().save_raw("json"))["learner"]
        self.margin_ = margin_of(learner)
        trees = Trees.of_booster(learner)
        return trees, ShapTables.of(trees) if trees.depth <= DEEPEST else None

    def _raw_of_many(self, columns: Floats) -> Floats:
        booster = self.estimator_.get_booster()
        margin = booster.inplace_predict(columns, predict_type="margin", validate_features=False)
        return expit(margin.astype(np.float64))

    def _raw_of_leaves(self, values: Floats) -> Floats:
        # Added up as the library does: tree after tree, in single precision.
        margins = np.empty((len(values), values.shape[1] + 1), dtype=np.float32)
        margins[:, 0], margins[:, 1:] = self.margin_, values
        return expit(np.add.accumulate(margins, axis=1)[:, -1].astype(np.float64))

    def _in_log_odds(self, contributions: Floats, raw: Floats) -> Floats:  # noqa: ARG002
        return contributions
