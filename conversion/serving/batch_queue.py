"""Limit the bytes of the bodies that a worker holds, and answer batches one at a time on a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class ByteLimit:
    """Counts the bytes of bodies from their first piece until they are answered.

    A body beyond the limit is refused at once and does not wait: halves of large bodies that wait for each
    other would hold the memory for nothing.

    Parameters
    ----------
    max_bytes
        Bytes of all bodies at most; a body that is alone may have more.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0

    @contextmanager
    def hold(self) -> Iterator[HeldBytes]:
        """Hold the bytes of one body until the block ends."""
        held = HeldBytes(self)
        try:
            yield held
        finally:
            held.release()


class HeldBytes:
    """The bytes of one body.

    Parameters
    ----------
    limit
        Counts the bytes of all bodies.
    """

    def __init__(self, limit: ByteLimit) -> None:
        self.limit = limit
        self.bytes = 0

    def take(self, size: int) -> bool:
        """Count some more bytes, and return True, if they are within the limit."""
        others = self.limit.bytes - self.bytes
        if others and self.limit.bytes + size > self.limit.max_bytes:
            return False
        self.limit.bytes += size
        self.bytes += size
        return True

    def release(self) -> None:
        """Stop counting the bytes of this body."""
        self.limit.bytes -= self.bytes
        self.bytes = 0


class BatchQueue:
    """Answers one batch at a time on a thread, so that probes and single companies do not wait for it.

    Parameters
    ----------
    max_bytes
        Bytes of the batches that arrive, wait or are being answered, at most; see `ByteLimit`.
    """

    def __init__(self, max_bytes: int) -> None:
        self.bodies = ByteLimit(max_bytes)
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def run(self, answer: Callable[[bytearray], T], body: bytearray) -> T:
        """Answer a body when its turn comes; the caller counts its bytes until then."""
        return await anyio.to_thread.run_sync(answer, body, limiter=self._one_at_a_time)
