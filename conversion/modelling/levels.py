"""The levels of categories that a model tells apart, learned from training snapshots."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conversion.config.attribute_kinds import Category
from conversion.config.data_contract import Contract
from conversion.features.definitions import Feature
from conversion.stats.numeric import Floats

Levels = dict[str, tuple[str, ...]]
"""Levels by attribute, in the order of their codes; unknown is the last."""

SHOWN: Final = 5
"""Unseen levels that a warning names."""
ROWS_AT_ONCE: Final = 512
"""Rows of a frame that are copied at once: their cells stay in the processor's cache."""

log = logging.getLogger(__name__)


class Learned(NamedTuple):
    """What `learn_levels` found.

    Attributes
    ----------
    levels
        The levels that the model tells apart.
    rare
        Levels of training snapshots that count as `Category.other`.
    """

    levels: Levels
    rare: Levels


def learn_levels(snapshots: pd.DataFrame, features: tuple[Feature, ...], contract: Contract) -> Learned:
    """Choose the levels of each category among the features.

    Groups of the contract are levels as they are. Another level is one if at least `Category.rare` companies
    have it.

    Parameters
    ----------
    snapshots
        Training snapshots: a column for each category, and ``id`` where a category may have levels outside
        of groups.
    features
        Definitions of the model's features.
    contract
        Says what each category is.

    Raises
    ------
    KeyError
        A column is missing.
    """
    categories = contract.attributes_of(Category)
    learned = {
        column: _learned(snapshots, name, categories[column]) for column, name in category_names(features)
    }
    return Learned(
        {column: levels for column, (levels, _) in learned.items()},
        {column: rare for column, (_, rare) in learned.items()},
    )


def category_names(features: tuple[Feature, ...]) -> list[tuple[str, str]]:
    """List the attribute and the feature's name of each category among the features."""
    return [(str(each.column), each.name) for each in features if each.kind == "category"]


def _learned(
    snapshots: pd.DataFrame, name: str, category: Category
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    groups = tuple(category.levels_by_group)
    if groups and category.unlisted == "unknown":
        return (*groups, category.unknown), ()
    lacking = [column for column in ("id", name) if column not in snapshots]
    if lacking:
        raise KeyError(f"the training snapshots lack the columns {', '.join(lacking)}")
    counts = snapshots[["id", name]].drop_duplicates()[name].value_counts()
    named = {*groups, category.other, category.unknown}
    found = sorted((str(level), int(count)) for level, count in counts.items() if count > 0)
    common = tuple(level for level, count in found if count >= category.rare and level not in named)
    rare = tuple(level for level, count in found if count < category.rare and level not in named)
    return tuple(dict.fromkeys((*groups, *common, category.other, category.unknown))), rare


def level_codes(values: pd.Series[Any], levels: tuple[str, ...], category: Category) -> NDArray[np.intp]:
    """Look up the position of each value among a model's levels.

    Parameters
    ----------
    values
        Levels as text or categorical; None or NaN where missing.
    levels
        From `learn_levels`.
    category
        A level that is not among them is `Category.other` if that is one of them, else unknown.
    """
    column = _as_categorical(values)
    places = pd.Index(levels).get_indexer(pd.Index(column.cat.categories))
    unknown = len(levels) - 1
    unseen = levels.index(category.other) if category.other in levels else unknown
    # A missing value has the code -1, which finds the last.
    table = np.append(np.where(places < 0, unseen, places), unknown).astype(np.intp)
    return np.asarray(table[column.cat.codes.to_numpy()])


def feature_values(
    X: pd.DataFrame, features: tuple[Feature, ...], levels: Levels, contract: Contract
) -> Floats:
    """Find features in a frame; parameters and errors as in `ConversionModel.values`."""
    names = [feature.name for feature in features]
    if missing := [name for name in names if name not in X.columns]:
        raise KeyError(f"the feature frame lacks the columns {', '.join(missing)}")
    values = np.empty((len(X), len(features)))
    places = np.flatnonzero([feature.kind != "category" for feature in features])
    numbers = _numbers(X[[names[place] for place in places]])
    # Slices of neighbouring columns: a list of columns is copied several times as slowly.
    for run in np.split(np.arange(len(places)), np.flatnonzero(np.diff(places) > 1) + 1):
        if len(run):
            into, some = slice(places[run[0]], places[run[-1]] + 1), slice(run[0], run[-1] + 1)
            for start in range(0, len(X), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                values[rows, into] = numbers[rows, some]
    categories = contract.attributes_of(Category) if len(places) < len(features) else {}
    for column, name in category_names(features):
        values[:, names.index(name)] = level_codes(X[name], levels[column], categories[column])
    return values


def _numbers(columns: pd.DataFrame) -> NDArray[np.floating[Any]]:
    """Return columns as doubles, or in single precision if all are: whoever copies them converts them."""
    single = all(kind == np.float32 for kind in columns.dtypes)
    return columns.to_numpy(dtype=np.float32 if single else np.float64)


def unseen_levels(
    snapshots: pd.DataFrame, features: tuple[Feature, ...], learned: Learned
) -> dict[str, dict[str, int]]:
    """Count the rows with levels that were not in training, by attribute and level, most frequent first."""
    counts: dict[str, dict[str, int]] = {}
    for column, name in category_names(features):
        known = {*learned.levels[column], *learned.rare[column]}
        found = _as_categorical(snapshots[name]).value_counts()
        unseen = {str(level): int(rows) for level, rows in found.items() if rows and level not in known}
        if unseen:
            counts[column] = unseen
    return counts


def warn_of_unseen_levels(counts: dict[str, dict[str, int]]) -> None:
    """Log once how many rows of a scored table have levels that were not in training, and which."""
    if counts:
        log.warning(
            "levels that the model has not seen count as other or unknown; training it again tells those "
            "apart that as many companies have by then as the attribute's rare says",
            extra={"unseen": "; ".join(_described(column, found) for column, found in counts.items())},
        )


def _described(column: str, found: dict[str, int]) -> str:
    more = len(found) - SHOWN
    names = ", ".join(list(found)[:SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{column} of {sum(found.values())} rows: {names}"


def _as_categorical(values: pd.Series[Any]) -> pd.Series[Any]:
    return values if isinstance(values.dtype, pd.CategoricalDtype) else values.astype("category")
