from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from conversion.evaluation.comparison import NEEDED
from conversion.leads.lead_writers import write_leads
from conversion.tracking import run_record
from tests.pipeline import PARAMS, small_params


def test_every_param_has_the_path_that_dvc_gives_it() -> None:
    flat = run_record.flat(small_params().model_dump(mode="json"))
    assert flat["model.xgboost.n_estimators"] == "15"
    assert flat["featurize.windows"] == "[1, 4, 13]"
    assert flat["data.as_of"] == "null"
    assert flat["model.xgboost.monotone"] == "true"
    assert flat["data.dir"] == "data/sample", "text is not quoted"
    values: Any = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    for path in flat:
        node = values
        for name in path.split("."):
            assert name in node, path
            node = node[name]


def test_metrics_are_the_numbers_without_their_intervals() -> None:
    measured = {
        "as_of": "2020-04-27",
        "converters": 450,
        "ranking": {"probability": {"roc_auc": {"value": 0.9, "low": 0.8, "high": 1.0}}},
        "model_minus_baseline": {"random": {"roc_auc": {"difference": 0.4, "low": 0.3, "high": 0.5}}},
        "undefined": {"value": None, "low": None, "high": None},
        "flag": True,
    }
    assert run_record.metrics_of(measured) == {
        "converters": 450.0,
        "ranking.probability.roc_auc": 0.9,
        "model_minus_baseline.random.roc_auc.difference": 0.4,
    }


def test_each_cutoff_is_a_step_at_its_own_time() -> None:
    rows = [
        {"as_of": "2019-07-15", "roc_auc": "0.9", "conversions": "3"},
        {"as_of": "2019-07-22", "roc_auc": "", "conversions": "0"},
    ]
    first, second = (int(dt.datetime(2019, 7, day, tzinfo=dt.UTC).timestamp() * 1000) for day in (15, 22))
    assert run_record.weekly_metrics(rows) == {
        "weekly.roc_auc": [(0, first, 0.9)],
        "weekly.conversions": [(0, first, 3.0), (1, second, 0.0)],
    }


def test_hashes_are_those_of_data_and_model() -> None:
    def entry(path: str) -> dict[str, str]:
        return {"path": path, "hash": "md5", "md5": f"md5 of {path}"}

    lock = {
        "stages": {
            "load": {
                "deps": [entry("my/export"), entry("stages/load.py"), entry("conversion/runtime")],
                "outs": [entry("data/typed"), entry("metrics/data_quality.json")],
            },
            "train": {"outs": [entry("models/model.joblib"), entry("plots/search.csv")]},
            "track": {"deps": [entry("models/model.json")], "outs": [entry("data/run.json")]},
        }
    }
    paths = ("my/export", "data/typed", "models/model.joblib")
    assert run_record.data_hashes(lock) == {path: f"md5 of {path}" for path in paths}
    assert run_record.data_hashes({}) == {}


def test_what_is_kept_of_the_backtest_is_enough_to_compare_by() -> None:
    assert set(NEEDED) <= set(run_record.PREDICTED)


# --- files -----------------------------------------------------------------------------------------------


def test_what_a_killed_stage_left_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "metrics/evaluation.json", "plots/reliability.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    Path("plots/.reliability.4711.tmp.png").touch()
    Path("metrics/.evaluation.4711.tmp.json").touch()
    assert list(map(str, run_record._artifacts())) == [
        "params.yaml",
        "metrics/evaluation.json",
        "plots/reliability.png",
    ]


def test_the_code_is_the_whole_package_without_what_python_keeps() -> None:
    names = {str(path.relative_to(run_record.PACKAGE)) for path in run_record._code()}
    assert {"__init__.py", "tracking/pyfunc.py", "serving/prediction_log.yaml"} <= names
    assert not any("__pycache__" in name for name in names)


# --- git -------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of code, params and results."""
    for variable in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(variable, raising=False)
    for name in (
        "code.py",
        "params.yaml",
        "dvc.lock",
        "metrics/evaluation.json",
        "models/model_card.md",
        "plots/roc.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("committed\n", encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def is_dirty() -> bool:
    return bool(json.loads(run_record.git_tags({})["dirty"]))


def test_the_commit_is_named(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert run_record.git_tags({}) == {"git_commit": head, "dirty": "false", "mlflow.source.git.commit": head}


@pytest.mark.parametrize(
    "name",
    ["dvc.lock", "metrics/evaluation.json", "plots/roc.csv", "plots/new.csv", "models/model_card.md"],
)
def test_what_the_stages_write_is_no_change(repository: Path, name: str) -> None:
    (repository / name).write_text("changed\n", encoding="utf-8")
    assert not is_dirty()


@pytest.mark.parametrize("name", ["code.py", "params.yaml", "new.py"])
def test_code_and_params_that_differ_from_the_commit_are_a_change(repository: Path, name: str) -> None:
    (repository / name).write_text("changed\n", encoding="utf-8")
    assert is_dirty()


def test_an_experiment_is_compared_with_the_commit_that_it_started_from(repository: Path) -> None:
    """In its copy DVC has committed the changed params."""
    baseline = git(repository, "rev-parse", "HEAD")
    (repository / "params.yaml").write_text("changed\n", encoding="utf-8")
    git(repository, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "-am", "exp")
    assert not is_dirty()
    tags = run_record.git_tags({"DVC_EXP_NAME": "sixty-weir", "DVC_EXP_BASELINE_REV": baseline})
    assert tags["dvc_exp_name"] == "sixty-weir"
    assert tags["git_commit"] == tags["dvc_exp_baseline_rev"] == baseline
    assert tags["dirty"] == "true"


def test_outside_of_a_repository_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert run_record.git_tags({}) == {}
    monkeypatch.setenv("PATH", "")
    assert run_record.git_tags({}) == {}, "nor where there is no git"


LISTED = {
    "rank": [1, 2],
    "id": ["007", "b"],
    "name": ['Müller, "M"', "two\nlines"],
    "reason_1": ["(+) a, b", None],
}


@pytest.mark.parametrize("how", ["csv", "json", "parquet"])
def test_what_only_reps_should_see_is_not_logged(how: str, tmp_path: Path) -> None:
    leads = pd.DataFrame(LISTED)
    source, copy = tmp_path / f"top_leads.{how}", tmp_path / f"copy.{how}"
    write_leads(leads, source)
    run_record.copy_without(("name", "owner") if how != "parquet" else ("name",), source, copy)
    expected = tmp_path / f"expected.{how}"
    write_leads(leads.drop(columns="name"), expected)
    if how == "csv":
        assert copy.read_text(encoding="utf-8") == expected.read_text(encoding="utf-8")
    elif how == "json":
        found, wanted = (json.loads(path.read_text(encoding="utf-8")) for path in (copy, expected))
        assert found == wanted
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(copy), pd.read_parquet(expected))
    assert "Müller".encode() not in copy.read_bytes()
