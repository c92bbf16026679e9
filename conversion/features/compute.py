"""The one definition of every feature, for batch, distributed and online use alike.

Features are computed on a block *companies x weeks x columns*. All companies of a chunk and all ``as_of``
weeks come out at once; one company online is a chunk of one. At ``as_of`` only weeks that are over are read.
Each feature stands beside the expression that computes it, in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.config.params import Featurize
from conversion.data.attribute_block import attribute_block
from conversion.data.attributes import Levels
from conversion.data.timeline import week_number
from conversion.features.attributes import attribute_features
from conversion.features.catalogue import (
    average_features,
    measure_features,
    totals_features,
    usage_features,
    windowed_groups,
)
from conversion.features.definitions import AttributeColumns, Feature, FeatureSettings, LifetimeTotals
from conversion.features.measure_windows import MeasurePlaces, measure_places, measure_windows
from conversion.features.usage_block import (
    KnownUsage,
    Layout,
    Windows,
    WindowUsage,
    block_layout,
    known_usage,
    lifetime_totals,
    moving_averages,
    usage_block,
    weekly_usage,
    window_usage,
    windows_of,
)

# So many features of companies at once that intermediate results stay in the processor's cache.
_FEATURES_AT_ONCE: Final = 5000


def feature_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features for some settings, in the order of `compute_features`."""
    return _plan(settings).features


def summary_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features that can be known from lifetime totals and attributes alone."""
    return tuple(each.feature for each in (*totals_features(settings), *attribute_features(settings)))


def compute_features(
    companies: pd.DataFrame,
    usage: pd.DataFrame,
    as_ofs: pd.DatetimeIndex,
    settings: FeatureSettings,
    histories: Mapping[str, pd.DataFrame] | None = None,
) -> np.ndarray:
    """Compute every feature of a chunk of companies at each ``as_of``.

    Parameters
    ----------
    companies
        One row a company: ``id`` and the attributes as `conversion.data.attributes.with_attributes` encodes
        them; a category has its levels.
    usage
        Usage rows of these companies (``id``, the first column of weeks, the counts and measures), at most
        one a company and week, in any order; rows not known at an ``as_of`` do not enter its features.
    as_ofs
        Monday 00:00s.
    settings
        From `feature_settings`.
    histories
        Of the attributes that have one, see `conversion.data.attribute_block.attribute_block`.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs, features)
        In the order of `feature_definitions`; NaN is "not known"; a category is the position of its level.
    """
    weeks = week_number(as_ofs)
    usage_weeks = week_number(usage[settings.time])
    last = int(weeks.max())
    first = min(int(usage_weeks.min()) if len(usage) else last - 1, last - 1)
    block = usage_block(companies["id"].to_numpy(), usage, usage_weeks - first, last - first, settings)
    attributes = attribute_block(companies, as_ofs, settings.attributes, histories)
    # An as_of before the block's first week knows nothing: position 0.
    positions = np.maximum(weeks - first, 0)
    return features_of_block(attributes, block, positions, settings, levels_in(companies, settings))


def features_of_block(
    attributes: np.ndarray,
    block: np.ndarray,
    positions: np.ndarray,
    settings: FeatureSettings,
    levels: Levels,
) -> np.ndarray:
    """Compute every feature of a block of companies at each ``as_of``: the core, on arrays alone.

    Parameters
    ----------
    attributes
        float64, shape (companies, as_ofs or 1, encoded columns), see
        `conversion.data.attribute_block.attribute_array`.
    block
        float64, shape (companies, weeks, columns), the columns of `usage_block.block_columns`: counts, so
        whole numbers >= 0, of consecutive weeks, oldest first, and measures, NaN where not known. A week
        without a usage row is zero throughout. Weeks of zeros at the start change no bit of the result, so a
        block may begin at any company's first row or before. It may have any number of weeks, even none
        where no company has a row.
    positions
        int64, shape (as_ofs,), each from 0 to weeks: at position *t* the block's first *t* weeks are over,
        so known, and no later one is read. For a block that ends at ``as_of`` the position is ``weeks``.
    settings
        From `feature_settings`.
    levels
        By category, its levels in the order of their codes in ``attributes``; the last one is unknown.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs, features)
        As from `compute_features`.

    Examples
    --------
    One company with a usage row (3 actions by 2 users) a week before the last, at ``as_of``:

    >>> from conversion.config.usage_contract import Module
    >>> from conversion.features.usage_block import block_columns
    >>> modules = (("projects", Module(actions="edits", users="editors")), ("invoices", Module(actions="sent")))
    >>> settings = FeatureSettings((1, 4), (2,), modules, measures=(), attributes=(), time="week")
    >>> block_columns(settings)
    ('edits', 'sent', 'editors', 'ROWS')
    >>> block = np.array([[[3.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    >>> values = features_of_block(np.empty((1, 1, 0)), block, np.array([2]), settings, {})
    >>> names = [feature.name for feature in feature_definitions(settings)]
    >>> row = dict(zip(names, values[0, 0].tolist(), strict=True))
    >>> row["actions_projects_1w"], row["actions_projects_4w"], row["recency_weeks"]
    (0.0, 3.0, 1.0)
    """
    plan = _plan(settings)
    unknown = _unknown_codes(levels)
    values = np.empty((len(block), len(positions), len(plan.features)), dtype=np.float32)
    at_once = max(1, _FEATURES_AT_ONCE // len(plan.features))
    for start in range(0, len(block), at_once):
        some = slice(start, start + at_once)
        company = AttributeColumns(attributes[some].transpose(2, 1, 0), unknown)
        values[some] = _by_feature(company, block[some], positions, plan).transpose(2, 0, 1)
    return values


def summary_features(
    totals: LifetimeTotals, attributes: np.ndarray, settings: FeatureSettings, levels: Levels
) -> np.ndarray:
    """Compute the features that can be known from lifetime totals and attributes alone.

    Parameters
    ----------
    totals
        Of the companies; arrays of length companies.
    attributes, settings, levels
        As in `features_of_block`, with one ``as_of``.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, features)
        In the order of `summary_definitions`; otherwise as from `compute_features`.
    """
    plan = _plan(settings)
    company = AttributeColumns(attributes[:, 0].T, _unknown_codes(levels))
    usage = [compute(totals) for compute in plan.totals]
    return np.array([*usage, *(compute(company) for compute in plan.attributes)], dtype=np.float32).T


def feature_frame(values: np.ndarray, settings: FeatureSettings, levels: Levels) -> pd.DataFrame:
    """Return feature rows as a frame with the features' names.

    Parameters
    ----------
    values
        float32, shape (rows, features), from `compute_features`.
    levels
        By category, its levels in the order of their codes in ``values``.

    Returns
    -------
    pandas.DataFrame
        float32 columns, and each category as a categorical of its levels.
    """
    features = feature_definitions(settings)
    frame = pd.DataFrame(values, columns=[feature.name for feature in features])
    for feature in features:
        if feature.kind == "category" and feature.column is not None:
            codes = frame[feature.name].to_numpy(dtype=np.intp)
            categories = pd.Index(levels[feature.column])
            frame[feature.name] = pd.Categorical.from_codes(codes.tolist(), categories=categories)
    return frame


def levels_in(companies: pd.DataFrame, settings: FeatureSettings) -> dict[str, tuple[str, ...]]:
    """Return the levels of each category in a table of `conversion.data.attributes.with_attributes`."""
    return {
        column: tuple(companies[encoded_names(column, attribute)[0]].cat.categories)
        for column, attribute in settings.attributes
        if isinstance(attribute, Category)
    }


def _unknown_codes(levels: Levels) -> dict[str, int]:
    return {column: len(each) - 1 for column, each in levels.items()}


class _Plan(NamedTuple):
    """What depends on the settings alone, computed once."""

    features: tuple[Feature, ...]
    layout: Layout
    windows: Windows
    # Each group's places among the features, window by window, and the lifetime's last if it has one.
    windowed: tuple[tuple[np.ndarray, Callable[[WindowUsage], np.ndarray]], ...]
    measures: MeasurePlaces
    average_count: int
    totals: tuple[Callable[[LifetimeTotals], np.ndarray], ...]
    usage: tuple[Callable[[KnownUsage], np.ndarray], ...]
    attributes: tuple[Callable[[AttributeColumns], np.ndarray], ...]


@lru_cache
def _plan(settings: FeatureSettings) -> _Plan:
    columns, groups = windowed_groups(settings)
    windows = (*settings.windows, None)
    windowed = [(each, window) for window in windows for each in columns if each.lifetime or window]
    places = {named: place for place, named in enumerate(windowed)}
    totals, usage, attributes = (
        totals_features(settings),
        usage_features(settings),
        attribute_features(settings),
    )
    averages = average_features(settings)
    return _Plan(
        features=(
            *(each.feature(window) for each, window in windowed),
            *averages,
            *measure_features(settings),
            *(each.feature for each in (*totals, *usage, *attributes)),
        ),
        layout=block_layout(settings),
        windows=windows_of(settings),
        windowed=tuple(
            (
                np.array(
                    [
                        places[each, window]
                        for window in windows
                        for each in group.columns
                        if (each, window) in places
                    ]
                ),
                group.compute,
            )
            for group in groups
        ),
        measures=measure_places(settings.measures),
        average_count=len(averages),
        totals=tuple(each.compute for each in totals),
        usage=tuple(each.compute for each in usage),
        attributes=tuple(each.compute for each in attributes),
    )


def _by_feature(
    company: AttributeColumns, block: np.ndarray, positions: np.ndarray, plan: _Plan
) -> np.ndarray:
    """Compute the features of some companies; float32, shape (as_ofs, features, companies)."""
    shape = len(positions), len(plan.features), len(block)
    values = np.empty(shape, dtype=np.float32)
    weeks = weekly_usage(block, plan.layout)
    inside = window_usage(weeks, positions, plan.windows)
    column = 0
    for places, compute in plan.windowed:
        group = compute(inside).reshape(shape[0], -1, shape[2])
        values[:, places] = group[:, : len(places)]
        column += len(places)
    if plan.average_count:
        averages = moving_averages(weeks.most_users, positions, plan.windows.decays)
        values[:, column : column + plan.average_count] = averages
        column += plan.average_count
    if plan.layout.measures:
        measured = measure_windows(block, positions, plan.layout, plan.windows, plan.measures)
        measured = measured.reshape(shape[0], -1, shape[2])
        values[:, column : column + measured.shape[1]] = measured
        column += measured.shape[1]
    usage = known_usage(weeks, positions)
    totals = lifetime_totals(usage)
    singles = (
        *(compute(totals) for compute in plan.totals),
        *(compute(usage) for compute in plan.usage),
        *(compute(company) for compute in plan.attributes),
    )
    for column, single in enumerate(singles, start=column):
        values[:, column] = single
    assert column + 1 == len(plan.features), "each feature is one column"
    return values


def feature_settings(params: Featurize, contract: Contract) -> FeatureSettings:
    return FeatureSettings(
        params.windows,
        params.half_lives,
        tuple(contract.usage.modules.items()),
        tuple(contract.usage.measures.items()),
        tuple(
            (column, each.model_copy(update={"groups": None}) if isinstance(each, Category) else each)
            for column, each in contract.companies.attributes.items()
        ),
        contract.usage.time,
    )
