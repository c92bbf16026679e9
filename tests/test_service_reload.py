"""`bentoml serve` beside deliveries: each worker takes the last one, without a restart or a lost request."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import psutil
import pytest

from conversion.delivery.publish import CURRENT, PUBLISHED
from conversion.leads.lead_files import FOLDER, MANIFEST
from conversion.runtime.files import write_json
from conversion.runtime.seals import sealed
from tests.server import Server, copy_of, set_serve
from tests.serving import EXAMPLE

pytestmark = pytest.mark.slow

SECONDS = 0.1
RELOADS = 20
# Of a few MB that each list takes, were it kept, twenty would be more.
GROWTH = 0.1


@pytest.fixture
def copied(served: Path, tmp_path: Path) -> Path:
    folder = copy_of(served, tmp_path / "copied")
    set_serve(folder, reload_seconds=SECONDS)
    return folder


def published(root: Path, number: int, weeks: int = 0) -> Path:
    """Lay out a delivery of the list in the root, dated some weeks later."""
    folder = root / "data" / "published" / f"as_of=2020-04-27_delivery={number}"
    shutil.copytree(root / "models", folder / "models")
    shutil.copytree(root / FOLDER, folder / FOLDER)
    manifest = json.loads((folder / FOLDER / MANIFEST).read_text(encoding="utf-8"))
    del manifest["sha256"]
    manifest["as_of"] = str(dt.date.fromisoformat(manifest["as_of"]) + dt.timedelta(weeks=weeks))
    write_json(folder / FOLDER / MANIFEST, sealed(manifest))
    return folder


def lead_to(root: Path, folder: Path) -> None:
    """Replace the link to the last delivery, atomically."""
    link = root / PUBLISHED / CURRENT
    following = link.with_name("following")
    following.symlink_to(folder.name)
    following.replace(link)


def served_by(server: Server) -> tuple[int | None, str]:
    """Return delivery and date of the list of the worker that gets a new connection."""
    with server.client() as client:
        listed = client.get("/health").raise_for_status().json()["lead_list"]
    assert listed["of_served_model"]
    return listed["delivery"], listed["as_of"]


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_workers_take_a_new_list_and_lose_no_request(copied: Path, tmp_path: Path) -> None:
    first, second = published(copied, 1), published(copied, 2, weeks=1)
    lead_to(copied, first)
    env = {"BENTOML_CONFIG_OPTIONS": "services.conversion.workers=2"}
    done = Event()
    with Server(copied, tmp_path / "home", env=env) as server:
        seen: set[str] = set()

        def ask() -> None:
            """Ask both kinds of routes until it is over, and note the dates of the lists that were seen."""
            while not done.is_set():
                with server.client() as client:
                    client.post("/predict/single", json=EXAMPLE).raise_for_status()
                    page = client.get("/leads?limit=3").raise_for_status().json()
                    assert len(page["leads"]) == 3
                    seen.add(page["as_of"])

        number, before = served_by(server)
        assert number == 1
        with ThreadPoolExecutor(4) as threads:
            clients = [threads.submit(ask) for _ in range(4)]
            workers = server.workers()
            # The list changes while it is asked for, not before.
            wait_until(lambda: before in seen or any(client.done() for client in clients))
            lead_to(copied, second)
            # Each new connection may go to either worker, and thirty in a row to the same one.
            wait_until(lambda: server.log().count("serves other files from now on") == 2)
            wait_until(lambda: all(served_by(server)[0] == 2 for _ in range(30)))
            done.set()
            for client in clients:
                client.result()
        assert server.workers() == workers, "nothing was started again"
        assert before in seen
        assert len(seen) == 2
        assert server.log().count("serves other files from now on") == 2, "once a worker"
        assert "Traceback" not in server.log()


def test_a_broken_list_is_refused_and_the_next_one_taken(copied: Path, tmp_path: Path) -> None:
    broken, whole = published(copied, 2, weeks=1), published(copied, 3, weeks=2)
    (broken / FOLDER / "evidence.json").write_text("{}", encoding="utf-8")
    with Server(copied, tmp_path / "home") as server, server.client() as client:
        assert served_by(server)[0] is None, "of the project, where nothing was delivered"
        answer = client.get("/leads")
        lead_to(copied, broken)
        wait_until(lambda: "new files are refused" in server.log())
        time.sleep(5 * SECONDS)
        assert server.log().count("new files are refused") == 1
        assert "Traceback" not in server.log()
        assert client.get("/leads").content == answer.content
        tag = {"If-None-Match": answer.headers["etag"]}
        assert client.get("/leads", headers=tag).status_code == httpx.codes.NOT_MODIFIED
        lead_to(copied, whole)
        wait_until(lambda: served_by(server)[0] == 3)
        assert client.get("/leads", headers=tag).status_code == httpx.codes.OK


def test_memory_does_not_grow_with_lists(copied: Path, tmp_path: Path) -> None:
    folders = [published(copied, number, weeks=number) for number in (1, 2)]
    lead_to(copied, folders[0])
    sizes = []
    with Server(copied, tmp_path / "home") as server, server.client() as client:
        (worker,) = server.workers()
        for place in range(1, RELOADS + 1):
            lead_to(copied, folders[place % 2])
            wait_until(lambda number=place % 2 + 1: served_by(server)[0] == number)  # type: ignore[misc]
            for path in ("/", "/leads", "/openapi.json"):
                client.get(path).raise_for_status()
            sizes.append(psutil.Process(worker).memory_info().rss)
    # The second state beside the first is a peak that the process keeps.
    settled = sizes[RELOADS // 5 : RELOADS // 5 + 3]
    assert max(sizes[-3:]) <= (1 + GROWTH) * max(settled), [round(size / 1e6) for size in sizes]
