"""Histories of attributes: what a company was from which day on, and what of it is known when."""

from __future__ import annotations

from typing import Final

import pandas as pd

from conversion.config.attribute_kinds import History
from conversion.config.attribute_names import slug
from conversion.config.data_contract import Contract
from conversion.data.deduplication import deduplicate
from conversion.data.rules import first_rule

HISTORY_RULES: Final = {
    "valid_after_as_of": "the value was not valid before as_of",
    "orphan_history": "the id is in no company table",
    "duplicate_history": "another value of the same company and day was kept",
}


def histories_of(contract: Contract) -> dict[str, History]:
    """Return the histories by the attributes that have one, in the contract's order."""
    attributes = contract.companies.attributes
    return {name: each.history for name, each in attributes.items() if each.history is not None}


def history_files(contract: Contract) -> dict[str, str]:
    """Name the file of each attribute's clean history, below the folder of clean tables."""
    files: dict[str, str] = {}
    for column in histories_of(contract):
        name = slug(column)
        # Different columns may have one slug.
        while f"histories/{name}.parquet" in files.values():
            name += "_"
        files[column] = f"histories/{name}.parquet"
    return files


def clean_history(
    table: pd.DataFrame, column: str, history: History, ids: pd.Series, as_of: pd.Timestamp
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep what is known at ``as_of`` of an attribute's history.

    Parameters
    ----------
    table
        The typed table; ``id`` of today.
    column, history
        The attribute, and what the contract says of its history.
    ids
        The companies' ids.
    as_of
        The moment; a value that is valid only from then on is not known.

    Returns
    -------
    history : pandas.DataFrame
        ``id`` and the history's columns of the time and the value (missing: not known from then on), sorted
        by id and time, each once.
    quarantine : pandas.DataFrame
        The other rows, with a ``rule`` column.
    """
    rows = table[["id", history.valid_from, value_column(column, history)]]
    order = ["id", history.valid_from]
    broken = {
        "valid_after_as_of": ~(rows[history.valid_from] < as_of),
        "orphan_history": ~rows["id"].isin(ids),
    }
    rule = first_rule(broken, rows.index)
    rest = rows[rule.isna()]
    kept = deduplicate(rest, order, "most_complete")
    rule = rule.mask(rule.index.isin(rest.index[~kept]), "duplicate_history")
    clean = rows[rule.isna()].sort_values(order, ignore_index=True)
    return clean, rows.assign(rule=rule)[rule.notna()].reset_index(drop=True)


def value_column(column: str, history: History) -> str:
    """Name the column of an attribute's values in the table of its history."""
    return column if history.value is None else history.value


def last_values(rows: pd.DataFrame, ids: pd.Series, value: str) -> pd.Series:
    """Return the last value of each company in a clean history, missing where it has none."""
    last = rows.drop_duplicates("id", keep="last").set_index("id")[value]
    return pd.Series(last.reindex(ids).array, index=ids.index)
