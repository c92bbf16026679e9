"""The one definition of every feature, for batch, distributed and online use alike.

Features are computed on a block *companies x weeks x measures*. All companies of a chunk and all ``as_of``
weeks come out at once; one company online is a chunk of one. At ``as_of`` only weeks that are over are read.
Each feature stands beside the expression that computes it, in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from conversion.config.contract import ACTIONS, MEASURES, MODULES, UNKNOWN_SECTOR, UNRANKED, USERS
from conversion.data.firmographics import SECTORS
from conversion.data.timeline import week_number
from conversion.stats.portable_math import log, log1p, power

Kind = Literal["count", "duration", "change", "share", "flag", "ordinal", "category"]
Group = Literal["usage", "firmographics", "missingness"]

TREND_WEEKS: Final = 13
ACCELERATION_WEEKS: Final = 4

ROWS: Final = "ROWS"
BLOCK_COLUMNS: Final = (*MEASURES, ROWS)
"""Last axis of a usage block, a week's measures and 1 if the week has a usage row (even one of zeros)."""

_COMPANIES_AT_ONCE: Final = 50  # so that what is computed on the way stays in the processor's cache
_EVER: Final = 1 << 31  # weeks: longer than any usage
_ACCELERATION_BACK: Final = np.array([0, 1, 2]) * ACCELERATION_WEEKS
_TREND_BACK: Final = np.arange(TREND_WEEKS)[::-1]
_TREND_SLOTS: Final = np.arange(TREND_WEEKS) - (TREND_WEEKS - 1) / 2
_TREND_SQUARES: Final = float((_TREND_SLOTS**2).sum())


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
    group
        What it is made of; params.yaml's ``features.groups`` switches groups on and off.
    """

    name: str
    description: str
    unit: str
    window: str
    kind: Kind
    monotone: Literal[-1, 0, 1]
    group: Group = "usage"


@dataclass(frozen=True)
class FeatureSettings:
    """The params that features depend on: ``windows`` and ``half_lives``, in weeks."""

    windows: tuple[int, ...]
    half_lives: tuple[int, ...]


class Firmographics(NamedTuple):
    """What features read of companies themselves; arrays of length companies.

    Attributes
    ----------
    alexa_rank
        NaN where unranked or missing.
    unranked
        1.0 where Alexa did not rank the site, 0.0 where it did, NaN where missing.
    size
        Employee range, 1.0 (one) to 9.0 (10,001 or more), NaN where missing.
    sector
        Position in `conversion.data.firmographics.SECTORS`.
    """

    alexa_rank: np.ndarray
    unranked: np.ndarray
    size: np.ndarray
    sector: np.ndarray


def feature_definitions(settings: FeatureSettings) -> tuple[Feature, ...]:
    """List the features that the settings give, in the order of `compute_features`."""
    return _plan(settings).features


def compute_features(
    companies: pd.DataFrame, usage: pd.DataFrame, as_ofs: pd.DatetimeIndex, settings: FeatureSettings
) -> np.ndarray:
    """Compute every feature of a chunk of companies at each ``as_of``.

    Parameters
    ----------
    companies
        One row a company: ``id`` (increasing), ``ALEXA_RANK``, ``unranked``, ``size``, ``sector`` as
        `conversion.data.firmographics.with_firmographics` gives them.
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
        `conversion.data.firmographics.SECTORS`.
    """
    weeks = week_number(as_ofs)
    usage_weeks = week_number(usage["WHEN_TIMESTAMP"])
    last = int(weeks.max())
    first = min(int(usage_weeks.min()) if len(usage) else last - 1, last - 1)
    block = _usage_block(companies["id"].to_numpy(), usage, usage_weeks - first, last - first)
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
        float64, shape (companies, weeks, len(`BLOCK_COLUMNS`)): counts, so whole numbers >= 0, of consecutive
        weeks, oldest first, the columns in the order of `BLOCK_COLUMNS`. A week without a usage row is zero
        throughout. Weeks of zeros at the start change no bit of the result, so a block may begin at any
        company's first row or before, and has any number of weeks, even none, where nobody has a row.
    positions
        int64, shape (as_ofs,), each from 0 to weeks: at position *t* the block's first *t* weeks are over,
        so known, and no later one is read. A block that ends at ``as_of`` has it at position ``weeks``.
    settings
        Windows and half-lives.

    Returns
    -------
    numpy.ndarray of float32, shape (companies, as_ofs, features)
        As from `compute_features`.

    Examples
    --------
    One company with a usage row (3 actions on contacts by 2 users) a week before the last, at ``as_of``:

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
        weeks = _weeks(block[some])
        usage = _usage(weeks, positions)
        groups = (
            _window_values(_inside(weeks, positions, plan), plan),
            _average_values(weeks.users[..., -1], positions, plan),
            _side_by_side([compute(usage) for _, compute in _USAGE]),
            _side_by_side([compute(company) for _, compute in _FIRMOGRAPHIC]),
        )
        column = 0
        for features, group in zip(plan.groups, groups, strict=True):
            # Assigning alone would not do: it spreads a single column over many.
            assert group.shape[2] == len(features), "each feature is one column"
            values[some, :, column : column + len(features)] = group
            column += len(features)
    return values


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


def _firmographics(companies: pd.DataFrame) -> Firmographics:
    alexa_rank, unranked, size = (
        companies[column].to_numpy(dtype=np.float64) for column in ("ALEXA_RANK", "unranked", "size")
    )
    return Firmographics(alexa_rank, unranked, size, companies["sector"].cat.codes.to_numpy())


def _usage_block(ids: np.ndarray, usage: pd.DataFrame, positions: np.ndarray, weeks: int) -> np.ndarray:
    """Lay usage out as companies x weeks x `BLOCK_COLUMNS`; rows of later weeks are left out."""
    block = np.zeros((len(ids), weeks, len(BLOCK_COLUMNS)))
    known = positions < weeks
    row = np.searchsorted(ids, usage["id"].to_numpy()[known])
    block[row, positions[known], : len(MEASURES)] = usage[list(MEASURES)].to_numpy()[known]
    block[row, positions[known], len(MEASURES)] = 1.0
    return block


# What the features are computed from


class _Count:
    """Places on the last axis of what is counted in a week, and of its sums over weeks."""

    BY_MODULE: Final = slice(0, len(MODULES))  # actions
    ACTIONS, USERS, ACTIVE, ROWS = range(len(MODULES), len(MODULES) + 4)
    ACTIVE_AND_ROWS: Final = slice(ACTIVE, ROWS + 1)


# Which columns of a block each count is the sum of; what makes a week active is any measure.
_COUNTED: Final = np.array(
    [
        [
            *(name == action for action in ACTIONS),
            name in ACTIONS,
            name in USERS,
            name in MEASURES,
            name == ROWS,
        ]
        for name in BLOCK_COLUMNS
    ],
    dtype=np.float64,
)


class _Weeks(NamedTuple):
    """Usage by position: at position t stands week t - 1, the last one known at t; at 0 a week of zeros."""

    counts: np.ndarray  # (companies, positions, `_Count`)
    sums: np.ndarray  # the counts of all weeks up to the position
    users: np.ndarray  # (companies, positions, modules + 1), users by module, then the most of any module


class _Inside(NamedTuple):
    """Usage inside each window and, last, the lifetime; shape (companies, as_ofs, windows + 1)."""

    sums: np.ndarray  # (..., `_Count`)
    users_max_by_module: np.ndarray  # (..., modules)
    users_max: np.ndarray


class _Usage(NamedTuple):
    """Usage known at each ``as_of``; shape (companies, as_ofs) unless noted."""

    at: np.ndarray  # (as_ofs,), the positions
    totals: np.ndarray  # (..., `_Count`)
    first_active: np.ndarray  # position at which the first active week was over; NaN for none
    last_active: np.ndarray
    first_row: np.ndarray  # the same of weeks with a usage row
    last_row: np.ndarray
    recent: np.ndarray  # actions of the last ACCELERATION_WEEKS
    earlier: np.ndarray  # actions of as many weeks before
    log_actions: np.ndarray  # (companies, as_ofs, TREND_WEEKS), log(1 + actions) of each week, oldest first


def _weeks(block: np.ndarray) -> _Weeks:
    companies, weeks, _ = block.shape
    counts = np.zeros((companies, weeks + 1, _COUNTED.shape[1]))
    np.matmul(block, _COUNTED, out=counts[:, 1:])  # exact: sums of whole numbers
    counts[..., _Count.ACTIVE] = counts[..., _Count.ACTIVE] > 0
    users = np.zeros((companies, weeks + 1, len(MODULES) + 1))
    by_module = users[:, 1:, :-1]
    by_module[:] = block[:, :, len(ACTIONS) : len(MEASURES)]
    by_module.max(axis=2, out=users[:, 1:, -1])
    return _Weeks(counts, counts.cumsum(axis=1), users)


def _inside(weeks: _Weeks, at: np.ndarray, plan: _Plan) -> _Inside:
    begin = weeks.sums.take(_back(at, plan.window_weeks), axis=1)
    sums = weeks.sums.take(at, axis=1)[:, :, None] - begin
    users_max = _maxima(weeks.users, at, plan)
    return _Inside(sums, users_max[..., :-1], users_max[..., -1])


def _usage(weeks: _Weeks, at: np.ndarray) -> _Usage:
    happened = weeks.counts[..., _Count.ACTIVE_AND_ROWS] > 0
    (first_active, first_row), (last_active, last_row) = _first_and_last(happened, at)
    actions = weeks.sums[..., _Count.ACTIONS].take(_back(at, _ACCELERATION_BACK), axis=1)
    now, half, before = actions.transpose(2, 0, 1)
    return _Usage(
        at=at,
        totals=weeks.sums.take(at, axis=1),
        first_active=first_active,
        last_active=last_active,
        first_row=first_row,
        last_row=last_row,
        recent=now - half,
        earlier=half - before,
        log_actions=log1p(weeks.counts[..., _Count.ACTIONS]).take(_back(at, _TREND_BACK), axis=1),
    )


def _back(at: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """Go back so many weeks from each position, at most to 0; shape (positions, *weeks)."""
    return np.asarray(np.maximum(at.reshape(-1, *(1,) * weeks.ndim) - weeks, 0))


def _first_and_last(happened: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the first and the last position up to each ``at`` at which something happened; NaN for none.

    ``happened`` has shape (companies, positions, things), the results (things, companies, as_ofs).
    """
    positions = np.arange(happened.shape[1])[:, None]
    last = np.maximum.accumulate(happened * positions, axis=1).take(at, axis=1)
    never = last == 0  # nothing happens at position 0
    first = np.where(never, np.nan, happened.argmax(axis=1)[:, None])
    return first.transpose(2, 0, 1), np.where(never, np.nan, last).transpose(2, 0, 1)


def _maxima(users: np.ndarray, at: np.ndarray, plan: _Plan) -> np.ndarray:
    """Give the maxima inside each window and, last, the lifetime.

    The shape is (companies, as_ofs, windows + 1, columns of ``users``).

    A window is covered by two overlapping ones whose length is a power of two; for each power (a level) the
    maxima of all positions come from the level before.
    """
    companies, positions, columns = users.shape
    maxima = np.empty((companies, plan.levels + 1, positions, columns))
    maxima[:, 0] = users
    for level in range(1, plan.levels):
        half = 2 ** (level - 1)
        narrow, wide = maxima[:, level - 1], maxima[:, level]
        wide[:, :half] = narrow[:, :half]
        np.maximum(narrow[:, half:], narrow[:, :-half], out=wide[:, half:])
    np.maximum.accumulate(users, axis=1, out=maxima[:, plan.levels])
    by_place = maxima.reshape(companies, (plan.levels + 1) * positions, columns)
    place = _back(at, plan.cover_weeks) + plan.window_levels * positions
    late, early = by_place.take(place, axis=1).transpose(2, 0, 1, 3, 4)
    return np.asarray(np.maximum(late, early))


# The features, each beside its computation, in the order of the columns


class _Windowed(NamedTuple):
    """A feature of each window and, unless ``lifetime`` is false, of the lifetime."""

    name: str
    description: str
    unit: str
    compute: Callable[[_Inside], np.ndarray]
    lifetime: bool = True

    def feature(self, window: int | None) -> Feature:
        suffix, text = ("lifetime", "lifetime") if window is None else (f"{window}w", str(window))
        return Feature(f"{self.name}_{suffix}", self.description, self.unit, text, "count", 1)


def _windowed_of_module(place: int, module: str) -> tuple[_Windowed, _Windowed]:
    low = module.lower()
    return (
        _Windowed(
            f"actions_{low}",
            f"actions in {module}",
            "actions",
            lambda inside: inside.sums[..., place],
        ),
        _Windowed(
            f"users_max_{low}",
            f"most users of a week in {module}",
            "users",
            lambda inside: inside.users_max_by_module[..., place],
        ),
    )


_WINDOWED: Final = (
    *(windowed for place, module in enumerate(MODULES) for windowed in _windowed_of_module(place, module)),
    # Of the lifetime it is total_actions.
    _Windowed(
        "actions",
        "actions in all modules",
        "actions",
        lambda inside: inside.sums[..., _Count.ACTIONS],
        lifetime=False,
    ),
    _Windowed("users_max", "most users of a week in any module", "users", lambda inside: inside.users_max),
    _Windowed(
        "active_weeks",
        "weeks with an action or a user",
        "weeks",
        lambda inside: inside.sums[..., _Count.ACTIVE],
    ),
    _Windowed(
        "modules_used",
        "modules with an action",
        "modules",
        lambda inside: (inside.sums[..., _Count.BY_MODULE] > 0).sum(axis=-1),
    ),
)


def _window_definitions(windows: tuple[int, ...]) -> tuple[Feature | None, ...]:
    """List `_WINDOWED` window by window, the lifetime last; None where that leaves a feature out."""
    return tuple(
        windowed.feature(window) if windowed.lifetime or window is not None else None
        for window in (*windows, None)
        for windowed in _WINDOWED
    )


def _window_values(inside: _Inside, plan: _Plan) -> np.ndarray:
    values = _side_by_side([windowed.compute(inside) for windowed in _WINDOWED])
    companies, as_ofs, windows, columns = values.shape
    return values.reshape(companies, as_ofs, windows * columns).take(plan.windowed, axis=2)


def _average_definition(half_life: int) -> Feature:
    description = f"users a week, exponentially weighted, half-life {half_life} weeks"
    return Feature(f"users_ewm_{half_life}w", description, "users", "lifetime", "count", 1)


def _average_values(users: np.ndarray, at: np.ndarray, plan: _Plan) -> np.ndarray:
    # Week by week: the same bits whatever the block's first week is. What a step reads lies side by side.
    averages = np.multiply(users.T[:, :, None], 1.0 - plan.decays, order="C")
    if len(users) == 1:
        # Python's floats are the same doubles, and a step of them costs far less than one of tiny arrays.
        for place, decay in enumerate(plan.decays.tolist()):
            averages[:, 0, place] = _decayed_sums(averages[:, 0, place].tolist(), decay)
    else:
        decayed = np.empty_like(averages[0])
        for before, now in pairwise(averages):
            np.multiply(before, plan.decays, out=decayed)
            np.add(now, decayed, out=now)
    return np.asarray(averages.take(at, axis=0).transpose(1, 0, 2))


def _decayed_sums(weeks: list[float], decay: float) -> list[float]:
    return list(accumulate(weeks, lambda average, week: decay * average + week))


def _days_active(usage: _Usage) -> np.ndarray:
    return np.asarray(7.0 * (usage.last_row - usage.first_row))


def _actions_per_user(usage: _Usage) -> np.ndarray:
    actions, users = usage.totals[..., _Count.ACTIONS], usage.totals[..., _Count.USERS]
    return np.where(users > 0, actions / np.maximum(users, 1.0), 0.0)


def _trend(usage: _Usage) -> np.ndarray:
    # Summed one after the other, not by differences of running sums: the same terms in the same order
    # whatever the block's first week is, so one company online gets the same bits as in a chunk.
    slope = (usage.log_actions * _TREND_SLOTS).cumsum(axis=2)[..., -1]
    return np.asarray(slope / _TREND_SQUARES)


def _module_entropy(usage: _Usage) -> np.ndarray:
    actions = usage.totals[..., _Count.ACTIONS]
    share = usage.totals[..., _Count.BY_MODULE] / np.maximum(actions, 1.0)[..., None]
    return np.asarray(-(share * log(np.where(share > 0, share, 1.0))).sum(axis=2))


def _log_alexa_rank(company: Firmographics) -> np.ndarray:
    return np.asarray(log(np.where(company.unranked == 1.0, UNRANKED, company.alexa_rank)))


_USAGE: Final[tuple[tuple[Feature, Callable[[_Usage], np.ndarray]], ...]] = (
    (
        Feature("total_actions", "actions in all modules", "actions", "lifetime", "count", 1),
        lambda usage: usage.totals[..., _Count.ACTIONS],
    ),
    (
        Feature("total_users", "weekly users summed over weeks and modules", "users", "lifetime", "count", 1),
        lambda usage: usage.totals[..., _Count.USERS],
    ),
    (
        Feature("days_active", "last minus first day with a usage row", "days", "lifetime", "duration", 0),
        _days_active,
    ),
    (
        Feature("activity_frequency", "usage rows over days_active + 1", "1/day", "lifetime", "share", 0),
        lambda usage: usage.totals[..., _Count.ROWS] / (_days_active(usage) + 1.0),
    ),
    (
        Feature("actions_per_user", "total_actions over total_users", "actions", "lifetime", "share", 0),
        _actions_per_user,
    ),
    (
        Feature("seen", "has a usage row", "0 or 1", "lifetime", "flag", 1),
        lambda usage: usage.totals[..., _Count.ROWS] > 0,
    ),
    (
        Feature(
            "recency_weeks", "weeks since the last active week was over", "weeks", "lifetime", "duration", -1
        ),
        lambda usage: usage.at - usage.last_active,
    ),
    (
        Feature(
            "tenure_weeks", "weeks since the first active week began", "weeks", "lifetime", "duration", 0
        ),
        lambda usage: usage.at - (usage.first_active - 1.0),
    ),
    (
        Feature(
            "weeks_since_first_seen",
            "weeks since the first usage row's week",
            "weeks",
            "lifetime",
            "duration",
            0,
        ),
        lambda usage: usage.at - (usage.first_row - 1.0),
    ),
    (
        Feature(
            "acceleration",
            "log(1 + actions of the last 4 weeks) minus the same of the 4 before",
            "log ratio",
            str(2 * ACCELERATION_WEEKS),
            "change",
            0,
        ),
        lambda usage: log1p(usage.recent) - log1p(usage.earlier),
    ),
    (
        Feature(
            "trend",
            "slope of log(1 + actions) over weeks, least squares",
            "log/week",
            str(TREND_WEEKS),
            "change",
            0,
        ),
        _trend,
    ),
    (
        Feature(
            "module_entropy", "entropy of the shares of actions by module", "nats", "lifetime", "share", 0
        ),
        _module_entropy,
    ),
)

_FIRMOGRAPHIC: Final[tuple[tuple[Feature, Callable[[Firmographics], np.ndarray]], ...]] = (
    (
        Feature(
            "log_alexa_rank",
            "log of the Alexa rank (unranked: 16000001)",
            "log rank",
            "-",
            "ordinal",
            -1,
            "firmographics",
        ),
        _log_alexa_rank,
    ),
    (
        Feature("unranked", "Alexa did not rank the site", "0 or 1", "-", "flag", 0, "firmographics"),
        lambda company: company.unranked,
    ),
    (
        Feature(
            "size",
            "employee range, 1 (one) to 9 (10,001 or more)",
            "range",
            "-",
            "ordinal",
            0,
            "firmographics",
        ),
        lambda company: company.size,
    ),
    (
        Feature("sector", "sector of the industry", "sector", "-", "category", 0, "firmographics"),
        lambda company: company.sector,
    ),
    (
        Feature("alexa_missing", "the Alexa rank is missing", "0 or 1", "-", "flag", 0, "missingness"),
        lambda company: np.isnan(company.unranked),
    ),
    (
        Feature("size_missing", "the employee range is missing", "0 or 1", "-", "flag", 0, "missingness"),
        lambda company: np.isnan(company.size),
    ),
    (
        Feature("sector_missing", "no sector is known", "0 or 1", "-", "flag", 0, "missingness"),
        lambda company: company.sector == SECTORS.index(UNKNOWN_SECTOR),
    ),
)


def _side_by_side(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Stack columns on a new last axis, as float32."""
    return np.concatenate(
        [column[..., None] for column in columns], axis=-1, dtype=np.float32, casting="same_kind"
    )


# What follows from the settings alone, worked out once


class _Plan(NamedTuple):
    groups: tuple[tuple[Feature, ...], ...]
    features: tuple[Feature, ...]
    windowed: np.ndarray  # which columns of (windows and lifetime) x `_WINDOWED` are features
    # Of each window and, last, of the lifetime:
    window_weeks: np.ndarray  # its length
    window_levels: np.ndarray  # the level of `_maxima` that covers it
    cover_weeks: np.ndarray  # (2, windows + 1): how long before as_of the two parts of its cover end
    levels: int  # of `_maxima`, before the one of the lifetime
    decays: np.ndarray  # of each half-life, from week to week


@lru_cache
def _plan(settings: FeatureSettings) -> _Plan:
    windows = settings.windows
    windowed = _window_definitions(windows)
    groups = (
        tuple(feature for feature in windowed if feature is not None),
        tuple(_average_definition(half_life) for half_life in settings.half_lives),
        tuple(feature for feature, _ in _USAGE),
        tuple(feature for feature, _ in _FIRMOGRAPHIC),
    )
    levels = max(windows).bit_length()
    early = [window - 2 ** (window.bit_length() - 1) for window in windows]
    return _Plan(
        groups=groups,
        features=tuple(feature for group in groups for feature in group),
        windowed=np.array([place for place, feature in enumerate(windowed) if feature is not None]),
        window_weeks=np.array([*windows, _EVER]),
        window_levels=np.array([*(window.bit_length() - 1 for window in windows), levels]),
        cover_weeks=np.array([[0] * (len(windows) + 1), [*early, 0]]),
        levels=levels,
        decays=power(0.5, 1.0 / np.array(settings.half_lives)),
    )
