"""Does dvc.lock tell of what stands here? ``python -m commands.check_lock``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from conversion.errors import UserError
from conversion.stage import run

NOTHING: Final = object()
REMEDY: Final = "run: dvc repro"


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
    if isinstance(recorded, dict) and isinstance(given, dict):
        for name in dict.fromkeys((*recorded, *given)):
            yield from changed_keys(recorded.get(name, NOTHING), given.get(name, NOTHING), f"{key}.{name}")
    elif recorded != given:
        yield f"{key}: dvc.lock has {_shown(recorded)}, params.yaml has {_shown(given)}"


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


def by_difference(found: Iterable[tuple[str, str]]) -> list[str]:
    """Give each difference one line, with the stages that it concerns.

    Parameters
    ----------
    found
        Stages and what differs for each, in any order.

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
    return [f"{line} ({', '.join(names)}); {REMEDY}" for line, names in stages.items()]


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
        with Repo(root) as repo:
            return by_difference(
                (stage.name, line) for stage in repo.index.stages for line in stage_differences(stage)
            )
    except DvcException as error:
        raise UserError(f"{error}; mend it, then {REMEDY}") from error


def main() -> None:
    """Stop with one line for each difference."""
    lines = differences(".")
    if lines:
        raise UserError("\n".join(lines))


if __name__ == "__main__":
    run(main)
