"""The one definition of every feature, for batch, distributed and online use alike.

Features are computed on a block *companies x weeks x measures*. All companies of a chunk and all ``as_of``
weeks come out at once; one company online is a chunk of one. At ``as_of`` only weeks that are over are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from conversion.companies import SECTORS
from conversion.schemas import ACTIONS, MEASURES, MODULES, UNRANKED
from conversion.snapshots import week_number

Kind = Literal["count", "duration", "change", "share", "flag", "ordinal", "category"]

TREND_WEEKS: Final = 13
ACCELERATION_WEEKS: Final = 4


@dataclass(frozen=True)
class Feature:
    """What one feature is.

    Attributes
    ----------
    name
        Column name in the feature frame.
    description
        What it measures, in plain words.
    unit
        Unit of its values.
    window
        Weeks before ``as_of`` that it looks at, ``lifetime``, or ``-`` for firmographics.
    kind
        How a model may treat it: counts, durations and shares are non-negative and heavy-tailed.
    monotone
        Direction in which a higher value may move the probability: 1, -1, or 0 for either.
    """

    name: str
    description: str
    unit: str
    window: str
    kind: Kind
    monotone: Literal[-1, 0, 1]


@dataclass(frozen=True)
class FeatureSettings:
    """The params that features depend on: ``windows`` and ``half_lives``, in weeks."""

    windows: tuple[int, ...]
    half_lives: tuple[int, ...]


Defined = tuple[Feature, np.ndarray]


def feature_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """List the features that the settings give, in the order of `compute_features`."""
    nobody = pd.DataFrame({"id": pd.Series(dtype=np.int64), "sector": pd.Categorical([], list(SECTORS))})
    nobody = nobody.assign(ALEXA_RANK=np.nan, unranked=np.nan, size=np.nan)
    block = np.zeros((0, 1, len(MEASURES) + 1))
    defined = _all_features(nobody, block, np.array([1]), settings)
    return tuple(feature for feature, _ in defined)


def compute_features(
    companies: pd.DataFrame, usage: pd.DataFrame, as_ofs: pd.DatetimeIndex, settings: FeatureSettings
) -> np.ndarray:
    """Compute every feature of a chunk of companies at each ``as_of``.

    Parameters
    ----------
    companies
        One row a company: ``id`` (increasing), ``ALEXA_RANK``, ``unranked``, ``size``, ``sector`` as
        `conversion.companies.with_firmographics` gives them.
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
        `conversion.companies.SECTORS`.
    """
    weeks = week_number(as_ofs)
    usage_weeks = week_number(usage["WHEN_TIMESTAMP"])
    last = int(weeks.max())
    first = min(int(usage_weeks.min()) if len(usage) else last - 1, last - 1)
    block = _usage_block(companies["id"].to_numpy(), usage, usage_weeks - first, last - first)
    # An as_of before the block's first week knows nothing: position 0.
    positions = np.maximum(weeks - first, 0)
    columns = [values for _, values in _all_features(companies, block, positions, settings)]
    shape = (len(companies), len(as_ofs))
    return np.stack([np.broadcast_to(values, shape).astype(np.float32) for values in columns], axis=-1)


def feature_frame(values: np.ndarray, settings: FeatureSettings) -> pd.DataFrame:
    """Name the columns of feature rows.

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


def _usage_block(ids: np.ndarray, usage: pd.DataFrame, positions: np.ndarray, weeks: int) -> np.ndarray:
    """Lay usage out as companies x weeks x (measures, rows); rows of later weeks are left out."""
    block = np.zeros((len(ids), weeks, len(MEASURES) + 1))
    known = positions < weeks
    row = np.searchsorted(ids, usage["id"].to_numpy()[known])
    block[row, positions[known], : len(MEASURES)] = usage[list(MEASURES)].to_numpy()[known]
    block[row, positions[known], len(MEASURES)] = 1.0
    return block


def _all_features(
    companies: pd.DataFrame, block: np.ndarray, at: np.ndarray, settings: FeatureSettings
) -> Iterator[Defined]:
    actions, users = block[:, :, : len(ACTIONS)], block[:, :, len(ACTIONS) : len(MEASURES)]
    rows = block[:, :, len(MEASURES)]
    active = (actions.sum(axis=2) + users.sum(axis=2)) > 0
    yield from _window_features(actions, users, active, at, settings.windows)
    yield from _ewm_features(users, at, settings.half_lives)
    yield from _total_features(actions, users, rows, at)
    yield from _timing_features(rows, active, at)
    yield from _shape_features(actions, at)
    yield from _firmographic_features(companies)


def _window_features(
    actions: np.ndarray, users: np.ndarray, active: np.ndarray, at: np.ndarray, windows: tuple[int, ...]
) -> Iterator[Defined]:
    summed = _cumulative(np.concatenate([actions, active[:, :, None]], axis=2))
    maxima = _doubling_maxima(users, max(windows))
    lifetime_maximum = np.maximum.accumulate(_shifted(users), axis=1)
    for window in (*windows, None):
        if window is None:
            sums, users_max, suffix, text = summed[:, at], lifetime_maximum[:, at], "lifetime", "lifetime"
        else:
            sums = summed[:, at] - summed[:, np.maximum(at - window, 0)]
            users_max, suffix, text = _window_maximum(maxima, at, window), f"{window}w", str(window)
        by_module, active_weeks = sums[:, :, : len(ACTIONS)], sums[:, :, len(ACTIONS)]
        for index, module in enumerate(MODULES):
            low = module.lower()
            yield (
                Feature(f"actions_{low}_{suffix}", f"actions in {module}", "actions", text, "count", 1),
                by_module[:, :, index],
            )
            yield (
                Feature(
                    f"users_max_{low}_{suffix}",
                    f"most users of a week in {module}",
                    "users",
                    text,
                    "count",
                    1,
                ),
                users_max[:, :, index],
            )
        if window is not None:
            yield (
                Feature(f"actions_{suffix}", "actions in all modules", "actions", text, "count", 1),
                by_module.sum(axis=2),
            )
        yield (
            Feature(f"users_max_{suffix}", "most users of a week in any module", "users", text, "count", 1),
            users_max.max(axis=2),
        )
        yield (
            Feature(f"active_weeks_{suffix}", "weeks with an action or a user", "weeks", text, "count", 1),
            active_weeks,
        )
        yield (
            Feature(f"modules_used_{suffix}", "modules with an action", "modules", text, "count", 1),
            (by_module > 0).sum(axis=2),
        )


def _ewm_features(users: np.ndarray, at: np.ndarray, half_lives: tuple[int, ...]) -> Iterator[Defined]:
    weekly = _shifted(users.max(axis=2)[:, :, None])[:, :, 0]
    for half_life in half_lives:
        decay = 0.5 ** (1.0 / half_life)
        average = np.zeros_like(weekly)
        for week in range(1, weekly.shape[1]):
            average[:, week] = decay * average[:, week - 1] + (1 - decay) * weekly[:, week]
        name = f"users_ewm_{half_life}w"
        description = f"users a week, exponentially weighted, half-life {half_life} weeks"
        yield Feature(name, description, "users", "lifetime", "count", 1), average[:, at]


def _total_features(
    actions: np.ndarray, users: np.ndarray, rows: np.ndarray, at: np.ndarray
) -> Iterator[Defined]:
    total_actions = _cumulative(actions.sum(axis=2))[:, at]
    total_users = _cumulative(users.sum(axis=2))[:, at]
    total_rows = _cumulative(rows)[:, at]
    first, last = _first_week(rows > 0, at), _last_week(rows > 0, at)
    days_active = 7.0 * (last - first)
    yield (
        Feature("total_actions", "actions in all modules", "actions", "lifetime", "count", 1),
        total_actions,
    )
    yield (
        Feature("total_users", "weekly users summed over weeks and modules", "users", "lifetime", "count", 1),
        total_users,
    )
    yield (
        Feature("days_active", "last minus first day with a usage row", "days", "lifetime", "duration", 0),
        days_active,
    )
    yield (
        Feature("activity_frequency", "usage rows over days_active + 1", "1/day", "lifetime", "share", 0),
        total_rows / (days_active + 1.0),
    )
    yield (
        Feature("actions_per_user", "total_actions over total_users", "actions", "lifetime", "share", 0),
        _ratio(total_actions, total_users),
    )
    yield Feature("seen", "has a usage row", "0 or 1", "lifetime", "flag", 1), total_rows > 0


def _timing_features(rows: np.ndarray, active: np.ndarray, at: np.ndarray) -> Iterator[Defined]:
    yield (
        Feature(
            "recency_weeks", "weeks since the last active week was over", "weeks", "lifetime", "duration", -1
        ),
        at - 1 - _last_week(active, at),
    )
    yield (
        Feature(
            "tenure_weeks", "weeks since the first active week began", "weeks", "lifetime", "duration", 0
        ),
        at - _first_week(active, at),
    )
    yield (
        Feature(
            "weeks_since_first_seen",
            "weeks since the first usage row's week",
            "weeks",
            "lifetime",
            "duration",
            0,
        ),
        at - _first_week(rows > 0, at),
    )


def _shape_features(actions: np.ndarray, at: np.ndarray) -> Iterator[Defined]:
    cumulative = _cumulative(actions.sum(axis=2))
    now, half = at, np.maximum(at - ACCELERATION_WEEKS, 0)
    before = np.maximum(at - 2 * ACCELERATION_WEEKS, 0)
    recent, earlier = cumulative[:, now] - cumulative[:, half], cumulative[:, half] - cumulative[:, before]
    yield (
        Feature(
            "acceleration",
            "log(1 + actions of the last 4 weeks) minus the same of the 4 before",
            "log ratio",
            str(2 * ACCELERATION_WEEKS),
            "change",
            0,
        ),
        np.log1p(recent) - np.log1p(earlier),
    )
    yield (
        Feature(
            "trend",
            "slope of log(1 + actions) over weeks, least squares",
            "log/week",
            str(TREND_WEEKS),
            "change",
            0,
        ),
        _trend(np.log1p(actions.sum(axis=2)), at),
    )
    by_module = _cumulative(actions)[:, at]
    yield (
        Feature(
            "module_entropy", "entropy of the shares of actions by module", "nats", "lifetime", "share", 0
        ),
        _entropy(by_module),
    )


def _firmographic_features(companies: pd.DataFrame) -> Iterator[Defined]:
    unranked = companies["unranked"].to_numpy(dtype=np.float64)
    rank = companies["ALEXA_RANK"].to_numpy(dtype=np.float64)
    rank = np.where(unranked == 1.0, UNRANKED, rank)
    sector = companies["sector"].cat.codes.to_numpy()
    yield (
        Feature(
            "log_alexa_rank", "log of the Alexa rank (unranked: 16000001)", "log rank", "-", "ordinal", -1
        ),
        np.log(rank)[:, None],
    )
    yield Feature("unranked", "Alexa did not rank the site", "0 or 1", "-", "flag", 0), unranked[:, None]
    yield (
        Feature("size", "employee range, 1 (one) to 9 (10,001 or more)", "range", "-", "ordinal", 0),
        companies["size"].to_numpy(dtype=np.float64)[:, None],
    )
    yield Feature("sector", "sector of the industry", "sector", "-", "category", 0), sector[:, None]


def _shifted(series: np.ndarray) -> np.ndarray:
    """Put a zero week first: at position t stands week t - 1, the last one known at t."""
    return np.concatenate([np.zeros_like(series[:, :1]), series], axis=1)


def _cumulative(series: np.ndarray) -> np.ndarray:
    """Sum all weeks before each position; exact for counts."""
    return np.cumsum(_shifted(series), axis=1, dtype=np.float64)


def _doubling_maxima(series: np.ndarray, longest: int) -> list[np.ndarray]:
    """Give, for each power of two up to ``longest``, the maximum of so many weeks before each position."""
    maxima = [_shifted(series)]
    while 2 ** len(maxima) <= longest:
        weeks = 2 ** (len(maxima) - 1)
        wider = maxima[-1].copy()
        wider[:, weeks:] = np.maximum(wider[:, weeks:], maxima[-1][:, :-weeks])
        maxima.append(wider)
    return maxima


def _window_maximum(maxima: list[np.ndarray], at: np.ndarray, window: int) -> np.ndarray:
    """Cover a window by two overlapping power-of-two windows."""
    level = window.bit_length() - 1
    earlier = np.maximum(at - (window - 2**level), 0)
    return np.asarray(np.maximum(maxima[level][:, at], maxima[level][:, earlier]))


def _last_week(happened: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Find the last week before each position in which something happened; NaN for none."""
    weeks = np.where(happened, np.arange(happened.shape[1])[None, :], -1)
    none = np.full((len(happened), 1), -1)
    last = np.maximum.accumulate(np.concatenate([none, weeks], axis=1), axis=1)[:, at]
    return np.where(last < 0, np.nan, last)


def _first_week(happened: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Find the first week before each position in which something happened; NaN for none."""
    weeks = happened.shape[1]
    first = np.where(happened.any(axis=1), happened.argmax(axis=1), weeks)[:, None]
    return np.where(first < at[None, :], first, np.nan)


def _trend(series: np.ndarray, at: np.ndarray) -> np.ndarray:
    # Summed week by week, not by differences of running sums: the same terms in the same order whatever
    # the block's first week is, so one company online gets the same bits as in a chunk.
    slots = np.arange(TREND_WEEKS) - (TREND_WEEKS - 1) / 2
    padded = np.concatenate([np.zeros((len(series), TREND_WEEKS)), series], axis=1)
    slope = np.zeros((len(series), len(at)))
    for slot, weight in enumerate(slots):
        slope += weight * padded[:, at + slot]
    return np.asarray(slope / (slots**2).sum())


def _entropy(amounts: np.ndarray) -> np.ndarray:
    total = amounts.sum(axis=2, keepdims=True)
    share = amounts / np.where(total > 0, total, 1.0)
    return np.asarray(-(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=2))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), 0.0)
