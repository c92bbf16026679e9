from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pandas as pd

from conversion.delivery.current_ids import CurrentDelivery

CURRENT = {"old": "new", "a": "b"}


def delivery() -> Any:
    companies = pd.DataFrame(
        {
            "id": ["b", "old", "a", "c"],
            "rank": [1, 2, 3, 4],
            "place": pd.array([pd.NA, 1, 2, pd.NA], dtype="Int64"),
            "rep": ["", "Ann", "Bo", ""],
        }
    )
    features = pd.DataFrame({"id": companies["id"], "size": [1.0, 2.0, 3.0, 4.0]})
    return SimpleNamespace(as_of=dt.date(2020, 4, 27), companies=lambda: companies, features=lambda: features)


def test_a_company_keeps_its_row_under_its_id_of_today() -> None:
    found = CurrentDelivery(delivery(), CURRENT).companies()
    # Of a and b, which are one now, a was on the call list.
    assert found["id"].tolist() == ["new", "b", "c"]
    assert found["rep"].tolist() == ["Ann", "Bo", ""]


def test_the_features_are_those_of_the_same_rows() -> None:
    found = CurrentDelivery(delivery(), CURRENT).features()
    assert found.to_numpy().tolist() == [["new", 2.0], ["b", 3.0], ["c", 4.0]]


def test_without_merged_companies_a_delivery_is_as_it_went_out() -> None:
    found = CurrentDelivery(delivery(), {})
    pd.testing.assert_frame_equal(found.companies(), delivery().companies())
    pd.testing.assert_frame_equal(found.features(), delivery().features())
