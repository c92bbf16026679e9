"""Work on one thing while the next is being made, such as writing a table while the next is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Made = TypeVar("Made")


def work_behind(made: Iterable[Made], work: Callable[[Made], Any]) -> None:
    """Call ``work`` with each item, in their order, on a thread beside the one that makes the items.

    While an item is made, at most one other is worked on or waits for it, so that memory stays bounded. It
    saves time where most of the work is compiled code that lets Python run beside it, such as compression.

    Parameters
    ----------
    made
        Makes the items one by one.
    work
        What it raises is raised here, at the latest after the next item is made.

    Examples
    --------
    >>> seen = []
    >>> work_behind(iter([3, 1, 2]), seen.append)
    >>> seen
    [3, 1, 2]
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        last: Future[Any] | None = None
        for item in made:
            if last is not None:
                last.result()
            last = thread.submit(work, item)
        if last is not None:
            last.result()
