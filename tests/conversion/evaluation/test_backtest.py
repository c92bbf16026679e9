from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from conversion.data.timeline import WEEK
from conversion.evaluation import backtest as backtest_module
from conversion.evaluation import columns_on_disk
from conversion.evaluation.predictions import companies_of
from conversion.evaluation.snapshot_source import SnapshotFiles
from conversion.modelling import training
from conversion.runtime.errors import InputError
from conversion.stats.hashing import part_of
from tests.backtests import COLUMNS, backtest_export, backtest_predictions
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import MODEL_TYPES, Pipeline, small_params
from tests.predictions import is_in_a_file


def test_every_prospect_with_a_label_is_predicted_at_every_cutoff() -> None:
    predictions, snapshots = backtest_predictions(), backtest_export().backtest
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
    pipeline, fits = backtest_export(), []

    def recorded(*args: Any, **options: Any) -> Any:
        fits.append(args[1])
        return training.fit_at(*args, **options)

    monkeypatch.setattr(backtest_module, "fit_at", recorded)
    predictions = backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params, hubspot())
    first = pipeline.cutoffs[0]
    assert sorted(fits) == [first, first + 8 * WEEK]
    age = (predictions["as_of"] - predictions["fitted_as_of"]) / WEEK
    assert sorted(age.unique()) == list(range(8))
    assert predictions.groupby("as_of")["fitted_as_of"].nunique().eq(1).all()
    assert predictions.groupby("fitted_as_of")["threshold"].nunique().eq(1).all()
    assert predictions.groupby("fitted_as_of")["base_rate"].nunique().eq(1).all()


def test_labels_of_the_test_weeks_do_not_reach_the_model() -> None:
    """Whatever happens from the refit on, its predictions are the same."""
    pipeline = backtest_export()
    cutoff = pipeline.cutoffs[0]
    train = pipeline.train.copy()
    unknown = train["as_of"] + pd.Timedelta(days=30) > cutoff
    train.loc[unknown, "label"] = 1 - train.loc[unknown, "label"]
    rows = pipeline.backtest[pipeline.backtest["as_of"] < cutoff + 8 * WEEK]
    rows = rows.assign(label=rows["label"].mask(rows["label"].notna(), 1.0))
    predictions = backtest_module.backtest(train, rows, pipeline.params, hubspot())
    same = backtest_predictions()["fitted_as_of"] == cutoff
    np.testing.assert_array_equal(predictions["probability"], backtest_predictions().loc[same, "probability"])


def test_order_of_snapshots_changes_no_prediction() -> None:
    pipeline = backtest_export()
    shuffled = pipeline.backtest.sample(frac=1, random_state=0)
    found = backtest_module.backtest(pipeline.train, shuffled, pipeline.params, hubspot()).sort_values(
        ["id", "as_of"]
    )
    expected = backtest_predictions().sort_values(["id", "as_of"])
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
        predictions = backtest_module.backtest(train, rows, pipeline.params, hubspot())
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
    fake = backtest_module.backtest(train, shuffled(pipeline.backtest), pipeline.params, hubspot())
    prevalence = fake["label"].mean()
    assert 0.6 < average_precision_score(fake["label"], fake["probability"]) / prevalence < 1.5
    true = backtest_module.backtest(pipeline.train, pipeline.backtest, pipeline.params, hubspot())
    assert average_precision_score(true["label"], true["probability"]) > 10 * prevalence, "there is a signal"


@pytest.mark.parametrize("in_files", [False, True])
def test_parts_and_files_change_no_prediction(
    in_files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = backtest_export()
    folder = tmp_path / "backtest.parquet"
    folder.mkdir()
    part = part_of(pipeline.backtest["id"], 3)
    for number in range(3):
        rows = pipeline.backtest[part == number]
        rows.to_parquet(folder / f"part-{number:05d}.parquet", index=False, row_group_size=500)
    if in_files:
        monkeypatch.setattr(columns_on_disk, "LARGE", 0)
    source = SnapshotFiles(folder, list(pipeline.backtest))
    columns = tmp_path / "columns" if in_files else None
    found = backtest_module.backtest(pipeline.train, source, pipeline.params, hubspot(), columns)
    pd.testing.assert_frame_equal(found, backtest_predictions())
    assert is_in_a_file(found["probability"].to_numpy()) == in_files
    assert not list(tmp_path.glob("columns/*")), "the files have no name"


def test_ids_may_be_texts(tmp_path: Path) -> None:
    pipeline, expected = backtest_export(), backtest_predictions()
    train, snapshots = (with_texts(table) for table in (pipeline.train, pipeline.backtest))
    path = tmp_path / "backtest.parquet"
    snapshots.sample(frac=1, random_state=1).to_parquet(path, index=False, row_group_size=500)
    source = SnapshotFiles(path, list(snapshots))
    found = backtest_module.backtest(train, source, pipeline.params, hubspot())
    assert found["id"].cat.codes.dtype.itemsize <= 4
    assert found["id"].astype(str).tolist() == with_texts(expected)["id"].tolist()
    same = [name for name in expected if name not in ("id", "random")]
    pd.testing.assert_frame_equal(found[same], expected[same])
    companies = companies_of(found)
    assert companies.count == expected["id"].nunique()
    assert (companies.numbers == companies_of(expected).numbers).all()


def with_texts(table: pd.DataFrame) -> pd.DataFrame:
    """Turn ids into texts of the same order."""
    return table.assign(id=[f"acc-{each:09d}" for each in table["id"]])


def test_a_table_without_a_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "backtest.parquet"
    backtest_export().backtest.drop(columns="users_max_4w").to_parquet(path)
    with pytest.raises(InputError, match=r"backtest.parquet.*it lacks the columns users_max_4w"):
        SnapshotFiles(path, ["id", "users_max_4w"])
