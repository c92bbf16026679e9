from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
import yaml

from conversion.config.params_file import load_params
from conversion.modelling.artifact import EXPECTED, save_model
from conversion.modelling.registered_versions import (
    KEY,
    PATH,
    RegisteredVersion,
    RegisteredVersions,
    write_registered,
)
from conversion.modelling.tiers import cuts_by_probability
from conversion.modelling.training import describe
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import sha256, write_json
from conversion.serving.state import make_state, read_files, registered_model_of
from tests.lead_files import write_list
from tests.serving import small_pipeline

SECRET = "a key of sixteen"


def test_a_model_file_is_known_by_its_hash_alone() -> None:
    versions = {"aa": RegisteredVersion(version="3", aliases=["champion"], run_id="run")}
    registered = RegisteredVersions(model_name="conversion", versions=versions)
    found = registered_model_of("aa", registered)
    assert found is not None
    assert (found.name, found.version, found.aliases) == ("conversion", "3", ["champion"])
    assert registered_model_of("bb", registered) is None
    assert registered_model_of("aa", None) is None


# What is read from files, and what does not belong together


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model and the list that it scored."""
    monkeypatch.chdir(tmp_path)
    for name in (EXPECTED, KEY):
        monkeypatch.delenv(name, raising=False)
    pipeline = small_pipeline()
    Path("params.yaml").write_text(yaml.safe_dump(pipeline.params.model_dump(mode="json")), encoding="utf-8")
    save_model(pipeline.model, describe(pipeline.model, pipeline.train, pipeline.as_of, pipeline.params))
    write_list(Path(), pipeline, "csv", model_sha256=sha256("models/model.joblib"))
    return tmp_path


def refusal(**environment: str) -> str:
    """Return the message with which the files are refused."""
    with pytest.raises(ArtifactError) as told:
        read_files(load_params(), environment)
    assert "\n" not in str(told.value)
    return str(told.value)


def describe_anew(change: Callable[[dict[str, Any]], object]) -> None:
    """Change the model's description, and leave its hash as it is."""
    description = json.loads(Path("models/model.json").read_text(encoding="utf-8"))
    change(description)
    write_json("models/model.json", description)


@pytest.mark.usefixtures("folder")
def test_what_belongs_together_is_served(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        state = make_state(load_params(), None, "test", None)
    assert state.served_list is not None
    assert state.served_list.of_served_model
    assert state.served_list.as_of == small_pipeline().as_of.date() == state.predictor.trained_as_of
    assert not caplog.records
    assert state.predictor.cuts == small_pipeline().ranked.cuts
    assert state.predictor.evidence == small_pipeline().evidence


@pytest.mark.usefixtures("folder")
def test_the_last_list_beside_a_new_model_is_served_as_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """As after a pipeline that was killed between train and score."""
    newer = small_pipeline("xgboost")
    save_model(newer.model, describe(newer.model, newer.train, newer.as_of, newer.params))
    write_json("data/clean/export.json", {"as_of": "2030-01-07"})
    with caplog.at_level(logging.WARNING):
        state = make_state(load_params(), None, "test", None)
    assert state.served_list is not None
    assert not state.served_list.of_served_model
    assert state.served_list.as_of == small_pipeline().as_of.date()
    (record,) = caplog.records
    assert "of another model than the one that predicts" in record.getMessage()


@pytest.mark.usefixtures("folder")
def test_without_a_list_there_is_none_to_tell_of() -> None:
    for path in Path("data/leads").iterdir():
        path.unlink()
    state = make_state(load_params(), None, "test", None)
    assert state.served_list is None
    assert state.predictor.evidence is None
    assert state.predictor.cuts == cuts_by_probability(load_params().score.tiers)


@pytest.mark.parametrize("written", ["csv", "json", "parquet"])
def test_a_list_keeps_the_format_that_it_was_written_in(folder: Path, written: str) -> None:
    """``score.format`` is of the next list."""
    shutil.rmtree("data/leads")
    write_list(folder, small_pipeline(), written, model_sha256=sha256("models/model.joblib"))
    for asked in ("csv", "json", "parquet"):
        params = small_pipeline().params.model_dump(mode="json")
        params["score"]["format"] = asked
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        found = read_files(load_params(), {})
        assert found.leads is not None, asked
        assert found.leads.leads["id"].tolist() == small_pipeline().leads["id"].tolist()


@pytest.mark.usefixtures("folder")
def test_another_object_than_a_model_is_refused() -> None:
    description = json.loads(Path("models/model.json").read_text(encoding="utf-8"))
    save_model({"weights": [1.0]}, description)
    assert refusal() == (
        "models/model.joblib: holds a dict, should be a ConversionModel; "
        "run 'dvc repro -f train' to train it again"
    )


@pytest.mark.parametrize("lost", ["threshold_", "profile_", "summary_", "members_"])
@pytest.mark.usefixtures("folder")
def test_a_model_that_is_not_whole_is_refused(lost: str) -> None:
    description = json.loads(Path("models/model.json").read_text(encoding="utf-8"))
    model = joblib.load("models/model.joblib")
    delattr(model, lost)
    save_model(model, description)
    assert "its model does not answer (AttributeError: " in refusal()


@pytest.mark.usefixtures("folder")
def test_a_description_of_another_model_is_refused() -> None:
    other = small_pipeline("xgboost")
    description = json.loads(Path("models/model.json").read_text(encoding="utf-8"))
    save_model(other.model, description)
    assert "models/model.json: describes another model than the xgboost of " in refusal()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it.pop("params"), "params: field required"),
        (lambda it: it.pop("trained_as_of"), "trained_as_of: field required"),
        (lambda it: it.update(trained_as_of="soon"), "trained_as_of: input should be a valid date"),
        (lambda it: it.update(trained_as_of=18000), "trained_as_of: input should be a valid date"),
        (lambda it: it.update(params=[]), "params: input should be "),
        (lambda it: it["params"].pop("featurize"), "params.featurize: field required"),
        (lambda it: it["params"]["featurize"].update(windows=4), "params.featurize.windows: "),
        (lambda it: it["params"]["featurize"].update(windows=[4, "x"]), "params.featurize.windows.1: "),
        (lambda it: it["params"]["featurize"].update(windows=[]), "params.featurize.windows: "),
        (lambda it: it["params"]["featurize"].update(windows=[52]), "describes another model"),
        (lambda it: it["features"].popitem(), "describes another model"),
        (lambda it: it.update(model_type="oracle"), "describes another model"),
        (lambda it: it.pop("model_type"), "model_type: field required"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_description_that_lacks_something_is_refused(
    change: Callable[[dict[str, Any]], object], says: str
) -> None:
    describe_anew(change)
    message = refusal()
    assert message.startswith("models/model.json: ")
    assert says in message
    assert "run 'dvc repro -f train' to " in message


@pytest.mark.usefixtures("folder")
def test_only_the_model_that_the_environment_names_is_served() -> None:
    ours = sha256("models/model.joblib")
    assert read_files(load_params(), {EXPECTED: ours}).model_type == "logistic_regression"
    assert f"sha256 is {ours}, but {EXPECTED} allows {'0' * 64}; put" in refusal(**{EXPECTED: "0" * 64})
    assert f"{EXPECTED}: given 'champion', should be" in refusal(**{EXPECTED: "champion"})


@pytest.mark.usefixtures("folder")
def test_with_a_key_only_registered_models_are_served() -> None:
    ours = sha256("models/model.joblib")
    version = RegisteredVersion(version="3", aliases=["champion"], run_id="run")
    assert f"{PATH}: not found, but {KEY} is set" in refusal(**{KEY: SECRET})
    others = RegisteredVersions(model_name="conversion", versions={"0" * 64: version})
    write_registered(others, Path(), SECRET.encode())
    assert read_files(load_params(), {}).registered_model is None
    assert f"sha256 is {ours}, but {PATH} allows {'0' * 64}; put" in refusal(**{KEY: SECRET})
    registered = RegisteredVersions(model_name="conversion", versions={ours: version})
    write_registered(registered, Path())
    assert "is not signed, though there is a key" in refusal(**{KEY: SECRET})
    write_registered(registered, Path(), SECRET.encode())
    found = read_files(load_params(), {KEY: SECRET}).registered_model
    assert found is not None
    assert found.version == "3"
    assert f"{KEY}: has 5 characters" in refusal(**{KEY: "short"})
