"""A stage's last files, in a folder like a project that DVC has run."""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from dvc.utils.serialize import dump_yaml, load_yaml

from conversion.runtime.errors import OutputError
from conversion.runtime.run_cache import keep_last_outputs, run_by_dvc, save_entries

# From DVC itself, while it looks at the outputs of a project.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

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


@pytest.mark.usefixtures("project")
def test_what_only_git_could_have_is_left_out_where_there_is_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    put(Path("plots/roc.csv"), b"new")
    Path(".dvc/cache").rename("gone")
    monkeypatch.setenv("PATH", "")
    keep_last_outputs("train")
    assert here() == {"plots/roc.csv": b"new"}


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


# --- what DVC's run cache lacks ----------------------------------------------------------------------------

PIPELINE = """
stages:
  read:
    cmd: mkdir parts && cp input parts/one
    deps: [input]
    outs: [parts]
  fit:
    cmd: echo >> ran && cp parts/one model && cat model params.yaml > score.json && echo > empty.txt
    deps: [parts]
    params: [a, b]
    outs: [model, score.json: {cache: false}, empty.txt: {cache: false}]
  track:
    cmd: cp model run
    deps: [model]
    outs: [run: {persist: true}]
"""
A_PARAMS = "a: 1e-05\nb: {c: '2020-04-26', d: [.5, yes, 'no', null, 0o17, \"\u00e9\"]}\n"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three stages that DVC has run, the last of which is now running."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Repo.init(no_scm=True).close()
    Path("dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    Path("params.yaml").write_text(A_PARAMS, encoding="utf-8")
    Path("input").write_text("a\n", encoding="utf-8")
    reproduce()
    monkeypatch.setenv("DVC_STAGE", "track")
    return folder


def reproduce() -> None:
    with Repo(".") as repo:
        repo.reproduce()


def save_as_dvc_does() -> None:
    with Repo(".") as repo:
        for stage in repo.index.stages:
            repo.stage_cache.save(stage)


def cache_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the permissions of the files in a cache."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in found
    }


def entries() -> set[str]:
    """Return the stages that have an entry, known by their first output."""
    read = (yaml.safe_load(path.read_text()) for path in Path(".dvc/cache/runs").glob("*/*/*"))
    return {entry["outs"][0]["path"] for entry in read}


@pytest.mark.usefixtures("repo")
def test_entries_and_files_are_those_that_dvc_would_save() -> None:
    assert entries() == {"parts"}
    shutil.copytree(".dvc/cache", "before")
    save_as_dvc_does()
    expected = cache_of(Path(".dvc/cache"))
    assert entries() == {"parts", "empty.txt"}
    shutil.rmtree(".dvc/cache")
    Path("before").rename(".dvc/cache")
    assert cache_of(Path(".dvc/cache")) != expected
    for _ in range(2):
        save_entries("track")
        assert cache_of(Path(".dvc/cache")) == expected


@pytest.mark.usefixtures("repo")
def test_dvc_restores_a_stage_from_its_entry() -> None:
    save_entries("track")
    first = Path("score.json").read_bytes()
    Path("params.yaml").write_text(A_PARAMS.replace("1e-05", "0.5"), encoding="utf-8")
    reproduce()
    assert len(Path("ran").read_bytes()) == 2
    assert Path("score.json").read_bytes() != first
    Path("params.yaml").write_text(A_PARAMS, encoding="utf-8")
    reproduce()
    assert len(Path("ran").read_bytes()) == 2, "it ran again"
    assert Path("score.json").read_bytes() == first


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("of another run")])
def test_a_stage_whose_file_is_not_that_of_the_lock_has_no_entry(change: Callable[[Path], object]) -> None:
    change(Path("score.json"))
    save_entries("track")
    assert entries() == {"parts"}


@pytest.mark.usefixtures("repo")
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("params.yaml", "a: 1e-05", "a: 0.5"),
        ("params.yaml", "c: '2020-04-26'", "other: 1"),
        ("dvc.lock", "a: 1e-05", "a: 0.5"),
        # What `fit` read is not what `read` wrote.
        (
            "dvc.lock",
            "- path: parts\n      hash: md5\n      md5: ",
            "- path: parts\n      hash: md5\n      md5: 0",
        ),
    ],
)
def test_a_lock_that_mixes_two_runs_gives_no_entry(path: str, old: str, new: str) -> None:
    """As after a merge: `dvc repro --single-item track` runs on it without the stages before."""
    shutil.rmtree(".dvc/cache/runs")
    text = Path(path).read_text(encoding="utf-8")
    assert old in text
    Path(path).write_text(text.replace(old, new, 1), encoding="utf-8")
    save_entries("track")
    assert "empty.txt" not in entries()


@pytest.mark.usefixtures("repo")
def test_a_stage_that_read_another_file_has_no_entry() -> None:
    shutil.rmtree(".dvc/cache/runs")
    Path("input").write_text("b\n", encoding="utf-8")
    save_entries("track")
    assert entries() == {"empty.txt"}


@pytest.mark.usefixtures("repo")
def test_a_folder_whose_files_the_lock_lists_is_not_cached() -> None:
    lock = load_yaml("dvc.lock")
    del lock["stages"]["read"]["outs"][0]["md5"], lock["stages"]["fit"]["deps"][0]["md5"]
    dump_yaml("dvc.lock", lock)
    shutil.rmtree(".dvc/cache/runs")
    save_entries("track")
    assert entries() == {"empty.txt"}
    keep_last_outputs("track")


@pytest.mark.usefixtures("repo")
def test_a_cache_named_in_the_old_way_gets_nothing() -> None:
    Path(".dvc/config.local").write_text("[cache]\n    local = mine\n", encoding="utf-8")
    before = cache_of(Path(".dvc/cache"))
    save_entries("track")
    assert cache_of(Path(".dvc/cache")) == before


@pytest.mark.usefixtures("repo")
def test_entries_are_saved_only_by_the_stage_that_dvc_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "fit")
    save_entries("track")
    monkeypatch.setenv("DVC_STAGE", "track")
    Path("dvc.lock").rename("moved")
    save_entries("track")
    assert entries() == {"parts"}


def test_a_cache_elsewhere_that_a_group_shares_gets_its_permissions(repo: Path) -> None:
    Path(".dvc/config.local").write_text(
        "[cache]\n    dir = ../../shared\n    shared = group\n", encoding="utf-8"
    )
    (repo / ".dvc/cache").rename(repo.parent / "shared")
    save_entries("track")
    assert not (repo / ".dvc/cache").exists()
    (entry,) = (
        path for path in (repo.parent / "shared/runs").glob("*/*/*") if b"score.json" in path.read_bytes()
    )
    assert [stat.S_IMODE(path.stat().st_mode) for path in (entry, entry.parent)] == [0o664, 0o2775]


@pytest.mark.usefixtures("repo")
def test_a_cache_that_cannot_be_written_is_an_error_of_the_user() -> None:
    shutil.move(".dvc/cache/runs", "runs")
    Path(".dvc/cache/runs").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        save_entries("track")
