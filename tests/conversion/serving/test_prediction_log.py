from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversion.serving.prediction_log import PredictionFile, PredictionLog
from tests.serving import summary

FULL = Path("/dev/full")


class Disk:
    """Stands for what predictions are written to: it is full until there is room."""

    def __init__(self) -> None:
        self.room = False
        self.written = 0

    def __call__(self, *_: object) -> None:
        if not self.room:
            raise OSError(28, "No space left on device", "logs/predictions/data/data.1.log")
        self.written += 1


def test_a_loss_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    record = PredictionLog(disk)
    for room in (False, False, False, True, True, False):
        disk.room = room
        record([summary()], [])
    assert disk.written == 2
    first, second, third = caplog.records
    assert first.getMessage() == third.getMessage() == "predictions are answered, but cannot be logged"
    assert (first.levelname, second.levelname) == ("ERROR", "WARNING")
    assert first.__dict__["cause"] == "No space left on device"
    assert first.__dict__["path"] == "logs/predictions/data/data.1.log"
    assert (second.getMessage(), second.__dict__["requests_lost"]) == ("predictions are logged again", 3)


def test_a_fault_of_ours_is_not_taken_for_the_disks() -> None:
    def fail(*_: object) -> None:
        raise KeyError("input")

    with pytest.raises(KeyError):
        PredictionLog(fail)([], [])


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("test_prediction_log")
    made.propagate = False
    made.setLevel(logging.INFO)
    yield made
    for handler in made.handlers[:]:
        made.removeHandler(handler)
        handler.close()


def log_to(path: Path, logger: logging.Logger) -> PredictionFile:
    handler = PredictionFile(path, maxBytes=1000, backupCount=2, encoding="utf-8", delay=True)
    logger.addHandler(handler)
    return handler


def test_a_file_that_cannot_be_made_is_raised_until_it_can(tmp_path: Path, logger: logging.Logger) -> None:
    (tmp_path / "logs").touch()
    log_to(tmp_path / "logs" / "data.log", logger)
    for _ in range(2):
        with pytest.raises(NotADirectoryError):
            logger.info("lost")
    (tmp_path / "logs").unlink()
    (tmp_path / "logs").mkdir()
    logger.info("kept")
    assert (tmp_path / "logs" / "data.log").read_text() == "kept\n"


@pytest.mark.skipif(not FULL.exists(), reason="no device that is full")
def test_a_full_disk_is_raised_and_nothing_waits_in_memory(tmp_path: Path, logger: logging.Logger) -> None:
    handler = log_to(tmp_path / "data.log", logger)
    (tmp_path / "data.log").symlink_to(FULL)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            logger.info("lost" * 10_000)
        assert handler.stream is None
    (tmp_path / "data.log").unlink()
    logger.info("kept")
    assert (tmp_path / "data.log").read_text() == "kept\n"


def test_half_a_line_is_taken_back(tmp_path: Path, logger: logging.Logger) -> None:
    path = tmp_path / "data.log"
    handler = log_to(path, logger)
    logger.info("whole")

    def fill_up(_: logging.LogRecord) -> str:
        with path.open("a") as file:
            file.write("half a l")  # what fitted
        raise OSError(28, "No space left on device")

    handler.format = fill_up  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space left"):
        logger.info("lost")
    del handler.format
    logger.info("next")
    assert path.read_text() == "whole\nnext\n"


def test_files_are_still_rotated(tmp_path: Path, logger: logging.Logger) -> None:
    log_to(tmp_path / "data.log", logger)
    for _ in range(50):
        logger.info("x" * 99)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.log", "data.log.1", "data.log.2"]
    assert {path.stat().st_size for path in tmp_path.iterdir()} <= set(range(0, 1001, 100))
