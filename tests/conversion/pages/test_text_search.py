from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.pages.stored_rows import BATCH, StoredRows, TableWriter
from conversion.pages.text_search import TextSearch, grams_of, has_word

LETTERS = st.text("abü1日\n ", max_size=8)


@given(texts=st.lists(LETTERS, max_size=40), word=LETTERS.filter(bool), skipped=st.integers(0, 5))
def test_a_word_is_in_the_texts_that_have_it(texts: list[str], word: str, skipped: int) -> None:
    found = has_word(pa.array(texts, pa.large_string()).slice(skipped), word)
    assert found.tolist() == [word in text for text in texts[skipped:]]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], TextSearch]:
    """Two batches of texts, the second one in part, with few words in both and some in one."""
    texts = [f"company {place * 7919 % 100_000} {'gmbh' if place % 3 else 'ag'}" for place in range(BATCH)]
    texts += [f"ünïted {place}" for place in range(1000)]
    path = tmp_path_factory.mktemp("texts") / "texts"
    blocks, ends = [], []
    with TableWriter(path, pa.schema([("text", pa.large_string())])) as table:
        for first in range(0, len(texts), BATCH):
            part = pa.array(texts[first : first + BATCH], pa.large_string())
            table.append(pa.record_batch([part], names=["text"]))
            of_batch, ends_of_batch = grams_of(part)
            blocks.append(of_batch)
            ends.append(ends_of_batch)
    return texts, TextSearch(StoredRows(path), np.concatenate(blocks), np.concatenate(ends))


@pytest.mark.parametrize(
    "word", ["company", "gmbh", "gm", "a", "ü", "ïte", "ünïted 99", "y 79", "12345", "zzz", "99999999", "\n"]
)
def test_the_index_finds_all_texts_that_have_a_word_and_no_others(
    searched: tuple[list[str], TextSearch], word: str
) -> None:
    texts, search = searched
    assert search.matches(word).tolist() == [word in text for text in texts]


def test_nothing_is_found_where_there_are_no_texts(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "texts", pa.schema([("text", pa.large_string())])):
        pass
    none = TextSearch(StoredRows(tmp_path / "texts"), np.zeros(0, np.uint16), np.zeros(0, np.uint32))
    assert not len(none.matches("word"))
