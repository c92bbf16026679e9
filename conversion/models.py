"""Model families by name. Each is one object from feature frame to calibrated probability.

Encoding, imputation, scaling, the estimator, its calibration and the decision threshold are fitted together
on training snapshots; nothing that is fitted lives outside of the object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from conversion.errors import ExportError, ParamsError
from conversion.features import Feature, FeatureSettings, feature_definitions
from conversion.metrics import Strategy, choose_threshold
from conversion.params import Params

Floats = NDArray[np.float64]

# One thread a fit: a forest's threads add votes up as they finish, so the last bits would vary from run to
# run; the backtest runs refits side by side instead.
THREADS: Final = 1
HEAVY_TAILED: Final = ("count", "duration", "share")
SCALERS: Final = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}


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
    def preprocessing(self) -> ColumnTransformer:
        """Give the unfitted preprocessing of the feature frame."""

    @abstractmethod
    def estimator(self, columns: list[str]) -> Any:
        """Give the unfitted estimator of the preprocessed ``columns``."""

    @abstractmethod
    def _column_importance(self) -> Floats:
        """Weigh the preprocessed columns."""

    @abstractmethod
    def _column_contributions(self, columns: Floats) -> Floats:
        """Share each row's score out among the preprocessed columns."""

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
        frame = self._select(X)
        self.classes_ = np.array([0, 1])
        self.base_rate_ = float(np.average(y, weights=sample_weight))
        self.calibrator_: Any = None
        self.threshold_ = self.threshold_value
        if self.calibration != "none" or self.threshold != "fixed":
            self._fit_out_of_time(frame, y, sample_weight, as_of)
        self.pipeline_ = self._fit_pipeline(frame, y, sample_weight)
        self.center_ = np.average(self.pipeline_[:-1].transform(frame), axis=0, weights=sample_weight)
        return self

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
        raw = self.pipeline_.predict_proba(self._select(X))[:, 1].astype(np.float64)
        probability = raw if self.calibrator_ is None else _apply_calibrator(self.calibrator_, raw)
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
        importance = self._sources().T @ self._column_importance()
        total = importance.sum()
        series = pd.Series(importance / (total if total > 0 else 1.0), index=self._names(), name="importance")
        return series.sort_values(ascending=False, kind="stable")

    def explain(self, X: pd.DataFrame) -> pd.DataFrame:
        """Share each score out among the features, against the average training snapshot.

        Returns
        -------
        pandas.DataFrame of float64, shape (rows, features)
            Positive raises the score. In log-odds for logistic_regression and xgboost, in probability for
            random_forest; before calibration.
        """
        columns = self.pipeline_[:-1].transform(self._select(X))
        return pd.DataFrame(self._column_contributions(columns) @ self._sources(), columns=self._names())

    def _fit_pipeline(self, frame: pd.DataFrame, y: np.ndarray, weight: np.ndarray) -> Pipeline:
        preprocessing = self.preprocessing()
        columns = preprocessing.fit_transform(frame)
        estimator = self.estimator(list(preprocessing.get_feature_names_out()))
        estimator.fit(columns, y, sample_weight=weight)
        return Pipeline([("preprocessing", preprocessing), ("estimator", estimator)])

    def _fit_out_of_time(
        self, frame: pd.DataFrame, y: np.ndarray, weight: np.ndarray, as_of: pd.Series
    ) -> None:
        """Fit calibration and threshold on predictions of later snapshots by models of earlier ones."""
        rows, probability = [], []
        for learn, test in out_of_time_folds(as_of, self.folds, self.horizon_days):
            if y[learn].any() and y[test].any():
                pipeline = self._fit_pipeline(frame[learn], y[learn], weight[learn])
                rows.append(np.flatnonzero(test))
                probability.append(pipeline.predict_proba(frame[test])[:, 1].astype(np.float64))
        if not rows:
            raise ExportError(
                "customers: too little history to calibrate or to choose a threshold on out-of-time "
                "predictions; set train.calibration: none and train.threshold: fixed, or give a longer export"
            )
        index, raw = np.concatenate(rows), np.concatenate(probability)
        if self.calibration != "none":
            self.calibrator_ = _fit_calibrator(self.calibration, raw, y[index], weight[index])
            raw = _apply_calibrator(self.calibrator_, raw)
        self.threshold_ = choose_threshold(y[index], raw, weight[index], self.threshold, self.threshold_value)

    def _names(self, *kinds: str) -> list[str]:
        return [feature.name for feature in self.features if not kinds or feature.kind in kinds]

    def _select(self, X: pd.DataFrame) -> pd.DataFrame:
        missing = [name for name in self._names() if name not in X.columns]
        if missing:
            raise KeyError(f"the feature frame lacks the columns {', '.join(missing)}")
        frame = X[self._names()]
        numbers = [feature.name for feature in self.features if feature.kind != "category"]
        # float32 sums differ between one row and many in the 7th digit.
        return frame.astype(dict.fromkeys(numbers, np.float64))

    def _sources(self) -> Floats:
        """Map preprocessed columns to features: a product of two belongs to each by half."""
        names = self._names()
        columns = self.pipeline_[:-1].get_feature_names_out()
        sources = np.zeros((len(columns), len(names)))
        for row, column in enumerate(columns):
            origins = _origins(column, names)
            for origin in origins:
                sources[row, names.index(origin)] += 1.0 / len(origins)
        return sources

    def _imputer(self, kind: str) -> SimpleImputer:
        strategy = self.preparation["imputation"]
        fill_value = None
        if strategy == "auto":
            strategy = "most_frequent" if kind in ("flag", "ordinal") else "median"
        elif strategy in ("zero", "constant"):
            fill_value = 0.0 if strategy == "zero" else self.preparation["fill_value"]
            strategy = "constant"
        return SimpleImputer(
            strategy=strategy, fill_value=fill_value, keep_empty_features=True, add_indicator=True
        )

    def _scaler(self) -> Any:
        scaling = self.preparation["scaling"]
        return (
            FunctionTransformer(feature_names_out="one-to-one") if scaling == "none" else SCALERS[scaling]()
        )

    def _encoder(self) -> OneHotEncoder:
        return OneHotEncoder(
            min_frequency=self.preparation["min_frequency"],
            handle_unknown="infrequent_if_exist",
            sparse_output=False,
        )


class LogisticRegressionModel(ConversionModel):
    """L2-penalised logistic regression on logs of the heavy-tailed features, with chosen quadratic terms."""

    def preprocessing(self) -> ColumnTransformer:
        """Impute, take logs, scale, encode; add squares and products of the ``quadratic`` features."""
        quadratic = list(self.hyperparameters["quadratic"])
        allowed = self._names(*HEAVY_TAILED, "change", "ordinal", "flag")
        unknown = sorted(set(quadratic) - set(allowed))
        if unknown:
            raise ParamsError(
                f"params.yaml: model.logistic_regression.quadratic: given {', '.join(unknown)}, "
                f"allowed are the features {', '.join(allowed)}"
            )
        parts = [
            (kind, self._numbers(kind), self._names(kind))
            for kind in (*HEAVY_TAILED, "change", "ordinal", "flag")
        ]
        parts.append(("category", self._encoder(), self._names("category")))
        if quadratic:
            parts.append(("quadratic", self._quadratic(quadratic), quadratic))
        return ColumnTransformer(parts)

    def estimator(self, columns: list[str]) -> LogisticRegression:  # noqa: ARG002
        """Give the regression."""
        settings = {name: self.hyperparameters[name] for name in ("C", "max_iter")}
        return LogisticRegression(**settings, solver="newton-cholesky")

    def _numbers(self, kind: str) -> Pipeline:
        return Pipeline(
            [("impute", self._imputer(kind)), ("log", self._log(kind)), ("scale", self._scaler())]
        )

    def _log(self, kind: str) -> FunctionTransformer:
        return FunctionTransformer(
            signed_log1p if kind in HEAVY_TAILED else None, feature_names_out="one-to-one"
        )

    def _quadratic(self, names: list[str]) -> Pipeline:
        kinds = dict.fromkeys(feature.kind for feature in self.features if feature.name in names)
        imputers = [
            (
                kind,
                self._imputer(kind).set_params(add_indicator=False),
                sorted({*names} & {*self._names(kind)}),
            )
            for kind in kinds
        ]
        return Pipeline(
            [
                ("impute", ColumnTransformer(imputers, verbose_feature_names_out=False)),
                ("log", FunctionTransformer(signed_log1p, feature_names_out="one-to-one")),
                ("center", StandardScaler()),
                ("products", PolynomialFeatures(2, include_bias=False)),
                ("scale", self._scaler()),
            ]
        )

    def _column_importance(self) -> Floats:
        return np.asarray(np.abs(self.pipeline_[-1].coef_[0]) * self.spread_)

    def _column_contributions(self, columns: Floats) -> Floats:
        return np.asarray((columns - self.center_) * self.pipeline_[-1].coef_[0])

    def fit(self, X: pd.DataFrame, y: np.ndarray, sample_weight: np.ndarray, as_of: pd.Series) -> Self:
        """Fit, and remember how far each column spreads, to compare coefficients at any scaling."""
        super().fit(X, y, sample_weight, as_of)
        self.spread_ = self.pipeline_[:-1].transform(self._select(X)).std(axis=0)
        return self


class _TreeModel(ConversionModel):
    """Trees take numbers as they are, imputed, with the sector one-hot."""

    def preprocessing(self) -> ColumnTransformer:
        """Impute and encode; scale as params say (of no effect on trees)."""
        kinds = (*HEAVY_TAILED, "change", "ordinal", "flag")
        parts = [
            (kind, Pipeline([("impute", self._imputer(kind)), ("scale", self._scaler())]), self._names(kind))
            for kind in kinds
        ]
        return ColumnTransformer([*parts, ("category", self._encoder(), self._names("category"))])

    def _column_importance(self) -> Floats:
        return np.asarray(self.pipeline_[-1].feature_importances_, dtype=np.float64)


class RandomForestModel(_TreeModel):
    """A forest of shallow trees with large leaves, as positives are sparse."""

    def estimator(self, columns: list[str]) -> RandomForestClassifier:  # noqa: ARG002
        """Give the forest."""
        return RandomForestClassifier(**self.hyperparameters, n_jobs=THREADS, random_state=self.seed)

    def _column_contributions(self, columns: Floats) -> Floats:
        """Follow each row down each tree; a split's change of the mean goes to its column (Saabas 2014)."""
        forest = self.pipeline_[-1]
        contributions = np.zeros(columns.shape)
        for tree in forest.estimators_:
            changes = _split_changes(tree.tree_, columns.shape[1])
            contributions += tree.decision_path(columns.astype(np.float32)) @ changes
        return contributions / len(forest.estimators_)


class XGBoostModel(_TreeModel):
    """Gradient-boosted trees, monotone in the features whose definition says so."""

    def estimator(self, columns: list[str]) -> Any:
        """Give the booster with each column's constraint."""
        from xgboost import XGBClassifier

        settings = {name: value for name, value in self.hyperparameters.items() if name != "monotone"}
        monotone = self._constraints(columns) if self.hyperparameters["monotone"] else None
        return XGBClassifier(
            **settings,
            monotone_constraints=monotone,
            tree_method="hist",
            n_jobs=THREADS,
            random_state=self.seed,
        )

    def _constraints(self, columns: list[str]) -> tuple[int, ...]:
        direction = {feature.name: feature.monotone for feature in self.features}
        return tuple(direction.get(column.split("__", 1)[1], 0) for column in columns)

    def _column_contributions(self, columns: Floats) -> Floats:
        from xgboost import DMatrix

        booster = self.pipeline_[-1].get_booster()
        return np.asarray(booster.predict(DMatrix(columns), pred_contribs=True)[:, :-1], dtype=np.float64)


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


def known_training(
    snapshots: pd.DataFrame, as_of: pd.Timestamp, horizon_days: int, history_weeks: int | None
) -> pd.Series:
    """Tell which training snapshots were mature at ``as_of`` and lie within the history."""
    mature = snapshots["as_of"] + pd.Timedelta(days=horizon_days) <= as_of
    if history_weeks is None:
        return mature
    return mature & (snapshots["as_of"] > as_of - pd.Timedelta(weeks=history_weeks))


def fit_at(snapshots: pd.DataFrame, as_of: pd.Timestamp, params: Params) -> ConversionModel:
    """Fit the whole recipe on what was known at ``as_of``.

    Parameters
    ----------
    snapshots
        Training snapshots: ``id``, ``as_of``, ``label``, ``weight`` and the features.
    as_of
        Snapshots whose labels were not mature by then are not looked at.

    Returns
    -------
    ConversionModel
        Fitted.

    Raises
    ------
    ExportError
        There is no snapshot, or one class only.
    """
    known = known_training(snapshots, as_of, params.featurize.horizon_days, params.train.history_weeks)
    rows = snapshots[known]
    positives = int((rows["label"] == 1).sum())
    if not 0 < positives < len(rows):
        raise ExportError(
            f"customers: at {as_of:%Y-%m-%d} {positives} of {len(rows)} training snapshots with mature "
            "labels are conversions; there is nothing to learn from: give a longer export, or a later "
            "evaluate.first_cutoff or data.as_of"
        )
    return make_model(params).fit(
        rows, rows["label"].to_numpy(dtype=np.int64), rows["weight"].to_numpy(dtype=np.float64), rows["as_of"]
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


def signed_log1p(values: Floats) -> Floats:
    """Take ``log(1 + x)``, of negative values (changes, a negative ``fill_value``) ``-log(1 - x)``."""
    return np.sign(values) * np.log1p(np.abs(values))


def _log_odds(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(clipped / (1 - clipped))


def _fit_calibrator(method: str, raw: Floats, y: np.ndarray, weight: np.ndarray) -> Any:
    """Fit Platt's sigmoid (on log-odds) or an isotonic curve."""
    if method == "sigmoid":
        return LogisticRegression(C=np.inf).fit(_log_odds(raw)[:, None], y, sample_weight=weight)
    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, y, sample_weight=weight)


def _apply_calibrator(calibrator: Any, raw: Floats) -> Floats:
    if isinstance(calibrator, IsotonicRegression):
        return np.asarray(calibrator.predict(raw), dtype=np.float64)
    return np.asarray(calibrator.predict_proba(_log_odds(raw)[:, None])[:, 1], dtype=np.float64)


def _origins(column: str, names: list[str]) -> list[str]:
    """Name the features that a preprocessed column comes from."""
    part, name = column.split("__", 1)
    if part == "category":
        return [next(feature for feature in names if name.startswith(f"{feature}_"))]
    if part == "quadratic":
        return [factor.removesuffix("^2") for factor in name.split(" ")]
    return [name.removeprefix("missingindicator_")]


def _split_changes(tree: Any, columns: int) -> Floats:
    """Give each node's change of the mean against its parent, in the column that the parent splits on."""
    mean = tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1)
    changes = np.zeros((tree.node_count, columns))
    for children in (tree.children_left, tree.children_right):
        parents = np.flatnonzero(children >= 0)
        nodes = children[parents]
        changes[nodes, tree.feature[parents]] = mean[nodes] - mean[parents]
    return changes
