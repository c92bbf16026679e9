"""Limit the connections of a worker, and the time that each may keep its place without a request.

uvicorn closes a connection that is silent after an answer, but waits without end for a first request, for a
head that arrives byte by byte, and for a client that does not read its answer. BentoML sets neither a timeout
for these nor a limit of connections, and a process without a free file descriptor accepts no client.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Final

import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS: Final = 10
"""From connecting, or from the first byte after an answer, until the whole head of a request has arrived."""
ANSWER_SECONDS: Final = 30
"""From the keep-alive timeout until the service drops an answer that is not read."""
MAX_CONNECTIONS: Final = 1000
"""Connections of one worker at most, even if it may open more files."""
OTHER_FILES: Final = 100
"""File descriptors kept free for libraries, logs, metrics, and connections that are just being accepted."""

_BUSY_BODY: Final = b'{"error":"too many connections; try again later","detail":[]}'
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"retry-after: 1\r\ncontent-length: %d\r\n\r\n%s" % (len(_BUSY_BODY), _BUSY_BODY)
)


def use_bounded_connections() -> None:
    """Make `BoundedConnection` uvicorn's default protocol."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedConnection.__name__}"


def connection_limit() -> int:
    """Compute how many connections a worker may keep under its limit of open files (``ulimit -n``)."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - OTHER_FILES))


class BoundedConnection(H11Protocol):
    """A connection that is closed if its client keeps the service waiting, or if another needs its place.

    A new connection beyond the limit takes the place of the one that has kept the service waiting longest. If
    all others are being answered, the new one gets 503 and should try again later.
    """

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # None before the first request
    _deadline: asyncio.TimerHandle | None = None
    _waiting_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Take a place, and start to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > connection_limit() and not self._take_the_longest_waiting_place():
            transport.write(_BUSY)
            transport.close()
            return
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        """Read; a head that is not complete keeps its deadline while more of it arrives."""
        super().data_received(data)
        if not self._client_is_awaited():
            self._expect_nothing()
        elif self._deadline is None and not self.transport.is_closing():
            self._expect_a_head()

    def on_response_complete(self) -> None:
        """Note when the connection became idle."""
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, after a while even if its client does not read the last answer."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _client_is_awaited(self) -> bool:
        """Check whether no request is being answered, or the client does not read the answer."""
        return self.cycle is None or self.cycle.response_complete or self.flow.write_paused

    def _expect_a_head(self) -> None:
        self._waiting_since = self.loop.time()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._client_is_awaited():
            self.transport.abort()

    def _take_the_longest_waiting_place(self) -> bool:
        others = [
            each for each in self.connections if isinstance(each, BoundedConnection) and each is not self
        ]
        waiting = [each for each in others if each._client_is_awaited()]
        if not waiting:
            return False
        longest = min(waiting, key=lambda each: each._waiting_since)
        longest.transport.abort()
        self.connections.discard(longest)  # now, as the loop calls connection_lost only later
        return True
