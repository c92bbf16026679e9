"""What the score rests on: the importance of facts, in words with their direction, and of features."""

from __future__ import annotations

import textwrap
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from conversion.config.attribute_kinds import Flag
from conversion.config.data_contract import Contract
from conversion.evaluation.drawing import BLUE, GREY, ORANGE, TICK, name_axes, one_panel, percent_axis
from conversion.features.definitions import Feature
from conversion.features.facts import GROWTH, RECENCY, REGULARITY
from conversion.modelling.model import ConversionModel

_HIGHER: Final = {GROWTH: "faster", REGULARITY: "more often"}
"""What a higher value of a feature of usage is, where that is not more."""
_FLAG: Final = "used at all"
"""The same of its only flag."""
NO_DIRECTION: Final = "no single direction"
FACT_BARS: Final = 15
FEATURE_BARS: Final = 20
_COLOURS: Final = {1: BLUE, -1: ORANGE, 0: GREY}


def importance_by_fact_table(model: ConversionModel) -> pd.DataFrame:
    """Return how much of the score each fact is, and which way it points.

    Parameters
    ----------
    model
        Fitted.

    Returns
    -------
    DataFrame
        ``fact`` (its title), ``importance`` (share of that of all facts, descending), ``direction`` (1: a
        higher value of its leading feature raises the score; -1: lowers it; 0: neither is clear) and
        ``effect``, the direction in words.
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
        rows.append((fact.title, share, direction, effect))
    return pd.DataFrame(rows, columns=["fact", "importance", "direction", "effect"])


def importance_table(model: ConversionModel) -> pd.DataFrame:
    """Return ``feature``, ``importance`` (descending) and ``description`` of each."""
    said = {feature.name: _described(feature) for feature in model.features}
    table = model.get_feature_importance().rename_axis("feature").reset_index()
    return table.assign(description=table["feature"].map(said))


def importance_by_fact_figure(table: pd.DataFrame) -> Figure:
    """Draw the most important facts of `importance_by_fact_table`, each with its effect."""
    shown = table.head(FACT_BARS)
    figure, axes = one_panel("What the score rests on", 10.0, 1.8 + 0.4 * len(shown))
    places = range(len(shown))
    colours = [_COLOURS[direction] for direction in shown["direction"]]
    axes.barh(places, shown["importance"], color=colours)
    axes.set_yticks(places, shown["fact"].tolist())
    axes.margins(y=0.02)
    axes.invert_yaxis()
    # The effects are tick labels of an axis at the right, since the layout leaves room for those alone.
    effects = axes.secondary_yaxis("right")
    effects.set_yticks(places, shown["effect"].tolist(), fontsize=TICK)
    effects.tick_params(length=0)
    effects.spines["right"].set_visible(False)
    name_axes(axes, "Share of what the score rests on")
    percent_axis(axes.xaxis)
    axes.grid(visible=False, axis="y")
    return figure


def importance_figure(table: pd.DataFrame) -> Figure:
    """Draw the most important features of `importance_table`."""
    shown = table.head(FEATURE_BARS)
    title = f"The {len(shown)} most important of {len(table)} features"
    figure, axes = one_panel(title, 10.0, 1.8 + 0.36 * len(shown))
    axes.barh(range(len(shown)), shown["importance"], color=BLUE)
    axes.set_yticks(range(len(shown)), [textwrap.shorten(each, 70) for each in shown["description"]])
    axes.margins(y=0.02)
    axes.invert_yaxis()
    name_axes(axes, "Share of importance")
    percent_axis(axes.xaxis)
    axes.grid(visible=False, axis="y")
    return figure


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
