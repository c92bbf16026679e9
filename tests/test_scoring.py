"""`benchmarks/scoring.py` measures what stage `score` does, on the rows that it reads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks import scoring
from conversion.leads.score_parts import LATEST, PREVIOUS
from conversion.runtime.files import VERIFIED
from tests.conversion.modelling.fits import export, fitted


def write_lists(folder: Path) -> None:
    for table, rows in ((LATEST, export().latest), (PREVIOUS, export().latest)):
        (folder / table).parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(folder / table, index=False, row_group_size=10)


@pytest.mark.parametrize("rows", [7, 1234])
def test_rows_are_repeated_in_groups_of_the_same_size(rows: int, tmp_path: Path) -> None:
    write_lists(tmp_path)
    scoring.repeat_rows(tmp_path / LATEST, tmp_path / "many/list.parquet", rows)
    found = pd.read_parquet(tmp_path / "many/list.parquet", **VERIFIED)
    once = pd.read_parquet(tmp_path / LATEST)
    places = [row % len(once) for row in range(rows)]
    pd.testing.assert_frame_equal(found, once.iloc[places].reset_index(drop=True))
    assert pq.read_metadata(tmp_path / "many/list.parquet").row_group(0).num_rows == min(rows, 10)


def test_every_rate_is_measured_and_the_lists_stay(tmp_path: Path) -> None:
    write_lists(tmp_path)
    before = [(tmp_path / table).read_bytes() for table in (LATEST, PREVIOUS)]
    rates = scoring.measured(fitted(model__type="xgboost"), tmp_path, rounds=1)
    assert min(rates) > 0
    assert [(tmp_path / table).read_bytes() for table in (LATEST, PREVIOUS)] == before
