"""What the period of an export is found from: usage by week, and days that show when the export was taken.

Of the parts of an export both can be merged; they are written as JSON in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd
from pandas.api.typing import SeriesGroupBy

from conversion.config.data_contract import Contract
from conversion.stats.portable_math import log

COLUMNS: Final = ("rows", "lowest_id", "active", "logs")
"""Columns of `usage_weeks`."""


def usage_weeks(usage: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Summarize usage by week.

    Parameters
    ----------
    usage
        Typed rows: the id, the week, and the actions of modules.
    contract
        Names the columns.

    Returns
    -------
    pandas.DataFrame
        By week, sorted: ``rows``, ``lowest_id``; ``active`` rows, with actions, and ``logs``, the sum of the
        logarithms of their actions.
    """
    time = contract.usage.time
    by_week = usage.groupby(time)["id"]
    of_active = logs_by_week(usage, contract.actions, time)
    weeks = pd.DataFrame({"rows": by_week.size(), "lowest_id": by_week.min()})
    return weeks.assign(
        active=of_active.size().reindex(weeks.index, fill_value=0),
        logs=of_active.sum().reindex(weeks.index, fill_value=0.0),
    )


def logs_by_week(usage: pd.DataFrame, columns: Sequence[str], time: str) -> SeriesGroupBy[Any, Any]:
    """Group by week the logarithm of each active row's actions: those of some columns, if there are any."""
    actions = usage[list(columns)].clip(lower=0).sum(axis=1)
    active = actions > 0
    logs = pd.Series(log(actions[active]), index=actions.index[active])
    return logs.groupby(usage.loc[active, time])


def merged_weeks(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Merge `usage_weeks` of the parts of an export."""
    every = [*parts]
    if len(every) == 1:
        return every[0]
    weeks = pd.concat(every).groupby(level=0)
    return weeks.agg({"rows": "sum", "lowest_id": "min", "active": "sum", "logs": "sum"})


def weeks_to_json(weeks: pd.DataFrame) -> dict[str, list[Any]]:
    """Return `usage_weeks` as JSON has it."""
    days = [f"{week:%Y-%m-%d}" for week in weeks.index]
    return {"week": days, **{name: weeks[name].tolist() for name in COLUMNS}}


def weeks_from_json(weeks: dict[str, list[Any]]) -> pd.DataFrame:
    """Return what `weeks_to_json` was given."""
    index = pd.DatetimeIndex(weeks["week"]).as_unit("us")
    return pd.DataFrame({name: weeks[name] for name in COLUMNS}, index=index)


def days_to_json(days: pd.Series | None) -> list[str] | None:
    """Return the different days of a column as JSON has them; None without one."""
    if days is None:
        return None
    return [day.isoformat() for day in days.dropna().drop_duplicates().sort_values()]


def day_counts(days: pd.Series) -> dict[str, int]:
    """Count the rows of each day of a column, as JSON has them."""
    counts = days.value_counts().sort_index()
    return dict(zip(days_to_json(counts.index.to_series()) or (), counts.tolist(), strict=True))


def days_from_json(days: Iterable[str]) -> pd.Series:
    """Return days that `days_to_json` or `day_counts` wrote, of one part or several."""
    return pd.Series(pd.DatetimeIndex([*days]).as_unit("us"))
