"""Checks of the rows of companies that have several: which of them contradict each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.histories import histories_of
from conversion.ingest.faults import quoted, row_key

log = logging.getLogger(__name__)


def check_contradictions(tables: Mapping[str, pd.DataFrame], contract: Contract) -> None:
    """Warn of companies that have several rows which say different things.

    Rows of later conversions may: they are of another time, and cleaning reads nothing but ends of them.

    Parameters
    ----------
    tables
        Checked; ids as they are in the export.
    contract
        Names their columns.
    """
    warn_of_contradictions(count_contradictions(tables, contract))


def count_contradictions(tables: Mapping[str, pd.DataFrame], contract: Contract) -> dict[str, Any]:
    """Count the ``companies`` of `check_contradictions`, by ``columns`` too, with one of the ``examples``.

    A missing value contradicts no other.
    """
    rows, first = _rows_of_one_time(tables, contract)
    names = contract.companies
    of_conversion = [name for name in (names.value, names.ended) if name in rows]
    attributes = [name for name in names.attributes if name not in histories_of(contract)]
    differing = {}
    for column in (names.signed_up, *attributes, *of_conversion, *names.shown):
        if column is not None and column in rows:
            compared = rows[first] if column in of_conversion else rows
            values = compared.groupby("id")[column].nunique()
            differing[column] = values.index[values > 1]
    ids = {each for found in differing.values() for each in found}
    return {
        "companies": len(ids),
        "columns": {column: len(found) for column, found in differing.items() if len(found)},
        "examples": _example(rows, differing, ids, contract),
    }


def _rows_of_one_time(
    tables: Mapping[str, pd.DataFrame], contract: Contract
) -> tuple[pd.DataFrame, pd.Series]:
    """Return companies' repeated rows without those of later conversions, and which are of the first one."""
    rows = pd.concat([tables[name] for name in contract.companies.tables], ignore_index=True)
    rows = rows[rows["id"].duplicated(keep=False)]
    converted = rows.get(contract.companies.converted, pd.Series(pd.NaT, index=rows.index))
    first = converted.eq(converted.groupby(rows["id"]).transform("min"))
    now = first | converted.isna()
    return rows[now], first[now]


def _example(
    rows: pd.DataFrame, differing: Mapping[str, pd.Index], ids: set[Any], contract: Contract
) -> dict[str, int]:
    """Describe one company; the same one however many others are in the tables."""
    if not ids:
        return {}
    lowest = min(ids, key=str)
    column = next(column for column, found in differing.items() if lowest in found)
    example = f"{row_key(contract.companies.id, lowest)}: {column}"
    if column in contract.companies.shown:
        return {example: 1}  # who a company is stays out of logs
    values = sorted(map(_plain, rows.loc[rows["id"] == lowest, column].dropna().unique()))
    return {f"{example} {' and '.join(map(quoted, values))}": 1}


def _plain(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def warn_of_contradictions(counts: Mapping[str, Any]) -> None:
    """Log the warning of `check_contradictions` of the counts of `count_contradictions`."""
    if counts["companies"]:
        columns = ", ".join(f"{column} ({number})" for column, number in counts["columns"].items())
        log.warning(
            "rows of one company contradict each other: one is kept by clean.deduplication, whichever is "
            "right; leave out the wrong ones",
            extra={
                "companies": counts["companies"],
                "columns": columns,
                "example": min(counts["examples"]),
            },
        )
