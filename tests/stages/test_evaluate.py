from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from conversion import recipe
from conversion.artifact import save_model
from conversion.errors import ExportError, ParamsError
from conversion.files import write_json
from conversion.snapshots import WEEK
from stages import evaluate
from tests.exports import tiny_export
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params

COLUMNS = [
    "id", "as_of", "label", "MRR", "probability", "summary_only", "users_rule", "actions_rule", "random",
    "fitted_as_of", "base_rate", "threshold",
]  # fmt: skip


@functools.cache
def export(**overrides: Any) -> Pipeline:
    return Pipeline(dirty_export(), small_params(evaluate__refit_weeks=8, **overrides))


@functools.cache
def predicted() -> pd.DataFrame:
    pipeline = export()
    return evaluate.backtest(pipeline.train, pipeline.backtest, pipeline.params)


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
        return recipe.fit_at(*args)

    monkeypatch.setattr(evaluate, "fit_at", recorded)
    predictions = evaluate.backtest(pipeline.train, pipeline.backtest, pipeline.params)
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
    predictions = evaluate.backtest(train, rows, pipeline.params)
    same = predicted()["fitted_as_of"] == cutoff
    np.testing.assert_array_equal(predictions["probability"], predicted().loc[same, "probability"])


def test_order_of_snapshots_changes_no_prediction() -> None:
    pipeline = export()
    shuffled = pipeline.backtest.sample(frac=1, random_state=0)
    found = evaluate.backtest(pipeline.train, shuffled, pipeline.params).sort_values(["id", "as_of"])
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
        predictions = evaluate.backtest(train, rows, pipeline.params)
        aucs.append(roc_auc_score(predictions["label"], predictions["probability"]))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.08)


def test_the_rules_need_their_window() -> None:
    pipeline = Pipeline(
        dirty_export(),
        small_params(featurize__windows=[1, 2, 8], model__logistic_regression__quadratic=["size"]),
    )
    with pytest.raises(ParamsError, match=r"featurize.windows: given 1, 2, 8; should have 4"):
        evaluate.backtest(pipeline.train, pipeline.backtest, pipeline.params)


# The measures


def test_the_evaluation_is_json_and_says_what_it_is_of() -> None:
    result = evaluate.evaluation(predicted(), export().params)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["model_type"] == "logistic_regression"
    assert result["first_cutoff"] == "2019-05-27"
    assert result["last_cutoff"] == "2019-09-09"
    assert set(result["ranking"]) == {"probability", "summary_only", "users_rule", "actions_rule", "random"}
    positives = predicted()[predicted()["label"] == 1]
    assert result["converters"] == positives["id"].nunique()
    assert result["prevalence"] == pytest.approx(len(positives) / len(predicted()), abs=1e-8)
    assert "share_of_oracle_average_precision" not in result


def test_a_perfect_oracle_is_measured_beside() -> None:
    predictions = predicted()
    truth = predictions[["id", "as_of"]].assign(probability=predictions["label"].astype(float))
    truth["as_of"] = truth["as_of"].astype("datetime64[us]")
    with_oracle = evaluate.with_oracle(predictions, truth.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(with_oracle.drop(columns="oracle"), predictions)
    assert evaluate.rankers_of(with_oracle)[-1] == "oracle"
    result = evaluate.evaluation(with_oracle, export().params)
    assert result["ranking"]["oracle"]["average_precision"]["value"] == 1
    share = result["share_of_oracle_average_precision"]
    assert share == pytest.approx(result["ranking"]["probability"]["average_precision"]["value"], abs=1e-6)


def test_cross_validation_is_labelled_as_not_out_of_time() -> None:
    pipeline = export(evaluate__cross_validation_folds=3)
    result = evaluate.cross_validation(pipeline.train, pipeline.params)
    assert result["folds"] == 3
    assert "not out of time" in result["warning"]
    assert 0.5 < result["roc_auc"] <= 1
    assert 0 < result["average_precision"] <= 1


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
    predictions = pd.read_parquet("data/backtest/predictions.parquet")
    assert list(predictions) == [*COLUMNS, "oracle"]
    weekly = pd.read_csv("metrics/backtest.csv")
    assert len(weekly) == predictions["as_of"].nunique() == 16
    assert "precision" in (project / "metrics/classification_report.txt").read_text()
    names = {path.stem for path in (project / "plots").glob("*.csv")}
    assert names == {path.stem for path in (project / "plots").glob("*.png")}
    assert names >= {"roc", "precision_recall", "reliability", "gains", "importance", "confusion"}


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
