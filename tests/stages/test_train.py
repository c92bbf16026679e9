from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from commands.check_lock import model_differences
from conversion.data.timeline import WEEK
from conversion.modelling import training
from conversion.modelling.artifact import load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.training_rows import read_training
from conversion.runtime.cli import TEMPLATE
from conversion.runtime.errors import ExportError, InputError
from conversion.runtime.files import sha256, write_json
from conversion.runtime.yaml_values import value_at
from stages import train
from tests.contract_files import hubspot
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the stage reads."""
    monkeypatch.chdir(tmp_path)
    pipeline = Pipeline(dirty_export(), small_params())
    write_json("data/contract.json", hubspot().model_dump(mode="json"))
    write_json("data/clean/export.json", {"as_of": f"{pipeline.as_of:%Y-%m-%d}"})
    (tmp_path / "data/features").mkdir()
    pipeline.train.to_parquet("data/features/train.parquet", index=False)
    return tmp_path


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_model_s_description_agrees_with_the_params_that_dvc_records(
    model_type: str, project: Path, root: Path
) -> None:
    write_params(model__type=model_type)
    train.main()
    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    listed = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]["params"]
    keys = [TEMPLATE.sub(lambda found: str(value_at(values, found[1])), key) for key in listed]
    description = json.loads((project / "models/model.json").read_text(encoding="utf-8"))
    recorded = {key: value_at(values, key) for key in keys}
    assert list(model_differences(recorded, description)) == []
    recorded["train"]["min_frequency"] += 1
    assert len(list(model_differences(recorded, description))) == 1


def test_few_converters_are_warned_of(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_params()
    train.main()
    (warned,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    described = json.loads((project / "models/model.json").read_text(encoding="utf-8"))
    companies = described["training_window"]["converting_companies"]
    assert warned.startswith(f"The model learned from {companies} companies that converted: with fewer than")


def write_params(**overrides: object) -> None:
    params = small_params(**overrides).model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_stage_writes_a_model_that_scores_and_its_description(model_type: str, project: Path) -> None:
    write_params(model__type=model_type, train__threshold="f1", train__calibration="sigmoid")
    train.main()
    model, description = load_model(ConversionModel, project / "models")
    snapshots = pd.read_parquet("data/features/train.parquet")
    assert ((model.predict_proba(snapshots) >= 0) & (model.predict_proba(snapshots) <= 1)).all()
    assert description["model_type"] == model_type
    assert description["trained_as_of"] == "2019-10-14"
    assert description["data_sha256"] == {
        "data/features/train.parquet": sha256("data/features/train.parquet")
    }
    assert description["threshold"] == pytest.approx(model.threshold_, abs=1e-8)
    assert description["base_rate"] == pytest.approx(model.base_rate_, abs=1e-8)
    assert list(description["features"]) == [feature.name for feature in model.features]
    assert set(description["features"].values()) == {"float32", "category"}
    assert description["calibration"] == model.calibration_ == "sigmoid"
    assert set(description["params"]) == {"seed", "featurize", "features", "model", "train"}
    assert description["params"]["model"] == json.loads(json.dumps(model.hyperparameters))
    assert "chunk_companies" not in description["params"]["featurize"], "it changes no result"


def test_the_description_says_what_was_drawn(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a maximum that params.yaml would refuse, as the tables of tests are small."""
    write_params()
    train.main()
    whole = json.loads((project / "models/model.json").read_text(encoding="utf-8"))
    there = whole["training_window"]["snapshots"]
    assert "drawn" not in whole
    monkeypatch.setattr(
        train, "read_training", lambda path, columns, _, seed: read_training(path, columns, 500, seed)
    )
    train.main()
    drawn = json.loads((project / "models/model.json").read_text(encoding="utf-8"))
    assert drawn["drawn"] == {"snapshots": there, "kept": 500}
    assert drawn["training_window"]["snapshots"] == 500
    for key in ("converting_snapshots", "converting_companies"):
        assert drawn["training_window"][key] == whole["training_window"][key]
    assert drawn["base_rate"] == pytest.approx(whole["base_rate"], rel=1e-6)


@pytest.mark.parametrize("model_type", ["random_forest", "ensemble"])
def test_the_stage_writes_the_same_bytes_again(model_type: str, project: Path) -> None:
    write_params(train__threshold="f1", train__calibration="auto", model__type=model_type)
    written = []
    for _ in range(2):
        train.main()
        written.append({path.name: path.read_bytes() for path in (project / "models").iterdir()})
    assert set(written[0]) == {"model.joblib", "model.json"}
    assert written[0] == written[1]


def test_a_search_is_described_and_comes_out_the_same_again(project: Path) -> None:
    write_params(model__type="xgboost", train__search__trials=3)
    written = []
    for _ in range(2):
        train.main()
        written.append([path.read_bytes() for path in sorted(project.glob("[mp]*s/*.*"))])
    assert written[0] == written[1]
    model, description = load_model(ConversionModel, project / "models")
    history = pd.read_csv("plots/search.csv")
    assert history["trial"].tolist() == [0, 1, 2]
    assert description["search"] == {
        "xgboost": {
            "trials": 3,
            "given_log_loss": history.loc[0, "log_loss"],
            "best_log_loss": history["log_loss"].min(),
        }
    }
    best = history.loc[history["log_loss"].idxmin()]
    assert description["params"]["model"] == model.hyperparameters
    assert best["max_depth"] == model.hyperparameters["max_depth"]
    assert best["learning_rate"] == pytest.approx(model.hyperparameters["learning_rate"], rel=1e-12)


def test_without_a_search_its_plot_has_the_given_hyperparameters_unmeasured(project: Path) -> None:
    write_params()
    train.main()
    assert load_model(ConversionModel, project / "models")[1]["search"] == {}
    assert Path("plots/search.csv").read_text(encoding="utf-8") == (
        "family,trial,log_loss,best_so_far,C\nlogistic_regression,0,NaN,NaN,0.01\n"
    )


def test_a_single_class_leaves_no_model(project: Path) -> None:
    write_params()
    snapshots = pd.read_parquet("data/features/train.parquet")
    snapshots.assign(label=0.0).to_parquet("data/features/train.parquet", index=False)
    with pytest.raises(ExportError, match="nothing to learn from"):
        train.main()
    assert not (project / "models").exists()


def test_the_description_counts_what_was_learned_from() -> None:
    pipeline = Pipeline(dirty_export(), small_params(train__history_weeks=12))
    window = training.describe(pipeline.model, pipeline.train, pipeline.as_of, pipeline.params)[
        "training_window"
    ]
    rows = pipeline.train[pipeline.train["as_of"] > pipeline.as_of - 12 * WEEK]
    assert window == {
        "first_snapshot": f"{rows['as_of'].min():%Y-%m-%d}",
        "last_snapshot": "2019-09-09",
        "snapshots": len(rows),
        "converting_snapshots": int(rows["label"].sum()),
        "converting_companies": rows.loc[rows["label"] == 1, "id"].nunique(),
    }
    assert 0 < window["converting_companies"] < window["converting_snapshots"]
    json.dumps(window, allow_nan=False)


def test_a_moment_that_is_none_is_told(project: Path) -> None:
    write_params()
    write_json("data/clean/export.json", {"as_of": "soon"})
    with pytest.raises(
        InputError, match=r"export\.json: not what .* \(as_of: given 'soon', should be a Monday"
    ):
        train.main()
    assert not (project / "models").exists()
