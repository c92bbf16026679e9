"""Rows of a usage table of grain day or event, CSV or Parquet, as a view in DuckDB with text parsed.

DuckDB stays within a bound of memory by writing to disk, and brings its own time zones, so that the lock
fixes them and not the machine.
"""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import pyarrow as pa

from conversion.config.data_contract import Contract
from conversion.config.usage_contract import Usage
from conversion.data.aliases import NO_ALIASES, CurrentIds
from conversion.ingest.cells import MISSING
from conversion.ingest.columns import MAX_MEASURE
from conversion.ingest.csv_bytes import MAX_RECORD_BYTES, normalized_utf8, refuse_other_headers
from conversion.ingest.faults import (
    NAMES_FIRST,
    TEXT_ID,
    TIMESTAMP,
    Fault,
    UnreadableError,
    in_file,
    one_line,
)
from conversion.ingest.folders import Place, Remote, TableFiles
from conversion.ingest.parquet_chunks import describe_parquet
from conversion.ingest.parsers import NUMBER_PATTERN, WHOLE_PATTERN
from conversion.ingest.tables import find_hints
from conversion.runtime.errors import OutputError

MEMORY: Final = "1GB"
"""What the engine may hold; it writes to disk what needs more."""
THREADS: Final = 2
"""Each thread needs memory of its own."""
ROOM: Final = "make room on its disk, or set TMPDIR to a folder on another one, then run it again"
TABLE: Final = "the usage table"
"""What messages call a table that is not a file."""
FLOATS: Final = ("DOUBLE", "FLOAT")
NUMBERS: Final = (*FLOATS, "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_DAY: Final = r"\d{4}-\d\d-\d\d(?:[ T](?:[01]\d|2[0-3]):\d\d(?::\d\d(?:\.\d{1,9})?)?)?"
_ZONED: Final = _DAY + r"\s?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)"


@contextmanager
def open_engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database that holds at most `MEMORY` and writes the rest to a temporary folder.

    Raises
    ------
    OutputError
        There is no temporary folder, its disk is full, or it is gone.
    """
    with ExitStack() as opened:
        try:
            folder = opened.enter_context(
                TemporaryDirectory(prefix="weekly-counts-", ignore_cleanup_errors=True)
            )
        except OSError as error:
            raise OutputError(f"no temporary folder can be made: {one_line(error)}; {ROOM}") from error
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "threads": THREADS,
            "temp_directory": folder,
            "preserve_insertion_order": False,
            # Nothing is downloaded; what is needed is part of the package.
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(":memory:", config=settings) as engine, _writing_aside(folder):
            yield engine


@contextmanager
def _writing_aside(folder: str) -> Iterator[None]:
    """Report what cannot be written to the temporary folder as that, not as a fault of what is read."""
    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        # An engine that may not write more to its folder says that it is out of memory.
        if isinstance(error, duckdb.IOException) and folder not in str(error):
            raise
        found = str(error).partition("\n")[0]
        raise OutputError(
            f"{folder}: what needs more than {MEMORY} of memory cannot be written here: {found}; {ROOM}"
        ) from error


def create_rows(
    engine: duckdb.DuckDBPyConnection,
    source: TableFiles | pa.Table,
    contract: Contract,
    contract_file: str | None = None,
    current: CurrentIds = NO_ALIASES,
) -> None:
    """Create the view ``usage_rows`` of a table's parsed rows, with ids of today by ``current``.

    Its columns: ``id`` and ``moment`` (in the contract's time zone), missing where they cannot be parsed; the
    text they were parsed from, ``id_text`` and ``moment_text``; ``excluded``; for events ``event`` and
    ``person``, for days ``m0``, ``m1``, ... in the order of `Contract.counts`, with ``m0_text``, ...; for
    measures ``n0``, ``n1``, ..., with ``n0_text``, ... Of rows with the same ``usage.event_id`` it has the
    earliest one.

    Raises
    ------
    UnreadableError
        The table cannot be read, or has no header.
    MissingColumnsError
        Columns of the contract are missing or doubled.
    """
    usage = contract.usage
    keys = _keys(contract)
    names = _create_source(engine, source, tuple(keys))
    if faults := _column_faults(name_of(source), keys, names, contract_file):
        raise MissingColumnsError(faults)
    place = {name: f"c{names.index(name)}" for name in keys}
    parsed = [
        f"{_id(engine, contract, place[usage.id])} AS id",
        f"{_text(place[usage.id])} AS id_text",
        f"{_time(engine, usage, place[usage.time])} AS moment",
        f"CAST({place[usage.time]} AS VARCHAR) AS moment_text",
        f"{_excluded(usage, place)} AS excluded",
        *(_of_events(usage, place) if usage.grain == "event" else _of_days(contract.counts, place)),
        *_measured(engine, usage, place),
    ]
    if usage.event_id is not None:
        parsed.append(f"{_text(place[usage.event_id])} AS event_id")
    engine.execute(f"CREATE VIEW parsed_rows AS SELECT {', '.join(parsed)} FROM source")
    engine.execute(f"CREATE VIEW counted_rows AS {_counted(usage)}")
    if not current:
        engine.execute("CREATE VIEW usage_rows AS SELECT * FROM counted_rows")
        return
    engine.register("former", pa.table({"old": list(current), "today": list(current.values())}))
    engine.execute(
        "CREATE VIEW usage_rows AS SELECT counted_rows.* REPLACE (coalesce(today, id) AS id)"
        " FROM counted_rows LEFT JOIN former ON id = old"
    )


def _counted(usage: Usage) -> str:
    """Write the query of the parsed rows without copies of an event; rows without its id are no copies."""
    if usage.event_id is None:
        return "SELECT * FROM parsed_rows"
    # By all values, as the order of rows decides nothing.
    measures = [f"n{at}" for at in range(len(usage.measures))]
    order = ", ".join(["excluded", "moment", "id", "event", "person", *measures])
    copy = f"row_number() OVER (PARTITION BY event_id ORDER BY {order})"
    return f"SELECT * EXCLUDE (event_id) FROM parsed_rows QUALIFY event_id IS NULL OR {copy} = 1"


def copies_of_events(engine: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows ``usage_rows`` leaves out, of a contract with ``usage.event_id``."""
    found = engine.execute("SELECT count(event_id) - count(DISTINCT event_id) FROM parsed_rows").fetchall()
    return int(found[0][0])


class MissingColumnsError(Exception):
    """Columns that a table should have once each; ``faults`` has one for each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def rejected_lines(engine: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, int, list[str]]]:
    """Return what was wrong with lines of a CSV that were left out: message, how many, the first lines.

    ``table`` is its file, or the folder of its files.
    """
    if not engine.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'reject_errors'").fetchall():
        return []
    found = engine.execute(
        "SELECT error_type::VARCHAR, count(DISTINCT (file_path, line)),"
        " list(DISTINCT {'file': file_path, 'line': line} ORDER BY {'file': file_path, 'line': line})[:5]"
        " FROM reject_errors JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [
        (
            kind,
            count,
            [f"{each['file'].partition(f'{table}/')[2]} line {each['line']}".strip() for each in first],
        )
        for kind, count, first in found
    ]


def name_of(source: TableFiles | pa.Table) -> str:
    """Return what messages call a table."""
    return str(source.place) if isinstance(source, TableFiles) else TABLE


def _create_source(
    engine: duckdb.DuckDBPyConnection, source: TableFiles | pa.Table, wanted: tuple[str, ...]
) -> list[str]:
    """Create the view ``source`` with columns c0, c1, ...; return their names, which may repeat."""
    if isinstance(source, pa.Table):
        names = list(source.column_names)
        engine.register("source", source.rename_columns([f"c{at}" for at in range(len(names))]))
        return names
    if isinstance(source.place, Remote):
        engine.register_filesystem(source.place.file_system())
    paths = [glob.escape(str(file)) for _, file in source.files()]
    if source.suffix == ".csv":
        names = _csv_columns(source, wanted)
        engine.read_csv(
            paths,
            header=True,
            sep=",",
            quotechar='"',
            escapechar='"',
            auto_detect=False,
            columns={f"c{at}": "VARCHAR" for at in range(len(names))},
            store_rejects=True,
        ).create_view("source")
    else:
        if source.names is not None:
            describe_parquet(source, wanted)  # the engine's own messages do not say which file differs
        # Texts in names of folders are parsed as those in cells are.
        table = f"read_parquet([{_list(paths)}], hive_types_autocast = false)"
        names = engine.sql(f"SELECT * FROM {table} LIMIT 0").columns
        columns = ", ".join(f"{_name(name)} AS c{at}" for at, name in enumerate(names))
        engine.execute(f"CREATE VIEW source AS SELECT {columns} FROM {table}")
    return names


def _csv_columns(source: TableFiles, wanted: tuple[str, ...]) -> list[str]:
    """Return the columns of all files of a table."""
    (first, file), *others = source.files()
    with in_file(first):
        names = _csv_header(file, wanted)
    for name, file in others:
        with in_file(name):
            if (found := _csv_header(file, wanted)) != names:
                different = next((each for each in names if each not in found), "the header")
                expected = f"the columns as in {first}"
                shown = ", ".join(found[:10])
                raise UnreadableError(different, expected, "export the whole table again", shown)
    return names


def _csv_header(path: Place, wanted: tuple[str, ...]) -> list[str]:
    with path.open("rb") as file:
        start = file.read(MAX_RECORD_BYTES)
    # A character may be cut off at the end.
    whole_lines = start[: start.rfind(b"\n") + 1] if len(start) == MAX_RECORD_BYTES else start
    text = normalized_utf8(whole_lines or start)
    refuse_other_headers(text, wanted)
    names = next(csv.reader(io.StringIO(text.decode(), newline="")), [])
    if not names:
        raise UnreadableError("the header", NAMES_FIRST, "add them", "a blank line")
    return names


def _keys(contract: Contract) -> dict[str, str]:
    """Return the columns that are read, with the keys of the contract that name them."""
    usage = contract.usage
    named: list[tuple[str | None, str]] = [
        (usage.id, "id"),
        (usage.time, "time"),
        (usage.user, "user"),
        (usage.event, "event"),
        (usage.event_id, "event_id"),
    ]
    if usage.grain == "day":
        for kind in ("actions", "users"):
            named += [(getattr(each, kind), f"modules.{name}.{kind}") for name, each in usage.modules.items()]
    named += [(each.column, f"measures.{name}.column") for name, each in usage.measures.items()]
    named += [(name, "exclude") for name in usage.exclude]
    keys: dict[str, str] = {}
    for name, key in named:
        if name is not None:
            keys.setdefault(name, f"usage.{key}")
    return keys


def _column_faults(
    file: str, keys: dict[str, str], names: list[str], contract_file: str | None
) -> list[Fault]:
    """Return a fault of each column of the contract that a table does not have once."""
    hints = find_hints([name for name in keys if name not in names], [n for n in names if n not in keys])
    faults = []
    for name, key in keys.items():
        if (count := names.count(name)) > 1:
            remedy, found = "remove the others", f"{count} of them"
            faults.append(Fault(file, name, "one column of this name", remedy, found=(found,)))
        elif not count:
            remedy = hints.get(name, "add it to the export")
            remedy += f", or change {key} in {contract_file}" if contract_file else ""
            faults.append(Fault(file, name, "this column", remedy, found=("no such column",)))
    return faults


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _text(column: str) -> str:
    """Write the SQL of a column's text without spaces around it; missing where it stands for that."""
    trimmed = f"trim(CAST({column} AS VARCHAR))"
    return f"CASE WHEN {trimmed} NOT IN ({MISSING_TEXTS}) THEN {trimmed} END"


def _list(values: Iterable[str]) -> str:
    return ", ".join(map(literal, values))


MISSING_TEXTS: Final = _list(sorted(MISSING))
"""The SQL of the texts that stand for a missing value."""


def _whole(column: str) -> str:
    text = f"trim(CAST({column} AS VARCHAR))"
    whole = f"TRY_CAST(split_part({text}, '.', 1) AS BIGINT)"
    return f"CASE WHEN regexp_full_match({text}, {literal(WHOLE_PATTERN)}) THEN {whole} END"


def _type(engine: duckdb.DuckDBPyConnection, column: str) -> str:
    return str(engine.sql(f"SELECT {column} FROM source LIMIT 0").types[0])


def _id(engine: duckdb.DuckDBPyConnection, contract: Contract, column: str) -> str:
    if contract.companies.ids == "whole":
        return _whole(column)
    if (kind := _type(engine, column)) in FLOATS:
        raise UnreadableError(contract.usage.id, TEXT_ID, "export the column as text", f"type {kind}")
    return _text(column)


def _time(engine: duckdb.DuckDBPyConnection, usage: Usage, column: str) -> str:
    """Write the SQL of a time in the contract's zone: times without a zone are in it already."""
    kind = _type(engine, column)
    zone = literal(usage.time_zone)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"timezone({zone}, {column})"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"CAST({column} AS TIMESTAMP)"
    if kind != "VARCHAR":
        raise UnreadableError(usage.time, TIMESTAMP, "export the column as times", f"type {kind}")
    text = f"trim({column})"
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(_DAY)}) THEN TRY_CAST({text} AS TIMESTAMP)"
        f" WHEN regexp_full_match({text}, {literal(_ZONED)})"
        f" THEN timezone({zone}, TRY_CAST({text} AS TIMESTAMPTZ)) END"
    )


def _excluded(usage: Usage, place: dict[str, str]) -> str:
    excluded = {
        column: _list(value.strip().lower() for value in values) for column, values in usage.exclude.items()
    }
    tests = [
        f"coalesce(lower({_text(place[column])}) IN ({words}), false)" for column, words in excluded.items()
    ]
    return f"({' OR '.join(tests)})" if tests else "false"


def _of_events(usage: Usage, place: dict[str, str]) -> list[str]:
    person = "NULL" if usage.user is None else _text(place[usage.user])
    # Without names of events, all rows are of the one module.
    event = literal(next(iter(usage.modules))) if usage.event is None else _text(place[usage.event])
    return [f"{event} AS event", f"CAST({person} AS VARCHAR) AS person"]


def _of_days(measures: tuple[str, ...], place: dict[str, str]) -> list[str]:
    columns = [(at, place[measure]) for at, measure in enumerate(measures)]
    return [
        *(f"{_whole(column)} AS m{at}" for at, column in columns),
        *(f"CAST({column} AS VARCHAR) AS m{at}_text" for at, column in columns),
    ]


def _measured(engine: duckdb.DuckDBPyConnection, usage: Usage, place: dict[str, str]) -> list[str]:
    """Write the SQL of measures, missing where they are, or cannot be parsed, or are beyond `MAX_MEASURE`."""
    parsed = []
    for at, measure in enumerate(usage.measures.values()):
        column = place[measure.column]
        text = _text(column)
        number = f"CAST({column} AS DOUBLE)"
        if _type(engine, column) not in NUMBERS:
            matches = f"regexp_full_match({text}, {literal(NUMBER_PATTERN)})"
            number = f"CASE WHEN {matches} THEN TRY_CAST({text} AS DOUBLE) END"
        parsed += [
            f"CASE WHEN abs({number}) <= {MAX_MEASURE} THEN {number} END AS n{at}",
            f"{text} AS n{at}_text",
        ]
    return parsed
