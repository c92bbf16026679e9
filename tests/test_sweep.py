"""Sweeps, and a search inside the training period, run for real in a small clone of the project."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import sweep
from conversion.runtime.errors import UserError
from tests.clone import TIMEOUT, Clone, stages_run

TINY = {
    "simulate.companies": 600,
    "featurize.windows": [4],
    "evaluate.spacing_weeks": 4,
    "model.random_forest.n_estimators": 5,
}
SWEEP = (sys.executable, "-m", "commands.sweep")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder, home = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("home")
    clone = Clone.of_project(folder, home, TINY)
    clone.dvc("repro")
    clone.commit("the first run")
    return clone


@pytest.fixture
def clone(reproduced: Clone) -> Iterator[Clone]:
    """The module's clone, back at its commit after the test, without the experiments of the test."""
    yield reproduced
    reproduced.reset()
    reproduced.dvc("queue", "remove", "--all")
    reproduced.dvc("exp", "remove", "--all-commits")


def queue_of(clone: Clone) -> dict[str, str]:
    return sweep.queue_status(clone.dvc("queue", "status"))


def test_a_sweep_shows_its_experiments_and_applies_the_best(clone: Clone) -> None:
    said = clone.run(*SWEEP, "--random", "2", "--seed", "1")
    names = [name for name, status in queue_of(clone).items() if status == "Success"]
    assert len(names) == 2
    assert "0 active, 0 idle" in clone.dvc("queue", "status"), "the workers are gone"

    shown = list(csv.DictReader(io.StringIO(clone.answer("exp", "show", "--csv", "--hide-workspace"))))
    scores = {row["Experiment"]: float(row[sweep.AVERAGE_PRECISION]) for row in shown}
    best = max(names, key=scores.__getitem__)
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 1 + len(names), "a head, the commit and the experiments"
    assert sweep.AVERAGE_PRECISION in table[0]
    assert "model.logistic_regression.C" in table[0]
    order = [name for line in table for name in names if f"[{name}]" in line]
    assert order == sorted(names, key=scores.__getitem__, reverse=True)

    applied = json.loads(clone.read("metrics/evaluation.json"))["ranking"]["probability"]
    expected = max(scores[best], scores[""])
    assert applied["average_precision"]["value"] == pytest.approx(expected, abs=1e-5)
    assert (f"applied experiment={best}" in said) == (scores[best] > scores[""]) == (clone.status() != [])


def test_failed_experiments_are_named_and_nothing_is_applied(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone.folder)
    for name, value in clone.env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        UserError, match=r"1 of 1 experiments failed: ([\w-]+); see why with 'dvc queue logs \1'"
    ) as failed:
        sweep.sweep([{"model.type": ("xgboost",), "model.xgboost.max_depth": (0,)}], jobs=1)
    name = re.findall(r"dvc queue logs ([\w-]+)", str(failed.value))[0]
    assert "max_depth: given 0" in clone.dvc("queue", "logs", name)
    assert clone.status() == []
    assert name not in capfd.readouterr().out, "no measures of what failed are shown"


def test_ctrl_c_leaves_nothing_queued_or_running(clone: Clone) -> None:
    with subprocess.Popen(
        SWEEP, cwd=clone.folder, env=clone.env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "queued experiments=" in line)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=TIMEOUT)
    assert f"experiments={3 + 2 * 2 + 3 * 2 + 1} " in said, "the grids of the families, and the ensemble"
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert not set(queue_of(clone).values()) & sweep.PENDING
    assert clone.status() == []


def test_a_search_inside_the_training_period_is_a_tracked_plot(clone: Clone, tmp_path: Path) -> None:
    ran = clone.dvc("exp", "run", "-S", "train.search.trials=3", "-S", "model.type=xgboost")
    assert stages_run(ran) == ("train", "evaluate", "score", "track")
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
