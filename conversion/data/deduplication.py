"""Which of several rows of one key is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype


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
        ``most_complete``: the row with the most cells that are non-null, non-empty and non-zero (a flag that
        is False counts, as it says something); among equals the row that sorts last by its values, column
        after column (missing first), so that file order does not matter. ``first`` and ``last``: by file
        order.
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
    complete = np.zeros(len(table), dtype=np.int64)
    for name in counted:
        complete += _filled(table[name])
    order = pd.concat([table[key], pd.Series(complete, table.index), table[values]], axis=1)
    # Numbered, as a column of the table may have any name.
    order.columns = pd.RangeIndex(order.shape[1])
    order = order.sort_values([*order.columns], kind="stable", na_position="first")
    is_last = ~order[[*range(len(key))]].duplicated(keep="last")
    return is_last.reindex(table.index)


def _filled(column: pd.Series) -> np.ndarray:
    filled = column.notna().to_numpy()
    if is_bool_dtype(column):
        return filled
    return filled & (column.ne(0) & column.ne("")).to_numpy(dtype=np.bool_, na_value=False)
