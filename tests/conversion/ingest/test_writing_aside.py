"""What the engine of weekly counts cannot write aside is not a fault of the export."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from conversion.ingest import usage_rows, weekly_counts
from conversion.ingest.usage_faults import WeeklyCountsError
from conversion.ingest.usage_rows import open_engine
from conversion.runtime.errors import OutputError
from tests.conversion.ingest.test_weekly_counts import contract
from tests.full_disk import full_disk

SORTED = (
    "SELECT * FROM (SELECT hash(range)::VARCHAR || repeat('x', 40) AS text FROM range(3000000)) ORDER BY text"
)
EVENTS = pa.table({name: ["2020-01-06"] for name in ("account", "who", "name", "at", "kind")})


@pytest.fixture(autouse=True)
def _small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_rows, "MEMORY", "100MB")


def rows_sorted() -> int:
    with open_engine() as engine:
        return sum(batch.num_rows for batch in engine.sql(SORTED).to_arrow_reader(100_000))


def test_a_full_disk_is_a_message_about_the_temporary_folder() -> None:
    assert rows_sorted() == 3_000_000
    message = r"weekly-counts-.*: what needs more than 100MB of memory cannot be written here: .*make room"
    with pytest.raises(OutputError, match=message) as refused, full_disk(1 << 16):
        rows_sorted()
    assert "\n" not in str(refused.value)


def test_without_a_temporary_folder_there_is_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match=r"no temporary folder can be made: .*TMPDIR"):
        weekly_counts.weekly_counts(EVENTS, contract())


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (duckdb.OutOfMemoryException("Out of Memory Error: failed to offload\n\nSee also"), OutputError),
        (duckdb.IOException("IO Error: Could not read file events.parquet"), WeeklyCountsError),
    ],
)
def test_only_a_file_that_cannot_be_read_is_a_fault_of_the_export(
    error: Exception, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(weekly_counts, "create_rows", fail)
    with pytest.raises(raised):
        weekly_counts.weekly_counts(EVENTS, contract())
