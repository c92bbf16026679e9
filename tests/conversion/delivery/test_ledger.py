from __future__ import annotations

from pathlib import Path

import pandas as pd

from conversion.delivery.ledger import latest_deliveries, read_deliveries
from tests.ledgers import deliver, small_design
from tests.serving import projects_pipeline, small_pipeline


def test_a_delivery_is_read_as_it_was_frozen(tmp_path: Path) -> None:
    pipeline = small_pipeline()
    first = deliver(tmp_path, pipeline)
    again = deliver(tmp_path, pipeline)
    assert again.number == 1
    corrected = deliver(tmp_path, pipeline, small_design(6, holdout=0.3, explore=0.2), correction="because")
    read = read_deliveries(tmp_path)
    assert [each.number for each in read] == [1, 2]
    assert latest_deliveries(read)[0] == corrected
    assert first.companies()["place"].notna().sum() == 10
    whole = pd.read_parquet(tmp_path / "ledger")
    assert set(whole["delivery"].astype(int)) == {1, 2}
    deliver(tmp_path / "other", projects_pipeline())
