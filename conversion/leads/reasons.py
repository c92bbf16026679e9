"""Reasons for a prospect's score, in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number, Ordered
from conversion.config.attribute_names import feature_name, label
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels
from conversion.features.definitions import Feature
from conversion.stats.portable_math import exp, log

RAISES: Final = "+"
LOWERS: Final = "-"
NOT_KNOWN: Final = "not known"

Floats = NDArray[np.floating[Any]]
Writer = Callable[[Floats, Floats], list[list[str]]]
Format = Callable[[float], str]


def reason_writer(features: tuple[Feature, ...], count: int, contract: Contract, levels: Levels) -> Writer:
    """Prepare everything that depends only on the features, to write reasons for one score or many.

    Features that differ only in window count as one reason: their contributions are summed, and the text
    names the one that contributes most in the direction of the sum.

    Parameters
    ----------
    features
        Definitions, in the order of the values' columns.
    count
        Reasons for each row; fewer if the features have fewer.
    contract
        Says what reps call the attributes, and how their values are written.
    levels
        By category, the levels that the model distinguishes.

    Returns
    -------
    callable
        From feature values and their contributions, both of shape (rows, features), to the reasons of each
        row, strongest first. The value of a category is its position in ``levels``; NaN is "not known".
    """
    groups = _groups(features)
    members = np.concatenate(groups)
    starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
    # Groups as rows of equal length, filled up with the first member: argmax chooses its first copy.
    width = max(map(len, groups))
    candidates = np.stack([np.append(group, np.repeat(group[0], width - len(group))) for group in groups])
    openings = [_opening(feature, contract) for feature in features]
    formats = [_format(feature, contract, levels) for feature in features]

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
    members: dict[tuple[str | None, str], list[int]] = {}
    for index, feature in enumerate(features):
        members.setdefault((feature.column, feature.description), []).append(index)
    return [np.array(indices, dtype=np.intp) for indices in members.values()]


def _attribute_of(feature: Feature, contract: Contract) -> AnyAttribute | None:
    """Return the attribute whose value a feature is; None for flags beside it, and for features of usage."""
    if feature.column is None:
        return None
    attribute = contract.companies.attributes[feature.column]
    return attribute if feature.name == feature_name(feature.column, attribute) else None


def _opening(feature: Feature, contract: Contract) -> str:
    """Return the part of a feature's texts before the value."""
    attribute = _attribute_of(feature, contract)
    if attribute is not None and feature.column is not None:
        return f"{label(feature.column, attribute)}: "
    weeks = {"1": ", last week"}.get(feature.window, f", last {feature.window} weeks")
    window = weeks if feature.window.isdigit() else ""
    return f"{feature.description}{window}: "


def _format(feature: Feature, contract: Contract, levels: Levels) -> Format:
    """Return what writes a feature's values."""
    attribute = _attribute_of(feature, contract)
    if isinstance(attribute, Number):
        return _amount(attribute)
    if isinstance(attribute, Ordered):
        return _ordered(attribute)
    if isinstance(attribute, Category):
        return _category(attribute, levels[feature.column or ""])
    if isinstance(attribute, Date):
        return _age
    return _flag if isinstance(attribute, Flag) or feature.kind == "flag" else _number


def _number(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _flag(value: float) -> str:
    if math.isnan(value):
        return NOT_KNOWN
    return "yes" if value else "no"


def _age(days: float) -> str:
    if math.isnan(days):
        return NOT_KNOWN
    return "1 day ago" if days == 1 else f"{days:,.0f} days ago"


def _ordered(attribute: Ordered) -> Format:
    return lambda value: NOT_KNOWN if math.isnan(value) else attribute.levels[int(value) - 1]


def _category(category: Category, levels: tuple[str, ...]) -> Format:
    return lambda value: category.unknown if math.isnan(value) else levels[int(value)]


def _amount(number: Number) -> Format:
    """Return what writes a number's values, which may be logarithms."""
    absent = "not applicable" if number.flag is None else number.flag.name.replace("_", " ")
    beyond = number.counts_as
    most = (0 if number.whole else 6) if number.decimals is None else number.decimals

    def write(value: float) -> str:
        amount = float(exp(value)) if number.log else value
        places = _places(value, amount if number.log else 1.0, most)
        return f"about {round(amount, places):,.0f}" if places < 0 else _plain(round(amount, places))

    unknown = NOT_KNOWN if number.not_applicable is None or beyond is not None else f"{absent} or {NOT_KNOWN}"
    # A value that another company may have by itself is written as it is.
    if beyond is None or number.not_applicable is None or beyond < number.not_applicable:
        return lambda value: unknown if math.isnan(value) else write(value)
    as_beyond = write(float(np.float32(log(beyond) if number.log else beyond)))

    def write_or_say(value: float) -> str:
        if math.isnan(value):
            return unknown
        return absent if (text := write(value)) == as_beyond else text

    return write_or_say


def _places(value: float, scale: float, most: int) -> int:
    """Return how many decimals a feature's 32 bits can tell, at most so many; negative: tens, hundreds."""
    error, places = abs(scale) * float(np.spacing(np.float32(abs(value)))), most
    while 10.0**-places < error:
        places -= 1
    return places


def _plain(amount: float) -> str:
    """Write a number with two decimals, or as many as show that it is not zero."""
    return f"{amount:.2g}" if 0 < abs(amount) < 0.01 else _number(amount)
