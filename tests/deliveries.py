"""A small project whose list can be delivered, for tests; its gate lets everything pass."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.exports import write_export
from tests.pipeline import dirty_export, run_stages, small_params

WEEKS = ("2019-09-30", "2019-10-07")
OPEN_GATE: dict[str, Any] = {
    "gate__volume_spreads": {"watch": 1000.0, "stop": 1000.0},
    "gate__missing_rise": {"watch": 1.0, "stop": 1.0},
    "gate__missing_most": 1.0,
    "gate__drift": {"watch": 1000.0, "stop": 1000.0},
    "gate__drift_features": 1.0,
    "gate__prospects": {"watch": 1000.0, "stop": 1000.0},
    "gate__expected": {"watch": 1000.0, "stop": 1000.0},
    "gate__rewritten": {"watch": 1.0, "stop": 1.0},
}


def make_project(folder: Path, as_of: str, **overrides: Any) -> None:
    """Write an export into ``folder`` and run the stages there as of a Monday."""
    if not (folder / "export").is_dir():
        write_export(dirty_export(), folder / "export")
    params = small_params(data__dir="export", data__as_of=as_of, **OPEN_GATE, **overrides)
    before = Path.cwd()
    try:
        os.chdir(folder)
        stopped = run_stages(folder, params)
    finally:
        os.chdir(before)
    assert stopped is None, stopped


def set_params(folder: Path, **changes: Any) -> None:
    """Change params of a project, with keys like ``deliver__holdout``."""
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        section, key = name.split("__")
        values[section][key] = value
    path.write_text(yaml.safe_dump(values), encoding="utf-8")


def copy_of(project: Path, target: Path) -> Path:
    """Copy a project, with its links as links."""
    shutil.copytree(project, target, symlinks=True)
    return target
