"""Which model files are registered models, written from the registry for those that cannot ask it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import write_json
from conversion.runtime.seals import sealed, unsealed
from conversion.runtime.validation import first_fault

PATH: Final = "models/registered.json"
KEY: Final = "CONVERSION_REGISTRY_KEY"
"""Environment variable: what promoting signs the list with, and the service checks it by."""
LEAST_KEY: Final = 16


class RegisteredVersion(BaseModel):
    """One version of the registered model."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str = Field(min_length=1, description="as the registry numbers it")
    aliases: list[str] = Field(description="its names in the registry, such as champion; in order")
    run_id: str = Field(description="the tracked run that made it")


class RegisteredVersions(BaseModel):
    """All versions of the registered model, by the sha256 of their model file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model_name: str = Field(min_length=1, description="registry.model_name of params.yaml")
    versions: dict[str, RegisteredVersion]


def registry_key(environment: Mapping[str, str]) -> bytes | None:
    """Read the key that the list is signed with; None where none is set.

    Raises
    ------
    ArtifactError
        It is set, but too short to keep anybody out.
    """
    key = environment.get(KEY)
    if key is None:
        return None
    if len(key.strip()) < LEAST_KEY:
        raise ArtifactError(
            f"{KEY}: has {len(key.strip())} characters, should have at least {LEAST_KEY}; "
            "'openssl rand -hex 32' makes one; or unset it to do without signatures"
        )
    return key.strip().encode()


def write_registered(registered: RegisteredVersions, root: Path, key: bytes | None = None) -> None:
    """Write `PATH` under the project's root, with its own hash, and signed where there is a key."""
    write_json(root / PATH, sealed(registered.model_dump(mode="json"), key))


def read_registered(root: Path, key: bytes | None = None) -> RegisteredVersions | None:
    """Read `PATH` under the project's root.

    Parameters
    ----------
    root
        The project's root.
    key
        With which the list has to be signed; None: it need not be.

    Returns
    -------
    RegisteredVersions, or None where no model was ever registered

    Raises
    ------
    ArtifactError
        It is not what `write_registered` writes; or there is a key and no list, or none signed with it.
    """
    path = root / PATH
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if key is None:
            return None
        raise ArtifactError(
            f"{path}: not found, but {KEY} is set, so only registered models are served; run "
            "'python -m commands.promote' with that key"
        ) from error
    try:
        found = json.loads(content)
    except ValueError as error:
        raise _broken(path, str(error)) from error
    registered = unsealed(found, str(path), "run 'python -m commands.promote' to write it again", key)
    try:
        return RegisteredVersions.model_validate(registered)
    except ValidationError as error:
        raise _broken(path, first_fault(error)) from error


def _broken(path: Path, what: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: not a list of registered versions ({what}); run 'python -m commands.promote' to write "
        "it again, or remove it to serve without naming a registered version"
    )
