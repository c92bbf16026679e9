from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.explain import describe_value, top_reasons
from conversion.features import FeatureSettings, feature_definitions
from conversion.schemas import UNRANKED
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params

BY_NAME = {feature.name: feature for feature in feature_definitions(FeatureSettings((1, 4), (2,)))}


def model_with(contributions: dict[str, list[float]]) -> Any:
    """Stand in for a model whose contributions are given."""
    features = tuple(BY_NAME[name] for name in contributions)
    return SimpleNamespace(features=features, explain=lambda _: pd.DataFrame(contributions))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("actions_4w", 1234.0, "actions in all modules, last 4 weeks: 1,234"),
        ("total_actions", 0.0, "actions in all modules: 0"),
        ("users_ewm_2w", 1.2345, "users a week, exponentially weighted, half-life 2 weeks: 1.23"),
        ("recency_weeks", math.nan, "weeks since the last active week was over: not known"),
        ("size", 2.0, "employees: 2 to 5"),
        ("size", math.nan, "employees: not known"),
        ("log_alexa_rank", float(np.float32(math.log(UNRANKED))), "Alexa rank: unranked"),
        ("log_alexa_rank", float(np.float32(math.log(123_456))), "Alexa rank: about 123,500"),
        ("unranked", 1.0, "Alexa did not rank the site: yes"),
        ("seen", 0.0, "has a usage row: no"),
        ("sector", "Education", "sector: Education"),
    ],
)
def test_values_in_plain_words(name: str, value: object, text: str) -> None:
    assert describe_value(BY_NAME[name], value) == text


def test_the_strongest_reasons_come_first_with_their_sign() -> None:
    model = model_with({"size": [0.1, -3.0], "seen": [-2.0, 0.0], "tenure_weeks": [1.0, 0.5]})
    frame = pd.DataFrame({"size": [1.0, 9.0], "seen": [1.0, 1.0], "tenure_weeks": [4.0, 5.0]}, index=[8, 3])
    reasons = top_reasons(model, frame, 2)
    assert reasons.index.tolist() == [8, 3]
    assert reasons.to_numpy().tolist() == [
        ["- has a usage row: yes", "+ weeks since the first active week began: 4"],
        ["- employees: 10,001 or more", "+ weeks since the first active week began: 5"],
    ]


def test_windows_of_one_thing_are_one_reason_and_the_strongest_speaks() -> None:
    model = model_with({"actions_1w": [0.4], "actions_4w": [0.5], "seen": [0.8], "total_actions": [-0.05]})
    frame = pd.DataFrame({"actions_1w": [2.0], "actions_4w": [6.0], "seen": [1.0], "total_actions": [7.0]})
    assert top_reasons(model, frame, 2).to_numpy().tolist() == [
        ["+ actions in all modules, last 4 weeks: 6", "+ has a usage row: yes"]
    ]


def test_no_last_bit_decides_the_order() -> None:
    exact, noisy = (
        model_with({"size": [0.3], "seen": [0.3 + noise], "unranked": [0.1]}) for noise in (0.0, 1e-16)
    )
    frame = pd.DataFrame({"size": [1.0], "seen": [1.0], "unranked": [0.0]})
    pd.testing.assert_frame_equal(top_reasons(exact, frame, 3), top_reasons(noisy, frame, 3))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_reasons_of_a_fitted_model(model_type: str) -> None:
    pipeline = Pipeline(dirty_export(), small_params(model__type=model_type))
    latest = pipeline.latest
    reasons = top_reasons(pipeline.model, latest, 3)
    assert list(reasons) == ["reason_1", "reason_2", "reason_3"]
    assert reasons.index.equals(latest.index)
    assert reasons.map(lambda text: text[:2] in {"+ ", "- "} and ": " in text).all(axis=None)
    subjects = reasons.map(lambda text: text[2:].split(":")[0].split(", last")[0])
    assert (subjects.nunique(axis=1) == 3).all(), "no reason is given twice"
    alone = top_reasons(pipeline.model, latest.iloc[[7]], 3)
    pd.testing.assert_frame_equal(alone, reasons.iloc[[7]])
