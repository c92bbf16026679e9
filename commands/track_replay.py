"""Log to MLflow the runs that wait because the tracking server was down.

The project's own store is maintained even if no run waits: its paths follow a moved project, and
interrupted runs are closed.
"""

from __future__ import annotations

import logging
import sys

from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.tracking import outbox

log = logging.getLogger(__name__)


def main() -> None:
    """Log every run that waits; exit with 1 if some could not be logged."""
    root = outbox.project_root()
    if not (root / outbox.FOLDER).is_dir():
        log.info("no run waits")
        return
    from conversion.tracking import mlflow_runs

    waits = bool(outbox.waiting_runs(root))
    if waits or mlflow_runs.is_ours(root):
        logged = mlflow_runs.log_waiting(root, load_params().tracking.experiment)
    if waits:
        log.info("tracked", extra={"runs": logged})
    else:
        log.info("no run waits")


if __name__ == "__main__":
    run(main, sys.argv[1:])
