"""The tracking store's database: made whole or not at all, and right where its folder is moved to.

With a schema of our own; tests/conversion/tracking/test_mlflow_runs.py has MLflow's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conversion.runtime.errors import TrackingError
from conversion.tracking.database import ensure_migrated, follow_artifacts
from tests.leftovers import no_file_longer_than

REVISIONS = ["third", "second", "first"]
TABLES = """
create table alembic_version (version_num text);
create table experiments (name text, artifact_location text);
create table runs (name text, artifact_uri text);
create table registered_models (name text);
create table logged_models (name text, artifact_location text);
create table model_versions (name text, source text, storage_location text);
insert into experiments values ('Default', '/elsewhere/mlruns/0');
"""


def make(path: Path, revision: str | None = REVISIONS[0], *more: str) -> Path:
    """Make a database at a revision, old enough that nobody is at work on it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TABLES)
        if revision:
            connection.execute("insert into alembic_version values (?)", (revision,))
        for statement in more:
            connection.execute(statement)
    age(path)
    return path


def age(path: Path) -> None:
    long_ago = time.time() - 60
    os.utime(path, (long_ago, long_ago))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def migrate(path: Path) -> None:
    """Make the database, or raise it to the latest revision, as MLflow does."""
    if not path.exists():
        make(path, "first")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update alembic_version set version_num = 'third'")


def fail_half_way(path: Path) -> None:
    """Leave what MLflow leaves where its upgrade fails."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table _alembic_tmp_experiments (name text)")
    raise TrackingError("duplicate column name: deleted_time")


def not_called(_: Path) -> None:
    pytest.fail("there is nothing to migrate")


def names(folder: Path) -> set[str]:
    """List what is in the folder, but for the lock."""
    return {path.name for path in folder.iterdir()} - {"mlflow.db.lock"}


# --- making ----------------------------------------------------------------------------------------------


def test_a_new_database_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    seen: list[bool] = []

    def watched(made: Path) -> None:
        migrate(made)
        seen.append(path.exists())

    ensure_migrated(path, REVISIONS, watched)
    assert seen == [False]
    assert rows(path, "select version_num from alembic_version") == [("third",)]
    assert names(tmp_path) == {"mlflow.db"}


def test_one_that_cannot_be_made_leaves_nothing_and_is_made_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with pytest.raises(TrackingError, match="duplicate column"):
        ensure_migrated(path, REVISIONS, fail_half_way)
    assert names(tmp_path) == set()
    ensure_migrated(path, REVISIONS, migrate)
    assert rows(path, "select version_num from alembic_version") == [("third",)]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    with contextlib.ExitStack() as stack:

        def then_full(made: Path) -> None:
            migrate(made)
            stack.enter_context(no_file_longer_than(1000))

        with pytest.raises(TrackingError, match=r"mlflow\.db: cannot be written: File too large; "):
            ensure_migrated(path, REVISIONS, then_full)
    assert names(tmp_path) == set()
    ensure_migrated(path, REVISIONS, migrate)
    assert rows(path, "select version_num from alembic_version") == [("third",)]


def test_a_place_where_there_can_be_no_database_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path / "file") / "mlflow.db"
    with pytest.raises(TrackingError, match=r"file/mlflow\.db: cannot be written: .*file is not a folder"):
        ensure_migrated(path, REVISIONS, migrate)


def make_file(path: Path) -> Path:
    path.write_text("a file", encoding="utf-8")
    return path


@pytest.mark.parametrize("revision", ["third", "of a later MLflow"])
def test_a_database_that_needs_nothing_is_left_alone(revision: str, tmp_path: Path) -> None:
    path = make(tmp_path / "mlflow.db", revision)
    before = path.read_bytes()
    ensure_migrated(path, REVISIONS, not_called)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"mlflow.db"}


# --- mending ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [None, "first"])
def test_a_half_made_database_without_records_is_made_anew(
    revision: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(tmp_path / "mlflow.db", revision, "create table _alembic_tmp_experiments (name text)")
    ensure_migrated(path, REVISIONS, migrate)
    assert rows(path, "select version_num from alembic_version") == [("third",)]
    assert rows(path, "select name from sqlite_master where name like '%tmp%'") == []
    (warned,) = caplog.records
    assert warned.levelno == logging.WARNING
    assert "was incomplete and had no run; it was created again" in warned.message


def test_an_empty_file_is_no_database_yet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    age(path)
    ensure_migrated(path, REVISIONS, migrate)
    assert rows(path, "select version_num from alembic_version") == [("third",)]
    assert caplog.records == []


RECORDS = [
    "insert into runs values ('a run', '')",
    "insert into experiments values ('conversion', '')",
    "insert into registered_models values ('conversion')",
    "create table _alembic_tmp_runs as select 'a run, in the table that is being rebuilt'",
]


@pytest.mark.parametrize("record", RECORDS)
def test_an_older_database_with_records_is_upgraded(record: str, tmp_path: Path) -> None:
    path = make(tmp_path / "mlflow.db", "second", record)
    before = [rows(path, f"select * from {table}") for table in ("runs", "experiments", "registered_models")]
    ensure_migrated(path, REVISIONS, migrate)
    assert rows(path, "select version_num from alembic_version") == [("third",)]
    after = [rows(path, f"select * from {table}") for table in ("runs", "experiments", "registered_models")]
    assert after == before


@pytest.mark.parametrize("record", RECORDS)
def test_one_that_cannot_be_upgraded_keeps_its_records_and_the_remedy_is_named(
    record: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "mlflow.db", "second", record)
    before = path.read_bytes()
    with pytest.raises(TrackingError) as error:
        ensure_migrated(path, REVISIONS, fail_half_way)
    assert str(error.value) == (
        f"{path}: it needs an upgrade, which failed and changed nothing (duplicate column name: "
        "deleted_time): restore a backup of the file, or move it away to start a new one (the files of "
        "its runs stay)"
    )
    assert path.read_bytes() == before
    assert names(tmp_path) == {"mlflow.db"}


def test_a_journal_of_the_old_file_is_not_played_back_into_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    journal = tmp_path / "mlflow.db-journal"
    journal.write_bytes(b"of a database that is gone")
    ensure_migrated(path, REVISIONS, migrate)
    assert not journal.exists()


def test_a_file_that_is_no_database_stays_and_the_remedy_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path / "mlflow.db")
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(TrackingError, match=r"mlflow\.db: not a readable database \(file is not .*move it"):
        ensure_migrated(path, REVISIONS, not_called)
    assert path.read_bytes() == b"no database" * 1000


def test_whoever_is_making_the_database_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "mlflow.db", "first")
    os.utime(path)  # somebody has just written it
    slept: list[float] = []

    def others_work(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            migrate(path)

    monkeypatch.setattr(time, "sleep", others_work)
    ensure_migrated(path, REVISIONS, not_called)
    assert len(slept) == 3


# --- moving ----------------------------------------------------------------------------------------------


@pytest.fixture
def moved(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Give a project that has been moved: its database, and its artifact folder with a run's files in it."""

    def move(name: str = "new place") -> tuple[Path, Path]:
        root = tmp_path / name
        artifacts = root / "mlartifacts"
        for folder in ("r1/artifacts", "models/m1/artifacts"):
            (artifacts / folder).mkdir(parents=True)
        old = "file:///old%20place/mlartifacts"
        path = make(
            root / "mlflow.db",
            "third",
            f"insert into experiments values ('conversion', '{old}')",
            "insert into experiments values ('bucket', 's3://bucket/mlartifacts')",
            "insert into experiments values ('elsewhere', 'file:///shared/runs')",
            f"insert into runs values ('here', '{old}/r1/artifacts')",
            f"insert into runs values ('left behind', '{old}/r2/artifacts')",
            "insert into runs values ('bucket', 's3://bucket/mlartifacts/r1/artifacts')",
            f"insert into logged_models values ('here', '{old}/models/m1/artifacts')",
            f"insert into model_versions values ('1', 'models:/m1', '{old}/models/m1/artifacts')",
            f"insert into model_versions values ('2', '{old}/r1/artifacts', null)",
        )
        return path, artifacts

    return move


def test_artifacts_are_found_where_they_were_moved(
    moved: Callable[..., tuple[Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    path, artifacts = moved()
    follow_artifacts(path, artifacts)
    new, old = artifacts.as_uri(), "file:///old%20place/mlartifacts"
    assert new.endswith("/new%20place/mlartifacts")
    assert rows(path, "select * from experiments") == [
        ("Default", "/elsewhere/mlruns/0"),
        ("conversion", new),
        ("bucket", "s3://bucket/mlartifacts"),
        ("elsewhere", "file:///shared/runs"),
    ]
    assert rows(path, "select * from runs") == [
        ("here", f"{new}/r1/artifacts"),
        ("left behind", f"{old}/r2/artifacts"),
        ("bucket", "s3://bucket/mlartifacts/r1/artifacts"),
    ]
    assert rows(path, "select * from logged_models") == [("here", f"{new}/models/m1/artifacts")]
    assert rows(path, "select * from model_versions") == [
        ("1", "models:/m1", f"{new}/models/m1/artifacts"),
        ("2", f"{new}/r1/artifacts", None),
    ]
    (warned,) = caplog.records
    assert (
        warned.message
        == "the project was moved: the locations of artifacts in the tracking database were corrected"
    )
    assert (warned.__dict__["was"], warned.__dict__["now"]) == (["/old place/mlartifacts"], str(artifacts))

    before = path.read_bytes()
    follow_artifacts(path, artifacts)
    assert (path.read_bytes(), len(caplog.records)) == (before, 1), "once is enough"


def test_files_that_are_moved_later_are_found_too(moved: Callable[..., tuple[Path, Path]]) -> None:
    path, artifacts = moved()
    follow_artifacts(path, artifacts)
    (artifacts / "r2/artifacts").mkdir(parents=True)
    follow_artifacts(path, artifacts)
    uri = rows(path, "select artifact_uri from runs where name = 'left behind'")
    assert uri == [(f"{artifacts.as_uri()}/r2/artifacts",)]


def test_a_project_moved_back_finds_its_artifacts(moved: Callable[..., tuple[Path, Path]]) -> None:
    """Also where the one name begins as the other does."""
    path, artifacts = moved("project")
    follow_artifacts(path, artifacts)
    longer = artifacts.parent.rename(artifacts.parents[1] / "project_2")
    follow_artifacts(longer / "mlflow.db", longer / "mlartifacts")
    query = "select artifact_uri from runs where name = 'here'"
    assert rows(longer / "mlflow.db", query) == [(f"{longer.as_uri()}/mlartifacts/r1/artifacts",)]
    back = longer.rename(artifacts.parent)
    follow_artifacts(back / "mlflow.db", artifacts)
    assert rows(path, query) == [(f"{artifacts.as_uri()}/r1/artifacts",)]


def test_a_project_that_was_not_moved_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    artifacts = tmp_path / "mlartifacts"
    path = make(
        tmp_path / "mlflow.db",
        "third",
        f"insert into experiments values ('conversion', '{artifacts.as_uri()}')",
        f"insert into runs values ('a run', '{artifacts.as_uri()}/r1/artifacts')",
    )
    before = path.read_bytes()
    follow_artifacts(path, artifacts)
    assert path.read_bytes() == before
    assert caplog.records == []
