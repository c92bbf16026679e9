from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.scorecard.outcomes import by_rule, in_order
from tests.contract_files import hubspot, projects
from tests.scorecards import delivery, judged, today, week

IDS = ["a", "b", "c", "d"]


@pytest.mark.parametrize("contract", [hubspot(), projects()], ids=["hubspot", "projects"])
def test_a_conversion_counts_from_the_list_on_for_its_horizon(contract: Contract) -> None:
    # The list of 6 January 2020 counts conversions up to 4 February.
    converted = {"a": "2020-01-06", "b": "2020-02-04", "c": "2020-02-05"}
    export = today(IDS, converted, contract=contract)
    rows = judged([delivery(week(0), [{"id": each} for each in IDS])], export)[0].rows
    assert rows["label"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert rows["converted"].isna().tolist() == [False, False, True, True]


def test_who_paid_before_the_list_and_who_is_gone_has_no_outcome() -> None:
    export = today(["a", "b", "c"], {"a": "2020-01-05", "b": "2020-01-07"}, invalid=["b"])
    rows = judged([delivery(week(0), [{"id": each} for each in IDS])], export)[0].rows
    assert np.isnan(rows["label"]).tolist() == [True, True, False, True]


def test_ids_are_those_of_today_and_a_company_counts_once() -> None:
    export = today(["a", "c"], {"a": "2020-01-08"}, current={"b": "a", "x": "a"})
    rows = judged([delivery(week(0), [{"id": each} for each in ("c", "b", "x")])], export)[0].rows
    assert rows["id"].tolist() == ["c", "a"]
    assert rows["place"].tolist() == [1, 2]
    assert rows["label"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("as_of", "is_mature"), [("2020-02-05", True), ("2020-02-04", False)])
def test_a_list_counts_once_its_horizon_is_over(as_of: str, is_mature: bool) -> None:
    outcome = judged([delivery(week(0), [{"id": "a"}])], today(["a"], {"a": "2020-01-07"}, as_of))[0]
    assert outcome.is_mature == is_mature
    assert outcome.rows["label"].notna().all() == is_mature
    assert outcome.mature_on == pd.Timestamp("2020-02-05")


def test_the_published_order_is_the_call_list_then_the_rest() -> None:
    rows = [
        {"id": "a", "status": "held_back", "rule_rank": 1},
        {"id": "b", "rule_rank": 4},
        {"id": "c", "status": "below", "rule_rank": 3, "rank": 3},
        {"id": "d", "status": "explored", "rule_rank": 2, "rank": 4},
    ]
    found = judged([delivery(week(0), rows)], today(IDS, {}))[0].rows
    assert in_order(found)["id"].tolist() == ["b", "d", "c"]
    assert by_rule(found)["id"].tolist() == ["d", "c", "b"]
