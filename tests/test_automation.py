"""What runs without a user: workflows, systemd units, the devcontainer, and the make targets they call."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversion.delivery.ledger import read_deliveries
from tests.clone import ROOT, Clone

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
UNITS = ROOT / "deploy" / "systemd"
MAKE_CALL = re.compile(r"make (?:--silent )?([a-z-]+)")
WRITES = {"tests": {"pull-requests"}, "monday": {"contents"}}


def workflow(path: Path) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(path)["jobs"].values():
        yield from job["steps"]


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_step_is_one_target_of_the_makefile(path: Path) -> None:
    for step in steps(path):
        if "run" in step and not step["run"].startswith("gh pr comment"):
            assert MAKE_CALL.match(step["run"]), step
            assert step["run"].count("make ") == 1
            assert MAKE_CALL.findall(step["run"])[0] in targets() | {"monday"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_permissions_are_least(path: Path) -> None:
    for step in steps(path):
        assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step.get("uses", "actions/none@v1.0.0"))
    read = workflow(path)
    granted = [read["permissions"], *(job.get("permissions", {}) for job in read["jobs"].values())]
    written = {name for each in granted for name, level in each.items() if level != "read"}
    assert written == WRITES[path.stem]
    # A webhook is secret, since whoever knows it can post; nothing else is asked for.
    assert set(re.findall(r"secrets\.(\w+)", path.read_text(encoding="utf-8"))) <= {"CONVERSION_GATE_WEBHOOK"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_text_of_others_reaches_no_shell(path: Path) -> None:
    # What a pull request's author writes would be run if a template put it into a command.
    assert all("${{" not in step.get("run", "") for step in steps(path))
    assert all(job["timeout-minutes"] for job in workflow(path)["jobs"].values())


def test_the_python_is_that_of_the_locks() -> None:
    version = re.search(r"^VERSION := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    for path in WORKFLOWS:
        used = [step["with"]["python-version"] for step in steps(path) if "setup-python" in str(step)]
        assert set(used) == {version[1]}
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["image"].partition(":")[2].startswith(f"1-{version[1]}-")
    assert container["postCreateCommand"].removeprefix("make ") in targets()


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    assert read.read(UNITS / name)
    return read


def test_the_timer_starts_the_service_on_mondays() -> None:
    timer, service = unit("conversion-monday.timer"), unit("conversion-monday.service")
    assert timer["Timer"]["OnCalendar"].startswith("Mon ")
    assert timer["Timer"]["Persistent"] == "yes"
    assert service["Service"]["Type"] == "oneshot"
    # configparser keeps the last of a repeated key, so the commands are read from the text.
    text = (UNITS / "conversion-monday.service").read_text("utf-8")
    started = re.findall(r"^ExecStart=/usr/bin/make ([a-z-]+)$", text, flags=re.MULTILINE)
    assert started == ["monday", "record"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units() -> None:
    units = [str(UNITS / f"conversion-monday.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    # Where systemd does not run, it cannot look up the machine's other units; it says so and goes on.
    of_ours = [line for line in done.stderr.splitlines() if "conversion-monday" in line]
    assert of_ours == [] or all("is not executable" in line for line in of_ours), done.stderr


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A project whose only run was written by hand."""
    made = Clone(tmp_path_factory.mktemp("automated"), tmp_path_factory.mktemp("home"))
    for name in ("Makefile", "requirements.txt", "dvc.yaml", "params.yaml", ".gitignore"):
        shutil.copy2(ROOT / name, made.folder / name)
    (made.folder / ".venv" / "bin").mkdir(parents=True)
    (made.folder / ".venv" / "run.stamp").touch()
    (made.folder / "metrics").mkdir()
    (made.folder / "metrics" / "headline.json").write_text('{"average_precision": 0.4}\n', "utf-8")
    (made.folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n", "utf-8")
    made.git("init", "--quiet", "--initial-branch=main")
    made.identify()
    made.dvc("init", "--quiet")
    made.commit("start")
    return made


@pytest.fixture
def clone(started: Clone, tmp_path: Path) -> Clone:
    """The same, of each test its own."""
    return started.copy_to(tmp_path / "project")


def make(clone: Clone, *arguments: str) -> str:
    os.utime(clone.folder / ".venv" / "run.stamp")
    return clone.run("make", "--silent", *arguments)


def test_without_a_remote_pull_and_push_say_so(clone: Clone) -> None:
    assert "no DVC remote is set: nothing to pull" in make(clone, "pull")
    assert "no DVC remote is set: nothing to push" in make(clone, "push")


def test_metrics_diff_is_the_comment_of_a_pull_request(clone: Clone) -> None:
    path = clone.folder / "metrics" / "headline.json"
    path.write_text('{"average_precision": 0.5}\n', "utf-8")
    comment = make(clone, "metrics-diff", "BASE=main").splitlines()
    assert comment[0] == "### Metrics against main"
    assert [cell.strip() for cell in comment[2].split("|")[1:-1]] == [
        "Path", "Metric", "main", "workspace", "Change",
    ]  # fmt: skip
    assert [cell.strip() for cell in comment[4].split("|")[2:-1]] == [
        "average_precision", "0.4", "0.5", "0.1",
    ]  # fmt: skip


def test_record_commits_what_a_monday_writes_and_no_more(clone: Clone) -> None:
    assert "nothing changed" in make(clone, "record")
    (clone.folder / "metrics" / "headline.json").write_text('{"average_precision": 0.6}\n', "utf-8")
    (clone.folder / "ledger.dvc").write_text("outs: []\n", "utf-8")
    (clone.folder / "notes.txt").write_text("mine\n", "utf-8")
    make(clone, "record")
    changed = clone.git("show", "--name-only", "--format=").split()
    assert changed == ["ledger.dvc", "metrics/headline.json"]
    assert clone.status() == ["?? notes.txt"]


@pytest.mark.slow
def test_the_model_is_an_artifact_that_a_tag_gives_a_version(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "project", tmp_path / "home")
    clone.folder.mkdir()
    shutil.copy2(ROOT / "dvc.yaml", clone.folder / "all.yaml")
    artifacts = yaml.safe_load((clone.folder / "all.yaml").read_text("utf-8"))["artifacts"]
    (clone.folder / "all.yaml").unlink()
    assert artifacts["conversion"]["path"] == "models/model.joblib"
    pipeline = {
        "stages": {"train": {"cmd": "cp given models/model.joblib", "outs": ["models/model.joblib"]}},
        "artifacts": artifacts,
    }
    (clone.folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline), "utf-8")
    (clone.folder / "models").mkdir()
    (clone.folder / "given").write_bytes(b"the first model")
    clone.git("init", "--quiet", "--initial-branch=main")
    clone.identify()
    clone.dvc("init", "--quiet")
    clone.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    clone.dvc("repro", "--quiet")
    clone.commit("the first model")
    clone.git("tag", "--annotate", "conversion@v1.0.0", "--message", "the first model")
    clone.dvc("push", "--quiet")
    (clone.folder / "given").write_bytes(b"the second model")
    clone.dvc("repro", "--quiet", "--force")
    clone.commit("the second model")

    for version in ([], ["--rev", "v1.0.0"]):
        out = tmp_path / f"got{len(version)}"
        clone.dvc("artifacts", "get", str(clone.folder), "conversion", *version, "--out", str(out))
        assert out.read_bytes() == b"the first model"


@pytest.mark.slow
def test_make_monday_delivers_and_reports(reproduced: Clone, tmp_path: Path) -> None:
    clone = reproduced.copy_to(tmp_path / "project")
    monday = ("make", "--old-file=.venv/run.stamp", "monday", "FETCH=echo the export is here")
    said = clone.run(*monday)
    assert said.startswith("the export is here\n")
    assert " may go out" in said
    assert "Delivery 1 of " in said
    (delivery,) = read_deliveries(clone.folder)
    assert (clone.folder / "data/published/current/data/leads/manifest.json").is_file()
    assert (clone.folder / "data/scorecard/scorecard.html").is_file()
    assert "ledger.dvc" in " ".join(clone.status())

    # The same week again: the same delivery.
    before = (clone.folder / "ledger.dvc").read_bytes()
    assert "delivered already" in clone.run(*monday)
    assert read_deliveries(clone.folder) == (delivery,)
    assert (clone.folder / "ledger.dvc").read_bytes() == before

    # A list that the gate stops: make fails, and what was published stays.
    published = (clone.folder / "data/published/current").readlink()
    params = yaml.safe_load((clone.folder / "params.yaml").read_text("utf-8"))
    params["gate"]["expected"] = {"watch": 1.0001, "stop": 1.0002}
    (clone.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    assert "the gate stopped the list" in clone.run(*monday, fails=True)
    assert (clone.folder / "data/published/current").readlink() == published
    assert read_deliveries(clone.folder) == (delivery,)
