from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conversion.tracking.run_record import data_hashes, git_tags

FILES = ("metrics/é.json", "plots/roc.csv", "models/model_card.md", "dvc.lock", "plots.py", "conversion/a.py")


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *arguments], check=True)


@pytest.fixture(params=[".", "project"], ids=["a repository", "a folder of one"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with everything committed."""
    folder = tmp_path / request.param
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("committed", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "c")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        *((name, "false") for name in (*FILES[:4], "metrics/new.json")),
        *((name, "true") for name in (*FILES[4:], "conversion/new é.py", "metrics.py", "models/other.md")),
    ],
)
def test_only_what_stages_write_leaves_the_run_clean(project: Path, name: str, dirty: str) -> None:
    assert git_tags({})["dirty"] == "false"
    (project / name).write_text("changed", encoding="utf-8")
    assert git_tags({})["dirty"] == dirty


@pytest.mark.usefixtures("project")
def test_without_git_there_are_no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_tags({}) == {}


def test_an_experiment_is_named_by_where_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tags = git_tags({"DVC_EXP_NAME": "deeper", "DVC_EXP_BASELINE_REV": "abc"})
    assert (tags["git_commit"], tags["dvc_exp_name"], tags["dvc_exp_baseline_rev"]) == (
        "abc",
        "deeper",
        "abc",
    )


def test_data_are_hashed_code_and_results_not() -> None:
    paths = (
        "metrics_export/usage.csv",
        "metrics/a.json",
        "plots/roc.csv",
        "conversion/data",
        "stages/load.py",
    )
    entries = [{"path": path, "md5": path} for path in paths]
    lock = {
        "stages": {"load": {"deps": entries}, "track": {"outs": [{"path": "data/run.json", "md5": "old"}]}}
    }
    assert data_hashes(lock) == {"metrics_export/usage.csv": "metrics_export/usage.csv"}
