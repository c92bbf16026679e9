"""Which model files are registered models, written from the registry for those that cannot ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conversion.errors import ArtifactError
from conversion.files import write_json

PATH: Final = "models/registered.json"


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


def write_registered(registered: RegisteredVersions, root: Path) -> None:
    """Write `PATH` under the project's root."""
    write_json(root / PATH, registered.model_dump(mode="json"))


def read_registered(root: Path) -> RegisteredVersions | None:
    """Read `PATH` under the project's root; None where no model was ever registered.

    Raises
    ------
    ArtifactError
        It is not what `write_registered` writes.
    """
    path = root / PATH
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return RegisteredVersions.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        what = f"{where}: {fault['msg']}" if where else fault["msg"]
        raise ArtifactError(
            f"{path}: not a list of registered versions ({what}); run 'python -m commands.promote' to write "
            "it anew, or remove it to serve without naming a registered version"
        ) from error
