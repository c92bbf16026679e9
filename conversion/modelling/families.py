"""The model families by name, and the model that params.yaml asks for."""

from __future__ import annotations

from typing import Any, Final

from conversion.config.attribute_kinds import Category
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.features.compute import feature_definitions, feature_settings, summary_definitions
from conversion.features.definitions import Feature
from conversion.modelling.kept_fits import KeptFits
from conversion.modelling.logistic_regression import LogisticRegressionScorer, squared_features
from conversion.modelling.model import ENSEMBLE, ConversionModel
from conversion.modelling.scorer import Scorer
from conversion.modelling.trees import RandomForestScorer, XGBoostScorer

FAMILIES: Final[dict[str, type[Scorer]]] = {
    "logistic_regression": LogisticRegressionScorer,
    "random_forest": RandomForestScorer,
    "xgboost": XGBoostScorer,
}


def make_model(params: Params, contract: Contract, memory: KeptFits | None = None) -> ConversionModel:
    """Return the unfitted model that params.yaml asks for, of the features in ``features.groups``.

    ``memory`` is where fits are kept, see `conversion.modelling.kept_fits`; None: nowhere.
    """
    settings = feature_settings(params.featurize, contract)
    features = feature_definitions(settings)
    model = ConversionModel(
        features=features,
        summary=tuple(feature.name for feature in summary_definitions(settings)),
        contract=contract.of_model(),
        scorers={
            name: FAMILIES[name](block, params.seed, memory)
            for name, block in _blocks(params, features).items()
        },
        preparation=params.train.model_dump(include={"imputation", "fill_value", "scaling", "min_frequency"})
        | {"own_levels": _with_own_levels(contract)},
        calibration=params.train.calibration,
        threshold=params.train.threshold,
        threshold_value=params.train.threshold_value,
        folds=params.train.folds,
        horizon_days=params.featurize.horizon_days,
    )
    return model.of_features([each.name for each in features if each.group in params.features.groups])


def hyperparameters(params: Params, contract: Contract) -> dict[str, Any]:
    """Return the blocks of params.yaml that the model uses, with the names that ``auto`` stands for.

    They have the form of `ConversionModel.hyperparameters`.
    """
    blocks = _blocks(params, feature_definitions(feature_settings(params.featurize, contract)))
    return {"members": blocks} if params.model.type == ENSEMBLE else blocks[params.model.type]


def _blocks(params: Params, features: tuple[Feature, ...]) -> dict[str, dict[str, Any]]:
    given = params.model.hyperparameters()
    blocks: dict[str, dict[str, Any]] = (
        given["members"] if params.model.type == ENSEMBLE else {params.model.type: given}
    )
    for block in blocks.values():
        if "quadratic" in block:
            block["quadratic"] = squared_features(block["quadratic"], features, params.featurize.half_lives)
    return blocks


def _with_own_levels(contract: Contract) -> tuple[str, ...]:
    """Name the categories whose levels are not grouped by the contract."""
    return tuple(name for name, each in contract.attributes_of(Category).items() if not each.levels_by_group)
