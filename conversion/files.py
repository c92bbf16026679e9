"""Reading and writing files at the edge: atomic writes, deterministic bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it: all or nothing.

    Parameters
    ----------
    path
        Where the file is to be; its folder is made.
    write
        Called with the temporary path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    try:
        write(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, lines ended by a line feed."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_parquet(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet without its index."""
    write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False))


def write_csv(
    path: str | Path, table: pd.DataFrame, float_format: str | None = None, missing: str = ""
) -> None:
    """Write a table as CSV without its index, lines ended by a line feed."""
    write_atomically(
        path,
        lambda temporary: table.to_csv(
            temporary, index=False, float_format=float_format, na_rep=missing, lineterminator="\n"
        ),
    )
