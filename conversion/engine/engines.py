"""Engines: what runs a function for each part of the tables, here or on other machines.

The function is the same for every engine, takes the number of a part, reads and writes the files of that
part, and returns a small summary. Results are in the order of the parts, whichever ends first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from conversion.config.params import EngineParams

PartFunction = Callable[[int], Any]
"""Takes the number of a part, returns its summary. It can be pickled: a function of a module, or a
`functools.partial` of one."""


class Engine(ABC):
    """Runs functions on parts; a context manager that starts and stops what it needs."""

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""

    @abstractmethod
    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part and its summary as they end; a part's error ends the run."""


class LocalEngine(Engine):
    """One part after the other, in this process."""

    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part and its summary."""
        for part in parts:
            yield part, function(part)


def engine_of(params: EngineParams) -> Engine:
    """Return the engine that params.yaml asks for, not yet started."""
    return LocalEngine()
