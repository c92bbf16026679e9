"""Model families by name. Each is one object from feature frame to calibrated probability.

Encoding, imputation, scaling, the estimator, its calibration and the decision threshold are fitted together
on training snapshots; nothing that is fitted lives outside of the object.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from conversion.companies import SECTORS
from conversion.errors import ExportError, ParamsError
from conversion.features import Feature, FeatureSettings, feature_definitions
from conversion.metrics import Strategy, choose_threshold
from conversion.params import Params
from conversion.preprocessing import NUMBERS, Preprocessor

Floats = NDArray[np.float64]
Values = NDArray[np.floating[Any]]

# One thread a fit: a forest's threads add votes up as they finish, so the last bits would vary from run to
# run; the backtest runs refits side by side instead.
THREADS: Final = 1
# Rows that are walked down a forest at once; their paths stay within the processor's caches.
BLOCK_ROWS: Final = 64
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
)


class ConversionModel(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """What all families share: columns by name, calibration, threshold.

    Parameters
    ----------
    features
        Definitions of the columns that the model reads.
    hyperparameters
        The family's block of params.yaml.
    preparation
        ``imputation``, ``fill_value``, ``scaling`` and ``min_frequency`` of params.yaml's ``train``.
    calibration
        ``none``, ``sigmoid`` or ``isotonic``.
    threshold, threshold_value
        How the decision threshold is chosen, see `conversion.metrics.choose_threshold`.
    folds
        Out-of-time folds inside the training period, for calibration and threshold.
    horizon_days
        Days after ``as_of`` in which a conversion counts.
    seed
        Seed of the estimator.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        hyperparameters: dict[str, Any],
        preparation: dict[str, Any],
        calibration: str,
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
        """Share each row's score out among the design columns."""

    def _raw_with_contributions(self, columns: Floats) -> tuple[Floats, Floats]:
        """Give both; families that can get them from one pass do."""
        return self._raw(columns), self._column_contributions(columns)

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
        self.calibrator_: Any = None
        self.threshold_ = self.threshold_value
        if self.calibration != "none" or self.threshold != "fixed":
            self._fit_out_of_time(values, y, sample_weight, as_of)
        self._fit_estimator(values, y, sample_weight)
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
        self.summary_ = self.of_features(SUMMARY_FEATURES).fit(X, y, sample_weight, as_of)
        return self

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
            In the order of ``features``, as `conversion.features.compute_features` gives them; a sector that
            is none of `conversion.companies.SECTORS` is NaN.

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
    ) -> tuple[NDArray[np.intp], Floats]:
        """Predict later training snapshots by models of what was known before, see `out_of_time_folds`.

        Parameters
        ----------
        values
            Shape (rows, features), as `values` gives them.
        y, sample_weight, as_of
            As in `fit`.

        Returns
        -------
        rows, probability
            Places of the predicted snapshots, and their probabilities before calibration.

        Raises
        ------
        ExportError
            No fold has conversions both before and in it.
        """
        rows, probability = [], []
        for learn, test in out_of_time_folds(as_of, self.folds, self.horizon_days):
            if y[learn].any() and y[test].any():
                earlier = clone(self)
                earlier._fit_estimator(values[learn], y[learn], sample_weight[learn])
                rows.append(np.flatnonzero(test))
                probability.append(earlier._raw(earlier.preprocessor_.transform(values[test])))
        if not rows:
            raise ExportError(
                "customers: too little history to calibrate, to choose a threshold or to search "
                "hyperparameters on out-of-time predictions; set train.calibration: none and "
                "train.threshold: fixed, with train.search.trials: 0, or give a longer export"
            )
        return np.concatenate(rows), np.concatenate(probability)

    def probability(self, values: Values) -> Floats:
        """Give the calibrated probability of conversion.

        Parameters
        ----------
        values
            float64 or float32, shape (rows, features), in the order of ``features``, as
            `conversion.features.compute_features` gives them. A row's result does not depend on the others.

        Returns
        -------
        numpy.ndarray of float64, shape (rows,)
        """
        return self._calibrated(self._raw(self.preprocessor_.transform(values)))

    def contributions(self, values: Values) -> Floats:
        """Share each score out among the features, against the average training snapshot.

        Parameters
        ----------
        values
            As in `probability`.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            Positive raises the score. In log-odds for logistic_regression and xgboost, in probability for
            random_forest; before calibration.
        """
        return self._by_feature(self._column_contributions(self.preprocessor_.transform(values)))

    def probability_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        """Give `probability` and `contributions`, preprocessing once."""
        raw, contributions = self._raw_with_contributions(self.preprocessor_.transform(values))
        return self._calibrated(raw), self._by_feature(contributions)

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
        importance = self._by_feature(self._column_importance())
        total = importance.sum()
        series = pd.Series(importance / (total if total > 0 else 1.0), index=self._names(), name="importance")
        return series.sort_values(ascending=False, kind="stable")

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """Give the `contributions` of a feature frame's rows, with the features' names."""
        return pd.DataFrame(self.contributions(self.values(X)), columns=self._names())

    def _fit_estimator(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> Floats:
        """Fit preprocessing and estimator; give the design matrix."""
        self.preprocessor_ = self.preprocessing()
        columns = self.preprocessor_.fit_transform(values)
        self.estimator_ = self.estimator(self.preprocessor_).fit(columns, y, sample_weight=weight)
        return columns

    def _fit_out_of_time(self, values: Floats, y: np.ndarray, weight: np.ndarray, as_of: pd.Series) -> None:
        """Fit calibration and threshold on predictions of later snapshots by models of earlier ones."""
        index, raw = self.predict_out_of_time(values, y, weight, as_of)
        if self.calibration != "none":
            self.calibrator_ = _fit_calibrator(self.calibration, raw, y[index], weight[index])
        self.threshold_ = choose_threshold(
            y[index], self._calibrated(raw), weight[index], self.threshold, self.threshold_value
        )

    def _calibrated(self, raw: Floats) -> Floats:
        if self.calibrator_ is None:
            return raw
        if isinstance(self.calibrator_, IsotonicRegression):
            return np.asarray(np.interp(raw, self.calibrator_.X_thresholds_, self.calibrator_.y_thresholds_))
        slope, intercept = self.calibrator_.coef_[0, 0], self.calibrator_.intercept_[0]
        return np.asarray(expit(_log_odds(raw) * slope + intercept))

    def _by_feature(self, columns: Floats) -> Floats:
        return columns @ self.preprocessor_.sources_

    def _names(self, *kinds: str) -> list[str]:
        return [feature.name for feature in self.features if not kinds or feature.kind in kinds]


class LogisticRegressionModel(ConversionModel):
    """L2-penalised logistic regression on logs of the heavy-tailed features, with chosen quadratic terms."""

    def preprocessing(self) -> Preprocessor:
        """Impute, take logs, scale, encode; add squares and products of the ``quadratic`` features."""
        quadratic = tuple(self.hyperparameters["quadratic"])
        allowed = self._names(*NUMBERS)
        unknown = sorted(set(quadratic) - set(allowed))
        if unknown:
            raise ParamsError(
                f"params.yaml: model.logistic_regression.quadratic: given {', '.join(unknown)}, "
                f"allowed are the features {', '.join(allowed)}"
            )
        return Preprocessor(self.features, **self.preparation, logs=True, quadratic=quadratic)

    def estimator(self, preprocessor: Preprocessor) -> LogisticRegression:  # noqa: ARG002
        """Give the regression."""
        settings = {name: self.hyperparameters[name] for name in ("C", "max_iter")}
        return LogisticRegression(**settings, solver="newton-cholesky")

    def of_features(self, names: Collection[str]) -> Self:
        """Give the same recipe, unfitted, for some of the features; with so few, all are squared."""
        restricted = super().of_features(names)
        quadratic = tuple(restricted._names(*NUMBERS))
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
        return np.asarray(expit(columns @ self.estimator_.coef_[0] + self.estimator_.intercept_[0]))

    def _column_contributions(self, columns: Floats) -> Floats:
        return np.asarray((columns - self.center_) * self.estimator_.coef_[0])


class _TreeModel(ConversionModel):
    """Trees take numbers as they are, imputed, with the sector one-hot."""

    def preprocessing(self) -> Preprocessor:
        """Impute and encode; scale as params say (of no effect on trees)."""
        return Preprocessor(self.features, **self.preparation)

    def _column_importance(self) -> Floats:
        return np.asarray(self.estimator_.feature_importances_, dtype=np.float64)


class _TreeWalkModel(_TreeModel):
    """Trees that are also laid out as arrays, see `_Trees`, to walk few rows down all of them at once.

    The libraries' walks are compiled, but it takes them up to milliseconds to start. For many rows they give
    the probabilities; contributions come from the arrays however many rows there are. These are Saabas's, by
    the splits that a row meets; Shapley values (TreeSHAP) took twelve times as long.
    """

    @abstractmethod
    def _trees(self) -> _Trees:
        """Lay the fitted trees out."""

    @abstractmethod
    def _raw_of_many(self, columns: Floats) -> Floats:
        """Give the probability of conversion before calibration by the library."""

    @abstractmethod
    def _raw_of_leaves(self, values: Floats) -> Floats:
        """Give the same from the values of the leaves that each row ends in, shape (rows, trees)."""

    @abstractmethod
    def _share(self) -> float:
        """Give the weight of one tree in the score."""

    def _fit_estimator(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> Floats:
        columns = super()._fit_estimator(values, y, weight)
        self.trees_ = self._trees()
        return columns

    def _raw(self, columns: Floats) -> Floats:
        if len(columns) > BLOCK_ROWS:
            return self._raw_of_many(columns)
        return self._raw_of_leaves(self.trees_.leaf_values(self.trees_.paths(columns)))

    def _column_contributions(self, columns: Floats) -> Floats:
        return self._raw_with_contributions(columns)[1]

    def _raw_with_contributions(self, columns: Floats) -> tuple[Floats, Floats]:
        """Walk block by block, to bound the memory of the paths."""
        raw, contributions = np.empty(len(columns)), np.empty(columns.shape)
        for start in range(0, len(columns), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            paths = self.trees_.paths(columns[block])
            raw[block] = self._raw_of_leaves(self.trees_.leaf_values(paths))
            contributions[block] = self.trees_.contributions(paths, columns.shape[1]) * self._share()
        return raw, contributions


class RandomForestModel(_TreeWalkModel):
    """A forest of shallow trees with large leaves, as positives are sparse."""

    def estimator(self, preprocessor: Preprocessor) -> RandomForestClassifier:  # noqa: ARG002
        """Give the forest."""
        return RandomForestClassifier(**self.hyperparameters, n_jobs=THREADS, random_state=self.seed)

    def _trees(self) -> _Trees:
        return _Trees.of_forest(self.estimator_)

    def _raw_of_many(self, columns: Floats) -> Floats:
        return np.asarray(self.estimator_.predict_proba(columns)[:, 1])

    def _raw_of_leaves(self, values: Floats) -> Floats:
        return np.asarray(values.mean(axis=1))

    def _share(self) -> float:
        return 1.0 / len(self.trees_.roots)


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

    def _trees(self) -> _Trees:
        learner = json.loads(self.estimator_.get_booster().save_raw("json"))["learner"]
        self.margin_ = _margin_of(learner)
        return _Trees.of_booster(learner)

    def _raw_of_many(self, columns: Floats) -> Floats:
        booster = self.estimator_.get_booster()
        margin = booster.inplace_predict(columns, predict_type="margin", validate_features=False)
        return np.asarray(expit(margin.astype(np.float64)))

    def _raw_of_leaves(self, values: Floats) -> Floats:
        # Added up as the library does: tree after tree, in single precision.
        start = np.full((len(values), 1), self.margin_, dtype=np.float32)
        margin = np.cumsum(np.concatenate([start, values.astype(np.float32)], axis=1), axis=1)[:, -1]
        return np.asarray(expit(margin.astype(np.float64)))

    def _share(self) -> float:
        return 1.0


@dataclass(frozen=True)
class _Trees:
    """All trees of an ensemble, node after node, so that one array operation takes every tree down a level.

    Attributes
    ----------
    roots
        The trees' first nodes, shape (trees,).
    depth
        Levels below the root of the deepest tree.
    column, threshold
        What each node asks: is the column at most the threshold? Shape (nodes,).
    children
        Where it leads: node ``i`` on yes to ``children[2 * i]``, on no to ``children[2 * i + 1]``; a leaf to
        itself.
    value
        Of each node: what its training snapshots' leaves are worth on average, shape (nodes,). In a forest
        the share of conversions, in a booster the log-odds that the tree adds.
    """

    roots: NDArray[np.intp]
    depth: int
    column: NDArray[np.intp]
    threshold: Floats
    children: NDArray[np.intp]
    value: Floats

    @classmethod
    def of_forest(cls, forest: RandomForestClassifier) -> Self:
        trees = [estimator.tree_ for estimator in forest.estimators_]
        values = np.concatenate([tree.value[:, 0, :] for tree in trees])
        return cls._laid_out(
            [(tree.children_left, tree.children_right) for tree in trees],
            column=np.concatenate([tree.feature for tree in trees]),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            value=values[:, 1] / values.sum(axis=1),
        )

    @classmethod
    def of_booster(cls, learner: dict[str, Any]) -> Self:
        trees = learner["gradient_booster"]["model"]["trees"]
        asked = np.concatenate([tree["split_conditions"] for tree in trees]).astype(np.float32)
        return cls._laid_out(
            [(np.array(tree["left_children"]), np.array(tree["right_children"])) for tree in trees],
            column=np.concatenate([tree["split_indices"] for tree in trees]),
            # XGBoost asks whether the column is less than the threshold: at most the next smaller number.
            threshold=np.nextafter(asked, np.float32(-np.inf)).astype(np.float64),
            value=np.concatenate([_node_means(tree) for tree in trees]),
        )

    @classmethod
    def _laid_out(
        cls,
        children: list[tuple[np.ndarray, np.ndarray]],
        column: np.ndarray,
        threshold: np.ndarray,
        value: np.ndarray,
    ) -> Self:
        """Put trees, whose nodes are counted from each root on, behind each other."""
        roots = np.cumsum([0, *(len(left) for left, _ in children[:-1])])
        placed = [np.stack(both, axis=1) + root for both, root in zip(children, roots, strict=True)]
        leaf = np.concatenate([left for left, _ in children]) < 0
        nodes = np.arange(len(leaf))[:, None]
        return cls(
            roots=roots,
            depth=max(_depth(*both) for both in children),
            column=np.where(leaf, 0, column).astype(np.intp),
            threshold=threshold,
            children=np.where(leaf[:, None], nodes, np.concatenate(placed)).ravel(),
            value=value,
        )

    def paths(self, columns: Floats) -> NDArray[np.intp]:
        """Follow each row down each tree; shape (depth + 1, rows, trees)."""
        # As the libraries do: values in single precision.
        values = columns.astype(np.float32).ravel()
        rows = np.arange(len(columns))[:, None] * columns.shape[1]
        paths = np.empty((self.depth + 1, len(columns), len(self.roots)), dtype=np.intp)
        paths[0] = self.roots
        for level in range(self.depth):
            nodes = paths[level]
            above = values.take(self.column.take(nodes) + rows) > self.threshold.take(nodes)
            self.children.take(2 * nodes + above, out=paths[level + 1])
        return paths

    def leaf_values(self, paths: NDArray[np.intp]) -> Floats:
        """Give the values of the leaves that rows end in, shape (rows, trees)."""
        return np.asarray(self.value.take(paths[-1]))

    def contributions(self, paths: NDArray[np.intp], columns: int) -> Floats:
        """Add up over trees what each column changes: a split's change of the value is its (Saabas 2014)."""
        values = self.value.take(paths)
        rows = np.arange(paths.shape[1])[:, None] * columns
        places = self.column.take(paths[:-1]) + rows
        changes: Floats = np.bincount(
            places.ravel(), np.diff(values, axis=0).ravel(), paths.shape[1] * columns
        ).astype(np.float64, copy=False)
        return changes.reshape(-1, columns)


def _depth(left: np.ndarray, right: np.ndarray) -> int:
    """Count the levels below the root of a tree whose children come behind their parents."""
    depth = np.zeros(len(left), dtype=np.intp)
    for node in np.flatnonzero(left >= 0):
        depth[[left[node], right[node]]] = depth[node] + 1
    return int(depth.max())


def _node_means(tree: dict[str, Any]) -> Floats:
    """Average the leaves below each node of XGBoost's tree, weighted by their hessians."""
    left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
    weight: Floats = np.array(tree["sum_hessian"], dtype=np.float64)
    value: Floats = np.array(tree["split_conditions"], dtype=np.float64)
    for node in np.flatnonzero(left >= 0)[::-1]:
        below = [left[node], right[node]]
        value[node] = np.average(value[below], weights=weight[below])
    return value


def _margin_of(learner: dict[str, Any]) -> np.float32:
    """Read the log-odds that XGBoost's trees are added to."""
    base = float(learner["learner_model_param"]["base_score"].strip("[]"))
    return np.float32(np.log(base / (1.0 - base)))


FAMILIES: Final[dict[str, type[ConversionModel]]] = {
    "logistic_regression": LogisticRegressionModel,
    "random_forest": RandomForestModel,
    "xgboost": XGBoostModel,
}


def make_model(params: Params) -> ConversionModel:
    """Make the unfitted model that params.yaml asks for."""
    block = getattr(params.model, params.model.type)
    settings = FeatureSettings(params.featurize.windows, params.featurize.half_lives)
    return FAMILIES[params.model.type](
        features=feature_definitions(settings),
        hyperparameters=block.model_dump(),
        preparation=params.train.model_dump(include={"imputation", "fill_value", "scaling", "min_frequency"}),
        calibration=params.train.calibration,
        threshold=params.train.threshold,
        threshold_value=params.train.threshold_value,
        folds=params.train.folds,
        horizon_days=params.featurize.horizon_days,
        seed=params.seed,
    )


def out_of_time_folds(
    as_of: pd.Series, folds: int, horizon_days: int
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Cut the later half of the training period into folds, each predicted from what was known before it.

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


def _log_odds(probability: Floats) -> Floats:
    clipped = np.minimum(np.maximum(probability, 1e-9), 1 - 1e-9)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _fit_calibrator(method: str, raw: Floats, y: np.ndarray, weight: np.ndarray) -> Any:
    """Fit Platt's sigmoid (on log-odds) or an isotonic curve."""
    if method == "sigmoid":
        return LogisticRegression(C=np.inf).fit(_log_odds(raw)[:, None], y, sample_weight=weight)
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, y, sample_weight=weight)
