from __future__ import annotations

import numpy as np
import pytest

from conversion.runtime.errors import ParamsError
from tests.conversion.modelling.fits import export, fit_invented, fitted, scores


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


def test_the_summary_model_squares_what_it_has() -> None:
    model = fitted(model__type="logistic_regression")
    given = model.scorers["logistic_regression"].hyperparameters
    assert given["quadratic"] == ("size", "recency_weeks", "users_max_4w")
    numbers = tuple(feature.name for feature in model.summary_.features if feature.kind != "category")
    squared = model.summary_.scorers["logistic_regression"].hyperparameters
    assert squared == given | {"quadratic": numbers}
