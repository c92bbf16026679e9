"""What the service answers from: the model, the lead list and the settings. A worker loads them once."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from conversion.config.params import Params, Serve
from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.registered_versions import PATH, RegisteredVersions, read_registered, registry_key
from conversion.pages.track_record import TrackRecord, read_track_record
from conversion.runtime.errors import ArtifactError
from conversion.serving.batch_queue import BatchQueue
from conversion.serving.contract_messages import Messages
from conversion.serving.lead_pages import LeadList, read_lead_list
from conversion.serving.login import Sessions
from conversion.serving.messages import Companies, History, RegisteredModel, ServedList, Summary
from conversion.serving.openapi import openapi_document
from conversion.serving.prediction_log import WritePredictions
from conversion.serving.predictor import Predictor, make_predictor, predict
from conversion.serving.request_body import BodyReader
from conversion.serving.telemetry import Telemetry

SERVICE: Final = "conversion"

INCOMPLETE_MODEL: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""Errors that an incomplete model raises when it predicts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedFiles:
    """What the service reads from files, each one checked.

    Attributes
    ----------
    predictor
        The loaded model.
    model_type
        Its family.
    registered_model
        The registered version that the model file is; None: it is not registered.
    leads
        The lead list; None: there is none.
    track_record
        What the backtest says of the model; None: it was not written.
    """

    predictor: Predictor
    model_type: str
    registered_model: RegisteredModel | None
    leads: LeadList | None
    track_record: TrackRecord | None


@dataclass(frozen=True)
class ServiceState(LoadedFiles):
    """What the routes answer from, made once in each worker.

    Attributes
    ----------
    settings
        ``serve`` of params.yaml.
    token
        Bearer token that clients must send; None: they need none.
    telemetry
        Prometheus metrics.
    log_predictions
        Logs inputs and answers; None: they are not logged.
    """

    settings: Serve
    token: str | None
    telemetry: Telemetry
    log_predictions: WritePredictions | None

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
    def sessions(self) -> Sessions | None:
        """What knows the token and the cookies of logins; None: clients need no token."""
        return None if self.token is None else Sessions(self.token)

    @property
    def messages(self) -> Messages:
        """The messages of the served model's contract."""
        return self.predictor.messages

    @cached_property
    def document(self) -> bytes:
        """The OpenAPI document."""
        return openapi_document(self.messages, self.settings.max_companies, self.settings.root_path)

    @cached_property
    def batches(self) -> BatchQueue:
        """The queue of the batches that wait for an answer."""
        return BatchQueue(2 * self.settings.max_body_bytes)

    @cached_property
    def company(self) -> BodyReader[Summary | History]:
        """Reads the body of ``POST /predict/single``: the whole is a union."""
        return BodyReader(self.messages.company, tag_depth=0)

    @cached_property
    def companies(self) -> BodyReader[Companies]:
        """Reads the body of ``POST /predict``: each ``companies[place]`` is a union."""
        batch = self.messages.companies(self.settings.max_companies)
        return BodyReader(TypeAdapter(batch), tag_depth=2)


def read_files(params: Params, environment: Mapping[str, str]) -> LoadedFiles:
    """Read the model and the lead list from the working directory.

    Parameters
    ----------
    params
        Of params.yaml.
    environment
        May name the model file that is allowed, and the key that signs the registered versions.

    Raises
    ------
    ArtifactError
        There is no model, it differs from its description, it is not an allowed one, or it cannot predict; or
        the lead list or the list of registered versions is broken.
    """
    key = registry_key(environment)
    registered = read_registered(Path(), key)
    allowed = allowed_by(environment)
    if key is not None and registered is not None:
        allowed[PATH] = list(registered.versions)
    model, description = load_model(ConversionModel, allowed=allowed)
    predictor = checked_predictor(model, description, params)
    leads = read_lead_list(Path(), params.score.format, predictor.messages)
    if leads is not None:
        predictor = predictor.beside(leads.files.manifest.tier_cuts, leads.files.evidence)
        _predict_once(predictor)  # so that the first request does not wait for what is made once
    return LoadedFiles(
        predictor=predictor,
        model_type=description["model_type"],
        registered_model=registered_model_of(description["sha256"], registered),
        leads=leads,
        track_record=read_track_record(Path()),
    )


def checked_predictor(model: ConversionModel, description: dict[str, Any], params: Params) -> Predictor:
    """Make the predictor and let it predict once: an incomplete model would fail at each request.

    Raises
    ------
    ArtifactError
        The model cannot predict, or its description is incomplete or describes another model.
    """
    try:
        predictor = make_predictor(model, description, params)
        _predict_once(predictor)
    except INCOMPLETE_MODEL as error:
        raise ArtifactError(
            f"models/model.joblib: its model does not answer ({type(error).__name__}: {error}); "
            "run 'dvc repro -f train' to train it again"
        ) from error
    return predictor


def _predict_once(predictor: Predictor) -> None:
    messages = predictor.messages
    company: dict[str, Any] = {"id": 0 if messages.contract.companies.ids == "whole" else "0"}
    nothing_known = (messages.summary(**company), messages.history(**company, usage=[]))
    predict(predictor, nothing_known, ["", ""])


def make_state(
    params: Params, token: str | None, version: str, log_predictions: WritePredictions | None
) -> ServiceState:
    """Load the model and the lead list from the working directory.

    Parameters
    ----------
    params
        Of params.yaml.
    token
        See `conversion.serving.middleware.token_from`.
    version
        Of the bento, for metrics.
    log_predictions
        Logs inputs and answers; None: they are not logged.

    Raises
    ------
    ArtifactError
        See `read_files`.
    """
    state = ServiceState(
        **vars(read_files(params, os.environ)),
        settings=params.serve,
        token=token,
        telemetry=Telemetry(SERVICE, version),
        log_predictions=log_predictions,
    )
    served = state.served_list
    if served is not None and not served.of_served_model:
        log.warning(
            "the lead list is of another model than the one that predicts: run 'dvc repro'",
            extra={"list_as_of": served.as_of, "list_model_version": served.model_version},
        )
    return state


def registered_model_of(sha256: str, registered: RegisteredVersions | None) -> RegisteredModel | None:
    """Find the registered version of a model file by its sha256; None: there is none."""
    found = registered.versions.get(sha256) if registered else None
    if registered is None or found is None:
        return None
    return RegisteredModel(name=registered.model_name, version=found.version, aliases=found.aliases)
