from __future__ import annotations

import itertools
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from conversion.features.compute import feature_settings, summary_definitions
from conversion.modelling.families import make_model
from conversion.modelling.training import fit_at
from conversion.modelling.trees import BLOCK_ROWS
from conversion.runtime.errors import ExportError
from conversion.runtime.files import sha256
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import SECTORS, export, fit_invented, fitted, invented, scores
from tests.pipeline import MODEL_TYPES, small_params

CALIBRATIONS = ("none", "sigmoid", "isotonic", "auto")
THRESHOLDS = ("fixed", "f1", "precision", "recall")
SETTINGS = feature_settings(small_params().featurize, hubspot())
SUMMARY = tuple(feature.name for feature in summary_definitions(SETTINGS))


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


def test_a_sector_outside_the_vocabulary_is_unknown() -> None:
    """As the service encodes it: of this contract no level outside of groups is told apart."""
    frame = invented(2)[0]
    frame["sector"] = pd.Categorical(["Spaceflight", None], categories=[*SECTORS, "Spaceflight"])
    model = fitted(model__type="logistic_regression")
    place = [feature.name for feature in model.features].index("sector")
    assert model.levels == {"INDUSTRY": SECTORS}
    assert model.values(frame)[:, place].tolist() == [SECTORS.index("Unknown")] * 2
    assert model.unseen_levels(frame) == {"INDUSTRY": {"Spaceflight": 1}}
    text = frame.assign(sector=[SECTORS[3], SECTORS[0]])
    assert model.values(text)[:, place].tolist() == [3.0, 0.0]


# The model of summaries


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_summary_model_is_the_same_recipe_on_summary_features(model_type: str) -> None:
    overrides = {"train__calibration": "sigmoid", "train__threshold": "f1"}
    model = fitted(model__type=model_type, **overrides)
    summary, latest = model.summary_, export().latest
    assert summary.family == model.family == model_type
    assert [feature.name for feature in summary.features] == [
        feature.name for feature in model.features if feature.name in SUMMARY
    ]
    assert len(summary.features) == len(SUMMARY)
    assert summary.base_rate_ == model.base_rate_
    same = set(model.get_params()) - {"features", "scorers"}
    assert {name: summary.get_params()[name] for name in same} == {
        name: model.get_params()[name] for name in same
    }
    for family, scorer in summary.scorers.items():
        given = model.scorers[family]
        assert (type(scorer), scorer.seed) == (type(given), given.seed)
        squared = {"quadratic": scorer.hyperparameters.get("quadratic")}
        assert scorer.hyperparameters.items() <= (given.hyperparameters | squared).items()
    assert not hasattr(summary, "summary_")
    assert set(summary.get_feature_importance().index) == set(SUMMARY)
    known = latest[list(SUMMARY)]
    np.testing.assert_array_equal(scores(summary, known), scores(summary, latest))
    assert np.ptp(scores(summary, known)) > 0
    other = latest.assign(users_max_4w=1e6, recency_weeks=0.0)
    np.testing.assert_array_equal(scores(summary, other), scores(summary, latest))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_both_probabilities_are_those_of_each_model(model_type: str) -> None:
    model, latest = fitted(model__type=model_type, train__calibration="sigmoid"), export().latest
    for rows in (latest, latest.head(1), latest.iloc[::-3]):
        both = model.probability_and_by_summary(rows)
        for probability, of in zip(both, (model, model.summary_), strict=True):
            np.testing.assert_array_equal(probability, of.predict_proba(rows)[:, 1])


def test_a_plain_fit_makes_no_summary_model() -> None:
    assert not hasattr(fit_invented(400, model__type="logistic_regression"), "summary_")


# Groups of features


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_is_not_in_the_groups_has_no_say(model_type: str) -> None:
    pipeline = export()
    latest = pipeline.latest
    for groups in (("usage",), ("usage", "firmographics"), ("firmographics",)):
        model = fitted(model__type=model_type, features__groups=groups)
        for member in model.members_.values():
            assert member.preprocessor.features == model.features
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


# What cannot be learned from


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_is_refused(label: float) -> None:
    pipeline = export()
    with pytest.raises(ExportError, match=r"customers: at 2019-10-14 .* there is nothing to learn from"):
        fit_at(pipeline.train.assign(label=label), pipeline.as_of, small_params(), hubspot())
    frame, _, as_of = invented(50)
    with pytest.raises(ExportError, match="single class"):
        make_model(small_params(), hubspot()).fit(frame, np.full(50, int(label)), np.ones(50), as_of)


# Weights


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_weights_undo_the_sampling_of_negatives(model_type: str) -> None:
    frame, label, as_of = invented()
    kept = (label == 1) | (np.arange(len(label)) % 4 == 0)
    weight = np.where(label == 1, 1.0, (label == 0).sum() / ((label == 0) & kept).sum())
    params = small_params(model__type=model_type)
    whole = make_model(params, hubspot()).fit(frame, label, np.ones(len(label)), as_of)
    sampled = make_model(params, hubspot()).fit(frame[kept], label[kept], weight[kept], as_of[kept])
    assert sampled.base_rate_ == pytest.approx(whole.base_rate_)
    assert scores(sampled, frame).mean() == pytest.approx(scores(whole, frame).mean(), rel=0.2)
    unweighted = make_model(params, hubspot()).fit(frame[kept], label[kept], np.ones(kept.sum()), as_of[kept])
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
        joblib.dump(fit_at(pipeline.train, pipeline.as_of, params, hubspot()), tmp_path / name)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
