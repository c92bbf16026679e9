from __future__ import annotations

import functools
import itertools
from typing import Any, get_args

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from xgboost import DMatrix

from conversion.config.params import MemberType, model_types
from conversion.data.industries import SECTORS
from conversion.data.timeline import WEEK
from conversion.features.compute import feature_definitions
from conversion.features.definitions import FeatureSettings
from conversion.modelling.calibration import calibrated
from conversion.modelling.families import FAMILIES, EnsembleModel, make_model
from conversion.modelling.model import SUMMARY_FEATURES, ConversionModel
from conversion.modelling.training import fit_at, known_training
from conversion.modelling.trees import BLOCK_ROWS
from conversion.runtime.errors import ExportError, ParamsError
from conversion.runtime.files import sha256
from conversion.stats.losses import log_odds
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params

FAMILY_NAMES = get_args(MemberType)
CALIBRATIONS = ("none", "sigmoid", "isotonic", "auto")
THRESHOLDS = ("fixed", "f1", "precision", "recall")


@functools.cache
def export() -> Pipeline:
    return Pipeline(dirty_export(), small_params())


@functools.cache
def fitted(**overrides: Any) -> ConversionModel:
    pipeline = export()
    return fit_at(pipeline.train, pipeline.as_of, small_params(**overrides))


def scores(model: ConversionModel, frame: pd.DataFrame) -> np.ndarray:
    return model.predict_proba(frame)[:, 1]


def invented(rows: int = 1200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """Invent independent features of training snapshots; ``actions_4w`` alone decides the labels."""
    rng = np.random.default_rng(seed)
    settings = small_params().featurize
    columns: dict[str, Any] = {}
    for feature in feature_definitions(FeatureSettings(settings.windows, settings.half_lives)):
        if feature.kind == "category":
            columns[feature.name] = pd.Categorical(rng.choice(SECTORS[:4], rows), categories=list(SECTORS))
        elif feature.kind == "flag":
            columns[feature.name] = rng.integers(0, 2, rows).astype(np.float32)
        else:
            columns[feature.name] = rng.integers(1, 10, rows).astype(np.float32)
    frame = pd.DataFrame(columns)
    label = (frame["actions_4w"].to_numpy() + rng.normal(0, 1, rows) > 7).astype(np.int64)
    as_of = pd.Series(export().as_of - 20 * WEEK + pd.to_timedelta(7 * rng.integers(0, 14, rows), unit="D"))
    return frame, label, as_of


def fit_invented(rows: int = 1200, drop: tuple[str, ...] = (), **overrides: Any) -> ConversionModel:
    frame, label, as_of = invented(rows)
    frame[list(drop)] = np.nan
    return make_model(small_params(**overrides)).fit(frame, label, np.ones(rows), as_of)


def members_of(model: ConversionModel) -> list[ConversionModel]:
    """Give the models that have a preprocessing of their own."""
    return list(model.members_.values()) if isinstance(model, EnsembleModel) else [model]


def test_the_families_are_the_ones_that_params_may_choose() -> None:
    assert tuple(FAMILIES) == model_types() == MODEL_TYPES
    for name, family in FAMILIES.items():
        assert type(make_model(small_params(model__type=name))) is family


# Probabilities


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_probabilities(model_type: str, calibration: str) -> None:
    model = fitted(model__type=model_type, train__calibration=calibration)
    latest = export().latest
    probability = model.predict_proba(latest)
    assert probability.shape == (len(latest), 2)
    assert probability.dtype == np.float64
    assert np.isfinite(probability).all()
    assert ((probability >= 0) & (probability <= 1)).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-12)
    assert model.classes_.tolist() == [0, 1]
    decided = model.predict(latest)
    assert set(np.unique(decided)) <= {0, 1}
    np.testing.assert_array_equal(decided, probability[:, 1] >= model.threshold_)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_calibration_keeps_the_order(model_type: str, calibration: str) -> None:
    frame, label, _ = invented()
    raw = scores(fit_invented(model__type=model_type), frame)
    calibrated = scores(fit_invented(model__type=model_type, train__calibration=calibration), frame)
    assert (np.diff(calibrated[np.argsort(raw, kind="stable")]) >= -1e-12).all()
    assert roc_auc_score(label, calibrated) > 0.9


@pytest.mark.parametrize(
    ("model_type", "threshold"),
    [
        *zip(MODEL_TYPES, itertools.cycle(("f1", "precision", "recall"))),
        *[("xgboost", how) for how in THRESHOLDS],
    ],
)
def test_thresholds(model_type: str, threshold: str) -> None:
    model = fit_invented(
        model__type=model_type,
        train__threshold=threshold,
        train__threshold_value=0.6,
        train__calibration="isotonic",
    )
    assert 0 <= model.threshold_ <= 1
    frame, label, _ = invented(seed=1)
    decided = model.predict(frame) == 1
    precision, recall = label[decided].mean(), decided[label == 1].mean()
    if threshold == "fixed":
        assert model.threshold_ == 0.6
    elif threshold == "precision":
        assert precision > 0.5, "a floor of 0.6, on other rows"
    elif threshold == "recall":
        assert recall > 0.5, "a floor of 0.6, on other rows"
    else:
        assert 2 * precision * recall / (precision + recall) > 0.7


def test_a_stricter_recall_lowers_the_threshold() -> None:
    values = [
        fitted(
            model__type="logistic_regression", train__threshold="recall", train__threshold_value=floor
        ).threshold_
        for floor in (0.2, 0.5, 0.9)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


# The served path: arrays in the order of the features


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_arrays_and_frames_give_the_same(model_type: str, calibration: str) -> None:
    model = fitted(model__type=model_type, train__calibration=calibration)
    latest = export().latest
    values = model.values(latest)
    assert values.shape == (len(latest), len(model.features))
    np.testing.assert_array_equal(model.probability(values), scores(model, latest))
    np.testing.assert_array_equal(model.contributions(values), model.explain(latest))
    probability, contributions = model.probability_with_contributions(values)
    np.testing.assert_allclose(probability, scores(model, latest), rtol=1e-12)
    np.testing.assert_array_equal(contributions, model.explain(latest))
    single = values.astype(np.float32)
    np.testing.assert_array_equal(single, values, "features are made in single precision")
    np.testing.assert_array_equal(model.probability(single), model.probability(values))
    assert model.probability(single).dtype == np.float64


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_row_scores_the_same_among_any_others(model_type: str, calibration: str) -> None:
    model = fitted(model__type=model_type, train__calibration=calibration)
    some = model.values(export().latest)
    values = np.concatenate([some] * (2 * BLOCK_ROWS // len(some) + 2))
    assert len(values) > 2 * BLOCK_ROWS, "a forest walks some rows in one way and many in another"
    probability, contributions = model.probability(values), model.contributions(values)
    for rows in (slice(0, 1), slice(3, 4), slice(5, 5 + BLOCK_ROWS), slice(1, None)):
        np.testing.assert_allclose(model.probability(values[rows]), probability[rows], rtol=1e-12)
        np.testing.assert_allclose(
            model.contributions(values[rows]), contributions[rows], rtol=1e-12, atol=1e-14
        )
        both = model.probability_with_contributions(values[rows])
        np.testing.assert_allclose(both[0], probability[rows], rtol=1e-12)


def test_a_forest_walks_its_trees_as_scikit_learn_does() -> None:
    model = fit_invented(400, model__type="random_forest", model__random_forest__max_depth=None)
    columns = model.preprocessor_.transform(model.values(invented(BLOCK_ROWS, seed=4)[0]))
    expected = model.estimator_.predict_proba(columns)[:, 1]
    np.testing.assert_allclose(model._raw(columns), expected, rtol=1e-12)
    # On a threshold and a step of single precision to each side of it.
    first = model.estimator_.estimators_[0].tree_
    column, threshold = first.feature[0], np.float32(first.threshold[0])
    edges = np.repeat(columns[:1], 3, axis=0)
    edges[:, column] = [np.nextafter(threshold, np.float32(side)) for side in (-1e9, threshold, 1e9)]
    expected = model.estimator_.predict_proba(edges)[:, 1]
    np.testing.assert_allclose(model._raw(edges), expected, rtol=1e-12)


def test_a_tree_without_a_split_is_walked_too() -> None:
    model = fit_invented(400, model__type="random_forest", model__random_forest__min_samples_leaf=400)
    frame = invented(5)[0]
    assert set(scores(model, frame)) == {scores(model, frame)[0]}
    assert (model.explain(frame) == 0).all(axis=None)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration_is_the_librarys(calibration: str) -> None:
    model = fit_invented(model__type="logistic_regression", train__calibration=calibration)
    raw = np.array([0.0, 1e-12, 0.01, 0.2, 0.5, 0.9, 1.0])
    if calibration == "sigmoid":
        clipped = np.clip(raw, 1e-9, 1 - 1e-9)
        expected = model.calibrator_.predict_proba(np.log(clipped / (1 - clipped))[:, None])[:, 1]
    else:
        expected = model.calibrator_.predict(raw)
    np.testing.assert_allclose(calibrated(model.calibrator_, raw), expected, rtol=1e-12)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_use_leaves_no_trace_in_the_model_file(model_type: str, tmp_path: Any) -> None:
    fitted_model = fit_invented(400, model__type=model_type)
    joblib.dump(fitted_model, tmp_path / "fresh")
    model = joblib.load(tmp_path / "fresh")
    values = fitted_model.values(invented(5)[0])
    np.testing.assert_array_equal(model.probability(values), fitted_model.probability(values))
    names = set(vars(model))
    model.probability_with_contributions(values)
    assert set(vars(model)) == names
    joblib.dump(fitted_model, tmp_path / "used")
    assert sha256(tmp_path / "fresh") == sha256(tmp_path / "used")


def test_a_sector_outside_the_vocabulary_is_none() -> None:
    frame = invented(2)[0]
    frame["sector"] = pd.Categorical(["Spaceflight", None], categories=[*SECTORS, "Spaceflight"])
    model = fitted(model__type="logistic_regression")
    place = [feature.name for feature in model.features].index("sector")
    assert np.isnan(model.values(frame)[:, place]).all()
    text = frame.assign(sector=[SECTORS[3], SECTORS[0]])
    assert model.values(text)[:, place].tolist() == [3.0, 0.0]


# The model of summaries


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_summary_model_is_the_same_recipe_on_summary_features(model_type: str) -> None:
    overrides = {"train__calibration": "sigmoid", "train__threshold": "f1"}
    model = fitted(model__type=model_type, **overrides)
    summary, latest = model.summary_, export().latest
    assert type(summary) is type(model)
    assert [feature.name for feature in summary.features] == [
        feature.name for feature in model.features if feature.name in SUMMARY_FEATURES
    ]
    assert len(summary.features) == len(SUMMARY_FEATURES)
    assert summary.base_rate_ == model.base_rate_
    same = set(model.get_params()) - {"features", "hyperparameters"}
    assert {name: summary.get_params()[name] for name in same} == {
        name: model.get_params()[name] for name in same
    }
    assert not hasattr(summary, "summary_")
    assert set(summary.get_feature_importance().index) == set(SUMMARY_FEATURES)
    known = latest[list(SUMMARY_FEATURES)]
    np.testing.assert_array_equal(scores(summary, known), scores(summary, latest))
    assert np.ptp(scores(summary, known)) > 0
    other = latest.assign(users_max_4w=1e6, recency_weeks=0.0)
    np.testing.assert_array_equal(scores(summary, other), scores(summary, latest))


def test_the_summary_model_squares_what_it_has() -> None:
    model = fitted(model__type="logistic_regression")
    assert model.hyperparameters["quadratic"] == ("size", "recency_weeks", "users_max_4w")
    numbers = tuple(feature.name for feature in model.summary_.features if feature.kind != "category")
    assert model.summary_.hyperparameters == model.hyperparameters | {"quadratic": numbers}


def test_an_ensemble_of_summaries_is_of_its_members_summary_models() -> None:
    ensemble = fitted(model__type="ensemble").summary_
    parts = [fitted(model__type=name).summary_ for name in ensemble.hyperparameters["members"]]
    expected = np.mean([log_odds(scores(part, export().latest)) for part in parts], axis=0)
    np.testing.assert_allclose(log_odds(scores(ensemble, export().latest)), expected, rtol=0, atol=1e-9)


def test_a_plain_fit_makes_no_summary_model() -> None:
    assert not hasattr(fit_invented(400, model__type="logistic_regression"), "summary_")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_summary_model_learns_from_what_was_known_only(model_type: str) -> None:
    pipeline = export()
    as_of = pipeline.as_of - 6 * WEEK
    immature = pipeline.train["as_of"] + pd.Timedelta(days=30) > as_of
    poisoned = pipeline.train.copy()
    poisoned.loc[immature, "label"] = 1 - poisoned.loc[immature, "label"]
    clean, dirty = (
        fit_at(some, as_of, small_params(model__type=model_type)).summary_
        for some in (pipeline.train, poisoned)
    )
    np.testing.assert_array_equal(scores(clean, pipeline.latest), scores(dirty, pipeline.latest))


# The ensemble


@pytest.mark.parametrize(
    "members", [("logistic_regression", "xgboost"), ("xgboost", "random_forest"), FAMILY_NAMES]
)
def test_an_ensemble_is_the_mean_of_its_members_log_odds(members: tuple[str, ...]) -> None:
    latest = export().latest
    ensemble = fitted(model__type="ensemble", model__ensemble__members=members)
    alone = [fitted(model__type=name) for name in members]
    assert list(ensemble.members_) == list(members)
    expected = np.mean([log_odds(scores(member, latest)) for member in alone], axis=0)
    np.testing.assert_allclose(log_odds(scores(ensemble, latest)), expected, rtol=0, atol=1e-9)
    shares = np.mean([member.explain(latest) for member in alone], axis=0)
    np.testing.assert_allclose(ensemble.explain(latest), shares, rtol=0, atol=1e-12)
    importance = sum(member.get_feature_importance() for member in alone) / len(members)
    found = ensemble.get_feature_importance()
    pd.testing.assert_series_equal(found, importance[found.index], check_names=False, rtol=1e-12)


def test_the_order_of_members_is_of_no_account() -> None:
    one, other = (
        fitted(model__type="ensemble", model__ensemble__members=members)
        for members in (("logistic_regression", "xgboost"), ("xgboost", "logistic_regression"))
    )
    np.testing.assert_allclose(scores(one, export().latest), scores(other, export().latest), rtol=1e-12)


def test_members_are_not_calibrated_but_their_mean_is() -> None:
    model = fitted(model__type="ensemble", train__calibration="sigmoid", train__threshold="f1")
    values = model.values(export().latest)
    for member in model.members_.values():
        assert not hasattr(member, "calibrator_")
    raw = model._raw_probability(values)
    np.testing.assert_array_equal(model.probability(values), calibrated(model.calibrator_, raw))
    assert not np.allclose(raw, model.probability(values))


def test_each_member_has_its_own_block() -> None:
    overrides = {
        "model__ensemble__members": ("logistic_regression", "xgboost"),
        "model__xgboost__max_depth": 2,
    }
    model = make_model(small_params(model__type="ensemble", **overrides))
    assert isinstance(model, EnsembleModel)
    blocks = {name: make_model(small_params(model__type=name, **overrides)) for name in model.members()}
    assert model.hyperparameters == {"members": {name: each.hyperparameters for name, each in blocks.items()}}
    assert blocks["xgboost"].hyperparameters["max_depth"] == 2


# Groups of features


@pytest.mark.parametrize(
    "groups",
    [
        ["usage"],
        ["firmographics"],
        ["missingness"],
        ["firmographics", "usage"],
        ["usage", "firmographics", "missingness"],
    ],
)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_model_has_exactly_the_features_of_its_groups(model_type: str, groups: list[str]) -> None:
    params = small_params(model__type=model_type, features__groups=groups)
    settings = FeatureSettings(params.featurize.windows, params.featurize.half_lives)
    chosen = [feature for feature in feature_definitions(settings) if feature.group in groups]
    model = make_model(params)
    assert list(model.features) == chosen
    assert [each.name for each in model.of_summary().features] == [
        feature.name for feature in chosen if feature.name in SUMMARY_FEATURES
    ]
    for member in model.members().values() if isinstance(model, EnsembleModel) else [model]:
        assert member.features == model.features
        assert set(member.hyperparameters.get("quadratic", ())) <= {feature.name for feature in chosen}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_is_not_in_the_groups_has_no_say(model_type: str) -> None:
    pipeline = export()
    latest = pipeline.latest
    for groups in (("usage",), ("usage", "firmographics"), ("firmographics",)):
        model = fitted(model__type=model_type, features__groups=groups)
        used = {feature.name for feature in model.features}
        without = latest[[name for name in latest if name in used]]
        np.testing.assert_array_equal(scores(model, without), scores(model, latest))
        assert np.ptp(scores(model, latest)) > 0
        assert np.ptp(scores(model.summary_, without)) > 0


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_without_missingness_a_missing_value_is_the_most_frequent(model_type: str) -> None:
    """What is missing leaves no trace, neither as a mark nor as a sector of its own."""
    model, train = fitted(model__type=model_type, features__groups=("usage", "firmographics")), export().train
    known = train["sector"][train["sector"] != "Unknown"]
    latest = export().latest.assign(size=np.float32("nan"), sector="Unknown", unranked=np.float32("nan"))
    filled = latest.assign(
        size=train["size"].mode()[0], sector=known.mode()[0], unranked=train["unranked"].mode()[0]
    )
    np.testing.assert_allclose(scores(model, latest), scores(model, filled), rtol=1e-6)
    marked = fitted(model__type=model_type, features__groups=("usage", "firmographics", "missingness"))
    assert {each.name for each in marked.features} - {each.name for each in model.features} == {
        "alexa_missing", "size_missing", "sector_missing",
    }  # fmt: skip


# Columns by name


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_columns_are_found_by_name(model_type: str) -> None:
    model, latest = fitted(model__type=model_type), export().latest
    expected = scores(model, latest)
    rng = np.random.default_rng(0)
    shuffled = latest[rng.permutation(latest.columns)].assign(MRR=1e9, CLOSEDATE=None, id=-1)
    np.testing.assert_allclose(scores(model, shuffled), expected, rtol=0, atol=1e-12)
    backwards = latest.iloc[::-1]
    np.testing.assert_allclose(scores(model, backwards)[::-1], expected, rtol=0, atol=1e-12)
    alone = [scores(model, latest.iloc[[row]])[0] for row in range(0, len(latest), 9)]
    np.testing.assert_allclose(alone, expected[::9], rtol=0, atol=1e-12)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_missing_column_is_refused_by_name(model_type: str) -> None:
    latest = export().latest.drop(columns=["actions_4w", "sector"])
    for use in (fitted(model__type=model_type).predict_proba, fitted(model__type=model_type).explain):
        with pytest.raises(KeyError, match="lacks the columns actions_4w, sector"):
            use(latest)


def test_the_id_and_what_only_customers_have_are_no_features() -> None:
    names = {feature.name for feature in fitted(model__type="xgboost").features}
    assert not names & {"id", "as_of", "label", "weight", "MRR", "CLOSEDATE"}
    assert set(export().train.columns) - names == {"id", "as_of", "label", "weight"}


# Preparation


@pytest.mark.parametrize(
    ("model_type", "imputation"),
    [
        *[
            ("logistic_regression", how)
            for how in ("auto", "mean", "median", "most_frequent", "zero", "constant")
        ],
        *[(model_type, how) for model_type in ("random_forest", "xgboost") for how in ("auto", "constant")],
    ],
)
def test_gaps_are_filled_in_any_column(model_type: str, imputation: str) -> None:
    """Also in columns that had none in training, and in one that had nothing else."""
    model = fit_invented(
        400, ("days_active",), model__type=model_type, train__imputation=imputation, train__fill_value=-1.0
    )
    frame = invented(5)[0]
    gaps = frame.copy()
    gaps[[name for name in gaps if name != "sector"]] = np.nan
    assert np.isfinite(scores(model, gaps)).all()
    assert np.isfinite(model.explain(gaps)).all(axis=None)
    assert np.isfinite(scores(model, frame)).all(), "a value where training had none"


@pytest.mark.parametrize(
    ("imputation", "same_as"),
    [("zero", {"size": 0.0}), ("constant", {"size": 7.0}), ("mean", None), ("median", None), ("auto", None)],
)
def test_what_a_gap_is_filled_with(imputation: str, same_as: dict[str, float] | None) -> None:
    model = fit_invented(
        400,
        train__imputation=imputation,
        train__fill_value=7.0,
        model__logistic_regression__quadratic=["recency_weeks", "size"],
    )
    frame = invented(400)[0]
    fill = {"mean": frame["size"].mean(), "median": frame["size"].median(), "auto": frame["size"].mode()[0]}
    filled = frame.assign(size=(same_as or {"size": fill.get(imputation)})["size"])
    np.testing.assert_allclose(
        scores(model, frame.assign(size=np.nan)), scores(model, filled), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("model_type", "scaling"),
    [
        *[("logistic_regression", how) for how in ("standard", "minmax", "robust", "none")],
        ("random_forest", "robust"),
        ("xgboost", "minmax"),
    ],
)
def test_scaling(model_type: str, scaling: str) -> None:
    model = fit_invented(
        400, model__type=model_type, train__scaling=scaling, model__logistic_regression__C=1.0
    )
    frame, label, _ = invented(400, seed=2)
    assert roc_auc_score(label, scores(model, frame)) > 0.8


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_scaling_has_no_effect_on_trees(model_type: str) -> None:
    """On training rows: a new value may lie on a threshold, half-way between two, and go either way."""
    train = export().train
    plain, scaled = (fitted(model__type=model_type, train__scaling=how) for how in ("none", "minmax"))
    np.testing.assert_allclose(scores(plain, train), scores(scaled, train), atol=1e-6)
    assert np.ptp(scores(plain, train)) > 0.1


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_rare_sectors_are_grouped_and_unknown_ones_are_one_of_them(model_type: str) -> None:
    frame, label, as_of = invented(600)
    rare, common = SECTORS[5], SECTORS[:4]
    frame.loc[frame.index[:3], "sector"] = rare
    model = make_model(small_params(model__type=model_type)).fit(frame, label, np.ones(600), as_of)
    expected = sorted(
        [*(f"category__sector_{sector}" for sector in common), "category__sector_infrequent_sklearn"]
    )
    for member in members_of(model):
        names = member.preprocessor_.get_feature_names_out()
        assert sorted(name for name in names if name.startswith("category")) == expected
    one = frame.iloc[[50]]
    same = [
        scores(model, one.assign(sector=pd.Categorical([sector], categories=[*SECTORS, "Spaceflight"])))[0]
        for sector in (rare, SECTORS[7], "Spaceflight")
    ]
    assert same[0] == same[1] == same[2]
    assert model.get_feature_importance().index.tolist().count("sector") == 1


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_category_that_training_never_saw(model_type: str) -> None:
    """With no rare sector in training there is no group for it: it is none of the known ones."""
    model = fit_invented(400, model__type=model_type)
    unseen = invented(400)[0].assign(sector=pd.Categorical([SECTORS[9]] * 400, categories=list(SECTORS)))
    assert np.isfinite(scores(model, unseen)).all()


@pytest.mark.parametrize("quadratic", [["sector"], ["size", "no_such_feature"]])
def test_what_cannot_be_squared_is_refused(quadratic: list[str]) -> None:
    params = {"model__type": "logistic_regression", "model__logistic_regression__quadratic": quadratic}
    with pytest.raises(
        ParamsError, match=rf"quadratic: given {quadratic[-1]}, allowed are .*actions_1w.*size"
    ):
        fit_invented(400, **params)


@pytest.mark.parametrize("quadratic", [[], ["acceleration", "trend", "unranked"]])
def test_any_number_can_be_squared(quadratic: list[str]) -> None:
    model = fitted(model__type="logistic_regression", model__logistic_regression__quadratic=tuple(quadratic))
    assert np.isfinite(scores(model, export().latest)).all()


# Importance


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_one_telling_feature_is_the_most_important(model_type: str) -> None:
    model = fit_invented(model__type=model_type)
    importance = model.get_feature_importance()
    assert importance.index[0] == "actions_4w"
    assert importance.iloc[0] > 2 * importance.iloc[1]
    assert importance.sum() == pytest.approx(1)
    assert (importance >= 0).all()
    assert importance.is_monotonic_decreasing
    assert sorted(importance.index) == sorted(feature.name for feature in model.features)


# Explanations


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_contributions_add_up_to_the_score(model_type: str) -> None:
    model, latest = fitted(model__type=model_type), export().latest
    contributions = model.explain(latest)
    assert list(contributions) == [feature.name for feature in model.features]
    score = log_odds(scores(model, latest))
    rest = score - contributions.sum(axis=1).to_numpy()
    np.testing.assert_allclose(rest, rest[0], rtol=0, atol=1e-4)
    assert np.ptp(score) > 0.01, "there is something to explain"


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_telling_feature_explains(model_type: str) -> None:
    contributions = fit_invented(model__type=model_type).explain(invented(seed=3)[0])
    frame = invented(seed=3)[0]
    strongest = contributions.abs().idxmax(axis=1)
    assert (strongest[frame["actions_4w"] >= 9] == "actions_4w").mean() > 0.8
    assert (contributions.loc[frame["actions_4w"] == 9, "actions_4w"] > 0).all()
    assert (contributions.loc[frame["actions_4w"] == 1, "actions_4w"] < 0).all()


# Monotone constraints


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_trees_are_monotone_where_definitions_say_so(model_type: str) -> None:
    model, latest = fitted(model__type=model_type), export().latest
    before = scores(model, latest)
    directed = [feature for feature in model.features if feature.monotone]
    assert len(directed) > 20
    for feature in directed:
        known = latest[feature.name].notna().to_numpy()
        raised = scores(model, latest.assign(**{feature.name: latest[feature.name] + 3}))
        assert (feature.monotone * (raised - before)[known] >= -1e-9).all(), feature.name
    together = {feature.name: latest[feature.name] + 5 * feature.monotone for feature in directed}
    raised = scores(model, latest.assign(**together))
    assert raised.mean() > before.mean()


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_trees_without_constraints_differ(model_type: str) -> None:
    free = fitted(model__type=model_type, **{f"model__{model_type}__monotone": False})
    assert not np.allclose(
        scores(free, export().latest), scores(fitted(model__type=model_type), export().latest)
    )


# Time


@pytest.mark.parametrize(
    ("model_type", "weeks_back"), [("logistic_regression", 0), ("random_forest", 6), ("xgboost", 15)]
)
def test_immature_labels_are_never_learned_from(model_type: str, weeks_back: int) -> None:
    pipeline = export()
    as_of = pipeline.as_of - weeks_back * WEEK
    params = small_params(model__type=model_type, train__threshold="f1", train__folds=1)
    train = pd.concat([pipeline.train, pipeline.train.tail(50).assign(as_of=as_of)], ignore_index=True)
    immature = train["as_of"] + pd.Timedelta(days=30) > as_of
    assert immature.sum() >= 50
    poisoned = train.copy()
    poisoned.loc[immature, "label"] = 1 - poisoned.loc[immature, "label"]
    poisoned.loc[immature, "weight"] = 1000.0
    poisoned.loc[immature, "users_max_4w"] = np.nan
    clean, dirty, without = (fit_at(some, as_of, params) for some in (train, poisoned, train[~immature]))
    expected = scores(clean, pipeline.latest)
    for other in (dirty, without):
        np.testing.assert_array_equal(scores(other, pipeline.latest), expected)
        assert other.threshold_ == clean.threshold_
        assert other.base_rate_ == clean.base_rate_


def test_the_history_is_as_long_as_params_say() -> None:
    pipeline = export()
    known = known_training(pipeline.train, pipeline.as_of, 30, 10)
    weeks = pipeline.train.loc[known, "as_of"]
    assert weeks.max() == pipeline.as_of - 5 * WEEK
    assert weeks.min() == pipeline.as_of - 9 * WEEK
    whole = known_training(pipeline.train, pipeline.as_of, 30, None)
    assert whole.all(), "every snapshot that was made is mature at as_of"
    edge = pd.DataFrame({"as_of": [pipeline.as_of - pd.Timedelta(days=days) for days in (31, 30, 29)]})
    assert known_training(edge, pipeline.as_of, 30, None).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "overrides",
    [{"train__calibration": "sigmoid"}, {"train__threshold": "f1"}],
    ids=["calibration", "threshold"],
)
def test_too_little_history_to_calibrate(overrides: dict[str, str]) -> None:
    pipeline = export()
    early = pipeline.train["as_of"].min() + 8 * WEEK
    with pytest.raises(ExportError, match=r"set train.calibration: none and train.threshold: fixed"):
        fit_at(pipeline.train, early, small_params(**overrides))
    assert fit_at(pipeline.train, early, small_params()).threshold_ == 0.05
    auto = fit_at(pipeline.train, early, small_params(train__calibration="auto"))
    assert (auto.calibration_, auto.calibrator_, auto.threshold_) == ("none", None, 0.05)


# What cannot be learned from


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_is_refused(label: float) -> None:
    pipeline = export()
    with pytest.raises(ExportError, match=r"customers: at 2019-10-14 .* there is nothing to learn from"):
        fit_at(pipeline.train.assign(label=label), pipeline.as_of, small_params())
    frame, _, as_of = invented(50)
    with pytest.raises(ExportError, match="single class"):
        make_model(small_params()).fit(frame, np.full(50, int(label)), np.ones(50), as_of)


def test_no_mature_label_is_refused() -> None:
    pipeline = export()
    with pytest.raises(ExportError, match="0 of 0 training snapshots"):
        fit_at(pipeline.train, pipeline.train["as_of"].min(), small_params())


# Weights


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_weights_undo_the_sampling_of_negatives(model_type: str) -> None:
    frame, label, as_of = invented()
    kept = (label == 1) | (np.arange(len(label)) % 4 == 0)
    weight = np.where(label == 1, 1.0, (label == 0).sum() / ((label == 0) & kept).sum())
    params = small_params(model__type=model_type)
    whole = make_model(params).fit(frame, label, np.ones(len(label)), as_of)
    sampled = make_model(params).fit(frame[kept], label[kept], weight[kept], as_of[kept])
    assert sampled.base_rate_ == pytest.approx(whole.base_rate_)
    assert scores(sampled, frame).mean() == pytest.approx(scores(whole, frame).mean(), rel=0.2)
    unweighted = make_model(params).fit(frame[kept], label[kept], np.ones(kept.sum()), as_of[kept])
    assert scores(unweighted, frame).mean() > 1.2 * scores(whole, frame).mean()


# Determinism


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_same_seed_same_bytes(model_type: str, tmp_path: Any) -> None:
    """The threshold and the calibration too, which come from predictions that threads would sum up."""
    pipeline = export()
    params = small_params(
        model__type=model_type,
        model__random_forest__n_estimators=40,
        train__threshold="f1",
        train__calibration="sigmoid",
    )
    for name in ("one", "two"):
        joblib.dump(fit_at(pipeline.train, pipeline.as_of, params), tmp_path / name)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")


def test_a_forest_adds_its_votes_up_in_one_order() -> None:
    """Sums in threads end in other last bits now and then, which no test can bring about at will."""
    model = fitted(model__type="random_forest", model__random_forest__n_estimators=40)
    assert model.estimator_.n_jobs == 1
    train = export().train
    assert len({scores(model, train).tobytes() for _ in range(10)}) == 1


@pytest.mark.parametrize("model_type", ["random_forest", "xgboost"])
def test_another_seed_another_model(model_type: str) -> None:
    one, two = fitted(model__type=model_type), fitted(model__type=model_type, seed=2)
    assert not np.array_equal(scores(one, export().latest), scores(two, export().latest))


def test_xgboost_walks_as_the_library_does() -> None:
    """The same bits, and to single precision the library's own contributions along the path."""
    model, latest = fitted(model__type="xgboost", model__xgboost__max_depth=5), export().latest
    columns = model.preprocessor_.transform(model.values(latest))
    assert len(columns) > BLOCK_ROWS
    few = [model._raw(columns[start : start + BLOCK_ROWS]) for start in range(0, len(columns), BLOCK_ROWS)]
    np.testing.assert_array_equal(np.concatenate(few), model._raw(columns))
    booster = model.estimator_.get_booster()
    margin = booster.inplace_predict(columns, predict_type="margin")
    np.testing.assert_allclose(model._raw(columns), 1 / (1 + np.exp(-margin.astype(np.float64))), rtol=1e-12)
    expected = booster.predict(DMatrix(columns), pred_contribs=True, approx_contribs=True)[:, :-1]
    np.testing.assert_allclose(model._column_contributions(columns), expected, rtol=0, atol=2e-6)
