"""How many bytes of bodies are held at once, and how batches wait for each other beside the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class ByteLimit:
    """Counts the bytes of bodies from their first piece until they are answered.

    Whoever would pass the limit is refused at once instead of waiting: halves of large bodies that wait for
    each other would hold the memory for nothing.

    Parameters
    ----------
    max_bytes
        Bytes of all bodies at most; a lone body may have more.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Hold the bytes of one body until the block ends."""
        held = Held(self)
        try:
            yield held
        finally:
            held.release()


class Held:
    """The bytes of one body.

    Parameters
    ----------
    limit
        Counts those of all bodies.
    """

    def __init__(self, limit: ByteLimit) -> None:
        self.limit = limit
        self.bytes = 0

    def take(self, size: int) -> bool:
        """Take some bytes more; tell whether there was room for them."""
        others = self.limit.bytes - self.bytes
        if others and self.limit.bytes + size > self.limit.max_bytes:
            return False
        self.limit.bytes += size
        self.bytes += size
        return True

    def release(self) -> None:
        """Give all bytes back."""
        self.limit.bytes -= self.bytes
        self.bytes = 0


class BatchQueue:
    """Answers one batch at a time in a thread, so that probes and single companies need not wait for it.

    Parameters
    ----------
    max_bytes
        Bytes of all batches that are received, wait or are answered at most; see `ByteLimit`.
    """

    def __init__(self, max_bytes: int) -> None:
        self.bodies = ByteLimit(max_bytes)
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, answer: Callable[[bytearray], T], body: bytearray) -> T:
        """Answer a body when its turn comes; the caller holds its bytes meanwhile."""
        return await anyio.to_thread.run_sync(answer, body, limiter=self._one_at_a_time)
