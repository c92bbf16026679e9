"""A stage's last files, in a folder like a project that DVC has run."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
import yaml

from conversion.runtime.run_cache import keep_last_outputs, run_by_dvc

FILES = {"models/model.joblib": b"a model", "metrics/headline.json": b"{}\n", "plots/roc.csv": b"a,b\r\n"}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def here() -> dict[str, bytes]:
    found = (path for folder in ("models", "metrics", "plots") for path in Path(folder).rglob("*"))
    return {path.as_posix(): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stage ``train`` has run, and whose files DVC has deleted to run it again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train")
    outs = [{"path": path, "hash": "md5", "md5": md5(content)} for path, content in FILES.items()]
    outs += [{"path": "data/folder", "hash": "md5", "md5": f"{md5(b'[]')}.dir"}]
    lock = {"schema": "2.0", "stages": {"train": {"cmd": "true", "outs": outs}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock), encoding="utf-8")
    Path(".dvc").mkdir()
    for content in FILES.values():
        put(Path(".dvc/cache/files/md5", md5(content)[:2], md5(content)[2:]), content)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_files_that_dvc_deleted_are_put_back() -> None:
    keep_last_outputs("train")
    assert here() == FILES
    assert not Path("data/folder").exists(), "a stage may write other files into a folder"


@pytest.mark.usefixtures("project")
def test_a_file_that_is_there_stays_as_it_is() -> None:
    put(Path("models/model.joblib"), b"newer")
    keep_last_outputs("train")
    assert here() == FILES | {"models/model.joblib": b"newer"}


def test_the_cache_may_be_elsewhere(project: Path) -> None:
    (project / ".dvc/cache").rename(project / "shared")
    (project / ".dvc/config.local").write_text(f"[cache]\n    dir = {project / 'shared'}\n", encoding="utf-8")
    keep_last_outputs("train")
    assert here() == FILES


def test_a_new_clone_has_the_files_that_are_in_git(project: Path) -> None:
    """Byte by byte; what git has in another version than dvc.lock, or not at all, is not put back."""
    for path in ("metrics/headline.json", "plots/roc.csv"):
        put(project / path, FILES[path] if path.endswith(".csv") else b"of another run")
    for command in (
        "init --quiet",
        "add metrics plots",
        "-c user.name=a -c user.email=b commit --quiet --message=c",
    ):
        subprocess.run(["git", "-c", "core.autocrlf=false", *command.split()], cwd=project, check=True)
    for path in here():
        (project / path).unlink()
    (project / ".dvc/cache").rename(project / "gone")
    keep_last_outputs("train")
    assert here() == {"plots/roc.csv": FILES["plots/roc.csv"]}


@pytest.mark.parametrize("stage", [None, "evaluate", "other/dvc.yaml:evaluate"])
@pytest.mark.usefixtures("project")
def test_only_the_stage_that_dvc_runs_is_concerned(
    stage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stage is None:
        monkeypatch.delenv("DVC_STAGE")
    else:
        monkeypatch.setenv("DVC_STAGE", stage)
    assert not run_by_dvc("train")
    keep_last_outputs("train")
    assert here() == {}


@pytest.mark.usefixtures("project")
def test_a_stage_is_known_by_its_name_when_dvc_was_started_in_another_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_STAGE", "../dvc.yaml:train")
    keep_last_outputs("train")
    assert here() == FILES


@pytest.mark.usefixtures("project")
def test_a_first_run_has_nothing_to_put_back() -> None:
    keep_last_outputs("other")
    Path("dvc.lock").unlink()
    keep_last_outputs("train")
    assert here() == {}
