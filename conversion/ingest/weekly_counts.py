"""Weekly counts of a usage table of grain day or event, made by DuckDB in bounded memory.

Weeks start on Monday 00:00 in the contract's time zone. Of events, actions are the module's events and users
the distinct users with at least one. Events that are in the table twice count twice, as nothing tells a
repeated row from a repeated event.

Of days, actions are summed. The week's distinct users are not in such a table: the largest day is their lower
bound and the sum of days their upper bound. The largest day is taken, as regular users come on most days, so
that a sum would count them up to seven times. Of several rows of a company and day, the largest of each count
is taken. A count below 0 makes the week's count the least of them, for the cleaning rule ``negative_count``.
"""

from __future__ import annotations

import fnmatch
import logging
from pathlib import Path
from typing import Final

import duckdb
import pandas as pd
import pyarrow as pa

from conversion.config.data_contract import Contract
from conversion.ingest.faults import (
    PRESENT,
    REMEDIES,
    ROW_REMEDY,
    SHOWN_KEYS,
    SHOWN_VALUES,
    TIMESTAMP,
    WHOLE,
    Fault,
    UnreadableError,
    one_line,
    quoted,
)
from conversion.ingest.tables import Header, Source
from conversion.ingest.usage_rows import (
    TABLE,
    MissingColumnsError,
    create_rows,
    open_engine,
    rejected_lines,
)
from conversion.runtime.errors import ExportError

MAX_EVENT_NAMES: Final = 100_000
"""Different names of events; more are identifiers or messages, not names."""
UNREADABLE: Final = (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException, OSError)
"""What DuckDB raises for a file that it cannot read. Others are mistakes of a query, not of the export."""
log = logging.getLogger(__name__)


class WeeklyCountsError(ExportError):
    """A usage table of which no weekly counts can be made; ``faults`` says why."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


def read_weekly_usage(folder: Path, contract: Contract) -> Source:
    """Read the usage table of an export whose grain is day or event, as weekly counts.

    Returns
    -------
    Source
        As `conversion.ingest.tables.read_table` returns a table of grain week: the contract's names of the id
        and the time, and `Contract.counts`. Without rows if ``faults`` has any.

    Raises
    ------
    UnreadableError
        There is no such table, or there are two.
    """
    usage = contract.usage
    found = [path for suffix in (".csv", ".parquet") if (path := folder / f"{usage.table}{suffix}").is_file()]
    if len(found) != 1:
        remedy = "remove the one that is out of date" if found else "put the table into the folder"
        expected = f"one of {usage.table}.csv and {usage.table}.parquet"
        raise UnreadableError("the file", expected, remedy, "both" if found else "neither")
    faults: list[Fault] = []
    try:
        weekly = weekly_counts(found[0], contract)
    except WeeklyCountsError as error:
        faults = error.faults
        weekly = _typed(pd.DataFrame(columns=["id", usage.time, *contract.counts]), contract)
    table = pa.Table.from_pandas(weekly.rename(columns={"id": usage.id}), preserve_index=False)
    header = Header(tuple(table.column_names), frozenset(), {}, ())
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return Source(str(found[0]), header, columns, lambda row: f"weekly row {row + 1}", tuple(faults))


def weekly_counts(source: Path | pa.Table, contract: Contract) -> pd.DataFrame:
    """Count a company's actions and users by week and module.

    Parameters
    ----------
    source
        The rows of days or events: a ``.csv`` or ``.parquet`` file, or a table in memory.
    contract
        Of grain ``day`` or ``event``.

    Returns
    -------
    pandas.DataFrame
        Sorted by ``id`` and week: ``id`` (int64 or str), the contract's time (Monday 00:00), and
        `Contract.counts` (int64). Only weeks with at least one event of a module, or one row of a day.

    Raises
    ------
    WeeklyCountsError
        The table cannot be read, cells of it cannot, or nothing is left to count.
    """
    file = str(source) if isinstance(source, Path) else TABLE
    with open_engine() as engine:
        try:
            create_rows(engine, source, contract)
            if contract.usage.grain == "event":
                counted = _of_events(engine, file, contract)
            else:
                counted = _of_days(engine, file, contract)
        except MissingColumnsError as error:
            raise WeeklyCountsError(error.faults) from error
        except UnreadableError as error:
            raise WeeklyCountsError([error.at(file)]) from error
        except UNREADABLE as error:
            remedy = "export the table again"
            fault = Fault(file, "the file", "a readable table", remedy, found=(one_line(error),))
            raise WeeklyCountsError([fault]) from error
    return _typed(counted, contract)


def _typed(counted: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    counted.columns = pd.Index(["id", contract.usage.time, *contract.counts])
    id_type = "int64" if contract.companies.ids == "whole" else "str"
    counts = dict.fromkeys(contract.counts, "int64")
    return counted.astype({"id": id_type, contract.usage.time: "datetime64[us]", **counts})


def _of_events(engine: duckdb.DuckDBPyConnection, file: str, contract: Contract) -> pd.DataFrame:
    cells = _cells(contract)
    names = engine.execute(
        "SELECT event, count(*) FILTER (NOT excluded), count(*) FILTER (excluded), "
        f"{_bad(cells)} FROM usage_rows GROUP BY event ORDER BY event LIMIT {MAX_EVENT_NAMES + 1}"
    ).fetchall()
    if len(names) > MAX_EVENT_NAMES:
        expected = f"at most {MAX_EVENT_NAMES} different names"
        remedy = "point usage.event at the column of the event's name"
        found = f"more, such as {quoted(names[0][0])}"
        raise UnreadableError(str(contract.usage.event), expected, remedy, found)
    _refuse_bad_rows(engine, file, cells, _summed([counts for _, *counts in names]))
    kept = {name: rows for name, rows, *_ in names if rows}
    rows, left_out = sum(kept.values()), sum(excluded for _, _, excluded, *_ in names)
    modules = {
        module: _matching([name for name in kept if name is not None], each.events)
        for module, each in contract.usage.modules.items()
    }
    matched = {name for found in modules.values() for name in found}
    unmatched = {name: count for name, count in kept.items() if name not in matched}
    _report(modules, unmatched, rows, left_out)
    if not matched:
        remedy = "correct the patterns, usage.modules.*.events" if rows else "correct usage.exclude"
        found = f"{rows} of others, {left_out} excluded"
        raise UnreadableError(
            str(contract.usage.event), "events of some module", remedy, f"{found}{_examples(unmatched)}"
        )
    engine.execute("CREATE TABLE events (event VARCHAR, module INTEGER)")
    pairs = [[name, at] for at, found in enumerate(modules.values()) for name in found]
    engine.executemany("INSERT INTO events VALUES (?, ?)", pairs)
    return engine.execute(_events_query(contract)).df()


def _matching(names: list[str], patterns: tuple[str, ...]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _events_query(contract: Contract) -> str:
    """Write the query: the counts of each company, week, module and user first, as such groups can spill."""
    modules = contract.usage.modules.values()
    actions = [_module_sum("actions", at) for at in range(len(modules))]
    users = [_module_sum("users", at) for at, module in enumerate(modules) if module.users is not None]
    return f"""
        WITH by_user AS (
            SELECT id, date_trunc('week', moment) AS week, module, person, count(*) AS actions
            FROM usage_rows JOIN events USING (event) WHERE NOT excluded
            GROUP BY ALL
        ), by_module AS (
            SELECT id, week, module, sum(actions) AS actions, count(person) AS users
            FROM by_user GROUP BY ALL
        )
        SELECT id, CAST(week AS TIMESTAMP) AS week, {", ".join(actions + users)}
        FROM by_module GROUP BY id, week ORDER BY id, week
    """


def _module_sum(count: str, module: int) -> str:
    return f"CAST(coalesce(sum({count}) FILTER (module = {module}), 0) AS BIGINT) AS {count}_{module}"


def _of_days(engine: duckdb.DuckDBPyConnection, file: str, contract: Contract) -> pd.DataFrame:
    cells = _cells(contract)
    rows, left_out, *bad = engine.execute(
        f"SELECT count(*) FILTER (NOT excluded), count(*) FILTER (excluded), {_bad(cells)} FROM usage_rows"
    ).fetchall()[0]
    _refuse_bad_rows(engine, file, cells, [rows, left_out, *bad])
    if not rows:
        raise UnreadableError("all columns", "rows", "correct usage.exclude", f"{left_out}, all excluded")
    if left_out:
        log.info("usage rows left out by usage.exclude", extra={"rows": left_out, "kept": rows})
    places = range(len(contract.counts))
    largest = [f"{_or_negative(f'm{at}', 'max')} AS m{at}" for at in places]
    summed = [
        f"CAST({_or_negative(f'm{at}', 'sum' if at < len(contract.actions) else 'max')} AS BIGINT) AS m{at}"
        for at in places
    ]
    engine.execute(
        f"CREATE TABLE days AS SELECT id, date_trunc('day', moment) AS day, {', '.join(largest)}"
        " FROM usage_rows WHERE NOT excluded GROUP BY id, day"
    )
    if repeated := rows - engine.execute("SELECT count(*) FROM days").fetchall()[0][0]:
        log.warning(
            "several rows of one company and day: the largest of each count is taken",
            extra={"rows": repeated},
        )
    return engine.execute(
        f"""
        SELECT id, CAST(date_trunc('week', day) AS TIMESTAMP) AS week, {", ".join(summed)}
        FROM days GROUP BY id, week ORDER BY id, week
        """
    ).df()


def _or_negative(column: str, whole: str) -> str:
    return f"CASE WHEN min({column}) < 0 THEN min({column}) ELSE {whole}({column}) END"


Cell = tuple[str, str, str, str]
"""A column, the names of its value and of its text in ``usage_rows``, and what is expected of it."""


def _cells(contract: Contract) -> list[Cell]:
    """List the cells that each row needs, where it is not excluded."""
    usage = contract.usage
    cells = [
        (usage.id, "id", "id_text", WHOLE if contract.companies.ids == "whole" else PRESENT),
        (usage.time, "moment", "moment_text", TIMESTAMP),
    ]
    if usage.grain == "day":
        cells += [(name, f"m{at}", f"m{at}_text", WHOLE) for at, name in enumerate(contract.counts)]
    return cells


def _bad(cells: list[Cell]) -> str:
    """Write the SQL that counts the rows of each cell without a value."""
    return ", ".join(f"count(*) FILTER ({value} IS NULL AND NOT excluded)" for _, value, _, _ in cells)


def _summed(counts: list[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*counts, strict=True)]


def _refuse_bad_rows(
    engine: duckdb.DuckDBPyConnection, file: str, cells: list[Cell], counts: list[int]
) -> None:
    """Check that each line and cell could be parsed, by the rows, the excluded rows and the bad cells."""
    faults = [
        Fault(file, "all columns", "lines as the header has them", _LINE_REMEDY, rows, _lines(lines), (kind,))
        for kind, rows, lines in rejected_lines(engine)
    ]
    for cell, bad in zip(cells, counts[2:], strict=bool(counts)):
        if bad:
            faults += _cell_faults(engine, file, cell)
    if not sum(counts[:2]) and not faults:
        raise UnreadableError("the file", "rows after the header", "export the table again", "none")
    if faults:
        raise WeeklyCountsError(faults)


_LINE_REMEDY: Final = "quote values that contain commas, complete lines that were cut off"


def _lines(lines: list[int]) -> tuple[str, ...]:
    return tuple(f"line {line}" for line in lines[:SHOWN_KEYS])


def _cell_faults(engine: duckdb.DuckDBPyConnection, file: str, cell: Cell) -> list[Fault]:
    """Return a fault of the missing cells of a column, and one of those that cannot be parsed."""
    column, value, text, expected = cell
    faults = []
    missing = f"({text} IS NULL OR trim({text}) IN ('', 'nan', 'NaN', 'null', 'NULL'))"
    for wanted, which in ((PRESENT, missing), (expected, f"NOT {missing}")):
        where = f"FROM usage_rows WHERE NOT excluded AND {value} IS NULL AND {which}"
        rows = engine.execute(f"SELECT count(*) {where}").fetchall()[0][0]
        if not rows:
            continue
        ids = f"SELECT DISTINCT id_text {where} AND id_text IS NOT NULL ORDER BY ALL LIMIT {SHOWN_KEYS}"
        seen = f"SELECT DISTINCT {text} {where} AND NOT {missing} ORDER BY ALL LIMIT {SHOWN_VALUES}"
        keys = () if value == "id" else tuple(f"id {name}" for (name,) in engine.execute(ids).fetchall())
        found = tuple(quoted(name) for (name,) in engine.execute(seen).fetchall())
        faults.append(Fault(file, column, wanted, REMEDIES.get(wanted, ROW_REMEDY), rows, keys, found))
    return faults


def _report(
    modules: dict[str, list[str]], unmatched: dict[str | None, int], rows: int, left_out: int
) -> None:
    """Log what was left out, and which modules have no event."""
    if left_out:
        log.info("events left out by usage.exclude", extra={"rows": left_out, "kept": rows})
    others = {"unmatched_rows": sum(unmatched.values()), "unmatched": _frequent(unmatched)}
    if empty := [module for module, names in modules.items() if not names]:
        log.warning(
            "no event matches the patterns of these modules, usage.modules.*.events",
            extra={"modules": empty, **others},
        )
    elif unmatched:
        log.info("events that belong to no module are not counted", extra=others)


def _frequent(unmatched: dict[str | None, int]) -> list[str]:
    """Return the most frequent names that no pattern matches, with their counts."""
    names = sorted(unmatched, key=lambda name: (-unmatched[name], name or ""))[:SHOWN_KEYS]
    return [f"{'no name' if name is None else quoted(name)}: {unmatched[name]}" for name in names]


def _examples(unmatched: dict[str | None, int]) -> str:
    return f", most frequent {', '.join(_frequent(unmatched))}" if unmatched else ""
