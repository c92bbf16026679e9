"""Attributes of companies as numbers: what the contract calls number, ordered, category and flag."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.data_contract import (
    AnyAttribute,
    Category,
    Contract,
    Flag,
    Number,
    Ordered,
)

Values = Mapping[str, Iterable[object]]
Levels = Mapping[str, tuple[str, ...]]


def slug(column: str) -> str:
    """Turn a column's name into small letters, digits and underscores, as features are named.

    Examples
    --------
    >>> slug("Head Count (FTE)")
    'head_count_fte'
    """
    name = re.sub(r"[^a-z0-9]+", "_", column.casefold()).strip("_")
    return name if name[:1].isalpha() else f"x_{name}"


def label(column: str, attribute: AnyAttribute) -> str:
    """Return what reps call an attribute."""
    return column if attribute.say is None else attribute.say


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


def level_of(category: Category) -> Callable[[object], str]:
    """Prepare the lookup of a value's level; labels repeat, so each is looked up once.

    Returns
    -------
    callable
        Takes a value, None or NaN where it is missing, and returns its level: its group where the category
        has groups, else the value itself; `Category.unknown` where nothing is known.
    """
    groups = category.groups if isinstance(category.groups, dict) else {}
    by_label = {_normalized(each): group for group, labels in groups.items() for each in labels}
    by_label |= {_normalized(each): category.unknown for each in category.says_nothing}
    keep = not groups or category.unlisted == "keep"

    @lru_cache(maxsize=4096)
    def find(value: object) -> str:
        if not isinstance(value, str):
            return category.unknown
        return by_label.get(_normalized(value), value if keep else category.unknown)

    return find


def is_listed(category: Category, value: str) -> bool:
    """Return whether a category's groups list a level, or say that it says nothing."""
    groups = category.groups if isinstance(category.groups, dict) else {}
    listed = [each for labels in (*groups.values(), category.says_nothing) for each in labels]
    return _normalized(value) in set(map(_normalized, listed))


def levels_of(category: Category, values: Iterable[object]) -> tuple[str, ...]:
    """List the levels of a category: its groups, then other levels that occur, sorted, then unknown.

    Parameters
    ----------
    category
        From the contract.
    values
        The values that occur; None or NaN where they are missing.
    """
    groups = tuple(category.groups) if isinstance(category.groups, dict) else ()
    find = level_of(category)
    others = {find(value) for value in values} - {*groups, category.unknown}
    return (*groups, *sorted(others), category.unknown)


def encode(contract: Contract, values: Values, levels: Levels) -> dict[str, NDArray[Any]]:
    """Encode companies' attributes as numbers: of a table, or of one company in a request.

    Parameters
    ----------
    contract
        Says what each attribute is.
    values
        By attribute, one value a company; None or NaN where it is missing. Numbers may be an array.
    levels
        By category, its levels in the order of their codes; a level that is not among them is unknown.

    Returns
    -------
    dict of arrays of length companies
        In the order of `encoded_names`, attribute after attribute. Numbers are float64, NaN where missing
        or not applicable; flags, and whether a number is not applicable, are 1.0, 0.0 or NaN; ordered levels
        are 1.0, 2.0, …; categories are int64 positions in ``levels``.
    """
    found: dict[str, NDArray[Any]] = {}
    for column, attribute in contract.companies.attributes.items():
        arrays = _encode(attribute, values[column], levels.get(column, ()))
        found |= zip(encoded_names(column, attribute), arrays, strict=True)
    return found


def _encode(attribute: AnyAttribute, values: Iterable[object], levels: tuple[str, ...]) -> list[NDArray[Any]]:
    if isinstance(attribute, Number):
        return _numbers(attribute, np.asarray(values, dtype=np.float64))
    if isinstance(attribute, Category):
        places = {level: place for place, level in enumerate(levels)}
        unknown, find = places[attribute.unknown], level_of(attribute)
        return [np.array([places.get(find(value), unknown) for value in values], dtype=np.int64)]
    codes = _codes(attribute)
    # Looked up one by one: one company of a request must not wait for pandas.
    return [np.array([codes.get(value, np.nan) for value in values], dtype=np.float64)]


def _numbers(attribute: Number, values: NDArray[np.float64]) -> list[NDArray[Any]]:
    if attribute.not_applicable is None:
        return [values]
    beyond = values >= attribute.not_applicable
    return [np.where(beyond, np.nan, values), np.where(np.isnan(values), np.nan, beyond)]


def _codes(attribute: Ordered | Flag) -> dict[object, float]:
    if isinstance(attribute, Ordered):
        return {level: float(place) for place, level in enumerate(attribute.levels, start=1)}
    return {True: 1.0, False: 0.0}


def with_attributes(companies: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Add what features read of the companies' attributes, see `encode`.

    Parameters
    ----------
    companies
        Has a column for each attribute: numbers as float64, ordered and category as text, flags as boolean;
        missing values are NaN or None.

    Returns
    -------
    pandas.DataFrame
        A copy with the columns of `encode`; categories are pandas Categoricals of their levels, those of
        `levels_of`.
    """
    attributes = contract.companies.attributes
    values = {column: _listed(companies[column], attribute) for column, attribute in attributes.items()}
    levels = {
        column: levels_of(category, dict.fromkeys(values[column]))
        for column, category in contract.attributes_of(Category).items()
    }
    added: dict[str, Any] = dict(encode(contract, values, levels))
    for column, category in contract.attributes_of(Category).items():
        (name,) = encoded_names(column, category)
        added[name] = pd.Categorical.from_codes(added[name], categories=pd.Index(levels[column]))
    return companies.assign(**added)


def _listed(column: pd.Series[Any], attribute: AnyAttribute) -> Iterable[object]:
    if isinstance(attribute, Number):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return column.astype(object).where(column.notna(), None).tolist()


@lru_cache(maxsize=4096)
def _normalized(text: str) -> str:
    """Drop case, punctuation and spacing, which differ between exports."""
    return re.sub(r"[\W_]+", " ", text).strip().casefold()
