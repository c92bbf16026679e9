"""The one definition of every feature, for batch, distributed and online use alike.

Features are computed on a block *companies x weeks x columns*. All companies of a chunk and all ``as_of``
weeks come out at once; one company online is a chunk of one. At ``as_of`` only weeks that are over are read.
Each feature stands beside the expression that computes it, in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.config.params import Featurize
from conversion.data.attribute_block import attribute_block
from conversion.data.attribute_encoding import Levels
from conversion.data.timeline import week_number
from conversion.features.attribute_catalogue import attribute_features
from conversion.features.catalogue import (
    WindowedGroup,
    average_features,
    measure_features,
    totals_features,
    usage_features,
    windowed_groups,
)
from conversion.features.definitions import AttributeColumns, Feature, FeatureSettings, LifetimeTotals
from conversion.features.measure_windows import MeasurePlaces, measure_places, measure_windows
from conversion.features.name_checks import check_names
from conversion.features.usage_block import (
    KnownUsage,
    Layout,
    WeeklyUsage,
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


def feature_settings(params: Featurize, contract: Contract) -> FeatureSettings:
    """Return what features depend on.

    Raises
    ------
    ParamsError
        Two features would have the same name or description; the message names the keys of the contract that
        lead to them.
    """
    attributes = contract.companies.attributes
    settings = FeatureSettings(
        windows=params.windows,
        half_lives=params.half_lives,
        modules=tuple(contract.usage.modules.items()),
        measures=tuple(contract.usage.measures.items()),
        attributes=tuple((column, _without_groups(each)) for column, each in attributes.items()),
        time=contract.usage.time,
    )
    check_names(settings)
    return settings


def _without_groups(attribute: AnyAttribute) -> AnyAttribute:
    """Leave out a category's groups: features do not depend on them, and a dict has no hash."""
    return attribute.model_copy(update={"groups": None}) if isinstance(attribute, Category) else attribute


def feature_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features for some settings, in the order of `compute_features`."""
    return _plan(settings).features


def summary_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features that can be known from lifetime totals and attributes alone."""
    totals, attributes = totals_features(settings), attribute_features(settings)
    return (*(each.feature for each in totals), *(each.feature for each in attributes))


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
        One row a company: ``id`` and the attributes as
        `conversion.data.attribute_encoding.with_attributes` encodes them; a category has its levels.
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
    >>> projects, invoices = Module(actions="edits", users="editors"), Module(actions="sent")
    >>> modules = (("projects", projects), ("invoices", invoices))
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
    of_usage = len(plan.features) - len(plan.attributes)
    # A feature's values lie together: so they are computed here, and so tables have them.
    values = np.empty((len(plan.features), len(block), len(positions)), dtype=np.float32)
    seen = block[:, :, plan.layout.counts].any(axis=1)
    places = np.flatnonzero(seen)
    at_once = max(1, _FEATURES_AT_ONCE // len(plan.features))
    for start in range(0, len(places), at_once):
        some = places[start : start + at_once]
        values[:of_usage, some] = _usage_features(block[some], positions, plan).transpose(1, 2, 0)
    if len(places) < len(block):
        # Companies without usage differ in nothing but their attributes.
        none = block[[seen.argmin()]]
        values[:of_usage, ~seen] = _usage_features(none, positions, plan).transpose(1, 2, 0)
    company = AttributeColumns(_columns(attributes.T), levels)
    for target, compute in zip(values[of_usage:], plan.attributes, strict=True):
        target[...] = compute(company).T
    return values.transpose(1, 2, 0)


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
    company = AttributeColumns(_columns(attributes.T[:, 0]), levels)
    columns = [compute(totals) for compute in plan.totals]
    columns += [compute(company) for compute in plan.attributes]
    return np.array(columns, dtype=np.float32).T


def _columns(attributes: np.ndarray) -> list[np.ndarray]:
    """List the columns, which are on the first axis; for one company faster than ``list``."""
    return [attributes[place] for place in range(len(attributes))]


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
            frame[feature.name] = pd.Categorical.from_codes(codes, categories=categories)
    return frame


def levels_in(companies: pd.DataFrame, settings: FeatureSettings) -> dict[str, tuple[str, ...]]:
    """Return the levels of each category in a table that has them as categoricals."""
    return {
        column: tuple(companies[encoded_names(column, attribute)[0]].cat.categories)
        for column, attribute in settings.attributes
        if isinstance(attribute, Category)
    }


class _Plan(NamedTuple):
    """What depends on the settings alone, computed once."""

    features: tuple[Feature, ...]
    layout: Layout
    windows: Windows
    # Each group's places among the features, window by window, the lifetime's last if it has one; and how
    # many columns are computed for windows and lifetime.
    windowed: tuple[tuple[np.ndarray, int, Callable[[WindowUsage], np.ndarray]], ...]
    average_count: int
    measures: MeasurePlaces
    totals: tuple[Callable[[LifetimeTotals], np.ndarray], ...]
    usage: tuple[Callable[[KnownUsage], np.ndarray], ...]
    attributes: tuple[Callable[[AttributeColumns], np.ndarray], ...]


@lru_cache
def _plan(settings: FeatureSettings) -> _Plan:
    columns, groups = windowed_groups(settings)
    windows = (*settings.windows, None)
    # The lifetime of some columns is another feature.
    windowed = [(each, window) for window in windows for each in columns if each.lifetime or window]
    places = {named: place for place, named in enumerate(windowed)}
    averages, measures = average_features(settings), measure_features(settings)
    totals, usage = totals_features(settings), usage_features(settings)
    attributes = attribute_features(settings)

    def places_of(group: WindowedGroup) -> np.ndarray:
        named = [(each, window) for window in windows for each in group.columns]
        return np.array([places[each] for each in named if each in places])

    return _Plan(
        features=(
            *(each.feature(window) for each, window in windowed),
            *averages,
            *measures,
            *(each.feature for each in totals),
            *(each.feature for each in usage),
            *(each.feature for each in attributes),
        ),
        layout=block_layout(settings),
        windows=windows_of(settings),
        windowed=tuple(
            (places_of(group), len(windows) * len(group.columns), group.compute) for group in groups
        ),
        average_count=len(averages),
        measures=measure_places(settings.measures),
        totals=tuple(each.compute for each in totals),
        usage=tuple(each.compute for each in usage),
        attributes=tuple(each.compute for each in attributes),
    )


def _usage_features(block: np.ndarray, positions: np.ndarray, plan: _Plan) -> np.ndarray:
    """Compute the features of some companies' usage; float32, shape (as_ofs, features, companies)."""
    as_ofs, companies = len(positions), len(block)
    features = len(plan.features) - len(plan.attributes)
    values = np.empty((as_ofs, features, companies), dtype=np.float32)
    weeks = weekly_usage(block, plan.layout)
    usage = known_usage(weeks, positions)
    inside = window_usage(weeks, usage.totals, positions, plan.windows)
    column = 0
    for places, columns, compute in plan.windowed:
        column += len(places)
        # The lifetime is last, so a group without it has no place for it.
        values[:, places] = compute(inside).reshape(as_ofs, columns, companies)[:, : len(places)]
    for part in _other_windows(block, weeks, positions, plan):
        values[:, column : column + part.shape[1]] = part
        column += part.shape[1]
    totals = lifetime_totals(usage)
    singles = [compute(totals) for compute in plan.totals]
    singles += [compute(usage) for compute in plan.usage]
    for target, single in zip(values[:, column:].transpose(1, 0, 2), singles, strict=True):
        target[...] = single
    return values


def _other_windows(
    block: np.ndarray, weeks: WeeklyUsage, positions: np.ndarray, plan: _Plan
) -> Iterator[np.ndarray]:
    """Yield the averages and the measures in windows, if any; shape (as_ofs, features, companies)."""
    if plan.average_count:
        yield moving_averages(weeks.most_users, positions, plan.windows.decays)
    if plan.layout.measures:
        measured = measure_windows(block, positions, plan.layout, plan.windows, plan.measures)
        yield measured.reshape(len(positions), measured.shape[1] * measured.shape[2], len(block))
