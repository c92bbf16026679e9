"""Tables without the rows of a company; every other row keeps its bytes or its values."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from typing import Any, Final

from conversion.forgetting.wanted import Wanted
from conversion.runtime.files import VERIFIED, WITH_CHECKSUMS

DELIMITERS: Final = ",;\t|"
WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_MAX_CELL: Final = 2**31 - 1
RANK: Final = "rank"


def csv_without(content: bytes, wanted: Wanted, renumber: bool = False) -> tuple[bytes, int]:
    """Remove the company's rows from CSV of any delimiter.

    Parameters
    ----------
    content
        Of the file.
    wanted
        The company.
    renumber
        Whether the column ``rank`` counts the rows that stay.

    Returns
    -------
    tuple of bytes and int
        What stays, and the number of rows removed.
    """
    encoding = "utf-16" if content[:2] in WIDE else "latin-1"  # gives each byte back, whatever it means
    text = content.decode(encoding)
    lines = list(StringIO(text, newline=""))
    csv.field_size_limit(_MAX_CELL)
    header, delimiter = _header(lines, encoding)
    places = [(header.index(name), name) for name in wanted.columns(header)]
    if not places:
        return content, 0
    kept, removed, start, rows = [], 0, 0, 0
    reader = csv.reader(lines, delimiter=delimiter)
    for number, row in enumerate(reader):
        chunk, start = "".join(lines[start : reader.line_num]), reader.line_num
        cells = ((name, _decoded(row[at], encoding)) for at, name in places if at < len(row))
        if number and any(wanted.is_in(name, cell) for name, cell in cells):
            removed += 1
            continue
        if number:
            rows += 1
            chunk = _numbered(chunk, header, row, rows) if renumber else chunk
        kept.append(chunk)
    kept += lines[start:]
    return ("".join(kept).encode(encoding) if removed else content), removed


def _header(lines: list[str], encoding: str) -> tuple[list[str], str]:
    """Return the names of the columns and the delimiter, the one that makes most columns."""
    found: tuple[list[str], str] = ([], ",")
    for delimiter in DELIMITERS:
        row = next(csv.reader(lines, delimiter=delimiter), [])
        if len(row) > len(found[0]):
            found = ([_decoded(cell, encoding).removeprefix("\ufeff").strip() for cell in row], delimiter)
    return found


def _decoded(cell: str, encoding: str) -> str:
    return cell if encoding != "latin-1" else cell.encode("latin-1").decode("utf-8", "replace")


def _numbered(chunk: str, header: list[str], row: list[str], place: int) -> str:
    """Write another rank at the start of a line of the lead list, whose first column it is."""
    if header[0] != RANK or not chunk.startswith(row[0]):
        return chunk
    return f"{place}{chunk.removeprefix(row[0])}"


def parquet_without(content: bytes, wanted: Wanted, renumber: bool = False) -> tuple[bytes, int]:
    """Remove the company's rows from Parquet; see `csv_without`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(BytesIO(content))
    names = wanted.columns(schema.names)
    if not names:
        return content, 0
    keys = pq.read_table(BytesIO(content), columns=names, **VERIFIED)
    gone = np.zeros(keys.num_rows, dtype=bool)
    for name in names:
        gone |= _rows_with(keys.column(name), name, wanted)
    if not gone.any():
        return content, 0
    kept = pq.read_table(BytesIO(content), **VERIFIED).filter(pa.array(~gone))
    if renumber and RANK in kept.schema.names:
        at = kept.schema.get_field_index(RANK)
        ranks = pa.array(range(1, kept.num_rows + 1), type=kept.schema.field(at).type)
        kept = kept.set_column(at, kept.schema.field(at), ranks)
    written = BytesIO()
    pq.write_table(kept, written, **WITH_CHECKSUMS)
    return written.getvalue(), int(gone.sum())


def _rows_with(column: Any, name: str, wanted: Wanted) -> Any:
    """Return which rows of an Arrow column identify the company."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type):
        return False
    values = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    matching = [each for each in pc.unique(values).to_pylist() if wanted.is_in(name, each)]
    return pc.is_in(values, value_set=pa.array(matching, type=values.type)).to_numpy(zero_copy_only=False)
