"""The BentoML service: loads the model, and puts the HTTP contract in front of BentoML's own routes.

The two predictions are BentoML API methods, so that its client, its schema and other services know them.
Over HTTP `conversion.serving.routes` answers these two routes, with the same pydantic models and the same
`conversion.serving.predictor.predict`: BentoML's own endpoints send errors that its OpenAPI document does
not describe, answer some bad numbers with 500, limit no body's size, and take about twice as long.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

import bentoml
from bentoml.exceptions import BentoMLException, InvalidArgument
from bentoml.images import Image
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from starlette.types import ASGIApp, Receive, Scope, Send
from threadpoolctl import threadpool_limits

from conversion.config.params_file import load_params
from conversion.modelling.artifact import allowed_by, load_model
from conversion.modelling.model import ConversionModel
from conversion.runtime.errors import UserError
from conversion.runtime.logs import log_format, set_up_service_logs
from conversion.serving import messages
from conversion.serving.connections import use_bounded_connections
from conversion.serving.contract_messages import Messages, build_messages
from conversion.serving.memory import keep_what_is_loaded, use_little_memory
from conversion.serving.messages import History, Summary
from conversion.serving.middleware import token_from
from conversion.serving.prediction_log import PredictionLog
from conversion.serving.predictor import predict
from conversion.serving.refusals import RefusalError
from conversion.serving.reload import Watcher, looks_of
from conversion.serving.request_arrays import places_of
from conversion.serving.routes import REQUEST_SECONDS, http_api
from conversion.serving.state import SERVICE, ServiceState, make_state, read_files

LOG_FOLDER: Final = "logs"
LOG_CONFIG: Final = Path(__file__).with_name("prediction_log.yaml")
LOGGED: Final = {
    "conversion_probability": "numerical",
    "prediction": "numerical",
    "tier": "categorical",
    "basis": "categorical",
    "model_version": "categorical",
}


class _OfTheModel:
    """Reads a company by the contract of the model, which is not there yet when this module is imported.

    Its schema is a union by ``oneOf``. BentoML reads only the first member of ``anyOf``: its client would
    send the fields of a summary, so no usage, and ``bentoml build`` would fail.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Leave the reading to the messages of the contract."""
        return core_schema.no_info_plain_validator_function(
            lambda value: served_messages().company.validate_python(value)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the two models of the contract."""
        described = handler(served_messages().company.core_schema)
        return {"oneOf": described["anyOf"]} if "anyOf" in described else described


class _IdOfTheModel:
    """Describes an id as that of the model's contract; see `_OfTheModel`."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe a whole number or text."""
        whole = served_messages().contract.companies.ids == "whole"
        return {"type": "integer" if whole else "string"}


class Prediction(messages.Prediction):  # noqa: D101 - as its base has it
    __doc__ = messages.Prediction.__doc__

    company_id: Annotated[int | str, _IdOfTheModel()] = Field(description="the id that was sent")


class Predictions(messages.Predictions):  # noqa: D101 - as its base has it
    __doc__ = messages.Predictions.__doc__

    predictions: list[Prediction]  # type: ignore[assignment]  # of a subclass


OneCompany = Annotated[Summary | History, _OfTheModel()]


def served_messages() -> Messages:
    """Return the messages of this worker's service; elsewhere, as in `bentoml build`, of the model here.

    Raises
    ------
    ArtifactError
        There is no model, or it cannot be read.
    """
    try:
        service: ConversionService = bentoml.get_current_service()
    except BentoMLException:
        return _messages_in(Path.cwd())
    return service.state.messages


@lru_cache
def _messages_in(folder: Path) -> Messages:
    model, _ = load_model(ConversionModel, folder / "models", allowed_by(os.environ))
    return build_messages(model.data_contract)


class ContractMiddleware:
    """Answers the contract's routes before BentoML sees a request, from what is served when it comes.

    Parameters
    ----------
    app
        BentoML's app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.bentoml_app = app
        self.contract: ASGIApp | None = None
        self.state: ServiceState | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP request; BentoML handles the rest (start-up, shutdown)."""
        if scope["type"] != "http":
            return await self.bentoml_app(scope, receive, send)
        state = bentoml.get_current_service().state  # BentoML makes the worker's service after the app
        if self.contract is None or state is not self.state:
            self.contract, self.state = http_api(state, self.bentoml_app), state
        return await self.contract(scope, receive, send)


class BentoImage(Image):  # type: ignore[misc]  # BentoML's types are not exported
    """The bento's image; ``bentoml build`` freezes it once the bento's files are laid out.

    If DVC links its cache (``cache.type``), BentoML lays out links too. Copies replace them here:
    with links the bento would need the cache, and would not work on another machine.
    """

    def freeze(self, bento_fs: Path, *arguments: Any, **options: Any) -> Any:
        """Replace links by copies, then do what BentoML does."""
        copy_links(bento_fs / "src")
        # BentoML adds its own commands once for each command of bentofile.yaml.
        self.commands: list[str] = list(dict.fromkeys(self.commands))
        return super().freeze(bento_fs, *arguments, **options)


def copy_links(folder: Path) -> None:
    """Replace each link to a file by a copy.

    Raises
    ------
    BentoMLException
        The target of a link does not exist.
    """
    for link in sorted(path for path in folder.rglob("*") if path.is_symlink()):
        target = link.resolve()
        if not target.is_file():
            raise BentoMLException(
                f"{link.relative_to(folder)}: is a link to {target}, which is not there; run 'dvc checkout' "
                "and build again"
            )
        link.unlink()
        shutil.copyfile(target, link)


@bentoml.service(
    name=SERVICE,
    image=BentoImage(python_version="3.11"),
    http={"host": "127.0.0.1", "port": 8000},
    traffic={"timeout": REQUEST_SECONDS},
    # Without an exporter nobody collects the spans, and each is kept until its request's timeout: they took a
    # third of a request's time, and made garbage collections stop the service for 0.1 s and more.
    tracing={"excluded_urls": ".*"},
    metrics={"enabled": False},  # see conversion.serving.telemetry
    # BentoML's access log fails, and the answer with it, on a Content-Type that is not UTF-8.
    logging={"access": {"request_content_type": False}},
)
class ConversionService:
    """Predicts which free-tier companies convert to paying, and why."""

    def __init__(self) -> None:
        use_little_memory()
        # Sums that are split over threads differ in the last bits; requests run in parallel instead.
        threadpool_limits(limits=1)
        set_up_service_logs(SERVICE)
        params = load_params()
        prediction_log = PredictionLog(write_predictions) if params.serve.log_predictions else None
        version = bentoml.server_context.bento_version
        seen = looks_of(Path())
        self.state = make_state(params, token_from(os.environ), version, prediction_log)
        keep_what_is_loaded()
        if params.serve.reload_seconds:
            Watcher(self, seen, os.environ).start(params.serve.reload_seconds)

    @bentoml.on_deployment
    @staticmethod
    def check() -> None:
        """Refuse to start, before any worker starts, if a file or a setting is broken."""
        try:
            # Workers run in the bento's folder, this check in the folder of the command.
            folder: str = ConversionService.working_dir  # type: ignore[attr-defined]  # it is a Service
            with contextlib.chdir(folder):
                read_files(load_params(), os.environ)
            token_from(os.environ)
            log_format()
        except UserError as error:
            raise BentoMLException(str(error)) from error

    @bentoml.api(route="/predict/single")
    def predict_single(self, company: OneCompany, /) -> Prediction:
        """Predict one company."""
        (answer,) = self._predicted([company], [""])
        return answer  # type: ignore[no-any-return]

    @bentoml.api(route="/predict")
    def predict(self, companies: list[OneCompany]) -> Predictions:
        """Predict companies, in the order given."""
        predictions = self._predicted(companies, places_of(companies))
        made: Any = self.state.messages.predictions
        return made(predictions=predictions, model_version=self.state.predictor.version)  # type: ignore[no-any-return]

    def _predicted(self, companies: Sequence[Summary | History], where: Sequence[str]) -> Any:
        """Predict companies; the answers are of the contract, which `Prediction` describes to BentoML."""
        try:
            return predict(self.state.predictor, companies, where)
        except RefusalError as error:
            raise InvalidArgument(str(error)) from error


ConversionService.add_asgi_middleware(ContractMiddleware)  # type: ignore[attr-defined]  # it is a Service
# Before a worker makes its server, right after it has imported this module.
use_bounded_connections()


def write_predictions(
    companies: Sequence[Summary | History], predictions: Sequence[messages.Prediction]
) -> None:
    """Write inputs and answers as JSON lines to logs/, through BentoML's monitoring."""
    options = {"log_path": LOG_FOLDER, "log_config_file": str(LOG_CONFIG)}
    with bentoml.monitor("predictions", monitor_class="default", monitor_options=options) as monitor:
        inputs = [company.model_dump(mode="json") for company in companies]
        monitor.log_batch(inputs, name="input", role="feature", data_type="categorical")
        for name, kind in LOGGED.items():
            values = [getattr(prediction, name) for prediction in predictions]
            monitor.log_batch(values, name=name, role="prediction", data_type=kind)
