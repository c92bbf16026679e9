"""Models of other contracts than the default one: any number of categories and attributes, or none."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conversion.config.data_contract import Contract
from conversion.data.timeline import WEEK
from conversion.features.compute import feature_definitions, feature_settings, summary_definitions
from conversion.modelling.artifact import load_model, save_model
from conversion.modelling.families import make_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.training import describe, fit_at, training_columns
from conversion.runtime.errors import ExportError, ParamsError
from tests.contract_files import projects
from tests.conversion.modelling.fits import mixed_up, scores, short_of_the_score
from tests.exports import projects_export
from tests.pipeline import MODEL_TYPES, Pipeline, small_params

AS_OF = pd.Timestamp("2019-11-04")
COUNTRIES = ("AT", "DE", "FR", "US")
CATEGORY = {"kind": "category"}
ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "as it is": projects().model_dump(mode="json")["companies"]["attributes"],
    "nothing": {},
    "no category": {
        "plan": {"kind": "ordered", "levels": ["free", "team"], "direction": 1},
        "trial_started": {"kind": "date", "direction": -1},
    },
    "three categories": {
        "country": CATEGORY,
        "head_count": {"kind": "number", "not_applicable": 99999},
        "channel": {"kind": "category", "groups": {"Paid": ["DE", "FR"]}, "rare": 3},
        "industry": {"kind": "category", "groups": {"A": ["AT"], "B": ["DE"]}, "unlisted": "unknown"},
    },
}
AUTO: dict[str, Any] = {"model__logistic_regression__quadratic": ["auto"]}


@functools.cache
def contract_of(name: str) -> Contract:
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"] = ATTRIBUTES[name]
    return Contract.model_validate(values)


def invented(
    contract: Contract, rows: int = 600, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """Invent snapshots; actions of the last 4 weeks and the country, if there is one, decide the labels."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {"id": [f"c{number % (rows // 3)}" for number in range(rows)]}
    for feature in feature_definitions(feature_settings(small_params().featurize, contract)):
        if feature.kind == "category":
            values = rng.choice([*COUNTRIES, "Unknown"], rows, p=[0.2, 0.3, 0.1, 0.3, 0.1])
            columns[feature.name] = pd.Categorical(values, categories=["ZZ", *COUNTRIES, "Unknown"])
        elif feature.kind == "flag":
            columns[feature.name] = rng.integers(0, 2, rows).astype(np.float32)
        else:
            columns[feature.name] = rng.integers(1, 10, rows).astype(np.float32)
    frame = pd.DataFrame(columns)
    by_country = 3 * (frame["country"] == "DE") if "country" in frame else 0
    label = (frame["actions_4w"] + by_country + rng.normal(0, 1, rows) > 8).to_numpy(dtype=np.int64)
    as_of = pd.Series(AS_OF - 20 * WEEK + pd.to_timedelta(7 * rng.integers(0, 14, rows), unit="D"))
    return frame, label, as_of


@pytest.mark.parametrize("name", list(ATTRIBUTES))
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_model_of_any_attributes_is_fitted_saved_and_predicts(
    model_type: str, name: str, tmp_path: Any
) -> None:
    contract = contract_of(name)
    frame, label, as_of = invented(contract)
    params = small_params(model__type=model_type, train__calibration="sigmoid", train__threshold="f1", **AUTO)
    train = frame.assign(label=label, weight=1.0, as_of=as_of)
    made = fit_at(train, AS_OF, params, contract)
    save_model(made, describe(made, train, AS_OF, params), tmp_path)
    model, description = load_model(ConversionModel, tmp_path)
    assert model.data_contract == contract
    assert description["features"] == {each.name: str(frame[each.name].dtype) for each in model.features}
    other, truth, _ = invented(contract, seed=1)
    assert roc_auc_score(truth, scores(model, other)) > 0.8
    np.testing.assert_array_equal(scores(model, other), scores(made, other))
    np.testing.assert_array_equal(model.probability(model.values(other)), scores(model, other))
    assert np.isfinite(model.explain(other)).all(axis=None)
    assert model.get_feature_importance().sum() == pytest.approx(1)
    assert sorted(model.summary_.get_feature_importance().index) == sorted(
        each.name for each in summary_definitions(feature_settings(params.featurize, contract))
    )
    assert np.isfinite(scores(model.summary_, other)).all()
    assert model.summary_.levels == model.levels


@functools.cache
def fitted(model_type: str, name: str) -> ConversionModel:
    contract = contract_of(name)
    frame, label, as_of = invented(contract)
    params = small_params(model__type=model_type, **AUTO)
    return make_model(params, contract).fit(frame, label, np.ones(len(label)), as_of)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_rare_and_an_unseen_level_score_like_other(model_type: str) -> None:
    contract = contract_of("three categories")
    frame, label, as_of = invented(contract)
    frame["country"] = frame["country"].where(frame.index > 8, "ZZ")  # nine of two hundred companies
    frame["country"] = frame["country"].mask((frame["country"] == "ZZ") & (frame.index > 8))
    params = small_params(model__type=model_type, **AUTO)
    model = make_model(params, contract).fit(frame, label, np.ones(len(label)), as_of)
    assert model.levels == {
        "country": (*COUNTRIES, "Other", "Unknown"),
        "channel": ("Paid", *COUNTRIES, "Other", "Unknown"),
        "industry": ("A", "B", "Unknown"),
    }
    assert model.rare_levels["country"] == ("ZZ",)
    one = frame.iloc[[50]]
    same = [scores(model, one.assign(country=level))[0] for level in ("ZZ", "Atlantis", "Other")]
    assert same[0] == same[1] == same[2]
    assert same[0] != scores(model, one.assign(country="DE"))[0]
    assert model.unseen_levels(one.assign(country="Atlantis")) == {
        "country": {"Atlantis": 1}, "industry": model.unseen_levels(one)["industry"],
    }  # fmt: skip


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_directions_are_those_of_the_contract(model_type: str) -> None:
    model = fitted(model_type, "no category")
    frame = invented(contract_of("no category"), seed=2)[0].head(100)
    direction = {feature.name: feature.monotone for feature in model.features}
    assert (direction["plan"], direction["trial_started"]) == (1, -1)
    for member, scorer in model.members_.items():
        monotone = dict(
            zip(scorer.preprocessor.get_feature_names_out(), scorer.preprocessor.monotone_, strict=True)
        )
        assert (monotone["ordinal__plan"], monotone["duration__trial_started"]) == (1, -1), member
    if model_type in ("random_forest", "xgboost"):
        assert (scores(model, frame.assign(plan=2.0)) >= scores(model, frame.assign(plan=1.0))).all()
        older, newer = (scores(model, frame.assign(trial_started=age)) for age in (8.0, 2.0))
        assert (older <= newer).all()


def test_auto_squares_amounts_and_what_usage_has() -> None:
    squared = {name: fitted("logistic_regression", name).hyperparameters["quadratic"] for name in ATTRIBUTES}
    usage = ("weeks_since_first_seen", "recency_weeks", "users_max_4w", "users_ewm_2w")
    assert squared["as it is"] == ("plan", "log_head_count", *usage)
    assert squared["nothing"] == usage
    assert squared["no category"] == ("plan", "trial_started", *usage)
    assert squared["three categories"] == ("head_count", *usage)


def test_auto_stands_beside_other_names_and_a_wrong_name_is_reported() -> None:
    contract = contract_of("nothing")
    given = {"model__logistic_regression__quadratic": ["auto", "trend", "recency_weeks"]}
    model = make_model(small_params(**given), contract)
    expected = ("weeks_since_first_seen", "recency_weeks", "users_max_4w", "users_ewm_2w", "trend")
    assert model.hyperparameters["quadratic"] == expected
    frame, label, as_of = invented(contract)
    wrong = small_params(model__logistic_regression__quadratic=["size"])
    with pytest.raises(ParamsError, match="quadratic: given size, allowed are auto and the features actions"):
        make_model(wrong, contract).fit(frame, label, np.ones(len(label)), as_of)


def test_many_attributes_do_not_make_thousands_of_products() -> None:
    values = projects().model_dump(mode="json")
    values["companies"]["attributes"] = {f"n{number}": {"kind": "number"} for number in range(50)}
    contract = Contract.model_validate(values)
    model = make_model(small_params(**AUTO), contract)
    assert len(model.hyperparameters["quadratic"]) == 14
    frame, label, as_of = invented(contract, rows=300)
    model.fit_with_summary(frame, label, np.ones(len(label)), as_of)
    (member,) = model.summary_.members_.values()
    assert len(member.preprocessor.products_) == 20 * 21 / 2 + 20


def test_messages_name_the_contract_s_tables() -> None:
    contract = contract_of("as it is")
    frame, label, as_of = invented(contract, rows=60)
    train = frame.assign(label=0 * label, weight=1.0, as_of=as_of)
    with pytest.raises(ExportError, match="accounts: at 2019-11-04 0 of 60 training snapshots"):
        fit_at(train, AS_OF, small_params(**AUTO), contract)


@functools.cache
def pipeline() -> Pipeline:
    return Pipeline(projects_export(companies=250, weeks=40), small_params(**AUTO), projects())


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_model_of_another_product_s_export(model_type: str) -> None:
    made, params = pipeline(), small_params(model__type=model_type, **AUTO)
    model = fit_at(made.train[training_columns(params, projects())], made.as_of, params, projects())
    assert model.levels["country"] == ("DE", "FR", "US", "Other", "Unknown")
    for each in (model, model.summary_):
        short = short_of_the_score(each, mixed_up(each, made.latest))
        np.testing.assert_allclose(short, 0, rtol=0, atol=1e-6)
    probability = scores(model, made.latest)
    assert np.ptp(probability) > 0
    assert np.isfinite(probability).all()
    assert {"automations" in feature.name for feature in model.features} == {True, False}
    assert not {"users_max_automations_4w"} & {feature.name for feature in model.features}
