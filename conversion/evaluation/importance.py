"""What the score rests on: the importance of facts, in words with their direction, and of features."""

from __future__ import annotations

from typing import Final

import pandas as pd

from conversion.config.attribute_kinds import Flag
from conversion.config.data_contract import Contract
from conversion.features.definitions import Feature
from conversion.features.facts import GROWTH, RECENCY, REGULARITY
from conversion.modelling.model import ConversionModel

_HIGHER: Final = {GROWTH: "faster", REGULARITY: "more often"}
"""What a higher value of a feature of usage is, where that is not more."""
_FLAG: Final = "used at all"
"""The same of its only flag."""
NO_DIRECTION: Final = "no single direction"


def importance_by_fact_table(model: ConversionModel) -> pd.DataFrame:
    """Return how much of the score each fact is, and which way it points.

    Parameters
    ----------
    model
        Fitted.

    Returns
    -------
    DataFrame
        ``key`` and ``fact`` (its title); ``importance``, descending: its share of that of all facts, to 6
        decimals; ``direction`` (1: a higher value of its leading feature raises the score; -1: lowers it; 0:
        neither is clear) and ``effect``, the direction in words.
    """
    features = {feature.name: feature for feature in model.features}
    keys = list(dict.fromkeys(feature.fact for feature in model.features))
    leading = dict(zip(keys, model.profile_.leading, strict=True))
    expected = {key: max((f.monotone for f in model.features if f.fact == key), key=abs) for key in keys}
    rows = []
    for fact, share, direction in model.importance_by_fact():
        name = leading[fact.key]
        effect = (
            NO_DIRECTION
            if name is None
            else _effect(features[name], direction, expected[fact.key], model.data_contract)
        )
        rows.append((fact.key, fact.title, round(share, 6), direction, effect))
    return pd.DataFrame(rows, columns=["key", "fact", "importance", "direction", "effect"])


def importance_table(model: ConversionModel) -> pd.DataFrame:
    """Return ``feature``, ``importance`` (descending) and ``description`` of each."""
    said = {feature.name: _described(feature) for feature in model.features}
    table = model.get_feature_importance().rename_axis("feature").reset_index()
    return table.assign(description=table["feature"].map(said))


def _effect(feature: Feature, direction: int, expected: int, contract: Contract) -> str:
    if direction == 0:
        return NO_DIRECTION
    higher = _higher(feature, contract)
    if direction * (feature.monotone or expected) < 0:
        # The definition expects the opposite: beside the other facts, it corrects them.
        higher += ", with all else the same"
    return f"{higher}: {'raises' if direction > 0 else 'lowers'} the score"


def _higher(feature: Feature, contract: Contract) -> str:
    """Return what a higher value of a feature is, in words."""
    if feature.group == "missingness":
        return "not known"
    if feature.kind == "duration":
        if feature.fact == REGULARITY:
            return "over a longer time"
        return "longer ago" if feature.fact == RECENCY or feature.column is not None else "longer"
    if feature.column is None:
        return _FLAG if feature.kind == "flag" else _HIGHER.get(feature.fact, "more")
    if feature.kind != "flag":
        return "higher"
    return "yes" if isinstance(contract.companies.attributes[feature.column], Flag) else "not applicable"


def _described(feature: Feature) -> str:
    if feature.window.isdecimal():
        return f"{feature.description}, last {feature.window} weeks"
    return feature.description + (", ever" if feature.name.endswith("_lifetime") else "")
