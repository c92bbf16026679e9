from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.config.attribute_kinds import Category
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import levels_of
from conversion.features.compute import feature_definitions, feature_settings
from conversion.features.definitions import Feature
from conversion.leads.reasons import reason_writer
from tests.contract_files import hubspot
from tests.conversion.leads.accounts import (
    COUNTRY,
    HEAD_COUNT,
    HEAD_COUNT_MISSING,
    LEVELS,
    PARTNER,
    PLAN,
    changed,
)
from tests.exports import UNRANKED
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params
from tests.reasons import top_reasons

SETTINGS = feature_settings(small_params().featurize, hubspot())
BY_NAME = {feature.name: feature for feature in feature_definitions(SETTINGS)}
SECTORS = {column: levels_of(category, ()) for column, category in hubspot().attributes_of(Category).items()}


def model_with(contributions: dict[str, list[float]]) -> Any:
    """Stand in for a model whose contributions are given."""
    features = tuple(BY_NAME[name] for name in contributions)
    shares = pd.DataFrame(contributions).to_numpy()
    return SimpleNamespace(
        features=features,
        values=pd.DataFrame.to_numpy,
        contributions=lambda _: shares,
        data_contract=hubspot(),
        levels=SECTORS,
    )


def described(
    feature: Feature,
    value: float,
    contract: Contract | None = None,
    levels: dict[str, tuple[str, ...]] = SECTORS,
) -> str:
    """Return the text of a reason that is this one feature, without its sign."""
    write = reason_writer((feature,), 1, hubspot() if contract is None else contract, levels)
    ((text,),) = write(np.array([[value]]), np.array([[1.0]]))
    assert text.startswith("+ ")
    return text.removeprefix("+ ")


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
        ("seen", math.nan, "has a usage row: not known"),
        ("log_alexa_rank", math.nan, "Alexa rank: not known"),
        ("sector", float(SECTORS["INDUSTRY"].index("Education")), "sector: Education"),
        ("sector", math.nan, "sector: Unknown"),
        ("total_users", 1_000_000.0, "weekly users summed over weeks and modules: 1,000,000"),
        ("actions_1w", 3.0, "actions in all modules, last week: 3"),
    ],
)
def test_values_in_plain_words(name: str, value: float, text: str) -> None:
    assert described(BY_NAME[name], value) == text


# The attributes of another contract


@pytest.mark.parametrize(
    ("feature", "value", "text"),
    [
        (HEAD_COUNT, math.log(1), "employees: 1"),
        (HEAD_COUNT, math.log(4321), "employees: 4,321"),
        (HEAD_COUNT, math.log(123_456_789), "employees: about 123,457,000"),
        (HEAD_COUNT, math.nan, "employees: not known"),
        (HEAD_COUNT_MISSING, 1.0, "the head count is missing: yes"),
        (PLAN, 3.0, "plan: business"),
        (PLAN, math.nan, "plan: not known"),
        (COUNTRY, 1.0, "country: US"),
        (COUNTRY, 2.0, "country: Other"),
        (COUNTRY, 3.0, "country: Unknown"),
        (COUNTRY, math.nan, "country: Unknown"),
        (PARTNER, 1.0, "is_partner: yes"),
        (PARTNER, 0.0, "is_partner: no"),
        (PARTNER, math.nan, "is_partner: not known"),
    ],
)
def test_attributes_in_plain_words(feature: Feature, value: float, text: str) -> None:
    assert described(feature, float(np.float32(value)), changed(), LEVELS) == text


def of_attribute(name: str, column: str = "it") -> Feature:
    return Feature(name, "described", "unit", "-", "ordinal", 0, "firmographics", column)


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ({"kind": "date"}, 45.0, "45 days ago"),
        ({"kind": "date"}, 1.0, "1 day ago"),
        ({"kind": "date"}, 0.0, "0 days ago"),
        ({"kind": "date"}, 1234.0, "1,234 days ago"),
        ({"kind": "date"}, math.nan, "not known"),
        ({"kind": "ordered", "cuts": [10, 100]}, 2.0, "10 to below 100"),
        ({"kind": "number"}, 12.3, "12.30"),
        ({"kind": "number"}, 12.0, "12"),
        ({"kind": "number"}, -0.5, "-0.50"),
        ({"kind": "number"}, 0.00034, "0.00034"),
        ({"kind": "number", "decimals": 0}, 12.3, "12"),
        ({"kind": "number", "decimals": -2}, 1234.0, "about 1,200"),
        ({"kind": "number", "whole": True}, 16_777_215.0, "16,777,215"),
        ({"kind": "number", "log": True, "minimum": 0.001}, math.log(250), "250"),
        ({"kind": "number", "log": True, "minimum": 0.001}, math.log(2.5), "2.50"),
        ({"kind": "number", "log": True, "minimum": 0.001}, math.log(0.0025), "0.0025"),
        # What is not applicable has a value that no other company can have, or one that any may, or none.
        ({"kind": "number", "not_applicable": 999, "counts_as": 999}, 999.0, "not applicable"),
        ({"kind": "number", "not_applicable": 999, "counts_as": 999}, 998.0, "998"),
        ({"kind": "number", "not_applicable": 999, "counts_as": 0}, 0.0, "0"),
        ({"kind": "number", "not_applicable": 999}, math.nan, "not applicable or not known"),
        ({"kind": "number", "not_applicable": 999, "counts_as": 0}, math.nan, "not known"),
        (
            {
                "kind": "number",
                "not_applicable": 9999,
                "counts_as": 9999,
                "log": True,
                "minimum": 1,
                "flag": {"name": "no_site", "description": "has no site"},
            },
            math.log(9999),
            "no site",
        ),
    ],
)
def test_each_kind_of_attribute_in_plain_words(attribute: dict[str, Any], value: float, text: str) -> None:
    contract = changed(
        lambda values: values["companies"].update(attributes={"it": attribute | {"say": "It"}})
    )
    feature = of_attribute("log_it" if attribute.get("log") else "it")
    assert described(feature, float(np.float32(value)), contract, {}) == f"It: {text}"


def test_attributes_that_are_described_alike_are_reasons_of_their_own() -> None:
    contract = changed(
        lambda values: values["companies"].update(
            attributes={"it": {"kind": "number"}, "other": {"kind": "number"}}
        )
    )
    write = reason_writer((of_attribute("it"), of_attribute("other", "other")), 2, contract, {})
    assert write(np.array([[1.0, 2.0]]), np.array([[0.5, -0.7]])) == [["- other: 2", "+ it: 1"]]


# Many reasons


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


def test_a_writer_serves_many_scores_or_one() -> None:
    features = tuple(BY_NAME.values())
    rng = np.random.default_rng(0)
    values = rng.integers(1, 9, (30, len(features))).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    contributions = rng.normal(size=values.shape)
    write = reason_writer(features, 3, hubspot(), SECTORS)
    together = write(values, contributions)
    assert [len(row) for row in together] == [3] * 30
    for row in range(30):
        assert write(values[[row]], contributions[[row]]) == [together[row]]
    assert write(values[:0], contributions[:0]) == []


def test_a_writer_against_the_definition() -> None:
    """Sum within each description, rank by size, let the strongest of the sum's direction speak."""
    features = tuple(BY_NAME.values())
    rng = np.random.default_rng(1)
    values = rng.integers(1, 9, (40, len(features))).astype(float)
    contributions = rng.normal(size=values.shape)
    write = reason_writer(features, 4, hubspot(), SECTORS)
    for row, texts in enumerate(write(values, contributions)):
        shares = pd.DataFrame({"about": [feature.description for feature in features]})
        shares["share"] = contributions[row]
        total = shares.groupby("about", sort=False)["share"].sum()
        for text, about in zip(texts, total.abs().sort_values(ascending=False).index, strict=False):
            toward = shares.loc[shares["about"] == about, "share"] * np.sign(total[about])
            speaker = toward.idxmax()
            said = described(features[speaker], values[row, speaker])
            assert text == f"{'+' if total[about] > 0 else '-'} {said}"


def test_a_score_that_nothing_moves_has_reasons_all_the_same() -> None:
    features = (BY_NAME["seen"], BY_NAME["actions_1w"], BY_NAME["actions_4w"])
    texts = reason_writer(features, 3, hubspot(), SECTORS)(np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3)))
    assert texts == [["+ has a usage row: yes", "+ actions in all modules, last week: 2"]]


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
