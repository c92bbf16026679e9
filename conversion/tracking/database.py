"""The SQLite database of a tracking store: made whole or not at all, and right wherever its folder moves.

MLflow makes and upgrades a database step by step in the file itself, and cannot go on where Ctrl-C, a kill or
a full disk stopped it. So MLflow works on a copy, and the copy replaces the file once it is complete. MLflow
records artifacts by absolute paths; `follow_artifacts` corrects them after a move.
"""

from __future__ import annotations

import logging
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from filelock import FileLock

from conversion.runtime.errors import OutputError, TrackingError
from conversion.runtime.files import write_atomically, writing

SCHEME: Final = "sqlite:///"
BUSY_SECONDS: Final = 20.0
"""How long to wait for another process that writes."""
SETTLED_SECONDS: Final = 3.0
"""How long a half-made database must stay as it is until nobody is at work on it."""
RECORDS: Final = {
    "experiments": "name <> 'Default'",
    "runs": "true",
    "registered_models": "true",
}
"""Tables with what somebody would miss, and which of their rows that is."""
REBUILT: Final = "_alembic_tmp_"
"""Begins the name under which a table is kept while it is rebuilt."""
LOCATIONS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns that hold where artifacts are; the first one's is where new ones will be."""

log = logging.getLogger(__name__)


def database_file(uri: str) -> Path | None:
    """Return the file of a store's address; None: it is no SQLite database in a file.

    Examples
    --------
    >>> database_file("sqlite:////home/ann/project/mlflow.db?timeout=5")
    PosixPath('/home/ann/project/mlflow.db')
    >>> database_file("https://mlflow.example.com")
    """
    name = uri.removeprefix(SCHEME).partition("?")[0]
    if name in {"", ":memory:"} or name.startswith("file:") or not uri.startswith(SCHEME):
        return None
    return Path(name)


def ensure_migrated(path: Path, revisions: Sequence[str], migrate: Callable[[Path], None]) -> None:
    """Make the database, or bring it up to date; what is there stays as it is until that has succeeded.

    One that was left half made, with nothing in it yet, is made anew.

    Parameters
    ----------
    path
        The database; need not be there.
    revisions
        Of its schema, the latest first.
    migrate
        Called with a database, or a path where there is none yet, to bring it to the latest revision.

    Raises
    ------
    TrackingError
        It is no database, cannot be written, or was left half upgraded with records in it.
    """
    if _is_usable(path, revisions):
        return
    try:
        with writing(path), FileLock(path.with_name(f"{path.name}.lock")):
            _wait_until_settled(path, revisions)
            if not _is_usable(path, revisions):
                _replace(path, migrate)
    except OutputError as error:
        raise TrackingError(str(error)) from error


def _is_usable(path: Path, revisions: Sequence[str]) -> bool:
    """Return whether MLflow need not change the schema, or would refuse to: a later version made it."""
    revision = _revision(path)
    return revision is not None and (revision == revisions[0] or revision not in revisions)


def _wait_until_settled(path: Path, revisions: Sequence[str]) -> None:
    """Wait for whoever is making the database, such as an ``mlflow ui`` that has just been started."""
    while path.exists() and not _is_usable(path, revisions):
        if time.time() - path.stat().st_mtime > SETTLED_SECONDS:
            return
        time.sleep(SETTLED_SECONDS / 10)


def _replace(path: Path, migrate: Callable[[Path], None]) -> None:
    has_records = _has_records(path)
    half_made = bool(_tables(path)) and not has_records
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        if has_records:
            with _connected(path) as source, closing(sqlite3.connect(made)) as copy:
                source.backup(copy)
        try:
            migrate(made)
        except TrackingError as error:
            if not has_records:
                raise
            raise TrackingError(
                f"{path}: it needs an upgrade, which failed and changed nothing ({error}): put a backup of "
                "it in its place, or move it away to begin a new one (the files of its runs stay)"
            ) from error
        # A journal is of the file that goes, and would be played back into the one that comes.
        for suffix in ("-journal", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        write_atomically(path, partial(shutil.copyfile, made))
    if half_made:
        log.warning(
            "the tracking database was left half made, with no run in it, and is made anew",
            extra={"file": str(path)},
        )


def _revision(path: Path) -> str | None:
    """Read at which revision the schema is; None: at none, or there is no database."""
    if "alembic_version" not in _tables(path):
        return None
    with _connected(path) as connection:
        row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def _tables(path: Path) -> set[str]:
    if not path.exists():
        return set()
    with _connected(path) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def _has_records(path: Path) -> bool:
    tables = _tables(path)
    asked = [
        f"select count(*) from {prefix}{table} where {condition}"  # noqa: S608 - names of our own
        for table, condition in RECORDS.items()
        for prefix in ("", REBUILT)
        if f"{prefix}{table}" in tables
    ]
    if not asked:
        return False
    with _connected(path) as connection:
        return any(connection.execute(query).fetchone()[0] for query in asked)


def follow_artifacts(path: Path, artifacts: Path) -> None:
    """Correct where the database says that artifacts are, if its folder was moved or copied.

    New artifacts go to ``artifacts`` from now on. Recorded ones that are in it are found there; those that
    were left behind keep their old place.

    Parameters
    ----------
    path
        A database whose runs have their artifacts beside it.
    artifacts
        That folder, wherever it is now.

    Raises
    ------
    TrackingError
        The database cannot be written.
    """
    changes = list(_moved(path, artifacts))
    if not changes:
        return
    with _connected(path) as connection, connection:
        for table, column, old, new in changes:
            update = f"update {table} set {column} = ? where {column} = ?"  # noqa: S608 - names of our own
            connection.execute(update, (new, old))
    former = sorted({_former_folder(old, artifacts.name)[0] for _, _, old, _ in changes})
    log.warning(
        "the project was moved: the tracking database now has the artifacts where they are",
        extra={"was": [unquote(each.removeprefix("file://")) for each in former], "now": str(artifacts)},
    )


def _moved(path: Path, artifacts: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield table, column, recorded and right location of what is recorded elsewhere."""
    here = artifacts.as_uri()
    with _connected(path) as connection:
        for table, column in LOCATIONS:
            query = (
                f"select distinct {column} from {table} "  # noqa: S608 - names of our own
                f"where {column} like 'file://%' and substr({column} || '/', 1, ?) <> ?"
            )
            for (old,) in connection.execute(query, (len(here) + 1, f"{here}/")).fetchall():
                _, below = _former_folder(old, artifacts.name)
                new_ones = (table, column) == LOCATIONS[0]
                if below is not None and (new_ones or (artifacts / unquote(below)).exists()):
                    yield table, column, old, f"{here}/{below}".rstrip("/")


def _former_folder(location: str, name: str) -> tuple[str, str | None]:
    """Split a location into the artifact folder of a project and the path below it; None: it is in none.

    Examples
    --------
    >>> _former_folder("file:///old/mlartifacts/0b5e/artifacts", "mlartifacts")
    ('file:///old/mlartifacts', '0b5e/artifacts')
    >>> _former_folder("file:///old/mlartifacts", "mlartifacts")
    ('file:///old/mlartifacts', '')
    >>> _former_folder("file:///shared/runs", "mlartifacts")
    ('file:///shared/runs', None)
    """
    match = re.fullmatch(rf"(file://.*/{re.escape(name)})(?:/(.*))?", location)
    return (match[1], match[2] or "") if match else (location, None)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that is there.

    Raises
    ------
    TrackingError
        It is none, or cannot be read or written.
    """
    try:
        # "rw" makes no file, and may play back the journal that a killed process left.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as opened:
            yield opened
    except sqlite3.OperationalError as error:  # locked, no disk space, no permission
        raise TrackingError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"{path}: no database that can be read ({error}): put a backup of it in its place, or move it "
            "away to begin a new one (the files of its runs stay)"
        ) from error
