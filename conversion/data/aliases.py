"""Ids that are no longer used: what they became, and the rows of companies that were merged into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Aliases, Contract
from conversion.runtime.errors import ExportError

CurrentIds = Mapping[Any, Any]
"""By id that is no longer used, the id of today."""
NO_ALIASES: Final[CurrentIds] = {}
MERGED: Final = "merged_company"


def current_ids(table: pd.DataFrame, aliases: Aliases) -> CurrentIds:
    """Return what each id that is no longer used became, through chains such as a, then b, then c.

    Parameters
    ----------
    table
        The typed table of aliases: ``id``, and ``into``, what it became.
    aliases
        Names the table and the columns as the export has them, for messages.

    Raises
    ------
    ExportError
        An id became two, or following the ids leads back to one of them.
    """
    pairs = table[["id", "into"]].drop_duplicates().sort_values(["id", "into"])
    twice = pairs[pairs.duplicated("id", keep=False)]
    if len(twice):
        old, *into = twice["id"].iloc[0], *twice["into"].iloc[:2]
        raise ExportError(
            f"{aliases.table}: {aliases.into}: expected one id for each {aliases.id}; found that {old} "
            f"became {into[0]} and {into[1]}; keep one of the rows"
        )
    became = dict(zip(pairs["id"].tolist(), pairs["into"].tolist(), strict=True))
    current: dict[Any, Any] = {}
    for old in became:
        path = [old]
        while path[-1] in became and path[-1] not in current:
            step = became[path[-1]]
            if step in path:
                _refuse_circle([*path[path.index(step) :], step], aliases)
            path.append(step)
        end = current.get(path[-1], path[-1])
        current |= dict.fromkeys(path[:-1], end)
    return current


def ids_of_today(tables: Mapping[str, pd.DataFrame], contract: Contract) -> CurrentIds:
    """Return `current_ids` of an export's typed tables; none where the contract has no table of aliases."""
    aliases = contract.companies.aliases
    return NO_ALIASES if aliases is None else current_ids(tables[aliases.table], aliases)


def _refuse_circle(ids: list[Any], aliases: Aliases) -> None:
    raise ExportError(
        f"{aliases.table}: {aliases.into}: expected that each {aliases.id} leads to an id that is still "
        f"used; found {' -> '.join(map(str, ids))}; remove one of the rows"
    )


def replaced(ids: pd.Series, current: CurrentIds) -> pd.Series:
    """Return ids with those of today in place of those that are no longer used."""
    old = ids.isin(list(current))
    if not old.any():
        return ids
    values = ids.array.copy()
    # One by one: `map`, or rows that are aligned, would make floats of whole numbers, which lose digits.
    values[old.to_numpy()] = [current[each] for each in ids[old].tolist()]
    return pd.Series(values, ids.index, name=ids.name)


def known_ids(ids: pd.Series, current: CurrentIds) -> pd.Series:
    """Return the companies' ids, and the ones no longer used of these companies."""
    known = set(ids)
    former = [old for old, now in current.items() if now in known]
    return pd.concat([ids, pd.Series(former, dtype=ids.dtype)], ignore_index=True)


def merge_companies(
    tables: Sequence[pd.DataFrame], current: CurrentIds, as_of: pd.Timestamp, contract: Contract
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Leave out the companies whose id is no longer used.

    Parameters
    ----------
    tables
        Typed company tables.
    as_of
        The moment. A row counts only if the company had signed up by then, so that the row of an old id
        stands in for its company, under the id of today, where no row of that one was known.

    Returns
    -------
    kept, merged : list of DataFrame
        Of each table the rows with ids of today, and the rows left out with their old ids. A company that
        others became signed up when the first of them did; nothing else of a row left out is used.
    """
    signed_up = contract.companies.signed_up

    def ids_of_today(table: pd.DataFrame) -> pd.Series:
        here = ~(table[signed_up] >= as_of) if signed_up in table else True
        return table.loc[here & ~table["id"].isin(list(current)), "id"]

    today = set(pd.concat([ids_of_today(table) for table in tables]))
    kept, merged = [], []
    for table in tables:
        ids = replaced(table["id"], current)
        away = table["id"].isin(list(current)) & ids.isin(today)
        kept.append(table.assign(id=ids)[~away])
        merged.append(table[away])
    if signed_up is not None:
        kept = _signed_up_first(kept, merged, current, signed_up)
    return kept, merged


def _signed_up_first(
    kept: list[pd.DataFrame], merged: list[pd.DataFrame], current: CurrentIds, signed_up: str
) -> list[pd.DataFrame]:
    """Put the earliest day of sign-up into each row; a day that is missing is before all others."""
    former = pd.concat([table[["id", signed_up]] for table in merged])
    if former.empty:
        return kept
    first = former[signed_up].groupby(replaced(former["id"], current)).min(skipna=False)
    found = []
    for table in kept:
        earlier = table["id"].map(first)
        moved = table["id"].isin(first.index) & ~(table[signed_up] <= earlier) & table[signed_up].notna()
        found.append(table.assign(**{signed_up: table[signed_up].mask(moved, earlier)}))
    return found


def merge_usage(usage: pd.DataFrame, current: CurrentIds, contract: Contract) -> pd.DataFrame:
    """Add up the weeks of companies that were merged into one.

    Parameters
    ----------
    usage
        Clean rows, at most one an id and week, under the ids of their time.

    Returns
    -------
    pandas.DataFrame
        One row an id of today and week, sorted: counts are sums; measures are combined as the contract says,
        and of ``last`` the one of the id of today if it is known.
    """
    if not usage["id"].isin(list(current)).any():
        return usage
    ids = replaced(usage["id"], current)
    time = contract.usage.time
    # The row of the id of today comes last of its week.
    keys = pd.concat([ids, usage[time], ids.eq(usage["id"]), usage["id"]], axis=1, ignore_index=True)
    order = keys.reset_index(drop=True).sort_values([*keys.columns]).index
    rows = usage.assign(id=ids).iloc[order]
    groups = rows.groupby(["id", time], sort=False)
    columns = {name: groups[name].sum() for name in contract.counts}
    for name, measure in contract.usage.measures.items():
        column = groups[name]
        # Of measures that are missing, the sum is missing too.
        columns[name] = column.sum(min_count=1) if measure.combine == "sum" else column.agg(measure.combine)
    merged = pd.DataFrame(columns).reset_index()
    return merged[list(usage.columns)].astype(usage.dtypes.to_dict())
