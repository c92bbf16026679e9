"""The model file and its description: save, verify, load."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import Any, Final

import joblib

from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import sha256, write_atomically, write_json
from conversion.runtime.seals import sha256_of

EXPECTED: Final = "CONVERSION_MODEL_SHA256"
"""Environment variable: the sha256 of the one model file that may be read."""
# What unpickling raises where classes or libraries are not those that the file was written with.
UNREADABLE: Final = (ImportError, AttributeError, TypeError, ValueError, KeyError, EOFError, UnpicklingError)


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


def allowed_by(environment: Mapping[str, str]) -> dict[str, Collection[str]]:
    """Read which model file alone may be loaded, for `load_model`; empty where nothing is set.

    Raises
    ------
    ArtifactError
        It is set, but no sha256.
    """
    given = environment.get(EXPECTED)
    if given is None:
        return {}
    if not re.fullmatch(r"[0-9a-f]{64}", given.strip().lower()):
        raise ArtifactError(
            f"{EXPECTED}: given {given!r}, should be the 64 hexadecimal digits of the model file's sha256, "
            "which 'python -m commands.promote' prints; or unset it to load whatever model is there"
        )
    return {EXPECTED: [given.strip().lower()]}


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
    return _read_verified(Path(folder) / "model.joblib", {})[1]


def load_model(
    kind: type, folder: str | Path = "models", allowed: Mapping[str, Collection[str]] = MappingProxyType({})
) -> tuple[Any, dict[str, Any]]:
    """Read a model, after its file's sha256 is found to be the one in its description.

    What is unpickled are the bytes that were hashed: the file is read once.

    Parameters
    ----------
    kind
        What the file has to hold.
    folder
        Holds ``model.joblib`` and ``model.json``.
    allowed
        By who says so, the sha256 of the files that may be loaded, whatever the description says.

    Returns
    -------
    model, description

    Raises
    ------
    ArtifactError
        See `verify_model`; the file is not unpickled then. Or the installed libraries cannot read it, or it
        holds something else.
    """
    path = Path(folder) / "model.joblib"
    content, description = _read_verified(path, allowed)
    try:
        model = joblib.load(BytesIO(content))
    except UNREADABLE as error:
        raise ArtifactError(
            f"{path}: cannot be read here ({type(error).__name__}: {error}); it was written with "
            f"{description.get('library_versions')}: install these, or run 'dvc repro -f train'"
        ) from error
    if not isinstance(model, kind):
        raise ArtifactError(
            f"{path}: holds a {type(model).__qualname__}, should be a {kind.__qualname__}; "
            "run 'dvc repro -f train' to train it again"
        )
    return model, description


def _read_verified(path: Path, allowed: Mapping[str, Collection[str]]) -> tuple[bytes, dict[str, Any]]:
    """Read a model file and its description; see `verify_model`."""
    described = path.with_suffix(".json")
    contents = {}
    for file in (path, described):
        try:
            contents[file] = file.read_bytes()
        except FileNotFoundError as error:
            raise ArtifactError(f"{file}: not found; run 'dvc repro train' to make it") from error
        except OSError as error:
            reason = f"cannot be read: {error.strerror}; see to its permissions"
            raise ArtifactError(f"{file}: {reason}") from error
    try:
        description = dict(json.loads(contents[described]))
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"{described}: not a model's description ({error}); run 'dvc repro train' again"
        ) from error
    found = sha256_of(contents[path])
    if found != description.get("sha256"):
        raise ArtifactError(
            f"{path}: sha256 is {found}, but {described} says {description.get('sha256')}; "
            "the file was changed or belongs to another description: run 'dvc repro train' again"
        )
    for who, hashes in allowed.items():
        if found not in hashes:
            raise ArtifactError(
                f"{path}: sha256 is {found}, but {who} allows {', '.join(hashes) or 'none'}; put an allowed "
                "model here, or promote this one"
            )
    return contents[path], description
