"""Search a word in the texts of millions of rows: an index of three bytes at a time says where to look.

Rows are in blocks of `ROWS`. For each batch of rows and each hash of three bytes, the index has the blocks
whose texts have them. A word is looked for in the blocks that have all of its three bytes, and nowhere else;
what is found is exact. A word of less than three bytes is looked for everywhere, on several threads.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from conversion.pages.stored_rows import BATCH, StoredRows

ROWS: Final = 32
"""Rows of a block."""
_BLOCKS: Final = BATCH // ROWS
_HASHES: Final = 1 << 16
_LENGTH: Final = 3
_MULTIPLIER: Final = np.uint32(2_654_435_761)
_DENSE: Final = 0.5
"""Share of the blocks from which on the whole batch is looked at."""
_SAMPLE: Final = 1024
_MANY: Final = 0.3
"""Share of a sample that has a word, from which on it is looked for text by text."""
THREADS: Final = min(os.cpu_count() or 1, 4)


def grams_of(texts: pa.Array) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """Return the index of a batch of texts.

    Returns
    -------
    blocks
        For each hash, one after the other, the blocks that have it, ascending.
    ends
        Where the blocks of each hash end.
    """
    content, rows = _bytes_of(texts)
    if len(content) < _LENGTH:
        return np.zeros(0, dtype=np.uint16), np.zeros(_HASHES, dtype=np.uint32)
    within = rows[:-2] == rows[2:]
    pairs = _hashes(content)[within].astype(np.uint32) * np.uint32(_BLOCKS)
    pairs += (rows[:-2][within] // ROWS).astype(np.uint32)
    pairs.sort()
    pairs = pairs[np.flatnonzero(np.diff(pairs.astype(np.int64), prepend=-1))]
    counts = np.bincount(pairs // _BLOCKS, minlength=_HASHES)
    return (pairs % _BLOCKS).astype(np.uint16), np.cumsum(counts).astype(np.uint32)


def _bytes_of(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return the bytes of texts without nulls, and the row of each."""
    offsets, content = _buffers_of(texts)
    return content, np.repeat(np.arange(len(texts), dtype=np.int32), np.diff(offsets))


def _hashes(content: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Hash each three bytes."""
    wide = content.astype(np.uint32)
    three = wide[:-2] << np.uint32(16) | wide[1:-1] << np.uint32(8) | wide[2:]
    return (three * _MULTIPLIER >> np.uint32(16)).astype(np.uint16)


class TextSearch:
    """Finds words in a column of texts.

    Parameters
    ----------
    texts
        A table of one column, large strings without nulls.
    blocks, ends
        Of `grams_of`, batch after batch.
    """

    def __init__(self, texts: StoredRows, blocks: NDArray[np.uint16], ends: NDArray[np.uint32]) -> None:
        self._texts = [batch.column(0) for batch in texts.batches]
        self._count = len(texts)
        self._blocks = blocks
        self._ends = ends.reshape(len(self._texts), _HASHES)
        totals = self._ends[:, -1].astype(np.int64) if len(self._texts) else np.zeros(0, dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(totals)])

    def matches(self, word: str) -> NDArray[np.bool_]:
        """Return which texts have a word."""
        content = np.frombuffer(word.encode(), dtype=np.uint8)
        hashes = np.unique(_hashes(content)).astype(np.int64) if len(content) >= _LENGTH else None
        found = np.zeros(self._count, dtype=np.bool_)

        def search(number: int) -> None:
            texts, first = self._texts[number], number * BATCH
            rows = None if hashes is None else self._candidates(number, hashes)
            if rows is None:
                found[first : first + len(texts)] = has_word(texts, word)
            elif len(rows):
                rows = rows[rows < len(texts)]
                found[first + rows[has_word(texts.take(pa.array(rows)), word)]] = True

        numbers = range(len(self._texts))
        if hashes is not None and len(hashes) > 1:
            for number in numbers:
                search(number)
        else:
            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(search, numbers))
        return found

    def _candidates(self, number: int, hashes: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the rows of a batch to look at; None: all of them."""
        ends, start = self._ends[number], int(self._starts[number])
        begins = np.where(hashes > 0, ends[hashes - 1], 0).astype(np.int64)
        spans = sorted(zip(begins.tolist(), ends[hashes].tolist(), strict=True), key=lambda s: s[1] - s[0])
        blocks: NDArray[Any] | None = None
        for begin, end in spans:
            if begin == end:
                return np.zeros(0, dtype=np.int64)
            having = self._blocks[start + begin : start + end]
            if blocks is None:
                blocks = having
                continue
            marked = np.zeros(_BLOCKS, dtype=np.bool_)
            marked[having] = True
            blocks = blocks[marked[blocks]]
            if not len(blocks):
                return np.zeros(0, dtype=np.int64)
        assert blocks is not None
        if len(blocks) > _DENSE * _BLOCKS:
            return None
        rows: NDArray[np.int64] = (blocks.astype(np.int64)[:, None] * ROWS + np.arange(ROWS)).ravel()
        return rows


def has_word(texts: pa.Array, word: str) -> NDArray[np.bool_]:
    """Return which of some texts without nulls have a word.

    A word of few texts is found in the bytes of all texts at once, twice as fast as text by text.
    """
    sample = pc.match_substring(texts.slice(0, _SAMPLE), word)
    if len(sample) and pc.mean(sample).as_py() > _MANY:
        return np.asarray(pc.match_substring(texts, word).to_numpy(zero_copy_only=False))
    letters = np.frombuffer(word.encode(), dtype=np.uint8)
    offsets, content = _buffers_of(texts)
    last = len(content) - len(letters) + 1
    if not len(letters) or last <= 0:
        return np.full(len(texts), not len(letters))
    is_begin = content[:last] == letters[0]
    if len(letters) > 1:
        is_begin &= content[1 : last + 1] == letters[1]
    begins = np.flatnonzero(is_begin)
    for place, letter in enumerate(letters[2:], start=2):
        begins = begins[content[begins + place] == letter]
    rows = np.searchsorted(offsets, begins, side="right") - 1
    rows = rows[begins + len(letters) <= offsets[rows + 1]]
    found = np.zeros(len(texts), dtype=np.bool_)
    found[rows] = True
    return found


def _buffers_of(texts: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return where each text begins and ends, and the bytes of all."""
    if not len(texts):
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    _, places, data = texts.buffers()
    offsets = np.frombuffer(places, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.zeros(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return offsets - offsets[0], content[offsets[0] : offsets[-1]]
