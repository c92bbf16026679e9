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
Counts = dict[str, int]
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
    counts, idle = count_orphans(tables, contract), count_idle(tables, contract)
    found = [f"no usage for {rows} of {len(tables[name])} {name}" for name, rows in idle.items()]
    compared = f"{_count(len(tables))} tables: one may have lost digits or be from another time"
    _refuse_orphans(tables, contract, contract.usage.table, folder, most, found, compared)
    return warn_of_orphans(counts[contract.usage.table], idle)


def warn_of_orphans(counted: Counts, idle: Counts) -> dict[str, Any]:
    """Return what `check_orphans` reports of the counts of usage, after a warning of orphans."""
    names, facts = [*idle], _orphan_facts(counted)
    if facts["rows"]:
        nowhere = {1: f"not in {names[0]}", 2: "in neither company table"}
        log.warning(
            "usage of companies that are %s is left out",
            nowhere.get(len(names), "in no company table"),
            extra=facts | {f"{name}_without_usage": rows for name, rows in idle.items()},
        )
    return facts


def count_idle(tables: dict[str, pd.DataFrame], contract: Contract) -> Counts:
    """Count the rows of each company table whose company has no usage."""
    usage = tables[contract.usage.table]["id"]
    return {name: int((~tables[name]["id"].isin(usage)).sum()) for name in contract.companies.tables}


def count_orphans(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, Counts]:
    """Count by table, usage first, the rows ``of`` it, those that are orphaned, and ``companies`` they name.

    Objections are not counted: who objects may have left the export, and has to stay on that list.
    """
    counts = {}
    for name in (contract.usage.table, *_dated_tables(contract)):
        orphans = _orphaned(tables, contract, name)
        ids = int(orphans["id"].nunique())
        counts[name] = {"rows": len(orphans), "companies": ids, "of": len(tables[name])}
    return counts


def _dated_tables(contract: Contract) -> list[str]:
    """Name the tables whose rows should belong to companies, beside usage."""
    companies, aliases = contract.companies.tables, contract.companies.aliases
    apart = [each.table for each in (aliases, contract.objections) if each is not None]
    return [name for name in contract.tables if name not in {*companies, contract.usage.table, *apart}]


def has_too_many_orphans(counts: dict[str, Counts], most: float) -> bool:
    """Return whether the share of orphans is above ``most`` in some table of `count_orphans`."""
    return any(each["rows"] / max(each["of"], 1) > most for each in counts.values())


def _orphan_facts(counted: Counts) -> dict[str, Any]:
    share = round(counted["rows"] / max(counted["of"], 1), PROFILE_DIGITS)
    return {"rows": counted["rows"], "companies": counted["companies"], "share": share}


def _count(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))


def _refuse_orphans(
    tables: dict[str, pd.DataFrame],
    contract: Contract,
    name: str,
    folder: Place,
    most: float,
    found: Sequence[str] = (),
    compared: str = "tables",
) -> None:
    """Refuse a table of whose rows a share above ``most`` belongs to no company."""
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

    Returns
    -------
    dict of dict
        By ``orphaned_`` and the table ``rows`` that are orphaned, ``companies`` they name, their ``share``.

    Raises
    ------
    ExportError
        The share is above ``most``.
    """
    counts = count_orphans(tables, contract)
    facts: dict[str, dict[str, Any]] = {}
    for name in _dated_tables(contract):
        _refuse_orphans(tables, contract, name, folder, most)
        facts |= warn_of_other_orphans({name: counts[name]})
    return facts


def warn_of_other_orphans(counts: dict[str, Counts]) -> dict[str, dict[str, Any]]:
    """Return what `check_other_orphans` reports of the counts of tables, after warnings of orphans."""
    facts = {f"orphaned_{name}": _orphan_facts(counted) for name, counted in counts.items()}
    for name in counts:
        if (found := facts[f"orphaned_{name}"])["rows"]:
            log.warning(
                "rows of companies that no company table lists are left out", extra={"table": name, **found}
            )
    return facts


KEPT_DIGITS: Final = 15
"""Digits of a number that spreadsheets keep; the others become zeros."""
LEAST_CUT_IDS: Final = 3
"""Fewer ids may end in zeros by chance."""


_SHORTENED = re.compile(r"\d(?:\.\d+)?E\+?\d+", re.IGNORECASE)


def check_long_ids(tables: dict[str, pd.DataFrame]) -> None:
    """Warn of long ids that all end in zeros, and of ids with an exponent, as if a spreadsheet wrote them."""
    warn_of_long_ids(count_long_ids(tables))


def count_long_ids(tables: dict[str, pd.DataFrame]) -> dict[str, Counts]:
    """Count by table the long ids, those ``cut`` that end in zeros, and those ``shortened`` to exponents."""
    counts = {}
    for name, table in tables.items():
        ids = table["id"].drop_duplicates()
        if not pd.api.types.is_string_dtype(ids):
            # Few are long: only these are written as text.
            ids = ids.abs()
            ids = ids[ids >= 10**KEPT_DIGITS]
        text = ids.astype(str)
        long = text[text.str.fullmatch(r"\d+") & (text.str.len() > KEPT_DIGITS)].drop_duplicates()
        cut = int((long.str[KEPT_DIGITS:].str.strip("0") == "").sum())
        shortened = int(text.str.fullmatch(_SHORTENED).sum())
        counts[name] = {"long": len(long), "cut": cut, "shortened": shortened}
    return counts


def warn_of_long_ids(counts: dict[str, Counts]) -> None:
    """Log the warnings of `check_long_ids` of the counts of `count_long_ids`."""
    for name, counted in counts.items():
        if LEAST_CUT_IDS <= counted["long"] == counted["cut"]:
            log.warning(
                "all ids of more than 15 digits end in zeros, as a spreadsheet leaves them: different "
                "companies may have become one; export them as text",
                extra={"table": name, "ids": counted["long"]},
            )
        if shortened := counted["shortened"]:
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
    first_week = tables[contract.usage.table][contract.usage.time].min()
    return warn_of_late_usage(count_late_usage(tables, contract, first_week), contract)


def count_late_usage(tables: dict[str, pd.DataFrame], contract: Contract, first_week: pd.Timestamp) -> Counts:
    """Count the ``customers`` of `check_usage_before_conversion`, and those ``without`` usage before."""
    usage, week = tables[contract.usage.table], contract.usage.time
    converted = conversions(tables, contract).groupby(level=0).min()
    known_from = usage.groupby("id")[week].min().reindex(converted.index) + WEEK
    compared = known_from.notna() & (converted >= first_week + WEEK)
    return {"customers": int(compared.sum()), "without": int((converted < known_from)[compared].sum())}


def warn_of_late_usage(counted: Counts, contract: Contract) -> dict[str, Any]:
    """Return what `check_usage_before_conversion` reports of the counts, after its warning."""
    subscriptions, customers = contract.companies.subscriptions, counted["customers"]
    day = contract.companies.converted if subscriptions is None else subscriptions.start
    without = counted["without"] / customers if customers else 0.0
    warned = without > MOST_WITHOUT_USAGE and customers >= LEAST_CUSTOMERS
    facts = {"customers": customers, "without": round(without, PROFILE_DIGITS), "warned": warned}
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
    return warn_of_levels(count_levels(tables, contract), contract)


def count_levels(tables: dict[str, pd.DataFrame], contract: Contract) -> dict[str, dict[str, Counts]]:
    """Count by category with groups the companies of each level that no group lists, and ``in_all``."""
    return {
        column: _count_levels(tables, contract, column, category)
        for column, category in contract.attributes_of(Category).items()
        if category.groups
    }


def warn_of_levels(counts: dict[str, dict[str, Counts]], contract: Contract) -> dict[str, dict[str, int]]:
    """Return what `check_levels` reports of the counts, after its warnings."""
    categories = contract.attributes_of(Category)
    return {
        f"unlisted_{plural(slug(column))}": _warn_of_levels(counted, column, categories[column])
        for column, counted in counts.items()
    }


def _count_levels(
    tables: dict[str, pd.DataFrame], contract: Contract, column: str, category: Category
) -> dict[str, Counts]:
    if (history := category.history) is not None:
        value = value_column(column, history)
        given = tables[history.table][["id", value]].rename(columns={value: column}).dropna()
    else:
        given = pd.concat([tables[name][["id", column]] for name in contract.companies.tables]).dropna()
    rows = given.drop_duplicates()
    counts = rows[column].value_counts()
    unlisted = {str(level): int(n) for level, n in counts.items() if not is_listed(category, str(level))}
    of_unlisted = rows[column].isin(list(unlisted))
    return {"levels": unlisted, "in_all": {"companies": int(rows.loc[of_unlisted, "id"].nunique())}}


def _warn_of_levels(counted: dict[str, Counts], column: str, category: Category) -> dict[str, int]:
    unlisted = counted["levels"]
    facts = {**counted["in_all"], "labels": len(unlisted)}
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
