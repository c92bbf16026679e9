"""Attributes of companies as numbers: what the contract calls number, ordered, category, flag and date."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import (
    AnyAttribute,
    Category,
    Date,
    Flag,
    Number,
    Ordered,
    is_numeric,
    normalized,
)
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract

Values = Mapping[str, Iterable[object]]
Levels = Mapping[str, tuple[str, ...]]


def level_of(category: Category) -> Callable[[object], str]:
    """Prepare the lookup of a value's level; labels repeat, so each is looked up once.

    Returns
    -------
    callable
        Takes a value, None or NaN where it is missing, and returns its level: its group where the category
        has groups, else the value itself; `Category.unknown` where nothing is known.
    """
    groups = category.levels_by_group
    by_label = {normalized(each): group for group, labels in groups.items() for each in labels}
    by_label |= {normalized(each): category.unknown for each in category.says_nothing}
    keep = not groups or category.unlisted == "keep"

    @lru_cache(maxsize=4096)
    def find(value: object) -> str:
        # Requests may have the white space and the empty text that exports are read without.
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            return category.unknown
        return by_label.get(normalized(text), text if keep else category.unknown)

    return find


def is_listed(category: Category, value: str) -> bool:
    """Return whether a category's groups list a level, or say that it says nothing."""
    labels = (*category.levels_by_group.values(), category.says_nothing)
    listed = itertools.chain.from_iterable(labels)
    return normalized(value) in set(map(normalized, listed))


def levels_of(category: Category, values: Iterable[object]) -> tuple[str, ...]:
    """List the levels of a category: its groups, then other levels that occur, sorted, then unknown.

    Parameters
    ----------
    category
        From the contract.
    values
        The values that occur; None or NaN where they are missing.
    """
    groups = tuple(category.levels_by_group)
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
        By category, its levels in the order of their codes; a level that is not among them is
        `Category.other` if that is one, else unknown.

    Returns
    -------
    dict of arrays of length companies
        In the order of `encoded_names`, attribute after attribute. Numbers are float64, NaN where missing
        or not applicable; flags, and whether a number is not applicable, are 1.0, 0.0 or NaN; ordered levels
        are 1.0, 2.0, …; dates are days since 1970-01-01; categories are int64 positions in ``levels``.
    """
    return encoder(contract, levels)(values)


def encoder(contract: Contract, levels: Levels) -> Callable[[Values], dict[str, NDArray[Any]]]:
    """Prepare `encode` for many calls: names and lookups are made once."""
    prepared = [
        (column, encoded_names(column, attribute), _encoder(attribute, levels.get(column, ())))
        for column, attribute in contract.companies.attributes.items()
    ]

    def encode_all(values: Values) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        for column, names, encode_one in prepared:
            found |= zip(names, encode_one(values[column]), strict=True)
        return found

    return encode_all


def encode_values(
    attribute: AnyAttribute, values: Iterable[object], levels: tuple[str, ...]
) -> list[NDArray[Any]]:
    """Encode values of one attribute; an array for each of its `encoded_names`, see `encode`."""
    return _encoder(attribute, levels)(values)


def _encoder(attribute: AnyAttribute, levels: tuple[str, ...]) -> Callable[[Any], list[NDArray[Any]]]:
    if isinstance(attribute, Number):
        return lambda values: split_number(attribute, np.asarray(values, dtype=np.float64))
    if isinstance(attribute, Category):
        places = {level: place for place, level in enumerate(levels)}
        unseen, find = places.get(attribute.other, places[attribute.unknown]), level_of(attribute)
        return lambda values: [
            np.array([places.get(find(value), unseen) for value in values], dtype=np.int64)
        ]
    if isinstance(attribute, Date):
        return lambda values: [_days(values)]
    if isinstance(attribute, Ordered) and attribute.cuts:
        return lambda values: [_cut(attribute, np.asarray(values, dtype=np.float64))]
    codes = _codes(attribute)
    # Looked up one by one: one company of a request must not wait for pandas.
    return lambda values: [np.array([codes.get(value, np.nan) for value in values], dtype=np.float64)]


def split_number(attribute: Number, values: NDArray[np.float64]) -> list[NDArray[Any]]:
    """Return a number, NaN where it is not applicable, and beside it whether it is not, if it may be."""
    if attribute.not_applicable is None:
        return [values]
    beyond = values >= attribute.not_applicable
    return [np.where(beyond, np.nan, values), np.where(np.isnan(values), np.nan, beyond)]


def _days(values: Iterable[object]) -> NDArray[np.float64]:
    # None becomes NaT; an array of dates stays as it is.
    days = np.asarray(values, dtype="datetime64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(np.int64))


def _cut(attribute: Ordered, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isnan(values), np.nan, np.searchsorted(attribute.cuts, values, side="right") + 1.0)


def _codes(attribute: Ordered | Flag) -> dict[object, float]:
    if isinstance(attribute, Ordered):
        return {level: float(place) for place, level in enumerate(attribute.levels, start=1)}
    return {True: 1.0, False: 0.0}


def with_attributes(
    companies: pd.DataFrame, contract: Contract, earlier: Mapping[str, Iterable[object]] | None = None
) -> pd.DataFrame:
    """Add what features read of the companies' attributes, see `encode`.

    Parameters
    ----------
    companies
        Has a column for each attribute: numbers, and what is cut into levels, as float64; dates as
        datetime64; ordered and category as text; flags as boolean; missing values are NaN, NaT or None.
    contract
        Says what each attribute is.
    earlier
        By category, values of its history, which are levels too.

    Returns
    -------
    pandas.DataFrame
        A copy with the columns of `encode`; categories are pandas Categoricals of their levels, those of
        `levels_of`.
    """
    attributes = contract.companies.attributes
    values = {column: values_of(companies[column], attribute) for column, attribute in attributes.items()}
    levels = {
        column: levels_of(category, dict.fromkeys([*values[column], *(earlier or {}).get(column, ())]))
        for column, category in contract.attributes_of(Category).items()
    }
    added: dict[str, Any] = dict(encode(contract, values, levels))
    for column, category in contract.attributes_of(Category).items():
        (name,) = encoded_names(column, category)
        added[name] = pd.Categorical.from_codes(added[name], categories=pd.Index(levels[column]))
    return companies.assign(**added)


def values_of(column: pd.Series[Any], attribute: AnyAttribute) -> Iterable[object]:
    """Return a table's column of an attribute as `encode_values` reads it."""
    if is_numeric(attribute):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(attribute, Date):
        return column.to_numpy(dtype="datetime64[D]")
    return column.astype(object).where(column.notna(), None).tolist()
