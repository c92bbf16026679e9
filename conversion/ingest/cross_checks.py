"""Checks across the tables: orphaned usage, shortened ids, the order of dates, levels that no group lists."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import slug
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import is_listed
from conversion.data.histories import value_column
from conversion.data.subscriptions import clean_subscriptions
from conversion.data.timeline import WEEK
from conversion.ingest.cells import is_missing_word
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import EMPTY_CELL, SHOWN_KEYS, Fault, quoted, row_key
from conversion.ingest.folders import Place, shown_file
from conversion.ingest.profile import PROFILE_DIGITS
from conversion.runtime.errors import ExportError
from conversion.stats.metric import Metric

NEVER: Final = pd.Timestamp("9999-01-01")
"""A moment at which everything in an export is known."""
log = logging.getLogger(__name__)


def conversions(tables: dict[str, pd.DataFrame], contract: Contract) -> pd.Series[Any]:
    """Return the days of conversion by id: of each row of a company that has one, or of each paid period."""
    companies = [tables[name] for name in contract.companies.tables]
    if (subscriptions := contract.companies.subscriptions) is not None:
        ids = pd.concat([table["id"] for table in companies])
        table = tables[subscriptions.table]
        periods, _ = clean_subscriptions(table, ids, NEVER, subscriptions)
        return periods.set_index("id")["start"]
    name = contract.companies.converted
    days = [table.set_index("id")[name].dropna() for table in companies if name in table]
    return pd.concat(days) if days else pd.Series(dtype="datetime64[us]")


def check_orphans(
    tables: dict[str, pd.DataFrame], contract: Contract, folder: Place, most: float
) -> dict[str, Any]:
    """Check how much usage belongs to no company: refuse an export with too much, warn of less.

    Parameters
    ----------
    tables
        Checked.
    contract
        Which of them are company tables.
    folder
        Of the export.
    most
        ``data.max_orphan_share``.

    Returns
    -------
    dict
        ``rows`` that are orphaned, ``companies`` they name, their ``share`` of all rows.

    Raises
    ------
    ExportError
        The share is above ``most``.
    """
    names, usage = list(contract.companies.tables), tables[contract.usage.table]
    idle = {name: int((~tables[name]["id"].isin(usage["id"])).sum()) for name in names}
    found = [f"no usage for {rows} of {len(tables[name])} {name}" for name, rows in idle.items()]
    compared = f"{_count(len(tables))} tables: one may have lost digits or be from another time"
    facts = _orphan_facts(tables, contract, contract.usage.table, folder, most, found, compared)
    if facts["rows"]:
        nowhere = {1: f"not in {names[0]}", 2: "in neither company table"}
        log.warning(
            "usage of companies that are %s is left out",
            nowhere.get(len(names), "in no company table"),
            extra=facts | {f"{name}_without_usage": rows for name, rows in idle.items()},
        )
    return facts


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))


def _orphan_facts(
    tables: dict[str, pd.DataFrame],
    contract: Contract,
    name: str,
    folder: Place,
    most: float,
    found: Sequence[str] = (),
    compared: str = "tables",
) -> dict[str, Any]:
    """Count a table's rows that belong to no company; refuse more than ``most`` of them."""
    orphans = _orphaned(tables, contract, name)
    share, ids = len(orphans) / max(len(tables[name]), 1), orphans["id"].drop_duplicates()
    if share > most:
        key = tables_of(contract)[name].id
        fault = Fault(
            file=shown_file(folder, name),
            column=key,
            expected=f"ids of {' or '.join(contract.companies.tables)} in all rows but a share of {most:g}",
            rows=len(orphans),
            keys=tuple(row_key(key, value) for value in ids.head(SHOWN_KEYS)),
            found=(f"a share of {share:.3f} of others", *found),
            remedy=f"compare the ids of the {compared}; if these companies are left out on purpose, raise "
            "data.max_orphan_share",
        )
        raise ExportError(str(fault))
    return {"rows": len(orphans), "companies": len(ids), "share": round(share, PROFILE_DIGITS)}


def orphaned_usage(tables: dict[str, pd.DataFrame], contract: Contract) -> pd.DataFrame:
    """Return the usage rows of companies that no company table lists."""
    return _orphaned(tables, contract, contract.usage.table)


def _orphaned(tables: dict[str, pd.DataFrame], contract: Contract, name: str) -> pd.DataFrame:
    table = tables[name]
    return table[~table["id"].isin(pd.concat([tables[each]["id"] for each in contract.companies.tables]))]


def check_other_orphans(
    tables: dict[str, pd.DataFrame], contract: Contract, folder: Place, most: float
) -> dict[str, dict[str, Any]]:
    """Check how many rows of other tables belong to no company, as `check_orphans` does of usage.

    Objections are not checked: who objects may have left the export, and has to stay on that list.

    Returns
    -------
    dict of dict
        By ``orphaned_`` and the table ``rows`` that are orphaned, ``companies`` they name, their ``share``.

    Raises
    ------
    ExportError
        The share is above ``most``.
    """
    companies, aliases = contract.companies.tables, contract.companies.aliases
    apart = [each.table for each in (aliases, contract.objections) if each is not None]
    checked = {*companies, contract.usage.table, *apart}
    facts = {}
    for name in contract.tables:
        if name in checked:
            continue
        facts[f"orphaned_{name}"] = counted = _orphan_facts(tables, contract, name, folder, most)
        if counted["rows"]:
            log.warning(
                "rows of companies that no company table lists are left out", extra={"table": name, **counted}
            )
    return facts


KEPT_DIGITS: Final = 15
"""Digits of a number that spreadsheets keep; the others become zeros."""
LEAST_CUT_IDS: Final = 3
"""Fewer ids may end in zeros by chance."""


_SHORTENED = re.compile(r"\d(?:\.\d+)?E\+?\d+", re.IGNORECASE)


def check_long_ids(tables: dict[str, pd.DataFrame]) -> None:
    """Warn of long ids that all end in zeros, and of ids with an exponent, as if a spreadsheet wrote them."""
    for name, table in tables.items():
        ids = table["id"].drop_duplicates()
        text = ids.astype(str) if pd.api.types.is_string_dtype(ids) else ids.abs().astype(str)
        long = text[text.str.fullmatch(r"\d+") & (text.str.len() > KEPT_DIGITS)].drop_duplicates()
        if len(long) >= LEAST_CUT_IDS and (long.str[KEPT_DIGITS:].str.strip("0") == "").all():
            log.warning(
                "all ids of more than 15 digits end in zeros, as a spreadsheet leaves them: different "
                "companies may have become one; export them as text",
                extra={"table": name, "ids": len(long)},
            )
        if shortened := int(text.str.fullmatch(_SHORTENED).sum()):
            log.warning(
                "ids look like numbers that a spreadsheet shortened, such as 1.89945E+11: different "
                "companies may have become one; export them as text",
                extra={"table": name, "ids": shortened},
            )


MOST_WITHOUT_USAGE: Final = 2 / 3
"""A fifth to a half is usual, as many companies convert in their first week. For trials' starts it is all."""
LEAST_CUSTOMERS: Final = 20
"""Fewer customers may be without usage by chance."""


def check_usage_before_conversion(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, Any]:
    """Measure how many customers have no week of usage before they converted; warn if most have none.

    Parameters
    ----------
    tables
        Checked.
    contract
        Names their columns.

    Returns
    -------
    dict
        ``customers``: how many have usage and converted after the export's first week was over, so that
        usage before it could be there. ``without``: the share of them that has none. ``warned``: whether it
        was too large.
    """
    usage, week = tables[contract.usage.table], contract.usage.time
    subscriptions = contract.companies.subscriptions
    day = contract.companies.converted if subscriptions is None else subscriptions.start
    converted = conversions(tables, contract).groupby(level=0).min()
    known_from = usage.groupby("id")[week].min().reindex(converted.index) + WEEK
    compared = known_from.notna() & (converted >= usage[week].min() + WEEK)
    without = float((converted < known_from)[compared].mean()) if compared.any() else 0.0
    warned = without > MOST_WITHOUT_USAGE and int(compared.sum()) >= LEAST_CUSTOMERS
    facts = {"customers": int(compared.sum()), "without": round(without, PROFILE_DIGITS), "warned": warned}
    if warned:
        log.warning(
            "most customers have no week of usage before %s, so nothing precedes their conversions: "
            "%s should be the day they began to pay, not to sign up or to try",
            day,
            day,
            extra={name: facts[name] for name in ("customers", "without")},
        )
    return facts


def check_levels(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, dict[str, int]]:
    """Count for each category with groups the companies whose level no group lists; warn of them.

    Parameters
    ----------
    tables
        Checked.
    contract
        Names their categories.

    Returns
    -------
    dict of dict
        By ``unlisted_`` and the plural of the column: ``companies`` with such a level, different ``labels``.
    """
    return {
        f"unlisted_{plural(slug(column))}": _check_levels(tables, contract, column, category)
        for column, category in contract.attributes_of(Category).items()
        if category.groups
    }


def _check_levels(
    tables: dict[str, pd.DataFrame], contract: Contract, column: str, category: Category
) -> dict[str, int]:
    if (history := category.history) is not None:
        value = value_column(column, history)
        given = tables[history.table][["id", value]].rename(columns={value: column}).dropna()
    else:
        given = pd.concat([tables[name][["id", column]] for name in contract.companies.tables]).dropna()
    rows = given.drop_duplicates()
    counts = rows[column].value_counts()
    unlisted = {str(level): int(n) for level, n in counts.items() if not is_listed(category, str(level))}
    of_unlisted = rows[column].isin(list(unlisted))
    facts = {"companies": int(rows.loc[of_unlisted, "id"].nunique()), "labels": len(unlisted)}
    if unlisted:
        frequent = sorted(unlisted, key=lambda level: (-unlisted[level], level))
        what = plural(slug(column).replace("_", " "))
        log.warning(
            "%s that are in no group %s; use the labels of one%s",
            what,
            "count as unknown" if category.unlisted == "unknown" else "are kept as levels of their own",
            f"; {EMPTY_CELL}" if any(map(is_missing_word, unlisted)) else "",
            extra=facts | {"most_frequent": [quoted(level) for level in frequent[:SHOWN_KEYS]]},
        )
    return facts


CROSS_CHECK_METRICS: Final = (
    Metric("orphaned_usage.rows", "usage rows of companies that no company table lists"),
    Metric("orphaned_usage.companies", "ids in these rows"),
    Metric(
        "orphaned_usage.share", "their share of all usage rows; above `data.max_orphan_share` `load` stops"
    ),
    Metric(
        "usage_before_conversion.customers",
        "customers with usage who converted after the first week of the export was over",
    ),
    Metric("usage_before_conversion.without", "share of them without a week of usage before they converted"),
    Metric("usage_before_conversion.warned", "whether `load` warned that it is most of them"),
    Metric("usage_before_sign_up.rows", "usage rows of weeks before the one in which the company signed up"),
    Metric("usage_before_sign_up.companies", "companies with such rows"),
    Metric("orphaned_<table>.rows", "rows of another table of companies that no company table lists"),
    Metric("orphaned_<table>.companies", "ids in these rows"),
    Metric("orphaned_<table>.share", "their share of its rows; above `data.max_orphan_share` `load` stops"),
    Metric("merged_ids.ids", "ids that are no longer used"),
    Metric("merged_ids.into_no_company", "those of them that lead to no company"),
    Metric("unlisted_<levels>.companies", "companies with a level that no group of the category lists"),
    Metric("unlisted_<levels>.labels", "distinct levels that no group of the category lists"),
    Metric(
        "dates_out_of_order.converted_before_signed_up",
        "rows of companies that converted before signing up",
    ),
    Metric(
        "dates_out_of_order.ended_before_converted",
        "rows of companies that ended before converting",
    ),
)
"""What the checks across tables report."""


def plural(noun: str) -> str:
    """Return the plural of a noun.

    Examples
    --------
    >>> plural("industry"), plural("country"), plural("business"), plural("day")
    ('industries', 'countries', 'businesses', 'days')
    """
    if noun.endswith("y") and noun[-2:-1] not in {*"aeiou"}:
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
