from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.config.attribute_kinds import AnyAttribute, Category, Date, Flag, Number
from conversion.data.attribute_block import attribute_array, attribute_block, encode_history

NAN = float("nan")
AS_OFS = pd.DatetimeIndex(["2020-01-06", "2020-01-13", "2020-01-20"])
HISTORY = {"table": "changes", "id": "account", "valid_from": "since"}
PLAN = Category.model_validate({"kind": "category", "history": {**HISTORY, "value": "became"}})
RANK = Number.model_validate({"kind": "number", "not_applicable": 900.0, "history": HISTORY})
LEVELS = {"plan": ("free", "team", "Unknown")}


def companies() -> pd.DataFrame:
    plans = pd.Categorical(["team", "team", "free"], categories=list(LEVELS["plan"]))
    return pd.DataFrame({"id": ["007", "7", "b"], "plan_encoded": plans, "size": [3.0, NAN, 1.0]})


def changes(*rows: tuple[str, str | None, object]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["id", "since", "became"])
    return table.astype({"since": "datetime64[us]", "became": "object"})


def plans_at(table: pd.DataFrame) -> np.ndarray:
    history = encode_history(table, "plan", PLAN, LEVELS)
    return attribute_block(companies(), AS_OFS, [("plan", PLAN)], {"plan": history})[..., 0]


def test_without_dates_and_histories_one_as_of_stands_for_all() -> None:
    size, plan = Number(kind="number"), Category(kind="category")
    block = attribute_block(companies(), AS_OFS, [("size", size), ("plan", plan)])
    np.testing.assert_array_equal(block, [[[3, 1]], [[NAN, 1]], [[1, 0]]])
    assert block.dtype == np.float64
    assert attribute_block(companies(), AS_OFS, []).shape == (3, 1, 0)
    assert attribute_block(companies().iloc[:0], AS_OFS, [("size", size)]).shape == (0, 1, 1)


def test_the_value_known_at_as_of_is_that_of_the_last_day_before_it() -> None:
    table = changes(
        ("007", "2020-01-13", "team"),
        ("7", "2020-01-12", None),
        ("7", "2019-01-01", "team"),
        ("007", "2020-01-05", "free"),
        ("7", "2020-01-19", "free"),
    )
    found = plans_at(table)
    np.testing.assert_array_equal(found, [[0, 0, 1], [1, 2, 0], [2, 2, 2]])
    np.testing.assert_array_equal(plans_at(table.iloc[::-1]), found)


def test_what_the_company_table_says_is_not_used_where_there_is_a_history() -> None:
    """It is what was true when the export was taken."""
    np.testing.assert_array_equal(plans_at(changes()), np.full((3, 3), 2.0))


def test_rows_of_others_and_rows_without_a_day_are_not_read() -> None:
    table = changes(("c", "2020-01-01", "team"), ("b", None, "team"), ("a", "2020-01-01", "free"))
    np.testing.assert_array_equal(plans_at(table), np.full((3, 3), 2.0))


@pytest.mark.parametrize("first", [True, False])
def test_of_two_rows_of_one_day_the_order_does_not_matter(first: bool) -> None:
    rows = [("b", "2020-01-01", "free"), ("b", "2020-01-01", "team")]
    found = plans_at(changes(*(rows if first else rows[::-1])))
    np.testing.assert_array_equal(found[2], [1, 1, 1])


def test_a_number_that_stops_to_be_applicable() -> None:
    table = pd.DataFrame(
        {
            "id": ["b", "b", "7"],
            "since": pd.to_datetime(["2020-01-01", "2020-01-08", "2020-01-15"]),
            "rank": [12.0, 950.0, NAN],
        }
    )
    history = encode_history(table, "rank", RANK, {})
    assert list(history) == ["id", "valid_from", "value"]
    known = companies().assign(rank=5.0, rank_not_applicable=0.0)
    block = attribute_block(known, AS_OFS, [("rank", RANK)], {"rank": history})
    np.testing.assert_array_equal(block[..., 0], [[NAN] * 3, [NAN] * 3, [12, NAN, NAN]])
    np.testing.assert_array_equal(block[..., 1], [[NAN] * 3, [NAN] * 3, [0, 1, 1]])


def test_dates_become_ages() -> None:
    attribute = Date(kind="date")
    days = pd.to_datetime(pd.Series(["2020-01-05", "2020-01-13", None]))
    table = companies().assign(renewed_encoded=(days - pd.Timestamp("1970-01-01")).dt.days.astype("float64"))
    block = attribute_block(table, AS_OFS, [("renewed", attribute)])
    np.testing.assert_array_equal(block[..., 0], [[1, 8, 15], [NAN, NAN, 7], [NAN] * 3])


def test_each_company_may_have_an_as_of_of_its_own() -> None:
    attributes: list[tuple[str, AnyAttribute]] = [
        ("renewed", Date(kind="date")),
        ("member", Flag(kind="flag")),
    ]
    encoded = {"renewed_encoded": np.array([100.0, 100.0]), "member_encoded": np.array([1.0, NAN])}
    block = attribute_array(encoded, attributes, np.array([[107], [101]]), 2)
    np.testing.assert_array_equal(block, [[[7, 1]], [[1, NAN]]])
