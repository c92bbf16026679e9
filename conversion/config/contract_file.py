"""Reading a contract file: each wrong key is reported with what was given and what is allowed."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from conversion.config.attribute_kinds import AnyAttribute, Category, GroupsFile
from conversion.config.data_contract import Contract
from conversion.runtime.errors import ParamsError
from conversion.runtime.yaml_values import read_values, shorten

MISSING: Final = (
    "set data.contract in params.yaml to the file of your contract; "
    "python -m commands.draft_contract drafts one"
)
"""What to do about a contract file that is missing."""
KINDS: Final[dict[str, type[BaseModel]]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(get_args(AnyAttribute)[0])
}
"""The models of attributes by their ``kind``."""


def load_contract(path: str | Path) -> Contract:
    """Read and check a contract file, with the groups files that it names.

    Parameters
    ----------
    path
        The YAML file, ``data.contract`` of params.yaml; or data/contract.json, which ``load`` writes.

    Returns
    -------
    Contract
        The checked, frozen values; `Category.groups` is a dict or None, whatever file it was read from.

    Raises
    ------
    ParamsError
        A file is missing, is not YAML, or keys are unknown, missing, of the wrong kind, or name a column
        twice; the message lists every such key, what was given and what is allowed.
    """
    raw = read_values(path, Contract.model_fields, MISSING)
    try:
        contract = Contract.model_validate(raw, context={"any_windows": True})
    except ValidationError as error:
        faults = _causes([dict(fault) for fault in error.errors(include_url=False)])
        lines = [line for fault in faults for line in _lines_of(fault)]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from error
    attributes = {
        name: _with_groups(each, Path(path), f"companies.attributes.{name}.groups")
        for name, each in contract.companies.attributes.items()
    }
    companies = contract.companies.model_copy(update={"attributes": attributes})
    return contract.model_copy(update={"companies": companies})


def _lines_of(fault: dict[str, Any]) -> list[str]:
    """Write a fault as one line, or as one for each of the names that stand for two things."""
    first, *others = describe_fault(fault).split("\n") if not fault["loc"] else [describe_fault(fault)]
    return [first, *(f"the contract: {line}" for line in others)]


def _with_groups(attribute: AnyAttribute, contract_file: Path, key: str) -> AnyAttribute:
    if not isinstance(attribute, Category) or not isinstance(attribute.groups, str):
        return attribute
    path = contract_file.parent / attribute.groups
    raw = read_values(path, ("groups", "says_nothing"), f"correct {key} in {contract_file}")
    try:
        # What the contract says of levels holds beside the file.
        read = GroupsFile.model_validate(raw)
        says_nothing = tuple(dict.fromkeys((*read.says_nothing, *attribute.says_nothing)))
        read = GroupsFile.model_validate({**raw, "says_nothing": says_nothing})
    except ValidationError as error:
        lines = [
            ": ".join([str(path), *filter(None, [".".join(map(str, fault["loc"]))]), _message(fault["msg"])])
            for fault in error.errors()
        ]
        raise ParamsError("\n".join(lines)) from error
    if attribute.unknown in read.groups:
        raise ParamsError(
            f"{path}: groups: {attribute.unknown} is what the contract calls the level of missing values; "
            "name one of them differently, or list the group's levels in says_nothing"
        )
    return attribute.model_copy(update=read.model_dump())


def _causes(faults: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the faults that follow from others: keys that could not be filled in."""
    wrong = [fault["loc"] for fault in faults]
    if any(loc[:2] == ("companies", "subscriptions") for loc in wrong):
        faults = [fault for fault in faults if fault["loc"] != ("companies", "converted")]
    if ("usage", "grain") in wrong:
        filled = ("actions", "users")
        faults = [fault for fault in faults if fault["type"] != "missing" or fault["loc"][-1] not in filled]
    faults = [fault for fault in faults if _of_given_kind(fault)]
    # A list seems too short without the items that are wrong.
    inside = {loc[:-1] for loc in wrong}
    faults = [fault for fault in faults if fault["type"] != "too_short" or fault["loc"] not in inside]
    cut = {loc[: loc.index("cuts")] for loc in wrong if "cuts" in loc}
    return [fault for fault in faults if not (fault["loc"][-1:] == ("levels",) and fault["loc"][:-1] in cut)]


def _of_given_kind(fault: dict[str, Any]) -> bool:
    """Return whether a fault is of the kind of groups that was given: pydantic tries a file and a section."""
    file = fault["loc"][-2:] == ("groups", "str")
    section = not file and str(fault["loc"][-1:]).startswith("('dict[")
    return not (file and isinstance(fault["input"], dict)) and not section


def _location(fault: dict[str, Any]) -> tuple[int | str, ...]:
    """Return the keys that lead to a fault, without what pydantic adds to them."""
    location = tuple(name for name in fault["loc"] if name not in KINDS)
    if "groups" not in location:
        return location
    place = location.index("groups") + 1
    added = location[place : place + 1]
    tried = added == ("str",) or str(added).startswith("('dict[")
    return location[:place] + location[place + tried :]


def describe_fault(fault: dict[str, Any]) -> str:
    """Write one of pydantic's faults as one line: the key, what was given and what is allowed."""
    location = _location(fault)
    key = ".".join(map(str, location)) or "the contract"
    given = shorten(fault["input"])
    if unquoted := _unquoted(fault, location):
        return unquoted
    if fault["type"] == "extra_forbidden":
        allowed = list(_model_at(fault["loc"][:-1]).model_fields)
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{key}: unknown key, given {given}; allowed here: {', '.join(allowed)}{hint}"
    if fault["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        found = fault["input"].get("kind") if isinstance(fault["input"], dict) else fault["input"]
        return f"{key}.kind: given {shorten(found)}, should be {', '.join(KINDS)}"
    if location[-1:] == ("[key]",) and fault["type"] == "string_pattern_mismatch":
        name = "a name of letters, digits and underscores, with a letter first"
        return f"{'.'.join(map(str, location[:-2]))}: given {given}, should be {name}"
    meaning = _meaning(fault["loc"])
    if fault["type"] == "missing":
        return f"{key}: given nothing, add it{meaning}"
    if fault["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return f"{key}: given {given}, should be a section of keys{meaning}"
    message = _message(fault["msg"])
    # Of a section, the message names the keys.
    if not meaning or (fault["type"] == "value_error" and isinstance(fault["input"], dict)):
        return f"{key}: {message}"
    return f"{key}: given {given}, {message}{meaning}"


def _message(message: str) -> str:
    """Return one of pydantic's messages without the words that lead it in, and in YAML's terms."""
    message = message.removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    return message.replace("a valid tuple", "a list")


def _unquoted(fault: dict[str, Any], location: tuple[int | str, ...]) -> str | None:
    """Describe text that YAML reads as something else, such as yes or a number; None if it is not that."""
    if fault["type"] not in {"string_type", "invalid_key"} or not isinstance(
        fault["input"], bool | int | float
    ):
        return None
    given = shorten(fault["input"])
    hint = "; YAML reads yes, no, on and off as true and false" if isinstance(fault["input"], bool) else ""
    if fault["type"] == "invalid_key":
        return f"{'.'.join(map(str, location[:-1]))}: given {given} as a key, put it in quotes{hint}"
    if location[-1:] == ("[key]",):
        return f"{'.'.join(map(str, location[:-2]))}: given {given} as a name, put it in quotes{hint}"
    return f"{'.'.join(map(str, location))}: given {given}, should be text: put it in quotes{hint}"


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
