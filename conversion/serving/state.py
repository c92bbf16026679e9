"""What the service answers from: the model, the lead list and the settings, as one object."""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from conversion.config.params import Params, Serve
from conversion.delivery.leavers import Leaver, read_left
from conversion.delivery.publish import CURRENT, PUBLISHED, number_of
from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel
from conversion.modelling.registered_versions import PATH, RegisteredVersions, read_registered, registry_key
from conversion.pages.track_record import TrackRecord, read_track_record
from conversion.runtime.errors import ArtifactError
from conversion.runtime.seals import sha256_of
from conversion.scorecard.results import ScorecardResults, read_scorecard
from conversion.serving.contract_messages import Messages
from conversion.serving.lead_index import indexes_folder
from conversion.serving.lead_pages import LeadList, read_lead_list
from conversion.serving.limits import Limits
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


@dataclass(frozen=True, kw_only=True)
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
    delivery
        Number of the delivery that the list is of; None: it was not delivered.
    loaded
        When the files were read.
    scorecard
        What became of the lists that went out; None: it was not written.
    left
        Who left the call list since the delivery before; None: there was none, or the list was not delivered.
    """

    predictor: Predictor
    model_type: str
    registered_model: RegisteredModel | None
    leads: LeadList | None
    track_record: TrackRecord | None
    delivery: int | None
    loaded: dt.datetime
    scorecard: ScorecardResults | None = None
    left: tuple[Leaver, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceState(LoadedFiles):
    """What the routes answer from; a new list or model makes another, and requests end on theirs.

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
    limits
        Of the worker, whichever list it serves.
    """

    settings: Serve
    token: str | None
    telemetry: Telemetry
    log_predictions: WritePredictions | None
    limits: Limits

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
            delivery=self.delivery,
            loaded=self.loaded,
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
    def form(self) -> str:
        """What tells the form of the answers from that of another contract or version."""
        return sha256_of(self.document)

    @cached_property
    def company(self) -> BodyReader[Summary | History]:
        """Reads the body of ``POST /predict/single``: the whole is a union."""
        return BodyReader(self.messages.company, tag_depth=0)

    @cached_property
    def companies(self) -> BodyReader[Companies]:
        """Reads the body of ``POST /predict``: each ``companies[place]`` is a union."""
        batch = self.messages.companies(self.settings.max_companies)
        return BodyReader(TypeAdapter(batch), tag_depth=2)


def served_folder(root: Path) -> Path:
    """Return the folder that files are read from: the last delivery if there is one, else the project."""
    published = root / PUBLISHED / CURRENT
    if published.is_symlink():  # read once: all files are of the folder that it now leads to
        return published.parent / published.readlink()
    return published if published.is_dir() else root


def read_files(
    params: Params, environment: Mapping[str, str], known: Messages | None = None, root: Path = Path()
) -> LoadedFiles:
    """Read the model and the lead list.

    Parameters
    ----------
    params
        Of params.yaml.
    environment
        May name the model file that is allowed, the key that signs the registered versions, and the folder of
        indexes of large lists.
    known
        See `conversion.serving.predictor.make_predictor`.
    root
        The project's root.

    Raises
    ------
    ArtifactError
        There is no model, it differs from its description, it is not an allowed one, or it cannot predict; or
        the lead list or the list of registered versions is broken.
    """
    folder = served_folder(root)
    key = registry_key(environment)
    registered = read_registered(root, key)
    allowed = allowed_by(environment)
    if key is not None and registered is not None:
        allowed[PATH] = list(registered.versions)
    model, description = load_model(ConversionModel, folder / "models", allowed)
    with _whole_model(folder):
        predictor = make_predictor(model, description, params, known)
    indexes = indexes_folder(root, environment)
    leads = read_lead_list(folder, predictor.messages, indexes)
    if leads is not None:
        predictor = predictor.beside(leads.files.manifest.tier_cuts, leads.files.evidence)
    with _whole_model(folder):
        _predict_once(predictor)
    return LoadedFiles(
        predictor=predictor,
        model_type=description["model_type"],
        registered_model=registered_model_of(description["sha256"], registered),
        leads=leads,
        track_record=read_track_record(folder),
        delivery=number_of(folder),
        loaded=dt.datetime.now(dt.UTC).replace(microsecond=0),
        scorecard=read_scorecard(root),
        left=read_left(folder, model.data_contract),
    )


@contextmanager
def _whole_model(folder: Path) -> Iterator[None]:
    """Turn errors of an incomplete model, which would fail at each request, into one that says so."""
    try:
        yield
    except INCOMPLETE_MODEL as error:
        raise ArtifactError(
            f"{folder / 'models/model.joblib'}: its model does not answer ({type(error).__name__}: {error}); "
            "run 'dvc repro -f train' to train it again"
        ) from error


def _predict_once(predictor: Predictor) -> None:
    """Predict, so that an incomplete model is found, and no request waits for what is made once."""
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
        limits=Limits.of(params.serve),
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
