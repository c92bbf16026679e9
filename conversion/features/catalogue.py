"""Every feature of usage beside the expression that computes it, in the order of the columns.

A feature's table says what it is computed from: usage in windows, lifetime totals, or all known usage. The
arrays of an expression have the companies last. `conversion.features.attribute_catalogue` has the features of
attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, Literal, NamedTuple, TypeVar

import numpy as np

from conversion.config.attribute_names import label
from conversion.config.usage_contract import Measure
from conversion.features.definitions import Feature, FeatureSettings, LifetimeTotals
from conversion.features.facts import (
    ACTIONS,
    GROWTH,
    MODULES,
    PEOPLE,
    RECENCY,
    REGULARITY,
    TENURE,
    measure_fact,
    module_fact,
)
from conversion.features.usage_block import ACCELERATION_WEEKS, TREND_WEEKS, Counted, KnownUsage, WindowUsage
from conversion.stats.portable_math import log, log1p

Read = TypeVar("Read")
Needs = Literal["actions", "users", "modules"]
_TREND_SLOTS: Final = (np.arange(TREND_WEEKS) - (TREND_WEEKS - 1) / 2)[:, None]
_TREND_SQUARES: Final = float((_TREND_SLOTS**2).sum())


@dataclass(frozen=True)
class Computed(Generic[Read]):
    """A feature and its expression; ``needs`` says if it takes a module with users, or several modules."""

    feature: Feature
    compute: Callable[[Read], np.ndarray]
    needs: Needs = "actions"


class Windowed(NamedTuple):
    """A feature for each window and, unless ``lifetime`` is false, for the lifetime."""

    name: str
    description: str
    unit: str
    fact: str
    lifetime: bool = True
    module: str | None = None  # None: of all modules

    def feature(self, window: int | None) -> Feature:
        """Return the feature of one window; None is the lifetime."""
        suffix, text = _window(window)
        name = f"{self.name}_{suffix}"
        return Feature(name, self.description, self.unit, text, "count", 1, fact=self.fact)


class WindowedGroup(NamedTuple):
    """Columns of a window that are computed at once."""

    columns: tuple[Windowed, ...]
    # Shape (as_ofs, windows + 1, columns, companies), or without the axis of columns.
    compute: Callable[[WindowUsage], np.ndarray]
    needs: Needs = "actions"


_OF_ALL_MODULES: Final = (
    # For the lifetime that is total_actions.
    WindowedGroup(
        (Windowed("actions", "actions in {all modules}", "actions", ACTIONS, lifetime=False),),
        lambda inside: inside.sums[:, :, Counted.ACTIONS],
    ),
    WindowedGroup(
        (Windowed("users_max", "most users of a week in {any module}", "users", PEOPLE),),
        lambda inside: inside.users_max[:, :, -1],
        needs="users",
    ),
    WindowedGroup(
        (Windowed("active_weeks", "weeks with an action or a user", "weeks", REGULARITY),),
        lambda inside: inside.sums[:, :, Counted.ACTIVE],
    ),
    WindowedGroup(
        (Windowed("modules_used", "modules with an action", "modules", MODULES),),
        lambda inside: (inside.sums[:, :, Counted.BY_MODULE] > 0).sum(axis=2),
        needs="modules",
    ),
)


def _actions_per_user(totals: LifetimeTotals) -> np.ndarray:
    # Without users it is 0, not 0 / 0; NaN where the users are not known, as 0 * NaN is.
    users = totals.users
    ratio = np.divide(totals.actions, np.maximum(users, 1.0), out=0.0 * users, where=users > 0)
    return np.asarray(ratio)


def _acceleration(usage: KnownUsage) -> np.ndarray:
    recent, earlier = log1p(usage.recent).transpose(1, 0, 2)
    return np.asarray(recent - earlier)


def _trend(usage: KnownUsage) -> np.ndarray:
    # Summed term by term, not by differences of running sums: the same terms in the same order whatever
    # the block's first week is, so one company online gets the same bits as in a chunk.
    slope = (usage.log_actions * _TREND_SLOTS).cumsum(axis=1)[:, -1]
    return np.asarray(slope / _TREND_SQUARES)


def _module_entropy(usage: KnownUsage) -> np.ndarray:
    actions = usage.totals[:, Counted.ACTIONS]
    share = usage.totals[:, Counted.BY_MODULE] / np.maximum(actions, 1.0)[:, None]
    # Module by module: in what order a sum over an axis adds depends on how many companies there are.
    return np.asarray(-(share * log(np.where(share > 0, share, 1.0))).cumsum(axis=1)[:, -1])


TOTALS_FEATURES: Final[tuple[Computed[LifetimeTotals], ...]] = (
    Computed(
        Feature("total_actions", "actions in {all modules}", "actions", "lifetime", "count", 1, fact=ACTIONS),
        lambda totals: totals.actions,
    ),
    Computed(
        Feature(
            "total_users",
            "weekly users summed over weeks and modules",
            "users",
            "lifetime",
            "count",
            1,
            fact=PEOPLE,
        ),
        lambda totals: totals.users,
        needs="users",
    ),
    Computed(
        Feature(
            "days_active",
            "last minus first day with a usage row",
            "days",
            "lifetime",
            "duration",
            0,
            fact=REGULARITY,
        ),
        lambda totals: totals.days_active,
    ),
    Computed(
        Feature(
            "activity_frequency",
            "usage rows over days_active + 1",
            "1/day",
            "lifetime",
            "share",
            0,
            fact=REGULARITY,
        ),
        lambda totals: totals.activity_frequency,
    ),
    Computed(
        Feature(
            "actions_per_user",
            "total_actions over total_users",
            "actions",
            "lifetime",
            "share",
            0,
            fact=ACTIONS,
        ),
        _actions_per_user,
        needs="users",
    ),
    Computed(
        Feature("seen", "has a usage row", "0 or 1", "lifetime", "flag", 1, fact=RECENCY),
        lambda totals: totals.seen,
    ),
)
USAGE_FEATURES: Final[tuple[Computed[KnownUsage], ...]] = (
    Computed(
        Feature(
            "recency_weeks",
            "weeks since the last active week was over",
            "weeks",
            "lifetime",
            "duration",
            -1,
            fact=RECENCY,
        ),
        lambda usage: usage.at - usage.last_active,
    ),
    Computed(
        Feature(
            "tenure_weeks",
            "weeks since the first active week began",
            "weeks",
            "lifetime",
            "duration",
            0,
            fact=TENURE,
        ),
        lambda usage: usage.at - (usage.first_active - 1.0),
    ),
    Computed(
        Feature(
            "weeks_since_first_seen",
            "weeks since the first usage row's week",
            "weeks",
            "lifetime",
            "duration",
            0,
            fact=TENURE,
        ),
        lambda usage: usage.at - (usage.first_row - 1.0),
    ),
    Computed(
        Feature(
            "acceleration",
            "log(1 + actions of the last 4 weeks) minus the same of the 4 before",
            "log ratio",
            str(2 * ACCELERATION_WEEKS),
            "change",
            0,
            fact=GROWTH,
        ),
        _acceleration,
    ),
    Computed(
        Feature(
            "trend",
            "slope of log(1 + actions) over weeks, least squares",
            "log/week",
            str(TREND_WEEKS),
            "change",
            0,
            fact=GROWTH,
        ),
        _trend,
    ),
    Computed(
        Feature(
            "module_entropy",
            "entropy of the shares of actions by module",
            "nats",
            "lifetime",
            "share",
            0,
            fact=MODULES,
        ),
        _module_entropy,
        needs="modules",
    ),
)


def windowed_groups(settings: FeatureSettings) -> tuple[tuple[Windowed, ...], tuple[WindowedGroup, ...]]:
    """Return the columns of a window in their order, and the groups in which they are computed.

    The actions of the only module are those of all modules, so they are one column, as are the users of the
    only module that has some.
    """
    actions, users, ordered = [], [], []
    several_users = len(_with_users(settings)) > 1
    for name, module in settings.modules:
        low, said = name.lower(), label(name, module)
        if len(settings.modules) > 1:
            actions.append(
                Windowed(f"actions_{low}", f"actions in {said}", "actions", module_fact(name), module=name)
            )
            ordered.append(actions[-1])
        if module.users is not None and several_users:
            description = f"most users of a week in {said}"
            users.append(Windowed(f"users_max_{low}", description, "users", module_fact(name), module=name))
            ordered.append(users[-1])
    groups = [
        WindowedGroup(tuple(actions), lambda inside: inside.sums[:, :, Counted.BY_MODULE]),
        WindowedGroup(tuple(users), lambda inside: inside.users_max[:, :, :-1]),
    ]
    for group in _OF_ALL_MODULES:
        if _has(settings, group.needs):
            columns = tuple(
                each._replace(description=_described(each.description, settings)) for each in group.columns
            )
            groups.append(group._replace(columns=columns))
            ordered += columns
    return tuple(ordered), tuple(group for group in groups if group.columns)


def average_features(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features of exponentially weighted users, one for each half-life, in weeks."""
    if not _has(settings, "users"):
        return ()
    return tuple(
        Feature(
            f"users_ewm_{half_life}w",
            f"users a week, exponentially weighted, half-life {half_life} weeks",
            "users",
            "lifetime",
            "count",
            1,
            fact=PEOPLE,
        )
        for half_life in settings.half_lives
    )


def measure_features(settings: FeatureSettings) -> tuple[Feature, ...]:
    """Return the features of weekly measures: those of a window together, the lifetime last."""
    return tuple(
        _measure_feature(name, measure, window)
        for window in (*settings.windows, None)
        for name, measure in settings.measures
    )


def _measure_feature(name: str, measure: Measure, window: int | None) -> Feature:
    said = label(name, measure)
    how = {"sum": f"{said} in sum", "max": f"largest {said} of a week", "last": f"last known {said}"}
    suffix, text = _window(window)
    unit, description = measure.unit or "number", how[measure.combine]
    feature = f"{name.lower()}_{suffix}"
    return Feature(feature, description, unit, text, "count", measure.direction, fact=measure_fact(name))


def totals_features(settings: FeatureSettings) -> tuple[Computed[LifetimeTotals], ...]:
    """Return the features of lifetime totals."""
    return _of(TOTALS_FEATURES, settings)


def usage_features(settings: FeatureSettings) -> tuple[Computed[KnownUsage], ...]:
    """Return the features of all known usage."""
    return _of(USAGE_FEATURES, settings)


def _window(window: int | None) -> tuple[str, str]:
    return ("lifetime", "lifetime") if window is None else (f"{window}w", str(window))


def _with_users(settings: FeatureSettings) -> list[str]:
    return [label(*named) for named in settings.modules if named[1].users is not None]


def _has(settings: FeatureSettings, needs: Needs) -> bool:
    if needs == "users":
        return bool(_with_users(settings))
    return needs == "actions" or len(settings.modules) > 1


def _of(features: tuple[Computed[Read], ...], settings: FeatureSettings) -> tuple[Computed[Read], ...]:
    return tuple(
        replace(
            each,
            feature=replace(each.feature, description=_described(each.feature.description, settings)),
        )
        for each in features
        if _has(settings, each.needs)
    )


def _described(description: str, settings: FeatureSettings) -> str:
    """Name the module in place of ``{all modules}`` and ``{any module}`` where there is only one."""
    modules, users = [label(*named) for named in settings.modules], _with_users(settings)
    names = {
        "all modules": modules[0] if len(modules) == 1 else "all modules",
        "any module": users[0] if len(users) == 1 else "any module",
    }
    return description.format_map(names)
