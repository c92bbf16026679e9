"""Tables in parts: a file, or a folder of files that each have some of the companies.

A table at ``data/clean/usage.parquet`` is a file where there is one part, and a folder of
``part-00000.parquet``, ``part-00001.parquet`` ... where there are several. `read_parquet` of
`conversion.runtime.files` reads both.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from conversion.runtime.files import reading, writing


def part_path(path: str | Path, part: int, parts: int) -> Path:
    """Return the file of one part of a table; of one part alone it is the table's own path."""
    return Path(path) if parts == 1 else Path(path) / f"part-{part:05d}.parquet"


def parts_at(path: str | Path) -> list[Path]:
    """Return the files of a table in the order of its parts; see `reading` for errors."""
    table = Path(path)
    if not table.is_dir():
        return [table]
    found = sorted(table.glob("part-*.parquet"))
    with reading(path):
        if not found:
            raise ValueError("a folder without parts")
    return found


def clear_table(path: str | Path) -> None:
    """Remove a folder of parts from where a table of one part is going to be; see `writing` for errors."""
    table = Path(path)
    with writing(table):
        if table.is_dir():
            shutil.rmtree(table)


def move_table(source: Path, target: Path) -> None:
    """Move a table, a file or a folder of parts, to where there may be an older one of either kind."""
    if target.is_dir():
        shutil.rmtree(target)
    elif source.is_dir():
        target.unlink(missing_ok=True)
    source.replace(target)
