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


def clear_table(path: str | Path, parts: int) -> None:
    """Remove what is at a table's path and is none of its parts: a file or folder of another number of parts.

    Raises
    ------
    OutputError
        See `writing`.
    """
    table = Path(path)
    with writing(table):
        if not table.is_dir():
            if parts > 1:
                table.unlink(missing_ok=True)
        elif parts == 1:
            shutil.rmtree(table)
        else:
            kept = {part_path(table, part, parts) for part in range(parts)}
            for file in set(table.glob("part-*.parquet")) - kept:
                file.unlink()
