"""Log this run to MLflow: params, metrics, plots, the top of the lead list and the model."""

from __future__ import annotations

import logging
import os
import sys
import time
from functools import partial
from typing import Any

from conversion.config.contract_file import load_contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.runtime.errors import TrackingError
from conversion.runtime.files import read_json, write_json
from conversion.runtime.run_cache import save_entries
from conversion.tracking import outbox
from conversion.tracking.run_record import fill, git_tags, identity, record

log = logging.getLogger(__name__)


def track(params: Params, model: dict[str, Any], known_as: dict[str, str]) -> None:
    """Log the run to MLflow; if that fails, the run waits and is logged with a later one."""
    root = outbox.project_root()
    run_record = record(params, model, known_as | git_tags(dict(os.environ)), time.time())
    shown = load_contract("data/contract.json").companies.shown
    outbox.put(root, run_record, partial(fill, columns=model["features"], shown=shown))
    from conversion.tracking import mlflow_runs

    try:
        logged = mlflow_runs.log_waiting(root, params.tracking.experiment)
    except TrackingError as error:
        log.warning(
            "not tracked, the run waits: log it with 'make track-replay'",
            extra={"folder": str(root / outbox.FOLDER), "reason": str(error)},
        )
    else:
        log.info("tracked", extra={"runs": logged, "experiment": params.tracking.experiment})


def main() -> None:
    """Log what the stages wrote; write data/run.json, the same whether or not logging succeeded."""
    params = load_params()
    model = read_json("models/model.json")
    known_as = identity(model)
    if params.tracking.enabled:
        track(params, model, known_as)
    write_json("data/run.json", known_as)
    save_entries("track")


if __name__ == "__main__":
    run(main, sys.argv[1:])
