"""The content of any file, or of an object of DVC's cache, which has no name, without a company."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from conversion.forgetting.documents import (
    json_lines_without,
    json_without,
    notebook_without,
    page_without,
    text_without,
)
from conversion.forgetting.tables import WIDE, csv_without, parquet_without
from conversion.forgetting.wanted import Wanted

LISTS: Final = ("leads", "top_leads")
"""Lead lists, whose ranks count their rows."""
SUFFIXES: Final = (".parquet", ".csv", ".tsv", ".json", ".jsonl", ".html", ".md", ".txt", ".ipynb")
LINES: Final = (".log", ".jsonl")
_ZIPPED, _PARQUET = b"\x1f\x8b", b"PAR1"


@dataclass(frozen=True)
class Cleaned:
    """A content without the company.

    Attributes
    ----------
    content
        None: the whole is about the company, or is a page that shows it.
    removed
        Rows, objects, lines or pages.
    """

    content: bytes | None
    removed: int


class UnreadableError(ValueError):
    """A content that names a format and is not of it."""


def is_searched(name: str) -> bool:
    """Return whether a file of this name can hold rows or pages of companies."""
    path = PurePath(name.lower())
    path = path.with_suffix("") if path.suffix == ".gz" else path
    # a log that was full is called predictions.log.3
    return path.suffix in SUFFIXES or any(suffix in LINES for suffix in path.suffixes)


def without_company(content: bytes, wanted: Wanted, name: str = "") -> Cleaned | None:
    """Remove a company from the content of a file.

    Parameters
    ----------
    content
        The bytes.
    wanted
        The company.
    name
        Of the file; "": its format is guessed from the content.

    Returns
    -------
    Cleaned, or None if the company is not in it

    Raises
    ------
    UnreadableError
        The content is not of the format that its name says.
    """
    if content.startswith(_ZIPPED):
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise UnreadableError(f"cannot be unpacked: {error}") from error
        inner = without_company(plain, wanted, name.removesuffix(".gz"))
        if inner is None or inner.content is None:
            return inner
        return Cleaned(gzip.compress(inner.content, mtime=0), inner.removed)
    if not _may_name(content, wanted) or (not name and _is_binary(content)):
        return None
    path = PurePath(name.lower())
    renumber = path.stem in LISTS
    try:
        left, removed = _format(content, path)(content, wanted, renumber)
    except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
        raise UnreadableError(f"cannot be read: {error}") from error
    return Cleaned(left, removed) if removed else None


def _is_binary(content: bytes) -> bool:
    """Return whether an object is no table and no text: a model, a picture."""
    return b"\0" in content and not content.startswith(_PARQUET) and content[:2] not in WIDE


def _may_name(content: bytes, wanted: Wanted) -> bool:
    """Return whether a content may have the company in it; a quick look, since most has not."""
    if content.startswith(_PARQUET) or content[:2] in WIDE:
        return True
    texts = {*wanted.ids, *wanted.names, *(each for values in wanted.keys.values() for each in values)}
    # JSON and HTML write some characters another way: only plain texts are found by their bytes
    return any(not each.isalnum() or not each.isascii() or each.encode() in content for each in texts)


Remove = Callable[[bytes, Wanted, bool], tuple[bytes | None, int]]


def _format(content: bytes, path: PurePath) -> Remove:
    """Choose how to read a content, by its name or else by its first bytes."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if content.startswith(_PARQUET):
        return parquet_without
    if path.suffix == ".ipynb":
        return lambda data, wanted, _: notebook_without(data, wanted)
    if path.suffix in (".md", ".txt"):
        return _text
    if path.suffix == ".html" or (not path.name and start == b"<"):
        return lambda data, wanted, _: page_without(data, wanted)
    if any(suffix in LINES for suffix in path.suffixes):
        return lambda data, wanted, _: json_lines_without(data, wanted)
    if path.suffix == ".json" or (not path.name and start in (b"{", b"[")):
        return json_without if _is_json(content) else lambda data, wanted, _: json_lines_without(data, wanted)
    return csv_without


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _text(content: bytes, wanted: Wanted, renumber: bool) -> tuple[bytes, int]:
    del renumber  # ranks in a text stay as they were printed
    left, removed = text_without(content.decode("utf-8", "surrogateescape"), wanted)
    return left.encode("utf-8", "surrogateescape"), removed
