from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from conversion.features.compute import feature_definitions, feature_settings
from conversion.modelling.preprocessing import HEAVY_TAILED, ROWS_AT_ONCE, Preprocessor, signed_log1p
from conversion.stats.portable_logistic_regression import PortableLogisticRegression
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import SECTORS
from tests.pipeline import small_params

SETTINGS = small_params(featurize__windows=[1, 4], featurize__half_lives=[2]).featurize
FEATURES = feature_definitions(feature_settings(SETTINGS, hubspot()))
NAMES = [feature.name for feature in FEATURES]
QUADRATIC = ("size", "recency_weeks", "users_max_4w", "trend")
UNKNOWN, MOST_FREQUENT = SECTORS.index("Unknown"), 2
SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}

# The same preprocessing put together of scikit-learn's own transformers, columns found by name in a frame.


def reference(
    imputation: str, scaling: str, fill_value: float, logs: bool, quadratic: tuple[str, ...]
) -> ColumnTransformer:
    def imputer(kind: str) -> SimpleImputer:
        strategy, fill = imputation, None
        if strategy == "auto":
            strategy = "most_frequent" if kind in ("flag", "ordinal") else "median"
        elif strategy in ("zero", "constant"):
            fill = 0.0 if strategy == "zero" else fill_value
            strategy = "constant"
        return SimpleImputer(strategy=strategy, fill_value=fill, keep_empty_features=True)

    def names(kind: str, *groups: str) -> list[str]:
        return [
            feature.name
            for feature in FEATURES
            if feature.kind == kind and (not groups or feature.group in groups)
        ]

    def marked(kind: str) -> FeatureUnion | SimpleImputer:
        """Fill in all of a kind, and mark the gaps of usage behind them."""
        fill = ColumnTransformer([("fill", imputer(kind), names(kind))], verbose_feature_names_out=False)
        mark = ColumnTransformer(
            [("mark", MissingIndicator(error_on_new=False), names(kind, "usage"))],
            verbose_feature_names_out=False,
        )
        return FeatureUnion([("fill", fill), ("mark", mark)], verbose_feature_names_out=False)

    def log(kind: str) -> FunctionTransformer:
        heavy = logs and kind in HEAVY_TAILED
        return FunctionTransformer(slow_log if heavy else None, feature_names_out="one-to-one")

    scaler = SCALERS.get(scaling, functools.partial(FunctionTransformer, feature_names_out="one-to-one"))
    parts: list[Any] = [
        (
            kind,
            Pipeline([("impute", marked(kind)), ("log", log(kind)), ("scale", scaler())]),
            names(kind),
        )
        for kind in (*HEAVY_TAILED, "change", "ordinal", "flag")
    ]
    encoder = OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist", sparse_output=False)
    parts.append(("category", encoder, ["sector"]))
    if quadratic:
        by_kind = [
            (kind, imputer(kind), sorted({*quadratic} & {*names(kind)}))
            for kind in dict.fromkeys(feature.kind for feature in FEATURES if feature.name in quadratic)
        ]
        steps = [
            ("impute", ColumnTransformer(by_kind, verbose_feature_names_out=False)),
            ("log", FunctionTransformer(slow_log, feature_names_out="one-to-one")),
            ("center", StandardScaler()),
            ("products", PolynomialFeatures(2, include_bias=False)),
            ("scale", scaler()),
        ]
        parts.append(("quadratic", Pipeline(steps), list(quadratic)))
    return ColumnTransformer(parts)


def slow_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def snapshots(rows: int, seed: int, gaps: float = 0.1) -> np.ndarray:
    """Invent feature values: heavy tails, gaps in some features only, one feature without a single value."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(1, 2, (rows, len(FEATURES))))
    for index, feature in enumerate(FEATURES):
        if feature.kind == "flag":
            values[:, index] = rng.integers(0, 2, rows)
        elif feature.kind == "ordinal":
            values[:, index] = rng.integers(1, 10, rows)
        elif feature.kind == "change":
            values[:, index] = rng.normal(0, 3, rows)
    with_gaps = np.arange(len(FEATURES)) % 3 == 0
    values[(rng.random(values.shape) < gaps) & with_gaps] = np.nan
    values[:, NAMES.index("days_active")] = np.nan
    values[:, NAMES.index("actions_1w")] = 0.0
    values[:, NAMES.index("sector")] = rng.choice([0, MOST_FREQUENT, MOST_FREQUENT, 3, UNKNOWN], rows)
    return values


def frame(values: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=NAMES)
    codes = table["sector"].astype(int).replace(UNKNOWN, MOST_FREQUENT)
    return table.assign(sector=pd.Categorical.from_codes(codes, categories=pd.Index(SECTORS)))


def make(**settings: Any) -> Preprocessor:
    defaults = {"imputation": "auto", "fill_value": -1.5, "scaling": "standard", "min_frequency": 5}
    return Preprocessor(FEATURES, {"INDUSTRY": SECTORS}, **(defaults | settings))


def canonical(name: str) -> str:
    """Name a product of two features the same in either order."""
    part, column = name.split("__", 1)
    return f"{part}__{' '.join(sorted(column.split(' ')))}" if part == "quadratic" else name


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust", "none"])
@pytest.mark.parametrize("imputation", ["auto", "mean", "median", "most_frequent", "zero", "constant"])
@pytest.mark.parametrize("linear", [True, False])
def test_the_numbers_are_those_of_a_pipeline_of_transformers(
    imputation: str, scaling: str, linear: bool
) -> None:
    quadratic = QUADRATIC if linear else ()
    values = snapshots(150, 0)
    values[:3, NAMES.index("sector")] = 7  # too few to be told apart
    expected = reference(imputation, scaling, -1.5, linear, quadratic).fit(frame(values))
    found = make(imputation=imputation, scaling=scaling, logs=linear, quadratic=quadratic)
    names = [canonical(name) for name in expected.get_feature_names_out()]
    learned = found.fit_transform(values)
    order = [[canonical(name) for name in found.get_feature_names_out()].index(name) for name in names]
    assert sorted(order) == list(range(learned.shape[1]))
    if not linear:
        assert order == sorted(order), "trees draw columns at random by their place"
    np.testing.assert_allclose(learned[:, order], expected.transform(frame(values)), rtol=1e-12, atol=1e-13)
    for other in (snapshots(40, 1), snapshots(40, 2, gaps=1.0), snapshots(1, 3), snapshots(1, 4, gaps=0.0)):
        other[:, NAMES.index("days_active")] = 3.0
        other[:1, NAMES.index("sector")] = 11  # never seen in training
        design = found.transform(other)
        np.testing.assert_allclose(design[:, order], expected.transform(frame(other)), rtol=1e-12, atol=1e-13)
        alone = np.concatenate([found.transform(other[[row]]) for row in range(len(other))])
        np.testing.assert_array_equal(alone, design)


def test_single_precision_is_as_good() -> None:
    values = snapshots(60, 0).astype(np.float32)
    found = make(logs=True, quadratic=QUADRATIC).fit(values.astype(np.float64))
    design = found.transform(values)
    assert design.dtype == np.float64
    np.testing.assert_array_equal(design, found.transform(values.astype(np.float64)))


def in_one_piece(found: Preprocessor, X: np.ndarray) -> np.ndarray:
    """Encode all rows at once, each step for itself."""
    numbers = X[:, found.origins_].astype(np.float64)
    missing = np.isnan(numbers)
    numbers = np.where(missing, found.fill_, numbers)
    numbers[:, found.marks_] = missing[:, found.marks_]
    factors = signed_log1p(numbers[:, found.squared_])
    if len(found.squared_):
        factors = (factors - found.factor_center_) / found.factor_scale_
        factors = np.column_stack([factors, factors[:, found.left_] * factors[:, found.right_]])
    if found.logs:
        numbers[:, : found.heavy_] = signed_log1p(numbers[:, : found.heavy_])
    codes = np.where(np.isnan(X), -1, X)[:, found.categories_].astype(int).T
    levels = [table[code] for table, code in zip(found.one_hots_, codes, strict=True)]
    columns = np.column_stack([numbers, *levels, factors])
    return np.ascontiguousarray((columns - found.center_) / found.scale_)


@given(
    rows=st.integers(0, 5),
    blocks=st.integers(0, 2),
    linear=st.booleans(),
    quadratic=st.lists(st.sampled_from([*QUADRATIC, "unranked", "activity_frequency"]), unique=True),
    scaling=st.sampled_from(["standard", "robust", "none"]),
    dtype=st.sampled_from([np.float64, np.float32]),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 99),
)
@np.errstate(invalid="ignore", over="ignore", divide="ignore")
def test_blocks_of_rows_change_no_bit(
    rows: int,
    blocks: int,
    linear: bool,
    quadratic: list[str],
    scaling: str,
    dtype: type,
    order: Any,
    seed: int,
) -> None:
    found = make(logs=linear, quadratic=tuple(quadratic), scaling=scaling)
    learned = np.array(snapshots(200, seed), order=order)
    design = found.fit_transform(learned)
    assert design.tobytes() == in_one_piece(found, learned).tobytes()
    rng = np.random.default_rng(seed)
    values = snapshots(rows + blocks * ROWS_AT_ONCE, seed + 1, gaps=0.3)
    numbers = np.arange(len(NAMES)) != NAMES.index("sector")
    values[(rng.random(values.shape) < 0.02) & numbers] = np.inf
    values[(rng.random(values.shape) < 0.02) & numbers] *= -1.0
    values[rng.random(len(values)) < 0.1, NAMES.index("sector")] = np.nan
    values[rng.random(len(values)) < 0.1, NAMES.index("sector")] = UNKNOWN
    values = np.array(values, dtype=dtype, order=order)
    assert found.transform(values).tobytes() == in_one_piece(found, values).tobytes()


def test_blocks_change_no_bit_of_a_fit() -> None:
    values = snapshots(2 * ROWS_AT_ONCE + 3, 0)
    found = make(logs=True, quadratic=QUADRATIC)
    design = found.fit_transform(values)
    assert design.tobytes() == in_one_piece(found, values).tobytes()
    unscaled = in_one_piece(make(scaling="none", logs=True, quadratic=QUADRATIC).fit(values), values)
    scaler = StandardScaler().fit(unscaled)
    numbers = len(found.origins_)
    np.testing.assert_array_equal(found.center_[:numbers], scaler.mean_[:numbers])
    np.testing.assert_array_equal(found.scale_[:numbers], scaler.scale_[:numbers])


def test_the_input_is_left_alone() -> None:
    values = snapshots(60, 0)
    before = values.copy()
    found = make(logs=True, quadratic=QUADRATIC).fit(values)
    found.transform(values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("sector", [np.nan, -1.0, float(len(SECTORS))])
def test_no_sector_is_a_rare_one(sector: float) -> None:
    values = snapshots(60, 0)
    values[:3, NAMES.index("sector")] = 7
    found = make().fit(values)
    rare, none = values[:1].copy(), values[:1].copy()
    none[:, NAMES.index("sector")] = sector
    np.testing.assert_array_equal(found.transform(none), found.transform(rare))


def test_only_usage_with_gaps_in_training_is_marked() -> None:
    values = snapshots(60, 0)
    values[:9, NAMES.index("size")] = np.nan
    names = make().fit(values).get_feature_names_out()
    marked = {name.split("missingindicator_")[1] for name in names if "missingindicator_" in name}
    assert all(feature.group == "usage" for feature in FEATURES if feature.name in marked)
    assert "days_active" in marked
    assert "actions_1w" not in marked
    values = snapshots(60, 0, gaps=0.0)
    values[:, NAMES.index("days_active")] = 1.0
    assert not any("missingindicator" in name for name in make().fit(values).get_feature_names_out())


def test_where_columns_come_from() -> None:
    found = make(logs=True, quadratic=QUADRATIC).fit(snapshots(60, 0))
    sources = pd.DataFrame(found.sources_, index=found.get_feature_names_out(), columns=NAMES)
    np.testing.assert_array_equal(sources.sum(axis=1), 1.0)
    assert sources.loc["count__actions_4w", "actions_4w"] == 1
    assert sources.loc["duration__missingindicator_days_active", "days_active"] == 1
    assert sources.loc[f"category__sector_{SECTORS[2]}", "sector"] == 1
    assert sources.loc["quadratic__trend^2", "trend"] == 1
    product = sources.loc["quadratic__users_max_4w recency_weeks"]
    assert product[product > 0].to_dict() == {"users_max_4w": 0.5, "recency_weeks": 0.5}


def test_only_columns_that_are_a_feature_itself_have_its_direction() -> None:
    found = make().fit(snapshots(60, 0))
    direction = {f"{feature.kind}__{feature.name}": feature.monotone for feature in FEATURES}
    expected = [direction.get(name, 0) for name in found.get_feature_names_out()]
    assert found.monotone_.tolist() == expected
    assert set(expected) == {-1, 0, 1}


def test_any_choice_of_features_will_do() -> None:
    some = tuple(feature for feature in FEATURES if feature.name in ("size", "sector"))
    columns = [NAMES.index(feature.name) for feature in some]
    values = snapshots(60, 0)[:, columns]
    design = make().set_params(features=some).fit_transform(values)
    assert design.shape == (60, 1 + 3), "gaps of firmographics are not marked"
    alone = make().set_params(features=some[:1]).fit_transform(values[:, :1])
    np.testing.assert_allclose(alone, design[:, :1], rtol=1e-12)


def test_values_of_another_shape_are_refused() -> None:
    found = make().fit(snapshots(60, 0))
    for values in (snapshots(2, 0)[:, :-1], snapshots(2, 0)[0]):
        with pytest.raises(ValueError, match=rf"should be \(rows, {len(FEATURES)}\)"):
            found.transform(values)


def test_there_may_be_no_category() -> None:
    numbers = [index for index, feature in enumerate(FEATURES) if feature.kind != "category"]
    without = make().set_params(features=tuple(FEATURES[index] for index in numbers), levels={})
    values = snapshots(60, 0)
    names = without.fit(values[:, numbers]).get_feature_names_out()
    assert not any(name.startswith("category") for name in names)
    np.testing.assert_array_equal(without.sources_.sum(axis=1), 1.0)


def test_each_of_several_categories_is_encoded_as_if_it_were_the_only_one() -> None:
    """Also where a category stands before and between numbers; each keeps its own levels."""
    size, sector = FEATURES[NAMES.index("size")], FEATURES[NAMES.index("sector")]
    levels = {"country": ("DE", "FR", "US", "Other", "Unknown"), "team": ("A", "B", "Unknown"), "x": ("?",)}
    categories = {
        column: dataclasses.replace(sector, name=f"of_{column}", column=column) for column in levels
    }
    features = (categories["country"], size, categories["team"], categories["x"])
    rng = np.random.default_rng(0)
    columns = (rng.integers(0, 5, 90), rng.integers(1, 9, 90), rng.integers(0, 3, 90), np.zeros(90))
    values = np.column_stack(columns).astype(np.float64)
    both = make(logs=True, quadratic=("size",)).set_params(features=features, levels=levels)
    design, names = both.fit_transform(values), list(both.get_feature_names_out())
    assert [name for name in names if name.startswith("category")] == [
        *(f"category__of_country_{level}" for level in ("DE", "FR", "Other", "US")),
        *(f"category__of_team_{level}" for level in ("A", "B")),
        "category__of_x_?",
    ]
    sources = pd.DataFrame(both.sources_, index=names, columns=[feature.name for feature in features])
    others = np.array([[np.nan, 3.0, 2.0, -1.0], [5.0, np.nan, 1.0, 0.0], [4.0, 3.0, np.nan, 0.0]])
    for place, column in ((0, "country"), (2, "team"), (3, "x")):
        alone = make().set_params(features=(features[place],), levels={column: levels[column]})
        expected = alone.fit_transform(values[:, [place]])
        own = [at for at, name in enumerate(names) if name in alone.get_feature_names_out()]
        np.testing.assert_array_equal(design[:, own], expected)
        np.testing.assert_array_equal(both.transform(others)[:, own], alone.transform(others[:, [place]]))
        assert (sources.loc[alone.get_feature_names_out(), f"of_{column}"] == 1).all()
    np.testing.assert_array_equal(both.sources_.sum(axis=1), 1.0)


def test_an_unknown_sector_is_taken_for_the_most_frequent() -> None:
    """So that without the group missingness nothing tells that it is missing."""
    values = snapshots(60, 0)
    found = make().fit(values)
    unknown, frequent = values[:1].copy(), values[:1].copy()
    unknown[:, NAMES.index("sector")] = UNKNOWN
    frequent[:, NAMES.index("sector")] = MOST_FREQUENT
    np.testing.assert_array_equal(found.transform(unknown), found.transform(frequent))
    assert not any("Unknown" in name for name in found.get_feature_names_out())


def test_where_no_sector_is_known_all_are_the_same() -> None:
    values = snapshots(60, 0)
    values[:, NAMES.index("sector")] = UNKNOWN
    found = make().fit(values)
    column = found.get_feature_names_out().tolist().index("category__sector_Unknown")
    assert set(found.fit_transform(values)[:, column]) == {1.0}


def test_signed_logs() -> None:
    values = np.array([-9.0, -1.0, 0.0, 1.0, 1e9])
    logs = signed_log1p(values)
    np.testing.assert_array_equal(logs[2:], np.log1p(values[2:]))
    np.testing.assert_array_equal(logs[:2], -np.log1p(-values[:2]))
    assert values[0] == -9.0, "the input is left alone"


@pytest.mark.parametrize(
    ("scaling", "double"), [("standard", 2.0), ("minmax", 1.0), ("robust", 1.0), ("none", 1.0)]
)
def test_standard_scaling_doubles_the_columns_of_own_levels_and_no_others(
    scaling: str, double: float
) -> None:
    values = snapshots(300, seed=4)
    grouped, own = make(scaling=scaling), make(scaling=scaling, own_levels=("INDUSTRY",))
    before, after = grouped.fit_transform(values), own.fit_transform(values)
    names = list(own.get_feature_names_out())
    assert names == list(grouped.get_feature_names_out())
    levels = np.array([name.startswith("category__") for name in names])
    assert levels.any()
    np.testing.assert_array_equal(after[:, levels], double * before[:, levels])
    np.testing.assert_array_equal(after[:, ~levels], before[:, ~levels])
    np.testing.assert_array_equal(own.transform(values), after)


def test_a_level_s_effect_is_less_shrunk_where_its_column_is_doubled() -> None:
    """The penalty is the same as of a number's effect over two standard deviations."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 2, 2000).astype(float)
    y = (rng.random(2000) < np.where(level == 1, 0.15, 0.05)).astype(np.int64)

    def effect(column: np.ndarray) -> float:
        fitted = PortableLogisticRegression(C=0.01, max_iter=300).fit(column[:, None], y, np.ones(len(y)))
        return float(np.ptp(fitted.decision_function(np.unique(column)[:, None])))

    once, twice = effect(level), effect(2 * level)
    number = effect((level - level.mean()) / level.std())
    assert once < twice
    assert twice == pytest.approx(number, rel=0.05)
