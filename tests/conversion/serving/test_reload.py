from __future__ import annotations

import gc
import logging
import os
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import anyio
import pandas as pd
import pytest
import yaml
from markupsafe import escape

from conversion.config.params_file import load_params
from conversion.delivery.leavers import write_left
from conversion.delivery.publish import CURRENT, PUBLISHED
from conversion.modelling.artifact import EXPECTED, save_model
from conversion.modelling.registered_versions import KEY
from conversion.modelling.training import describe
from conversion.runtime.errors import ArtifactError
from conversion.runtime.files import sha256, write_json
from conversion.scorecard.results import PATH as SCORECARD
from conversion.serving.lead_index import StoredFiles
from conversion.serving.reload import Watcher, looks_of
from conversion.serving.state import ServiceState, make_state, served_folder
from tests.lead_files import write_list
from tests.pipeline import Pipeline
from tests.scorecards import a_year, results_of
from tests.serving import Client, projects_pipeline, small_pipeline


def lay_out(folder: Path, pipeline: Pipeline) -> Path:
    """Write a pipeline's model and list as the project's root has them."""
    description = describe(pipeline.model, pipeline.train, pipeline.as_of, pipeline.params)
    save_model(pipeline.model, description, folder / "models")
    write_list(folder, pipeline, "csv", model_sha256=sha256(folder / "models" / "model.joblib"))
    return folder


def publish(folder: Path) -> None:
    """Lead the link to a folder, as a delivery does."""
    link = Path(PUBLISHED, CURRENT)
    link.parent.mkdir(parents=True, exist_ok=True)
    following = link.with_name("following")
    following.symlink_to(os.path.relpath(folder, link.parent))
    following.replace(link)


def delivery(number: int, pipeline: Pipeline) -> Path:
    name = f"as_of={pipeline.as_of:%Y-%m-%d}_delivery={number}"
    return lay_out(Path("data/published") / name, pipeline)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a model and its list."""
    monkeypatch.chdir(tmp_path)
    for name in (EXPECTED, KEY):
        monkeypatch.delenv(name, raising=False)
    params = small_pipeline().params.model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    lay_out(Path(), small_pipeline())
    yield tmp_path
    gc.unfreeze()


class Worker:
    """What a worker serves, and who watches its files."""

    state: ServiceState

    def __init__(self) -> None:
        seen = looks_of(Path())
        self.state = make_state(load_params(), None, "test", None)
        self.watcher = Watcher(self, seen, {})

    def look_twice(self) -> bool:
        """Look as often as it takes; return whether the state was replaced."""
        assert not self.watcher.look(), "files are read once they have stayed the same"
        return self.watcher.look()


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_files_that_stay_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    first = worker.state
    monkeypatch.delattr("conversion.serving.reload.read_beside")
    assert not worker.look_twice()
    assert worker.state is first


def test_a_new_list_and_model_replace_the_old_at_once() -> None:
    worker = Worker()
    first = worker.state
    lay_out(Path(), small_pipeline("xgboost"))
    assert worker.look_twice()
    assert worker.state is not first
    assert worker.state.model_type == "xgboost"
    assert worker.state.served_list is not None
    assert worker.state.served_list.of_served_model
    assert worker.state.messages is first.messages, "of the same contract"
    assert worker.state.limits is first.limits
    assert worker.state.telemetry is first.telemetry
    assert not worker.look_twice()


def test_another_format_in_the_params_takes_no_delivery_away() -> None:
    publish(delivery(1, small_pipeline()))
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["score"]["format"] = "parquet"
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    worker = Worker()
    assert worker.state.delivery == 1
    assert worker.state.served_list is not None, "the delivery was written before the params were edited"
    publish(delivery(2, small_pipeline()))
    assert worker.look_twice()
    assert worker.state.delivery == 2


def test_a_large_list_is_replaced_at_once_and_has_an_index_of_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("conversion.serving.lead_pages.LARGE", 0)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["score"]["format"] = "parquet"
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    served = sha256("models/model.joblib")
    write_list(Path(), small_pipeline(), "parquet", model_sha256=served)
    worker = Worker()
    first = worker.state.leads
    assert first is not None
    assert isinstance(first.files, StoredFiles)
    leads = small_pipeline().leads
    write_list(Path(), small_pipeline(), "parquet", leads.head(5), model_sha256=served)
    assert worker.look_twice()
    second = worker.state.leads
    assert second is not None
    assert (len(first.table), len(second.table)) == (len(leads), 5)
    assert first.sha256 != second.sha256, "pages of the new list have other tags"
    with Path("data/leads/leads.parquet").open("ab") as file:
        file.write(b"more")
    assert not worker.look_twice()
    assert worker.state.leads is second
    assert any("leads.parquet: sha256 is" in message for message in refused(caplog))


def test_files_written_again_as_they_were_change_nothing() -> None:
    worker = Worker()
    first = worker.state
    for path in [*Path("models").iterdir(), *Path("data/leads").iterdir()]:
        os.utime(path)
    assert not worker.look_twice()
    assert worker.state is first


def test_a_request_ends_on_what_it_began_with() -> None:
    worker = Worker()
    before = Client(worker.state)
    body = before.get("/leads").content
    company = before.get("/leads?limit=1").json()["leads"][0]["id"]
    lead = before.get(f"/leads/{company}").content
    lay_out(Path(), small_pipeline("xgboost"))
    assert worker.look_twice()
    shutil.rmtree("data")
    assert before.get("/leads").content == body
    assert before.get(f"/leads/{company}").content == lead
    assert Client(worker.state).get("/leads").content != body


# Deliveries


def test_the_last_delivery_is_served_and_health_says_which() -> None:
    worker = Worker()
    assert Client(worker.state).get("/health").json()["lead_list"]["delivery"] is None
    publish(delivery(1, small_pipeline()))
    assert worker.look_twice()
    assert Client(worker.state).get("/health").json()["lead_list"]["delivery"] == 1
    publish(delivery(2, small_pipeline("xgboost")))
    assert worker.look_twice()
    health = Client(worker.state).get("/health").json()
    listed = health["lead_list"]
    assert (listed["delivery"], listed["of_served_model"]) == (2, True)
    assert listed["as_of"] == f"{small_pipeline().as_of:%Y-%m-%d}"
    assert listed["loaded"].endswith("Z")
    assert health["model_type"] == "xgboost"
    lay_out(Path(), small_pipeline("random_forest"))
    assert not worker.look_twice(), "the pipeline may run without changing what is delivered"


def test_a_delivery_that_was_published_again_keeps_its_number() -> None:
    folder = delivery(3, small_pipeline())
    publish(folder.rename(folder.with_name(f"{folder.name}_again=2")))
    assert Client(Worker().state).get("/health").json()["lead_list"]["delivery"] == 3


def test_without_a_link_files_are_of_the_project(root: Path) -> None:
    assert served_folder(root) == root
    publish(delivery(1, small_pipeline()))
    assert served_folder(Path()).name.endswith("_delivery=1")
    assert served_folder(root).samefile(served_folder(Path()))


def test_a_link_that_leads_nowhere_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    publish(Path("data/published/as_of=2020-04-27_delivery=1"))
    assert not worker.look_twice()
    (message,) = refused(caplog)
    assert "models/model.joblib: not found" in message
    with pytest.raises(ArtifactError, match=r"delivery=1/models/model\.joblib: not found"):
        make_state(load_params(), None, "test", None)


# What is refused


@pytest.mark.parametrize("name", ["data/leads/leads.csv", "data/leads/manifest.json", "models/model.joblib"])
def test_a_broken_file_is_refused_with_one_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    first, whole = worker.state, Path(name).read_bytes()
    Path(name).write_bytes(whole[: len(whole) // 2])
    assert not worker.look_twice()
    for _ in range(3):
        assert not worker.watcher.look()
    (message,) = refused(caplog)
    assert message.startswith("new files are refused, those that were served before stay: ")
    assert name in message
    assert "\n" not in message
    os.utime(name)
    assert not worker.look_twice()
    assert len(refused(caplog)) == 1, "nothing new to say"
    assert worker.state is first
    lay_out(Path(), small_pipeline("xgboost"))
    assert worker.look_twice()


def test_files_that_are_still_written_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    with Path("data/leads/leads.csv").open("a", encoding="utf-8") as file:
        for _ in range(3):
            file.write("1,2\n")
            file.flush()
            assert not worker.watcher.look()
    assert not refused(caplog)


def test_between_the_model_and_its_list_the_old_ones_stay(caplog: pytest.LogCaptureFixture) -> None:
    """As while the pipeline runs: it removes what a stage writes, trains, and scores at last."""
    worker = Worker()
    first, newer = worker.state, small_pipeline("xgboost")
    shutil.rmtree("models")
    assert not worker.look_twice()
    save_model(newer.model, describe(newer.model, newer.train, newer.as_of, newer.params))
    assert not worker.look_twice()
    shutil.rmtree("data/leads")
    assert not worker.look_twice()
    said = refused(caplog)
    assert [
        part in message for part, message in zip(("not found", "another model", "no list"), said, strict=True)
    ]
    assert worker.state is first
    lay_out(Path(), newer)
    assert worker.look_twice()


def test_a_fault_of_the_watcher_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker()
    lay_out(Path(), small_pipeline("xgboost"))
    looked = []

    def broken(*_: object) -> None:
        looked.append(1)
        raise RuntimeError("a fault")

    with monkeypatch.context() as patched:
        patched.setattr("conversion.serving.reload.looks_of", broken)
        worker.watcher.start(0.01)
        anyio.run(until, lambda: len(looked) > 1)
    anyio.run(until, lambda: worker.state.model_type == "xgboost")
    worker.watcher.stop()
    assert "cannot look for a new list or model" in refused(caplog)


async def until(reached: object) -> None:
    assert callable(reached)
    with anyio.fail_after(60):
        while not reached():
            await anyio.sleep(0.02)


# Another contract, and memory


def test_another_contract_has_other_messages_and_documents() -> None:
    worker = Worker()
    first = Client(worker.state).get("/openapi.json").json()
    lay_out(Path(), projects_pipeline())
    assert worker.look_twice()
    client = Client(worker.state)
    document = client.get("/openapi.json").json()
    names = {each["name"] for each in document["paths"]["/leads"]["get"]["parameters"]}
    assert "by.owner" in names - {each["name"] for each in first["paths"]["/leads"]["get"]["parameters"]}
    company = client.get("/leads?limit=1").json()["leads"][0]["id"]
    assert isinstance(company, str)
    assert client.get(f"/leads/{company}").status_code == 200
    assert client.post("/predict/single", {"id": company, "head_count": 9}).status_code == 200


def test_what_was_served_before_is_let_go() -> None:
    worker = Worker()
    old = []
    for place in range(20):
        Client(worker.state).get("/")
        old.append(weakref.ref(worker.state))
        lay_out(Path(), projects_pipeline() if place % 2 == 0 else small_pipeline())
        assert worker.look_twice()
    assert [reference() for reference in old] == [None] * 20


# What stands beside the list


def test_a_scorecard_alone_reaches_the_pages_and_so_does_its_end() -> None:
    worker = Worker()
    page = Client(worker.state).get("/")
    deliveries, export, contacts = a_year()
    results = results_of(deliveries, export, contacts)
    line = results.line
    assert str(escape(line)) not in page.text
    write_json(SCORECARD, results.model_dump(mode="json"))
    assert worker.look_twice()
    assert str(escape(line)) in Client(worker.state).get("/").text
    os.utime(SCORECARD)
    assert not worker.look_twice(), "it is the same"
    Path(SCORECARD).write_text("{}", encoding="utf-8")
    assert not worker.look_twice(), "it is broken, and the one before stays"
    Path(SCORECARD).unlink()
    assert worker.look_twice()
    assert Client(worker.state).get("/").content == page.content


def test_who_left_is_of_the_delivery_that_is_served() -> None:
    first, second = delivery(1, small_pipeline()), delivery(2, small_pipeline())
    row = {"id": 5, "place_before": 3, "rep": "Ann", "why": "converted", "left": "Became a customer today"}
    write_left(second / "left.csv", pd.DataFrame([row]))
    publish(first)
    worker = Worker()
    assert "Left the call list" not in Client(worker.state).get("/").text
    publish(second)
    assert worker.look_twice()
    page = " ".join(Client(worker.state).get("/").text.split())
    assert "Left the call list since the last one: 1 company" in page
    assert "1 became a customer" in page
    assert "was 3, called by <bdi>Ann</bdi>" in page
    assert "Became a customer today." in page
