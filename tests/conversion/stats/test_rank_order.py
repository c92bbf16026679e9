import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.stats import hashing
from conversion.stats.rank_order import first_of_order, order_after_ties, rank_order, tie_order


class TestRankOrder:
    def test_descends_and_breaks_ties_by_hash(self) -> None:
        ids = np.array([1, 2, 3, 4])
        order = rank_order([0.1, 0.5, 0.5, 0.9], ids)
        tied = sorted([1, 2], key=lambda row: int(hashing.tie_break(ids)[row]))
        assert order.tolist() == [3, *tied, 0]

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_refuses_scores_that_are_no_numbers(self, bad: float) -> None:
        with pytest.raises(ValueError, match="1 of 2"):
            rank_order([0.1, bad], [1, 2])

    def test_text_ids_break_ties_by_hash(self) -> None:
        ids = np.array(["0042", "42", "a", "b"], dtype=object)
        order = rank_order([0.1, 0.5, 0.5, 0.9], ids)
        tied = sorted([1, 2], key=lambda row: int(hashing.tie_break(ids)[row]))
        assert order.tolist() == [3, *tied, 0]


@pytest.mark.parametrize("texts", [False, True])
def test_several_scores_of_the_same_rows_need_one_order_of_ties(texts: bool) -> None:
    rng = np.random.default_rng(2)
    ids = rng.permutation(300)
    named = ids.astype(str).astype(object) if texts else ids
    by_ties = tie_order(named)
    for score in (rng.integers(0, 5, 300) * 1.0, rng.random(300), np.zeros(300)):
        assert (order_after_ties(score, by_ties) == rank_order(score, named)).all()
    with pytest.raises(ValueError, match="finite"):
        order_after_ties(np.full(300, np.nan), by_ties)


@given(st.lists(st.sampled_from([-1.5, -0.0, 0.0, 1e-300, 2.0]), max_size=40))
def test_equal_scores_stay_in_the_order_of_ties(scores: list[float]) -> None:
    ties = np.random.default_rng(len(scores)).permutation(len(scores))
    expected = ties[np.argsort(-np.array(scores)[ties], kind="stable")]
    assert order_after_ties(scores, ties).tolist() == expected.tolist()


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 40))
def test_the_first_are_the_beginning_of_the_order(scores: list[int], count: int) -> None:
    ids = np.arange(len(scores))
    assert first_of_order(scores, ids, count).tolist() == rank_order(scores, ids)[:count].tolist()
