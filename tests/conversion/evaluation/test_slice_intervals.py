from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from conversion.evaluation.bootstrap import resample
from conversion.evaluation.overall_metrics import ranker_measures
from conversion.evaluation.slice_intervals import with_ranking_intervals
from conversion.evaluation.slice_metrics import slice_measures
from tests.predictions import TOP_K, make_predictions

SAMPLES, SEED = 40, 1


def measured(predictions: pd.DataFrame) -> pd.DataFrame:
    slices = slice_measures(resample(predictions, SAMPLES, SEED), ["part"], TOP_K)
    return with_ranking_intervals(slices, resample(predictions, SAMPLES, SEED), TOP_K).set_index("slice")


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    rows = make_predictions(companies=200, cutoffs=6)
    return rows.assign(part=np.where(rows["id"] % 3 == 0, "third", "others"))


def test_the_whole_has_the_intervals_of_the_model(predictions: pd.DataFrame) -> None:
    whole = measured(predictions).loc["all prospects"]
    ranking = ranker_measures(resample(predictions, SAMPLES, SEED), ["probability"], TOP_K)["rankers"][
        "probability"
    ]
    for name in ("roc_auc", *(f"recall_at_{k}" for k in TOP_K)):
        found = [whole[name], whole[f"{name}_low"], whole[f"{name}_high"]]
        assert found == pytest.approx(list(ranking[name].values()), abs=1e-6), name


def test_a_slice_has_the_auc_of_its_own_lists(predictions: pd.DataFrame) -> None:
    """Resampling all companies resamples those of the slice, though not the same as without the others."""
    part = measured(predictions).loc["third"]
    own = predictions[predictions["part"] == "third"]
    alone = ranker_measures(resample(own, 400, SEED), ["probability"], TOP_K)["rankers"]["probability"][
        "roc_auc"
    ]
    assert part["roc_auc"] == pytest.approx(alone["value"], abs=1e-6)
    assert part["roc_auc_low"] < part["roc_auc"] < part["roc_auc_high"]
    assert part["roc_auc_high"] - part["roc_auc_low"] == pytest.approx(alone["high"] - alone["low"], rel=0.4)


def test_recall_is_of_the_whole_list(predictions: pd.DataFrame) -> None:
    """Where the others are all above the slice, no call reaches it, in any sample."""
    below = predictions["probability"].where(
        predictions["part"] == "others", predictions["probability"] / 1e6
    )
    table = measured(predictions.assign(probability=below))
    last = table.loc["third", ["recall_at_5", "recall_at_5_low", "recall_at_5_high"]]
    assert last.tolist() == [0, 0, 0]
    assert table.loc["others", "recall_at_5"] > 0
    high = table.loc["others", "recall_at_5_high"]
    assert table.loc["others", "recall_at_5_low"] < high


def test_a_slice_without_conversions_has_none(predictions: pd.DataFrame) -> None:
    quiet = predictions.assign(label=predictions["label"].where(predictions["part"] == "others", 0))
    row = measured(quiet).loc["third"]
    assert row[["roc_auc_low", "roc_auc_high", "recall_at_5_low", "recall_at_5_high"]].isna().all()


def test_bounds_stand_behind_their_measure(predictions: pd.DataFrame) -> None:
    columns = list(measured(predictions))
    at = columns.index("roc_auc")
    assert columns[at : at + 4] == ["roc_auc", "roc_auc_low", "roc_auc_high", "recall_at_2"]
