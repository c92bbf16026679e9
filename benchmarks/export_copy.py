"""An export of the user's own in benchmarks: how it is asked for, and its snapshots made in a copy."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.pipeline import copy_project, measure
from conversion.runtime.errors import UserError

EXPORT: Final = "export"
"""What an export of one's own is called among the parts of a measurement."""
CONTRACT: Final = "data/contract.json"
"""The contract of the snapshots in a project's folder, as ``load`` writes it."""
STAGES: Final = ("load", "clean", "featurize")

log = logging.getLogger(__name__)


def parts_parser(description: str, parts: Sequence[str], out: Path) -> argparse.ArgumentParser:
    """Return the parser of a measurement in parts, one of which may be an export: see `chosen_parts`.

    Parameters
    ----------
    description
        What is measured.
    parts
        Names of its parts.
    out
        Folder of the page and its figures, unless another one is given.
    """
    parser = figures_parser(description, parts, out)
    export = os.environ.get("CRM_EXPORT_DIR")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(export) if export else None,
        help="your own export, beside the sample; default: CRM_EXPORT_DIR",
    )
    parser.add_argument("--first-cutoff", help="of the export's backtest; default: as in params.yaml")
    return parser


def figures_parser(description: str, parts: Sequence[str], out: Path) -> argparse.ArgumentParser:
    """Return the parser of a measurement in parts, none of them an export; parameters as `parts_parser`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--of",
        nargs="*",
        choices=parts,
        help="measure this only; nothing: write the page from the last figures",
    )
    parser.add_argument("--out", type=Path, default=out, help="folder of the page and its figures")
    return parser


def chosen_parts(parts: Sequence[str], of: Sequence[str] | None, data_dir: Path | None) -> tuple[str, ...]:
    """Return what to measure: everything, unless the arguments ask for less.

    Raises
    ------
    UserError
        The export is asked for, and none is given.
    """
    if of and EXPORT in of and data_dir is None:
        raise UserError("--of export: no export is given; name its folder by --data-dir or CRM_EXPORT_DIR")
    return tuple(of) if of is not None else tuple(part for part in parts if part != EXPORT or data_dir)


def make_snapshots(
    folder: Path,
    export: Path,
    evaluate: Mapping[str, Any],
    contract: Path | None = None,
    keep_negatives: Mapping[str, Any] | None = None,
) -> None:
    """Copy the project to ``folder`` and make the snapshots of an export there.

    Parameters
    ----------
    folder
        Empty.
    export
        Folder of the export.
    evaluate
        What to set in the section ``evaluate`` of the copy's params.yaml.
    contract
        File of the export's contract; None: that of params.yaml.
    keep_negatives
        What to set in ``featurize.keep_negatives``; None: nothing.
    """
    copy_project(folder, export.resolve())
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["evaluate"].update(evaluate)
    params["featurize"]["keep_negatives"].update(keep_negatives or {})
    if contract is not None:
        params["data"]["contract"] = str(contract)
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    for stage in STAGES:
        log.info("making snapshots export=%s stage=%s", export, stage)
        measure([sys.executable, "-m", f"stages.{stage}"], folder)
