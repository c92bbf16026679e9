from __future__ import annotations

import gzip
import json
from io import BytesIO

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.forgetting.contents import UnreadableError, is_searched, without_company
from conversion.forgetting.wanted import Wanted, wanted_company
from conversion.runtime.errors import UsageError
from tests.contract_files import hubspot, projects

WHOLE = wanted_company("123", hubspot())
TEXT = wanted_company("A-1", projects())


def left(content: bytes, name: str, wanted: Wanted = WHOLE) -> bytes | None:
    cleaned = without_company(content, wanted, name)
    return content if cleaned is None else cleaned.content


def test_csv_loses_the_rows_of_the_id_and_no_other_byte() -> None:
    rows = b'id,note\r\n1234,"123"\r\n123,"two\r\nlines"\r\n 0123.0 ,x\r\n12,\xff\xfe\r\n\r\n'
    assert left(rows, "customers.csv") == b'id,note\r\n1234,"123"\r\n12,\xff\xfe\r\n\r\n'


@pytest.mark.parametrize("row", ["123", "'123", "+123", "123.", '"123"', '"=""123"""'])
def test_a_whole_number_is_found_however_it_is_written(row: str) -> None:
    assert left(f"id;n\n{row};1\n124;2\n".encode(), "a.csv") == b"id;n\n124;2\n"


@pytest.mark.parametrize("row", ["1234", "1123", "123.5", "-123", "12", "123a"])
def test_another_number_stays(row: str) -> None:
    content = f"id,n\n{row},123\n".encode()
    assert left(content, "a.csv") == content


def test_text_ids_are_exact() -> None:
    content = b"account,account_id,id\nA-1,x,y\nx,'A-1,y\na-1,x,y\nA-10,x,A-1 \n"
    # Another case, or a space, is another id.
    assert left(content, "a.csv", TEXT) == b"account,account_id,id\na-1,x,y\nA-10,x,A-1 \n"


def test_tables_of_other_encodings() -> None:
    assert left("id\tn\n123\tä\n5\tä\n".encode("utf-16"), "a.tsv") == "id\tn\n5\tä\n".encode("utf-16")
    assert left(b"\xef\xbb\xbfid,n\n123,1\n5,1\n", "a.csv") == b"\xef\xbb\xbfid,n\n5,1\n"
    zipped = without_company(gzip.compress(b"id,n\n123,1\n5,1\n"), WHOLE, "a.csv.gz")
    assert zipped is not None
    assert zipped.content is not None
    assert gzip.decompress(zipped.content) == b"id,n\n5,1\n"


@pytest.mark.parametrize("dtype", ["int64", "float64", "str", "category", "Int64"])
def test_parquet_of_any_type(dtype: str) -> None:
    table = pd.DataFrame({"id": pd.Series([123, 1234, 123, 5]).astype(dtype), "n": [1.5, 2.5, 3.5, 123.0]})
    stream = BytesIO()
    table.to_parquet(stream, index=False)
    content = left(stream.getvalue(), "a.parquet")
    assert content is not None
    read = pd.read_parquet(BytesIO(content))
    assert read["n"].tolist() == [2.5, 123.0]
    assert read.dtypes.equals(pd.read_parquet(stream).dtypes)


def test_ranks_of_a_list_count_what_stays_and_those_of_other_tables_do_not() -> None:
    content = b'rank,id,why\n1,5,a\n2,123,b\n3,7,"c\n3"\n'
    assert left(content, "leads.csv") == b'rank,id,why\n1,5,a\n2,7,"c\n3"\n'
    assert left(content, "others.csv") == b'rank,id,why\n1,5,a\n3,7,"c\n3"\n'
    listed = json.dumps([{"rank": 1, "id": 123}, {"rank": 2, "id": 5}], indent=1).encode()
    assert json.loads(left(listed, "leads.json") or b"") == [{"rank": 1, "id": 5}]


def test_json_loses_objects_at_any_depth() -> None:
    content = json.dumps({"top": [{"id": 123}, {"id": 1234}], "count": 123, "of": {"it": {"id": "123"}}})
    assert json.loads(left(content.encode(), "a.json") or b"") == {
        "top": [{"id": 1234}], "count": 123, "of": {},
    }  # fmt: skip
    assert left(b'{"id": 123, "n": 1}', "a.json") is None


def test_lines_of_a_log() -> None:
    lines = [b'{"input": {"id": 123}, "p": 0.5}\n', b'{"input": {"id": 5}, "p":  123}\n', b"\n"]
    assert left(b"".join(lines), "data.1.log.3") == lines[1] + lines[2]


def test_a_page_that_shows_the_company_goes_whole() -> None:
    assert left(b"<h3><bdi>Company 123</bdi></h3>", "report.html") is None
    for other in (b"<h3>Company 1234</h3>", b"<p>123 companies</p>", b"<a href='/companies/1234'>"):
        assert left(other, "report.html") == other
    named = Wanted(frozenset({"123"}), True, frozenset({"id"}), names=frozenset({"Smith & Sons", "abc"}))
    assert left(b"<td>Smith &amp; Sons</td>", "a.html", named) is None
    assert left(b"<td>abcd abc</td>", "a.html", named) == b"<td>abcd abc</td>"


def test_rows_of_tables_in_texts() -> None:
    printed = "Rank 123\n```\nrank,id,p\n1,123,0.5\n2,5,123\n```\n1,123,0.5\n\n"
    after = "Rank 123\n```\nrank,id,p\n2,5,123\n```\n1,123,0.5\n\n"
    table = "| id | n |\n| --- | --- |\n"
    assert left(f"{printed}{table}| 123 | 1 |\n".encode(), "page.md") == f"{after}{table}".encode()


def test_outputs_of_a_notebook() -> None:
    shown = {"output_type": "execute_result", "data": {"text/plain": ["   id  p\n", "0  123  1\n"]}}
    html = {"output_type": "execute_result", "data": {"text/html": ["<td>123</td>"]}}
    other = {"output_type": "stream", "text": ["123 rows\n"]}
    notebook = {"cells": [{"outputs": [html, other], "source": ["x = 123"]}, {"source": []}], "nbformat": 4}
    content = left(json.dumps(notebook).encode(), "demo.ipynb")
    assert content is not None
    assert json.loads(content)["cells"][0] == {"outputs": [other], "source": ["x = 123"]}
    printed = without_company(json.dumps({"cells": [{"outputs": [shown]}]}).encode(), WHOLE, "a.ipynb")
    assert printed is not None  # pandas prints an index before the first column


def test_keys_of_crm_files() -> None:
    wanted = Wanted(
        frozenset({"123"}), True, frozenset({"id"}), {"Company Domain Name": frozenset({"a.example"})}
    )
    content = b"Company Domain Name,place\na.example,1\nba.example,2\n"
    assert left(content, "hubspot.csv", wanted) == b"Company Domain Name,place\nba.example,2\n"


def test_an_object_without_a_name_is_read_by_its_content() -> None:
    assert left(b"id,n\n123,1\n5,1\n", "") == b"id,n\n5,1\n"
    assert left(b'[{"id": 123}]', "") == b"[]"
    assert left(b"\x80\x04model\x00id,123", "") == b"\x80\x04model\x00id,123"


def test_what_is_not_of_its_format_is_reported() -> None:
    with pytest.raises(UnreadableError, match="cannot be read"):
        without_company(b"PAR1 123 broken", WHOLE, "a.parquet")
    with pytest.raises(UnreadableError, match="cannot be unpacked"):
        without_company(b"\x1f\x8b123", WHOLE, "a.csv.gz")


def test_which_files_are_searched() -> None:
    names = ("a.csv", "A.CSV", "a.csv.gz", "x.parquet", "data.1.log.3", "n.ipynb", "model.joblib", "a.png")
    assert [is_searched(name) for name in names] == [True] * 6 + [False] * 2


def test_an_id_that_is_none() -> None:
    with pytest.raises(UsageError, match="given '12x', should be a whole number"):
        wanted_company("12x", hubspot())
    with pytest.raises(UsageError, match="given nothing"):
        wanted_company("", projects())


@given(ids=st.lists(st.integers(0, 1300), min_size=1, max_size=30))
def test_no_row_of_the_id_and_every_other_row_is_left(ids: list[int]) -> None:
    table = pd.DataFrame({"n": ids, "id": ids})
    content = left(table.to_csv(index=False).encode(), "a.csv")
    assert content == table[table["id"] != 123].to_csv(index=False).encode()
