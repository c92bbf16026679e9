"""Weekly counts of a usage table of grain day or event, made by DuckDB in bounded memory.

Weeks start on Monday 00:00 in the contract's time zone. Of events, actions are the module's events and users
the distinct users with at least one. An event that is in the table twice counts once if the contract names
what identifies it, else twice, as nothing tells a repeated row from a repeated event.

Of days, actions are summed. The week's distinct users are not in such a table: the largest day is their lower
bound and the sum of days their upper bound. The largest day is taken, as regular users come on most days, so
that a sum would count them up to seven times. Of several rows of a company and day, the largest of each count
is taken, as they may be copies; a table full of them is refused, as its rows are of users, say. A count below
0 makes the week's count the least of them, for the cleaning rule ``negative_count``.

Of measures, the week has the sum of the values, the largest, or the latest, as the contract says.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa

from conversion.config.data_contract import Contract
from conversion.config.usage_contract import Measure
from conversion.data.aliases import NO_ALIASES, CurrentIds
from conversion.ingest.columns import tables_of
from conversion.ingest.faults import SHOWN_KEYS, Fault, UnreadableError, one_line, quoted
from conversion.ingest.folders import Place, TableFiles, find_table
from conversion.ingest.tables import Header, Source
from conversion.ingest.usage_faults import (
    MAX_REPEATED,
    WeeklyCountsError,
    bad_names,
    cells_of,
    counted_bad,
    refuse_bad_rows,
    refuse_repeated_days,
)
from conversion.ingest.usage_rows import (
    MissingColumnsError,
    copies_of_events,
    create_rows,
    name_of,
    open_engine,
)

MAX_EVENT_NAMES: Final = 100_000
"""Different names of events; more are identifiers or messages, not names."""
DECIMALS: Final = 10
"""Decimals of the values of measures that are summed; more are rounded."""
UNREADABLE: Final = (duckdb.IOException, duckdb.InvalidInputException, duckdb.ConversionException, OSError)
"""What DuckDB raises for a file that it cannot read. Others are mistakes of a query, not of the export."""
log = logging.getLogger(__name__)


class WeeklyCounts(NamedTuple):
    """What `count_weeks` makes of a table of days or events."""

    weeks: pd.DataFrame
    last_days: dict[str, str]
    """By a week's Monday the last day with a row that is not excluded, both as ISO dates, in their order."""


CHUNK_ROWS: Final = 500_000
"""Most weeks of companies in a chunk."""


def read_weekly_usage(
    folder: Place, contract: Contract, contract_file: str | None = None, current: CurrentIds = NO_ALIASES
) -> Source:
    """Read the usage table of an export whose grain is day or event, as `count_weeks` counts it.

    Returns
    -------
    Source
        As `conversion.ingest.tables.read_table` returns a table of grain week: the contract's names of the id
        and the time, `Contract.counts` and the measures. Without rows if ``faults`` has any.

    Raises
    ------
    UnreadableError
        There is no such table, or there are two.
    """
    files = find_table(folder, tables_of(contract, contract_file)[contract.usage.table])
    try:
        weeks, last_days = count_weeks(files, contract, contract_file, current)
    except WeeklyCountsError as error:
        return _faulty(files, contract, error)
    return _source(files, weeks, contract, last_days)


def weekly_chunks(
    folder: Place,
    contract: Contract,
    contract_file: str | None = None,
    current: CurrentIds = NO_ALIASES,
    rows: int = CHUNK_ROWS,
) -> Iterator[Source]:
    """Read what `read_weekly_usage` reads, at most so many rows at a time; together they are the same."""
    files = find_table(folder, tables_of(contract, contract_file)[contract.usage.table])
    above = 0
    try:
        with _counting(files, contract, contract_file, current) as (engine, query, last_days):
            for batch in engine.sql(query).to_arrow_reader(rows):
                weeks = _typed(batch.to_pandas(), contract)
                yield _source(files, weeks, contract, last_days, above)
                above += len(weeks)
    except WeeklyCountsError as error:
        yield _faulty(files, contract, error)


def _source(
    files: TableFiles, weeks: pd.DataFrame, contract: Contract, last_days: dict[str, str], above: int = 0
) -> Source:
    table = pa.Table.from_pandas(weeks.rename(columns={"id": contract.usage.id}), preserve_index=False)
    header = Header(tuple(table.column_names), frozenset(), {}, ())
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return Source(
        str(files.place), header, columns, lambda row: f"weekly row {above + row + 1}", (), last_days
    )


def _faulty(files: TableFiles, contract: Contract, error: WeeklyCountsError) -> Source:
    none = _typed(pd.DataFrame(columns=_columns(contract)), contract)
    return replace(_source(files, none, contract, {}), faults=tuple(error.faults))


def weekly_counts(source: Path | pa.Table, contract: Contract) -> pd.DataFrame:
    """Return the weeks of `count_weeks` alone."""
    return count_weeks(source, contract).weeks


def count_weeks(
    source: Path | TableFiles | pa.Table,
    contract: Contract,
    contract_file: str | None = None,
    current: CurrentIds = NO_ALIASES,
) -> WeeklyCounts:
    """Count a company's actions and users by week and module, and combine its measures.

    Parameters
    ----------
    source
        The rows of days or events: a ``.csv`` or ``.parquet`` file, a folder of such, or a table in memory.
    contract
        Of grain ``day`` or ``event``.
    contract_file
        Its file, if messages should say what could be changed there; None if only the export can be wrong.
    current
        Of grain ``event``, the ids of today by those no longer used: who used both is one user.

    Returns
    -------
    WeeklyCounts
        Weeks are sorted by ``id`` and week: ``id`` (int64 or str), the contract's time (Monday 00:00),
        `Contract.counts` (int64), and the measures (float64). Only weeks with at least one event of a module,
        one value of a measure in a table of events, or one row of a day.

    Raises
    ------
    WeeklyCountsError
        The table cannot be read, cells of it cannot, or nothing is left to count.
    OutputError
        What does not fit in memory cannot be written aside.
    """
    files = TableFiles(source) if isinstance(source, Path) else source
    with _counting(files, contract, contract_file, current) as (engine, query, last_days):
        return WeeklyCounts(_typed(engine.execute(query).df(), contract), last_days)


@contextmanager
def _counting(
    source: TableFiles | pa.Table, contract: Contract, contract_file: str | None, current: CurrentIds
) -> Iterator[tuple[duckdb.DuckDBPyConnection, str, dict[str, str]]]:
    """Give an engine that has the rows, the query of their weekly counts, and the weeks' last days."""
    file = name_of(source)
    count = _of_events if contract.usage.grain == "event" else _of_days
    try:
        with open_engine() as engine:
            create_rows(engine, source, contract, contract_file, current)
            yield engine, *count(engine, file, contract)
    except MissingColumnsError as error:
        raise WeeklyCountsError(error.faults) from error
    except UnreadableError as error:
        raise WeeklyCountsError([error.at(file)]) from error
    except UNREADABLE as error:
        remedy = "export the table again"
        fault = Fault(file, "the file", "a readable table", remedy, found=(one_line(error),))
        raise WeeklyCountsError([fault]) from error


def _columns(contract: Contract) -> list[str]:
    measures = [measure.column for measure in contract.usage.measures.values()]
    return ["id", contract.usage.time, *contract.counts, *measures]


def _typed(counted: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    counted.columns = pd.Index(_columns(contract))
    measures = [measure.column for measure in contract.usage.measures.values()]
    return counted.astype(
        {
            "id": "int64" if contract.companies.ids == "whole" else "str",
            contract.usage.time: "datetime64[us]",
            **dict.fromkeys(contract.counts, "int64"),
            **dict.fromkeys(measures, "float64"),
        }
    )


def _of_events(
    engine: duckdb.DuckDBPyConnection, file: str, contract: Contract
) -> tuple[str, dict[str, str]]:
    cells = cells_of(contract)
    engine.execute(
        "CREATE TABLE seen AS SELECT event, date_trunc('week', moment) AS week, "
        "max(moment) FILTER (NOT excluded) AS last, count(*) FILTER (NOT excluded) AS rows, "
        f"count(*) FILTER (excluded) AS left_out, {counted_bad(cells)} FROM usage_rows GROUP BY event, week"
    )
    counts = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in ("rows", "left_out", *bad_names(cells)))
    names = engine.execute(
        f"SELECT event, {counts} FROM seen GROUP BY event ORDER BY event LIMIT {MAX_EVENT_NAMES + 1}"
    ).fetchall()
    if len(names) > MAX_EVENT_NAMES:
        expected = f"at most {MAX_EVENT_NAMES} different names"
        remedy = "point usage.event at the column of the event's name"
        found = f"more, such as {quoted(names[0][0])}"
        raise UnreadableError(str(contract.usage.event), expected, remedy, found)
    kept = {name: rows for name, rows, *_ in names if rows}
    rows, left_out = sum(kept.values()), sum(excluded for _, _, excluded, *_ in names)
    bad = [sum(column) for column in zip(*(counts for _, _, _, *counts in names), strict=True)]
    refuse_bad_rows(engine, file, cells, rows + left_out, bad)
    modules = {
        module: _matching([name for name in kept if name is not None], each.events or (module,))
        for module, each in contract.usage.modules.items()
    }
    matched = {name for found in modules.values() for name in found}
    unmatched = {name: count for name, count in kept.items() if name not in matched}
    _report(modules, unmatched, rows, left_out)
    if contract.usage.event_id is not None and (copies := copies_of_events(engine)):
        log.info("copies of events left out by usage.event_id", extra={"rows": copies, "kept": rows})
    if not matched:
        remedy = "correct the patterns, usage.modules.*.events" if rows else "correct usage.exclude"
        found = f"{rows} of others, {left_out} excluded"
        raise UnreadableError(
            contract.usage.event or "all columns",
            "events of some module",
            remedy,
            f"{found}{_examples(unmatched)}",
        )
    engine.execute("CREATE TABLE events (event VARCHAR, module INTEGER)")
    pairs = [[name, at] for at, found in enumerate(modules.values()) for name in found]
    engine.executemany("INSERT INTO events VALUES (?, ?)", pairs)
    return _events_query(contract), _last_days(engine, "week", "last", "seen")


def _last_days(engine: duckdb.DuckDBPyConnection, week: str, day: str, table: str) -> dict[str, str]:
    """Return the last day of each week by its Monday; they show when the export was taken."""
    return dict(
        engine.execute(
            f"SELECT strftime({week}, '%Y-%m-%d'), strftime(max({day}), '%Y-%m-%d')"
            f" FROM {table} WHERE {day} IS NOT NULL GROUP BY 1 ORDER BY 1"
        ).fetchall()
    )


def _matching(names: list[str], patterns: tuple[str, ...]) -> list[str]:
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _events_query(contract: Contract) -> str:
    """Write the query: the counts of each company, week, module and user first, as such groups can spill."""
    modules = contract.usage.modules.values()
    actions = [_module_sum("actions", at) for at in range(len(modules))]
    users = [_module_sum("users", at) for at, module in enumerate(modules) if module.users is not None]
    counts = f"""
        WITH by_user AS (
            SELECT id, date_trunc('week', moment) AS week, module, person, count(*) AS actions
            FROM usage_rows JOIN events USING (event) WHERE NOT excluded
            GROUP BY ALL
        ), by_module AS (
            SELECT id, week, module, sum(actions) AS actions, count(person) AS users
            FROM by_user GROUP BY ALL
        )
        SELECT id, CAST(week AS TIMESTAMP) AS week, {", ".join(actions + users)}
        FROM by_module GROUP BY id, week
    """
    if not contract.usage.measures:
        return f"{counts} ORDER BY id, week"
    return f"""
        SELECT id, week, coalesce(COLUMNS('^(actions|users)_'), 0), COLUMNS('^n[0-9]+$')
        FROM ({counts}) FULL JOIN ({_measures_query(contract)}) USING (id, week) ORDER BY id, week
    """


def _measures_query(contract: Contract) -> str:
    """Write the query of the measures of events, in weeks that have at least one value of them.

    A value may be in an event that belongs to no module, or to several.
    """
    measures = [_combined(measure, at) for at, measure in enumerate(contract.usage.measures.values())]
    some = " OR ".join(f"n{at} IS NOT NULL" for at in range(len(measures)))
    return f"""
        SELECT id, CAST(date_trunc('week', moment) AS TIMESTAMP) AS week, {", ".join(measures)}
        FROM usage_rows WHERE NOT excluded AND ({some}) GROUP BY ALL
    """


def _combined(measure: Measure, at: int) -> str:
    """Write the SQL that combines the values ``n<at>`` of some rows."""
    value = f"n{at}"
    if measure.combine == "max":
        return f"max({value}) AS {value}"
    if measure.combine == "last":
        return f"{_latest('moment', value)} AS {value}"
    # Sums of decimals are the same in any order of rows, those of binary fractions are not.
    return f"CAST(sum(CAST({value} AS DECIMAL(38, {DECIMALS}))) AS DOUBLE) AS {value}"


def _latest(moment: str, value: str) -> str:
    """Write the SQL of the latest value that is not missing; of several at one time, the largest."""
    return f"(max({{'at': {moment}, 'value': {value}}}) FILTER ({value} IS NOT NULL)).value"


def _module_sum(count: str, module: int) -> str:
    return f"CAST(coalesce(sum({count}) FILTER (module = {module}), 0) AS BIGINT) AS {count}_{module}"


def _of_days(engine: duckdb.DuckDBPyConnection, file: str, contract: Contract) -> tuple[str, dict[str, str]]:
    cells = cells_of(contract)
    rows, left_out, *bad = engine.execute(
        "SELECT count(*) FILTER (NOT excluded), count(*) FILTER (excluded), "
        f"{counted_bad(cells)} FROM usage_rows"
    ).fetchall()[0]
    refuse_bad_rows(engine, file, cells, rows + left_out, bad)
    if not rows:
        raise UnreadableError("all columns", "rows", "correct usage.exclude", f"{left_out}, all excluded")
    if left_out:
        log.info("usage rows left out by usage.exclude", extra={"rows": left_out, "kept": rows})
    engine.execute(f"CREATE TABLE days AS {_days_query(contract)}")
    repeated = rows - engine.execute("SELECT count(*) FROM days").fetchall()[0][0]
    if repeated > MAX_REPEATED * rows:
        refuse_repeated_days(engine, file, contract)
    if repeated:
        log.warning(
            "several rows of one company and day: the largest of each count is taken",
            extra={"rows": repeated},
        )
    counts = [
        f"CAST({_or_negative(f'm{at}', 'sum' if at < len(contract.actions) else 'max')} AS BIGINT) AS m{at}"
        for at in range(len(contract.counts))
    ]
    measures = [_combined(measure, at) for at, measure in enumerate(contract.usage.measures.values())]
    weeks = f"""
        SELECT id, CAST(date_trunc('week', day) AS TIMESTAMP) AS week, {", ".join(counts + measures)}
        FROM days GROUP BY id, week ORDER BY id, week
    """
    return weeks, _last_days(engine, "date_trunc('week', day)", "day", "days")


def _days_query(contract: Contract) -> str:
    """Write the query of one row a company and day: the largest values, and of levels the latest ones."""
    counts = [f"{_or_negative(f'm{at}', 'max')} AS m{at}" for at in range(len(contract.counts))]
    measures = [
        f"{_latest('moment', f'n{at}') if measure.combine == 'last' else f'max(n{at})'} AS n{at}"
        for at, measure in enumerate(contract.usage.measures.values())
    ]
    # A day's rows may have a time of day, so that the latest of a week is that of its latest day.
    return (
        f"SELECT id, date_trunc('day', moment) AS day, day AS moment, {', '.join(counts + measures)}"
        " FROM usage_rows WHERE NOT excluded GROUP BY id, date_trunc('day', moment)"
    )


def _or_negative(column: str, whole: str) -> str:
    return f"CASE WHEN min({column}) < 0 THEN min({column}) ELSE {whole}({column}) END"


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
