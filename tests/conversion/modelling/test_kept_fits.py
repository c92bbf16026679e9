"""Kept fits: the same estimator as a new one, and never that of another fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from conversion.modelling import fits_folder
from conversion.modelling import kept_fits as module
from conversion.modelling.artifact import library_versions
from conversion.modelling.families import make_model
from conversion.modelling.fits_folder import FOLDER, kept_fits
from conversion.modelling.kept_fits import KeptFits, fitted_or_kept
from conversion.runtime.errors import OutputError
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import invented
from tests.full_disk import full_disk
from tests.pipeline import small_params

GIVEN: dict[str, Any] = {
    "settings": ("code", {"max_depth": 3}, 7),
    "columns": np.arange(12.0).reshape(6, 2),
    "y": np.array([0, 1, 0, 1, 0, 1]),
    "weight": np.ones(6),
    "monotone": np.array([0, 1]),
}


class Counted:
    """A fit that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *arrays: np.ndarray) -> dict[str, float]:
        self.calls += 1
        return {"sum": float(sum(array.sum() for array in arrays))}


def flip(file: Path, place: int) -> None:
    """Change one bit of a file, as a disk may; the estimator may still be read, with another number."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.fixture
def memory(tmp_path: Path) -> KeptFits:
    return KeptFits(tmp_path)


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.fit"))


def test_a_fit_is_made_once(memory: KeptFits, tmp_path: Path) -> None:
    fit = Counted()
    first = fitted_or_kept(memory, fit, **GIVEN)
    again = fitted_or_kept(KeptFits(tmp_path), fit, **GIVEN)
    assert (fit.calls, first, again) == (1, {"sum": 76.0}, {"sum": 76.0})


def test_no_value_is_kept_beside_a_fit(memory: KeptFits, tmp_path: Path) -> None:
    columns = np.full((6, 2), 8141.375)  # 12 of them add up to 97,696.5
    fitted_or_kept(memory, Counted(), **GIVEN | {"columns": columns})
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(b"sum" in content for content in files)
    assert not any(b"8141" in content or columns[:1].tobytes() in content for content in files)


def test_without_a_memory_each_fit_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fit = Counted()
    assert fitted_or_kept(None, fit, **GIVEN) == fitted_or_kept(None, fit, **GIVEN)
    assert fit.calls == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        {"settings": ("other code", {"max_depth": 3}, 7)},
        {"settings": ("code", {"max_depth": 4}, 7)},
        {"settings": ("code", {"max_depth": 3}, 8)},
        {"columns": GIVEN["columns"] + np.eye(6, 2) * 1e-12},
        {"columns": GIVEN["columns"].astype(np.float32)},
        {"y": 1 - GIVEN["y"]},
        {"weight": np.full(6, 2.0)},
        {"monotone": np.array([0, -1])},
    ],
    ids=["code", "hyperparameter", "seed", "a last bit", "precision", "labels", "weights", "direction"],
)
def test_another_fit_is_made_anew(memory: KeptFits, other: dict[str, Any]) -> None:
    fit = Counted()
    fitted_or_kept(memory, fit, **GIVEN)
    fitted_or_kept(memory, fit, **GIVEN | other)
    assert fit.calls == 2


def test_other_libraries_fit_anew(memory: KeptFits, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Counted()
    fitted_or_kept(memory, fit, **GIVEN)
    monkeypatch.setattr(module, "library_versions", lambda: library_versions() | {"xgboost": "0.1"})
    fitted_or_kept(memory, fit, **GIVEN)
    assert fit.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda file: file.write_bytes(b"cut off"),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        *(partial(flip, place=place) for place in (0, 31, 32, 40, -20, -1)),
    ],
)
def test_a_damaged_fit_is_made_anew(
    memory: KeptFits, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    fit = Counted()
    first = fitted_or_kept(memory, fit, **GIVEN)
    (file,) = kept_files(tmp_path)
    damage(file)
    assert fitted_or_kept(memory, fit, **GIVEN) == first
    assert fit.calls == 2


@pytest.mark.parametrize("family", ["xgboost", "ensemble"])
def test_a_model_has_the_same_bytes_whether_its_fits_were_kept_or_not(family: str, tmp_path: Path) -> None:
    frame, label, as_of = invented(400)

    def model_bytes(memory: KeptFits | None) -> bytes:
        model = make_model(small_params(model__type=family), hubspot(), memory)
        file = tmp_path / "model.joblib"
        joblib.dump(model.fit_with_summary(frame, label, np.ones(len(label)), as_of), file)
        return file.read_bytes()

    folder = tmp_path / "fits"
    expected = model_bytes(None)
    assert not folder.exists()
    made, kept = (model_bytes(KeptFits(folder)) for _ in range(2))
    assert made == kept == expected
    assert len(kept_files(folder)) == 2  # the model's and that of the model of summaries


def test_the_ensemble_has_the_fits_of_its_members(tmp_path: Path) -> None:
    frame, label, as_of = invented(400)
    for family in ("ensemble", "xgboost"):
        model = make_model(small_params(model__type=family), hubspot(), KeptFits(tmp_path))
        model.fit(frame, label, np.ones(len(label)), as_of)
    assert len(kept_files(tmp_path)) == 1


@pytest.mark.parametrize("family", ["logistic_regression", "random_forest"])
def test_fits_of_other_families_are_not_kept(family: str, tmp_path: Path) -> None:
    """The regression's code is this project's; a forest read from bytes may be written with others."""
    frame, label, as_of = invented(400)
    params = small_params(model__type=family)
    make_model(params, hubspot(), KeptFits(tmp_path)).fit(frame, label, np.ones(len(label)), as_of)
    assert kept_files(tmp_path) == []


def test_only_stages_that_dvc_started_keep_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    assert kept_fits("train") is None
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("DVC_STAGE", "train")
    fitted_or_kept(kept_fits("train"), Counted(), **GIVEN)
    assert len(kept_files(FOLDER)) == 1


def test_a_file_in_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    FOLDER.parent.mkdir()
    FOLDER.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match=rf"{FOLDER} is not a folder; move it away"):
        fitted_or_kept(kept_fits("train"), Counted(), **GIVEN)


def test_the_fits_that_were_not_used_for_longest_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    fit = Counted()
    for seed in range(3):
        fitted_or_kept(kept_fits("train"), fit, **GIVEN | {"settings": (seed,)})
    whole = sum(file.stat().st_size for file in FOLDER.rglob("*"))
    monkeypatch.setattr(fits_folder, "MOST_BYTES", whole // 2)  # holds one, not two
    fitted_or_kept(kept_fits("train"), fit, **GIVEN | {"settings": (2,)})
    assert (len(kept_files(FOLDER)), fit.calls) == (1, 3)


def test_a_full_disk_is_one_message_and_leaves_no_half_of_a_fit(memory: KeptFits, tmp_path: Path) -> None:
    with full_disk(40), pytest.raises(OutputError, match=r"\.fit: cannot be written: File too large"):
        fitted_or_kept(memory, Counted(), **GIVEN)
    assert list(tmp_path.iterdir()) == []
