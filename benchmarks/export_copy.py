"""The snapshots of an export of the user's own, made in a copy of the project."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.pipeline import copy_project, measure

STAGES: Final = ("load", "clean", "featurize")

log = logging.getLogger(__name__)


def make_snapshots(folder: Path, export: Path, evaluate: Mapping[str, Any]) -> None:
    """Copy the project to ``folder`` and make the snapshots of an export there.

    Parameters
    ----------
    folder
        Empty.
    export
        Folder of the export.
    evaluate
        What to set in the section ``evaluate`` of the copy's params.yaml.
    """
    copy_project(folder, export.resolve())
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["evaluate"].update(evaluate)
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    for stage in STAGES:
        log.info("making snapshots export=%s stage=%s", export, stage)
        measure([sys.executable, "-m", f"stages.{stage}"], folder)
