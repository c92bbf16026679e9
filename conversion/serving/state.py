"""What the service answers from: the model, the lead list and the settings, loaded once a worker."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from conversion.config.params import Params, Serve
from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.registered_versions import PATH, RegisteredVersions, read_registered, registry_key
from conversion.runtime.errors import ArtifactError, ServiceError
from conversion.serving.batch_queue import BatchQueue
from conversion.serving.lead_pages import LeadList, read_lead_list
from conversion.serving.messages import (
    AnyCompany,
    Companies,
    History,
    Prediction,
    RegisteredModel,
    ServedList,
    Summary,
    companies_message,
)
from conversion.serving.predictor import Predictor, make_predictor, predict
from conversion.serving.telemetry import Telemetry

SERVICE: Final = "conversion"
TOKEN: Final = "CONVERSION_API_TOKEN"  # noqa: S105 - the variable's name

NOTHING_KNOWN: Final = (Summary.model_validate({"id": 0}), History.model_validate({"id": 0, "usage": []}))
FAULTS: Final = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What a model raises that is not whole."""

log = logging.getLogger(__name__)

Record = Callable[[Sequence[Summary | History], Sequence[Prediction]], None]


@dataclass(frozen=True)
class Serving:
    """What the routes answer from, made once a worker.

    Attributes
    ----------
    predictor
        The loaded model.
    model_type
        Its family.
    registered_model
        Which registered version it is; None: it is none.
    leads
        The lead list; None where none was made.
    settings
        ``serve`` of params.yaml.
    token
        Bearer token that clients must send; None: none.
    telemetry
        Prometheus metrics.
    record
        Logs inputs and answers; None: they are not logged.
    """

    predictor: Predictor
    model_type: str
    registered_model: RegisteredModel | None
    leads: LeadList | None
    settings: Serve
    token: str | None
    telemetry: Telemetry
    record: Record | None

    @cached_property
    def served_list(self) -> ServedList | None:
        """Which lead list is served, and whether the served model scored it."""
        if self.leads is None:
            return None
        version = self.leads.model_version
        return ServedList(
            as_of=self.leads.as_of,
            model_version=version,
            of_served_model=version == self.predictor.version,
        )

    @cached_property
    def batches(self) -> BatchQueue:
        """Where batches wait."""
        return BatchQueue(2 * self.settings.max_body_bytes)

    @cached_property
    def company(self) -> TypeAdapter[Summary | History]:
        """Reads the body of ``POST /predict/single``."""
        return TypeAdapter(AnyCompany)

    @cached_property
    def companies(self) -> TypeAdapter[Companies]:
        """Reads the body of ``POST /predict``."""
        return TypeAdapter(companies_message(self.settings.max_companies))


@dataclass(frozen=True)
class Files:
    """What the service reads from files, each checked: see the attributes of `Serving`."""

    predictor: Predictor
    model_type: str
    registered_model: RegisteredModel | None
    leads: LeadList | None


def read_files(params: Params, environment: Mapping[str, str]) -> Files:
    """Read the model and the lead list from the working directory.

    Parameters
    ----------
    params
        Of params.yaml.
    environment
        May say which model file may be read, and with which key the registered ones are signed.

    Raises
    ------
    ArtifactError
        There is no model, it is not what its description says or not an allowed one, or it cannot answer; or
        the lead list or the list of registered versions is broken.
    """
    key = registry_key(environment)
    registered = read_registered(Path(), key)
    allowed = allowed_by(environment)
    if key is not None and registered is not None:
        allowed[PATH] = list(registered.versions)
    model, description = load_model(ConversionModel, allowed=allowed)
    return Files(
        predictor=checked_predictor(model, description, params),
        model_type=description["model_type"],
        registered_model=registered_model_of(description["sha256"], registered),
        leads=read_lead_list(Path(), params.score.format),
    )


def checked_predictor(model: ConversionModel, description: dict[str, Any], params: Params) -> Predictor:
    """Make the predictor, and see that it answers: a model that is not whole would fail at each request.

    Raises
    ------
    ArtifactError
        It does not, or its description lacks something or describes another model.
    """
    predictor = make_predictor(model, description, params)
    try:
        predict(predictor, NOTHING_KNOWN, ["", ""])
    except FAULTS as error:
        raise ArtifactError(
            f"models/model.joblib: its model does not answer ({type(error).__name__}: {error}); "
            "run 'dvc repro -f train' to make it anew"
        ) from error
    return predictor


def make_serving(params: Params, token: str | None, version: str, record: Record | None) -> Serving:
    """Load the model and the lead list from the working directory.

    Parameters
    ----------
    params
        Of params.yaml.
    token
        See `token_from`.
    version
        Of the bento, for metrics.
    record
        Logs inputs and answers; None: they are not logged.

    Raises
    ------
    ArtifactError
        See `read_files`.
    """
    files = read_files(params, os.environ)
    serving = Serving(
        predictor=files.predictor,
        model_type=files.model_type,
        registered_model=files.registered_model,
        leads=files.leads,
        settings=params.serve,
        token=token,
        telemetry=Telemetry(SERVICE, version),
        record=record,
    )
    listed = serving.served_list
    if listed is not None and not listed.of_served_model:
        log.warning(
            "the lead list is of another model than the one that predicts: run 'dvc repro'",
            extra={"list_as_of": listed.as_of, "list_model_version": listed.model_version},
        )
    return serving


def registered_model_of(sha256: str, registered: RegisteredVersions | None) -> RegisteredModel | None:
    """Find which registered version a model file is, by its sha256; None: it is none."""
    found = registered.versions.get(sha256) if registered else None
    if registered is None or found is None:
        return None
    return RegisteredModel(name=registered.model_name, version=found.version, aliases=found.aliases)


def token_from(environment: Mapping[str, str]) -> str | None:
    """Read the token that clients must send; None where none is set.

    Raises
    ------
    ServiceError
        It is set, but empty: everybody would be let in.
    """
    token = environment.get(TOKEN)
    if token is not None and not token.strip():
        raise ServiceError(f"{TOKEN}: set, but empty; give it a value, or unset it to serve without a token")
    return token
