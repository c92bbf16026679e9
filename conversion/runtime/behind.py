"""Work on some things while the next are being made, such as writing a table while the next is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Made = TypeVar("Made")
Result = TypeVar("Result")


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
    for _ in results_of(made, work, threads=1):
        pass


def results_of(made: Iterable[Made], work: Callable[[Made], Result], threads: int) -> Iterator[Result]:
    """Call ``work`` with each item on one of several threads, and yield the results in the items' order.

    One item more than there are threads, or its result, is held at a time, so that memory stays bounded.

    Parameters
    ----------
    made
        Makes the items one by one.
    work
        What it raises is raised in place of its result.
    threads
        At least 1.

    Examples
    --------
    >>> list(results_of(iter([3, 1, 2]), str, threads=2))
    ['3', '1', '2']
    """
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        for item in made:
            # Waited for before the next is begun: on one thread nothing follows an item that failed.
            ended = [begun.popleft().result()] if len(begun) == threads else []
            begun.append(pool.submit(work, item))
            yield from ended
        while begun:
            yield begun.popleft().result()
