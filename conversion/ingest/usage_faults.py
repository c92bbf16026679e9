"""Faults of a usage table of grain day or event: the lines and cells that could not be parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb

from conversion.config.data_contract import Contract
from conversion.ingest.advice import TOTALS_REMEDY, advise_on_order_of_dates, is_total
from conversion.ingest.columns import MAX_MEASURE
from conversion.ingest.faults import (
    ALL_DIGITS,
    NUMBER,
    PRESENT,
    REMEDIES,
    ROW_REMEDY,
    SHOWN_KEYS,
    SHOWN_VALUES,
    TIMESTAMP,
    WHOLE,
    Fault,
    UnreadableError,
    quoted,
)
from conversion.ingest.usage_rows import MISSING_TEXTS, rejected_lines
from conversion.runtime.errors import ExportError

LINE_REMEDY: Final = "quote values that contain commas, complete lines that were cut off"
DAY_REMEDY: Final = (
    "if a row is of a user, set usage.grain to event, name its user, and make measures of the counts; "
    "else sum the counts of a company and day, or remove copies of rows"
)
MAX_REPEATED: Final = 0.3
"""Largest share of rows that may repeat a company and day; of more, they are of users, say."""
REPEATED_COMPANIES: Final = 20
"""Companies with several rows a day from which on the table has another grain, not a few copies."""
MEASURE: Final = f"{NUMBER}, within ±{MAX_MEASURE:.0e}"


class WeeklyCountsError(ExportError):
    """A usage table of which no weekly counts can be made; ``faults`` says why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True)
class Cell:
    """A column of ``usage_rows`` that has to be parsed where a row is not excluded."""

    column: str
    """What the table calls it."""
    value: str
    """Its name in ``usage_rows``, where that of its text ends with ``_text``."""
    expected: str
    needed: bool = True
    """Whether it may not be missing."""

    @property
    def missing(self) -> str:
        """The SQL of whether the text stands for a missing value."""
        text = f"{self.value}_text"
        return f"({text} IS NULL OR trim({text}) IN ({MISSING_TEXTS}))"

    @property
    def bad(self) -> str:
        """The SQL of whether the cell has no value and should."""
        bad = f"NOT excluded AND {self.value} IS NULL"
        return bad if self.needed else f"{bad} AND {self.value}_text IS NOT NULL"


def cells_of(contract: Contract) -> list[Cell]:
    """List the cells of each row."""
    usage = contract.usage
    cells = [
        Cell(usage.id, "id", WHOLE if contract.companies.ids == "whole" else PRESENT),
        Cell(usage.time, "moment", TIMESTAMP),
    ]
    if usage.grain == "day":
        cells += [Cell(name, f"m{at}", WHOLE) for at, name in enumerate(contract.counts)]
    measures = enumerate(usage.measures.values())
    return cells + [Cell(each.column, f"n{at}", MEASURE, needed=False) for at, each in measures]


def counted_bad(cells: list[Cell]) -> str:
    """Write the SQL that counts the bad rows of each cell."""
    bad = zip(cells, bad_names(cells), strict=True)
    return ", ".join(f"count(*) FILTER ({cell.bad}) AS {name}" for cell, name in bad)


def bad_names(cells: list[Cell]) -> list[str]:
    """Name the columns of `counted_bad`."""
    return [f"bad_{cell.value}" for cell in cells]


def refuse_bad_rows(
    engine: duckdb.DuckDBPyConnection, file: str, cells: list[Cell], rows: int, bad: list[int]
) -> None:
    """Check that each line and cell could be parsed, by how many bad rows each cell has.

    Raises
    ------
    UnreadableError
        There are no rows.
    WeeklyCountsError
        Lines or cells could not be parsed.
    """
    faults = [
        Fault(file, "all columns", "lines as the header has them", LINE_REMEDY, lines, tuple(first), (kind,))
        for kind, lines, first in rejected_lines(engine, file)
    ]
    for cell, count in zip(cells, bad, strict=bool(bad)):
        if count:
            faults += _cell_faults(engine, file, cell, rows)
    if not rows and not faults:
        raise UnreadableError("the file", "rows after the header", "export the table again", "none")
    if faults:
        raise WeeklyCountsError(faults)


def refuse_repeated_days(engine: duckdb.DuckDBPyConnection, file: str, contract: Contract) -> None:
    """Refuse a table of grain day that has several rows a day of many companies; copies do not count.

    Raises
    ------
    WeeklyCountsError
        More than `MAX_REPEATED` of the rows repeat a company and day, of `REPEATED_COMPANIES` or more.
    """
    engine.execute(
        "CREATE TEMP TABLE rows_of_days AS SELECT id, date_trunc('day', moment) AS day, count(*) AS rows "
        "FROM (SELECT DISTINCT * FROM usage_rows WHERE NOT excluded) GROUP BY ALL"
    )
    rows, repeated, companies = engine.execute(
        "SELECT sum(rows), sum(rows - 1), count(DISTINCT id) FILTER (rows > 1) FROM rows_of_days"
    ).fetchall()[0]
    if repeated <= MAX_REPEATED * rows or companies < REPEATED_COMPANIES:
        return
    first = engine.execute(
        "SELECT id, strftime(day, '%Y-%m-%d') FROM rows_of_days WHERE rows > 1 ORDER BY ALL LIMIT ?",
        [SHOWN_KEYS],
    )
    keys = tuple(f"id {company} on {day}" for company, day in first.fetchall())
    columns = f"{contract.usage.id} and {contract.usage.time}"
    raise WeeklyCountsError(
        [Fault(file, columns, "one row a company and day", DAY_REMEDY, int(repeated), keys)]
    )


def _cell_faults(engine: duckdb.DuckDBPyConnection, file: str, cell: Cell, rows: int) -> list[Fault]:
    """Return a fault of the missing cells of a column, and one of each kind that cannot be parsed."""
    kinds = [(PRESENT, cell.missing), (cell.expected, f"NOT {cell.missing}")]
    if cell.expected == WHOLE:
        exponent = f"regexp_full_match(trim({cell.value}_text), '[+-]?[0-9.]+[eE][+-]?[0-9]+')"
        kinds[1:] = [
            (WHOLE, f"NOT {cell.missing} AND NOT {exponent}"),
            (ALL_DIGITS, f"NOT {cell.missing} AND {exponent}"),
        ]
    faults = []
    for expected, which in kinds:
        where = f"FROM usage_rows WHERE {cell.bad} AND {which}"
        bad = engine.execute(f"SELECT count(*) {where}").fetchall()[0][0]
        if not bad:
            continue
        seen = (
            f"SELECT DISTINCT {cell.value}_text {where} AND NOT {cell.missing} "
            f"ORDER BY ALL LIMIT {SHOWN_VALUES}"
        )
        found = [name for (name,) in engine.execute(seen).fetchall()]
        keys, are_totals = _keys(engine, cell, where, rows)
        are_totals = are_totals or (cell.value == "id" and bool(found) and all(map(is_total, found)))
        remedy = REMEDIES.get(expected, ROW_REMEDY)
        if are_totals:
            remedy = TOTALS_REMEDY
        elif expected == TIMESTAMP:
            remedy = advise_on_order_of_dates(found) or remedy
        faults.append(Fault(file, cell.column, expected, remedy, bad, keys, tuple(map(quoted, found))))
    return faults


def _keys(
    engine: duckdb.DuckDBPyConnection, cell: Cell, where: str, rows: int
) -> tuple[tuple[str, ...], bool]:
    """Return the names of bad rows, and whether they look like totals: called so, or the last row."""
    if cell.value != "id":
        query = f"SELECT DISTINCT id_text {where} AND id_text IS NOT NULL ORDER BY ALL LIMIT {SHOWN_KEYS}"
        ids = [name for (name,) in engine.execute(query).fetchall()]
        return tuple(f"id {name}" for name in ids), bool(ids) and all(map(is_total, ids))
    # Rows have numbers only if they are read in order.
    engine.execute("SET threads = 1; SET preserve_insertion_order = true")
    numbered = where.replace("usage_rows", "(SELECT row_number() OVER () AS number, * FROM usage_rows)")
    query = f"SELECT number {numbered} LIMIT {SHOWN_KEYS}"
    numbers = [number for (number,) in engine.execute(query).fetchall()]
    return tuple(f"row {number}" for number in numbers), numbers == [rows]
