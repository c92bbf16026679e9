"""The named cleaning rules, as of one moment. Every dropped row is counted and kept in quarantine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import pandas as pd

from conversion.config.contract import ACTIONS, MEASURES, USAGE_ACTIONS, USERS
from conversion.data.firmographics import with_firmographics
from conversion.data.period import Period, describe_first, strays
from conversion.data.timeline import WEEK, as_of_view, known_at
from conversion.runtime.errors import ExportError
from conversion.stats.metric import Metric

log = logging.getLogger(__name__)
COMPANY_RULES: Final = {
    "duplicate_company": "another row of the same company was kept (clean.deduplication)",
    "later_conversion": "the company had converted before: its first conversion was kept",
    "mrr_not_positive": "the conversion's MRR is 0 or less: no positive label; a prospect before CLOSEDATE",
}
USAGE_RULES: Final = {
    "stray_week": "the week is far from the others, or a first or last week with hardly any rows",
    "after_as_of": "the week was not over at as_of",
    "orphan_usage": "the id is in neither company table",
    "negative_count": "a count is below 0",
    "actions_below_users": "a module has fewer actions than users",
    "duplicate_week": "another row of the same company and week was kept (the most complete; ties: largest)",
}


def clean_companies(
    customers: pd.DataFrame, noncustomers: pd.DataFrame, as_of: pd.Timestamp, deduplication: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce the company tables to one row a company, as an export taken at ``as_of`` would show it.

    If a company converts more than once, its first conversion counts; afterwards it is not a prospect. Rows
    of later conversions are never read, not even for firmographics, as no earlier export had them.

    A conversion with ``MRR`` <= 0 is quarantined: ``conversion_valid`` is False, so it is never a positive
    label. Before its ``CLOSEDATE`` the company was a prospect like any other; dropping it from the past would
    use what was not known then.

    Parameters
    ----------
    customers, noncustomers
        Typed tables, see `conversion.config.contract.COLUMNS`.
    as_of
        The moment; conversions from then on are unknown.
    deduplication
        Strategy of `deduplicate`: which of several rows is kept, for a customer among those of its first day.

    Returns
    -------
    companies : pandas.DataFrame
        Sorted by ``id``: ``id``, ``CLOSEDATE``, ``MRR``, ``conversion_valid``, the firmographics as
        exported and as `conversion.data.firmographics.with_firmographics` reads them.
    quarantine : pandas.DataFrame
        Dropped rows with a ``rule`` column.
    """
    never = noncustomers.reindex(columns=customers.columns).astype(customers.dtypes.to_dict())
    recorded = pd.concat([customers, never], ignore_index=True)
    first_day = recorded.groupby("id")["CLOSEDATE"].transform("min")
    rule = pd.Series(pd.NA, index=recorded.index, dtype="str")
    rule = rule.mask(recorded["CLOSEDATE"] > first_day, "later_conversion")
    # A row without a conversion beside one with: the stage load refuses that; here it is a duplicate.
    candidates = recorded[recorded["CLOSEDATE"].eq(first_day) | first_day.isna()]
    kept = candidates.index[deduplicate(candidates, ["id"], deduplication, uncounted=["CLOSEDATE", "MRR"])]
    rule = rule.mask(rule.isna() & ~rule.index.isin(kept), "duplicate_company")
    rows = as_of_view(recorded, as_of)
    companies = rows.loc[kept].sort_values("id", ignore_index=True)
    companies.insert(3, "conversion_valid", ~(companies["MRR"] <= 0))
    quarantine = pd.concat(
        [
            rows.assign(rule=rule)[rule.notna()],
            companies.loc[~companies["conversion_valid"], rows.columns].assign(rule="mrr_not_positive"),
        ],
        ignore_index=True,
    )
    return with_firmographics(companies), quarantine


def clean_usage(usage: pd.DataFrame, ids: pd.Series, period: Period) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the usage rows that are known at the period's ``as_of`` and break no rule.

    Parameters
    ----------
    usage
        Typed usage rows.
    ids
        The companies' ids.
    period
        Rows whose week lies outside it, or is not over at its ``as_of``, are quarantined.

    Returns
    -------
    usage, quarantine : pandas.DataFrame
        Sorted by ``id`` and ``WHEN_TIMESTAMP``; ``rule`` in the quarantine is the first that each row breaks.
    """
    actions, users = usage[list(ACTIONS)].to_numpy(), usage[list(USERS)].to_numpy()
    broken = {
        "stray_week": strays(usage["WHEN_TIMESTAMP"], period),
        "after_as_of": ~known_at(usage["WHEN_TIMESTAMP"], period.as_of),
        "orphan_usage": ~usage["id"].isin(ids),
        "negative_count": (usage[list(MEASURES)] < 0).any(axis=1),
        "actions_below_users": pd.Series((actions < users).any(axis=1), index=usage.index),
    }
    rule = pd.Series(pd.NA, index=usage.index, dtype="str")
    for name, rows in broken.items():
        rule = rule.mask(rule.isna() & rows, name)
    rest = usage[rule.isna()]
    repeated = rest.index[~deduplicate(rest, ["id", "WHEN_TIMESTAMP"], "most_complete")]
    rule = rule.mask(rule.index.isin(repeated), "duplicate_week")
    order = ["id", "WHEN_TIMESTAMP"]
    kept = usage[rule.isna()].sort_values(order, ignore_index=True)
    quarantine = usage.assign(rule=rule)[rule.notna()].sort_values([*order, "rule"], ignore_index=True)
    return kept, quarantine


def deduplicate(
    table: pd.DataFrame, key: list[str], strategy: str, uncounted: Sequence[str] = ()
) -> pd.Series:
    """Return which row of each key to keep.

    Parameters
    ----------
    table
        Rows in file order.
    key
        Columns that should be unique.
    strategy
        ``most_complete``: the row with the most cells that are non-null, non-empty and non-zero; among equals
        the row that sorts last by its values, column after column (missing first), so that file order does
        not matter. ``first`` and ``last``: by file order.
    uncounted
        Columns that make no row more complete and decide ties last: values that are not known at every moment
        must not influence which others are kept.

    Returns
    -------
    pandas.Series of bool
        True for exactly one row of each key.
    """
    if strategy != "most_complete":
        return ~table.duplicated(key, keep="first" if strategy == "first" else "last")
    counted = [name for name in table.columns if name not in [*key, *uncounted]]
    values = [*counted, *uncounted]
    cells = table[counted]
    complete = (cells.notna() & (cells != 0) & (cells != "")).sum(axis=1)
    order = table.assign(complete=complete).sort_values(
        [*key, "complete", *values], kind="stable", na_position="first"
    )
    return (~order.duplicated(key, keep="last")).reindex(table.index)


def cleaning_report(
    companies: pd.DataFrame,
    company_quarantine: pd.DataFrame,
    usage: pd.DataFrame,
    usage_quarantine: pd.DataFrame,
    as_of: pd.Timestamp,
) -> dict[str, object]:
    """Count the rows that each rule caught, and those that were kept."""

    def counts(quarantine: pd.DataFrame, rules: dict[str, str]) -> dict[str, int]:
        return {name: int((quarantine["rule"] == name).sum()) for name in rules}

    return {
        "as_of": f"{as_of:%Y-%m-%d}",
        "companies": {
            "kept": len(companies),
            "conversions": int((companies["CLOSEDATE"].notna() & companies["conversion_valid"]).sum()),
            "quarantined": counts(company_quarantine, COMPANY_RULES),
        },
        "usage": {"kept": len(usage), "quarantined": counts(usage_quarantine, USAGE_RULES)},
    }


def check_usage_is_left(usage: pd.DataFrame, quarantine: pd.DataFrame, as_of: pd.Timestamp) -> None:
    """Check that some usage row is clean; if not, say what each rule caught.

    Raises
    ------
    ExportError
        ``usage`` has no rows.
    """
    if usage.empty:
        caught = ", ".join(f"{rule} {rows}" for rule, rows in quarantine["rule"].value_counts().items())
        raise ExportError(f"{USAGE_ACTIONS}: no row is left after cleaning at {as_of:%Y-%m-%d}: {caught}")


def warn_of_strays(quarantine: pd.DataFrame, period: Period) -> None:
    """Log how many usage rows are far from the others, which is the first, and how to keep a last week."""
    outside = quarantine[quarantine["rule"] == "stray_week"]
    if len(outside):
        keep = {} if period.latest is None else {"keep": _run_as_of(period.latest)}
        log.warning(
            "usage far from the weeks of the other rows left out, see data/quarantine/usage.parquet",
            extra={"rule": "stray_week", "rows": len(outside), "first": describe_first(outside), **keep},
        )


def warn_of_incomplete_week(period: Period) -> None:
    """Log which last week is left out as incomplete, why, and how to keep it."""
    if period.incomplete is not None:
        log.warning(
            "the last week looks incomplete and is left out; data.as_of keeps it",
            extra={
                "week": f"{period.as_of:%Y-%m-%d}",
                "share_of_usual_volume": round(period.incomplete.last / period.incomplete.usual, 2),
                "keep": _run_as_of(period.as_of + WEEK),
            },
        )


def _run_as_of(as_of: pd.Timestamp) -> str:
    return f"dvc exp run -S data.as_of={as_of:%Y-%m-%d}"


CLEANING_METRICS: Final = (
    Metric("as_of", "the moment as of which the export is read"),
    Metric("companies.kept", "companies that are kept"),
    Metric("companies.conversions", "conversions known at `as_of`"),
    Metric("companies.quarantined.<rule>", "company rows that a cleaning rule drops"),
    Metric("usage.kept", "usage rows that are kept"),
    Metric("usage.quarantined.<rule>", "usage rows that a cleaning rule drops"),
)
"""What `cleaning_report` counts."""
