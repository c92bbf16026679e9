"""What a worker counts and limits over all requests, whichever list it serves when they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

import anyio

from conversion.config.params import Serve
from conversion.serving.batch_queue import BatchQueue, ByteLimit
from conversion.serving.login import Attempts

# Seven times a company with all the weeks it may have. It is parsed on the event loop, so it must be quick.
MAX_SINGLE_BYTES: Final = 2**20
# Single companies have their own limit, so that no batch, however large, keeps them out.
MAX_SINGLES_BYTES: Final = 32 * MAX_SINGLE_BYTES
THREADS: Final = 4
"""Pages that are rendered at once at most: they share the processor with predictions."""


@dataclass(frozen=True)
class Limits:
    """Made once a worker; a new list does not replace them.

    Attributes
    ----------
    singles
        The bytes of the single companies that arrive.
    batches
        The queue of the batches that wait for an answer.
    attempts
        Wrong tokens by address.
    pages
        How many pages are rendered at once.
    """

    singles: ByteLimit
    batches: BatchQueue
    attempts: Attempts = field(default_factory=Attempts)
    pages: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(THREADS))

    @classmethod
    def of(cls, settings: Serve) -> Self:
        """Make those of ``serve`` in params.yaml."""
        return cls(ByteLimit(MAX_SINGLES_BYTES), BatchQueue(2 * settings.max_body_bytes))
