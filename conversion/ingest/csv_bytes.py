"""The bytes of a CSV file: encoding, records, quotes and delimiters. What is not CSV is refused."""

from __future__ import annotations

import csv
import io
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from conversion.ingest.faults import NAMES_FIRST, TO_UTF_8, Positions, UnreadableError, one_line, quoted

MAX_RECORD_BYTES: Final = 65_536
"""Longest record that is read; a longer one is usually many that a lost quote joined."""
BLOCK_BYTES: Final = 2**20
TITLE_LINES: Final = 20
"""First lines among which the header is looked for, to say where it is."""
OTHER_FORMATS: Final = {
    b"PK\x03\x04": "an Excel workbook or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"PAR1": "a Parquet table, whose name should end with .parquet",
    b"%PDF": "a PDF document",
    b"<": "an HTML or XML page",
    **dict.fromkeys((b'{"', b"{\n", b"[{", b"[\n"), "JSON"),
}
"""Other formats by the bytes that such a file begins with, after white space."""
EMPTY_FILE: Final = ("the file", "a header and rows", "export the table again", "an empty file")
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def normalized_utf8(data: bytes) -> bytes:
    """Return the bytes without byte order mark and carriage returns; refuse what is not UTF-8 text."""
    data = data.removeprefix(BYTE_ORDER_MARK)
    refuse_other_formats(data)
    if not data.strip():
        raise UnreadableError(*EMPTY_FILE)
    data = with_line_feeds(data)
    refuse_nul(data)
    refuse_other_encodings(data)
    return data


def refuse_other_formats(data: bytes) -> None:
    """Refuse what begins, after a byte order mark, like a file of another format, or like UTF-16."""
    start = data[:MAX_RECORD_BYTES]
    for magic, kind in OTHER_FORMATS.items():
        if start.lstrip().startswith(magic):
            raise UnreadableError("the file", "a CSV table", "save it as CSV, in UTF-8", kind)
    # UTF-16 without a mark: in text that is mostly ASCII, every second byte is zero.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) > len(start) / 4:
        found = "UTF-16, which spreadsheets call Unicode text"
        raise UnreadableError("the file", "UTF-8 text", TO_UTF_8, found)


def with_line_feeds(data: bytes) -> bytes:
    """Return the bytes with line feeds in place of the other line ends."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def refuse_nul(data: bytes, above: int = 0) -> None:
    """Refuse a NUL byte; ``above`` is how many lines are above ``data`` in its file."""
    if (at := data.find(b"\0")) >= 0:
        found = f"a NUL byte in line {above + _line(data, at)}"
        raise UnreadableError("the file", "text without NUL bytes", "export the table again", found)


def refuse_other_encodings(data: bytes, above: int = 0) -> None:
    """Refuse what is not UTF-8; ``above`` is how many lines are above ``data`` in its file."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        found = f"byte {data[error.start]:#04x} in line {above + _line(data, error.start)}"
        raise UnreadableError("the file", "UTF-8 text", TO_UTF_8, found) from error


def refuse_other_headers(data: bytes, wanted: tuple[str, ...]) -> None:
    """Refuse a header with other delimiters than commas, or one that is not in line 1."""
    lines = data[:MAX_RECORD_BYTES].decode(errors="ignore").split("\n")[:TITLE_LINES]
    if (hint := lines[0].strip(' "')).casefold().startswith("sep="):
        remedy = "delete this line" + ("" if hint[4:] == "," else "; export with commas")
        raise UnreadableError("the header", NAMES_FIRST, remedy, f"{quoted(hint)}, a hint for Excel")
    if _delimiter(lines[0], wanted, 1) == "," or not lines[0].strip():
        return
    for number, line in enumerate(lines, start=1):
        # A single name may be part of a title.
        delimiter = _delimiter(line, wanted, 1 if number == 1 else 2)
        if delimiter and number > 1:
            remedy = "delete the lines above" + ("" if delimiter == "," else "; export with commas")
            raise UnreadableError("the header", NAMES_FIRST, remedy, f"them in line {number}")
        if delimiter:
            found = f"a header that looks like {delimiter!r}-separated"
            raise UnreadableError("the header", "','-separated columns", "export it with commas", found)


def _delimiter(line: str, wanted: tuple[str, ...], least: int) -> str | None:
    """Return the delimiter that splits a line into at least so many of the wanted names."""
    for delimiter in (",", ";", "\t", "|"):
        names = {name.strip(' "').casefold() for name in line.split(delimiter)}
        if sum(name.casefold() in names for name in wanted) >= least:
            return delimiter
    return None


def record_breaks(data: bytes, above: int = 0, is_end: bool = True) -> Positions:
    """Return the line ends that end a record: those with an even number of quotes before them.

    Parameters
    ----------
    data
        Text that begins with a record.
    above
        How many lines are above it in its file.
    is_end
        Whether the file ends with it; else a quote may be closed later.
    """
    characters = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(characters == ord("\n"))
    quotes = np.flatnonzero(characters == ord('"'))
    if (stray := first_stray(characters, quotes, False, is_end)) is not None:
        refuse_stray_quote(above + _line(data, stray))
    return np.asarray(newlines[np.searchsorted(quotes, newlines) % 2 == 0])


def first_stray(
    characters: npt.NDArray[np.uint8], quotes: Positions, is_open: bool, is_end: bool
) -> int | None:
    """Return the first quote that neither surrounds a value nor is doubled in one; readers disagree on it.

    Parameters
    ----------
    characters
        Whole lines.
    quotes
        Where they have quotes.
    is_open
        Whether they begin inside quotes.
    is_end
        Whether the file ends with them.
    """
    beside = np.frombuffer(b',\n"', dtype=np.uint8)
    edged = np.concatenate([beside[:1], characters, beside[:1]])
    opening, closing = quotes[is_open::2], quotes[not is_open :: 2]
    stray = [
        *opening[~np.isin(edged[opening], beside)][:1],
        *closing[~np.isin(edged[closing + 2], beside)][:1],
        *(quotes[-1:] if is_end and (len(quotes) + is_open) % 2 else ()),
    ]
    return int(min(stray)) if stray else None


def refuse_stray_quote(line: int) -> NoReturn:
    """Raise the fault of a stray quote."""
    found = f"a stray one in line {line}"
    raise UnreadableError("the file", "quotes in pairs around values", 'close or double it ("")', found)


def is_empty(record: bytes) -> bool:
    """Return whether a record has only delimiters, as spreadsheets leave them at the end."""
    if record.strip(b', \t\n"') or len(record) > MAX_RECORD_BYTES:
        return False
    fields = next(csv.reader(io.StringIO(record.decode(), newline="")), [])
    return not any(field.strip() for field in fields)


def refuse_long_record(length: str, line: int) -> NoReturn:
    """Raise the fault of a record that is longer than `MAX_RECORD_BYTES`."""
    expected = f"lines of at most {MAX_RECORD_BYTES} bytes, except in columns that are ignored"
    found = f"{length} bytes in line {line}"
    raise UnreadableError("the file", expected, "look for a stray quote or a lost line end", found)


def is_long_where_ignored(record: bytes, width: int, wanted: list[int], whole_ids: bool = True) -> bool:
    """Return whether a record is long for its text in an ignored column, not as several that ran together.

    Parameters
    ----------
    record
        The record.
    width
        The number of its fields.
    wanted
        The positions of the columns that are read, the id's first.
    whole_ids
        Whether ids are whole numbers, by which rows inside a value are told from text.
    """
    table, ragged = split_fields(record, width, wanted, len(record))
    if ragged or any(len(column[0].as_py() or "") > MAX_RECORD_BYTES for column in table.columns):
        return False
    # A lost quote turns the rows up to the next quote into a single value: look for rows inside it.
    *lines, last = record.split(b"\n")[1:] or [b""]
    rows = (line.split(b",") for line in [*lines, last.partition(b'"')[0]])
    return not any(
        len(row) == width and (row[at].strip().isdigit() if whole_ids else row[at].strip())
        for row in rows
        for at in wanted[:1]
    )


def split_fields(
    body: bytes, width: int, wanted: list[int], longest: int = MAX_RECORD_BYTES
) -> tuple[pa.Table, list[int]]:
    """Return the wanted columns as text, and the records left out for having another number of fields."""
    ragged: list[int] = []

    def skip(row: Any) -> str:
        ragged.append(row.number - 1)
        return "skip"

    positions = [str(number) for number in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(body),
            read_options=arrow_csv.ReadOptions(
                column_names=positions,
                use_threads=False,  # with threads the handler gets no row numbers
                block_size=max(BLOCK_BYTES, longest + 1),  # a record has to fit into a block
            ),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(positions, pa.string()),
                # An empty list would mean all columns.
                include_columns=[positions[number] for number in wanted] or positions[:1],
            ),
        )
    except pa.ArrowInvalid as error:
        raise UnreadableError("the file", "a CSV table", "export the table again", one_line(error)) from error
    return table.select(range(len(wanted))), ragged


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1
