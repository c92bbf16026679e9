from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from conversion.batches import BatchQueue
from conversion.refusals import RefusalError


def test_batches_are_answered_one_at_a_time_beside_the_loop() -> None:
    queue, running, most = BatchQueue(1000), 0, 0

    def answer(body: bytes) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        assert threading.current_thread() is not threading.main_thread()
        threading.Event().wait(0.01)
        running -= 1
        return len(body)

    async def ask_all() -> list[int]:
        answers: list[int] = []

        async def ask(size: int) -> None:
            answers.append(await queue.run(answer, bytes(size)))

        async with anyio.create_task_group() as tasks:
            for size in range(1, 6):
                tasks.start_soon(ask, size)
        return answers

    assert sorted(anyio.run(ask_all)) == [1, 2, 3, 4, 5]
    assert most == 1
    assert queue.bytes == 0


def test_more_than_may_wait_is_refused_and_what_waits_is_not() -> None:
    queue, release = BatchQueue(100), threading.Event()

    def answer(body: bytes) -> int:
        assert release.wait(10)
        return len(body)

    async def ask_all() -> tuple[list[int], RefusalError]:
        answers: list[int] = []

        async def ask(size: int) -> None:
            answers.append(await queue.run(answer, bytes(size)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, 60)
            tasks.start_soon(ask, 40)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RefusalError) as refused:
                await queue.run(answer, b"1")
            release.set()
        return answers, refused.value

    answers, refused = anyio.run(ask_all)
    assert sorted(answers) == [40, 60]
    assert refused.status == 429
    assert refused.headers == {"Retry-After": "1"}
    assert "100 bytes wait" in refused.body.error


def test_a_lone_batch_may_be_larger_and_one_that_fails_leaves_its_place() -> None:
    queue = BatchQueue(10)

    def fail(body: bytes) -> int:
        raise ValueError(len(body))

    with pytest.raises(ValueError, match="50"):
        anyio.run(queue.run, fail, bytes(50))
    assert queue.bytes == 0
    assert anyio.run(queue.run, len, bytes(50)) == 50
