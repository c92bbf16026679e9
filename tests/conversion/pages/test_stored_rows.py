from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.pages.stored_rows import (
    StoredRows,
    TableWriter,
    full_schema,
    narrow_schema,
    read_array,
    write_array,
)

COUNT = 250


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredRows]:
    """A table that was written in pieces that are no batches."""
    path = tmp_path_factory.mktemp("rows") / "table"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conversion.pages.stored_rows.BATCH", 100)
        numbers = np.arange(COUNT)
        table = pa.table({"number": numbers, "text": [f"text {number}" for number in numbers]})
        with TableWriter(path, table.schema) as writer:
            for first, last in ((0, 30), (30, 31), (31, 180), (180, COUNT)):
                for batch in table.slice(first, last - first).combine_chunks().to_batches():
                    writer.append(batch)
        yield StoredRows(path)


@given(positions=st.lists(st.integers(0, COUNT - 1), max_size=60))
def test_rows_are_taken_in_the_order_asked_for(rows: StoredRows, positions: list[int]) -> None:
    found = rows.take(np.array(positions, dtype=np.int64))
    assert found.column("number").to_pylist() == positions
    assert found.column("text").to_pylist() == [f"text {position}" for position in positions]


@given(ends=st.tuples(st.integers(0, COUNT), st.integers(0, COUNT)))
def test_a_span_of_rows_may_go_over_batches(rows: StoredRows, ends: tuple[int, int]) -> None:
    begin, end = sorted(ends)
    assert rows.between(begin, end).column("number").to_pylist() == list(range(begin, end))


def test_a_table_has_its_rows_and_columns(rows: StoredRows) -> None:
    assert len(rows) == COUNT
    assert [batch.num_rows for batch in rows.batches] == [100, 100, 50]
    assert rows.column("number").to_pylist() == list(range(COUNT))


def test_a_table_of_other_batches_is_refused(tmp_path: Path) -> None:
    table = pa.table({"number": [1, 2, 3]})
    with pa.ipc.new_file(str(tmp_path / "table"), table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    with pytest.raises(ValueError, match="batches of another size"):
        StoredRows(tmp_path / "table")


@pytest.mark.parametrize("values", [[], [1, -2, 3]])
def test_an_array_comes_back(tmp_path: Path, values: list[int]) -> None:
    write_array(tmp_path, "array", np.array(values), "int32")
    assert read_array(tmp_path, "array", "int32").tolist() == values


@pytest.mark.parametrize(
    ("span", "expected"),
    [((0, 127), "int8"), ((-129, 5), "int16"), ((0, 2**31 - 1), "int32"), ((0, 2**31), "int64")],
)
def test_whole_numbers_are_as_narrow_as_they_can_be(span: tuple[int, int], expected: str) -> None:
    schema = pa.schema([("number", pa.int64()), ("other", pa.int64()), ("text", pa.large_string())])
    narrow = narrow_schema(schema, {"number": span, "text": (0, 1)})
    assert [str(field.type) for field in narrow] == [expected, "int64", "large_string"]
    assert full_schema(narrow).equals(schema)
