"""Print the first rows of the lead list, whatever its format: ``python -m commands.first_leads``."""

from __future__ import annotations

import csv
import itertools
import sys
from pathlib import Path
from typing import Final

from conversion.runtime.cli import run
from conversion.runtime.files import read_json, read_parquet, read_text, read_value, without_formulas

MANIFEST: Final = Path("data/leads/manifest.json")
ROWS: Final = 10


def first_rows(path: Path, rows: int) -> str:
    """Return the header and first rows of a lead list as CSV text without formulas.

    Parameters
    ----------
    path
        A ``.csv`` file, whose lines are returned unchanged, a ``.json`` file with an array of objects, or a
        ``.parquet`` file.
    rows
        The maximum number of rows.

    Raises
    ------
    InputError
        The file is missing or not of its format.
    """
    if path.suffix == ".csv":
        return _first_records(read_text(path), rows + 1)
    import pandas as pd

    table = read_parquet(path) if path.suffix == ".parquet" else pd.DataFrame(read_json(path))
    return without_formulas(table.head(rows)).to_csv(index=False, lineterminator="\n")


def _first_records(text: str, records: int) -> str:
    """Return the first records of a CSV file unchanged; a quoted cell may have line ends."""
    # splitlines would also split at characters that end a line in Unicode, but not in CSV.
    lines = [f"{line}\n" for line in text.removesuffix("\n").split("\n")]
    reader = csv.reader(lines)
    for _ in itertools.islice(reader, records):
        pass
    return "".join(lines[: reader.line_num])


def main() -> None:
    """Print the first rows of the short list, in the format that it was written in."""
    names = read_value(MANIFEST, "files")
    short = next(name for name in names if name.startswith("top_leads."))
    sys.stdout.write(first_rows(MANIFEST.with_name(short), ROWS))


if __name__ == "__main__":
    run(main, sys.argv[1:])
