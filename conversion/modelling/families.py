"""The model families by name, and the model that params.yaml asks for."""

from __future__ import annotations

from typing import Final

from conversion.config.params import Params
from conversion.features.compute import feature_definitions
from conversion.features.definitions import FeatureSettings
from conversion.modelling.logistic_regression import LogisticRegressionScorer
from conversion.modelling.model import ENSEMBLE, ConversionModel
from conversion.modelling.scorer import Scorer
from conversion.modelling.trees import RandomForestScorer, XGBoostScorer

FAMILIES: Final[dict[str, type[Scorer]]] = {
    "logistic_regression": LogisticRegressionScorer,
    "random_forest": RandomForestScorer,
    "xgboost": XGBoostScorer,
}


def make_model(params: Params) -> ConversionModel:
    """Return the unfitted model that params.yaml asks for, of the features in ``features.groups``."""
    features = feature_definitions(FeatureSettings(params.featurize.windows, params.featurize.half_lives))
    model = ConversionModel(
        features=features,
        scorers=_scorers(params),
        preparation=params.train.model_dump(include={"imputation", "fill_value", "scaling", "min_frequency"}),
        calibration=params.train.calibration,
        threshold=params.train.threshold,
        threshold_value=params.train.threshold_value,
        folds=params.train.folds,
        horizon_days=params.featurize.horizon_days,
    )
    return model.of_features([each.name for each in features if each.group in params.features.groups])


def _scorers(params: Params) -> dict[str, Scorer]:
    given = params.model.hyperparameters()
    blocks = given["members"] if params.model.type == ENSEMBLE else {params.model.type: given}
    return {name: FAMILIES[name](block, params.seed) for name, block in blocks.items()}
