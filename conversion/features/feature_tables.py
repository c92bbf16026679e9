"""The files of snapshots: those of one part are made of the clean tables of the same part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from conversion.config.attribute_kinds import Category
from conversion.config.attribute_names import encoded_names
from conversion.config.data_contract import Contract
from conversion.data.attribute_encoding import Levels, levels_of
from conversion.data.clean_tables import CleanTables
from conversion.data.histories import history_files
from conversion.features.snapshots import (
    Recipe,
    Weeks,
    all_snapshots,
    snapshots_by_chunk,
    with_encoded_histories,
)
from conversion.runtime.behind import work_behind
from conversion.runtime.files import (
    read_parquet,
    reading,
    replacing,
    require_columns,
    verified_parquet,
)
from conversion.runtime.parts import part_path, parts_at
from conversion.runtime.row_groups import row_group_writer

COMPANIES: Final = "data/clean/companies.parquet"
USAGE: Final = "data/clean/usage.parquet"
SUBSCRIPTIONS: Final = "data/clean/subscriptions.parquet"
SNAPSHOTS: Final = ("train", "backtest", "latest", "previous")
"""The tables of snapshots, in data/features/."""


class Survey(NamedTuple):
    """What snapshots of any part depend on of the clean tables of all parts.

    Attributes
    ----------
    parts
        How many there are.
    companies
        How many are in all of them.
    first_week
        The first week of usage.
    levels
        By category, its levels in the order of their codes.
    """

    parts: int
    companies: int
    first_week: pd.Timestamp
    levels: Levels


def survey(contract: Contract) -> Survey:
    """Look through the clean tables of all parts, column by column; see `reading` for errors."""
    companies, usage = parts_at(COMPANIES), parts_at(USAGE)
    named = contract.companies
    categories = {
        column: encoded_names(column, category)[0]
        for column, category in contract.attributes_of(Category).items()
    }
    encoded = [name for column, each in named.attributes.items() for name in encoded_names(column, each)]
    found: dict[str, list[Sequence[str]]] = {column: [] for column in categories}
    for path in companies:
        table = _read_columns(path, ["id", named.converted, *encoded], list(categories.values()))
        for column, name in categories.items():
            found[column].append(table[name].cat.categories.tolist())
    counted = ["id", contract.usage.time, *contract.counts, *contract.usage.measures]
    weeks = [_read_columns(path, counted, [contract.usage.time])[contract.usage.time].min() for path in usage]
    categories_of = contract.attributes_of(Category)
    levels = {column: _union(categories_of[column], each) for column, each in found.items()}
    count = sum(pq.read_metadata(path).num_rows for path in companies)
    return Survey(len(usage), count, min(week for week in weeks if not pd.isna(week)), levels)


def _read_columns(path: Path, needed: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a table, after checking that it has the ``needed`` ones."""
    with reading(path):
        require_columns(pq.read_schema(path).names, needed)
        return verified_parquet(path, columns)


def _union(category: Category, levels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the levels that occur in any part, in the order of `levels_of`."""
    if len(levels) == 1:
        return tuple(levels[0])
    return levels_of(category, [level for each in levels for level in each])


def read_clean(part: int, parts: int, contract: Contract) -> CleanTables:
    """Read the clean tables of one part that features and lists are made of."""

    def read(path: str) -> pd.DataFrame:
        return read_parquet(part_path(path, part, parts))

    histories = {column: read(f"data/clean/{file}") for column, file in history_files(contract).items()}
    return CleanTables(read(COMPANIES), read(USAGE), read(SUBSCRIPTIONS), histories)


def _with_levels(companies: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Give the categories of a part the levels of all parts."""
    names = {
        column: encoded_names(column, category)[0]
        for column, category in recipe.contract.attributes_of(Category).items()
    }
    return companies.assign(
        **{name: companies[name].cat.set_categories(recipe.levels[column]) for column, name in names.items()}
    )


def featurize_part(
    part: int, *, root: Path, parts: int, weeks: Weeks, recipe: Recipe, seed: int
) -> dict[str, int]:
    """Make the snapshots of one part; write them below ``root`` and return how many there are, by table."""
    clean = read_clean(part, parts, recipe.contract)
    clean = clean._replace(companies=_with_levels(clean.companies, recipe))
    tables = with_encoded_histories(clean, recipe)
    chunks = snapshots_by_chunk(
        tables,
        recipe.params.chunk_companies,
        lambda some: all_snapshots(some, weeks, recipe, seed),
        "snapshots",
    )
    paths = {name: part_path(root / f"data/features/{name}.parquet", part, parts) for name in SNAPSHOTS}
    return write_tables(paths, chunks)


def write_tables(paths: Mapping[str, Path], chunks: Iterator[Mapping[str, pd.DataFrame]]) -> dict[str, int]:
    """Write tables that come in chunks into a Parquet file each, a row group for each chunk.

    Returns
    -------
    dict of int
        By table, the number of rows.
    """
    rows = dict.fromkeys(paths, 0)
    # All are closed before the first takes the place of the last run's.
    with ExitStack() as files, ExitStack() as opened:
        temporary = {name: files.enter_context(replacing(path)) for name, path in paths.items()}
        append = {
            name: opened.enter_context(row_group_writer(path, "zstd")) for name, path in temporary.items()
        }

        def write(tables: Mapping[str, pd.DataFrame]) -> None:
            for name, table in tables.items():
                rows[name] += len(table)
                append[name](table)

        work_behind(chunks, write)
    return rows
