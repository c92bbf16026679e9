"""Checks across the three tables: orphaned usage, shortened ids, usage before conversion, industries."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config import contract
from conversion.data.industries import is_listed
from conversion.data.timeline import WEEK
from conversion.ingest.cells import is_missing_word
from conversion.ingest.faults import EMPTY_CELL, SHOWN_KEYS, Fault, quoted
from conversion.ingest.profile import PROFILE_DIGITS
from conversion.ingest.tables import shown_file
from conversion.runtime.errors import ExportError
from conversion.stats.metric import Metric

log = logging.getLogger(__name__)


def check_orphans(tables: dict[str, pd.DataFrame], folder: Path, most: float) -> dict[str, Any]:
    """Check how much usage belongs to no company: refuse an export with too much, warn of less.

    Parameters
    ----------
    tables
        Checked.
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
    usage, orphans = tables[contract.USAGE_ACTIONS], orphaned_usage(tables)
    share = len(orphans) / len(usage)
    ids = orphans["id"].drop_duplicates()
    idle = {name: int((~tables[name]["id"].isin(usage["id"])).sum()) for name in contract.COMPANY_TABLES}
    if share > most:
        fault = Fault(
            file=shown_file(folder, contract.USAGE_ACTIONS),
            column="id",
            expected=f"ids of {' or '.join(contract.COMPANY_TABLES)} in all rows but a share of {most:g}",
            rows=len(orphans),
            keys=tuple(f"id {value}" for value in ids.head(SHOWN_KEYS)),
            found=(
                f"a share of {share:.3f} of others",
                *(f"no usage for {rows} of {len(tables[name])} {name}" for name, rows in idle.items()),
            ),
            remedy="compare the ids of the three tables: one may have lost digits or be from another "
            "time; if these companies are left out on purpose, raise data.max_orphan_share",
        )
        raise ExportError(str(fault))
    facts = {"rows": len(orphans), "companies": len(ids), "share": round(share, PROFILE_DIGITS)}
    if len(orphans):
        log.warning(
            "usage of companies that are in neither company table is left out",
            extra=facts | {f"{name}_without_usage": rows for name, rows in idle.items()},
        )
    return facts


def orphaned_usage(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the usage rows of companies that neither company table lists."""
    usage = tables[contract.USAGE_ACTIONS]
    return usage[~usage["id"].isin(pd.concat([tables[name]["id"] for name in contract.COMPANY_TABLES]))]


KEPT_DIGITS: Final = 15
"""Digits of a number that spreadsheets keep; the others become zeros."""
LEAST_CUT_IDS: Final = 3
"""Fewer ids may end in zeros by chance."""


def check_long_ids(tables: dict[str, pd.DataFrame]) -> None:
    """Warn of long ids that all end in zeros, as if a spreadsheet had written them."""
    for name, table in tables.items():
        long = table.loc[table["id"].abs() >= 10**KEPT_DIGITS, "id"].abs().drop_duplicates().astype(str)
        if len(long) >= LEAST_CUT_IDS and (long.str[KEPT_DIGITS:].str.strip("0") == "").all():
            log.warning(
                "all ids of more than 15 digits end in zeros, as a spreadsheet leaves them: different "
                "companies may have become one; export them as text",
                extra={"table": name, "ids": len(long)},
            )


MOST_WITHOUT_USAGE: Final = 2 / 3
"""A fifth to a half is usual, as many companies convert in their first week. For trials' starts it is all."""
LEAST_CUSTOMERS: Final = 20
"""Fewer customers may be without usage by chance."""


def check_usage_before_conversion(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Measure how many customers have no week of usage before they converted; warn if most have none.

    Parameters
    ----------
    tables
        Checked.

    Returns
    -------
    dict
        ``customers``: how many have usage and converted after the export's first week was over, so that
        usage before it could be there. ``without``: the share of them that has none. ``warned``: whether it
        was too large.
    """
    usage = tables[contract.USAGE_ACTIONS]
    converted = tables[contract.CUSTOMERS].groupby("id")["CLOSEDATE"].min()
    known_from = usage.groupby("id")["WHEN_TIMESTAMP"].min().reindex(converted.index) + WEEK
    compared = known_from.notna() & (converted >= usage["WHEN_TIMESTAMP"].min() + WEEK)
    without = float((converted < known_from)[compared].mean()) if compared.any() else 0.0
    warned = without > MOST_WITHOUT_USAGE and int(compared.sum()) >= LEAST_CUSTOMERS
    facts = {"customers": int(compared.sum()), "without": round(without, PROFILE_DIGITS), "warned": warned}
    if warned:
        log.warning(
            "most customers have no week of usage before CLOSEDATE, so nothing precedes their conversions: "
            "CLOSEDATE should be the day they began to pay, not to sign up or to try",
            extra={name: facts[name] for name in ("customers", "without")},
        )
    return facts


def check_industries(tables: dict[str, pd.DataFrame]) -> dict[str, int]:
    """Count the companies whose industry is in neither taxonomy, and the labels; warn of them.

    Parameters
    ----------
    tables
        Checked.

    Returns
    -------
    dict
        ``companies`` with such an industry, different ``labels``.
    """
    given = pd.concat([tables[name][["id", "INDUSTRY"]] for name in contract.COMPANY_TABLES]).dropna()
    rows = given.drop_duplicates()
    counts = rows["INDUSTRY"].value_counts()
    unlisted = {str(label): int(n) for label, n in counts.items() if not is_listed(str(label))}
    of_unlisted = rows["INDUSTRY"].isin(list(unlisted))
    facts = {"companies": int(rows.loc[of_unlisted, "id"].nunique()), "labels": len(unlisted)}
    if unlisted:
        frequent = sorted(unlisted, key=lambda label: (-unlisted[label], label))
        log.warning(
            "industries that are in neither taxonomy count as unknown; use the labels of one%s",
            f"; {EMPTY_CELL}" if any(map(is_missing_word, unlisted)) else "",
            extra=facts | {"most_frequent": [quoted(label) for label in frequent[:SHOWN_KEYS]]},
        )
    return facts


CROSS_CHECK_METRICS: Final = (
    Metric("orphaned_usage.rows", "usage rows of companies that are in neither company table"),
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
    Metric("unlisted_industries.companies", "companies whose industry is in neither taxonomy"),
    Metric("unlisted_industries.labels", "distinct industries that are in neither taxonomy"),
)
"""What the checks across tables report."""
