"""Log to MLflow the runs that wait because the tracking server was down when they were made."""

from __future__ import annotations

import logging

from conversion import spool
from conversion.params import load_params
from conversion.stage import run

log = logging.getLogger(__name__)


def main() -> None:
    """Log every run that waits; exit 1 when some could not be."""
    root = spool.project_root()
    if not spool.waiting_runs(root):
        log.info("no run waits")
        return
    from conversion import tracking

    logged = tracking.log_waiting(root, load_params().tracking.experiment)
    log.info("tracked", extra={"runs": logged})


if __name__ == "__main__":
    run(main)
