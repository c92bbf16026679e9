"""Check that dvc.lock matches the working tree: ``python -m commands.check_lock``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from conversion.config.model_params import AUTO
from conversion.runtime.cli import run
from conversion.runtime.errors import ParamsError, UserError
from conversion.runtime.files import read_json
from conversion.runtime.yaml_values import NOTHING, changes, read_values, value_at

MODEL: Final = "models/model.json"
QUADRATIC: Final = "model.logistic_regression.quadratic"
REMEDY: Final = "run: dvc repro"
RETRAIN: Final = "run: dvc repro --force --single-item train, then dvc repro"


def changed_keys(recorded: object, given: object, key: str) -> Iterator[str]:
    """Compare two values of a key of params.yaml, sections key by key.

    Parameters
    ----------
    recorded, given
        The values in dvc.lock and in params.yaml, or `NOTHING`.
    key
        The dotted path of both values.

    Yields
    ------
    str
        One line for each key that differs.

    Examples
    --------
    >>> list(changed_keys({"companies": 500, "weeks": 30}, {"companies": 900, "weeks": 30}, "simulate"))
    ['simulate.companies: dvc.lock has 500, params.yaml has 900']
    """
    for name, old, new in changes(recorded, given, key):
        yield f"{name}: dvc.lock has {_shown(old)}, params.yaml has {_shown(new)}"


def _shown(value: object) -> str:
    return "nothing" if value is NOTHING else repr(value)


def changed_params(recorded: dict[str, Any], given: dict[str, Any], keys: list[str]) -> list[str]:
    """Compare the params of a stage in dvc.lock and in params.yaml.

    Parameters
    ----------
    recorded, given
        The values by the keys that dvc.yaml lists for the stage.
    keys
        Those keys.

    Returns
    -------
    list of str
        One line for each key of params.yaml that differs.
    """
    return [
        line
        for key in keys
        for line in changed_keys(recorded.get(key, NOTHING), given.get(key, NOTHING), key)
    ]


def by_difference(found: Iterable[tuple[str, str]], remedy: str = REMEDY) -> list[str]:
    """Write each difference once, with the stages that it concerns.

    Parameters
    ----------
    found
        Pairs of a stage and a difference, in any order.
    remedy
        The advice at the end of each line.

    Returns
    -------
    list of str

    Examples
    --------
    >>> by_difference([("train", "seed: changed"), ("train", "seed: changed"), ("score", "seed: changed")])
    ['seed: changed (train, score); run: dvc repro']
    """
    stages: dict[str, dict[str, None]] = {}
    for stage, line in found:
        stages.setdefault(line, {})[stage] = None
    return [f"{line} ({', '.join(names)}); {remedy}" for line, names in stages.items()]


def stage_differences(stage: Any) -> list[str]:
    """Compare a stage with its entry in dvc.lock.

    Only what is in git is compared: the command, the params, the code, metrics and plots. The data may be
    missing.

    Parameters
    ----------
    stage
        A stage as DVC loaded it from dvc.yaml and dvc.lock.

    Returns
    -------
    list of str
        One line for each difference.
    """
    from dvc.dependency.param import ParamsDependency

    lines = [f"{stage.cmd}: dvc.lock has another command"] if stage.cmd_changed else []
    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency):
            recorded = dependency.hash_info.value or {}
            lines += changed_params(recorded, dependency.read_params(), dependency.params)
        elif _is_code(Path(dependency.fs_path)):
            lines += _file_differences(dependency)
    return [*lines, *(line for out in stage.outs if not out.use_cache for line in _file_differences(out))]


def _is_code(path: Path) -> bool:
    """Return whether a dependency is a module or a folder of modules."""
    return path.suffix == ".py" or any(path.glob("*.py"))


def trained_with(description: dict[str, Any], key: str) -> Any:
    """Return the value of a param that a model was trained with.

    Parameters
    ----------
    description
        The content of models/model.json, as `stages.train` writes it.
    key
        One of the keys that dvc.yaml lists for ``train``.

    Returns
    -------
    object
        The value in the form of dvc.lock; `NOTHING` if the description has none.

    Examples
    --------
    >>> params = {"seed": 1, "model": {"members": {"a": {"k": 2}, "b": {}}}}
    >>> both = {"model_type": "ensemble", "params": params}
    >>> [trained_with(both, key) for key in ("seed", "model.type", "model.a", "model.ensemble")]
    [1, 'ensemble', {'k': 2}, {'members': ['a', 'b']}]
    """
    if key == "model.type":
        return value_at(description, "model_type")
    if not key.startswith("model."):
        return value_at(description, f"params.{key}")
    model = value_at(description, "params.model")
    members = value_at(model, "members")
    if members is NOTHING:
        return model
    name = key.removeprefix("model.")
    return {"members": list(members)} if name == "ensemble" else value_at(members, name)


def model_differences(recorded: dict[str, Any], description: dict[str, Any]) -> Iterator[str]:
    """Compare the params that dvc.lock records for a model with those it was trained with.

    They differ if params.yaml was edited after ``train`` ended and before DVC wrote dvc.lock.

    Parameters
    ----------
    recorded
        The stage's params in dvc.lock, by the keys that dvc.yaml lists.
    description
        The content of models/model.json.

    Yields
    ------
    str
        One line for each key that differs.
    """
    kind = recorded.get("model.type")
    used = {"model.type", f"model.{kind}"}
    if kind == "ensemble":
        used |= {f"model.{name}" for name in recorded.get("model.ensemble", {}).get("members", ())}
    searched = bool(description.get("search"))  # the search replaced the given hyperparameters
    for key, value in recorded.items():
        inactive = key.startswith("model.") and (key not in used or (searched and key != "model.type"))
        if not inactive:
            for name, old, new in changes(value, trained_with(description, key), key):
                # The model's description has the features that the word stands for.
                if not (name == QUADRATIC and isinstance(old, list) and AUTO in old):
                    yield f"{name}: dvc.lock has {_shown(old)}, {MODEL} was trained with {_shown(new)}"


def _differences_of_model(stage: Any) -> list[str]:
    """Compare models/model.json, if it is here, with the entry in dvc.lock of the stage that writes it."""
    from dvc.dependency.param import ParamsDependency

    written = [out for out in stage.outs if out.def_path == MODEL and out.exists]
    return [
        line
        for out in written
        for dependency in stage.deps
        if isinstance(dependency, ParamsDependency)
        for line in model_differences(dependency.hash_info.value or {}, read_json(str(out)))
    ]


def _file_differences(file: Any) -> list[str]:
    if not file.hash_info:
        return [f"{file}: is not in dvc.lock"]
    return [f"{path}: {what} since dvc.lock was written" for path, what in file.workspace_status().items()]


def differences(root: str) -> list[str]:
    """Compare every stage of dvc.yaml with its entry in dvc.lock.

    Parameters
    ----------
    root
        The project's folder.

    Returns
    -------
    list of str
        One line for each difference, see `by_difference`.

    Raises
    ------
    UserError
        DVC cannot read dvc.yaml, dvc.lock or params.yaml.
    """
    # Imported here because importing DVC takes a second.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        # DVC would fail with a Python error on a date without quotes or on endless nesting.
        read_values(Path(root) / "params.yaml")
        with Repo(root) as repo:
            stages = list(repo.index.stages)
            behind = [(stage.name, line) for stage in stages for line in stage_differences(stage)]
            other = [(stage.name, line) for stage in stages for line in _differences_of_model(stage)]
            return [*by_difference(behind), *by_difference(other, RETRAIN)]
    except (DvcException, ParamsError) as error:
        raise UserError(f"{error}; fix it, then {REMEDY}") from error


def main() -> None:
    """Exit with an error that has one line for each difference."""
    lines = differences(".")
    if lines:
        raise UserError("\n".join(lines))


if __name__ == "__main__":
    run(main, sys.argv[1:])
