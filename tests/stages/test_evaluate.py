from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conversion.evaluation.plots import PLOTS
from conversion.evaluation.prospect_slices import slice_names
from conversion.modelling.artifact import save_model
from conversion.runtime.errors import ExportError
from conversion.runtime.files import write_json
from stages import evaluate
from tests.backtests import COLUMNS, backtest_export
from tests.contract_files import hubspot


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the stage reads."""
    monkeypatch.chdir(tmp_path)
    pipeline = backtest_export(evaluate__cross_validation_folds=2)
    Path("params.yaml").write_text(yaml.safe_dump(pipeline.params.model_dump(mode="json")), encoding="utf-8")
    write_json("data/contract.json", hubspot().model_dump(mode="json"))
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
    monkeypatch.setattr("conversion.config.params.SAMPLE", backtest_export().params.data.dir)
    truth = backtest_export().backtest[["id", "as_of"]].assign(probability=0.1)
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
    assert not slices["slice"].isin(["not used yet"]).any(), "those are the never seen"
    assert list(dict.fromkeys(slices["by"])) == ["all", *slice_names(hubspot())]
    predictions = pd.read_parquet("data/backtest/predictions.parquet")
    assert list(predictions) == [*COLUMNS, "oracle"]
    weekly = pd.read_csv("metrics/backtest.csv")
    assert len(weekly) == predictions["as_of"].nunique() == 16
    assert "precision" in (project / "metrics/classification_report.txt").read_text()
    names = {path.stem for path in (project / "plots").glob("*.csv")}
    assert names == {path.stem for path in (project / "plots").glob("*.png")} == {plot.name for plot in PLOTS}
    assert names >= {
        "roc",
        "precision_recall",
        "reliability",
        "gains",
        "importance_by_fact",
        "confusion",
        "slices",
    }


def test_on_another_export_the_truth_is_not_looked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversion.config.params.SAMPLE", "somewhere/else")
    monkeypatch.setattr(evaluate, "write_plots", lambda *_: None)
    evaluate.main()
    assert "oracle" not in json.loads((project / "metrics/evaluation.json").read_text())["ranking"]


def test_a_backtest_without_conversions_is_refused(project: Path) -> None:
    backtest = pd.read_parquet("data/features/backtest.parquet").assign(label=0.0)
    backtest.to_parquet("data/features/backtest.parquet", index=False)
    with pytest.raises(ExportError, match="no conversion follows any cutoff of the backtest"):
        evaluate.main()
    assert not (project / "metrics").exists()
