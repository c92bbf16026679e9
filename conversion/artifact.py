"""The model file and its description: save, verify, load."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import joblib

from conversion.errors import ArtifactError
from conversion.files import write_atomically, write_json

# What unpickling raises where classes or libraries are not those that the file was written with.
UNREADABLE: Final = (ImportError, AttributeError, TypeError, ValueError, KeyError, EOFError, UnpicklingError)


def sha256(path: str | Path) -> str:
    """Hash a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_versions() -> dict[str, str]:
    """List the versions of what a model file needs to be read."""
    versions = {"python": platform.python_version()}
    for library in ("joblib", "numpy", "pandas", "scikit-learn", "xgboost", "xgboost-cpu"):
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions


def save_model(model: object, description: dict[str, Any], folder: str | Path = "models") -> None:
    """Write ``model.joblib``, and beside it ``model.json`` with the description and the file's sha256.

    Parameters
    ----------
    model
        Any picklable object whose classes are importable.
    description
        JSON-ready; ``library_versions`` and ``sha256`` are added.
    folder
        Where the two files go.
    """
    path = Path(folder) / "model.joblib"
    write_atomically(path, lambda temporary: joblib.dump(model, temporary))
    versions = {"library_versions": library_versions(), "sha256": sha256(path)}
    write_json(path.with_suffix(".json"), description | versions)


def verify_model(folder: str | Path = "models") -> dict[str, Any]:
    """Check that a model's file is the one that its description describes, without unpickling it.

    Parameters
    ----------
    folder
        Holds ``model.joblib`` and ``model.json``.

    Returns
    -------
    dict
        The description.

    Raises
    ------
    ArtifactError
        A file is missing, or the model file is not the described one.
    """
    path = Path(folder) / "model.joblib"
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise ArtifactError(f"{file}: not found; run 'dvc repro train' to make it")
    try:
        description = dict(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{path.with_suffix('.json')}: not a model's description ({error}); run 'dvc repro train' again"
        ) from error
    found = sha256(path)
    if found != description.get("sha256"):
        raise ArtifactError(
            f"{path}: sha256 is {found}, but {path.with_suffix('.json')} says {description.get('sha256')}; "
            "the file was changed or belongs to another description: run 'dvc repro train' again"
        )
    return description


def load_model(folder: str | Path = "models") -> tuple[Any, dict[str, Any]]:
    """Read a model, after its file's sha256 is found to be the one in its description.

    Returns
    -------
    model, description

    Raises
    ------
    ArtifactError
        See `verify_model`; the file is not unpickled then. Or the installed libraries cannot read it.
    """
    description = verify_model(folder)
    path = Path(folder) / "model.joblib"
    try:
        return joblib.load(path), description
    except UNREADABLE as error:
        raise ArtifactError(
            f"{path}: cannot be read here ({type(error).__name__}: {error}); it was written with "
            f"{description.get('library_versions')}: install these, or run 'dvc repro -f train'"
        ) from error
