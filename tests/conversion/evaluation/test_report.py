from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conversion.evaluation import backtest as backtest_module
from conversion.evaluation import headline, report, summary
from conversion.evaluation.bootstrap import resample
from conversion.evaluation.plots import PLOTS
from tests.backtests import backtest_export, backtest_predictions
from tests.contract_files import hubspot
from tests.predictions import evaluated


def test_the_evaluation_is_json_and_says_what_it_is_of() -> None:
    result = evaluated(backtest_predictions(), backtest_export().params)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["model_type"] == "logistic_regression"
    assert result["first_cutoff"] == "2019-05-27"
    assert result["last_cutoff"] == "2019-09-09"
    assert set(result["ranking"]) == {"probability", "summary_only", "users_rule", "actions_rule", "random"}
    positives = backtest_predictions()[backtest_predictions()["label"] == 1]
    assert result["converters"] == positives["id"].nunique()
    assert result["prevalence"] == pytest.approx(len(positives) / len(backtest_predictions()), abs=1e-8)
    assert "share_of_oracle" not in result


def test_the_model_is_compared_with_each_baseline_by_what_the_baseline_is() -> None:
    result = evaluated(backtest_predictions(), backtest_export().params)
    compared = result["model_minus_baseline"]
    assert set(compared) == {"summary_only", "users_rule", "actions_rule", "random", "base_rate"}
    assert set(compared["base_rate"]) == {"log_loss", "brier_score"}
    assert {"average_precision", "recall_at_5", "log_loss"} < set(compared["summary_only"])
    assert "log_loss" not in compared["users_rule"], "a rule gives no probability"
    difference = compared["base_rate"]["log_loss"]["difference"]
    measured = result["probability"]
    expected = measured["log_loss"]["value"] - measured["base_rate_log_loss"]["value"]
    assert difference == pytest.approx(expected, abs=2e-6)


def test_a_perfect_oracle_is_measured_beside() -> None:
    predictions = backtest_predictions()
    truth = predictions[["id", "as_of"]].assign(probability=predictions["label"].astype(float))
    truth["as_of"] = truth["as_of"].astype("datetime64[us]")
    shuffled = truth.sample(frac=1, random_state=0)
    parts = [shuffled.iloc[start::3] for start in range(3)]
    with_oracle = backtest_module.with_oracle(predictions, parts)
    pd.testing.assert_frame_equal(with_oracle.drop(columns="oracle"), predictions)
    assert report.rankers_in(with_oracle)[-1] == "oracle"
    others = truth.assign(id=truth["id"] + 10**6)
    some = backtest_module.with_oracle(predictions, [others, truth.iloc[::2]])
    assert some["oracle"].iloc[::2].tolist() == truth["probability"].iloc[::2].tolist()
    assert some["oracle"].iloc[1::2].isna().all()
    with pytest.raises(ValueError, match="not in the order of their ids"):
        backtest_module.with_oracle(predictions.iloc[::-1], parts)
    result = evaluated(with_oracle, backtest_export().params)
    assert result["ranking"]["oracle"]["average_precision"]["value"] == 1
    share = result["share_of_oracle"]
    value = result["ranking"]["probability"]["average_precision"]["value"]
    assert share["average_precision"]["value"] == pytest.approx(value, abs=1e-6)
    assert 0 < share["log_loss_reduction"]["value"] < 1
    assert result["model_minus_baseline"]["oracle"]["log_loss"]["probability_better"] == 0


def test_the_lists_are_measured_again_without_the_never_seen() -> None:
    params, predictions = backtest_export().params, backtest_predictions()
    result = evaluated(predictions, params)
    without = result["without_never_seen"]
    never = predictions["usage_state"] == "never used the product"
    assert 0 < never.sum() < len(predictions)
    assert without["left_out"] == {
        "share_of_prospects": pytest.approx(never.mean(), abs=1e-6),
        "share_of_conversions": pytest.approx(
            predictions.loc[never, "label"].sum() / predictions["label"].sum(), abs=1e-6
        ),
        "share_of_expected_conversions": pytest.approx(
            predictions.loc[never, "probability"].sum() / predictions["probability"].sum(), abs=1e-6
        ),
    }
    by_hand = []
    for _, week in predictions[~never].groupby("as_of"):
        if week["label"].any():
            by_hand.append(roc_auc_score(week["label"], week["probability"]))
    found = without["ranking"]["probability"]["roc_auc"]
    assert found["value"] == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert found["low"] < found["value"] < found["high"]
    assert set(without["ranking"]) == set(result["ranking"])
    assert without["probability"]["log_loss"]["value"] != result["probability"]["log_loss"]["value"]


def test_where_only_the_never_seen_convert_nothing_is_measured_without_them() -> None:
    predictions = backtest_predictions()
    never = predictions["usage_state"] == "never used the product"
    label = predictions["label"].where(never, 0)
    label[predictions.index[never][0]] = 1
    result = evaluated(predictions.assign(label=label), backtest_export().params)
    assert list(result["without_never_seen"]) == ["left_out"]
    assert result["without_never_seen"]["left_out"]["share_of_conversions"] == 1
    assert "without the companies that were never seen" in summary.summary_text(result, (5, 10))
    numbers = headline.headline_numbers(result, (5, 10))
    assert "average_precision" in numbers
    assert not any("without_never_seen" in name for name in numbers)


def test_what_became_of_each_tier_is_counted() -> None:
    params, predictions = backtest_export().params, backtest_predictions()
    tiers = evaluated(predictions, params)["tiers"]
    assert list(tiers) == ["very_high", "high", "medium", "low"]
    # Of each list the first 2 are very high, to the 10th high, to the 50th medium; more where some are equal.
    rank = predictions.groupby("as_of")["probability"].rank(method="min", ascending=False)
    rows = predictions[(rank > 10) & (rank <= 50)]
    assert (params.score.top_n, params.score.tiers.rank_share.medium) == (10, 5.0)
    medium = tiers["medium"]
    assert medium["prospects"] == len(rows) > 0
    assert medium["conversions"] == rows["label"].sum()
    assert medium["mean_probability"] == pytest.approx(rows["probability"].mean(), abs=1e-6)
    rate = medium["observed_rate"]
    assert rate["value"] == pytest.approx(rows["label"].mean(), abs=1e-6)
    assert rate["low"] <= rate["value"] <= rate["high"]
    assert sum(tier["prospects"] for tier in tiers.values()) == len(predictions)


def test_every_month_of_cutoffs_is_compared_with_what_happened() -> None:
    params = backtest_export().params
    of = resample(backtest_predictions(), params.evaluate.bootstrap_samples, params.seed)
    _, months = report.slices_and_months(of, [], params.evaluate.top_k)
    assert months["slice"].tolist() == ["2019-05", "2019-06", "2019-07", "2019-08", "2019-09"]
    assert months["conversions"].sum() == backtest_predictions()["label"].sum()
    drift = report.expected_over_observed_by_month(
        months.assign(expected_over_observed=[1.5, np.nan, 1, 1, 1])
    )
    assert drift["2019-05"]["value"] == 1.5
    assert drift["2019-06"]["value"] is None
    assert list(drift) == months["slice"].tolist()
    json.dumps(drift, allow_nan=False)


def test_columns_on_disk_change_no_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, predictions = backtest_export(), backtest_predictions()
    expected = evaluated(predictions, pipeline.params)
    monkeypatch.setattr("conversion.evaluation.columns_on_disk.LARGE", 0)
    assert evaluated(predictions, pipeline.params, tmp_path / "columns") == expected
    assert not list(tmp_path.glob("columns/*")), "the files have no name"


def everything(predictions: pd.DataFrame) -> list[str]:
    """Return all measures and the tables of all plots, as they are written."""
    pipeline = backtest_export()
    found = report.evaluate_backtest(predictions, pipeline.train, pipeline.model, pipeline.params, hubspot())
    tables = [found.weekly, found.slices, *(plot.table(found) for plot in PLOTS)]
    return [json.dumps(found.metrics), *(table.to_csv(float_format="%.6g") for table in tables)]


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        ("conversion.evaluation.bootstrap.CELLS", 1),
        ("conversion.evaluation.bootstrap.CELLS", 600),
        ("conversion.evaluation.bootstrap.SAMPLES_AT_ONCE", 7),
        ("conversion.evaluation.bootstrap.WEIGHTS_AT_ONCE", 1),
        ("conversion.stats.resampling._ROWS_AT_ONCE", 5),
        ("conversion.stats.portable_math._PRODUCTS_AT_ONCE", 1),
        ("conversion.stats.distinct_counts._LEAST", 1),
        ("the order of rows", 0),
    ],
)
def test_neither_bounds_of_memory_nor_the_order_of_rows_change_a_measure(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions, expected = predictions_of_two_thresholds(), measured_at_once()
    if bound.startswith("conversion."):
        monkeypatch.setattr(bound, value)
    else:
        predictions = predictions.sample(frac=1, random_state=value)
    assert everything(predictions) == expected


@functools.cache
def measured_at_once() -> list[str]:
    return everything(predictions_of_two_thresholds())


def predictions_of_two_thresholds() -> pd.DataFrame:
    predictions = backtest_predictions()
    is_last = predictions["fitted_as_of"] == predictions["fitted_as_of"].max()
    return predictions.assign(threshold=np.where(is_last, 0.1, 0.05))
