"""Structured logs: an event and its fields, as text for people or, by one switch, as JSON lines for programs.

A call names the event and gives the fields: ``log.info("trained", extra={"threshold": 0.05})``. Fields must
not have the names of `logging.LogRecord`'s own attributes, such as ``name`` or ``module``.

Credentials in addresses are never written: messages of libraries pass through `redacted` too.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Final, Literal, TextIO, get_args

from pythonjsonlogger.core import RESERVED_ATTRS, merge_record_extra
from pythonjsonlogger.json import JsonFormatter

from conversion.runtime.errors import LogFormatError

LogFormat = Literal["text", "json"]

# Not in params.yaml: it must work before params.yaml is read, and must not rerun a stage.
VARIABLE: Final = "CONVERSION_LOG_FORMAT"

ADDRESSES: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
"""Environment variables with an address that may have credentials."""
REDACTED: Final = "***"
# Up to the last @ before the path, as programs that open the address read it.
USERINFO: Final = re.compile(r"(?<=://)[^\s/?#]+@")
SECRET_QUERY: Final = re.compile(
    r"(?<=[?&])([\w.-]*(?:password|passwd|pwd|token|secret|key))=[^&#\s'\"]+", re.IGNORECASE
)

log = logging.getLogger(__name__)


def redacted(text: str) -> str:
    """Replace the credentials of addresses in a text.

    Examples
    --------
    >>> redacted("https://ann:pa55@mlflow.example.com/api does not answer")
    'https://***@mlflow.example.com/api does not answer'
    >>> redacted("postgresql://db/mlflow?user=ann&password=pa55")
    'postgresql://db/mlflow?user=ann&password=***'
    """
    for given in _given_credentials():
        text = text.replace(f"{given}@", f"{REDACTED}@")
    if "://" not in text:
        return text
    return SECRET_QUERY.sub(rf"\1={REDACTED}", USERINFO.sub(f"{REDACTED}@", text))


def _given_credentials() -> Iterator[str]:
    """Yield the part before the @ of the variables' addresses, as given and as both formats of logs quote it.

    A password may have characters that otherwise end an address, such as a slash or a space.
    """
    for variable in ADDRESSES:
        _, _, address = os.environ.get(variable, "").partition("://")
        if credentials := address.rpartition("@")[0]:
            yield credentials
            yield from (json.dumps(credentials, ensure_ascii=each)[1:-1] for each in (True, False))


class TextFormatter(logging.Formatter):
    """Formats a record as one line: time, program, level, event, and fields as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record, tracebacks too, without credentials."""
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Append the fields to the event."""
        fields = merge_record_extra(record, {}, set(RESERVED_ATTRS))
        return " ".join(
            [super().formatMessage(record), *(f"{name}={_shown(value)}" for name, value in fields.items())]
        )


class OneLineFilter(logging.Filter):
    """Escapes line ends and control characters in messages that quote what clients send.

    Also removes credentials from addresses.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept every record, with its message on one line and without credentials."""
        record.msg, record.args = redacted(escaped(record.getMessage())), None
        return True


def escaped(text: str) -> str:
    r"""Escape line ends, NUL and other unprintable characters as Python does.

    Examples
    --------
    >>> print(escaped("a\r\nb\x00 Zoë"))
    a\r\nb\x00 Zoë
    """
    if text.isprintable():
        return text
    shown = (each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return "".join(shown)


class RedactingJsonFormatter(JsonFormatter):
    """Formats a record as one JSON object on a line, without credentials."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record, tracebacks too, without credentials."""
        return redacted(super().format(record))


def _shown(value: Any) -> str:
    """Format a field's value; text with spaces is quoted to show where it ends."""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    plain = text and text.isprintable() and not set(text) & set(' "')
    return text if plain else escaped(json.dumps(text, ensure_ascii=False))


def log_format() -> LogFormat:
    """Return the format of logs that the environment sets, by default text.

    Raises
    ------
    LogFormatError
        The variable has another value.
    """
    given = os.environ.get(VARIABLE, "text")
    for known in get_args(LogFormat):
        if given == known:
            return known  # type: ignore[no-any-return]
    raise LogFormatError(f"{VARIABLE}: given {given!r}, should be {' or '.join(get_args(LogFormat))}")


def formatter(kind: LogFormat, program: str) -> logging.Formatter:
    """Return the formatter of records.

    Parameters
    ----------
    kind
        ``json``: one object a line with ``time`` (UTC), ``level``, ``program``, ``event`` and the fields with
        their types; the traceback of an exception is ``exc_info``.
    program
        Name of the stage, the command or the service.
    """
    if kind == "text":
        return TextFormatter(f"%(asctime)s {program} %(levelname)s %(message)s")
    return RedactingJsonFormatter(
        "%(levelname)s %(message)s",
        # The keys in their order; what a record has replaces them.
        defaults={"time": None, "level": None, "program": program},
        rename_fields={"levelname": "level", "message": "event"},
        timestamp="time",
    )


def stderr_handler(kind: LogFormat, program: str) -> logging.Handler:
    """Return a handler that writes to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(kind, program))
    return handler


def set_up_logs(program: str) -> None:
    """Send all logs and Python's warnings to stderr in the format of `log_format`.

    Raises
    ------
    LogFormatError
        See `log_format`; logs are text then.
    """
    try:
        kind = log_format()
    except LogFormatError:
        logging.basicConfig(handlers=[stderr_handler("text", program)], level=logging.INFO)
        raise
    logging.basicConfig(handlers=[stderr_handler(kind, program)], level=logging.INFO)
    warnings.showwarning = _log_warning


def set_up_service_logs(program: str) -> None:
    """Send the project's own logs to stderr; if they are JSON, so are the server's.

    Raises
    ------
    LogFormatError
        See `log_format`.
    """
    kind = log_format()
    ours = logging.getLogger("conversion")
    ours.handlers = [stderr_handler(kind, program)]
    ours.propagate = False  # the server would log it again, without the fields
    for handler in logging.getLogger().handlers:
        if kind == "json":
            handler.setFormatter(formatter(kind, program))
        else:  # the access log has paths as clients send them
            handler.addFilter(OneLineFilter())


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the signature of warnings.showwarning
    line: str | None = None,  # noqa: ARG001
) -> None:
    log.warning(str(message), extra={"category": category.__name__, "at": f"{filename}:{lineno}"})
