"""Does dvc.lock tell of what stands here? ``python -m commands.check_lock``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from conversion.runtime.cli import run
from conversion.runtime.errors import ParamsError, UserError
from conversion.runtime.files import read_json
from conversion.runtime.yaml_values import NOTHING, changes, read_values, value_at

MODEL: Final = "models/model.json"
REMEDY: Final = "run: dvc repro"
RETRAIN: Final = "run: dvc repro --force --single-item train, then dvc repro"


def changed_keys(recorded: object, given: object, key: str) -> Iterator[str]:
    """Compare two values of a key of params.yaml, sections key by key.

    Parameters
    ----------
    recorded, given
        What dvc.lock and what params.yaml has: YAML's values, or `NOTHING`.
    key
        The dotted path of both.

    Yields
    ------
    str
        What differs, one key at a time.

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
    """Compare the params of a stage.

    Parameters
    ----------
    recorded, given
        The stage's params by the keys under which dvc.yaml lists them, in dvc.lock and in params.yaml.
    keys
        Those keys.

    Returns
    -------
    list of str
        What differs, one line a key of params.yaml.
    """
    return [
        line
        for key in keys
        for line in changed_keys(recorded.get(key, NOTHING), given.get(key, NOTHING), key)
    ]


def by_difference(found: Iterable[tuple[str, str]], remedy: str = REMEDY) -> list[str]:
    """Give each difference one line, with the stages that it concerns.

    Parameters
    ----------
    found
        Stages and what differs for each, in any order.
    remedy
        What to do, at the end of each line.

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

    Only what is in git is looked at: the command, the params, the modules, and metrics and plots. So the data
    need not be there.

    Parameters
    ----------
    stage
        A stage as DVC has loaded it, with what dvc.lock says of it.

    Returns
    -------
    list of str
        What differs, one line each.
    """
    from dvc.dependency.param import ParamsDependency

    lines = [f"{stage.cmd}: dvc.lock has another command"] if stage.cmd_changed else []
    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency):
            recorded = dependency.hash_info.value or {}
            lines += changed_params(recorded, dependency.read_params(), dependency.params)
        elif dependency.def_path.endswith(".py"):
            lines += _file_differences(dependency)
    return [*lines, *(line for out in stage.outs if not out.use_cache for line in _file_differences(out))]


def trained_with(description: dict[str, Any], key: str) -> Any:
    """Find what a model was trained with.

    Parameters
    ----------
    description
        A model's, as `stages.train` writes it.
    key
        One of those by which dvc.yaml lists the params of ``train``.

    Returns
    -------
    object
        The value, in the form that dvc.lock has it in; `NOTHING` where the description has none.

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
    """Compare a model with what dvc.lock says that it was trained with.

    They differ where params.yaml was edited in the moment between the end of ``train`` and that in which DVC
    wrote dvc.lock.

    Parameters
    ----------
    recorded
        The stage's params in dvc.lock, by the keys under which dvc.yaml lists them.
    description
        The model's.

    Yields
    ------
    str
        What differs, one key at a time.
    """
    kind = recorded.get("model.type")
    used = {"model.type", f"model.{kind}"}
    if kind == "ensemble":
        used |= {f"model.{name}" for name in recorded.get("model.ensemble", {}).get("members", ())}
    searched = bool(description.get("search"))  # then the model has other hyperparameters than it was given
    for key, value in recorded.items():
        inactive = key.startswith("model.") and (key not in used or (searched and key != "model.type"))
        if not inactive:
            for name, old, new in changes(value, trained_with(description, key), key):
                yield f"{name}: dvc.lock has {_shown(old)}, {MODEL} was trained with {_shown(new)}"


def _differences_of_model(stage: Any) -> list[str]:
    """Compare the model with the entry in dvc.lock of the stage that writes it, where it is here."""
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
        What differs, one line each, see `by_difference`.

    Raises
    ------
    UserError
        DVC cannot read dvc.yaml, dvc.lock or params.yaml.
    """
    # Here, so that importing this module takes no second.
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        # What DVC would stop at with an error of Python's: a date without quotes, endless nesting.
        read_values(Path(root) / "params.yaml")
        with Repo(root) as repo:
            stages = list(repo.index.stages)
            behind = [(stage.name, line) for stage in stages for line in stage_differences(stage)]
            other = [(stage.name, line) for stage in stages for line in _differences_of_model(stage)]
            return [*by_difference(behind), *by_difference(other, RETRAIN)]
    except (DvcException, ParamsError) as error:
        raise UserError(f"{error}; fix it, then {REMEDY}") from error


def main() -> None:
    """Stop with one line for each difference."""
    lines = differences(".")
    if lines:
        raise UserError("\n".join(lines))


if __name__ == "__main__":
    run(main)
