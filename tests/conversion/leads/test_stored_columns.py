"""Columns of a table in parts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from conversion.leads.batches import StoredColumns
from conversion.runtime.files import write_parquet

LEVELS = ["small", "large", "Unknown"]


@pytest.mark.parametrize("rows", [[["large"], [], ["small", "Unknown"]], [[], ["small"]]])
def test_levels_keep_their_order_where_some_parts_have_no_rows(rows: list[list[str]], tmp_path: Path) -> None:
    paths = [tmp_path / f"part-{part:05d}.parquet" for part in range(len(rows))]
    for path, values in zip(paths, rows, strict=True):
        levels = LEVELS if values else []
        write_parquet(path, pd.DataFrame({"size": pd.Categorical(values, levels)}))
    column = StoredColumns(paths, ["size"])["size"]
    assert list(column) == [value for values in rows for value in values]
    assert list(column.cat.categories) == LEVELS
