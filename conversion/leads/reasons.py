"""Reasons for a prospect's score, in plain words."""

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
    """Prepare everything that depends only on the features, to write reasons for one score or many.

    Features that differ only in window count as one reason: their contributions are summed, and the text
    names the one that contributes most in the direction of the sum.

    Parameters
    ----------
    features
        Definitions, in the order of the values' columns.
    count
        Reasons for each row; fewer if the features have fewer.

    Returns
    -------
    callable
        From feature values and their contributions, both of shape (rows, features), to the reasons of each
        row, strongest first. The value of the sector is its position in
        `conversion.data.industries.SECTORS`; NaN is "not known".
    """
    groups = _groups(features)
    members = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    # Groups as rows of equal length, filled up with the first member: argmax chooses its first copy.
    width = max(map(len, groups))
    candidates = np.stack([np.append(group, np.repeat(group[0], width - len(group))) for group in groups])
    openings = [_opening(feature) for feature in features]
    formats = [_format(feature) for feature in features]

    def write(values: Floats, contributions: Floats) -> list[list[str]]:
        sums = np.add.reduceat(contributions.take(members, axis=1), starts, axis=1)
        # Rounded, so that the order of equally strong reasons does not depend on the last bits of a sum.
        strongest = np.argsort(-np.abs(np.round(sums, 9)), axis=1, kind="stable")[:, :count]
        rows = np.arange(len(values))[:, None]
        sums = sums[rows, strongest]
        choice = candidates[strongest]
        strength = contributions[rows[:, :, None], choice] * np.sign(sums)[:, :, None]
        strongest_member = np.round(strength, 9).argmax(axis=2)
        members_named = choice[rows, np.arange(choice.shape[1]), strongest_member]
        texts = [
            f"{RAISES if total >= 0 else LOWERS} {openings[member]}{formats[member](value)}"
            for member, total, value in zip(
                members_named.ravel().tolist(),
                sums.ravel().tolist(),
                values[rows, members_named].ravel().tolist(),
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


def _opening(feature: Feature) -> str:
    """Return the part of a feature's texts before the value."""
    own = {"log_alexa_rank": "Alexa rank", "size": "employees", "sector": "sector"}
    weeks = {"1": ", last week"}.get(feature.window, f", last {feature.window} weeks")
    window = weeks if feature.window.isdigit() else ""
    return f"{own.get(feature.name, feature.description)}{window}: "


def _format(feature: Feature) -> Callable[[float], str]:
    """Return what writes a feature's values."""
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
