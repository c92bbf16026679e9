"""What a stage sees of an engine: the order of summaries, one part in place, parts that are skipped."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conversion.config.params import EngineParams
from conversion.engine import run_parts as module
from conversion.engine.dask_engine import DaskEngine
from conversion.engine.engines import Engine, PartFunction
from conversion.engine.kept_parts import kept_parts
from conversion.engine.local_engine import LocalEngine
from conversion.engine.run_parts import engine_of, run_parts
from tests.conversion.engine import jobs

LOCAL = EngineParams(type="local", workers=1, address=None)


class Backwards(Engine):
    """Ends the last part first."""

    def run(self, function: PartFunction, parts: Sequence[int]) -> Iterator[tuple[int, Any]]:
        yield from ((part, function(part)) for part in reversed(parts))


def test_summaries_are_in_the_order_of_parts_whichever_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "engine_of", lambda _: Backwards())
    assert run_parts(jobs.square, 4, LOCAL, "squares") == [{"square": part**2} for part in range(4)]


def test_one_part_runs_in_this_process_whatever_the_engine() -> None:
    dask = EngineParams(type="dask", workers=2, address="tcp://127.0.0.1:1")
    assert run_parts(lambda part: part, 1, dask, "lambdas, which no process could be sent") == [0]


def test_parts_that_are_done_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def attempt(last: int) -> list[Any]:
        def job(part: int, root: Path) -> dict[str, int]:
            if part > last:
                raise RuntimeError(part)
            return jobs.write(part, root, 4)

        with kept_parts("stage", 4, {}, []) as kept:
            return run_parts(functools.partial(job, root=kept.root), 4, LOCAL, "parts", kept)

    with pytest.raises(RuntimeError, match="2"):
        attempt(last=1)
    assert jobs.calls() == {0: 1, 1: 1}
    assert not Path("data/out").exists()
    assert attempt(last=3) == [{"part": part} for part in range(4)]
    assert jobs.calls() == {0: 1, 1: 1, 2: 1, 3: 1}
    files = sorted(Path("data/out/table.parquet").iterdir())
    assert [file.read_text() for file in files] == [f"part {part}" for part in range(4)]
    assert not Path("data/.work").exists()


def test_two_works_of_a_run_do_not_take_each_other_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with kept_parts("stage", 2, {}, []) as kept:
        assert run_parts(lambda part: part, 2, LOCAL, "first", kept) == [0, 1]
        assert run_parts(lambda part: -part, 2, LOCAL, "second", kept) == [0, -1]


def test_a_summary_is_the_same_from_a_run_and_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    summary = {"share": 0.1 + 0.2, "pair": (1, 2)}
    with kept_parts("stage", 2, {}, []) as kept:
        ran = run_parts(lambda _: summary, 2, LOCAL, "work", kept)
        read = run_parts(lambda _: 1 / 0, 2, LOCAL, "work", kept)
    assert ran == read == [{"share": 0.1 + 0.2, "pair": [1, 2]}] * 2


def test_a_summary_that_json_cannot_say_is_a_bug() -> None:
    with pytest.raises(ValueError, match="JSON"):
        run_parts(lambda _: float("nan"), 2, LOCAL, "work")


def test_the_engine_is_the_one_of_the_params(monkeypatch: pytest.MonkeyPatch) -> None:
    local = engine_of(EngineParams(type="local", workers=3, address=None))
    assert isinstance(local, LocalEngine)
    assert local.workers == 3
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    dask = engine_of(EngineParams(type="dask", workers=2, address="tcp://10.0.0.1:8786"))
    assert isinstance(dask, DaskEngine)
    assert (dask.workers, dask.address) == (2, "tcp://10.0.0.1:8786")
