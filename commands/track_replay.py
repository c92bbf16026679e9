"""Log to MLflow the runs that wait because the tracking server was down when they were made.

The project's own store is looked after even if none waits: it follows a moved project, and runs that were cut
short are closed.
"""

from __future__ import annotations

import logging

from conversion.config.params_file import load_params
from conversion.runtime.cli import run
from conversion.tracking import outbox

log = logging.getLogger(__name__)


def main() -> None:
    """Log every run that waits; exit 1 when some could not be."""
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
    run(main)
