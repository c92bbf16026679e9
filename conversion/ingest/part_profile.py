"""The data quality profile of tables in parts, by DuckDB, which does not hold all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from conversion.ingest.profile import PROFILE_DIGITS, PROFILE_VALUES, plain
from conversion.ingest.usage_rows import open_engine
from conversion.runtime.parts import parts_at


def profile_parts(
    path: Path, key: Sequence[str], duplicate_keys: int, private: Sequence[str] = ()
) -> dict[str, Any]:
    """Describe a table in parts as `conversion.ingest.profile.profile` describes a whole one.

    Parameters
    ----------
    path
        Of the typed table.
    key
        The columns that should identify a row.
    duplicate_keys
        The rows that repeat the key of an earlier one, counted part by part.
    private
        The columns that may name a company or a person; their values are left out.
    """
    files = [str(file) for file in parts_at(path)]
    schema = parquet.read_schema(files[0])
    with open_engine() as engine:
        engine.from_parquet(files).create_view("typed")
        rows = _one(engine, "SELECT count(*) FROM typed")[0]
        columns = {
            field.name: _column(engine, field, rows, field.name in ("id", *private)) for field in schema
        }
    return {"rows": rows, "key": ", ".join(key), "duplicate_keys": duplicate_keys, "columns": columns}


def _one(engine: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = engine.execute(query).fetchall()[0]
    return row


def _column(engine: duckdb.DuckDBPyConnection, field: pa.Field, rows: int, private: bool) -> dict[str, Any]:
    name = '"' + field.name.replace('"', '""') + '"'
    known, distinct = _one(engine, f"SELECT count({name}), count(DISTINCT {name}) FROM typed")
    facts: dict[str, Any] = {
        "missing_share": round((rows - known) / rows, PROFILE_DIGITS) if rows else 0.0,
        "distinct": distinct,
    }
    if private or not known:
        return facts
    value = f"CASE WHEN {name} THEN 'yes' ELSE 'no' END" if pa.types.is_boolean(field.type) else name
    if (
        pa.types.is_boolean(field.type)
        or pa.types.is_string(field.type)
        or pa.types.is_large_string(field.type)
    ):
        counts = engine.execute(
            f"SELECT {value} AS value, count(*) AS n FROM typed WHERE {name} IS NOT NULL"
            f" GROUP BY value ORDER BY n DESC, value LIMIT {PROFILE_VALUES}"
        ).fetchall()
        return facts | {"most_frequent": dict(counts)}
    least, most = _one(engine, f"SELECT min({name}), max({name}) FROM typed")
    if pa.types.is_timestamp(field.type):
        least, most = pd.Timestamp(least), pd.Timestamp(most)
    return facts | {"min": plain(least), "max": plain(most)}
