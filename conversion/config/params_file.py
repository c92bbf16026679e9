"""Reading params.yaml: each wrong key is reported with what was given and what is allowed."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conversion.config.params import Params, section_at
from conversion.runtime.errors import ParamsError
from conversion.runtime.yaml_values import read_values, shorten


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check the params file.

    Parameters
    ----------
    path
        The YAML file.

    Returns
    -------
    Params
        The checked, frozen values.

    Raises
    ------
    ParamsError
        The file is missing, is not YAML, or some keys are unknown, missing, of the wrong type or out of
        range; the message lists every such key, what was given and what is allowed.
    """
    raw = read_values(path, Params.model_fields)
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(dict(fault)) for fault in error.errors(include_url=False)]
        raise ParamsError("\n".join(f"{path}: {line}" for line in lines)) from error


def _describe(fault: dict[str, Any]) -> str:
    location = tuple(fault["loc"])
    key = ".".join(map(str, location))
    given = shorten(fault["input"])
    if fault["type"] in {"extra_forbidden", "invalid_key"}:
        allowed = list(section_at(location[:-1]).model_fields)
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{key}: unknown key, given {given}; allowed here: {', '.join(allowed)}{hint}"
    if fault["type"] == "missing":
        return f"{key}: given nothing, add it: {_meaning(location)}"
    if fault["type"] == "model_type":
        return f"{key}: given {given}, should be a section: {_meaning(location)}"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("Value ")
    message = re.sub(r" after validation, not \d+$", "", message.replace("a valid tuple", "a list"))
    return f"{key}: given {given}, {message} ({_meaning(location)})"


def _meaning(location: tuple[int | str, ...]) -> str:
    """Return what a key is for, or which keys a section has; a list explains its items."""
    names = [name for name in location if isinstance(name, str)]
    field = section_at(tuple(names[:-1])).model_fields[names[-1]] if names else None
    if field and field.description:
        return field.description
    return f"keys {', '.join(section_at(tuple(names)).model_fields)}"
