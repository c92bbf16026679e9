"""Writing the list block by block, in the order of ranks: as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Literal

import pandas as pd

from conversion.leads.lead_tables import DECIMALS
from conversion.runtime.files import replacing, without_formulas
from conversion.runtime.row_groups import row_group_writer

BLOCK_ROWS: Final = 32_768
"""Leads of a block, which are a row group of Parquet: enough to be read fast, few enough to be held."""
Quoting = Literal[0, 2]
Write = Callable[[pd.DataFrame], object]


def write_leads(leads: pd.DataFrame, path: Path) -> None:
    """Write leads in the format of the path's suffix: .csv, .json (an array of objects) or .parquet.

    In CSV no cell is a formula, see `conversion.runtime.files.without_formulas`.
    """
    with lead_writer(path, quoting_of(leads)) as write:
        write(leads)


@contextmanager
def lead_writer(path: Path, quoting: Quoting) -> Iterator[Write]:
    """Give a function that appends leads to a file in the format of the path's suffix.

    Parameters
    ----------
    path
        Complete or unchanged at the end.
    quoting
        Of CSV: the strictest that any of the leads need, from `quoting_of`.
    """
    with replacing(path) as temporary, _WRITERS[path.suffix](temporary, quoting) as write:
        yield lambda leads: write(leads.round(DECIMALS))


@contextmanager
def parquet_writer(path: Path) -> Iterator[Write]:
    """Give a function that appends tables of the same columns to a Parquet file, a row group each."""
    with replacing(path) as temporary, row_group_writer(temporary) as write:
        yield write


def quoting_of(leads: pd.DataFrame) -> Quoting:
    """Return which cells to quote: those that must be, or all texts where one has a carriage return.

    The writer does not quote a lone one, but readers would end the row there.
    """
    texts = leads.select_dtypes(["str", "object"])
    lone = any(texts[name].str.contains("\r", regex=False, na=False).any() for name in texts)
    return csv.QUOTE_NONNUMERIC if lone else csv.QUOTE_MINIMAL


@contextmanager
def _csv(path: Path, quoting: Quoting) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        header = True

        def write(leads: pd.DataFrame) -> None:
            nonlocal header
            harmless = without_formulas(leads)
            harmless.to_csv(file, index=False, header=header, lineterminator="\n", quoting=quoting)
            header = False

        yield write


@contextmanager
def _json(path: Path, _: Quoting) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        between = "[\n"

        def write(leads: pd.DataFrame) -> None:
            nonlocal between
            objects = leads.to_json(orient="records", indent=1, double_precision=9)
            file.write(between + objects.removeprefix("[\n").removesuffix("\n]"))
            between = ",\n"

        yield write
        file.write("\n]")


def _parquet(path: Path, _: Quoting) -> AbstractContextManager[Write]:
    return row_group_writer(path)


_WRITERS: Final[Mapping[str, Callable[[Path, Quoting], AbstractContextManager[Write]]]] = {
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}
