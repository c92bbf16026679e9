"""The features once more, slowly: one company and one moment at a time, in plain loops."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Number, Ordered
from conversion.config.attribute_names import feature_name, flag_name, missing_name
from conversion.config.data_contract import Contract
from conversion.config.usage_contract import Measure
from conversion.data.attribute_encoding import level_of
from conversion.data.timeline import WEEK
from conversion.features.definitions import FeatureSettings
from conversion.features.usage_block import TREND_WEEKS
from tests.conversion.features.cases import Case

NAN = float("nan")


def reference(
    case: Case, position: int, as_of: pd.Timestamp, contract: Contract, how: FeatureSettings
) -> dict[str, Any]:
    """Compute the features of the company at a position of the case's table."""
    company, time = case.companies.iloc[position], contract.usage.time
    rows = case.usage[(case.usage["id"] == company["id"]) & (case.usage[time] + WEEK <= as_of)]
    by_ago = {int((as_of - row[time]) / WEEK) - 1: row for _, row in rows.iterrows()}
    return {
        **of_usage(by_ago, contract, how),
        **of_measures(by_ago, contract, how),
        **of_attributes(case, position, as_of, contract),
    }


def of_usage(by_ago: dict[int, pd.Series], contract: Contract, how: FeatureSettings) -> dict[str, Any]:
    """Compute the features of counts, with those that take several modules or users only where they exist."""
    actions = {ago: [int(row[name]) for name in contract.actions] for ago, row in by_ago.items()}
    users = {ago: [int(row[name]) for name in contract.users] for ago, row in by_ago.items()}
    active = [ago for ago in by_ago if sum(actions[ago]) + sum(users[ago]) > 0]
    with_users = [name for name, module in contract.usage.modules.items() if module.users is not None]
    values: dict[str, Any] = {}
    for window in (*how.windows, None):
        suffix = "lifetime" if window is None else f"{window}w"
        inside = [ago for ago in by_ago if window is None or ago < window]
        sums = [sum(actions[ago][module] for ago in inside) for module in range(len(contract.modules))]
        most = [max([users[ago][module] for ago in inside], default=0) for module in range(len(with_users))]
        if len(contract.modules) > 1:
            for name, total in zip(contract.modules, sums, strict=True):
                values[f"actions_{name.lower()}_{suffix}"] = total
            values[f"modules_used_{suffix}"] = len([total for total in sums if total > 0])
        if len(with_users) > 1:
            for name, largest in zip(with_users, most, strict=True):
                values[f"users_max_{name.lower()}_{suffix}"] = largest
        if with_users:
            values[f"users_max_{suffix}"] = max(most)
        if window is not None:
            values[f"actions_{suffix}"] = sum(sums)
        values[f"active_weeks_{suffix}"] = len([ago for ago in active if ago in inside])
    totals = [sum(actions[ago][module] for ago in by_ago) for module in range(len(contract.modules))]
    if with_users:
        for half_life in how.half_lives:
            decay = 0.5 ** (1 / half_life)
            decayed = sum(decay**ago * max(users[ago]) for ago in by_ago)
            values[f"users_ewm_{half_life}w"] = (1 - decay) * decayed
        total_users = sum(sum(users[ago]) for ago in by_ago)
        values["total_users"] = total_users
        values["actions_per_user"] = sum(totals) / total_users if total_users else 0
    if len(contract.modules) > 1:
        shares = [total / sum(totals) for total in totals if total > 0]
        values["module_entropy"] = -sum(share * math.log(share) for share in shares)
    span = 7 * (max(by_ago) - min(by_ago)) if by_ago else NAN
    weekly = [sum(actions.get(ago, [0])) for ago in range(max(TREND_WEEKS, 8))]
    slots = [TREND_WEEKS // 2 - ago for ago in range(TREND_WEEKS)]
    return values | {
        "total_actions": sum(totals),
        "days_active": span,
        "activity_frequency": len(by_ago) / (span + 1),
        "seen": float(bool(by_ago)),
        "recency_weeks": min(active) if active else NAN,
        "tenure_weeks": max(active) + 1 if active else NAN,
        "weeks_since_first_seen": max(by_ago) + 1 if by_ago else NAN,
        "acceleration": math.log1p(sum(weekly[:4])) - math.log1p(sum(weekly[4:8])),
        "trend": sum(
            slot * math.log1p(count) for slot, count in zip(slots, weekly[:TREND_WEEKS], strict=True)
        ) / sum(slot**2 for slot in slots),
    }  # fmt: skip


def of_measures(by_ago: dict[int, pd.Series], contract: Contract, how: FeatureSettings) -> dict[str, Any]:
    """Compute the features of weekly measures."""
    values: dict[str, Any] = {}
    for window in (*how.windows, None):
        suffix = "lifetime" if window is None else f"{window}w"
        inside = sorted(ago for ago in by_ago if window is None or ago < window)
        for name, measure in contract.usage.measures.items():
            newest_first = [float(by_ago[ago][name]) for ago in inside]
            values[f"{name.lower()}_{suffix}"] = combined(measure, newest_first)
    return values


def combined(measure: Measure, newest_first: list[float]) -> float:
    """Combine what the rows of a window say; NaN where the number is missing."""
    known = [value for value in newest_first if not math.isnan(value)]
    if measure.combine == "sum":
        return sum(known) if known or not newest_first else NAN
    if not known:
        return NAN
    return max(known) if measure.combine == "max" else known[0]


def of_attributes(case: Case, position: int, as_of: pd.Timestamp, contract: Contract) -> dict[str, Any]:
    """Compute the features of attributes."""
    values: dict[str, Any] = {}
    for column, attribute in contract.companies.attributes.items():
        raw = _known(case, position, column, as_of)
        if isinstance(attribute, Number) and raw is None:
            raw = NAN
        if isinstance(attribute, Number) and attribute.not_applicable is not None:
            flag = NAN if math.isnan(raw) else float(raw >= attribute.not_applicable)
            values[flag_name(column, attribute)] = flag
        if isinstance(attribute, Category):
            found: Any = level_of(attribute)(raw)
            missing = found == attribute.unknown
        else:
            found = _number(attribute, raw, as_of)
            known_number = isinstance(attribute, Number) and not math.isnan(raw)
            missing = math.isnan(found) and not known_number
        values[feature_name(column, attribute)] = found
        values[missing_name(column, attribute)] = float(missing)
    return values


def _known(case: Case, position: int, column: str, as_of: pd.Timestamp) -> Any:
    """Return the value before it was encoded, as it was known at ``as_of``."""
    if column not in case.raw_histories:
        return case.raw.iloc[position][column]
    table = case.raw_histories[column]
    rows = table[(table["id"] == case.companies["id"].iloc[position]) & (table["since"] < as_of)]
    return None if rows.empty else rows.sort_values("since")["value"].iloc[-1]


def _number(attribute: AnyAttribute, raw: Any, as_of: pd.Timestamp) -> float:
    if raw is None or pd.isna(raw):
        return NAN
    if isinstance(attribute, Number):
        if attribute.not_applicable is not None and raw >= attribute.not_applicable:
            raw = NAN if attribute.counts_as is None else attribute.counts_as
        return math.log(raw) if attribute.log and not math.isnan(raw) else float(raw)
    if isinstance(attribute, Ordered):
        if attribute.cuts:
            return 1.0 + len([cut for cut in attribute.cuts if raw >= cut])
        return 1.0 + attribute.levels.index(raw)
    if isinstance(attribute, Date):
        return float((as_of - raw).days) if raw < as_of else NAN
    return float(raw)
