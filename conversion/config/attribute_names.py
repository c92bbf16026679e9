"""What the features and columns that are made of an attribute are called."""

from __future__ import annotations

import re
import unicodedata

from conversion.config.attribute_kinds import AnyAttribute, Number
from conversion.config.usage_contract import Measure, Module


def slug(column: str) -> str:
    """Turn a column's name into small letters, digits and underscores, as features are named.

    Examples
    --------
    >>> slug("Head Count (FTE)"), slug("Région d'activité")
    ('head_count_fte', 'region_d_activite')
    """
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", column.casefold()) if not unicodedata.combining(each)
    )
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if name[:1].isalpha() else f"x_{name}"


def label(name: str, named: AnyAttribute | Module | Measure) -> str:
    """Return what reps call an attribute, module or measure that the contract has under a name."""
    return name if named.say is None else named.say


def feature_name(column: str, attribute: AnyAttribute) -> str:
    """Name the feature of an attribute's value."""
    if attribute.feature is not None:
        return attribute.feature.name
    return f"log_{slug(column)}" if isinstance(attribute, Number) and attribute.log else slug(column)


def flag_name(column: str, attribute: Number) -> str:
    """Name the feature that says that a number is not applicable."""
    return f"{slug(column)}_not_applicable" if attribute.flag is None else attribute.flag.name


def missing_name(column: str, attribute: AnyAttribute) -> str:
    """Name the feature that says that an attribute is missing."""
    return f"{slug(column)}_missing" if attribute.missing is None else attribute.missing.name


def encoded_names(column: str, attribute: AnyAttribute) -> tuple[str, ...]:
    """Name the columns that `encode` makes of an attribute: a number's own, and beside others a new one."""
    if not isinstance(attribute, Number):
        name = feature_name(column, attribute)
        return (f"{name}_encoded" if name == column else name,)
    if attribute.not_applicable is None:
        return (column,)
    return (column, flag_name(column, attribute))
