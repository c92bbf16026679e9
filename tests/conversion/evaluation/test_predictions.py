import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.evaluation.predictions import companies_of, conversions_of, rank_orders, selected
from tests.predictions import RANKERS, make_predictions


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=5))
def test_companies_are_numbered_in_the_order_of_their_ids(lists: list[set[int]]) -> None:
    weeks = [
        pd.DataFrame({"id": list(ids), "as_of": pd.Timestamp("2020-01-06") + pd.Timedelta(weeks=week)})
        for week, ids in enumerate(lists)
    ]
    predictions = pd.concat(weeks, ignore_index=True)
    companies = companies_of(predictions)
    known, numbers = np.unique(predictions["id"], return_inverse=True)
    assert companies.count == len(known)
    assert companies.numbers.tolist() == numbers.tolist()
    assert companies.in_order == all(list(ids) == sorted(ids) for ids in lists)


@pytest.mark.parametrize("seed", range(3))
def test_a_part_of_the_lists_is_in_the_order_of_the_whole(seed: int) -> None:
    rows = make_predictions().sample(frac=0.8, random_state=seed).assign(part=lambda each: each["id"] % 3)
    rows = rows[rows["id"] < 60 + 20 * rows["as_of"].rank(method="dense")]
    columns = ["id", "as_of", "label", "probability", "users_rule"]
    found, orders = selected(
        rows, lambda of_cutoff: (of_cutoff["part"] != 1).to_numpy(), columns, rank_orders(rows, RANKERS[:2])
    )
    expected = rows.loc[rows["part"] != 1, columns].sort_values("as_of", kind="stable")
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True))
    for ranker, order in rank_orders(found, RANKERS[:2]).items():
        assert orders[ranker].tolist() == order.tolist()


def test_conversions_are_the_rows_of_those_that_convert() -> None:
    rows = make_predictions().sample(frac=1, random_state=1)
    expected = rows[rows["label"] == 1].sort_values("as_of", kind="stable")
    pd.testing.assert_frame_equal(conversions_of(rows), expected)
    in_order = rows.sort_values("as_of", kind="stable")
    pd.testing.assert_frame_equal(conversions_of(in_order), expected)
