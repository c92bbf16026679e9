"""Notice a new list or model, read it beside the one that is served, and replace that at once.

Each worker looks by itself, on a thread: at the names, sizes and times of the files only. Files that changed
are read once they have been the same for two looks, and verified as at the start. What is broken is refused
with one line in the log, and the worker goes on with what it has.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from conversion.config.params_file import load_params
from conversion.delivery.leavers import FILE as LEFT
from conversion.leads.lead_files import FOLDER
from conversion.modelling.registered_versions import PATH as REGISTERED
from conversion.pages.track_record import PATH as TRACK_RECORD
from conversion.runtime.errors import ArtifactError, UserError
from conversion.scorecard.results import PATH as SCORECARD
from conversion.serving.memory import keep_what_is_loaded
from conversion.serving.state import ServiceState, read_files, served_folder

MODELS: Final = "models"

Looks = tuple[tuple[str, int, int, int], ...]
"""Path, size, time of change and inode of each file."""

log = logging.getLogger(__name__)


class HasState(Protocol):
    """What a worker serves; who answers a request reads it once."""

    state: ServiceState


def looks_of(root: Path) -> Looks:
    """Return what the files that are served look like from outside."""
    return tuple(sorted(_looks(root)))


def _looks(root: Path) -> Iterator[tuple[str, int, int, int]]:
    folder = served_folder(root)
    for part in (folder / MODELS, folder / FOLDER):
        try:
            found = list(os.scandir(part))
        except (FileNotFoundError, NotADirectoryError):
            continue
        yield from (_look(entry.path) for entry in found)
    yield from (
        _look(path) for path in (folder / TRACK_RECORD, folder / LEFT, root / REGISTERED, root / SCORECARD)
    )


def _look(path: str | Path) -> tuple[str, int, int, int]:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return str(path), -1, 0, 0
    return str(path), status.st_size, status.st_mtime_ns, status.st_ino


class Watcher:
    """Replaces the state of a worker when its files have changed.

    Parameters
    ----------
    worker
        Whose state is replaced.
    seen
        What the files looked like before the state was read.
    environment
        See `conversion.serving.state.read_files`.
    root
        The project's root.
    """

    def __init__(
        self, worker: HasState, seen: Looks, environment: Mapping[str, str], root: Path = Path()
    ) -> None:
        self.worker = worker
        self._environment = environment
        self._root = root
        self._last = self._seen = seen
        self._said = ""
        self._stopped = threading.Event()

    def start(self, seconds: float) -> None:
        """Look every so many seconds on a thread, until `stop` or the end of the process."""
        threading.Thread(target=self._run, args=(seconds,), name="reload", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self, seconds: float) -> None:
        while not self._stopped.wait(seconds):
            try:
                self.look()
            except Exception:
                # Of no other thread's concern, and the next look may find other files.
                log.exception("cannot look for a new list or model")

    def look(self) -> bool:
        """Look once; return whether the state was replaced."""
        found = looks_of(self._root)
        is_written = found == self._last
        self._last = found
        if found == self._seen or not is_written:
            return False
        self._seen = found
        try:
            new = read_beside(self.worker.state, self._environment, self._root)
        except (UserError, OSError) as error:
            self._refuse(str(error))
            return False
        self._said = ""
        if is_same(self.worker.state, new):
            return False
        self._replace(new)
        return True

    def _replace(self, new: ServiceState) -> None:
        self.worker.state = new
        listed = new.served_list
        about = {"model_version": new.predictor.version}
        if listed is not None:
            about |= {"list_as_of": str(listed.as_of), "delivery": str(listed.delivery)}
        log.warning("serves other files from now on", extra=about)
        keep_what_is_loaded()

    def _refuse(self, why: str) -> None:
        """Log why files are refused, once for each reason."""
        if why != self._said:
            log.error("new files are refused, those that were served before stay: %s", why)
        self._said = why


def read_beside(served: ServiceState, environment: Mapping[str, str], root: Path = Path()) -> ServiceState:
    """Read the files anew, and prepare what the first requests need.

    Raises
    ------
    UserError
        They are broken. Or there is no list any more, or it is of another model than the one beside it, where
        those that are served belong together: the pipeline is on its way from one to the other.
    """
    files = read_files(load_params(root / "params.yaml"), environment, served.messages, root)
    new = replace(served, **vars(files))
    before, now = served.served_list, new.served_list
    if before is not None and now is None:
        raise ArtifactError(f"{served_folder(root) / FOLDER}: there is no list; run 'dvc repro'")
    if before is not None and now is not None and before.of_served_model and not now.of_served_model:
        raise ArtifactError(
            f"{served_folder(root) / FOLDER}: the list is of another model than the one in {MODELS}; "
            "run 'dvc repro'"
        )
    prepare(new)
    return new


def prepare(state: ServiceState) -> None:
    """Make what is made once, so that no request waits for it."""
    _ = state.document, state.company, state.companies, state.form
    if state.leads is not None:
        _ = state.leads.table.filters


def is_same(served: ServiceState, new: ServiceState) -> bool:
    """Return whether two states give the same answers: files may be written again as they were."""
    return _content(served) == _content(new)


def _content(state: ServiceState) -> tuple[object, ...]:
    leads = None if state.leads is None else state.leads.sha256
    predictor = state.predictor
    return (
        predictor.version,
        predictor.trained_as_of,
        predictor.confidence,
        state.delivery,
        leads,
        state.registered_model,
        state.track_record,
        state.scorecard,
        state.left,
    )
