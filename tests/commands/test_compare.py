from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clone import Clone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(reproduced: Clone) -> Clone:
    """A clone after a run that is committed, with an experiment of another model family."""
    experiment = ("--temp", "--name", "boosted", "-S", "model.type=xgboost", "-S", "evaluate.refit_weeks=24")
    reproduced.dvc("exp", "run", *experiment, "evaluate")
    return reproduced


def compare(clone: Clone, *arguments: str, fails: bool = False) -> str:
    return clone.run("python", "-m", "commands.compare", *arguments, fails=fails)


def test_a_commit_and_an_experiment(clone: Clone) -> None:
    text = compare(clone, "HEAD", "boosted")
    assert text.startswith("A: HEAD\nB: boosted\ncompared on ")
    for measure in ("average precision", "recall at 50", "log loss"):
        assert f"\n{measure}" in text
    assert compare(clone, "main", "boosted") == text.replace("A: HEAD", "A: main"), "the same, each time"
    last = text.splitlines()[-1]
    assert last.endswith(".")

    found = json.loads(compare(clone, "main", "boosted", "--json"))
    assert found["verdict"] == last
    for name, path in (
        ("average_precision", "ranking.probability.average_precision.value"),
        ("recall_at_50", "ranking.probability.recall_at_50.value"),
        ("log_loss", "probability.log_loss.value"),
    ):
        measure = found["measures"][name]
        of_all = ("--json", "--all", "--targets", "metrics/evaluation.json", "metrics/headline.json")
        metrics = json.loads(clone.answer("metrics", "diff", "main", "boosted", *of_all))
        both = metrics["metrics/evaluation.json"][path]
        assert metrics["metrics/headline.json"][name] == both
        assert (measure["first"], measure["second"]) == (both["old"], both["new"]), "as DVC's metrics say"
        assert measure["low"] <= measure["high"]
    assert clone.status() == []


def test_the_workspace_is_the_default_and_equal_to_its_commit(clone: Clone) -> None:
    found = json.loads(compare(clone, "HEAD", "--json", "--k", "7", "--samples", "30"))
    assert (found["revision_a"], found["revision_b"]) == ("HEAD", "workspace")
    assert list(found["measures"]) == ["average_precision", "recall_at_7", "log_loss"]
    for measure in found["measures"].values():
        assert (measure["difference"], measure["low"], measure["high"]) == (0, 0, 0)
        assert measure["probability_better"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "nowhere: there is no such commit, branch, tag or experiment"),
        (("main", "--k", "0"), "argument --k: given '0', should be a whole number of at least 1"),
        (
            ("main", "--samples", "5"),
            "argument --samples: given '5', should be a whole number of at least 20",
        ),
    ],
)
def test_mistakes(clone: Clone, arguments: tuple[str, ...], says: str) -> None:
    message = compare(clone, *arguments, fails=True)
    assert says in message
    assert "Traceback" not in message


def test_without_the_cache_it_says_how_to_get_the_backtest(clone: Clone, tmp_path: Path) -> None:
    bare = clone.clone_to(tmp_path / "bare")
    message = compare(bare, "main", "workspace", fails=True)
    assert "main: its data/backtest/predictions.parquet is not in DVC's cache; run 'dvc fetch" in message
    message = compare(bare, "workspace", "main", fails=True)
    assert "workspace: data/backtest/predictions.parquet not found; run 'dvc repro evaluate'" in message
    (bare.folder / "data/backtest").mkdir(parents=True)
    (bare.folder / "data/backtest/predictions.parquet").write_bytes(b"nonsense")
    message = compare(bare, "workspace", "workspace", fails=True)
    assert "workspace: data/backtest/predictions.parquet is not what 'dvc repro' writes" in message
    assert "Traceback" not in message
