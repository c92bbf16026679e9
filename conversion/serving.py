"""What the service answers from: the model, the lead list and the settings, loaded once a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from conversion.artifact import load_model
from conversion.batches import BatchQueue
from conversion.contract import (
    AnyCompany,
    Companies,
    History,
    Prediction,
    RegisteredModel,
    Summary,
    companies_message,
)
from conversion.errors import ServiceError
from conversion.leads import LeadList, read_lead_list
from conversion.online import Predictor, make_predictor
from conversion.params import Params, Serve
from conversion.registered import RegisteredVersions, read_registered
from conversion.telemetry import Telemetry

SERVICE: Final = "conversion"
TOKEN: Final = "CONVERSION_API_TOKEN"  # noqa: S105 - the variable's name

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
        There is no model, or it is not what its description says; or the lead list or the list of registered
        versions is broken.
    """
    model, description = load_model()
    return Serving(
        predictor=make_predictor(model, description, params),
        model_type=description["model_type"],
        registered_model=registered_model_of(description["sha256"], read_registered(Path())),
        leads=read_lead_list(Path(), params.score.format),
        settings=params.serve,
        token=token,
        telemetry=Telemetry(SERVICE, version),
        record=record,
    )


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
