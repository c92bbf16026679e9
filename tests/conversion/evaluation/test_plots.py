from __future__ import annotations

from pathlib import Path

import yaml

from conversion.evaluation.plots import PLOTS


def test_the_plots_are_those_of_dvc_yaml(root: Path) -> None:
    stage = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["evaluate"]
    paths = [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]
    found = [path for path in paths if path.startswith("plots/")]
    assert found == [f"plots/{plot.name}.{suffix}" for plot in PLOTS for suffix in ("csv", "png")]


def test_no_two_plots_have_the_same_name() -> None:
    names = [plot.name for plot in PLOTS]
    assert len(set(names)) == len(names)
