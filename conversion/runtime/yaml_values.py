"""Strict YAML: numbers as DVC reads them, no repeated key, no bare date; and comparison of values."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from conversion.runtime.errors import InputError, ParamsError
from conversion.runtime.files import writer_of

MAX_DEPTH: Final = 20
"""Maximum depth of params.yaml, which needs five levels."""
NOTHING: Final = object()
"""Stands for the value of a missing key."""


class BareDate(str):
    """A date without quotes in params.yaml, which DVC and so this project refuse."""

    __slots__ = ()


def read_values(
    path: str | Path = "params.yaml",
    keys: Iterable[str] = (),
    missing: str = "run from the root of the project",
) -> dict[str, Any]:
    """Read a YAML file as DVC does, without checking names, types and ranges.

    Parameters
    ----------
    path
        The file.
    keys
        The top-level keys to name in the error about a file without keys.
    missing
        What to do if the file is missing and no stage writes it.

    Raises
    ------
    ParamsError
        The file is missing, not YAML, or has a date without quotes.
    InputError
        The file is missing, and a stage of dvc.yaml writes it.
    """
    if "\0" in str(path):
        raise ParamsError(f"{shorten(str(path))}: cannot be read: a name has no NUL character")
    try:
        # The loader is a SafeLoader with other number and date patterns: it makes no objects.
        raw = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except FileNotFoundError as error:
        if (stage := writer_of(path)) is not None:
            raise InputError(
                f"{path}: not found; the stage {stage} writes it: run 'dvc repro {stage}'"
            ) from error
        raise ParamsError(f"{path}: not found; {missing}") from error
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not valid YAML: {_yaml_fault(error)}; save it as UTF-8") from error
    except (yaml.YAMLError, ValueError, LookupError) as error:
        # Tags such as !!int and !!bool convert what is written.
        raise ParamsError(f"{path}: not valid YAML: {_yaml_fault(error)}") from error
    if not isinstance(raw, dict):
        found = "an empty file" if raw is None else shorten(raw)
        raise ParamsError(f"{path}: given {found}, should have the keys {', '.join(keys)}")
    bare = [
        f"{path}: {key}: given {date}, should be in quotes: '{date}'; DVC cannot read a date without them"
        for key, date in _bare_dates(raw)
    ]
    if bare:
        raise ParamsError("\n".join(bare))
    return raw


def read_own(path: str | Path) -> Any:
    """Read one of DVC's own files, which DVC itself checks: with libyaml it takes a sixth of the time.

    Raises
    ------
    OSError, ValueError, yaml.YAMLError
        It cannot be read, or is not YAML.
    """
    # A PyYAML that was built without libyaml has no such loader. Both make plain values only.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506


def _bare_dates(values: dict[str, Any]) -> Iterator[tuple[str, BareDate]]:
    """Find the dates without quotes, by their dotted keys; aliased values are visited once."""
    waiting: list[tuple[str, object]] = [("", values)]
    seen: set[int] = set()
    while waiting:
        key, node = waiting.pop()
        if isinstance(node, BareDate):
            yield key, node
        elif isinstance(node, dict | list) and id(node) not in seen:
            seen.add(id(node))
            below = node.items() if isinstance(node, dict) else [("", each) for each in node]
            waiting += [(f"{key}.{name}".strip("."), each) for name, each in below][::-1]


class _Loader(yaml.SafeLoader):
    """Reads numbers as DVC writes them (``1e-05``), and dates as `BareDate`, which are refused by key."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - typed as in the base class
        first: [
            *resolvers,
            ("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")),
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse nesting so deep that reading it would exhaust the stack."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_bare_date(self, node: yaml.ScalarNode) -> BareDate:
        """Return a date without quotes as it is written."""
        return BareDate(self.construct_scalar(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a repeated key, which would silently override the first."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} is given twice; keep one of them", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_bare_date)


def _yaml_fault(error: Exception) -> str:
    """Describe in one line where the YAML is invalid, and why."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark and error.problem:
        mark = error.problem_mark
        hint = "; indent with spaces, not with tabs" if "'\\t'" in error.problem else ""
        context = f" ({error.context})" if error.context else ""
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{context}{hint}"
    return " ".join(str(error).split())


def shorten(value: object) -> str:
    """Return a value as params.yaml would have it, on one line and shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    short.maxlevel = 2
    return " ".join(short.repr(value).split())


def value_at(values: Any, key: str) -> Any:
    """Return the value of a dotted key, `NOTHING` if it is missing.

    Examples
    --------
    >>> value_at({"model": {"ensemble": {"members": ["a", "b"]}}}, "model.ensemble.members[-1]")
    'b'
    """
    for name in re.findall(r"[^.\[\]]+", key):
        try:
            values = values[int(name)] if isinstance(values, list) else values[name]
        except (KeyError, IndexError, TypeError, ValueError):
            return NOTHING
    return values


def changes(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """Compare two values of a key of params.yaml, sections key by key.

    Yields
    ------
    tuple
        The dotted key and its two values, one of which may be `NOTHING`.

    Examples
    --------
    >>> list(changes({"weeks": 30, "companies": 500}, {"weeks": 30, "companies": 900}, "simulate"))
    [('simulate.companies', 500, 900)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            yield from changes(old.get(name, NOTHING), new.get(name, NOTHING), f"{key}.{name}")
    elif old != new:
        yield key, old, new


def as_written(value: object) -> str:
    """Return a value, or "nothing", as params.yaml would have it, shortened."""
    return "nothing" if value is NOTHING else shorten(value)
