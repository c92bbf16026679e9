from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import average_precision_score, roc_auc_score

from conversion.config.contract import EMPLOYEE_RANGES
from conversion.data.timeline import WEEK
from conversion.evaluation import backtest as backtest_module
from conversion.evaluation import cross_validation, headline, report, summary
from conversion.evaluation.plots import PLOTS
from conversion.modelling import training
from conversion.modelling.artifact import save_model
from conversion.runtime.errors import ExportError
from conversion.runtime.files import write_json
from stages import evaluate
from tests.exports import tiny_export
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params

COLUMNS = [
    "id", "as_of", "label", "MRR", "probability", "summary_only", "users_rule", "actions_rule", "random",
    "fitted_as_of", "base_rate", "threshold", "usage_state", "tenure_group", "size_group", "sector_known",
]  # fmt: skip


@functools.cache
def export(**overrides: Any) -> Pipeline:
    return Pipeline(dirty_export(), small_params(evaluate__refit_weeks=8, **overrides))


@functools.cache
def predicted() -> pd.DataFrame:
    pipeline = export()
    return backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params)


# The backtest


def test_every_prospect_with_a_label_is_predicted_at_every_cutoff() -> None:
    predictions, snapshots = predicted(), export().backtest
    assert list(predictions) == COLUMNS
    labelled = snapshots[snapshots["label"].notna()]
    assert len(labelled) < len(snapshots), "open labels are left out"
    keys = ["as_of", "id"]
    found = predictions.sort_values(keys, ignore_index=True)
    expected = labelled.sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(found[[*keys, "MRR"]], expected[[*keys, "MRR"]])
    np.testing.assert_array_equal(found["label"], expected["label"])
    np.testing.assert_array_equal(found["users_rule"], expected["users_max_4w"])
    np.testing.assert_array_equal(found["actions_rule"], expected["actions_4w"])
    assert predictions.notna().all(axis=None)
    assert predictions["random"].between(0, 1, inclusive="left").all()
    assert predictions["probability"].between(0, 1).all()


def test_the_recipe_is_fitted_anew_on_schedule_and_only_on_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, fits = export(), []

    def recorded(*args: Any) -> Any:
        fits.append(args[1])
        return training.fit_at(*args)

    monkeypatch.setattr(backtest_module, "fit_at", recorded)
    predictions = backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params)
    first = pipeline.cutoffs[0]
    assert sorted(fits) == [first, first + 8 * WEEK]
    age = (predictions["as_of"] - predictions["fitted_as_of"]) / WEEK
    assert sorted(age.unique()) == list(range(8))
    assert predictions.groupby("as_of")["fitted_as_of"].nunique().eq(1).all()
    assert predictions.groupby("fitted_as_of")["threshold"].nunique().eq(1).all()
    assert predictions.groupby("fitted_as_of")["base_rate"].nunique().eq(1).all()


def test_labels_of_the_test_weeks_do_not_reach_the_model() -> None:
    """Whatever happens from the refit on, its predictions are the same."""
    pipeline = export()
    cutoff = pipeline.cutoffs[0]
    train = pipeline.train.copy()
    unknown = train["as_of"] + pd.Timedelta(days=30) > cutoff
    train.loc[unknown, "label"] = 1 - train.loc[unknown, "label"]
    rows = pipeline.backtest[pipeline.backtest["as_of"] < cutoff + 8 * WEEK]
    rows = rows.assign(label=rows["label"].mask(rows["label"].notna(), 1.0))
    predictions = backtest_module.backtest(train, rows, pipeline.params)
    same = predicted()["fitted_as_of"] == cutoff
    np.testing.assert_array_equal(predictions["probability"], predicted().loc[same, "probability"])


def test_order_of_snapshots_changes_no_prediction() -> None:
    pipeline = export()
    shuffled = pipeline.backtest.sample(frac=1, random_state=0)
    found = backtest_module.backtest(pipeline.train, shuffled, pipeline.params).sort_values(["id", "as_of"])
    expected = predicted().sort_values(["id", "as_of"])
    np.testing.assert_allclose(found["probability"], expected["probability"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_shuffled_labels_teach_nothing(model_type: str) -> None:
    """If features leaked the label in any other way than through the past, this would not be one half."""
    aucs = []
    for seed in range(2):
        pipeline = Pipeline(
            tiny_export(seed, companies=150, weeks=36),
            small_params(model__type=model_type, evaluate__refit_weeks=16),
        )
        rng = np.random.default_rng(seed)
        train = pipeline.train.assign(label=rng.permutation(pipeline.train["label"]), weight=1.0)
        rows = pipeline.backtest.assign(label=rng.permutation(pipeline.backtest["label"]))
        predictions = backtest_module.backtest(train, rows, pipeline.params)
        aucs.append(roc_auc_score(predictions["label"], predictions["probability"]))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_labels_shuffled_within_each_week_leave_the_prevalence(model_type: str) -> None:
    """Each week keeps its prevalence, so that neither time nor the base rate helps: a leak alone would."""
    pipeline = Pipeline(
        tiny_export(3, companies=300, weeks=36),
        small_params(model__type=model_type, evaluate__refit_weeks=8),
    )
    rng = np.random.default_rng(0)

    def shuffled(snapshots: pd.DataFrame) -> pd.DataFrame:
        label = snapshots.groupby("as_of")["label"].transform(lambda week: rng.permutation(week))
        return snapshots.assign(label=label)

    train = shuffled(pipeline.train).assign(weight=1.0)
    fake = backtest_module.backtest(train, shuffled(pipeline.backtest), pipeline.params)
    prevalence = fake["label"].mean()
    assert 0.6 < average_precision_score(fake["label"], fake["probability"]) / prevalence < 1.5
    true = backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params)
    assert average_precision_score(true["label"], true["probability"]) > 10 * prevalence, "there is a signal"


# The measures


def test_the_evaluation_is_json_and_says_what_it_is_of() -> None:
    result = report.evaluation_metrics(predicted(), export().params)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["model_type"] == "logistic_regression"
    assert result["first_cutoff"] == "2019-05-27"
    assert result["last_cutoff"] == "2019-09-09"
    assert set(result["ranking"]) == {"probability", "summary_only", "users_rule", "actions_rule", "random"}
    positives = predicted()[predicted()["label"] == 1]
    assert result["converters"] == positives["id"].nunique()
    assert result["prevalence"] == pytest.approx(len(positives) / len(predicted()), abs=1e-8)
    assert "share_of_oracle" not in result


def test_the_model_is_compared_with_each_baseline_by_what_the_baseline_is() -> None:
    result = report.evaluation_metrics(predicted(), export().params)
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
    predictions = predicted()
    truth = predictions[["id", "as_of"]].assign(probability=predictions["label"].astype(float))
    truth["as_of"] = truth["as_of"].astype("datetime64[us]")
    with_oracle = backtest_module.with_oracle(predictions, truth.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(with_oracle.drop(columns="oracle"), predictions)
    assert report.rankers_in(with_oracle)[-1] == "oracle"
    result = report.evaluation_metrics(with_oracle, export().params)
    assert result["ranking"]["oracle"]["average_precision"]["value"] == 1
    share = result["share_of_oracle"]
    value = result["ranking"]["probability"]["average_precision"]["value"]
    assert share["average_precision"]["value"] == pytest.approx(value, abs=1e-6)
    assert 0 < share["log_loss_reduction"]["value"] < 1
    assert result["model_minus_baseline"]["oracle"]["log_loss"]["probability_better"] == 0


def test_the_lists_are_measured_again_without_the_never_seen() -> None:
    params, predictions = export().params, predicted()
    result = report.evaluation_metrics(predictions, params)
    without = result["without_never_seen"]
    never = predictions["usage_state"] == "never seen"
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
    predictions = predicted()
    never = predictions["usage_state"] == "never seen"
    label = predictions["label"].where(never, 0)
    label[predictions.index[never][0]] = 1
    result = report.evaluation_metrics(predictions.assign(label=label), export().params)
    assert list(result["without_never_seen"]) == ["left_out"]
    assert result["without_never_seen"]["left_out"]["share_of_conversions"] == 1
    assert "without the companies that were never seen" in summary.summary_text(result, (5, 10))
    numbers = headline.headline_numbers(result, (5, 10))
    assert "average_precision" in numbers
    assert not any("without_never_seen" in name for name in numbers)


def test_what_became_of_each_tier_is_counted() -> None:
    params, predictions = export().params, predicted()
    tiers = report.evaluation_metrics(predictions, params)["tiers"]
    assert list(tiers) == ["very_high", "high", "medium", "low"]
    lift = predictions["probability"] / predictions["base_rate"]
    least, top = params.score.tiers.medium, params.score.tiers.high
    rows = predictions[(lift >= least) & (lift < top)]
    medium = tiers["medium"]
    assert medium["prospects"] == len(rows) > 0
    assert medium["conversions"] == rows["label"].sum()
    assert medium["mean_probability"] == pytest.approx(rows["probability"].mean(), abs=1e-6)
    rate = medium["observed_rate"]
    assert rate["value"] == pytest.approx(rows["label"].mean(), abs=1e-6)
    assert rate["low"] <= rate["value"] <= rate["high"]
    assert sum(tier["prospects"] for tier in tiers.values()) == len(predictions)


def test_the_summary_says_the_rate_of_each_tier_and_a_dash_where_none_was_in_it() -> None:
    tiers = params_with_tiers(very_high=1e6, high=1e5, medium=2.0)
    result = report.evaluation_metrics(predicted(), tiers)
    lines = summary.summary_text(result, tiers.evaluate.top_k).splitlines()
    (empty,) = [line.split() for line in lines if line.startswith("very_high")]
    assert empty == ["very_high", "0.0", "0", "-", "-", "[-,", "-]"]
    (medium,) = [line for line in lines if line.startswith("medium")]
    rate = result["tiers"]["medium"]["observed_rate"]
    assert f"{rate['value']:.2%} [{rate['low']:.2%}, {rate['high']:.2%}]" in medium
    rankers = [line.split()[0] for line in lines if line.startswith(("model", "users_rule", "random"))]
    assert rankers == ["model", "users_rule", "random"] * 2, "with and without the never seen"


def params_with_tiers(**least: float) -> Any:
    given = {f"score__tiers__{name}": value for name, value in least.items()}
    return small_params(evaluate__refit_weeks=8, **given)


def test_the_headline_is_a_dozen_numbers_of_the_evaluation() -> None:
    result = report.evaluation_metrics(predicted(), export().params)
    numbers = headline.headline_numbers(result, export().params.evaluate.top_k)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert 10 <= len(numbers) <= 15
    assert all(isinstance(number, int | float) for number in numbers.values())
    model = result["ranking"]["probability"]
    assert numbers["average_precision"] == model["average_precision"]["value"]
    assert numbers["precision_at_5"] == model["precision_at_5"]["value"]
    assert numbers["recall_at_10"] == model["recall_at_10"]["value"]
    over_rule = result["model_minus_baseline"]["users_rule"]["average_precision"]["difference"]
    assert numbers["average_precision_over_users_rule"] == over_rule
    without = result["without_never_seen"]["ranking"]["probability"]["roc_auc"]["value"]
    assert numbers["roc_auc_without_never_seen"] == without
    assert numbers["log_loss"] == result["probability"]["log_loss"]["value"]
    assert numbers["converters"] == result["converters"]
    assert "share_of_oracle" not in numbers, "the truth is not known here"


def test_slices_say_what_was_known_at_the_cutoff() -> None:
    snapshots = pd.DataFrame(
        {
            "seen": [1.0, 1.0, 0.0, 1.0],
            "active_weeks_4w": [2.0, 0.0, 0.0, 4.0],
            "weeks_since_first_seen": [4.0, 30.0, np.nan, 5.0],
            "size": [1.0, 3.0, np.nan, 9.0],
            "sector": ["Education", "Unknown", "Unknown", "Health"],
        }
    )
    slices = pd.DataFrame(backtest_module.slice_columns(snapshots))
    assert tuple(slices) == backtest_module.SLICES
    active = "active in the last 4 weeks"
    assert slices["usage_state"].tolist() == [active, "dormant", "never seen", active]
    assert slices["tenure_group"].tolist() == [
        "first seen up to 4 weeks ago",
        "first seen over 26 weeks ago",
        "not seen yet",
        "first seen 5 to 13 weeks ago",
    ]
    assert slices["size_group"].tolist() == [
        "1 employee",
        "2 to 10 employees",
        "size unknown",
        "over 200 employees",
    ]
    known = ["sector known", "sector unknown", "sector unknown", "sector known"]
    assert slices["sector_known"].tolist() == known


def test_size_groups_hold_the_employee_ranges_that_they_name() -> None:
    numbers = pd.Series(np.arange(1.0, len(EMPLOYEE_RANGES) + 1))
    groups = backtest_module._grouped(numbers, backtest_module.SIZE_GROUPS, "size unknown")
    by_range = dict(zip(EMPLOYEE_RANGES, groups, strict=True))
    assert by_range == {
        "1": "1 employee",
        "2 to 5": "2 to 10 employees",
        "6 to 10": "2 to 10 employees",
        "11 to 25": "11 to 50 employees",
        "26 to 50": "11 to 50 employees",
        "51 to 200": "51 to 200 employees",
        "201 to 1000": "over 200 employees",
        "1001 to 10000": "over 200 employees",
        "10,001 or more": "over 200 employees",
    }


def test_every_month_of_cutoffs_is_compared_with_what_happened() -> None:
    months = report.measures_by_month(predicted(), export().params)
    assert months["slice"].tolist() == ["2019-05", "2019-06", "2019-07", "2019-08", "2019-09"]
    assert months["conversions"].sum() == predicted()["label"].sum()
    drift = report.expected_over_observed_by_month(
        months.assign(expected_over_observed=[1.5, np.nan, 1, 1, 1])
    )
    assert drift["2019-05"]["value"] == 1.5
    assert drift["2019-06"]["value"] is None
    assert list(drift) == months["slice"].tolist()
    json.dumps(drift, allow_nan=False)


def test_cross_validation_is_labelled_as_not_out_of_time() -> None:
    pipeline = export(evaluate__cross_validation_folds=3)
    result = cross_validation.cross_validation(pipeline.train, predicted(), pipeline.params)
    assert result["folds"] == 3
    assert "not out of time" in result["warning"]
    label, probability = predicted()["label"], predicted()["probability"]
    assert result["out_of_time"]["roc_auc"] == pytest.approx(roc_auc_score(label, probability), abs=1e-6)
    for name, gap in result["gap"].items():
        assert gap == pytest.approx(result["random_split"][name] - result["out_of_time"][name], abs=2e-6)
        assert 0 < result["random_split"][name] <= 1


def test_a_random_split_promises_what_no_later_week_keeps() -> None:
    """Each company has another's labels, so that nothing can be learned but which company a row is of."""
    pipeline = Pipeline(
        tiny_export(0, companies=150),
        small_params(
            featurize__keep_negatives__seen=1.0,
            featurize__keep_negatives__never_seen=1.0,
            model__type="random_forest",
            model__random_forest__max_depth=14,
            model__random_forest__min_samples_leaf=1,
            model__random_forest__monotone=False,
            evaluate__refit_weeks=8,
            evaluate__cross_validation_folds=3,
        ),
    )
    ids = pipeline.companies["id"].to_numpy()
    other = dict(zip(ids, np.random.default_rng(0).permutation(ids), strict=True))

    def swapped(snapshots: pd.DataFrame) -> pd.DataFrame:
        labels = snapshots.set_index(["id", "as_of"])["label"]
        keys = pd.MultiIndex.from_arrays([snapshots["id"].map(other), snapshots["as_of"]])
        return snapshots.assign(label=labels.reindex(keys).fillna(0).to_numpy())

    train = swapped(pipeline.train)
    predictions = backtest_module.backtest(train, swapped(pipeline.backtest), pipeline.params)
    result = cross_validation.cross_validation(train, predictions, pipeline.params)
    assert result["random_split"]["roc_auc"] > 0.8
    assert result["out_of_time"]["roc_auc"] < 0.6
    assert result["gap"]["average_precision"] > 0.2


# The stage


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the stage reads."""
    monkeypatch.chdir(tmp_path)
    pipeline = export(evaluate__cross_validation_folds=2)
    Path("params.yaml").write_text(yaml.safe_dump(pipeline.params.model_dump(mode="json")), encoding="utf-8")
    write_json("data/clean/export.json", {"as_of": f"{pipeline.as_of:%Y-%m-%d}"})
    (tmp_path / "data/features").mkdir()
    pipeline.train.to_parquet("data/features/train.parquet", index=False)
    pipeline.backtest.to_parquet("data/features/backtest.parquet", index=False)
    save_model(pipeline.model, {})
    return tmp_path


def test_the_stage_writes_measures_predictions_and_plots(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is the one export whose truth is known."""
    monkeypatch.setattr(evaluate, "SAMPLE", export().params.data.dir)
    truth = export().backtest[["id", "as_of"]].assign(probability=0.1)
    truth.to_parquet("data/truth.parquet", index=False)
    evaluate.main()
    result = json.loads((project / "metrics/evaluation.json").read_text())
    assert result["as_of"] == "2019-10-14"
    assert "oracle" in result["ranking"]
    assert "not out of time" in result["cross_validation_not_out_of_time"]["warning"]
    assert set(result["share_of_oracle"]) == {"average_precision", "log_loss_reduction"}
    assert next(iter(result["probability"]["expected_over_observed_by_month"])) == "2019-05"
    numbers = json.loads((project / "metrics/headline.json").read_text())
    assert numbers["share_of_oracle"] == result["share_of_oracle"]["average_precision"]["value"]
    slices = pd.read_csv("metrics/slices.csv")
    assert not slices["slice"].isin(["not seen yet"]).any(), "those are the never seen"
    assert list(dict.fromkeys(slices["by"])) == ["all", *backtest_module.SLICES]
    predictions = pd.read_parquet("data/backtest/predictions.parquet")
    assert list(predictions) == [*COLUMNS, "oracle"]
    weekly = pd.read_csv("metrics/backtest.csv")
    assert len(weekly) == predictions["as_of"].nunique() == 16
    assert "precision" in (project / "metrics/classification_report.txt").read_text()
    names = {path.stem for path in (project / "plots").glob("*.csv")}
    assert names == {path.stem for path in (project / "plots").glob("*.png")} == {plot.name for plot in PLOTS}
    assert names >= {"roc", "precision_recall", "reliability", "gains", "importance", "confusion", "slices"}


def test_on_another_export_the_truth_is_not_looked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "SAMPLE", "somewhere/else")
    monkeypatch.setattr(evaluate, "write_plots", lambda *_: None)
    evaluate.main()
    assert "oracle" not in json.loads((project / "metrics/evaluation.json").read_text())["ranking"]


def test_a_backtest_without_conversions_is_refused(project: Path) -> None:
    backtest = pd.read_parquet("data/features/backtest.parquet").assign(label=0.0)
    backtest.to_parquet("data/features/backtest.parquet", index=False)
    with pytest.raises(ExportError, match="no conversion follows any cutoff of the backtest"):
        evaluate.main()
    assert not (project / "metrics").exists()
