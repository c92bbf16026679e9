"""Work on items while the next are being made."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from conversion.runtime.behind import results_of, work_behind


def test_an_item_is_worked_on_while_the_next_is_made() -> None:
    begun, made = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert begun.wait(10), "the first is worked on before the second is made"
        made.set()
        yield 2

    def work(item: int) -> None:
        if item == 1:
            begun.set()
            assert made.wait(10), "the second is made before the first is done"

    work_behind(items(), work)


def test_no_more_than_one_item_waits() -> None:
    done: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            assert len(done) >= item - 2
            yield item

    work_behind(items(), done.append)
    assert done == [*range(20)]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_what_work_raises_is_raised_and_nothing_follows(failing: int) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == failing:
            raise OSError("no space left")
        done.append(item)

    with pytest.raises(OSError, match="no space left"):
        work_behind(iter(range(3)), work)
    assert done == [*range(failing)]


def test_what_making_raises_is_raised_after_the_last_item_is_done() -> None:
    done: list[int] = []

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("cannot be made")

    with pytest.raises(ValueError, match="cannot be made"):
        work_behind(items(), done.append)
    assert done == [1]


def test_results_are_in_order_though_a_later_one_is_there_first() -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later.wait(10), "the second item is worked on beside the first"
        else:
            later.set()
        return item * item

    assert list(results_of(range(5), work, threads=2)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_items_are_made_than_threads_and_one(threads: int) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            yield item

    for got, result in enumerate(results_of(items(), int, threads)):
        assert result == got
        assert len(made) <= got + threads + 1


def test_what_work_raises_is_raised_in_place_of_its_result() -> None:
    results = results_of([1, 0, 2], lambda item: 6 // item, threads=2)
    assert next(results) == 6
    with pytest.raises(ZeroDivisionError):
        next(results)
