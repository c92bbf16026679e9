"""The one definition of every feature, for batch, distributed and online use alike.

Features are computed on a block *companies x weeks x measures*. All companies of a chunk and all ``as_of``
weeks come out at once; one company online is a chunk of one. At ``as_of`` only weeks that are over are read.
Each feature stands beside the expression that computes it, in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd

from conversion.data.firmographics import Firmographics
from conversion.data.industries import SECTORS
from conversion.data.timeline import week_number
from conversion.features.catalogue import (
    FIRMOGRAPHIC_FEATURES,
    TOTALS_FEATURES,
    USAGE_FEATURES,
    WINDOWED,
    average_definition,
    window_definitions,
)
from conversion.features.definitions import Feature, FeatureSettings, LifetimeTotals, Plan
from conversion.features.usage_block import (
    EVER,
    WindowUsage,
    known_usage,
    lifetime_totals,
    moving_averages,
    usage_block,
    weekly_usage,
    window_usage,
)
from conversion.stats.portable_math import power

_COMPANIES_AT_ONCE: Final = 50  # so that intermediate results stay in the processor's cache


def feature_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features for some settings, in the order of `compute_features`."""
    return _plan(settings).features


def compute_features(
    companies: pd.DataFrame, usage: pd.DataFrame, as_ofs: pd.DatetimeIndex, settings: FeatureSettings
) -> np.ndarray:
    """Compute every feature of a chunk of companies at each ``as_of``.

    Parameters
    ----------
    companies
        One row a company: ``id`` (increasing), ``ALEXA_RANK``, ``unranked``, ``size``, ``sector`` as
        `conversion.data.firmographics.with_firmographics` returns them.
    usage
        Usage rows of these companies (``id``, ``WHEN_TIMESTAMP``, the eight counts), at most one a company
        and week, in any order; rows not known at an ``as_of`` do not enter its features.
    as_ofs
        Monday 00:00s.
    settings
        Windows and half-lives.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs, features)
        In the order of `feature_definitions`; NaN is "not known"; the sector is its position in
        `conversion.data.industries.SECTORS`.
    """
    weeks = week_number(as_ofs)
    usage_weeks = week_number(usage["WHEN_TIMESTAMP"])
    last = int(weeks.max())
    first = min(int(usage_weeks.min()) if len(usage) else last - 1, last - 1)
    block = usage_block(companies["id"].to_numpy(), usage, usage_weeks - first, last - first)
    # An as_of before the block's first week knows nothing: position 0.
    positions = np.maximum(weeks - first, 0)
    return features_of_block(_firmographics(companies), block, positions, settings)


def features_of_block(
    firmographics: Firmographics, block: np.ndarray, positions: np.ndarray, settings: FeatureSettings
) -> np.ndarray:
    """Compute every feature of a block of companies at each ``as_of``: the core, on arrays alone.

    Parameters
    ----------
    firmographics
        Of the companies.
    block
        float64, shape (companies, weeks, len(`usage_block.BLOCK_COLUMNS`)): counts, so whole numbers >= 0,
        of consecutive weeks, oldest first, the columns in the order of `usage_block.BLOCK_COLUMNS`. A week
        without a usage row is zero throughout. Weeks of zeros at the start change no bit of the result, so a
        block may begin at any company's first row or before. It may have any number of weeks, even none
        where no company has a row.
    positions
        int64, shape (as_ofs,), each from 0 to weeks: at position *t* the block's first *t* weeks are over,
        so known, and no later one is read. For a block that ends at ``as_of`` the position is ``weeks``.
    settings
        Windows and half-lives.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs, features)
        As from `compute_features`.

    Examples
    --------
    One company with a usage row (3 actions on contacts by 2 users) a week before the last, at ``as_of``:

    >>> from conversion.features.usage_block import BLOCK_COLUMNS
    >>> settings = FeatureSettings(windows=(1, 4), half_lives=(2,))
    >>> block = np.zeros((1, 2, len(BLOCK_COLUMNS)))
    >>> for column, count in {"ACTIONS_CRM_CONTACTS": 3, "USERS_CRM_CONTACTS": 2, "ROWS": 1}.items():
    ...     block[0, 0, BLOCK_COLUMNS.index(column)] = count
    >>> one = Firmographics(np.array([250.0]), np.array([0.0]), np.array([3.0]), np.array([0]))
    >>> values = features_of_block(one, block, np.array([2]), settings)
    >>> names = [feature.name for feature in feature_definitions(settings)]
    >>> row = dict(zip(names, values[0, 0].tolist(), strict=True))
    >>> row["actions_crm_contacts_1w"], row["actions_crm_contacts_4w"], row["recency_weeks"]
    (0.0, 3.0, 1.0)
    """
    plan = _plan(settings)
    values = np.empty((len(block), len(positions), len(plan.features)), dtype=np.float32)
    for start in range(0, len(block), _COMPANIES_AT_ONCE):
        some = slice(start, start + _COMPANIES_AT_ONCE)
        company = Firmographics(*(part[some, None] for part in firmographics))
        weeks = weekly_usage(block[some])
        usage = known_usage(weeks, positions)
        totals = lifetime_totals(usage)
        groups = (
            _window_values(window_usage(weeks, positions, plan), plan),
            moving_averages(weeks.users[..., -1], positions, plan),
            _side_by_side([compute(totals) for _, compute in TOTALS_FEATURES]),
            _side_by_side([compute(usage) for _, compute in USAGE_FEATURES]),
            _side_by_side([compute(company) for _, compute in FIRMOGRAPHIC_FEATURES]),
        )
        column = 0
        for features, group in zip(plan.groups, groups, strict=True):
            # Assignment alone does not check it: it would broadcast a single column over many.
            assert group.shape[2] == len(features), "each feature is one column"
            values[some, :, column : column + len(features)] = group
            column += len(features)
    return values


def summary_features(totals: LifetimeTotals, firmographics: Firmographics) -> np.ndarray:
    """Compute the features that can be known from lifetime totals and firmographics alone.

    Parameters
    ----------
    totals, firmographics
        Of the companies; arrays of length companies.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, features)
        In the order of `conversion.features.catalogue.SUMMARY_FEATURES`; otherwise as from
        `compute_features`.
    """
    usage = [compute(totals) for _, compute in TOTALS_FEATURES]
    company = [compute(firmographics) for _, compute in FIRMOGRAPHIC_FEATURES]
    # For one company faster than `_side_by_side`.
    return np.array([*usage, *company], dtype=np.float32).T


def feature_frame(values: np.ndarray, settings: FeatureSettings) -> pd.DataFrame:
    """Return feature rows as a frame with the features' names.

    Parameters
    ----------
    values
        float32, shape (rows, features), from `compute_features`.

    Returns
    -------
    pandas.DataFrame
        float32 columns, and the sector as a categorical.
    """
    frame = pd.DataFrame(values, columns=[feature.name for feature in feature_definitions(settings)])
    codes = frame["sector"].to_numpy(dtype=np.int8)
    frame["sector"] = pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(SECTORS))
    return frame


def _firmographics(companies: pd.DataFrame) -> Firmographics:
    alexa_rank, unranked, size = (
        companies[column].to_numpy(dtype=np.float64) for column in ("ALEXA_RANK", "unranked", "size")
    )
    return Firmographics(alexa_rank, unranked, size, companies["sector"].cat.codes.to_numpy())


def _window_values(inside: WindowUsage, plan: Plan) -> np.ndarray:
    values = _side_by_side([windowed.compute(inside) for windowed in WINDOWED])
    companies, as_ofs, windows, columns = values.shape
    return values.reshape(companies, as_ofs, windows * columns).take(plan.windowed, axis=2)


def _side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Stack columns on a new last axis, as float32."""
    return np.concatenate(
        [column[..., None] for column in columns], axis=-1, dtype=np.float32, casting="same_kind"
    )


@lru_cache
def _plan(settings: FeatureSettings) -> Plan:
    windows = settings.windows
    windowed = window_definitions(windows)
    groups = (
        tuple(feature for feature in windowed if feature is not None),
        tuple(average_definition(half_life) for half_life in settings.half_lives),
        tuple(feature for feature, _ in TOTALS_FEATURES),
        tuple(feature for feature, _ in USAGE_FEATURES),
        tuple(feature for feature, _ in FIRMOGRAPHIC_FEATURES),
    )
    levels = max(windows).bit_length()
    early = [window - 2 ** (window.bit_length() - 1) for window in windows]
    return Plan(
        groups=groups,
        features=tuple(feature for group in groups for feature in group),
        windowed=np.array([place for place, feature in enumerate(windowed) if feature is not None]),
        window_weeks=np.array([*windows, EVER]),
        window_levels=np.array([*(window.bit_length() - 1 for window in windows), levels]),
        cover_weeks=np.array([[0] * (len(windows) + 1), [*early, 0]]),
        levels=levels,
        decays=power(0.5, 1.0 / np.array(settings.half_lives)),
    )
