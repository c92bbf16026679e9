"""Batches wait for each other beside the event loop, and not for longer than a request may take."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import anyio
import anyio.to_thread

from conversion.refusals import RefusalError

T = TypeVar("T")


class BatchQueue:
    """Answers one batch at a time in a thread, so that probes and single companies need not wait for it.

    Parameters
    ----------
    max_bytes
        Bytes of all bodies that wait or are answered at most; a batch more is refused, but for a lone one.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, answer: Callable[[bytes], T], body: bytes) -> T:
        """Answer a body when its turn comes.

        Raises
        ------
        RefusalError
            Too much waits already.
        """
        if self.bytes and self.bytes + len(body) > self.max_bytes:
            raise RefusalError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "busy",
                f"batches of {self.bytes} bytes wait already; send this one again later",
                headers={"Retry-After": "1"},
            )
        self.bytes += len(body)
        try:
            return await anyio.to_thread.run_sync(answer, body, limiter=self._one_at_a_time)
        finally:
            self.bytes -= len(body)
