"""An export that is split into parts: what is left where the disk is full."""

from __future__ import annotations

import gc
from pathlib import Path

import pandas as pd
import pytest

from conversion.ingest.split import split_export
from conversion.runtime.errors import OutputError
from tests.broken_exports import Tables
from tests.contract_files import hubspot
from tests.exports import write_export
from tests.full_disk import full_disk


@pytest.mark.filterwarnings("error")  # of a destructor that fails too
@pytest.mark.parametrize("most_bytes", [0, 1000, 2000])
def test_a_full_disk_is_one_message(tables: Tables, tmp_path: Path, most_bytes: int) -> None:
    """Whether a file cannot be begun, a group of rows does not fit, or the file cannot be closed."""
    folder = write_export(tables, tmp_path / "export")
    with full_disk(most_bytes), pytest.raises(OutputError, match=r"cannot be written: .*File too large"):
        split_export(folder, hubspot(), None, tmp_path / "split", 2, lambda _: pd.Series(dtype="object"))
    gc.collect()
