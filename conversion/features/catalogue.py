"""Every feature beside the expression that computes it, in the order of the columns.

A feature's table says what it is computed from: usage in windows, lifetime totals, all known usage, or
firmographics. The features of totals and firmographics are those that a summary has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from conversion.config.contract import MODULES, UNKNOWN_SECTOR, UNRANKED
from conversion.data.firmographics import Firmographics
from conversion.data.industries import SECTORS
from conversion.features.definitions import Feature, LifetimeTotals
from conversion.features.usage_block import ACCELERATION_WEEKS, TREND_WEEKS, Counted, KnownUsage, WindowUsage
from conversion.stats.portable_math import log, log1p

_TREND_SLOTS: Final = np.arange(TREND_WEEKS) - (TREND_WEEKS - 1) / 2
_TREND_SQUARES: Final = float((_TREND_SLOTS**2).sum())


class _Windowed(NamedTuple):
    """A feature for each window and, unless ``lifetime`` is false, for the lifetime."""

    name: str
    description: str
    unit: str
    compute: Callable[[WindowUsage], np.ndarray]
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


WINDOWED: Final = (
    *(windowed for place, module in enumerate(MODULES) for windowed in _windowed_of_module(place, module)),
    # For the lifetime that is total_actions.
    _Windowed(
        "actions",
        "actions in all modules",
        "actions",
        lambda inside: inside.sums[..., Counted.ACTIONS],
        lifetime=False,
    ),
    _Windowed("users_max", "most users of a week in any module", "users", lambda inside: inside.users_max),
    _Windowed(
        "active_weeks",
        "weeks with an action or a user",
        "weeks",
        lambda inside: inside.sums[..., Counted.ACTIVE],
    ),
    _Windowed(
        "modules_used",
        "modules with an action",
        "modules",
        lambda inside: (inside.sums[..., Counted.BY_MODULE] > 0).sum(axis=-1),
    ),
)


def window_definitions(windows: tuple[int, ...]) -> tuple[Feature | None, ...]:
    """Return `WINDOWED` window by window, the lifetime last; None in place of a lifetime that is left out."""
    return tuple(
        windowed.feature(window) if windowed.lifetime or window is not None else None
        for window in (*windows, None)
        for windowed in WINDOWED
    )


def average_definition(half_life: int) -> Feature:
    """Return the feature of exponentially weighted users with one half-life, in weeks."""
    description = f"users a week, exponentially weighted, half-life {half_life} weeks"
    return Feature(f"users_ewm_{half_life}w", description, "users", "lifetime", "count", 1)


def _actions_per_user(totals: LifetimeTotals) -> np.ndarray:
    # Without users it is 0, not 0 / 0; NaN where the users are not known, as 0 * NaN is.
    return np.where(totals.users > 0, totals.actions / np.maximum(totals.users, 1.0), 0.0 * totals.users)


def _trend(usage: KnownUsage) -> np.ndarray:
    # Summed term by term, not by differences of running sums: the same terms in the same order whatever
    # the block's first week is, so one company online gets the same bits as in a chunk.
    slope = (usage.log_actions * _TREND_SLOTS).cumsum(axis=2)[..., -1]
    return np.asarray(slope / _TREND_SQUARES)


def _module_entropy(usage: KnownUsage) -> np.ndarray:
    actions = usage.totals[..., Counted.ACTIONS]
    share = usage.totals[..., Counted.BY_MODULE] / np.maximum(actions, 1.0)[..., None]
    return np.asarray(-(share * log(np.where(share > 0, share, 1.0))).sum(axis=2))


def _log_alexa_rank(company: Firmographics) -> np.ndarray:
    return np.asarray(log(np.where(company.unranked == 1.0, UNRANKED, company.alexa_rank)))


TOTALS_FEATURES: Final[tuple[tuple[Feature, Callable[[LifetimeTotals], np.ndarray]], ...]] = (
    (
        Feature("total_actions", "actions in all modules", "actions", "lifetime", "count", 1),
        lambda totals: totals.actions,
    ),
    (
        Feature("total_users", "weekly users summed over weeks and modules", "users", "lifetime", "count", 1),
        lambda totals: totals.users,
    ),
    (
        Feature("days_active", "last minus first day with a usage row", "days", "lifetime", "duration", 0),
        lambda totals: totals.days_active,
    ),
    (
        Feature("activity_frequency", "usage rows over days_active + 1", "1/day", "lifetime", "share", 0),
        lambda totals: totals.activity_frequency,
    ),
    (
        Feature("actions_per_user", "total_actions over total_users", "actions", "lifetime", "share", 0),
        _actions_per_user,
    ),
    (
        Feature("seen", "has a usage row", "0 or 1", "lifetime", "flag", 1),
        lambda totals: totals.seen,
    ),
)
USAGE_FEATURES: Final[tuple[tuple[Feature, Callable[[KnownUsage], np.ndarray]], ...]] = (
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
FIRMOGRAPHIC_FEATURES: Final[tuple[tuple[Feature, Callable[[Firmographics], np.ndarray]], ...]] = (
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
SUMMARY_FEATURES: Final = tuple(feature for feature, _ in (*TOTALS_FEATURES, *FIRMOGRAPHIC_FEATURES))
"""The features that can be known from lifetime totals and firmographics alone."""
