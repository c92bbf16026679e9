from __future__ import annotations

import hashlib
import importlib
import json
import re
from pathlib import Path

import joblib
import numpy as np
import pytest

from conversion.modelling import artifact
from conversion.modelling.artifact import EXPECTED, allowed_by, library_versions, load_model, save_model
from conversion.modelling.model import ConversionModel
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import sha256
from tests.pipeline import MODEL_TYPES, Pipeline, dirty_export, small_params

DESCRIPTION = {"model_type": "a dict", "base_rate": 0.25}


class WritesWhenRead:
    """A pickle with a side effect: whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a saved model, which is a dict."""
    save_model({"weights": [1.0, 2.5]}, DESCRIPTION, tmp_path / "models")
    return tmp_path / "models"


def test_round_trip(folder: Path) -> None:
    model, description = load_model(dict, folder)
    assert model == {"weights": [1.0, 2.5]}
    assert description.items() >= DESCRIPTION.items()
    assert description["sha256"] == sha256(folder / "model.joblib")
    assert description["library_versions"] == library_versions()
    assert set(library_versions()) >= {"python", "joblib", "numpy", "pandas", "scikit-learn"}
    assert sorted(path.name for path in folder.iterdir()) == ["model.joblib", "model.json"]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_loaded_model_scores_as_the_saved_one(model_type: str, tmp_path: Path) -> None:
    pipeline = Pipeline(dirty_export(), small_params(model__type=model_type, train__calibration="isotonic"))
    save_model(pipeline.model, {}, tmp_path)
    loaded, _ = load_model(ConversionModel, tmp_path)
    np.testing.assert_array_equal(
        loaded.predict_proba(pipeline.latest), pipeline.model.predict_proba(pipeline.latest)
    )
    assert loaded.threshold_ == pipeline.model.threshold_
    assert loaded.get_feature_importance().equals(pipeline.model.get_feature_importance())


@pytest.mark.parametrize("place", [0, -1])
def test_a_changed_byte_is_refused(folder: Path, place: int) -> None:
    path = folder / "model.joblib"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as error:
        load_model(dict, folder)
    described = json.loads((folder / "model.json").read_text())["sha256"]
    assert str(error.value) == (
        f"{path}: sha256 is {sha256(path)}, but {folder / 'model.json'} says {described}; "
        "the file was changed or belongs to another description: run 'dvc repro train' again"
    )


def test_an_exchanged_pickle_does_not_run(folder: Path, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    joblib.dump(WritesWhenRead(bait), folder / "model.joblib")
    with pytest.raises(ArtifactError, match="sha256"):
        load_model(dict, folder)
    assert not bait.exists()
    joblib.load(folder / "model.joblib")
    assert bait.exists(), "it would have run"


@pytest.mark.parametrize("name", ["model.joblib", "model.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    expected = f"{folder / name}: not found; run 'dvc repro train' to make it"
    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        load_model(dict, folder)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "7", "null", "\x00"])
def test_a_broken_description_is_no_traceback(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"model\.json: not a model's description"):
        load_model(dict, folder)


def test_a_description_without_hash_is_refused(folder: Path) -> None:
    (folder / "model.json").write_text("{}")
    with pytest.raises(ArtifactError, match="says None"):
        load_model(dict, folder)


class FromElsewhere:
    """A pickle of a class that is not there any more when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return importlib.import_module, ("a_library_of_yesterday",)


def test_a_file_that_the_libraries_cannot_read_is_told_in_one_sentence(tmp_path: Path) -> None:
    save_model(FromElsewhere(), DESCRIPTION, tmp_path)
    with pytest.raises(
        ArtifactError, match=r"cannot be read here \(ModuleNotFoundError.*scikit-learn.*"
    ) as told:
        load_model(object, tmp_path)
    assert "\n" not in str(told.value)


# Whatever else is wrong with a file that agrees with its description


def test_an_object_of_another_class_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError) as told:
        load_model(ConversionModel, folder)
    assert str(told.value) == (
        f"{folder / 'model.joblib'}: holds a dict, should be a ConversionModel; run 'dvc repro -f train' to "
        "train it again"
    )


def test_a_file_that_is_exchanged_while_it_is_read_is_not_unpickled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bait = tmp_path / "bait"

    def hash_and_exchange(content: bytes) -> str:
        joblib.dump(WritesWhenRead(bait), folder / "model.joblib")
        return hashlib.sha256(content).hexdigest()

    monkeypatch.setattr(artifact, "sha256_of", hash_and_exchange)
    model, _ = load_model(dict, folder)
    assert model == {"weights": [1.0, 2.5]}
    assert not bait.exists()


def test_only_an_allowed_file_is_unpickled(folder: Path, tmp_path: Path) -> None:
    found = sha256(folder / "model.joblib")
    allowed = allowed_by({EXPECTED: f" {found.upper()}\n"})
    assert load_model(dict, folder, allowed)[0] == {"weights": [1.0, 2.5]}
    bait = tmp_path / "bait"
    save_model(WritesWhenRead(bait), DESCRIPTION, folder)
    with pytest.raises(
        ArtifactError, match=f"model.joblib: sha256 is .*, but {EXPECTED} allows {found}; put"
    ):
        load_model(object, folder, allowed)
    with pytest.raises(ArtifactError, match="but the registry allows none; put an allowed model here"):
        load_model(object, folder, {"the registry": []})
    assert not bait.exists()


def test_without_the_variable_every_described_file_is_allowed() -> None:
    assert allowed_by({}) == {}


@pytest.mark.parametrize("given", ["", "champion", "0" * 63, "g" * 64])
def test_what_is_no_hash_allows_nothing_by_mistake(given: str) -> None:
    with pytest.raises(ArtifactError, match=f"{EXPECTED}: given '{given}', should be the 64 hexadecimal"):
        allowed_by({EXPECTED: given})
