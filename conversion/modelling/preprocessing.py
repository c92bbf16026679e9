"""From feature values to a design matrix, the same for batch and online use.

scikit-learn's imputers, scalers and encoders learn the statistics. Applying them takes a few array operations
here: a pipeline of transformers spends milliseconds on finding columns and checking its input, however few
the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from conversion.features.definitions import Feature
from conversion.modelling.levels import Levels
from conversion.stats.numeric import Floats, Indices
from conversion.stats.portable_math import log1p

Encode = Callable[..., Floats]

HEAVY_TAILED: Final = ("count", "duration", "share")
NUMBERS: Final = (*HEAVY_TAILED, "change", "ordinal", "flag")
# Indexes the place after the last level: none of them.
NO_LEVEL: Final = -1.0
# A level's column where numbers are divided by one standard deviation.
DOUBLE: Final = 2.0
# One line of the processor's cache has so many doubles of a row.
_COLUMNS_AT_ONCE: Final = 8
# Rows that are encoded at once: what is computed on the way stays in the processor's cache.
ROWS_AT_ONCE: Final = 1024


# Without scikit-learn's wrapper for other containers, which costs as much as transforming one row.
class Preprocessor(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    """Impute, mark gaps, take logs, encode categories, add squares and products, scale.

    Only gaps of usage are marked (nothing was ever seen). A gap of firmographics is filled in and not
    marked, an unknown level of a category by the most frequent one: whether a value is missing is a feature
    of its own, in the group missingness.

    Parameters
    ----------
    features
        Definitions of the input's columns, in their order.
    levels
        By the attribute of each feature of kind ``category``, its levels, unknown last.
    imputation, fill_value, scaling, min_frequency
        As in params.yaml's ``train``.
    logs
        Whether to take logs of heavy-tailed features, see `signed_log1p`.
    quadratic
        Names of the features whose squares and products are added, computed from centered logs.
    own_levels
        Attributes whose levels are those of the table, not groups of them. With ``standard`` scaling their
        columns are 0 or `DOUBLE`; those of other categories stay 0 or 1, see `_learn_scales`.

    Attributes
    ----------
    sources_ : numpy.ndarray of float64, shape (columns, features)
        Share of each design column that comes from each feature: rows sum to 1, and half of a product of two
        features comes from each.
    monotone_ : numpy.ndarray of int64, shape (columns,)
        Direction in which a column that is itself a feature may move the probability; 0 for all others.
    """

    def __init__(
        self,
        features: tuple[Feature, ...],
        levels: Levels,
        imputation: str,
        fill_value: float,
        scaling: str,
        min_frequency: int,
        logs: bool = False,
        quadratic: tuple[str, ...] = (),
        own_levels: tuple[str, ...] = (),
    ) -> None:
        self.features = features
        self.levels = levels
        self.imputation = imputation
        self.fill_value = fill_value
        self.scaling = scaling
        self.min_frequency = min_frequency
        self.logs = logs
        self.quadratic = quadratic
        self.own_levels = own_levels

    def fit(self, X: Floats, y: object = None) -> Self:
        """Learn the values to fill in, the gaps to mark, the levels to distinguish, and the scales.

        Parameters
        ----------
        X
            Feature values, shape (rows, features); NaN is missing, a category is the position in its levels.
        y
            Ignored.
        """
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Floats, y: object = None) -> Floats:  # noqa: ARG002
        """Fit, and return the design matrix that scales were learned from."""
        self._lay_numbers_out(X)
        self._learn_categories(X)
        self._learn_products(X)
        columns = self._in_blocks(X, self._unscaled)
        self._learn_scales(columns)
        self.sources_ = self._sources()
        self._lay_sources_out()
        self.monotone_ = self._monotone()
        return self._scaled(columns)

    def transform(self, X: NDArray[np.floating[Any]]) -> Floats:
        """Return the design matrix.

        Parameters
        ----------
        X
            As in `fit`; float32 is as good.

        Returns
        -------
        numpy.ndarray of float64, shape (rows, columns)
            Columns as `get_feature_names_out` names them.

        Raises
        ------
        ValueError
            There is not one column for each feature.
        """
        if X.ndim != 2 or X.shape[1] != len(self.features):
            raise ValueError(f"feature values of shape {X.shape}, should be (rows, {len(self.features)})")
        return self._in_blocks(X, self._encoded)

    def by_feature(self, columns: Floats) -> Floats:
        """Sum over columns what comes from each feature: ``columns @ sources_``, in the columns' order.

        Parameters
        ----------
        columns
            Such as contributions, shape (rows, columns), or importances, shape (columns,).

        Returns
        -------
        numpy.ndarray of float64, shape (rows, features)
            Or (features,).
        """
        shares = columns.take(self.shared_columns_, axis=-1)
        shares *= self.shares_
        sums = np.zeros((*columns.shape[:-1], len(self.features)))
        sums[..., self.sharing_features_] = np.add.reduceat(shares, self.share_starts_, axis=-1)
        return sums

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002
        """Return the design matrix's column names: ``<kind, category or quadratic>__<name>``."""
        numbers = [
            f"{self.features[origin].kind}__{'missingindicator_' * (column in self.marks_)}"
            f"{self.features[origin].name}"
            for column, origin in enumerate(self.origins_)
        ]
        categories = [f"category__{name}" for name in self.category_columns_]
        products = [f"quadratic__{name}" for name in self.products_]
        return np.array([*numbers, *categories, *products], dtype=object)

    def _members(self, *kinds: str) -> list[int]:
        return [index for index, feature in enumerate(self.features) if feature.kind in kinds]

    def _strategy(self, kind: str) -> str:
        if self.imputation == "auto":
            return "most_frequent" if kind in ("flag", "ordinal") else "median"
        return "constant" if self.imputation == "zero" else self.imputation

    def _lay_numbers_out(self, X: Floats) -> None:
        """Order the numbers by kind, each kind's values before its gaps' marks; learn what fills gaps."""
        usage = np.array([feature.group == "usage" for feature in self.features])
        gaps = np.asarray(np.isnan(X).any(axis=0)) & usage
        layout = [
            (index, mark)
            for kind in NUMBERS
            for mark in (False, True)
            for index in self._members(kind)
            if gaps[index] or not mark
        ]
        self.origins_: Indices = np.array([index for index, _ in layout], dtype=np.intp)
        self.marks_: Indices = np.flatnonzero([mark for _, mark in layout])
        self.fill_ = self._learn_fill(X)[self.origins_]
        # Heavy tails come first, so that logs apply to one slice; marks among them become 0 or log(2).
        self.heavy_ = sum(self.features[index].kind in HEAVY_TAILED for index, _ in layout)

    def _learn_fill(self, X: Floats) -> Floats:
        """Learn a few columns at a time, as the imputer makes several copies of its input."""
        fill = np.full(len(self.features), np.nan)
        constant = 0.0 if self.imputation == "zero" else self.fill_value
        numbers = set(self._members(*NUMBERS))
        for start in range(0, len(self.features), _COLUMNS_AT_ONCE):
            some = X[:, start : start + _COLUMNS_AT_ONCE].T.copy()
            for index in numbers.intersection(range(start, start + len(some))):
                strategy = self._strategy(self.features[index].kind)
                fill[index] = _statistic(some[index - start], strategy, constant)
        return fill

    def _learn_categories(self, X: Floats) -> None:
        """Encode every level of each category once; ``one_hots_`` has a table for each, a row a level."""
        self.categories_ = self._members("category")
        tables, names = [], []
        for place in self.categories_:
            table, columns = self._one_hot(self.features[place], _level_codes(X[:, place]))
            tables.append(table)
            names.append(columns)
        self.one_hots_: tuple[Floats, ...] = tuple(tables)
        self.category_columns_ = [name for each in names for name in each]
        # Which category each of these columns belongs to.
        self.category_origins_: Indices = np.repeat(
            np.array(self.categories_, dtype=np.intp), [len(each) for each in names]
        )

    def _one_hot(self, feature: Feature, codes: Indices) -> tuple[Floats, list[str]]:
        """Encode each level, row ``i`` of the table is level ``i``, the last row none; name the columns."""
        levels = self.levels[str(feature.column)]
        unknown = len(levels) - 1
        known = np.bincount(codes[(codes != unknown) & (codes >= 0)], minlength=len(levels))
        fill = int(known.argmax()) if known.any() else unknown
        names = np.array([*levels, None], dtype=object)[:, None]
        encoder = OneHotEncoder(
            min_frequency=self.min_frequency, handle_unknown="infrequent_if_exist", sparse_output=False
        )
        filled = np.bincount(np.where(codes == unknown, fill, codes) % len(names), minlength=len(names))
        # Nothing but whether a level has `min_frequency` rows is learned from their number.
        encoder.fit(np.repeat(names, np.minimum(filled, self.min_frequency), axis=0))
        table = encoder.transform(names)
        table[unknown] = table[fill]
        return table, list(encoder.get_feature_names_out([feature.name]))

    def _learn_products(self, X: Floats) -> None:
        """Order squares and products as `PolynomialFeatures` does: each factor, then each pair."""
        squared = [
            column
            for column, origin in enumerate(self.origins_)
            if self.features[origin].name in self.quadratic and column not in self.marks_
        ]
        self.squared_: Indices = np.array(squared, dtype=np.intp)
        self.powers_, self.products_ = np.zeros((0, 0)), []
        if squared:
            factors = X[:, self.origins_[squared]]
            factors = signed_log1p(np.where(np.isnan(factors), self.fill_[squared], factors))
            scaler = StandardScaler().fit(factors)
            self.factor_center_, self.factor_scale_ = scaler.mean_, scaler.scale_
            terms = PolynomialFeatures(2, include_bias=False).fit(factors)
            names = [self.features[origin].name for origin in self.origins_[squared]]
            self.powers_, self.products_ = terms.powers_, terms.get_feature_names_out(names)
            pairs = list(combinations_with_replacement(range(len(squared)), 2))
            self.left_, self.right_ = np.array(pairs, dtype=np.intp).T.copy()

    def _learn_scales(self, columns: Floats) -> None:
        """Learn the scales of numbers; a category's columns are not centered.

        Numbers are divided by one standard deviation. A column of two values is on the same scale where it is
        doubled (Gelman 2008, Scaling regression inputs by dividing by two standard deviations, Statistics in
        Medicine 27); else a penalty holds the effect of a level down as if it were half as much. Groups of
        levels are few and frequent, so that their effects are learned without it.
        """
        center, scale = _center_and_scale(self.scaling, columns)
        numbers = len(self.origins_)
        encoded = slice(numbers, numbers + len(self.category_columns_))
        center[encoded], scale[encoded] = 0.0, 1.0
        if self.scaling == "standard":
            own = [self.features[place].column in self.own_levels for place in self.category_origins_]
            scale[encoded] = np.where(own, 1.0 / DOUBLE, 1.0)
        self.center_, self.scale_ = center, scale

    def _sources(self) -> Floats:
        single = np.concatenate([self.origins_, self.category_origins_])
        sources = np.zeros((len(single) + len(self.products_), len(self.features)))
        sources[np.arange(len(single)), single] = 1.0
        if len(self.products_):
            shares = self.powers_ / self.powers_.sum(axis=1, keepdims=True)
            sources[len(single) :, self.origins_[self.squared_]] = shares
        return sources

    def _lay_sources_out(self) -> None:
        """List the shares in ``sources_`` feature by feature, so that one pass sums them."""
        feature, column = np.nonzero(self.sources_.T)
        self.shared_columns_, self.shares_ = column, self.sources_[column, feature]
        self.sharing_features_, self.share_starts_ = np.unique(feature, return_index=True)

    def _monotone(self) -> NDArray[np.int64]:
        direction = np.array([feature.monotone for feature in self.features], dtype=np.int64)
        monotone = np.zeros(len(self.sources_), dtype=np.int64)
        monotone[: len(self.origins_)] = direction[self.origins_]
        monotone[self.marks_] = 0
        return monotone

    def _in_blocks(self, X: NDArray[np.floating[Any]], encode: Encode) -> Floats:
        """Encode some rows at a time, into one matrix."""
        if len(X) <= ROWS_AT_ONCE:
            return encode(X)
        columns = np.empty((len(X), len(self.origins_) + len(self.category_columns_) + len(self.products_)))
        for start in range(0, len(X), ROWS_AT_ONCE):
            block = slice(start, start + ROWS_AT_ONCE)
            encode(X[block], columns[block])
        return columns

    def _encoded(self, X: NDArray[np.floating[Any]], out: Floats | None = None) -> Floats:
        return self._scaled(self._unscaled(X, out))

    def _unscaled(self, X: NDArray[np.floating[Any]], out: Floats | None = None) -> Floats:
        numbers = X.take(self.origins_, axis=1).astype(np.float64, copy=False)
        missing = np.isnan(numbers)
        np.copyto(numbers, self.fill_, where=missing)
        numbers[:, self.marks_] = missing.take(self.marks_, axis=1)
        if self.logs:
            heavy = numbers[:, : self.heavy_]
            heavy[...] = signed_log1p(heavy)
        categories = [
            table[_level_codes(X[:, place])]
            for place, table in zip(self.categories_, self.one_hots_, strict=True)
        ]
        return np.concatenate([numbers, *categories, *self._products(numbers)], axis=1, out=out)

    def _products(self, numbers: Floats) -> list[Floats]:
        """Multiply the factors by each other, of numbers whose heavy tails are logs already if ``logs``."""
        if not len(self.squared_):
            return []
        factors = numbers.take(self.squared_, axis=1)
        as_they_are = self.squared_ >= (self.heavy_ if self.logs else 0)
        factors[:, as_they_are] = signed_log1p(factors[:, as_they_are])
        factors -= self.factor_center_
        factors /= self.factor_scale_
        return [factors, factors.take(self.left_, axis=1) * factors.take(self.right_, axis=1)]

    def _scaled(self, columns: Floats) -> Floats:
        columns -= self.center_
        columns /= self.scale_
        return columns


def signed_log1p(values: Floats) -> Floats:
    """Compute ``log(1 + x)``; of negative values (changes, a negative ``fill_value``) ``-log(1 - x)``."""
    logs = np.abs(values, order="C")  # sums of columns depend on how rows lie in memory
    above = logs > 0  # most counts are 0, and so are their logs
    logs[above] = log1p(logs[above])
    return np.copysign(logs, values, out=logs)


def _statistic(column: Floats, strategy: str, constant: float) -> float:
    """Return what fills a column's gaps, as `SimpleImputer` learns it; 0 without any value."""
    if strategy == "median":
        # Not the imputer: it sorts an array with a mask, which takes ten times as long.
        known = column[~np.isnan(column)]
        return float(np.median(known)) if len(known) else 0.0
    fill_value = constant if strategy == "constant" else None
    imputer = SimpleImputer(strategy=strategy, fill_value=fill_value, keep_empty_features=True)
    return float(imputer.fit(column[:, None]).statistics_[0])


def _level_codes(column: NDArray[np.floating[Any]]) -> Indices:
    return np.where(np.isnan(column), NO_LEVEL, column).astype(np.intp)


def _center_and_scale(scaling: str, columns: Floats) -> tuple[Floats, Floats]:
    """Learn what to subtract from each column, and what to divide the difference by."""
    if scaling == "standard":
        standard = StandardScaler().fit(columns)
        return standard.mean_, standard.scale_
    if scaling == "minmax":
        minmax = MinMaxScaler().fit(columns)
        return minmax.data_min_, 1.0 / minmax.scale_
    if scaling == "robust":
        robust = RobustScaler().fit(columns)
        return robust.center_, robust.scale_
    return np.zeros(columns.shape[1]), np.ones(columns.shape[1])
