"""Features of companies' attributes beside the expressions that compute them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Named, Number, Ordered
from conversion.config.attribute_names import (
    encoded_names,
    feature_name,
    flag_name,
    label,
    missing_name,
    slug,
)
from conversion.features.catalogue import Computed
from conversion.features.definitions import AttributeColumns, Feature, FeatureSettings, Kind
from conversion.features.facts import attribute_fact
from conversion.stats.portable_math import log

AttributeFeature = Computed[AttributeColumns]


def attribute_features(settings: FeatureSettings) -> tuple[AttributeFeature, ...]:
    """Return the features of attributes: their values and flags, then whether each is missing."""
    values: list[AttributeFeature] = []
    missing: list[AttributeFeature] = []
    place = 0
    for column, attribute in settings.attributes:
        values.append(_value(column, attribute, place))
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            values.append(_not_applicable(column, attribute, place + 1))
        missing.append(_missing(column, attribute, place))
        place += len(encoded_names(column, attribute))
    return (*values, *missing)


def _value(column: str, attribute: AnyAttribute, place: int) -> AttributeFeature:
    kind, unit = _kind_and_unit(column, attribute)
    feature = Feature(
        feature_name(column, attribute),
        _description(attribute.feature, _meaning(column, attribute)),
        unit,
        "-",
        kind,
        0 if isinstance(attribute, Category) else attribute.direction,
        "firmographics",
        column,
        attribute_fact(column),
    )
    if isinstance(attribute, Number):
        return Computed(feature, _number(attribute, place))
    return Computed(feature, lambda company: company.values[place])


def _number(attribute: Number, place: int) -> Callable[[AttributeColumns], np.ndarray]:
    counts_as = attribute.counts_as

    def compute(company: AttributeColumns) -> np.ndarray:
        value = company.values[place]
        if counts_as is not None:
            value = value.copy()
            np.copyto(value, counts_as, where=company.values[place + 1] == 1.0)
        return log(value) if attribute.log else value

    return compute


def _not_applicable(column: str, attribute: Number, place: int) -> AttributeFeature:
    description = _description(attribute.flag, f"{label(column, attribute)} not applicable")
    name = flag_name(column, attribute)
    return Computed(
        Feature(name, description, "0 or 1", "-", "flag", 0, "firmographics", column, attribute_fact(column)),
        lambda company: company.values[place],
    )


def _missing(column: str, attribute: AnyAttribute, place: int) -> AttributeFeature:
    description = _description(attribute.missing, f"{label(column, attribute)} not known")
    name = missing_name(column, attribute)
    fact = attribute_fact(column)
    feature = Feature(name, description, "0 or 1", "-", "flag", 0, "missingness", column, fact)
    if isinstance(attribute, Category):
        return Computed(feature, lambda company: company.values[place] == len(company.levels[column]) - 1)
    if isinstance(attribute, Number) and attribute.not_applicable is not None:
        place += 1  # a number that is not applicable is not missing
    return Computed(feature, lambda company: np.isnan(company.values[place]))


def _description(named: Named | None, otherwise: str) -> str:
    return otherwise if named is None else named.description


def _meaning(column: str, attribute: AnyAttribute) -> str:
    """Describe an attribute's value as reps call it, where the contract does not."""
    name = label(column, attribute)
    if isinstance(attribute, Number) and attribute.log:
        return f"log of {name}"
    if isinstance(attribute, Ordered):
        return f"{name}, 1 ({attribute.levels[0]}) to {len(attribute.levels)} ({attribute.levels[-1]})"
    return f"days since {name}" if isinstance(attribute, Date) else name


def _kind_and_unit(column: str, attribute: AnyAttribute) -> tuple[Kind, str]:
    """Return how a model may treat an attribute's value, and its unit: the last word of its name."""
    unit = slug(label(column, attribute)).rpartition("_")[2]
    if isinstance(attribute, Number):
        # Many companies share the value of what is not applicable, as they share a level.
        kind: Kind = "change" if attribute.counts_as is None else "ordinal"
        return kind, f"log {unit}" if attribute.log else unit
    if isinstance(attribute, Ordered):
        return "ordinal", slug(column).rpartition("_")[2]
    if isinstance(attribute, Flag):
        return "flag", "0 or 1"
    return ("duration", "days") if isinstance(attribute, Date) else ("category", unit)
