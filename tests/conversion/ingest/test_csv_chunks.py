"""A CSV read in pieces is the whole, whatever is in it: rows, labels, faults."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conversion.ingest import csv_chunks
from conversion.ingest.columns import tables_of
from conversion.ingest.csv_chunks import Wanted, csv_pieces
from conversion.ingest.faults import UnreadableError
from conversion.ingest.tables import Source, joined, read_chunks, read_table
from tests.contract_files import hubspot
from tests.exports import NONCUSTOMERS

TABLE = tables_of(hubspot())[NONCUSTOMERS]
HEADERS = st.sampled_from(
    [b"id,ALEXA_RANK,EMPLOYEE_RANGE,INDUSTRY\n"] * 6
    + [b"INDUSTRY,X,id,ALEXA_RANK\n", b"id,id,INDUSTRY\n", b'"id","A\nB",INDUSTRY\n', b"id;INDUSTRY\n"]
    + [b"\n", b"", b"Title\nid,INDUSTRY\n", b"sep=,\nid,INDUSTRY\n"]
)
LINES = st.sampled_from(
    [b"1,2,3,4\n", b"7,1,a,b\n", b'"x\ny",1,,\n', b'"a""b",2,"q,\n\nq",4\n', b"\xc3\xa9,1,1,1\n"] * 4
    + [b",,,\n", b"\n", b" , ,,\n", b'"",,"",\n', b"1,2\n", b"1,2,3,4,5\n", b"1,2,3,4"] * 2
    + [b'"', b'3,"x"y,1,1\n', b"\0", b"\xe9", b"\r", b'8,1,"' + b"z" * 70_000 + b'",1\n']
)
FILES = st.builds(
    lambda mark, header, lines, end, line_end: (
        mark + (header + b"".join(lines) + end).replace(b"\n", line_end)
    ),
    st.sampled_from([b"", b"", b"\xef\xbb\xbf"]),
    HEADERS,
    st.lists(LINES, max_size=25),
    st.sampled_from([b"", b"\n\n", b",,,\n,,,\n", b" , , ,"]),
    st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]),
)


def outcome(read: object) -> object:
    """What was read, row by row with labels, or the fault."""
    assert callable(read)
    try:
        source: Source = read()
    except UnreadableError as fault:
        return str(fault.at("file"))
    columns = [column.to_pylist() for column in source.columns.values()]
    labels = [source.label(row) for row in range(source.rows)]
    return source.file, source.header, list(source.columns), columns, labels, source.faults


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=FILES, size=st.integers(5, 200))
@example(data="id,INDUSTRY\n1,é\n".encode("utf-16"), size=7)
@example(data=b'id,INDUSTRY\n1,"2\n' + b"3,4\n" * 30, size=10)
@example(data=b"id,INDUSTRY\n1,2\n\r\n" + b",\n" * 30, size=10)
def test_pieces_together_are_the_whole(tmp_path: Path, data: bytes, size: int) -> None:
    (tmp_path / f"{NONCUSTOMERS}.csv").write_bytes(data)
    size = size if len(data) < 5000 else 200 * size
    whole = outcome(lambda: read_table(tmp_path, TABLE))
    assert outcome(lambda: joined(list(read_chunks(tmp_path, TABLE, size)))) == whole


def test_pieces_are_as_small_as_asked_and_cut_between_records() -> None:
    data = b"id,X\n" + b'1,"a\nb"\n' * 1000
    pieces = list(csv_pieces(io.BytesIO(data), "file", Wanted(("id", "X"), True), 100))
    assert len(pieces) > 50
    assert max(len(piece.lines) for piece in pieces) <= 25
    assert [line for piece in pieces for line in piece.lines] == list(range(2, 2002, 2))
    assert {text for piece in pieces for text in piece.columns["X"].to_pylist()} == {"a\nb"}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'id,X\n1,2\n3,"4\n' + b"5,6\n" * 500, "a stray one in line 3"),
        (b'id,X\n1,2\n3,"4\n' + b"5,6\n" * 500 + b'7,"8"\n', "a stray one in line 504"),
        (b'id,X\n1,2\n3,"4\n' + b"5,6\n" * 500 + b'7"\n', "more than 900 bytes in line 3"),
        (b"id,X\n1,2\n3," + b"4" * 2000, "more than 900 bytes in line 3"),
        (b'id,X\n1,2\n3,"4\n' + b"5,6\n" * 500 + b"\0", "NUL byte in line 504"),
    ],
)
def test_a_record_without_an_end_is_not_held(
    data: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_chunks, "MAX_OPEN_BYTES", 900)
    with pytest.raises(UnreadableError) as error:
        list(csv_pieces(io.BytesIO(data), "file", Wanted(("id", "X"), True), 50))
    assert words in error.value.found
