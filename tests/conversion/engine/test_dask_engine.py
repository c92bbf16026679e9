"""Parts on Dask: a cluster of this machine, and a scheduler at an address; what is killed changes nothing."""

from __future__ import annotations

import functools
import os
import re
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest
from distributed import Future
from distributed.comm import CommClosedError

from benchmarks.servers import free_port
from conversion.config.params import EngineParams
from conversion.engine import dask_engine
from conversion.engine.kept_parts import kept_parts
from conversion.engine.run_parts import run_parts
from conversion.runtime.errors import EngineError, UserError
from conversion.runtime.files import write_json, write_parquet
from conversion.runtime.parts import part_path
from conversion.stats.hashing import part_of
from tests.conversion.engine import jobs
from tests.pipeline import Pipeline, lay_out_typed, small_params, tiny_export

LOCAL = EngineParams(type="local", workers=1, address=None)
DASK = EngineParams(type="dask", workers=2, address=None)
PARTS = 4
PATIENT_SECONDS = 300
# A stage of a project in the working directory.
PROGRAM = """
from conversion.answer import answer
from conversion.config.params import EngineParams
from conversion.engine.run_parts import run_parts
if __name__ == "__main__":
    print(*run_parts(answer, 2, EngineParams(type="dask", workers=1, address="{address}"), "parts"))
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_dask_one_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"engine\.type: dask needs packages of its own: .* 'make dask'"):
        run_parts(jobs.square, 2, DASK, "parts")


@pytest.mark.slow
class TestClusterOfThisMachine:
    def test_every_worker_is_a_process_with_one_thread_in_the_projects_folder(self, tmp_path: Path) -> None:
        found = run_parts(jobs.about, 6, DASK, "parts")
        assert [each["part"] for each in found] == list(range(6))
        assert len({each["pid"] for each in found} - {os.getpid()}) == 2
        assert {each["folder"] for each in found} == {str(tmp_path)}
        assert {tuple(each["threads"]) for each in found} == {(1,)}
        assert not any(each["trims"] for each in found), "workers keep the memory that they will need again"

    def test_a_parts_error_ends_the_run_with_its_message_and_exit_code(self) -> None:
        with pytest.raises(UserError, match=r"^part 3: mend it$") as error:
            run_parts(jobs.refuse, 5, DASK, "parts")
        assert error.value.exit_code == 2

    def test_a_bug_in_a_part_stays_a_bug(self) -> None:
        with pytest.raises(ZeroDivisionError):
            run_parts(jobs.fault, 3, DASK, "parts")

    def test_a_part_that_kills_each_worker_is_named(self) -> None:
        with pytest.raises(
            EngineError, match=r"4 Dask workers died while they worked on part 1, .*part_rows"
        ):
            run_parts(jobs.die, 3, DASK, "parts")

    def test_features_are_those_of_the_local_engine_though_a_worker_is_killed(self, tmp_path: Path) -> None:
        written = {}
        for engine in (LOCAL, DASK):
            folder = tmp_path / engine.type
            folder.mkdir()
            os.chdir(folder)
            lay_out_clean()
            if engine.type == "dask":
                Path("fragile").touch()
            with kept_parts("featurize", PARTS, {}, ["data/clean"]) as kept:
                run = functools.partial(jobs.featurize, root=kept.root, parts=PARTS)
                counts = run_parts(run, PARTS, engine, "snapshots", kept)
            tables = sorted(Path("data/features").rglob("*.parquet/*.parquet"))
            written[engine.type] = counts, {str(each): each.read_bytes() for each in tables}
        assert not Path("fragile").exists()
        assert len(written["dask"][1]) == 4 * PARTS
        assert all(count["train"] > 100 for count in written["dask"][0])
        assert written["dask"] == written["local"]


def lay_out_clean() -> None:
    """Write params.yaml, the contract and the clean tables of a tiny export, in parts."""
    pipeline = Pipeline(tiny_export(companies=400), small_params())
    lay_out_typed(Path(), tiny_export())
    companies, usage, periods = pipeline.companies, pipeline.usage, pipeline.clean.periods
    clean = {"companies": companies, "usage": usage, "subscriptions": periods}
    for name, table in clean.items():
        for part in range(PARTS):
            rows = table[part_of(table["id"], PARTS) == part]
            write_parquet(part_path(f"data/clean/{name}.parquet", part, PARTS), rows)
    write_json("data/clean/export.json", {"as_of": f"{pipeline.as_of:%Y-%m-%d}"})


class Cluster:
    """A scheduler and its workers as a user starts them, each with a log of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, workers: int = 2) -> None:
        """Start the scheduler and the workers, outside of the project's folder."""
        here = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        self._run("dask_scheduler", "--port", str(self.port), *here)
        if workers:
            self._run("dask_worker", self.address, "--nworkers", str(workers), "--nthreads", "1", *here)

    def _run(self, program: str, *arguments: str) -> None:
        log = self.folder / f"{program}.{len(self.running)}.log"
        with log.open("wb") as written:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
                    cwd=self.folder,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                )
            )

    def kill(self) -> None:
        """Kill the scheduler, and wait for its workers to end."""
        self.running[0].kill()
        self.stop()

    def stop(self) -> None:
        """End all that was started."""
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


def run_stage(cluster: Cluster) -> list[Any]:
    """Run a stage on the cluster; its last parts wait for the file ``go``."""
    params = EngineParams(type="dask", workers=1, address=cluster.address)
    with kept_parts("stage", PARTS, {}, []) as kept:
        job = functools.partial(jobs.write_when_told, root=kept.root, parts=PARTS)
        return run_parts(job, PARTS, params, "parts", kept)


class Killer(threading.Thread):
    """Kills the scheduler once two parts are done and two at work; starts it again if it is told to.

    A slow machine decides nothing: stages wait long for a scheduler that comes back, and shortly only for one
    that does not.
    """

    def __init__(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *, restart: bool) -> None:
        super().__init__(daemon=True)
        self.cluster, self.monkeypatch, self.restart = cluster, monkeypatch, restart
        monkeypatch.setattr(dask_engine, "SECONDS_TO_ANSWER", PATIENT_SECONDS)

    def run(self) -> None:
        folder = Path().resolve()
        while not self._two_and_two(folder):
            time.sleep(0.02)
        if not self.restart:
            self.monkeypatch.setattr(dask_engine, "SECONDS_TO_ANSWER", 1)
        self.cluster.kill()
        if self.restart:
            (folder / "go").touch()
            self.cluster.start()

    @staticmethod
    def _two_and_two(folder: Path) -> bool:
        done = len(list(folder.glob("data/.work/stage-*/done/parts/*.json")))
        return done == 2 and set(jobs.calls("waiting")) == {2, 3}


@pytest.mark.slow
class TestSchedulerAtAnAddress:
    def test_workers_need_no_code_of_their_own_and_run_what_is_there_now(
        self, cluster: Cluster, tmp_path: Path, root: Path
    ) -> None:
        program = tmp_path / "stage.py"
        program.write_text(PROGRAM.format(address=cluster.address), encoding="utf-8")
        copytree(root / "conversion", tmp_path / "conversion", ignore=ignore_patterns("__pycache__"))
        for answer in (41, 42):
            (tmp_path / "conversion" / "answer.py").write_text(f"def answer(part): return {answer}")
            done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True)
            assert done.stdout.split() == [str(answer), str(answer)]

    def test_a_run_goes_on_when_the_scheduler_is_killed_and_comes_back(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Killer(cluster, monkeypatch, restart=True).start()
        assert run_stage(cluster) == [{"part": part} for part in range(PARTS)]
        assert jobs.calls() == dict.fromkeys(range(PARTS), 1)

    def test_a_run_goes_on_when_the_scheduler_is_lost_while_it_tells_of_a_part(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dask_engine, "SECONDS_TO_ANSWER", PATIENT_SECONDS)
        Path("go").touch()
        told = Future.result
        lost: list[Future] = []

        def lose_the_first(future: Future, timeout: float | None = None) -> Any:
            if not lost:
                lost.append(future)
                cluster.kill()
                cluster.start()
                raise CommClosedError("in <TCP (closed) ConnectionPool.gather>: ConnectionResetError")
            return told(future, timeout)

        monkeypatch.setattr(Future, "result", lose_the_first)
        assert run_stage(cluster) == [{"part": part} for part in range(PARTS)]
        assert len(lost) == 1
        assert jobs.calls()[int(lost[0].key.split("-")[1])] == 1, (
            "the part was done, only its answer was lost"
        )

    def test_the_next_run_goes_on_when_the_scheduler_stays_away(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        killer = Killer(cluster, monkeypatch, restart=False)
        killer.start()
        with pytest.raises(
            EngineError, match=r"no Dask scheduler answers at .* parts that are done are kept"
        ):
            run_stage(cluster)
        killer.join()
        monkeypatch.setattr(dask_engine, "SECONDS_TO_ANSWER", PATIENT_SECONDS)
        assert jobs.calls() == {0: 1, 1: 1}
        Path("go").touch()
        cluster.start()
        assert run_stage(cluster) == [{"part": part} for part in range(PARTS)]
        assert jobs.calls() == dict.fromkeys(range(PARTS), 1)
        files = sorted(Path("data/out/table.parquet").iterdir())
        assert [each.read_text() for each in files] == [f"part {part}" for part in range(PARTS)]

    def test_a_worker_with_other_packages_is_refused(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        params = EngineParams(type="dask", workers=1, address=cluster.address)
        monkeypatch.setattr(dask_engine, "package_versions", lambda: {"numpy": "0.1"})
        with pytest.raises(
            EngineError, match=r"it has numpy [\d.]+ and the stage has 0\.1; .*requirements-dask\.txt"
        ):
            run_parts(jobs.square, 2, params, "parts")


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_message(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.start(workers=0)
    params = EngineParams(type="dask", workers=1, address=cluster.address)
    try:
        monkeypatch.setattr(dask_engine, "SECONDS_TO_WORK", 1)
        with pytest.raises(EngineError, match="has no workers; start them"):
            run_parts(jobs.square, 2, params, "parts")
    finally:
        cluster.stop()


WRONG_ADDRESSES = ("no://such", "foo", "inproc://x", "tls://127.0.0.1:9", "ucx://x:1", "tcp://[::")


def require_one_message(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "SECONDS_TO_ANSWER", 1)
    monkeypatch.setattr(dask_engine, "SECONDS_TO_REFUSE", 1)
    params = EngineParams(type="dask", workers=1, address=address)
    threads = set(threading.enumerate())
    message = f"engine.address: no Dask scheduler answers at {re.escape(address)}: .+; start it"
    with pytest.raises(EngineError, match=message):
        run_parts(jobs.square, 2, params, "parts")
    assert set(threading.enumerate()) <= threads, "a thread that Dask leaves keeps the process from ending"


@pytest.mark.parametrize("address", WRONG_ADDRESSES)
def test_a_wrong_address_is_one_message(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    require_one_message(address, monkeypatch)


def test_an_address_where_nothing_listens_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    require_one_message(f"tcp://127.0.0.1:{free_port()}", monkeypatch)


def test_another_server_at_the_address_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        require_one_message(f"tcp://127.0.0.1:{server.server_address[1]}", monkeypatch)
        server.shutdown()
        thread.join()


class Silent(socketserver.BaseRequestHandler):
    """Take what is sent, and say nothing until the other side leaves."""

    def handle(self) -> None:
        while self.request.recv(4096):
            pass
