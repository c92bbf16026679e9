"""Engines: what runs a function for each part of the tables, here or on other machines.

The function is the same for every engine, takes the number of a part, reads and writes the files of that
part, and returns a small summary. Parts may end in any order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

PartFunction = Callable[[int], Any]
"""Takes the number of a part, returns its summary. It can be pickled: a function of a module of conversion,
or a `functools.partial` of one. It has only the parts' files in common with other calls."""


class Engine(ABC):
    """Runs functions on parts."""

    @abstractmethod
    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield each part and its summary as they end; the first error of a part ends the run.

        Raises
        ------
        EngineError
            What works on the parts cannot be started, or was lost.
        """
