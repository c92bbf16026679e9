"""What a data scientist would try first on the project's snapshots: learners as they come out of the box."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks import usual_recipe
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.modelling.families import make_model
from conversion.modelling.preprocessing import signed_log1p
from conversion.modelling.training import known_training
from conversion.stats.numeric import Floats

Learner = Callable[[int], Pipeline]


def xgboost(seed: int) -> Pipeline:
    """Return xgboost at its defaults; it knows gaps."""
    return make_pipeline(usual_recipe.xgboost(seed))


def logistic_regression(seed: int) -> Pipeline:
    """Return scikit-learn's logistic regression at its defaults, on standardized logs without gaps."""
    return make_pipeline(
        FunctionTransformer(signed_log1p),
        SimpleImputer(),
        StandardScaler(),
        LogisticRegression(max_iter=300, random_state=seed),
    )


LEARNERS: Final[Mapping[str, Learner]] = {"xgboost": xgboost, "logistic_regression": logistic_regression}


def probabilities(
    train: pd.DataFrame,
    snapshots: pd.DataFrame,
    predictions: pd.DataFrame,
    params: Params,
    contract: Contract,
) -> dict[str, Floats]:
    """Score the lists of a backtest by each learner, fitted when the project's model was.

    Parameters
    ----------
    train, snapshots
        The snapshots to learn from, and those of the backtest.
    predictions
        Of `conversion.evaluation.backtest.backtest`: its rows are scored, by what was mature at
        ``fitted_as_of``.
    params, contract
        They name the features; the learners see those that the project's model sees.

    Returns
    -------
    dict of numpy.ndarray of float64, shape (predictions,)
        By the learner's name.
    """
    features = [feature.name for feature in make_model(params, contract).features]
    learn = as_numbers(train[features])
    keys = predictions[["id", "as_of"]]
    rows = keys.merge(snapshots, on=["id", "as_of"], how="left", validate="one_to_one")
    tested = as_numbers(rows[features]).reindex(columns=learn.columns, fill_value=0.0)
    scores = {name: np.full(len(predictions), np.nan) for name in LEARNERS}
    for refit, places in predictions.groupby("fitted_as_of").indices.items():
        as_of = pd.Timestamp(str(refit))
        known = known_training(train, as_of, params.featurize.horizon_days, params.train.history_weeks)
        for name, learner in LEARNERS.items():
            model = fitted(learner(params.seed), learn[known].to_numpy(), train[known])
            scores[name][places] = model.predict_proba(tested.iloc[places].to_numpy())[:, 1]
    return scores


def as_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Spread categories over a 0-1 column a level; all else are numbers."""
    return pd.get_dummies(table).astype(np.float64)


def fitted(model: Pipeline, values: Floats, rows: pd.DataFrame) -> Any:
    """Fit a pipeline whose last step takes the snapshots' weights."""
    weight = {f"{model.steps[-1][0]}__sample_weight": rows["weight"].to_numpy()}
    return model.fit(values, rows["label"].to_numpy(), **weight)
