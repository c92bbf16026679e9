from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.evaluation.predictions import companies_of, cutoffs_of, rank_orders
from conversion.evaluation.ranking_metrics import (
    measure_names,
    middle,
    ranked_list,
    ranking_measures,
    weekly_measures,
)
from conversion.stats import hashing
from conversion.stats.rank_order import rank_order
from tests.predictions import RANKERS, TOP_K, make_predictions, one_week


class TestWeeklyMeasures:
    def test_by_hand(self) -> None:
        # Ranks 1 to 5: converter (300), other, converter (100), other, other.
        week = weekly_measures(
            one_week([1, 0, 1, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5], mrr=[300, 0, 100, 0, 0]),
            "probability",
            [1, 2, 9],
        ).iloc[0]
        assert week["as_of"] == pd.Timestamp("2020-01-06")
        assert (week["prospects"], week["conversions"], week["prevalence"]) == (5, 2, 0.4)
        assert week["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
        assert week["roc_auc"] == pytest.approx(5 / 6)
        assert (week["precision_at_1"], week["recall_at_1"], week["lift_at_1"]) == (1, 0.5, 2.5)
        assert week["mrr_recall_at_1"] == 0.75
        assert (week["precision_at_2"], week["recall_at_2"], week["lift_at_2"]) == (0.5, 0.5, 1.25)
        assert (week["precision_at_9"], week["recall_at_9"], week["lift_at_9"]) == (0.4, 1, 1)
        assert week["mrr_recall_at_9"] == 1

    def test_ties_count_half_in_roc_auc(self) -> None:
        week = weekly_measures(one_week([1, 0, 0, 1], [1, 1, 0, 0]), "probability", [1]).iloc[0]
        assert week["roc_auc"] == pytest.approx((0.5 + 1 + 0 + 0.5) / 4)

    def test_ties_in_the_top_k_follow_the_hash_not_the_file(self) -> None:
        ids = list(range(1, 201))
        labels = [1] * 20 + [0] * 180
        week = weekly_measures(one_week(labels, [0.5] * 200, ids=ids), "probability", [20]).iloc[0]
        first = np.argsort(hashing.tie_break(ids))[:20]
        assert week["precision_at_20"] == pytest.approx(np.array(labels)[first].mean())
        assert week["precision_at_20"] < 0.3

    def test_a_week_without_conversions_is_undefined(self) -> None:
        week = weekly_measures(one_week([0, 0], [0.2, 0.1]), "probability", [1])
        assert week["prevalence"].tolist() == [0]
        assert week.drop(columns=["as_of", "prospects", "conversions", "prevalence"]).isna().all(axis=None)

    def test_a_week_of_conversions_alone_has_no_roc_auc(self) -> None:
        week = weekly_measures(one_week([1, 1], [0.2, 0.1]), "probability", [1]).iloc[0]
        assert np.isnan(week["roc_auc"])
        assert week["average_precision"] == 1

    def test_columns_and_time_order(self) -> None:
        table = weekly_measures(make_predictions().iloc[::-1], "users_rule", TOP_K)
        assert table.columns.tolist() == [
            *("as_of", "prospects", "conversions", "prevalence"),
            *measure_names(TOP_K),
        ]
        assert table["as_of"].is_monotonic_increasing

    @pytest.mark.parametrize("ranker", RANKERS)
    def test_agrees_with_scikit_learn(self, ranker: str) -> None:
        predictions = make_predictions()
        table = weekly_measures(predictions, ranker, TOP_K).set_index("as_of")
        for as_of, rows in predictions.groupby("as_of"):
            week = table.loc[as_of]
            assert week["roc_auc"] == pytest.approx(reference.roc_auc_score(rows["label"], rows[ranker]))
            if rows[ranker].is_unique:
                expected = reference.average_precision_score(rows["label"], rows[ranker])
                assert week["average_precision"] == pytest.approx(expected)


@st.composite
def week_strategy(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(2, 30))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    scores = draw(st.lists(st.integers(-4, 4).map(float), min_size=size, max_size=size))
    ids = draw(st.lists(st.integers(-(2**62), 2**62), min_size=size, max_size=size, unique=True))
    return one_week(labels, scores, ids=ids)


def all_measures(predictions: pd.DataFrame) -> pd.DataFrame:
    return weekly_measures(predictions, "probability", (1, 3, 50))


class TestProperties:
    @given(week_strategy(), st.randoms(use_true_random=False))
    @settings(deadline=None, max_examples=60)
    def test_the_order_of_rows_is_irrelevant(self, week: pd.DataFrame, random: Any) -> None:
        shuffled = week.iloc[random.sample(range(len(week)), len(week))]
        pd.testing.assert_frame_equal(all_measures(week), all_measures(shuffled))

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_a_strictly_increasing_transform_changes_nothing(self, week: pd.DataFrame) -> None:
        transformed = week.assign(probability=np.exp(week["probability"]) * 3 - 7)
        pd.testing.assert_frame_equal(all_measures(week), all_measures(transformed))

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_a_perfect_ranking_is_perfect(self, week: pd.DataFrame) -> None:
        measures = all_measures(week.assign(probability=week["label"].astype(float))).iloc[0]
        if week["label"].any():
            assert measures["average_precision"] == 1
            assert measures["recall_at_50"] == 1
            assert np.isnan(measures["roc_auc"]) or measures["roc_auc"] == 1

    @given(week_strategy())
    @settings(deadline=None, max_examples=60)
    def test_bounds_and_monotonicity(self, week: pd.DataFrame) -> None:
        measures = all_measures(week).drop(columns=["as_of", "lift_at_1", "lift_at_3", "lift_at_50"]).iloc[0]
        if week["label"].any():
            shares = measures.drop(["prospects", "conversions"]).dropna()
            assert shares.between(0, 1 + 1e-12).all()
            assert measures["recall_at_1"] <= measures["recall_at_3"] <= measures["recall_at_50"]


class TestBootstrapWeights:
    """A weighted list is the list in which each company stands as often as its weight says."""

    def test_agrees_with_the_list_written_out(self) -> None:
        rng = np.random.default_rng(5)
        week = make_predictions(80, 1, seed=2)
        weight = rng.poisson(1, 80)
        for ranker in RANKERS:
            measured = self.measure(week, ranker, weight)
            order = rank_order(week[ranker], week["id"])
            copies = week.iloc[np.repeat(order, weight[order])]
            label = copies["label"].to_numpy()
            conversions = label.sum()
            assert measured["roc_auc"] == pytest.approx(reference.roc_auc_score(label, copies[ranker]))
            for k in TOP_K:
                top = copies.iloc[:k]
                precision = top["label"].mean()
                assert measured[f"precision_at_{k}"] == pytest.approx(precision)
                assert measured[f"recall_at_{k}"] == pytest.approx(top["label"].sum() / conversions)
                assert measured[f"lift_at_{k}"] == pytest.approx(precision / label.mean())
                assert measured[f"mrr_recall_at_{k}"] == pytest.approx(top["MRR"].sum() / copies["MRR"].sum())

    def test_a_converters_copies_are_no_other_converters(self) -> None:
        # Two others above a converter drawn twice: its precision is 1 in 3, not 2 in 4.
        week = one_week([0, 0, 1], [3, 2, 1])
        assert self.measure(week, "probability", np.array([1, 1, 2]))["average_precision"] == pytest.approx(
            1 / 3
        )

    @staticmethod
    def measure(week: pd.DataFrame, ranker: str, weight: np.ndarray) -> dict[str, float]:
        (cutoff,) = cutoffs_of(week, companies_of(week))
        column = weight[:, None].astype(np.uint8)
        values = ranking_measures(ranked_list(cutoff, ranker), column, TOP_K)[:, 0]
        return dict(zip(measure_names(TOP_K), values, strict=True))


def test_lists_sorted_before_are_those_sorted_when_asked_for() -> None:
    predictions = make_predictions().sample(frac=1, random_state=0)
    companies = companies_of(predictions)
    orders = rank_orders(predictions, RANKERS[:2])
    pairs = zip(cutoffs_of(predictions, companies), cutoffs_of(predictions, companies, orders), strict=True)
    for plain, sorted_before in pairs:
        assert list(sorted_before.orders) == RANKERS[:2]
        for ranker in RANKERS:
            assert sorted_before.order(ranker).tolist() == plain.order(ranker).tolist()


def test_the_list_length_that_stands_for_all_is_the_middle_one() -> None:
    assert [middle(top_k) for top_k in [(10, 50, 250), (10,), (10, 50)]] == [50, 10, 50]
