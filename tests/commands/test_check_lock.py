from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands.check_lock import by_difference, changed_keys, changed_params, model_differences
from conversion.runtime.yaml_values import NOTHING
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


# What dvc.lock has of the stage train, and what stages.train writes into models/model.json


def recorded(**changed: Any) -> dict[str, Any]:
    return {
        "seed": 1,
        "featurize.windows": [1, 4],
        "model.type": "ensemble",
        "model.ensemble": {"members": ["a", "b"]},
        "model.a": {"C": 1.0},
        "model.b": {"depth": 3},
        "train": {"threshold_value": 0.05, "search": {"trials": 0}},
    } | {name.replace("__", "."): value for name, value in changed.items()}


def described(model: dict[str, Any], model_type: str = "ensemble", **more: Any) -> dict[str, Any]:
    train = {"threshold_value": 0.05, "search": {"trials": 0}}
    params = {"seed": 1, "featurize": {"windows": [1, 4], "more": 2}, "model": model, "train": train}
    return {"model_type": model_type, "search": {}, "params": params} | more


TRAINED_WITH = "models/model.json was trained with"
BOTH = {"members": {"a": {"C": 1.0}, "b": {"depth": 3}}}


@pytest.mark.parametrize(
    ("lock", "model", "expected"),
    [
        (recorded(), described(BOTH), []),
        (
            recorded(train={"threshold_value": 0.5, "search": {"trials": 0}}),
            described(BOTH),
            ["train.threshold_value: dvc.lock has 0.5, models/model.json was trained with 0.05"],
        ),
        (
            recorded(model__b={"depth": 4}, featurize__windows=[4]),
            described(BOTH),
            [
                "model.b.depth: dvc.lock has 4, models/model.json was trained with 3",
                "featurize.windows: dvc.lock has [4], models/model.json was trained with [1, 4]",
            ],
        ),
        (
            recorded(model__ensemble={"members": ["b", "a"]}),
            described(BOTH),
            [f"model.ensemble.members: dvc.lock has ['b', 'a'], {TRAINED_WITH} ['a', 'b']"],
        ),
        # an inactive family's block is in dvc.lock too
        (recorded(model__type="c", model__c={"k": 1}), described({"k": 1}, "c"), []),
        (
            recorded(model__type="c", model__c={"k": 1}),
            described({"k": 2}, "c"),
            ["model.c.k: dvc.lock has 1, models/model.json was trained with 2"],
        ),
        (
            recorded(model__type="c", model__c={"k": 1}),
            described(BOTH),
            [
                "model.type: dvc.lock has 'c', models/model.json was trained with 'ensemble'",
                "model.c: dvc.lock has {'k': 1}, models/model.json was trained with nothing",
            ],
        ),
        # features that the contract chose
        (
            recorded(
                model__type="logistic_regression",
                model__logistic_regression={"C": 1, "quadratic": ["auto"]},
            ),
            described({"C": 1, "quadratic": ["size"]}, "logistic_regression"),
            [],
        ),
        (
            recorded(
                model__type="logistic_regression",
                model__logistic_regression={"C": 1, "quadratic": ["a"]},
            ),
            described({"C": 2, "quadratic": ["b"]}, "logistic_regression"),
            [
                f"model.logistic_regression.C: dvc.lock has 1, {TRAINED_WITH} 2",
                f"model.logistic_regression.quadratic: dvc.lock has ['a'], {TRAINED_WITH} ['b']",
            ],
        ),
        # what a search found is not what was given
        (recorded(model__b={"depth": 4}), described(BOTH, search={"b": {"trials": 9}}), []),
        (
            recorded(seed=2),
            described(BOTH, search={"b": {"trials": 9}}),
            ["seed: dvc.lock has 2, models/model.json was trained with 1"],
        ),
        ({"seed": 1}, {}, ["seed: dvc.lock has 1, models/model.json was trained with nothing"]),
    ],
)
def test_a_model_is_compared_with_what_dvc_lock_says_of_it(
    lock: dict[str, Any], model: dict[str, Any], expected: list[str]
) -> None:
    assert sorted(model_differences(lock, model)) == sorted(expected)


# A pipeline of two stages that has run, and whose data are gone: what a fresh clone has

COPY = "cp in.txt data.txt && cp described.json models/model.json"
COUNT = "wc -l data.txt > count.txt"
MODEL = {"model_type": "a", "params": {"seed": 1, "copy": {"rows": 3, "how": "fast"}, "model": {"k": 1}}}
STAGES = {
    "copy": {
        "cmd": COPY,
        "deps": ["in.txt", "wing", "shared.py", "own.py"],
        "params": ["seed", "copy", "model.type", "model.${model.type}"],
        "outs": ["data.txt", "models/model.json"],
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
    (folder / "wing").mkdir()
    for name in ("in.txt", "wing/module.py", "shared.py", "own.py"):
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    (folder / "described.json").write_text(json.dumps(MODEL), encoding="utf-8")
    (folder / "models").mkdir()
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


def test_a_model_that_dvc_lock_does_not_tell_of_is_named(ran: Clone, root: Path, tmp_path: Path) -> None:
    """As when params.yaml was edited before DVC wrote dvc.lock, which `dvc status` finds up to date."""
    project = ran.copy_to(tmp_path / "here")
    assert check(project, root) == []
    project.set_params({"copy.rows": 5, "model.a.k": 7})
    project.dvc("commit", "--force", "--quiet")
    assert "up to date" in project.dvc("status")
    assert sorted(check(project, root, fails=True)) == [
        f"{key}: dvc.lock has {given}, models/model.json was trained with {used} (copy); "
        "run: dvc repro --force --single-item train, then dvc repro"
        for key, given, used in (("copy.rows", 5, 3), ("model.a.k", 7, 1))
    ]


def test_a_model_whose_description_is_broken_is_named(ran: Clone, root: Path, tmp_path: Path) -> None:
    project = ran.copy_to(tmp_path / "here")
    (project.folder / "models/model.json").write_text("{", encoding="utf-8")
    (line,) = check(project, root, fails=True)
    assert "models/model.json: not what the stage train writes" in line


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
    (project.folder / "wing/added.py").touch()
    (project.folder / "count.txt").write_text("99 data.txt\n", encoding="utf-8")
    assert sorted(check(project, root, fails=True)) == [
        "count.txt: modified since dvc.lock was written (count); run: dvc repro",
        "own.py: deleted since dvc.lock was written (copy); run: dvc repro",
        "shared.py: modified since dvc.lock was written (copy, count); run: dvc repro",
        "wing: modified since dvc.lock was written (copy); run: dvc repro",
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
        ("params.yaml", "seed: 2020-02-24\n", "seed: given 2020-02-24, should be in quotes: '2020-02-24'"),
        ("params.yaml", f"seed: {'[' * 2000}{']' * 2000}\n", "nested deeper than 20 levels"),
        ("dvc.yaml", "stages: {copy: {}}\n", "dvc.yaml"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    project: Clone, root: Path, name: str, text: str, message: str
) -> None:
    (project.folder / name).write_text(text, encoding="utf-8")
    lines = check(project, root, fails=True)
    assert message in lines[0]
    assert lines[-1].endswith("fix it, then run: dvc repro")
