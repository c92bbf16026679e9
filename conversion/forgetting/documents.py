"""JSON, lines of JSON, pages, texts and notebooks without a company."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from conversion.forgetting.wanted import Wanted

FENCE: Final = re.compile(r"\s*(```.*|<!--.*)?")


def json_without(content: bytes, wanted: Wanted, renumber: bool = False) -> tuple[bytes | None, int]:
    """Remove objects that a key identifies as the company's, at any depth.

    Returns
    -------
    tuple of bytes or None, and int
        What stays, None if the whole is the company's; and the number of objects removed.

    Raises
    ------
    ValueError
        It is no JSON.
    """
    value = json.loads(content)
    if _is_about(value, wanted):
        return None, 1
    removed = _prune(value, wanted)
    if not removed:
        return content, 0
    if renumber and isinstance(value, list):
        for place, item in enumerate(value, start=1):
            item["rank"] = place
    indent = 1 if b"\n" in content.strip() else None
    end = b"\n" if content.endswith(b"\n") else b""
    return json.dumps(value, indent=indent, ensure_ascii=False).encode() + end, removed


def _is_about(value: object, wanted: Wanted) -> bool:
    return isinstance(value, dict) and any(wanted.is_in(key, each) for key, each in value.items())


def _prune(value: Any, wanted: Wanted) -> int:
    """Remove the company's objects from lists and objects, in place; return how many."""
    if isinstance(value, list):
        kept = [item for item in value if not _is_about(item, wanted)]
        removed = len(value) - len(kept)
        value[:] = kept
        return removed + sum(_prune(item, wanted) for item in kept)
    if isinstance(value, dict):
        about = [key for key, item in value.items() if _is_about(item, wanted)]
        for key in about:
            del value[key]
        return len(about) + sum(_prune(item, wanted) for item in value.values())
    return 0


def json_lines_without(content: bytes, wanted: Wanted) -> tuple[bytes, int]:
    """Remove the lines of JSON that have an object of the company; other lines keep their bytes.

    Raises
    ------
    ValueError
        A line is no JSON.
    """
    lines = content.splitlines(keepends=True)
    kept = [line for line in lines if not line.strip() or not json_without(line, wanted)[1]]
    return b"".join(kept), len(lines) - len(kept)


def page_without(content: bytes, wanted: Wanted) -> tuple[bytes | None, int]:
    """Return a page that does not show the company, or None: a page is written again, not edited."""
    return (None, 1) if wanted.is_named_in(content.decode("utf-8", "replace")) else (content, 0)


def text_without(text: str, wanted: Wanted) -> tuple[str, int]:
    """Remove rows of tables within a text: of a line of names with that of an id, and rows below it.

    A number in a sentence is no id: nothing but a column tells.
    """
    kept: list[str] = []
    header: tuple[list[tuple[int, str]], str | None] = ([], None)  # places are counted from the end
    lines = text.splitlines(keepends=True)
    for line in lines:
        if FENCE.fullmatch(line.rstrip("\r\n")):
            header = ([], None)
        elif not header[0]:
            header = _table_header(line, wanted)
        else:
            cells = _cells(line, header[1])
            if any(-at <= len(cells) and wanted.is_in(name, cells[at]) for at, name in header[0]):
                continue
        kept.append(line)
    return "".join(kept), len(lines) - len(kept)


def _table_header(line: str, wanted: Wanted) -> tuple[list[tuple[int, str]], str | None]:
    """Return the places of columns with ids if the line names columns, and what parts them.

    They are counted from the end: pandas prints an index before the first column, without a name.
    """
    for delimiter in (",", "|", None):
        cells = _cells(line, delimiter)
        if len(cells) > 1 and (names := wanted.columns(cells)):
            return [(cells.index(name) - len(cells), name) for name in names], delimiter
    return [], None


def _cells(line: str, delimiter: str | None) -> list[str]:
    return [cell.strip().strip('`"') for cell in line.split(delimiter)]


def notebook_without(content: bytes, wanted: Wanted) -> tuple[bytes, int]:
    """Clear the outputs of a notebook that show the company.

    Raises
    ------
    ValueError
        It is no notebook.
    """
    notebook = json.loads(content)
    removed = 0
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        kept = [each for each in outputs if not _shows(each, wanted)]
        if len(kept) < len(outputs):
            cell["outputs"] = kept
            removed += len(outputs) - len(kept)
    if not removed:
        return content, 0
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n", removed


def _shows(output: dict[str, Any], wanted: Wanted) -> bool:
    shown = [output.get("text", ""), *output.get("data", {}).values()]
    texts = ["".join(each) if isinstance(each, list) else each for each in shown]
    return any(
        wanted.is_named_in(text) or text_without(text, wanted)[1] > 0
        for text in texts
        if isinstance(text, str)
    )
