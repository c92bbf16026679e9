"""Where predictions are logged to, and what happens when they cannot be written: the client is answered."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from typing import Any

from conversion.serving.messages import History, Prediction, Summary

Write = Callable[[Sequence[Summary | History], Sequence[Prediction]], None]

log = logging.getLogger(__name__)


class PredictionLog:
    """Logs inputs and answers, and keeps from the client what keeps the service from doing so.

    A folder that cannot be written and a full disk are logged once, with the first request that is lost, and
    once more when there is room again.

    Parameters
    ----------
    write
        Writes one request; raises OSError where it cannot.
    """

    def __init__(self, write: Write) -> None:
        self.write = write
        self.lost = 0
        self._lock = threading.Lock()  # batches are answered on threads

    def __call__(self, companies: Sequence[Summary | History], predictions: Sequence[Prediction]) -> None:
        """Log one request."""
        try:
            self.write(companies, predictions)
        except OSError as error:
            self._count_lost(error)
        else:
            self._count_written()

    def _count_lost(self, error: OSError) -> None:
        with self._lock:
            self.lost += 1
            first = self.lost == 1
        if first:
            fields = {"cause": error.strerror or str(error), "path": error.filename or "the log's file"}
            log.error("predictions are answered, but cannot be logged", extra=fields)

    def _count_written(self) -> None:
        with self._lock:
            lost, self.lost = self.lost, 0
        if lost:
            log.warning("predictions are logged again", extra={"requests_lost": lost})


class PredictionFile(RotatingFileHandler):
    """A rotating file that raises what keeps it from being written, and is left without half a line.

    Python's own handler prints a traceback for each record, and goes on as if it had been written.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        self._whole = 0
        super().__init__(*given, **options)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        super().emit(record)
        if self.stream is not None:
            self._whole = os.fstat(self.stream.fileno()).st_size

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Raise what the disk says; what is wrong with a record itself is logging's to print."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return super().handleError(record)
        self._close_at_the_last_line()
        raise error

    def _open(self) -> Any:
        stream = super()._open()
        self._whole = os.fstat(stream.fileno()).st_size
        return stream

    def _close_at_the_last_line(self) -> None:
        """Drop what did not fit, so that the next line that does begins a line."""
        if self.stream is None:
            return
        stream, self.stream = self.stream, None
        with contextlib.suppress(OSError):  # it tries to write the rest
            stream.close()
        with contextlib.suppress(OSError):  # no file, but a device
            os.truncate(self.baseFilename, self._whole)
