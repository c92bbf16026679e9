"""The ensemble, and the model families by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Self

import numpy as np

from conversion.config.params import Params
from conversion.features.compute import feature_definitions
from conversion.features.definitions import FeatureSettings
from conversion.modelling.logistic_regression import LogisticRegressionModel
from conversion.modelling.model import ConversionModel, Values
from conversion.modelling.trees import RandomForestModel, XGBoostModel
from conversion.stats.losses import log_odds
from conversion.stats.numeric import Floats
from conversion.stats.portable_math import expit


class EnsembleModel(ConversionModel):
    """The mean of its members' log-odds; calibration and threshold are the ensemble's own.

    ``hyperparameters["members"]`` has each member's block by the name of its family.
    """

    def members(self) -> dict[str, ConversionModel]:
        """Give the unfitted members by name."""
        shared = self.get_params(deep=False)
        return {
            name: FAMILIES[name](**shared | {"hyperparameters": block})
            for name, block in self.hyperparameters["members"].items()
        }

    def of_features(self, names: Collection[str]) -> Self:
        """Give the ensemble, unfitted, of members for some of the features."""
        restricted = {name: member.of_features(names) for name, member in self.members().items()}
        return self._of(super().of_features(names), restricted)

    def of_summary(self) -> Self:
        """Give the ensemble, unfitted, of members for what a summary can know."""
        restricted = {name: member.of_summary() for name, member in self.members().items()}
        return self._of(super().of_summary(), restricted)

    def _of(self, ensemble: Self, members: dict[str, ConversionModel]) -> Self:
        ensemble.hyperparameters = {
            "members": {name: member.hyperparameters for name, member in members.items()}
        }
        return ensemble

    def contributions(self, values: Values) -> Floats:
        """Average the members' contributions, see `ConversionModel.contributions`."""
        return _mean([member.contributions(values) for member in self.members_.values()])

    def _fit_raw(self, values: Floats, y: np.ndarray, weight: np.ndarray) -> None:
        self.members_ = self.members()
        for member in self.members_.values():
            member._fit_raw(values, y, weight)

    def _raw_probability(self, values: Values) -> Floats:
        return _mean_probability([member._raw_probability(values) for member in self.members_.values()])

    def _raw_with_contributions(self, values: Values) -> tuple[Floats, Floats]:
        both = [member._raw_with_contributions(values) for member in self.members_.values()]
        return _mean_probability([raw for raw, _ in both]), _mean([shares for _, shares in both])

    def _importance(self) -> Floats:
        names = self._names()
        return _mean([member.get_feature_importance()[names].to_numpy() for member in self.members_.values()])


def _mean_probability(probabilities: list[Floats]) -> Floats:
    return expit(_mean([log_odds(probability) for probability in probabilities]))


def _mean(parts: list[Floats]) -> Floats:
    """Average arrays one after the other: a few of them fast, and in one order of summation."""
    return np.asarray(sum(parts[1:], start=parts[0]) / len(parts))


FAMILIES: Final[dict[str, type[ConversionModel]]] = {
    "logistic_regression": LogisticRegressionModel,
    "random_forest": RandomForestModel,
    "xgboost": XGBoostModel,
    "ensemble": EnsembleModel,
}


def make_model(params: Params) -> ConversionModel:
    """Make the unfitted model that params.yaml asks for, of the features in ``features.groups``."""
    features = feature_definitions(FeatureSettings(params.featurize.windows, params.featurize.half_lives))
    model = FAMILIES[params.model.type](
        features=features,
        hyperparameters=params.model.hyperparameters(),
        preparation=params.train.model_dump(include={"imputation", "fill_value", "scaling", "min_frequency"}),
        calibration=params.train.calibration,
        threshold=params.train.threshold,
        threshold_value=params.train.threshold_value,
        folds=params.train.folds,
        horizon_days=params.featurize.horizon_days,
        seed=params.seed,
    )
    return model.of_features([each.name for each in features if each.group in params.features.groups])
