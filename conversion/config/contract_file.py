"""Reading a contract file: each wrong key is reported with what was given and what is allowed."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from conversion.config.data_contract import AnyAttribute, Category, Contract
from conversion.runtime.errors import ParamsError
from conversion.runtime.yaml_values import read_values, shorten

KINDS: Final[dict[str, type[BaseModel]]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(get_args(AnyAttribute)[0])
}
"""The models of attributes by their ``kind``."""


def load_contract(path: str | Path) -> Contract:
    """Read and check a contract file.

    Parameters
    ----------
    path
        The YAML file, ``data.contract`` of params.yaml.

    Returns
    -------
    Contract
        The checked, frozen values.

    Raises
    ------
    ParamsError
        The file is missing, is not YAML, or keys are unknown, missing, of the wrong kind, or name a column
        twice; the message lists every such key, what was given and what is allowed.
    """
    raw = read_values(path, Contract.model_fields)
    try:
        return Contract.model_validate(raw)
    except ValidationError as error:
        lines = [describe_fault(dict(fault)) for fault in error.errors(include_url=False)]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from error


def read_groups(path: str | Path, category: Category) -> dict[str, str]:
    """Read the file that puts the levels of a category into groups.

    Parameters
    ----------
    path
        A YAML file with the keys ``groups``, lists of levels by group, and optionally ``unknown``, levels
        that say as little as a missing value.
    category
        The attribute that names the file.

    Returns
    -------
    dict of str
        The group of each listed level, in the order of the file; levels under ``unknown`` last, in
        `Category.unknown`.

    Raises
    ------
    ParamsError
        The file is missing, is not YAML, or is not made so; or a level is in two groups.
    """
    raw = read_values(path, ("groups", "unknown"))
    strange = [key for key in raw if key not in ("groups", "unknown")]
    groups, unknown = raw.get("groups"), raw.get("unknown", [])
    listed = isinstance(groups, dict) and all(map(_is_list_of_text, groups.values()))
    if strange or not groups or not listed or not _is_list_of_text(unknown):
        raise ParamsError(
            f"{path}: should have the key groups, with a list of levels for each group, and may have the key "
            f"unknown, a list of levels; given {shorten(raw)}"
        )
    found: dict[str, str] = {}
    for group, levels in {**groups, category.unknown: unknown}.items():
        for level in levels:
            if found.setdefault(level, group) != group:
                raise ParamsError(f"{path}: {level} is in {found[level]} and in {group}; keep one of them")
    return found


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def describe_fault(fault: dict[str, Any]) -> str:
    """Write one of pydantic's faults as one line: the key, what was given and what is allowed."""
    location = tuple(name for name in fault["loc"] if name not in KINDS)
    key = ".".join(map(str, location)) or "the contract"
    given = shorten(fault["input"])
    if fault["type"] == "extra_forbidden":
        allowed = list(_model_at(fault["loc"][:-1]).model_fields)
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{key}: unknown key, given {given}; allowed here: {', '.join(allowed)}{hint}"
    if fault["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        found = fault["input"].get("kind") if isinstance(fault["input"], dict) else fault["input"]
        return f"{key}.kind: given {shorten(found)}, should be {', '.join(KINDS)}"
    meaning = _meaning(fault["loc"])
    if fault["type"] == "missing":
        return f"{key}: given nothing, add it{meaning}"
    if fault["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return f"{key}: given {given}, should be a section of keys{meaning}"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    if not meaning:
        return f"{key}: {message}"
    return f"{key}: given {given}, {message.replace('a valid tuple', 'a list')}{meaning}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model at a path of keys; names of tables, columns and modules are stepped over."""
    model: type[BaseModel] = Contract
    for name in location:
        if name in KINDS:
            model = KINDS[str(name)]
        elif name in model.model_fields:
            model = _model_in(model.model_fields[str(name)].annotation) or model
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Find the model in a type such as ``Named | None`` or ``dict[str, Module]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = [found for each in get_args(annotation) if (found := _model_in(each))]
    return models[0] if len(models) == 1 else None


def _meaning(location: tuple[int | str, ...]) -> str:
    for end in range(len(location), 0, -1):
        field = _model_at(location[: end - 1]).model_fields.get(str(location[end - 1]))
        if field and field.description:
            return f" ({field.description})"
    return ""
