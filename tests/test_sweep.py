"""A sweep, and a search inside the training period, run for real in a small clone of the project."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clone import Clone, stages_run

# The environment is up to date, whatever the clone's locks are.
MAKE = ("make", "--old-file=.venv/run.stamp")

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(reproduced: Clone) -> Iterator[Clone]:
    """The module's clone, back at its commit after the test, without the experiments of the test."""
    with reproduced.as_committed() as clone:
        yield clone
    reproduced.dvc("queue", "remove", "--all")
    reproduced.dvc("exp", "remove", "--all-commits")


def rows(clone: Clone) -> dict[str, dict[str, str]]:
    """The commit's row, under the empty name, and those of the experiments, by their names."""
    shown = clone.answer("exp", "show", "--csv", "--hide-workspace")
    return {row["Experiment"]: row for row in csv.DictReader(io.StringIO(shown))}


def test_a_sweep_runs_each_combination_and_shows_the_best_first(clone: Clone) -> None:
    grid = "model.random_forest.max_depth=2,3 model.random_forest.min_samples_leaf=0,20"
    said = clone.run(*MAKE, "sweep", "FAMILIES=random_forest", f"GRID_random_forest={grid}")
    assert clone.status() == [], "the workspace is left as it is"

    assert said.count("Queued experiment") == 4, "each combination"
    failed = re.findall(
        r"^[0-9a-f]{7}\s+(\S+)\s.*\sFailed\s*$", clone.dvc("queue", "status"), flags=re.MULTILINE
    )
    assert len(failed) == 2, "those with leaves of no sample"
    (named,) = re.findall(r"Failed to reproduce experiment\(s\) '(.+)'", said)
    assert set(named.split(", ")) == set(failed)
    assert "min_samples_leaf: given 0" in clone.dvc("queue", "logs", failed[0])

    done = {name: row for name, row in rows(clone).items() if name and name not in failed}
    assert {row["model.type"] for row in done.values()} == {"random_forest"}
    keys = [setting.partition("=")[0] for setting in grid.split()]
    assert {tuple(row[key] for key in keys) for row in done.values()} == {("2", "20"), ("3", "20")}

    table = [line for line in said.splitlines() if line.startswith("|")]
    columns = {column.strip() for column in table[0].strip("|").split("|")}
    assert {"average_precision", "model.type", *keys} <= columns
    assert not any(name in line for line in table for name in failed)
    order = [name for line in table for name in done if f"[{name}]" in line]
    assert len(order) == 2
    assert order == sorted(order, key=lambda name: float(done[name]["average_precision"]), reverse=True)


def test_a_search_inside_the_training_period_is_a_tracked_plot(clone: Clone, tmp_path: Path) -> None:
    ran = clone.dvc("exp", "run", "-S", "train.search.trials=3", "-S", "model.type=xgboost")
    assert stages_run(ran) == ("train", "evaluate", "score", "report", "track")
    described = json.loads(clone.read("models/model.json"))
    assert described["search"]["xgboost"]["trials"] == 3
    history = list(csv.DictReader(io.StringIO(clone.read("plots/search.csv").decode())))
    assert [row["trial"] for row in history] == ["0", "1", "2"]
    assert " M plots/search.csv" in clone.status()
    model, backtest = clone.read("models/model.joblib"), clone.read("metrics/backtest.csv")
    clone.dvc("plots", "diff", "HEAD", "--out", str(tmp_path / "page"))
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "Hyperparameter search inside the training period" in page
    assert history[1]["log_loss"] in page

    again = clone.dvc("repro", "--force", "--single-item", "train", "evaluate")
    assert stages_run(again) == ("train", "evaluate")
    assert (clone.read("models/model.joblib"), clone.read("metrics/backtest.csv")) == (model, backtest)
