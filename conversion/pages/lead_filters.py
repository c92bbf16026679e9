"""Filters of a lead list: columns of few values that people choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import AnyAttribute, Category, Flag, Ordered
from conversion.config.attribute_names import encoded_names, label
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import encode_values
from conversion.features.words import capitalised
from conversion.modelling.tiers import TIERS
from conversion.pages.words import tier_words, words_of

MAX_SHOWN_CHOICES: Final = 40
"""Values of a ``shown`` column at most, for it to be a filter."""
MAX_CHOICES: Final = 200
"""Values of an attribute at most, for it to be a filter."""
MAX_FILTERS: Final = 12
PEEK: Final = 10_000
"""Rows that tell a column of many values, such as names, without looking at all of them."""
NONE: Final = "(none)"
"""Stands for a missing value in a filter."""
YES_NO: Final = ("yes", "no")


@dataclass(frozen=True)
class Filter:
    """A column that leads are filtered by.

    Attributes
    ----------
    column
        Of the list.
    title
        What people call it.
    choices
        The values to choose from; lead ``i`` has ``choices[codes[i]]``.
    labels
        What people call the choices.
    """

    column: str
    title: str
    choices: tuple[str, ...]
    labels: tuple[str, ...]
    codes: NDArray[np.int16]

    def has(self, value: str) -> NDArray[np.bool_]:
        """Return which leads have a value; none have one that is not among the choices."""
        if value not in self.choices:
            return np.zeros(len(self.codes), dtype=np.bool_)
        return np.asarray(self.codes == self.choices.index(value))


def filter_columns(contract: Contract) -> tuple[str, ...]:
    """Name the columns that leads can be filtered by."""
    companies = contract.companies
    attributes = [
        name for name, each in companies.attributes.items() if isinstance(each, Category | Flag | Ordered)
    ]
    return ("tier", "rep", *companies.shown, *attributes)


def tier_filter(tiers: pd.Series[Any]) -> Filter:
    """Make the filter of tiers."""
    codes = pd.Categorical(tiers, categories=list(TIERS)).codes.astype(np.int16)
    return Filter("tier", "Tier", TIERS, tuple(map(capitalised, map(tier_words, TIERS))), codes)


def attribute_filter(leads: pd.DataFrame, name: str, attribute: AnyAttribute) -> Filter | None:
    """Make the filter of an attribute; None: it has too many values, or is a number."""
    title = words_of(label(name, attribute))
    if isinstance(attribute, Ordered):
        return _with_missing(name, title, attribute.levels, _level_codes(leads[name], attribute))
    if isinstance(attribute, Flag):
        codes = np.where(leads[name].isna(), -1, np.where(leads[name].fillna(False).astype(bool), 0, 1))
        return _with_missing(name, title, YES_NO, codes)
    if isinstance(attribute, Category):
        column = name if attribute.groups is None else encoded_names(name, attribute)[0]
        if leads[column].iloc[:PEEK].nunique() > MAX_CHOICES:
            return None
        found = filter_of(leads[column], column, title)
        return found if len(found.choices) <= MAX_CHOICES else None
    return None


def _level_codes(values: pd.Series[Any], ordered: Ordered) -> NDArray[np.int64]:
    """Return the position of each value's level; -1: it is missing."""
    exported = values.to_numpy(dtype=np.float64, na_value=np.nan) if ordered.cuts else values.astype(object)
    (places,) = encode_values(ordered, exported, ())
    return np.where(np.isnan(places), 0.0, places).astype(np.int64) - 1


def filter_of(values: pd.Series[Any], name: str, title: str) -> Filter:
    """Make a filter of a column's values, in the order of the alphabet; runs of spaces count as one.

    The codes of thousands of choices do not hold them: such a filter is not to be used.
    """
    codes, found = pd.factorize(values)
    levels = [_trimmed(str(level)) for level in found]
    ordered = tuple(sorted({*levels} - {""}, key=lambda level: (level.casefold(), level)))
    places = {level: place for place, level in enumerate(ordered)}
    # The last one is of missing values, whose code is -1.
    mapped = np.array([*(places.get(level, -1) for level in levels), -1], dtype=np.int64)
    return _with_missing(name, title, ordered, mapped[codes])


def _trimmed(text: str) -> str:
    return " ".join(text.split())


def _with_missing(name: str, title: str, levels: tuple[str, ...], codes: NDArray[Any]) -> Filter:
    """Add a choice for missing values, whose code is -1, where there are any."""
    levels, codes = tuple(map(_trimmed, levels)), np.asarray(codes, dtype=np.int64)
    missing = codes < 0
    if not missing.any():
        return Filter(name, title, levels, levels, codes.astype(np.int16))
    if NONE in levels:
        codes = np.where(missing, levels.index(NONE), codes)
    else:
        codes, levels = np.where(missing, len(levels), codes), (*levels, NONE)
    return Filter(name, title, levels, levels, codes.astype(np.int16))
