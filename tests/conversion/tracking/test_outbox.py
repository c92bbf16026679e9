from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from conversion.runtime.errors import OutputError
from conversion.tracking import outbox
from tests.leftovers import ended_process


def put(root: Path, name: str) -> Path:
    return outbox.put(
        root, {"name": name}, lambda folder: (folder / "file").write_text(name, encoding="utf-8")
    )


def test_runs_wait_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    names = [f"run {place}" for place in range(5)]
    folders = [put(tmp_path, name) for name in names]
    assert outbox.waiting_runs(tmp_path) == folders
    assert [outbox.read_record(folder)["name"] for folder in folders] == names
    assert [(folder / "file").read_text(encoding="utf-8") for folder in folders] == names


def test_a_run_that_was_logged_waits_no_longer(tmp_path: Path) -> None:
    first, second = put(tmp_path, "first"), put(tmp_path, "second")
    outbox.remove(first)
    assert outbox.waiting_runs(tmp_path) == [second]


def test_a_run_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    def half_way(folder: Path) -> None:
        (folder / "file").write_text("half", encoding="utf-8")
        raise OSError("no space left on device")

    with pytest.raises(OutputError, match=r"\.tracking/\S+: cannot be written: no space left"):
        outbox.put(tmp_path, {}, half_way)
    assert outbox.waiting_runs(tmp_path) == []
    assert list((tmp_path / outbox.FOLDER).iterdir()) == []


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    queue = tmp_path / outbox.FOLDER
    run = put(tmp_path, "waits")
    half_written = queue / f".{1:020d}-0123abcd.{ended_process()}.tmp"
    being_written = queue / f".{2:020d}-0123abcd.{os.getpid()}.tmp"
    of_no_process = queue / f".{3:020d}-0123abcd.tmp"
    for folder in (half_written, being_written, of_no_process):
        (folder / "artifacts").mkdir(parents=True)
    outbox.remove_leftovers(tmp_path)
    assert set(queue.iterdir()) == {run, being_written}


def test_a_run_that_is_half_removed_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = put(tmp_path, "logged")
    monkeypatch.setattr(outbox.shutil, "rmtree", lambda _: None)  # killed here
    outbox.remove(run)
    assert outbox.waiting_runs(tmp_path) == []
    assert [outbox.read_record(left)["name"] for left in (tmp_path / outbox.FOLDER).iterdir()] == ["logged"]


def test_an_outbox_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / outbox.FOLDER).write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match=r"\.tracking is not a folder; move it away"):
        put(tmp_path, "any")
    with pytest.raises(OutputError, match=r"\.tracking is not a folder"), outbox.locked(tmp_path):
        pass


def test_a_run_that_is_being_written_does_not_wait_yet(tmp_path: Path) -> None:
    seen: list[list[Path]] = []
    outbox.put(tmp_path, {}, lambda _: seen.append(outbox.waiting_runs(tmp_path)))
    assert seen == [[]]
    assert len(outbox.waiting_runs(tmp_path)) == 1


def test_no_run_waits_where_nothing_was_ever_tracked(tmp_path: Path) -> None:
    assert outbox.waiting_runs(tmp_path) == []


def test_the_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with outbox.locked(tmp_path):
                with counting:
                    inside += 1
                    most = max(most, inside)
                with counting:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_experiments_in_a_temporary_folder_find_the_main_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, temporary = tmp_path / "main", tmp_path / "temporary"
    main.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(temporary)
    monkeypatch.setenv("DVC_ROOT", str(main))
    assert outbox.project_root() == main
    monkeypatch.delenv("DVC_ROOT")
    assert outbox.project_root() == temporary
