from __future__ import annotations

import threading

import anyio
import anyio.to_thread
import pytest

from conversion.serving.batch_queue import BatchQueue, ByteLimit


def test_batches_are_answered_one_at_a_time_beside_the_loop() -> None:
    queue, running, most = BatchQueue(1000), 0, 0

    def answer(body: bytearray) -> int:
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
            answers.append(await queue.run(answer, bytearray(size)))

        async with anyio.create_task_group() as tasks:
            for size in range(1, 6):
                tasks.start_soon(ask, size)
        return answers

    assert sorted(anyio.run(ask_all)) == [1, 2, 3, 4, 5]
    assert most == 1


def test_more_bytes_than_may_be_held_are_refused_and_those_held_are_not() -> None:
    limit = ByteLimit(100)
    with limit.hold() as one, limit.hold() as other:
        assert one.take(60)
        assert other.take(30)
        assert not other.take(11)
        assert limit.bytes == 90
        assert other.take(10)
        with limit.hold() as third:
            assert not third.take(1)
        one.release()
        assert limit.bytes == 40
        with limit.hold() as third:
            assert third.take(60)
        assert limit.bytes == 40
    assert limit.bytes == 0


def test_a_lone_body_may_be_larger_but_nobody_beside_it() -> None:
    limit = ByteLimit(10)
    with limit.hold() as lone, limit.hold() as other:
        assert lone.take(30)
        assert lone.take(20)
        assert not other.take(1)
    assert limit.bytes == 0


def test_what_fails_gives_its_bytes_back() -> None:
    queue = BatchQueue(10)

    def fail(body: bytearray) -> int:
        raise ValueError(len(body))

    def hold_and_fail() -> None:
        with queue.bodies.hold() as held:
            assert held.take(50)
            anyio.run(queue.run, fail, bytearray(50))

    with pytest.raises(ValueError, match="50"):
        hold_and_fail()
    assert queue.bodies.bytes == 0
    assert anyio.run(queue.run, len, bytearray(50)) == 50
