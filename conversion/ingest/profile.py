"""The data quality profile: what is in each column of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from conversion.stats.metric import Metric

PROFILE_VALUES: Final = 10
PROFILE_DIGITS: Final = 6


def profile(table: pd.DataFrame, key: Sequence[str], shown: Sequence[str] = ()) -> dict[str, Any]:
    """Describe a table without naming any company.

    Parameters
    ----------
    table
        A checked table.
    key
        The columns that should identify a row.
    shown
        The columns that may name a company or a person; their values are left out.

    Returns
    -------
    dict
        The number of rows, and of rows that repeat the key of an earlier one; for each column its missing
        share, number of distinct values and range, or for text and flags the counts of the most frequent
        values. The order of rows changes nothing.
    """
    return {
        "rows": len(table),
        "key": ", ".join(key),
        "duplicate_keys": int(table.duplicated(list(key)).sum()),
        "columns": {str(name): _profile_column(table[name], name in ("id", *shown)) for name in table},
    }


def _profile_column(column: pd.Series[Any], private: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "missing_share": round(float(column.isna().mean()), PROFILE_DIGITS) if len(column) else 0.0,
        "distinct": int(column.nunique()),
    }
    known = column.dropna()
    if private or known.empty:
        return facts
    if pd.api.types.is_bool_dtype(column):
        known = column = known.map({True: "yes", False: "no"}).astype("str")
    if pd.api.types.is_string_dtype(column):
        counts = sorted(known.value_counts().items(), key=lambda item: (-item[1], item[0]))
        return facts | {"most_frequent": {str(value): int(n) for value, n in counts[:PROFILE_VALUES]}}
    return facts | {"min": plain(known.min()), "max": plain(known.max())}


def plain(value: Any) -> str | int | float:
    """Return a least or greatest value as JSON has it."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    return int(value) if float(value).is_integer() else round(float(value), PROFILE_DIGITS)


PROFILE_METRICS: Final = (
    Metric("rows", "rows"),
    Metric("key", "columns that should identify a row"),
    Metric("duplicate_keys", "rows whose key another row has too"),
    Metric("columns.<column>.missing_share", "share of rows without a value"),
    Metric("columns.<column>.distinct", "distinct values"),
    Metric("columns.<column>.min", "least value"),
    Metric("columns.<column>.max", "greatest value"),
    Metric("columns.<column>.most_frequent.<value>", "rows with one of the most frequent values"),
)
"""What `profile` reports."""
