"""The model as MLflow loads it: ``mlflow.pyfunc.load_model`` and ``mlflow models serve`` call this module."""

from __future__ import annotations

import os

import pandas as pd

from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel


class ProbabilityOfConversion:
    """The model of ``models/model.joblib`` with the interface that MLflow expects.

    Parameters
    ----------
    model
        Fitted.
    """

    def __init__(self, model: ConversionModel) -> None:
        self.model = model

    def predict(self, features: pd.DataFrame, params: dict[str, object] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return the calibrated probability of conversion of feature rows.

        Parameters
        ----------
        features
            The model's features, in columns of any order.
        params
            Ignored; MLflow passes them.

        Returns
        -------
        pandas.DataFrame
            ``probability``, float64, one row a feature row.
        """
        return pd.DataFrame({"probability": self.model.predict_proba(features)[:, 1]})


def _load_pyfunc(folder: str) -> ProbabilityOfConversion:
    """Load the model from its two files in ``folder``; MLflow prescribes the function's name.

    The file is hashed before it is unpickled. Its hash must be the one in its description, and the one in
    CONVERSION_MODEL_SHA256 where that is set.
    """
    model, _ = load_model(ConversionModel, folder, allowed_by(os.environ))
    return ProbabilityOfConversion(model)
