"""Cleaning of the parts of an export: what each part says of the whole, and the tables that it becomes.

Companies are in one part each, so rules and reports need no other part. What does is found before: the weeks
that the export covers, and the first clean one; and after: the levels of categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import levels_of
from conversion.data.clean_tables import CleanTables, Quarantine, clean_tables, cleaning_report
from conversion.data.histories import history_files
from conversion.data.period import Period, export_days
from conversion.data.timeline import on_mondays, prospects_at
from conversion.data.usage_weeks import day_counts, days_to_json, usage_weeks, weeks_to_json
from conversion.runtime.files import read_parquet, write_parquet
from conversion.runtime.parts import clear_table, part_path

TYPED: Final = Path("data/typed")
CLEAN: Final = Path("data/clean")
QUARANTINE: Final = Path("data/quarantine")


def read_part(folder: Path, contract: Contract, part: int, parts: int) -> dict[str, pd.DataFrame]:
    """Read one part of each typed table; of the table of aliases all, which every part needs."""
    aliases = contract.companies.aliases
    shared = None if aliases is None else aliases.table
    return {
        name: read_parquet(part_path(folder / f"{name}.parquet", part, 1 if name == shared else parts))
        for name in contract.tables
    }


def read_typed(contract: Contract, parts: int, part: int) -> dict[str, pd.DataFrame]:
    """Read one part of each typed table, weeks from Monday on."""
    tables = read_part(TYPED, contract, part, parts)
    usage = contract.usage.table
    return tables | {usage: on_mondays(tables[usage], contract)}


def describe_part(contract: Contract, parts: int, part: int) -> dict[str, Any]:
    """Return what a part says of the period of the export, as JSON has it."""
    tables = read_typed(contract, parts, part)
    converted, days = export_days(tables, None, contract)
    return {
        "weeks": weeks_to_json(usage_weeks(tables[contract.usage.table], contract)),
        "converted": day_counts(converted),
        "signed_up": days_to_json(days.signed_up),
    }


def first_week_of(
    contract: Contract, period: Period, deduplication: str, parts: int, part: int
) -> str | None:
    """Return the first clean week of a part's usage as ISO date; None if it has none."""
    tables = read_typed(contract, parts, part)
    usage = clean_tables(tables, period, deduplication, contract)[0].usage
    return None if usage.empty else f"{usage[contract.usage.time].min():%Y-%m-%d}"


def clean_part(
    contract: Contract,
    period: Period,
    deduplication: str,
    first_week: pd.Timestamp | None,
    root: Path,
    parts: int,
    part: int,
) -> dict[str, Any]:
    """Clean a part and write its tables below ``root``, if there are other parts, or usage and a prospect.

    Returns
    -------
    dict
        ``report``, as `cleaning_report` counts it, ``levels`` of categories, by column of features, and how
        many ``prospects`` there are.
    """
    tables = read_typed(contract, parts, part)
    clean, quarantine = clean_tables(tables, period, deduplication, contract, first_week)
    prospects = int(prospects_at(clean.companies, period.as_of, contract, clean.periods).sum())
    if parts > 1 or (len(clean.usage) and prospects):
        _write(clean, quarantine, contract, partial(_write_part, root=root, parts=parts, part=part))
    levels = {name: [*clean.companies[name].cat.categories] for name in _categories(contract)}
    report = cleaning_report(clean, quarantine, period.as_of, contract)
    return {"report": report, "levels": levels, "prospects": prospects}


def _categories(contract: Contract) -> dict[str, Category]:
    """Return the categories by their columns of features."""
    categories = contract.attributes_of(Category).items()
    return {encoded_names(column, category)[0]: category for column, category in categories}


def _write_part(path: Path, table: pd.DataFrame, root: Path, parts: int, part: int) -> None:
    write_parquet(part_path(root / path, part, parts), table)


def _write(clean: CleanTables, quarantine: Quarantine, contract: Contract, write: Any) -> None:
    """Write the clean tables and the rows in quarantine."""
    write(CLEAN / "companies.parquet", clean.companies)
    write(CLEAN / "usage.parquet", clean.usage)
    write(CLEAN / "subscriptions.parquet", clean.periods)
    # Written without rows where the contract has no such table, so that deliveries read the same files.
    for name in ("contacts", "objections"):
        write(CLEAN / f"{name}.parquet", getattr(clean, name))
        if (left_out := getattr(quarantine, name)) is not None:
            write(QUARANTINE / f"{name}.parquet", left_out)
    write(QUARANTINE / "companies.parquet", quarantine.companies)
    write(QUARANTINE / "usage.parquet", quarantine.usage)
    if quarantine.subscriptions is not None:
        write(QUARANTINE / "subscriptions.parquet", quarantine.subscriptions)
    for column, file in history_files(contract).items():
        write(CLEAN / file, clean.histories[column])
        write(QUARANTINE / file, quarantine.histories[column])


def clear_tables(contract: Contract) -> None:
    """Remove clean tables, and rows in quarantine, that are in parts where there is one part now."""
    names = ["companies", "usage", "subscriptions", "contacts", "objections"]
    files = [*(f"{name}.parquet" for name in names), *history_files(contract).values()]
    for folder in (CLEAN, QUARANTINE):
        for file in files:
            clear_table(folder / file)


def merged_levels(
    levels: Sequence[Mapping[str, Sequence[str]]], contract: Contract
) -> dict[str, tuple[str, ...]]:
    """Return the levels of each category that occur in any part, as of one part with all companies."""
    return {
        name: levels_of(category, dict.fromkeys(level for each in levels for level in each[name]))
        for name, category in _categories(contract).items()
    }


def relevel_part(levels: Mapping[str, Sequence[str]], root: Path, parts: int, part: int) -> None:
    """Write a part of the companies below ``root`` again, with the levels of all parts."""
    path = part_path(root / CLEAN / "companies.parquet", part, parts)
    companies = read_parquet(path)
    if any([*companies[name].cat.categories] != [*every] for name, every in levels.items()):
        columns = {
            name: companies[name].cat.set_categories(pd.Index(every)) for name, every in levels.items()
        }
        write_parquet(path, companies.assign(**columns))
