"""The first rows of each table of a folder, as text: what a draft of a contract is guessed from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import pandas as pd
import pyarrow as pa

from conversion.ingest.draft_files import MAX_ROWS, FirstRows, SkippedError, check_names, first_rows, skipped
from conversion.ingest.faults import UnreadableError
from conversion.ingest.folders import HIDDEN, SUFFIXES, Place, TableFiles, has_tables, table_in
from conversion.runtime.errors import ExportError

MAX_NAME: Final = 200
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm")
EXCEL_READER: Final = "openpyxl"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class Sample:
    """The first rows of one table."""

    name: str
    columns: pd.DataFrame
    """All values as text, missing ones None; the columns with a name of their own."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Columns that cannot be used, and why."""
    notes: tuple[str, ...] = ()
    is_part: bool = False
    """Whether the table has more rows."""


def read_samples(folder: Place) -> tuple[list[Sample], list[str]]:
    """Read the first rows of every table in a folder.

    Parameters
    ----------
    folder
        On this machine or at a URL. A table is a file, or a folder of CSV or Parquet files.

    Returns
    -------
    tuple
        The samples in the order of their names, and what to tell of files that were not read.

    Raises
    ------
    ExportError
        There is no such folder, or it has no table that can be read.
    """
    if not folder.is_dir():
        raise ExportError(f"{folder}: expected a folder of tables, found {_what_is_at(folder)}")
    places = [place for place in folder.iterdir() if _may_be_a_table(place)]
    places.sort(key=lambda place: place.name)
    if not places:
        raise ExportError(f"{folder}: has no tables; put .csv or .parquet files there, one a table")
    samples: dict[str, Sample] = {}
    notes: list[str] = []
    for path in places:
        try:
            found = _read(path)
        except SkippedError as reason:
            notes.append(f"{path.name}: not read: {reason}")
            continue
        for sample in found:
            if sample.name in samples:
                notes.append(f"{path.name}: not read: there is another table {sample.name}; keep one of them")
            samples.setdefault(sample.name, sample)
    if not samples:
        raise ExportError("\n".join([f"{folder}: has no table that can be read", *notes]))
    return list(samples.values()), notes


def _what_is_at(path: Place) -> str:
    return "a file" if path.exists() else "nothing"


def _may_be_a_table(path: Place) -> bool:
    if path.name.startswith((".", "~$")):
        return False
    if path.is_file():
        return path.suffix.casefold() in (*TEXT_SUFFIXES, ".parquet", *EXCEL_SUFFIXES)
    return not path.name.startswith(HIDDEN) and path.is_dir() and has_tables(path)


def _read(path: Place) -> list[Sample]:
    try:
        if path.is_file() and path.suffix.casefold() in EXCEL_SUFFIXES:
            return _read_excel(path)
        files = TableFiles(path) if path.is_file() else table_in(path)
        return [] if files is None else [_sample_of(files)]
    except UnreadableError as fault:
        raise skipped(fault) from fault
    except PermissionError as error:
        raise SkippedError("no permission to read it") from error
    except OSError as error:
        raise SkippedError(f"it cannot be read ({error.strerror or 'damaged'})") from error


def _sample_of(files: TableFiles) -> Sample:
    """Read the first rows of a table as text."""
    read = first_rows(files)
    texts: dict[str, pa.ChunkedArray] = {}
    dropped: dict[str, str] = {}
    for name, column in read.columns.items():
        try:
            texts[name] = _as_text(column)
        except pa.ArrowException:
            dropped[name] = f"type {column.type}, not plain numbers, text or dates"
    notes = list(read.notes)
    if read.ragged:
        rows = "1 row" if read.ragged == 1 else f"{read.ragged:,} rows"
        notes.append(f"not looked at: {rows} with too many or too few fields")
    return _sample(_table_name(files), read, texts, notes, dropped)


def _table_name(files: TableFiles) -> str:
    """Return what the contract calls a table: a folder may have a name with or without an ending."""
    place = files.place
    plain = files.names is not None and place.suffix not in SUFFIXES
    return place.name if plain else PurePosixPath(place.name).stem


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False)
    return column.cast(pa.string())


def _read_excel(path: Place) -> list[Sample]:
    try:
        with path.open("rb") as opened:
            sheets = pd.read_excel(
                opened, sheet_name=None, header=None, dtype=object, nrows=MAX_ROWS, engine=EXCEL_READER
            )
    except ImportError as error:
        raise SkippedError(
            f"Excel needs {EXCEL_READER}: pip install {EXCEL_READER}, or save each sheet as CSV"
        ) from error
    except (ValueError, KeyError, OSError) as error:
        raise SkippedError("it is no Excel workbook, or damaged") from error
    samples = []
    for title, sheet in sheets.items():
        if len(sheet) == 0:
            continue
        texts = sheet.astype(object).map(str, na_action="ignore")
        names = ["" if pd.isna(name) else str(name) for name in texts.iloc[0]]
        check_names(names)
        name = PurePosixPath(path.name).stem if len(sheets) == 1 else str(title)
        columns = {
            each: pa.chunked_array([pa.array(texts.iloc[1:, place], pa.string(), from_pandas=True)])
            for place, each in enumerate(names)
            if names.count(each) == 1
        }
        rows = FirstRows(names, columns, len(texts) - 1, is_all=len(texts) < MAX_ROWS)
        samples.append(_sample(name, rows, columns, [f"save it as {name}.csv: load reads no Excel"]))
    return samples


def _sample(
    name: str,
    read: FirstRows,
    texts: Mapping[str, pa.ChunkedArray],
    notes: list[str],
    dropped: Mapping[str, str] | None = None,
) -> Sample:
    """Name the columns; leave out those without a name of their own."""
    stripped = [each.strip() for each in read.names]
    counts = Counter(stripped)
    reasons = {each.strip(): why for each, why in (dropped or {}).items()}
    for place, each in enumerate(stripped, start=1):
        if not each:
            reasons[f"column {place}"] = "it has no name"
        elif len(each) > MAX_NAME or _CONTROL.search(each):
            reasons[f"column {place}"] = "its name is too long, or has a line break or control character"
        elif counts[each] > 1:
            reasons[each] = f"{counts[each]} columns have this name; rename all but one"
    kept = {
        each: texts[read.names[place]].to_pandas().astype(object)
        for place, each in enumerate(stripped)
        if each not in reasons and f"column {place + 1}" not in reasons
    }
    frame = pd.DataFrame(kept, index=range(read.rows))
    if [each for each in read.names if each != each.strip()]:
        notes = [*notes, "there are spaces around names of columns"]
    return Sample(name, frame, reasons, tuple(notes), not read.is_all)
