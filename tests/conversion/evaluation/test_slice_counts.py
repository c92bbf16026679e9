import numpy as np
import pandas as pd
import pytest

from conversion.evaluation.predictions import companies_of, cutoffs_of
from conversion.evaluation.slice_counts import ALL_PROSPECTS, count_slices, split_by, split_by_month
from conversion.stats.rank_order import rank_order
from conversion.stats.roc_auc import pairs_in_order
from tests.predictions import TOP_K, make_predictions


def split_predictions() -> pd.DataFrame:
    predictions = make_predictions(companies=150, cutoffs=6)
    rng = np.random.default_rng(5)
    part = pd.Categorical(rng.choice(["b", "a"], len(predictions)), categories=["b", "unused", "a"])
    return predictions.assign(part=part, probability=predictions["probability"].round(1))


def test_measures_are_the_means_over_the_lists_of_those_of_each_list() -> None:
    predictions = split_predictions()
    found = count_slices(
        cutoffs_of(predictions, companies_of(predictions)),
        [ALL_PROSPECTS, split_by(predictions, "part")],
        TOP_K,
    )
    assert found["slice"].tolist() == ["all prospects", "b", "unused", "a"]
    assert found.loc[2, ["prospects", "conversions", "converters"]].tolist() == [0, 0, 0]
    assert found.loc[2, ["prevalence", "roc_auc", "recall_at_2"]].isna().all()
    for row, part in ((1, "b"), (3, "a")):
        weeks = []
        for _, week in predictions.groupby("as_of"):
            own, converts = week["part"] == part, week["label"] == 1
            (counts,) = pairs_in_order(week["probability"][own], converts[own], [own[own]]).itertuples()
            first = week.iloc[rank_order(week["probability"], week["id"])]
            own_first = [first["label"][:k][first["part"][:k] == part].sum() for k in TOP_K]
            recalls = [reached / (own & converts).sum() for reached in own_first]
            weeks.append([counts.in_order / counts.pairs, *recalls])
        assert found.loc[row, ["roc_auc", *(f"recall_at_{k}" for k in TOP_K)]].tolist() == pytest.approx(
            np.mean(weeks, axis=0)
        )
        of_part = predictions[(predictions["part"] == part) & (predictions["label"] == 1)]
        assert found.loc[row, "conversions"] == len(of_part)
        assert found.loc[row, "converters"] == of_part["id"].nunique()


def test_months_of_cutoffs() -> None:
    predictions = make_predictions(companies=20, cutoffs=6)  # from 6 January on
    found = count_slices(
        cutoffs_of(predictions, companies_of(predictions)), [split_by_month(predictions)], TOP_K
    )
    assert found[["by", "slice", "prospects"]].to_numpy().tolist() == [
        ["month", "2020-01", 80],
        ["month", "2020-02", 40],
    ]


def test_a_column_of_texts_splits_in_the_order_of_its_values() -> None:
    predictions = make_predictions(companies=4, cutoffs=1).assign(part=["b", "a", "c", "a"])
    found = count_slices(
        cutoffs_of(predictions, companies_of(predictions)), [split_by(predictions, "part")], TOP_K
    )
    assert found[["slice", "prospects"]].to_numpy().tolist() == [["a", 2], ["b", 1], ["c", 1]]
