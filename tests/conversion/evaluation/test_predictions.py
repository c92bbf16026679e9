import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from conversion.evaluation.predictions import companies_of


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
    assert companies.number.tolist() == numbers.tolist()
    assert companies.in_order == all(list(ids) == sorted(ids) for ids in lists)
