"""Why a prospect scores as it does, in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.contract import EMPLOYEE_RANGES, UNKNOWN_SECTOR, UNRANKED
from conversion.data.industries import SECTORS
from conversion.features.definitions import Feature
from conversion.stats.portable_math import exp

RAISES: Final = "+"
LOWERS: Final = "-"
NOT_KNOWN: Final = "not known"

Floats = NDArray[np.floating[Any]]
Writer = Callable[[Floats, Floats], list[list[str]]]


def reason_writer(features: tuple[Feature, ...], count: int) -> Writer:
    """Prepare all that depends on the features alone, to give reasons for many scores or for one at a time.

    Features that say the same over other windows are one reason: their contributions are summed, and the
    strongest of them speaks.

    Parameters
    ----------
    features
        Definitions, in the order of the values' columns.
    count
        Reasons for each row; fewer where there are not so many.

    Returns
    -------
    callable
        Takes feature values and their contributions, both of shape (rows, features), the sector as its
        position in `conversion.data.industries.SECTORS`; gives for each row its reasons, strongest first.
    """
    groups = _groups(features)
    members = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    # Groups as rows of equal length: the first member repeated, which speaks first all the same.
    width = max(map(len, groups))
    candidates = np.stack([np.append(group, np.repeat(group[0], width - len(group))) for group in groups])
    openings = [_opening(feature) for feature in features]
    formats = [_format(feature) for feature in features]

    def write(values: Floats, contributions: Floats) -> list[list[str]]:
        sums = np.add.reduceat(contributions.take(members, axis=1), starts, axis=1)
        # Rounded, so that the order of equally strong reasons does not hang on the last bits of a sum.
        strongest = np.argsort(-np.abs(np.round(sums, 9)), axis=1, kind="stable")[:, :count]
        rows = np.arange(len(values))[:, None]
        sums = sums[rows, strongest]
        choice = candidates[strongest]
        strength = contributions[rows[:, :, None], choice] * np.sign(sums)[:, :, None]
        loudest = np.round(strength, 9).argmax(axis=2)
        speakers = choice[rows, np.arange(choice.shape[1]), loudest]
        texts = [
            f"{RAISES if total >= 0 else LOWERS} {openings[speaker]}{formats[speaker](value)}"
            for speaker, total, value in zip(
                speakers.ravel().tolist(),
                sums.ravel().tolist(),
                values[rows, speakers].ravel().tolist(),
                strict=True,
            )
        ]
        places = choice.shape[1]
        return [texts[start : start + places] for start in range(0, len(texts), places)]

    return write


def _groups(features: tuple[Feature, ...]) -> list[NDArray[np.intp]]:
    members: dict[str, list[int]] = {}
    for index, feature in enumerate(features):
        members.setdefault(feature.description, []).append(index)
    return [np.array(indices, dtype=np.intp) for indices in members.values()]


def describe_value(feature: Feature, value: float) -> str:
    """Say a feature's value in plain words.

    Parameters
    ----------
    feature
        Its definition.
    value
        Its value, of the sector its position in `conversion.data.industries.SECTORS`; NaN is "not known".

    Returns
    -------
    str

    Examples
    --------
    >>> users = Feature("users_max_4w", "most users of a week in any module", "users", "4", "count", 1)
    >>> describe_value(users, 7.0)
    'most users of a week in any module, last 4 weeks: 7'
    """
    return _opening(feature) + _format(feature)(float(value))


def _opening(feature: Feature) -> str:
    """Write what a feature's every text begins with."""
    own = {"log_alexa_rank": "Alexa rank", "size": "employees", "sector": "sector"}
    weeks = {"1": ", last week"}.get(feature.window, f", last {feature.window} weeks")
    window = weeks if feature.window.isdigit() else ""
    return f"{own.get(feature.name, feature.description)}{window}: "


def _format(feature: Feature) -> Callable[[float], str]:
    """Choose how a feature's values are written."""
    by_name = {"size": _size, "log_alexa_rank": _rank, "sector": _sector}
    return by_name.get(feature.name, _flag if feature.kind == "flag" else _number)


def _number(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _flag(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    return "yes" if value else "no"


def _size(value: float) -> str:
    return NOT_KNOWN if math.isnan(value) else EMPLOYEE_RANGES[int(value) - 1]


def _rank(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    rank = round(float(exp(value)), -2)
    return "unranked" if rank >= round(UNRANKED, -2) else f"about {rank:,.0f}"


def _sector(value: float) -> str:
    return UNKNOWN_SECTOR if math.isnan(value) else SECTORS[int(value)]
