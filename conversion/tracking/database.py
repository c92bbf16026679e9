"""The SQLite database of a tracking store: created atomically, and valid after its folder has moved.

MLflow creates and upgrades a database step by step in the file itself, and cannot resume after Ctrl-C, a kill
or a full disk. So MLflow works on a copy that replaces the file once it is complete. MLflow records absolute
paths of artifacts; `follow_artifacts` corrects them after a move.
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
"""How long to wait for another process to finish writing."""
SETTLED_SECONDS: Final = 3.0
"""An incomplete database that has not changed for so long is abandoned."""
RECORDS: Final = {
    "experiments": "name <> 'Default'",
    "runs": "true",
    "registered_models": "true",
}
"""Tables with records of the user, and the condition on those rows."""
REBUILT: Final = "_alembic_tmp_"
"""Prefix of the name of a table while Alembic rebuilds it."""
LOCATIONS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Columns with locations of artifacts; the first column has the location for new artifacts."""

log = logging.getLogger(__name__)


def database_file(uri: str) -> Path | None:
    """Return the SQLite file of a store's URI, None if the store is not one.

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
    """Create or upgrade the database; an existing file stays unchanged until that has succeeded.

    An incomplete database without records is created again.

    Parameters
    ----------
    path
        The database; it need not exist.
    revisions
        The revisions of the schema, latest first.
    migrate
        Called with the path of a database, existing or not, to bring it to the latest revision.

    Raises
    ------
    TrackingError
        The file is not a database, cannot be written, or has records and cannot be upgraded.
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
    """Return whether MLflow need not change the schema, or refuses to as a later version made it."""
    revision = _revision(path)
    return revision is not None and (revision == revisions[0] or revision not in revisions)


def _wait_until_settled(path: Path, revisions: Sequence[str]) -> None:
    """Wait for another process that is creating the database, such as a new ``mlflow ui``."""
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
                f"{path}: it needs an upgrade, which failed and changed nothing ({error}): restore a backup "
                "of the file, or move it away to start a new one (the files of its runs stay)"
            ) from error
        # A journal belongs to the old file; SQLite would apply it to the new one.
        for suffix in ("-journal", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        write_atomically(path, partial(shutil.copyfile, made))
    if half_made:
        log.warning(
            "the tracking database was incomplete and had no run; it was created again",
            extra={"file": str(path)},
        )


def _revision(path: Path) -> str | None:
    """Read the revision of the schema, None without a database or a revision."""
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
    """Correct the locations of artifacts in the database after its folder was moved or copied.

    New artifacts go to ``artifacts``. Recorded artifacts that are in this folder get their new location;
    others keep the recorded one.

    Parameters
    ----------
    path
        A database whose runs have their artifacts beside it.
    artifacts
        The current path of that folder.

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
        "the project was moved: the locations of artifacts in the tracking database were corrected",
        extra={"was": [unquote(each.removeprefix("file://")) for each in former], "now": str(artifacts)},
    )


def _moved(path: Path, artifacts: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield table, column, recorded and correct location of each location to correct."""
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
    """Split a location into a project's artifact folder and the path in it, None if it is in no such folder.

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
    """Open an existing database.

    Raises
    ------
    TrackingError
        The file is not a database, or cannot be read or written.
    """
    try:
        # "rw" creates no file, and may apply the journal that a killed process left.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, timeout=BUSY_SECONDS, uri=True)) as opened:
            yield opened
    except sqlite3.OperationalError as error:  # locked, no disk space, no permission
        raise TrackingError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"{path}: not a readable database ({error}): restore a backup of the file, or move it away to "
            "start a new one (the files of its runs stay)"
        ) from error
