"""Ways to break params.yaml, and what the message about it then has to say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from conversion.config.params_file import load_params
from conversion.runtime import cli

Mutation = Callable[[str], str | bytes]


def holder(params: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The section that a dotted key is in, and its name there."""
    *sections, name = key.split(".")
    for section in sections:
        params = params[section]
    return params, name


def with_key(key: str, value: Any) -> Mutation:
    """The shipped params with one key set to a value."""
    return with_keys({key: value})


def with_keys(values: dict[str, Any]) -> Mutation:
    def mutate(text: str) -> str:
        params = yaml.safe_load(text)
        for key, value in values.items():
            section, name = holder(params, key)
            section[name] = value
        return yaml.safe_dump(params, sort_keys=False)

    return mutate


def with_raw(key: str, raw: str) -> Mutation:
    """The shipped params with one key set to what is literally written."""
    return lambda text: str(with_key(key, "PLACEHOLDER")(text)).replace("PLACEHOLDER", raw)


def without_key(key: str) -> Mutation:
    def mutate(text: str) -> str:
        params = yaml.safe_load(text)
        section, name = holder(params, key)
        del section[name]
        return yaml.safe_dump(params, sort_keys=False)

    return mutate


def only(content: str | bytes) -> Mutation:
    return lambda _: content


def one_of(kind: Any) -> str:
    """The choices of a key, as the message lists them."""
    *first, last = map(repr, get_args(kind))
    return f"{', '.join(first)} or {last}"


def case(name: str, mutation: Mutation, *says: str) -> Any:
    return pytest.param(mutation, says, id=name)


def broken_file(folder: Path, mutation: Mutation, shipped: str) -> Path:
    path = folder / "params.yaml"
    content = mutation(shipped)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check_that_loading_stops(
    mutation: Mutation, says: tuple[str, ...], shipped: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Break the shipped file, load it, and check that its one message names the fault."""
    path = broken_file(folder, mutation, shipped)

    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit) as exit_:
        cli.run(lambda: load_params(path) and None)

    assert exit_.value.code == 2
    (record,) = caplog.records  # one fault, one line
    message = record.getMessage()
    assert message.startswith(f"{path}: ")
    for part in says:
        assert part in message
    assert len(message) < len(str(path)) + 500
    assert "\n" not in message
    assert record.exc_info is None
