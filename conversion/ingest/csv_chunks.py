"""A CSV file in pieces of whole records, with the checks and the line numbers of the whole file.

What is wrong is reported as if the file had been looked at as a whole, one check after the other: a fault
waits until the rest of the file has been looked at for those that come before it.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa

from conversion.ingest.csv_bytes import (
    BYTE_ORDER_MARK,
    EMPTY_FILE,
    MAX_RECORD_BYTES,
    first_stray,
    is_empty,
    is_long_where_ignored,
    record_breaks,
    refuse_long_record,
    refuse_nul,
    refuse_other_encodings,
    refuse_other_formats,
    refuse_other_headers,
    refuse_stray_quote,
    split_fields,
    with_line_feeds,
)
from conversion.ingest.faults import NAMES_FIRST, Positions, UnreadableError

CHUNK_BYTES: Final = 2**26
"""How much of a file is looked at together."""
MAX_OPEN_BYTES: Final = 2**28
"""Longest text in an ignored column that is looked for its end."""
HEAD_BYTES: Final = 2 * MAX_RECORD_BYTES + len(BYTE_ORDER_MARK)
"""What the first `MAX_RECORD_BYTES` are made of at most, before line ends are alike."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """The columns that are read, and whether the first, the id's, has whole numbers."""

    names: tuple[str, ...]
    whole_ids: bool


@dataclass(frozen=True)
class CsvPiece:
    """Some records of a file; of a file without rows, one piece without."""

    names: list[str]
    """All columns of the file."""
    columns: dict[str, pa.ChunkedArray]
    """The wanted columns that the file has once, as text."""
    lines: Positions
    """Where the rows are in the file."""
    ragged: Positions
    """Where records were left out for having another number of fields."""


class _Lines(NamedTuple):
    above: int
    """How many lines of the file are above."""
    text: bytes


class _Records(NamedTuple):
    above: int
    text: bytes
    """Whole records, without the last one's line end."""
    breaks: Positions
    """Where records end, but the last."""

    def edges(self) -> tuple[Positions, Positions]:
        """Return where records begin and end."""
        return np.append(0, self.breaks + 1), np.append(self.breaks, len(self.text))

    def line(self, position: int) -> int:
        """Return the line of the file in which a position is."""
        return self.above + self.text.count(b"\n", 0, position) + 1


def csv_pieces(
    file: BinaryIO, name: str, wanted: Wanted, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[CsvPiece]:
    """Read the wanted columns of a CSV file, piece by piece.

    Parameters
    ----------
    file
        Opened for reading bytes.
    name
        What logs call it.
    wanted
        The columns.
    chunk_bytes
        The size of a piece, about; a longer record is a piece of its own.

    Raises
    ------
    UnreadableError
        It is not CSV in UTF-8, with the columns' names first.
    """
    records = _records(file, wanted, chunk_bytes)
    names, rest = _header(records)
    kept = tuple(each for each in wanted.names if names.count(each) == 1)
    positions = [names.index(each) for each in kept]
    bodies = _without_long(_without_empty_end(rest, name), records, len(names), positions, wanted.whole_ids)
    empty = True
    for body in bodies:
        empty = False
        starts, ends = body.edges()
        with _after(bodies):
            fields, ragged = split_fields(body.text, len(names), positions, int((ends - starts).max()))
        newlines = np.flatnonzero(np.frombuffer(body.text, dtype=np.uint8) == ord("\n"))
        # Blank lines are not records.
        lines = body.above + np.searchsorted(newlines, starts[ends > starts]) + 1
        columns = dict(zip(kept, fields.columns, strict=True))
        yield CsvPiece(names, columns, np.delete(lines, ragged), lines[ragged])
    if empty:
        none = np.empty(0, dtype=np.int64)
        yield CsvPiece(names, dict.fromkeys(kept, pa.chunked_array([], pa.string())), none, none)


@contextmanager
def _after(rest: Iterable[object]) -> Iterator[None]:
    """Let a fault in the block wait for those that the rest of the file may have."""
    try:
        yield
    except UnreadableError:
        for _ in rest:
            pass
        raise


def _header(records: Iterator[_Records]) -> tuple[list[str], Iterator[_Records]]:
    """Return the columns' names, and the records after them."""
    # A file without records has raised.
    first = next(records)
    end = int(first.breaks[0]) if len(first.breaks) else len(first.text)
    with _after(records):
        if end > MAX_RECORD_BYTES:
            refuse_long_record(str(end), 1)
        names = next(csv.reader(io.StringIO(first.text[:end].decode(), newline="")), [])
        if not names:
            raise UnreadableError("the header", NAMES_FIRST, "add them", "a blank line")

    def rest() -> Iterator[_Records]:
        if len(first.breaks):
            yield _Records(first.line(end), first.text[end + 1 :], first.breaks[1:] - end - 1)
        yield from records

    return names, rest()


def _without_empty_end(bodies: Iterator[_Records], name: str) -> Iterator[_Records]:
    """Leave out the records at the end that have only delimiters, as spreadsheets leave them."""
    held: _Records | None = None
    skipped = 0
    for body in bodies:
        starts, ends = body.edges()
        kept, empty = len(starts), 0
        while kept and is_empty(record := body.text[starts[kept - 1] : ends[kept - 1]]):
            kept -= 1
            empty += bool(record.strip())
        if not kept:
            held, skipped = _joined(held, body), skipped + empty
            continue
        full = _Records(body.above, body.text[: ends[kept - 1]], body.breaks[: kept - 1])
        yield _joined(held, full)
        held, skipped = None, empty
        if kept < len(starts):
            start = int(starts[kept])
            held = _Records(body.line(start) - 1, body.text[start:], body.breaks[kept:] - start)
    if skipped:
        log.info("empty rows at the end skipped", extra={"file": name, "count": skipped})


def _joined(first: _Records | None, second: _Records) -> _Records:
    if first is None:
        return second
    size = len(first.text)
    breaks = np.concatenate([first.breaks, [size], second.breaks + size + 1])
    return _Records(first.above, first.text + b"\n" + second.text, breaks)


def _without_long(
    bodies: Iterator[_Records], rest: Iterator[_Records], width: int, positions: list[int], whole_ids: bool
) -> Iterator[_Records]:
    """Refuse records that are long and not for their text in an ignored column."""
    for body in bodies:
        starts, ends = body.edges()
        for at in np.flatnonzero(ends - starts > MAX_RECORD_BYTES):
            start, stop = int(starts[at]), int(ends[at])
            with _after(rest):
                if not is_long_where_ignored(body.text[start:stop], width, positions, whole_ids):
                    refuse_long_record(str(stop - start), body.line(start))
        yield body


def _records(file: BinaryIO, wanted: Wanted, size: int) -> Iterator[_Records]:
    """Yield whole records that follow each other; refuse what is not CSV in UTF-8 with a header."""
    head = file.read(max(size, HEAD_BYTES)).removeprefix(BYTE_ORDER_MARK)
    refuse_other_formats(head)
    texts = _in_utf8(_without_nul(_whole_lines(head, file, size)))
    with _after(texts):
        refuse_other_headers(with_line_feeds(head[:HEAD_BYTES]), wanted.names)
    open_text, above, blank = b"", 0, True
    for block in texts:
        blank = blank and not block.text.strip()
        text = open_text + block.text
        with _after(texts):
            breaks = record_breaks(text, above, is_end=False)
        if len(breaks):
            end = int(breaks[-1])
            whole = _Records(above, text[:end], breaks[:-1])
            open_text, above = text[end + 1 :], whole.line(end)
            yield whole
        elif len(open_text := text) > MAX_OPEN_BYTES:
            _refuse_endless(text, above, texts)
    if blank:
        raise UnreadableError(*EMPTY_FILE)
    if open_text:
        yield _Records(above, open_text, record_breaks(open_text, above))


def _refuse_endless(text: bytes, above: int, texts: Iterator[_Lines]) -> None:
    """Refuse a record whose end is not found; a stray quote in it or after it may be why."""
    is_open, line = _quotes_of(text, above, False, 0)
    with _after(texts):
        for block in texts:
            is_open, line = _quotes_of(block.text, block.above, is_open, line)
        if is_open:
            refuse_stray_quote(line)
        refuse_long_record(f"more than {MAX_OPEN_BYTES}", above + 1)


def _quotes_of(text: bytes, above: int, is_open: bool, line: int) -> tuple[bool, int]:
    """Return whether lines end inside quotes and the line of the last quote; refuse stray ones."""
    characters = np.frombuffer(text, dtype=np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    if (stray := first_stray(characters, quotes, is_open, False)) is not None:
        refuse_stray_quote(above + text.count(b"\n", 0, stray) + 1)
    if len(quotes):
        line = above + text.count(b"\n", 0, int(quotes[-1])) + 1
    return bool((len(quotes) + is_open) % 2), line


def _without_nul(blocks: Iterator[_Lines]) -> Iterator[_Lines]:
    for block in blocks:
        refuse_nul(block.text, block.above)
        yield block


def _in_utf8(blocks: Iterator[_Lines]) -> Iterator[_Lines]:
    for block in blocks:
        with _after(blocks):
            refuse_other_encodings(block.text, block.above)
        yield block


def _whole_lines(head: bytes, file: BinaryIO, size: int) -> Iterator[_Lines]:
    """Yield whole lines of a file, about ``size`` bytes at a time, all ended by line feeds but the last."""
    above, waiting, held = 0, list[bytes](), b""
    for read in _parts(head, file, size):
        piece = held + read
        held = b"\r" if piece.endswith(b"\r") else b""  # a line feed may follow
        piece = with_line_feeds(piece.removesuffix(b"\r"))
        end = piece.rfind(b"\n") + 1
        if end:
            text = b"".join([*waiting, piece[:end]])
            yield _Lines(above, text)
            above += text.count(b"\n")
            waiting = []
        waiting.append(piece[end:])
        if sum(map(len, waiting)) > MAX_OPEN_BYTES:
            refuse_long_record(f"more than {MAX_OPEN_BYTES}", above + 1)
    if last := with_line_feeds(b"".join([*waiting, held])):
        yield _Lines(above, last)


def _parts(head: bytes, file: BinaryIO, size: int) -> Iterator[bytes]:
    for start in range(0, len(head), size):
        yield head[start : start + size]
    while part := file.read(size):
        yield part
