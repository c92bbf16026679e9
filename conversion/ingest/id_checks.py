"""Checks of ids across tables: those that differ by case alone, and those that are no longer used."""

from __future__ import annotations

import logging
import re
from typing import Final

import numpy as np
import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import CurrentIds, ids_of_today, replaced
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import SHOWN_KEYS, SHOWN_VALUES, Fault, quoted, row_key
from conversion.ingest.folders import Place, shown_file
from conversion.runtime.errors import ExportError
from conversion.stats.hashing import tie_break

log = logging.getLogger(__name__)
Tables = dict[str, pd.DataFrame]
GUID: Final = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
"""Ids in which case means nothing."""
CASE_REMEDY: Final = (
    "export the ids of all tables in the same case; the project does not change them, as case tells other "
    "ids apart, such as a CRM's of 15 characters"
)


def with_current_ids(tables: Tables, contract: Contract) -> Tables:
    """Replace ids that are no longer used by those of today, in all tables but that of aliases.

    Raises
    ------
    ExportError
        The table of aliases contradicts itself.
    """
    aliases = contract.companies.aliases
    if aliases is None:
        return tables
    current = ids_of_today(tables, contract)
    return {
        name: table if name == aliases.table else table.assign(id=replaced(table["id"], current))
        for name, table in tables.items()
    }


def check_aliases(tables: Tables, contract: Contract) -> dict[str, dict[str, int]]:
    """Count the ids that are no longer used, and those of them that lead to no company; warn of these.

    Parameters
    ----------
    tables
        Checked; ids as they are in the export.
    contract
        Names the table of aliases, if there is one.
    """
    current = ids_of_today(tables, contract)
    return warn_of_lost_ids(len(current), count_lost_ids(tables, current, contract), contract)


def count_lost_ids(tables: Tables, current: CurrentIds, contract: Contract) -> int:
    """Count which of the ids that are no longer used lead to no company."""
    if not current:
        return 0
    known = set(pd.concat([tables[name]["id"] for name in contract.companies.tables]))
    return sum(now not in known and old not in known for old, now in current.items())


def warn_of_lost_ids(ids: int, lost: int, contract: Contract) -> dict[str, dict[str, int]]:
    """Return what `check_aliases` reports of the counts, after its warning."""
    aliases = contract.companies.aliases
    if aliases is None:
        return {}
    if lost:
        log.warning(
            "ids that are no longer used lead to companies that no company table lists",
            extra={"table": aliases.table, "ids": lost},
        )
    return {"merged_ids": {"ids": ids, "into_no_company": lost}}


def check_case_of_ids(tables: Tables, contract: Contract, folder: Place) -> None:
    """Refuse ids that differ between tables by case alone, where case means nothing.

    That is so of GUIDs; and of other ids if no two companies differ so, but most ids of a table that no
    company has do. Else they may be of companies that are left out.

    Raises
    ------
    ExportError
        A table has such ids.
    """
    if contract.companies.ids == "text" and (found := case_faults(tables, contract, folder)):
        raise ExportError("\n".join(map(str, found)))


def case_faults(tables: Tables, contract: Contract, folder: Place) -> list[Fault]:
    """Return the faults of `check_case_of_ids`, of ids that are text."""
    names = contract.companies
    listed = pd.concat([tables[name]["id"] for name in names.tables]).drop_duplicates()
    folds = listed.str.casefold()
    alike = listed[folds.duplicated(keep=False)]
    faults = [_case_fault(folder, contract, name, tables[name], alike) for name in names.tables]
    for name in _tables_of_rows(contract):
        unknown = unknown_ids(tables, name, contract)
        near = unknown[unknown.str.casefold().isin(folds)]
        if len(near) and (len(alike) or len(near) < len(unknown) / 2):
            near = pd.Series([value for value in near if _is_guid(value)], dtype="str")
        if len(near):
            meant = folds.isin(near.str.casefold())
            by_fold = dict(zip(folds[meant], listed[meant], strict=True))
            faults.append(_fault(folder, contract, name, tables[name], near, by_fold))
    return [fault for fault in faults if fault is not None]


def _tables_of_rows(contract: Contract) -> list[str]:
    """Name the tables that are neither of companies nor of aliases."""
    names = contract.companies
    apart = {*names.tables} if names.aliases is None else {*names.tables, names.aliases.table}
    return [name for name in contract.tables if name not in apart]


def unknown_ids(tables: Tables, name: str, contract: Contract) -> pd.Series:
    """Return the ids of a table, each once, that neither a company table nor that of aliases has."""
    names = contract.companies
    aliases = [] if names.aliases is None else [names.aliases.table]
    ids = tables[name]["id"].drop_duplicates()
    return ids[~ids.isin(pd.concat([tables[each]["id"] for each in (*names.tables, *aliases)]))]


def folded_ids(tables: Tables, contract: Contract) -> Tables:
    """Return of a part's ids what `may_differ_by_case` compares with those of all parts.

    Returns
    -------
    dict of pandas.DataFrame
        By table of companies or rows, of each of its ids (of rows only those that no company has): ``fold``,
        the hash of the id in lower case, and ``guid``, whether it is one.
    """
    names = contract.companies
    compared = {name: tables[name]["id"].drop_duplicates() for name in names.tables}
    compared |= {name: unknown_ids(tables, name, contract) for name in _tables_of_rows(contract)}
    return {name: _folded(ids) for name, ids in compared.items()}


def _folded(ids: pd.Series) -> pd.DataFrame:
    folds = np.array([text.casefold() for text in ids], dtype=object)
    return pd.DataFrame({"fold": tie_break(folds), "guid": [_is_guid(text) for text in ids]}).astype(
        {"fold": "uint64", "guid": "bool"}
    )


def may_differ_by_case(folded: Tables, contract: Contract) -> bool:
    """Return whether `case_faults` would have some, of the `folded_ids` of all parts.

    It would not if this says so. Two ids with the same hash are taken for ids that differ by case.
    """
    companies = pd.concat([folded[name] for name in contract.companies.tables], ignore_index=True)
    folds = np.sort(companies["fold"].to_numpy())
    alike = folds[1:][folds[1:] == folds[:-1]]
    if companies["guid"].to_numpy()[_among(companies["fold"], alike)].any():
        return True
    for name in _tables_of_rows(contract):
        unknown = folded[name]
        near = _among(unknown["fold"], folds)
        if len(alike) or near.sum() < len(unknown) / 2:
            near &= unknown["guid"].to_numpy()
        if near.any():
            return True
    return False


def _among(folds: pd.Series, known: np.ndarray) -> np.ndarray:
    """Return which of the hashes are among known ones, which are sorted."""
    values = folds.to_numpy()
    left = np.searchsorted(known, values, side="left")
    return np.asarray(np.searchsorted(known, values, side="right") > left)


def _is_guid(value: object) -> bool:
    return isinstance(value, str) and GUID.fullmatch(value) is not None


def _case_fault(
    folder: Place, contract: Contract, name: str, table: pd.DataFrame, alike: pd.Series
) -> Fault | None:
    """Return the fault of companies' GUIDs that differ from others by case alone."""
    by_fold: dict[str, str] = {}
    for value in alike:
        by_fold.setdefault(value.casefold(), value)
    here = set(table["id"])
    later = [value for value in alike if value in here and by_fold[value.casefold()] != value]
    guids = pd.Series([value for value in later if _is_guid(value)], dtype="str")
    return None if guids.empty else _fault(folder, contract, name, table, guids, by_fold)


def _fault(
    folder: Place,
    contract: Contract,
    name: str,
    table: pd.DataFrame,
    near: pd.Series,
    by_fold: dict[str, str],
) -> Fault:
    key = tables_of(contract)[name].id
    return Fault(
        file=shown_file(folder, name),
        column=key,
        expected=f"ids written as in {' or '.join(contract.companies.tables)}",
        remedy=CASE_REMEDY,
        rows=int(table["id"].isin(near).sum()),
        keys=tuple(row_key(key, value) for value in near.head(SHOWN_KEYS)),
        found=tuple(f"{quoted(by_fold[value.casefold()])} there" for value in near.head(SHOWN_VALUES)),
    )
