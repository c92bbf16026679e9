"""Log predictions to files. If a file cannot be written, clients still get their answers."""

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

WritePredictions = Callable[[Sequence[Summary | History], Sequence[Prediction]], None]

log = logging.getLogger(__name__)


class PredictionLog:
    """Logs inputs and answers; a failure to write does not reach the client.

    A folder that cannot be written or a full disk is reported once, with the first request that is lost, and
    once more when writing works again.

    Parameters
    ----------
    write
        Writes one request; raises OSError if it cannot.
    """

    def __init__(self, write: WritePredictions) -> None:
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
    """A rotating file that raises if it cannot be written, and keeps no part of the failed line.

    Python's own handler prints a traceback for each such record, and goes on as if it had been written.
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
        """Raise an error of the disk; let logging print an error in the record itself."""
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
        """Cut off the part of a line that was written, so that the next record begins a line."""
        if self.stream is None:
            return
        stream, self.stream = self.stream, None
        with contextlib.suppress(OSError):  # closing tries to write the rest
            stream.close()
        with contextlib.suppress(OSError):  # a device cannot be truncated
            os.truncate(self.baseFilename, self._whole)
