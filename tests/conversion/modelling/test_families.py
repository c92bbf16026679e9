from __future__ import annotations

import pytest

from conversion.config.model_params import model_types
from conversion.features.compute import feature_definitions, feature_settings, summary_definitions
from conversion.modelling.families import FAMILIES, make_model
from conversion.modelling.model import ENSEMBLE
from tests.contract_files import hubspot, projects
from tests.pipeline import MODEL_TYPES, small_params

SETTINGS = feature_settings(small_params().featurize, hubspot())
SUMMARY = tuple(feature.name for feature in summary_definitions(SETTINGS))


def test_the_families_are_the_ones_that_params_may_choose() -> None:
    assert (*FAMILIES, ENSEMBLE) == model_types() == MODEL_TYPES
    assert [make_model(small_params(model__type=name), hubspot()).family for name in MODEL_TYPES] == list(
        MODEL_TYPES
    )
    for name, family in FAMILIES.items():
        (scorer,) = make_model(small_params(model__type=name), hubspot()).scorers.values()
        assert type(scorer) is family


def test_categories_without_groups_have_levels_of_their_own() -> None:
    own = [
        make_model(small_params(), contract).preparation["own_levels"] for contract in (hubspot(), projects())
    ]
    assert own == [(), ("country",)]


def test_each_member_has_its_own_block() -> None:
    overrides = {
        "model__ensemble__members": ("logistic_regression", "xgboost"),
        "model__xgboost__max_depth": 2,
    }
    model = make_model(small_params(model__type="ensemble", **overrides), hubspot())
    assert tuple(model.scorers) == overrides["model__ensemble__members"]
    for name, scorer in model.scorers.items():
        alone = make_model(small_params(model__type=name, **overrides), hubspot()).scorers[name]
        assert type(scorer) is type(alone)
        assert scorer.get_params() == alone.get_params()
    assert model.scorers["xgboost"].hyperparameters["max_depth"] == 2


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
    chosen = [feature for feature in feature_definitions(SETTINGS) if feature.group in groups]
    model = make_model(params, hubspot())
    assert list(model.features) == chosen
    assert [each.name for each in model.of_summary().features] == [
        feature.name for feature in chosen if feature.name in SUMMARY
    ]
    for scorer in model.scorers.values():
        assert set(scorer.hyperparameters.get("quadratic", ())) <= {feature.name for feature in chosen}
