"""Why a prospect scores as it does, in plain words."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from conversion.features import Feature
from conversion.models import ConversionModel
from conversion.schemas import EMPLOYEE_RANGES, UNRANKED

RAISES: Final = "+"
LOWERS: Final = "-"


def top_reasons(model: ConversionModel, features: pd.DataFrame, count: int) -> pd.DataFrame:
    """Name the ``count`` strongest signed contributions to each score.

    Features that say the same over other windows are one reason: their contributions are summed, and the
    strongest of them speaks.

    Parameters
    ----------
    model
        Fitted.
    features
        Feature frame.
    count
        Reasons for each row.

    Returns
    -------
    pandas.DataFrame of str
        Columns ``reason_1`` to ``reason_<count>``, strongest first; ``+`` raises the score, ``-`` lowers it.
    """
    contributions = model.explain(features).to_numpy()
    groups = _groups(model.features)
    sums = np.stack([contributions[:, members].sum(axis=1) for members in groups], axis=1)
    # Rounded, so that the order of equally strong reasons does not hang on the last bits of a sum.
    strongest = np.argsort(-np.abs(np.round(sums, 9)), axis=1, kind="stable")[:, :count]
    speakers = np.stack(
        [
            members[np.argmax(np.round(contributions[:, members] * np.sign(sums[:, [index]]), 9), axis=1)]
            for index, members in enumerate(groups)
        ],
        axis=1,
    )
    columns = [features[feature.name].to_numpy() for feature in model.features]
    texts = [
        [
            _reason(
                model.features[speakers[row, group]], columns[speakers[row, group]][row], sums[row, group]
            )
            for group in strongest[row]
        ]
        for row in range(len(features))
    ]
    return pd.DataFrame(
        texts, columns=[f"reason_{place}" for place in range(1, count + 1)], index=features.index, dtype="str"
    )


def _groups(features: tuple[Feature, ...]) -> list[np.ndarray]:
    members: dict[str, list[int]] = {}
    for index, feature in enumerate(features):
        members.setdefault(feature.description, []).append(index)
    return [np.array(indices) for indices in members.values()]


def _reason(feature: Feature, value: object, contribution: float) -> str:
    return f"{RAISES if contribution >= 0 else LOWERS} {describe_value(feature, value)}"


def describe_value(feature: Feature, value: object) -> str:
    """Say a feature's value in plain words.

    Parameters
    ----------
    feature
        Its definition.
    value
        Its value; NaN is "not known".

    Returns
    -------
    str

    Examples
    --------
    >>> users = Feature("users_max_4w", "most users of a week in any module", "users", "4", "count", 1)
    >>> describe_value(users, 7.0)
    'most users of a week in any module, last 4 weeks: 7'
    """
    if feature.kind == "category":
        return f"{feature.name}: {value}"
    number = float(value)  # type: ignore[arg-type]
    weeks = {"1": ", last week"}.get(feature.window, f", last {feature.window} weeks")
    window = weeks if feature.window.isdigit() else ""
    return f"{_subject(feature)}{window}: {_value(feature, number)}"


def _subject(feature: Feature) -> str:
    return {"log_alexa_rank": "Alexa rank", "size": "employees"}.get(feature.name, feature.description)


def _value(feature: Feature, number: float) -> str:
    if np.isnan(number):
        return "not known"
    if feature.name == "size":
        return EMPLOYEE_RANGES[int(number) - 1]
    if feature.name == "log_alexa_rank":
        rank = round(float(np.exp(number)), -2)
        return "unranked" if rank >= round(UNRANKED, -2) else f"about {rank:,.0f}"
    if feature.kind == "flag":
        return "yes" if number else "no"
    return f"{number:,.0f}" if number == round(number) else f"{number:,.2f}"
