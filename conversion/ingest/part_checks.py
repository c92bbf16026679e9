"""The checks across tables of an export in parts: counted part by part, reported of all of them.

A company's rows are in one part, so the counts of parts add up to those of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.data_contract import Contract
from conversion.data.aliases import CurrentIds, ids_of_today, replaced
from conversion.data.part_cleaning import read_part
from conversion.ingest.attribute_leaks import count_values, dated_by_nothing, facts_of_all
from conversion.ingest.columns import key_columns
from conversion.ingest.company_checks import count_contradictions, warn_of_contradictions
from conversion.ingest.contact_checks import count_contacts, warn_of_contacts
from conversion.ingest.cross_checks import (
    check_orphans,
    check_other_orphans,
    conversions,
    count_idle,
    count_late_usage,
    count_levels,
    count_long_ids,
    count_orphans,
    has_too_many_orphans,
    warn_of_late_usage,
    warn_of_levels,
    warn_of_long_ids,
    warn_of_orphans,
    warn_of_other_orphans,
)
from conversion.ingest.date_checks import (
    count_dates,
    count_usage_before_sign_up,
    warn_of_dates,
    warn_of_usage_before_sign_up,
)
from conversion.ingest.folders import Place
from conversion.ingest.id_checks import (
    check_case_of_ids,
    count_lost_ids,
    folded_ids,
    may_differ_by_case,
    warn_of_lost_ids,
    with_current_ids,
)
from conversion.ingest.origin_leaks import company_rows
from conversion.ingest.plan_checks import count_plans, warn_of_plans
from conversion.ingest.split import SplitExport
from conversion.ingest.whole_columns import describe_faults, whole_ids
from conversion.runtime.errors import ExportError
from conversion.runtime.files import read_parquet, write_parquet
from conversion.runtime.parts import part_path
from conversion.stats.hashing import part_of

LEAKS: Final = "leaks.parquet"
"""The table of what leaks are measured of, beside the typed tables of a split export."""


def part_customers(folder: Path, contract: Contract, parts: int, current: CurrentIds) -> pd.Series:
    """Return the ids of customers, of today, before usage is written."""
    usage = pd.DataFrame({"id": [], contract.usage.time: []})
    aliases = contract.companies.aliases
    found = []
    for part in range(parts):
        tables = {contract.usage.table: usage}
        for name in contract.tables:
            if name != contract.usage.table and (aliases is None or name != aliases.table):
                table = read_parquet(part_path(folder / f"{name}.parquet", part, parts))
                tables[name] = table.assign(id=replaced(table["id"], current))
        rows = company_rows(tables, contract)
        found.append(rows.loc[rows["customer"], "id"].drop_duplicates())
    ids: pd.Series = pd.concat(found, ignore_index=True)
    return ids


def check_part(
    folder: Path, contract: Contract, weeks: tuple[str, str], parts: int, part: int
) -> dict[str, Any]:
    """Count what the checks across tables look for in one part; write what leaks are measured of.

    Parameters
    ----------
    folder
        Of the typed tables.
    contract
        Names them.
    weeks
        The first and the last week of usage of the whole export, as ISO dates.
    parts, part
        How many there are, and which one.

    Returns
    -------
    dict
        Counts by check, which `conversion.data.counts.added` adds up.
    """
    tables = read_part(folder, contract, part, parts)
    first, last = map(pd.Timestamp, weeks)
    current = with_current_ids(tables, contract)
    rows = company_rows(current, contract)
    write_parquet(part_path(folder / LEAKS, part, parts), rows)
    for name, values in count_values(current, contract, rows).items():
        write_parquet(part_path(_values(folder, contract, name), part, parts), values)
    if contract.companies.ids == "text":
        for name, ids in folded_ids(tables, contract).items():
            write_parquet(part_path(_folds(folder, name), part, parts), ids)
    return {
        "in_two_tables": _in_two_tables(tables, contract),
        "long_ids": count_long_ids(_own(tables, contract, part)),
        "orphans": count_orphans(current, contract),
        "idle": count_idle(current, contract),
        "lost_ids": count_lost_ids(tables, _here(tables, contract, parts, part), contract),
        "late_usage": count_late_usage(current, contract, first),
        "before_sign_up": count_usage_before_sign_up(current, contract),
        "dates": count_dates(current, contract),
        "levels": count_levels(current, contract),
        "contradictions": count_contradictions(tables, contract),
        "plans": count_plans(current, contract),
        "contacts": count_contacts(current, contract, last),
        "customers": len(conversions(current, contract)),
        "repeated": {
            name: int(table.duplicated(list(key_columns(contract, name))).sum())
            for name, table in _own(tables, contract, part).items()
        },
    }


def _values(folder: Path, contract: Contract, attribute: str) -> Path:
    # By its place: a column's name may be none of a file.
    return folder / f"values-{[*contract.companies.attributes].index(attribute)}.parquet"


def attribute_leaks(folder: Path, contract: Contract) -> dict[str, Any]:
    """Measure the attributes by what `check_part` wrote of all parts, one attribute at a time."""
    names = dated_by_nothing(contract)
    return facts_of_all(((name, read_parquet(_values(folder, contract, name))) for name in names), contract)


def _own(tables: Mapping[str, pd.DataFrame], contract: Contract, part: int) -> dict[str, pd.DataFrame]:
    """Return the tables without that of aliases, which every part has, but for the first part."""
    aliases = contract.companies.aliases
    shared = None if aliases is None or part == 0 else aliases.table
    return {name: table for name, table in tables.items() if name != shared}


def _here(tables: Mapping[str, pd.DataFrame], contract: Contract, parts: int, part: int) -> CurrentIds:
    """Return the ids of today of the companies of one part."""
    current = ids_of_today(tables, contract)
    if not current:
        return current
    where = part_of([*current.values()], parts)
    return {old: now for (old, now), at in zip(current.items(), where, strict=True) if at == part}


def _in_two_tables(tables: Mapping[str, pd.DataFrame], contract: Contract) -> int:
    """Count the ids that are in a table whose companies have all converted, and in one where none has."""
    kinds = contract.companies.tables
    all_of, none_of = (
        pd.concat([pd.Series(dtype="object"), *(tables[name]["id"] for name in kinds if kinds[name] == kind)])
        for kind in ("all", "none")
    )
    return int(all_of.isin(none_of).sum())


def refuse_parts(
    scratch: Path,
    folder: Place,
    contract: Contract,
    contract_file: str | None,
    split: SplitExport,
    counts: Mapping[str, Any],
    most: float,
) -> None:
    """Refuse an export in parts for its ids, with the messages of the checks of whole tables.

    Parameters
    ----------
    scratch
        Of the typed tables, and of what `check_part` wrote.
    folder, contract, contract_file
        As `conversion.ingest.export.read_export` takes them.
    split, counts
        What is known of all parts.
    most
        ``data.max_orphan_share``.

    Raises
    ------
    ExportError
        Ids are in two tables, differ by case alone, or are of no company.
    """
    if counts["in_two_tables"]:
        faults, _ = describe_faults(folder, contract, contract_file, {})
        raise ExportError("\n".join(map(str, faults)))
    warn_of_long_ids(counts["long_ids"])
    ids = partial(whole_ids, folder, contract, split.formats, split.current)
    if contract.companies.ids == "text" and _may_differ_by_case(scratch, contract):
        check_case_of_ids(ids(), contract, folder)
    if has_too_many_orphans(counts["orphans"], most):
        current = with_current_ids(ids(), contract)
        check_orphans(current, contract, folder, most)
        check_other_orphans(current, contract, folder, most)


def _may_differ_by_case(scratch: Path, contract: Contract) -> bool:
    """Return whether ids may differ by case alone, which only all parts together show."""
    aliases = contract.companies.aliases
    named = [name for name in contract.tables if aliases is None or name != aliases.table]
    return may_differ_by_case({name: read_parquet(_folds(scratch, name)) for name in named}, contract)


def _folds(folder: Path, table: str) -> Path:
    return folder / f"ids-{table}.parquet"


def report_checks(
    counts: Mapping[str, Any], current: CurrentIds, contract: Contract, folder: Place
) -> dict[str, Any]:
    """Return what the checks across tables report of the counts of all parts, after their warnings.

    Raises
    ------
    ExportError
        Too much usage is before the sign-up of its company.
    """
    usage = contract.usage.table
    orphans = {name: counted for name, counted in counts["orphans"].items() if name != usage}
    report = {
        "orphaned_usage": warn_of_orphans(counts["orphans"][usage], counts["idle"]),
        **warn_of_other_orphans(orphans),
        **warn_of_lost_ids(len(current), counts["lost_ids"], contract),
        "usage_before_conversion": warn_of_late_usage(counts["late_usage"], contract),
        **warn_of_usage_before_sign_up(counts["before_sign_up"], contract, folder),
    }
    if dates := warn_of_dates(counts["dates"], contract):
        report["dates_out_of_order"] = dates
    warn_of_contradictions(counts["contradictions"])
    warn_of_plans(counts["plans"], contract)
    levels = warn_of_levels(counts["levels"], contract)
    return {**report, **levels, **warn_of_contacts(counts["contacts"], contract)}
