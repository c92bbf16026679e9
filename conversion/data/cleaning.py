"""The named cleaning rules, as of one moment. Every dropped row is counted and kept in quarantine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import MERGED
from conversion.data.attribute_encoding import with_attributes
from conversion.data.deduplication import deduplicate
from conversion.data.histories import histories_of, last_values, value_column
from conversion.data.period import Period, describe_first, strays
from conversion.data.rules import first_rule
from conversion.data.subscriptions import MADE_TYPES, conversions_of, merged_periods
from conversion.data.timeline import WEEK, as_of_view, known_at
from conversion.runtime.errors import ExportError

log = logging.getLogger(__name__)
COMPANY_RULES: Final = {
    "duplicate_company": "another row of the same company was kept (clean.deduplication)",
    "later_conversion": "the company had converted before: only the time that it paid is used",
    "mrr_not_positive": "the conversion's value is 0 or less: no positive label; a prospect before that day",
    "signed_up_after_as_of": "the company had not signed up before as_of",
    "converted_before_signed_up": "it converted before it signed up: kept, as if it had always been there",
    "ended_before_converted": "the end is before the conversion, or there is none: kept without the end",
    MERGED: "its id is no longer used, by the table of aliases: the company that it became was kept",
}
USAGE_RULES: Final = {
    "stray_week": "the week is far from the others, or a first or last week with hardly any rows",
    "after_as_of": "the week was not over at as_of",
    "orphan_usage": "the id is in no company table",
    "before_sign_up": "the week was over before the company signed up (usage.before_sign_up of the contract)",
    "negative_count": "a count is below 0",
    "actions_below_users": "a module has fewer actions than users",
    "duplicate_week": "another row of the same company and week was kept (the most complete; ties: largest)",
}


def company_rules(contract: Contract) -> tuple[str, ...]:
    """List the rules of `COMPANY_RULES` whose columns the contract has."""
    names = contract.companies
    # Of subscriptions there are rules of their own.
    own = names.subscriptions is None
    needed = {
        MERGED: names.aliases,
        "later_conversion": own or None,
        "mrr_not_positive": names.value if own else None,
        "signed_up_after_as_of": names.signed_up,
        "converted_before_signed_up": names.signed_up,
        "ended_before_converted": names.ended if own else None,
    }
    return tuple(rule for rule in COMPANY_RULES if needed.get(rule, rule) is not None)


def usage_rules(contract: Contract) -> tuple[str, ...]:
    """List the rules of `USAGE_RULES` whose columns the contract has, but for rows that it keeps."""
    dropped = contract.companies.signed_up is not None and contract.usage.before_sign_up == "drop"
    needed = {"actions_below_users": bool(contract.users), "before_sign_up": dropped}
    return tuple(rule for rule in USAGE_RULES if needed.get(rule, True))


def clean_companies(
    tables: Sequence[pd.DataFrame],
    as_of: pd.Timestamp,
    deduplication: str,
    contract: Contract,
    periods: pd.DataFrame | None = None,
    histories: Mapping[str, pd.DataFrame] = MappingProxyType({}),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce the company tables to one row a company, as an export taken at ``as_of`` would show it.

    If a company converts more than once, its columns are those of its first conversion, but for the end,
    which is that of the last paid period. Of rows of later conversions `company_periods` reads the paid time.
    Nothing else of them is read, not even an attribute, as no earlier export had them.

    A conversion with a value <= 0 is quarantined: ``conversion_valid`` is False, so it is never a positive
    label. Before that day the company was a prospect like any other; dropping it from the past would use what
    was not known then.

    Parameters
    ----------
    tables
        Typed company tables in the contract's order; a column that a table lacks is missing in its rows.
    as_of
        The moment; what happens from then on is unknown.
    deduplication
        Strategy of `deduplicate`: which of several rows is kept, for a customer among those of its first day.
    contract
        Names the columns.
    periods
        The paid periods, which make conversion, end and value; None: those of `company_periods`.
    histories
        The clean histories of the attributes that have one. Their last value is the company's; what the
        company tables say of them is as of the day of the export, so it is not read.

    Returns
    -------
    companies : pandas.DataFrame
        Sorted by ``id``: ``id``, the day of conversion and its value, ``conversion_valid``, the days of
        sign-up and end, the columns to show, the attributes as exported and as
        `conversion.data.attribute_encoding.with_attributes` encodes them; those that the contract has.
    quarantine : pandas.DataFrame
        Dropped rows, and rows of which something is not used, with a ``rule`` column.
    """
    recorded = _one_table(tables, contract)
    rows = as_of_view(recorded, as_of, contract)
    rule, kept = _repeated_companies(recorded, rows, deduplication, contract)
    companies = rows.loc[kept].sort_values("id", ignore_index=True)
    if periods is None:
        periods = company_periods(tables, as_of, deduplication, contract)
    made = conversions_of(companies, periods, contract)
    again = rows[(rule == "later_conversion") & rows[contract.companies.converted].notna()]
    broken = _broken_companies(companies, made, again, contract)
    companies = companies.assign(**made.drop(columns="conversion_valid"))
    absent = recorded.drop(rows.index).assign(rule="signed_up_after_as_of")
    quarantine = pd.concat(
        [
            rows.assign(rule=rule)[rule.notna()],
            *([] if absent.empty else [absent]),
            *(found.assign(rule=name) for name, found in broken.items()),
        ],
        ignore_index=True,
    )
    companies = _with_validity(companies, made["conversion_valid"], contract)
    return _with_attributes(companies, histories, contract), quarantine


def company_periods(
    tables: Sequence[pd.DataFrame], as_of: pd.Timestamp, deduplication: str, contract: Contract
) -> pd.DataFrame:
    """Return the paid periods that the rows of company tables name, each from its conversion to its end.

    They are merged like subscriptions: a row that starts before the last one ends, or the day after, renews
    it. Where ends are not recorded, the first conversion of a company is its only one.

    Parameters
    ----------
    tables, as_of, deduplication, contract
        As `clean_companies` reads them. Of several rows of a company and day one is read.

    Returns
    -------
    pandas.DataFrame
        As `conversion.data.subscriptions.clean_subscriptions` returns them.
    """
    names = contract.companies
    converted, ended, value = names.converted, names.ended, names.value
    known = [t[t[converted] < as_of] if converted in t else t.iloc[:0] for t in tables]
    recorded = _one_table(known, contract)
    rows = as_of_view(recorded, as_of, contract)
    candidates = recorded.loc[rows.index]
    ends = pd.Series(pd.NaT, rows.index, rows[converted].dtype)
    if ended is not None:
        ends = rows[ended]
        candidates = candidates.assign(**{ended: ends})
    unknown_before = [name for name in (value, ended) if name is not None]
    kept = deduplicate(candidates, ["id", converted], deduplication, uncounted=unknown_before)
    paid = pd.DataFrame(
        {
            "id": rows["id"],
            "start": rows[converted],
            "end": ends.where(ends >= rows[converted]),
            "value": np.nan if value is None else rows[value],
        }
    )
    return merged_periods(paid[kept])


def _with_attributes(
    companies: pd.DataFrame, histories: Mapping[str, pd.DataFrame], contract: Contract
) -> pd.DataFrame:
    """Add the last values of histories, put the attributes into the contract's order, and encode them."""
    attributes, named = contract.companies.attributes, histories_of(contract)
    values = {column: value_column(column, named[column]) for column in histories}
    known = {column: last_values(rows, companies["id"], values[column]) for column, rows in histories.items()}
    earlier = {column: rows[values[column]].dropna().unique() for column, rows in histories.items()}
    rest = companies.columns.drop([*attributes], errors="ignore")
    return with_attributes(companies.assign(**known)[[*rest, *attributes]], contract, earlier)


def company_ids(tables: Sequence[pd.DataFrame], as_of: pd.Timestamp, contract: Contract) -> pd.Series:
    """Return the ids of the companies that `clean_companies` keeps, in no order."""
    signed_up = contract.companies.signed_up
    ids = [t["id"] if signed_up not in t else t.loc[~(t[signed_up] >= as_of), "id"] for t in tables]
    return pd.concat(ids, ignore_index=True).drop_duplicates()


def _one_table(tables: Sequence[pd.DataFrame], contract: Contract) -> pd.DataFrame:
    """Put the company tables under each other, with the columns in the order of the clean table."""
    names = contract.companies
    optional = [name for name in (names.value, names.signed_up, names.ended) if name is not None]
    attributes = [name for name in names.attributes if name not in histories_of(contract)]
    # The day of signing up may be an attribute as well.
    order = [*dict.fromkeys(["id", names.converted, *optional, *names.shown, *attributes])]
    made = {} if names.subscriptions is None else MADE_TYPES
    dtypes = {
        name: made.get(name) or next(table[name].dtype for table in tables if name in table) for name in order
    }
    return pd.concat([table.reindex(columns=order).astype(dtypes) for table in tables], ignore_index=True)


def _repeated_companies(
    recorded: pd.DataFrame, rows: pd.DataFrame, deduplication: str, contract: Contract
) -> tuple[pd.Series, pd.Index]:
    """Return the rule that each row dropped from the view breaks, and the rows that are kept.

    Later conversions are found among all, as no earlier export had their rows. For the rest, only what is in
    the view decides.
    """
    names = contract.companies
    recorded = recorded.loc[rows.index]
    if names.ended is not None:
        recorded = recorded.assign(**{names.ended: rows[names.ended]})
    converted = recorded[names.converted]
    first_day, known_day = (
        days.groupby(rows["id"]).transform("min") for days in (converted, rows[names.converted])
    )
    rule = first_rule({"later_conversion": converted > first_day}, rows.index)
    # Once a company is known to have converted, a row of it without a conversion is a duplicate.
    candidates = recorded[converted.eq(first_day) | (converted.isna() & known_day.isna())]
    unknown_before = [name for name in (names.converted, names.value, names.ended) if name is not None]
    kept = candidates.index[deduplicate(candidates, ["id"], deduplication, uncounted=unknown_before)]
    return rule.mask(rule.isna() & ~rule.index.isin(kept), "duplicate_company"), kept


def _broken_companies(
    companies: pd.DataFrame, made: pd.DataFrame, again: pd.DataFrame, contract: Contract
) -> dict[str, pd.DataFrame]:
    """Return the rows that break each rule about one row.

    ``made`` are the conversions of companies, beside them. ``again`` are the rows of later conversions; they
    are none unless ends are recorded.
    """
    names, rules = contract.companies, company_rules(contract)
    paid = companies if names.ended is None else pd.concat([companies, again])
    broken: dict[str, pd.DataFrame] = {}
    if "mrr_not_positive" in rules:
        broken["mrr_not_positive"] = paid[paid[names.value] <= 0]
    if names.signed_up is not None:
        converted = companies.assign(**made.drop(columns="conversion_valid"))
        early = converted[names.converted] < converted[names.signed_up]
        broken["converted_before_signed_up"] = converted[early]
    if "ended_before_converted" in rules:
        ended = paid[names.ended]
        broken["ended_before_converted"] = paid[ended.notna() & ~(ended >= paid[names.converted])]
    return broken


def _with_validity(companies: pd.DataFrame, valid: pd.Series, contract: Contract) -> pd.DataFrame:
    """Drop the days of sign-up that cannot be right, and put ``conversion_valid`` in its place."""
    names = contract.companies
    if names.signed_up is not None:
        signed_up = companies[names.signed_up]
        early = companies[names.converted] < signed_up
        companies = companies.assign(**{names.signed_up: signed_up.mask(early)})
    companies.insert(2 if names.value is None else 3, "conversion_valid", valid)
    return companies


def clean_usage(
    usage: pd.DataFrame,
    ids: pd.Series,
    period: Period,
    contract: Contract,
    signed_up: pd.Series | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the usage rows that are known at the period's ``as_of`` and break no rule.

    Parameters
    ----------
    usage
        Typed usage rows.
    ids
        The companies' ids.
    period
        Rows whose week lies outside it, or is not over at its ``as_of``, are quarantined.
    contract
        Names the columns; a module without users cannot have fewer actions than users.
    signed_up
        Days of sign-up by id; of other ids, and if None, usage before them is kept.

    Returns
    -------
    usage, quarantine : pandas.DataFrame
        Sorted by ``id`` and week; ``rule`` in the quarantine is the first that each row breaks.
    """
    time = contract.usage.time
    both = [(each.actions, each.users) for each in contract.usage.modules.values() if each.users is not None]
    actions = usage[[name for name, _ in both]].to_numpy()
    users = usage[[name for _, name in both]].to_numpy()
    broken = {
        "stray_week": strays(usage[time], period),
        "after_as_of": ~known_at(usage[time], period.as_of),
        "orphan_usage": ~usage["id"].isin(ids),
        "before_sign_up": _before_sign_up(usage, signed_up, contract),
        "negative_count": (usage[list(contract.counts)] < 0).any(axis=1),
        "actions_below_users": pd.Series((actions < users).any(axis=1), index=usage.index),
    }
    rule = first_rule(broken, usage.index)
    order = ["id", time]
    rest = usage[rule.isna()]
    repeated = rest.index[~deduplicate(rest, order, "most_complete")]
    rule = rule.mask(rule.index.isin(repeated), "duplicate_week")
    kept = usage[rule.isna()].sort_values(order, ignore_index=True)
    quarantine = usage.assign(rule=rule)[rule.notna()].sort_values([*order, "rule"], ignore_index=True)
    return kept, quarantine


def _before_sign_up(usage: pd.DataFrame, signed_up: pd.Series | None, contract: Contract) -> pd.Series:
    if signed_up is None or "before_sign_up" not in usage_rules(contract):
        return pd.Series(data=False, index=usage.index)
    return known_at(usage[contract.usage.time], usage["id"].map(signed_up))


def check_usage_is_left(
    kept: int, quarantined: Mapping[str, int], as_of: pd.Timestamp, contract: Contract
) -> None:
    """Check that some usage row is clean; if not, say how many each rule caught.

    Raises
    ------
    ExportError
        None is kept.
    """
    if not kept:
        most = sorted(quarantined.items(), key=lambda each: -each[1])
        caught = ", ".join(f"{rule} {rows}" for rule, rows in most if rows)
        table = contract.usage.table
        raise ExportError(f"{table}: no row is left after cleaning at {as_of:%Y-%m-%d}: {caught}")


def check_prospects_are_left(prospects: int, companies: int, as_of: pd.Timestamp, contract: Contract) -> None:
    """Check that some company may still convert.

    Raises
    ------
    ExportError
        None may.
    """
    if prospects:
        return
    tables = " and ".join(contract.companies.tables)
    raise ExportError(
        f"{tables}: at {as_of:%Y-%m-%d} none of the {companies:,} companies is a prospect: all have "
        "converted, so there is nobody to list; export every company, also those that have never paid, and "
        f"check that only paying companies are in {contract.conversion_tables}"
    )


def warn_of_strays(weeks: pd.DataFrame, period: Period) -> None:
    """Log how many usage rows are far from the others, which is the first, and how to keep a last week.

    ``weeks`` are those of `conversion.data.usage_weeks.usage_weeks`.
    """
    outside = weeks[strays(weeks.index.to_series(), period)]
    if len(outside):
        first = describe_first(outside)
        keep = {} if period.latest is None else {"keep": _run_as_of(period.latest)}
        log.warning(
            "usage far from the weeks of the other rows left out, see data/quarantine/usage.parquet",
            extra={"rule": "stray_week", "rows": int(outside["rows"].sum()), "first": first, **keep},
        )


def warn_of_last_week(period: Period) -> None:
    """Log which last week is left out as incomplete, why, and how to keep it; or why it is kept after all."""
    if period.shown is not None:
        share = round(period.shown.volume.last / period.shown.volume.usual, 2)
        log.warning(
            "the last week looks incomplete and is kept only because a company converted or signed up after "
            "it; data.as_of leaves it out",
            extra={
                "week": f"{period.last:%Y-%m-%d}",
                "share_of_usual_volume": share,
                "day": f"{period.shown.day:%Y-%m-%d}",
                "leave_out": _run_as_of(period.last),
            },
        )
    why: dict[str, object]
    if period.early is not None:
        last_day = period.early.last_day
        why = {"last_day": None if last_day is None else f"{last_day:%Y-%m-%d}", "of": period.early.of}
        what = "the last week ends early"
    elif period.incomplete is not None:
        why = {"share_of_usual_volume": round(period.incomplete.last / period.incomplete.usual, 2)}
        what = "the last week looks incomplete"
    else:
        return
    week, keep = f"{period.as_of:%Y-%m-%d}", _run_as_of(period.as_of + WEEK)
    log.warning("%s and is left out; data.as_of keeps it", what, extra={"week": week, **why, "keep": keep})


def warn_of_planned(rows: Mapping[str, int], contract: Contract) -> None:
    """Log how many conversions are dated after the export was taken.

    Parameters
    ----------
    rows
        By day, in order.
    contract
        Names the column.
    """
    if not rows:
        return
    subscriptions = contract.companies.subscriptions
    log.warning(
        "conversions dated after the last day of usage are not known yet: they do not count, nor show when "
        "the export was taken; correct the days, unless they are booked ahead",
        extra={
            "column": contract.companies.converted if subscriptions is None else subscriptions.start,
            "rows": sum(rows.values()),
            "first": next(iter(rows)),
            "last": [*rows][-1],
        },
    )


def _run_as_of(as_of: pd.Timestamp) -> str:
    return f"dvc exp run -S data.as_of={as_of:%Y-%m-%d}"
