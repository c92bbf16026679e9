"""The part of ``models/model.json`` that answers depend on."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from conversion.runtime.errors import ArtifactError


class Read(BaseModel):
    """What is read strictly; other keys do not matter."""

    model_config = ConfigDict(strict=True)


class Featurized(Read):
    """What the features of the model depend on."""

    windows: tuple[PositiveInt, ...] = Field(min_length=1)
    half_lives: tuple[PositiveInt, ...]


class MadeWith(Read):
    """The params that the model was made with."""

    featurize: Featurized


class ModelDescription(Read):
    """What the file says of the model."""

    sha256: str
    model_type: str
    trained_as_of: dt.date
    features: dict[str, str]
    params: MadeWith


def read_description(description: dict[str, Any]) -> ModelDescription:
    """Check what the file says.

    Raises
    ------
    ArtifactError
        The description lacks something.
    """
    try:
        return ModelDescription.model_validate_json(json.dumps(description))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise ArtifactError(
            f"models/model.json: {where}: {fault['msg'].lower()}; run 'dvc repro -f train' to train it again"
        ) from error
