from __future__ import annotations

from pathlib import Path

import pytest

from conversion.config.model_params import MemberType, ModelType
from tests.broken_params import Mutation, case, check_that_loading_stops, one_of, with_key, with_raw

# Each case: what is broken, and what the message must say (the key, what was given, what is allowed).
BROKEN = [
    case(
        "int_for_bool",
        with_key("model.xgboost.monotone", 1),
        "model.xgboost.monotone: given 1",
        "valid boolean",
    ),
    case(
        "zero_rate",
        with_key("model.xgboost.learning_rate", 0),
        "model.xgboost.learning_rate: given 0",
        "greater than or equal to 0.000001",
    ),
    case(
        "share_above_one",
        with_key("model.xgboost.subsample", 1.5),
        "model.xgboost.subsample: given 1.5",
        "equal to 1",
    ),
    case(
        "float_overflow",
        with_raw("model.logistic_regression.C", "1e999"),
        "model.logistic_regression.C: given inf",
        "finite number",
    ),
    case(
        "unknown_model_type",
        with_key("model.type", "catboost"),
        "model.type: given 'catboost'",
        one_of(ModelType),
    ),
    case(
        "ensemble_of_an_ensemble",
        with_key("model.ensemble.members", ["xgboost", "ensemble"]),
        "model.ensemble.members.1: given 'ensemble'",
        one_of(MemberType),
    ),
    case(
        "ensemble_of_one",
        with_key("model.ensemble.members", ["xgboost"]),
        "model.ensemble.members: given ['xgboost'], should have at least 2 items (",
    ),
    case(
        "ensemble_of_more_than_dvc_can_name",
        with_key("model.ensemble.members", ["xgboost", "random_forest", "logistic_regression", "xgboost"]),
        "model.ensemble.members: given ['xgboost'",
        "at most 3 items",
    ),
    case(
        "ensemble_of_one_twice",
        with_key("model.ensemble.members", ["xgboost", "xgboost"]),
        "model.ensemble.members",
        "should not name anything twice",
    ),
    case(
        "quadratic_repeated",
        with_key("model.logistic_regression.quadratic", ["size", "size"]),
        "model.logistic_regression.quadratic",
        "['size', 'size']",
        "anything twice",
    ),
]


@pytest.mark.parametrize(("mutation", "says"), BROKEN)
def test_a_broken_file_is_explained_and_ends_with_exit_2(
    mutation: Mutation, says: tuple[str, ...], shipped: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_that_loading_stops(mutation, says, shipped, tmp_path, caplog)
