"""The model as MLflow loads it: ``mlflow.pyfunc.load_model`` and ``mlflow models serve`` call this module."""

from __future__ import annotations

import os

import pandas as pd

from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel


class ProbabilityOfConversion:
    """Gives the calibrated probability of conversion, as ``models/model.joblib`` does.

    Parameters
    ----------
    model
        Fitted.
    """

    def __init__(self, model: ConversionModel) -> None:
        self.model = model

    def predict(self, features: pd.DataFrame, params: dict[str, object] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Score feature rows.

        Parameters
        ----------
        features
            The model's features, in columns of any order.
        params
            None are known; MLflow passes them.

        Returns
        -------
        pandas.DataFrame
            ``probability``, float64, one row a feature row.
        """
        return pd.DataFrame({"probability": self.model.predict_proba(features)[:, 1]})


def _load_pyfunc(folder: str) -> ProbabilityOfConversion:
    """Load the model whose two files stand in ``folder``; the name is MLflow's.

    The file is hashed before it is unpickled, and has to be the one that its description says, and that
    CONVERSION_MODEL_SHA256 says where it is set.
    """
    model, _ = load_model(ConversionModel, folder, allowed_by(os.environ))
    return ProbabilityOfConversion(model)
