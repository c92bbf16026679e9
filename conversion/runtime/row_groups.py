"""Writing a Parquet table by table, for tables that do not fit into memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from conversion.runtime.files import WITH_CHECKSUMS

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def row_group_writer(path: Path, compression: str = "snappy") -> Iterator[Callable[[pd.DataFrame], None]]:
    """Give a function that appends tables of the same columns to a Parquet file, as row groups of their own.

    Without a table there is no file.
    """
    with ExitStack() as opened:
        writer: pq.ParquetWriter | None = None

        def append(table: pd.DataFrame) -> None:
            nonlocal writer
            rows = pa.Table.from_pandas(table, preserve_index=False)
            if writer is None:
                made = pq.ParquetWriter(path, rows.schema, compression=compression, **WITH_CHECKSUMS)
                writer = opened.enter_context(made)
            writer.write_table(rows)

        yield append
