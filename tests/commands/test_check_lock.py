from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from commands.check_lock import NOTHING, by_difference, changed_keys, changed_params
from tests.clone import Clone


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        (1, 1, []),
        ([1, 2], [1, 2], []),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, []),
        (1, 2, ["key: dvc.lock has 1, params.yaml has 2"]),
        (None, 2.5, ["key: dvc.lock has None, params.yaml has 2.5"]),
        ([1], [1, 2], ["key: dvc.lock has [1], params.yaml has [1, 2]"]),
        ({"a": 1}, 3, ["key: dvc.lock has {'a': 1}, params.yaml has 3"]),
        ("x", NOTHING, ["key: dvc.lock has 'x', params.yaml has nothing"]),
        (
            {"kept": 0, "a": {"b": 1, "c": 2}, "gone": 3},
            {"kept": 0, "a": {"b": 1, "c": 9}, "added": [4]},
            [
                "key.a.c: dvc.lock has 2, params.yaml has 9",
                "key.gone: dvc.lock has 3, params.yaml has nothing",
                "key.added: dvc.lock has nothing, params.yaml has [4]",
            ],
        ),
    ],
)
def test_changed_keys(recorded: Any, given: Any, expected: list[str]) -> None:
    assert list(changed_keys(recorded, given, "key")) == expected


def test_only_the_params_of_the_stage_are_compared() -> None:
    recorded, given = {"seed": 1, "load": {"a": 1}}, {"seed": 2, "load": {"a": 3}, "new": 5}
    assert changed_params(recorded, given, ["seed", "new"]) == [
        "seed: dvc.lock has 1, params.yaml has 2",
        "new: dvc.lock has nothing, params.yaml has 5",
    ]


def test_a_difference_of_several_stages_is_one_line() -> None:
    found = [("load", "seed: x"), ("load", "other"), ("clean", "seed: x"), ("clean", "seed: x")]
    assert by_difference(found) == ["seed: x (load, clean); run: dvc repro", "other (load); run: dvc repro"]


# A pipeline of two stages that has run, and whose data are gone: what a fresh clone has

COPY = "cp in.txt data.txt"
COUNT = "wc -l data.txt > count.txt"
STAGES = {
    "copy": {
        "cmd": COPY,
        "deps": ["in.txt", "shared.py", "own.py"],
        "params": ["seed", "copy", "model.${model.type}"],
        "outs": ["data.txt"],
    },
    "count": {
        "cmd": COUNT,
        "deps": ["data.txt", "shared.py"],
        "params": ["seed"],
        "metrics": [{"count.txt": {"cache": False}}],
    },
}
PARAMS = {"seed": 1, "copy": {"rows": 3, "how": "fast"}, "model": {"type": "a", "a": {"k": 1}, "b": {"k": 2}}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("ran")
    project = Clone(folder, tmp_path_factory.mktemp("home"))
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}), encoding="utf-8")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    for name in ("in.txt", "shared.py", "own.py"):
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    project.git("init", "--quiet", "--initial-branch=main")
    project.identify()
    project.dvc("init", "--quiet")
    project.dvc("repro", "--quiet")
    project.commit("ran")
    return project


@pytest.fixture
def project(ran: Clone, tmp_path: Path) -> Clone:
    return ran.clone_to(tmp_path / "fresh")


def check(project: Clone, root: Path, fails: bool = False) -> list[str]:
    """Run the command in the project, of the code in ``root``; give its lines without time and level."""
    project.env["PYTHONPATH"] = str(root)
    output = project.run("python", "-m", "commands.check_lock", fails=fails)
    assert "Traceback" not in output
    return [line.partition(" ERROR ")[2] for line in output.splitlines()]


def test_a_fresh_clone_without_data_is_in_step(project: Clone, root: Path) -> None:
    assert not (project.folder / "data.txt").exists()
    assert check(project, root) == []
    assert project.status() == [], "the check changes nothing"


def test_each_changed_key_is_named(project: Clone, root: Path) -> None:
    project.set_params({"seed": 2, "copy.rows": 5, "model.a.k": 7, "model.b.k": 8})
    assert sorted(check(project, root, fails=True)) == [
        "copy.rows: dvc.lock has 3, params.yaml has 5 (copy); run: dvc repro",
        "model.a.k: dvc.lock has 1, params.yaml has 7 (copy); run: dvc repro",
        "seed: dvc.lock has 1, params.yaml has 2 (copy, count); run: dvc repro",
    ]


def test_each_changed_file_in_git_is_named(project: Clone, root: Path) -> None:
    (project.folder / "shared.py").write_text("edited\n", encoding="utf-8")
    (project.folder / "own.py").unlink()
    (project.folder / "count.txt").write_text("99 data.txt\n", encoding="utf-8")
    assert sorted(check(project, root, fails=True)) == [
        "count.txt: modified since dvc.lock was written (count); run: dvc repro",
        "own.py: deleted since dvc.lock was written (copy); run: dvc repro",
        "shared.py: modified since dvc.lock was written (copy, count); run: dvc repro",
    ]


def test_a_command_and_a_dependency_that_dvc_lock_does_not_have_are_named(project: Clone, root: Path) -> None:
    path = project.folder / "dvc.yaml"
    text = path.read_text(encoding="utf-8").replace(COUNT, f"{COUNT} && true")
    text = text.replace("- data.txt\n    - shared.py", "- data.txt\n    - own.py")
    path.write_text(text, encoding="utf-8")
    assert sorted(check(project, root, fails=True)) == [
        "own.py: is not in dvc.lock (count); run: dvc repro",
        f"{COUNT} && true: dvc.lock has another command (count); run: dvc repro",
    ]


def test_a_stage_that_never_ran_is_named(project: Clone, root: Path) -> None:
    (project.folder / "dvc.lock").unlink()
    lines = check(project, root, fails=True)
    assert "shared.py: is not in dvc.lock (copy, count); run: dvc repro" in lines
    assert "seed: dvc.lock has nothing, params.yaml has 1 (copy, count); run: dvc repro" in lines


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("dvc.lock", "<<<<<<< HEAD\nschema: '2.0'\n", "dvc.lock"),
        ("params.yaml", "seed: [\n", "params.yaml"),
        ("dvc.yaml", "stages: {copy: {}}\n", "dvc.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    project: Clone, root: Path, name: str, text: str, message: str
) -> None:
    (project.folder / name).write_text(text, encoding="utf-8")
    lines = check(project, root, fails=True)
    assert message in lines[0]
    assert lines[-1].endswith("mend it, then run: dvc repro")
