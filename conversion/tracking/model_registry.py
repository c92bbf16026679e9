"""The model registry: tracked runs, and which of their models are registered."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from conversion.evaluation.comparison import NEEDED
from conversion.modelling.registered_versions import RegisteredVersion, RegisteredVersions
from conversion.runtime.errors import TrackingError
from conversion.runtime.files import verified_parquet
from conversion.tracking.mlflow_runs import Store, asking, finished_runs, first_line, is_deleted, run_with_id
from conversion.tracking.run_record import PREDICTIONS, SHA256_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION: Final = "champion"
NAMES: Final = ("tags.dvc_exp_name", "attributes.run_name")
"""The tags that may name a run, besides its id."""
LISTED: Final = 5  # runs of one name


@dataclass(frozen=True)
class TrackedRun:
    """A run and the model that it logged.

    Attributes
    ----------
    run_id
        Of the run.
    model_id
        Of its logged model.
    model_sha256
        Of its model file.
    git_commit
        That it was made with; empty where there was none.
    """

    run_id: str
    model_id: str
    model_sha256: str
    git_commit: str


@dataclass(frozen=True)
class Champion:
    """The registered version that candidates are compared with."""

    version: str
    run_id: str
    model_sha256: str


def tracked_run(store: Store, name: str) -> TrackedRun:
    """Find a run by its id, its name or the name of its DVC experiment.

    Raises
    ------
    TrackingError
        There is no such run, there are several, it was deleted, or it has no model.
    """
    run = run_with_id(store, name) or _run_named(store, name)
    run_id = run.info.run_id
    if is_deleted(run.info):
        raise TrackingError(_deleted(store, run))
    models = run.outputs.model_outputs if run.outputs else []
    sha256 = run.data.tags.get(SHA256_TAG)
    if not models or not sha256:
        raise TrackingError(
            f"run {run_id}: it has no logged model or no tag {SHA256_TAG}: it was not made by 'dvc repro' "
            "or was cut short; take another run"
        )
    return TrackedRun(run_id, models[-1].model_id, sha256, run.data.tags.get("git_commit", ""))


def _run_named(store: Store, name: str) -> Run:
    """Find the run with a name: the latest of several with the same model, a deleted one only if alone."""
    named = [f"{attribute} = {_quoted(name)}" for attribute in NAMES]
    found: dict[str, Run] = {}
    for deleted_too in (False, True):
        if not found:
            runs = (run for condition in named for run in finished_runs(store, condition, deleted_too))
            found = {run.info.run_id: run for run in runs}
    if not found:
        raise TrackingError(
            f"run {name}: not found: neither the id nor the name of a finished run, nor of a DVC experiment "
            "that was tracked; 'mlflow ui' and 'dvc exp show' list what there is"
        )
    latest = sorted(found.values(), key=lambda run: run.info.start_time, reverse=True)
    if len({run.data.tags.get(SHA256_TAG) for run in latest}) > 1:
        listed = "; ".join(f"{run.info.run_id} of {_day(run)}" for run in latest[:LISTED])
        raise TrackingError(
            f"run {name}: {len(latest)} runs with different models have this name; name one by its id: "
            f"{listed}"
        )
    return latest[0]


def _quoted(text: str) -> str:
    """Quote a text for a query, whose syntax cannot escape a quote."""
    for quote in ("'", '"'):
        if quote not in text:
            return f"{quote}{text}{quote}"
    raise TrackingError(f"run {text}: not found: a name with both kinds of quotes; name the run by its id")


def _day(run: Run) -> str:
    return dt.datetime.fromtimestamp(run.info.start_time / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _deleted(store: Store, run: Run) -> str:
    """Describe how to restore a deleted run; those of a deleted experiment are restored with it."""
    with asking(f"run {run.info.run_id}"):
        experiment = store.get_experiment(run.info.experiment_id)
    if is_deleted(experiment):
        what = f"with its experiment {experiment.name}"
        remedy = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
    else:
        what, remedy = "in MLflow", f"mlflow runs restore --run-id {run.info.run_id}"
    return f"run {run.info.run_id}: it was deleted {what}: bring it back with '{remedy}', or take another run"


def run_of_model(store: Store, sha256: str) -> TrackedRun:
    """Find the latest run that tracked a model file.

    Raises
    ------
    TrackingError
        None did.
    """
    condition = f"tags.{SHA256_TAG} = '{sha256}'"
    for found in (finished_runs(store, condition), finished_runs(store, condition, deleted_too=True)):
        if found:
            return tracked_run(store, found[0].info.run_id)
    raise TrackingError(
        f"no run has tracked the model file with sha256 {sha256}; run 'dvc repro --single-item --force "
        "track' with tracking.enabled, or name a run by --run"
    )


def read_predictions(store: Store, run_id: str) -> pd.DataFrame:
    """Read the columns of a run's backtest that `conversion.evaluation.comparison.compare` needs.

    Raises
    ------
    TrackingError
        The run has none.
    """
    what = f"run {run_id}: its {PREDICTIONS}"
    with tempfile.TemporaryDirectory() as folder:
        with asking(what):
            path = store.download_artifacts(run_id, PREDICTIONS, folder)
        try:
            return verified_parquet(path, NEEDED)
        except (OSError, ValueError) as error:  # damaged, no Parquet, or other columns
            raise TrackingError(f"{what} is not a backtest: {first_line(error)}") from error


def champion_of(store: Store, model_name: str) -> Champion | None:
    """Return the registered model's champion, None if there is no such model or alias.

    Raises
    ------
    TrackingError
        The registry does not answer.
    """
    version = _aliases(store, model_name).get(CHAMPION)
    if version is None:
        return None
    with asking(f"registered model {model_name}"):
        found = store.get_model_version(model_name, version)
    return Champion(str(found.version), found.run_id or "", _sha256_of(store, found))


def register(store: Store, model_name: str, run: TrackedRun, tags: Mapping[str, str]) -> str:
    """Make a run's model the registered model's champion.

    Parameters
    ----------
    store
        From `open_store`.
    model_name
        Of the registered model; it is made if there is none.
    run
        Its model becomes a new version, or is one already.
    tags
        Of the version, beside the run's own.

    Returns
    -------
    str
        The version.

    Raises
    ------
    TrackingError
        The registry did not take it.
    """
    known = {SHA256_TAG: run.model_sha256, "git_commit": run.git_commit, "run_id": run.run_id}
    known |= tags
    with asking(f"registered model {model_name}"):
        version = _version_of_run(store, model_name, run.run_id)
        if version is None:
            _make_registered_model(store, model_name)
            source = f"models:/{run.model_id}"
            version = store.create_model_version(
                model_name, source, run.run_id, tags=known, model_id=run.model_id
            )
        else:
            for stale in set(version.tags) - set(known):
                store.delete_model_version_tag(model_name, version.version, stale)
            for key, value in known.items():
                store.set_model_version_tag(model_name, version.version, key, value)
        store.set_registered_model_alias(model_name, CHAMPION, version.version)
    return str(version.version)


def registered_versions(store: Store, model_name: str) -> RegisteredVersions:
    """List the registered model's versions by the sha256 of their model file.

    Of several with one file, one with an alias is listed before one without, then the latest.

    Raises
    ------
    TrackingError
        The registry does not answer.
    """
    aliases: dict[str, list[str]] = {}
    for alias, version in sorted(_aliases(store, model_name).items()):
        aliases.setdefault(version, []).append(alias)
    listed = [
        (
            _sha256_of(store, found),
            RegisteredVersion(
                version=str(found.version),
                aliases=aliases.get(str(found.version), []),
                run_id=found.run_id or "",
            ),
        )
        for found in _versions(store, model_name)
    ]
    listed.sort(key=lambda item: (bool(item[1].aliases), int(item[1].version)))
    return RegisteredVersions(
        model_name=model_name, versions={sha256: version for sha256, version in listed if sha256}
    )


def _aliases(store: Store, model_name: str) -> dict[str, str]:
    """Return the version of each alias, which a list of versions does not contain."""
    with asking(f"registered model {model_name}"):
        if not store.search_registered_models(f"name = '{model_name}'"):
            return {}
        aliases = store.get_registered_model(model_name).aliases
    return {alias: str(version) for alias, version in aliases.items()}


def _versions(store: Store, model_name: str) -> Iterator[ModelVersion]:
    token: str | None = None
    while token != "":
        with asking(f"registered model {model_name}"):
            page = store.search_model_versions(f"name = '{model_name}'", page_token=token)
        yield from page
        token = page.token or ""


def _version_of_run(store: Store, model_name: str, run_id: str) -> ModelVersion | None:
    found = [version for version in _versions(store, model_name) if version.run_id == run_id]
    return max(found, key=lambda version: int(version.version), default=None)


def _make_registered_model(store: Store, model_name: str) -> None:
    if not store.search_registered_models(f"name = '{model_name}'"):
        store.create_registered_model(model_name)


def _sha256_of(store: Store, version: ModelVersion) -> str:
    """Read the hash from the version, or from its run if someone else registered it; empty if unknown."""
    if SHA256_TAG in version.tags:
        return str(version.tags[SHA256_TAG])
    if not version.run_id:
        return ""
    with asking(f"run {version.run_id} of version {version.version}"):
        return str(store.get_run(version.run_id).data.tags.get(SHA256_TAG, ""))
