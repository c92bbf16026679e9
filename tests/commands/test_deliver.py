from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from commands import crm_files, deliver
from conversion.config.params_file import load_params
from conversion.delivery.call_list import Design
from conversion.delivery.crm_table import CrmError
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.ledger import read_deliveries
from conversion.delivery.publish import current
from conversion.delivery.week import read_listed, this_week
from conversion.leads.lead_files import read_lead_files
from conversion.runtime.cli import run
from conversion.runtime.errors import DeliveryError, ExportError, InputError
from tests.contract_files import hubspot
from tests.deliveries import WEEKS, copy_of, make_project, set_params

KILLS = 20


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose first week was delivered and whose second was not; not to be changed."""
    folder: Path = tmp_path_factory.mktemp("project")
    make_project(folder, WEEKS[0])
    run_command(folder)
    make_project(folder, WEEKS[1], deliver__holdout=0.2, deliver__explore=0.2)
    return folder


def run_command(folder: Path, *arguments: str) -> None:
    """Run the command in this process, in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["deliver", *arguments])
        deliver.main()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(folder: Path) -> pd.DataFrame:
    where = current(folder)
    assert where is not None
    files = read_lead_files(where, hubspot())
    assert files is not None
    return files.leads


def test_a_week_is_delivered_and_published(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(project, tmp_path / "project")

    run_command(folder)

    first, second = read_deliveries(folder)
    companies, leads = second.companies(), published(folder)
    assert [f"{each.as_of}" for each in (first, second)] == list(WEEKS)
    called = companies[companies["place"].notna()].sort_values("place")
    assert len(called) == 10
    assert (called["status"] == "explored").sum() == 2
    assert leads["id"].head(10).tolist() == called["id"].tolist()
    hidden = companies.loc[companies["status"] == "held_back", "id"]
    assert len(hidden)
    assert not leads["id"].isin(hidden).any()
    assert set(leads["id"]) | set(hidden) == set(companies["id"])
    assert leads["rank"].tolist() == list(range(1, len(leads) + 1))
    rest = leads["probability"].iloc[10:]
    assert rest.is_monotonic_decreasing
    assert leads["moved"].head(10).notna().any()
    before = first.companies().set_index("id")["probability"]
    known = leads[leads["id"].isin(before.index)]
    assert known["probability_before"].tolist() == before.loc[known["id"]].tolist()
    assert "held back" in capsys.readouterr().out
    assert (folder / "data/published/current/crm/excel.csv").is_file()
    assert (folder / "data/published/current/left.csv").is_file()


def test_the_week_is_made_of_a_project_in_any_folder(project: Path) -> None:
    params = load_params(project / "params.yaml")
    listed = read_listed(project)
    (last,) = read_deliveries(project)

    first, second = (
        this_week(project, listed, params, Design.of(params.deliver, 7), None, each) for each in (None, last)
    )

    assert listed.files.manifest.as_of.isoformat() == WEEKS[1]
    assert first.tables.companies["place"].notna().sum() == 7
    assert first.left is None
    assert second.left is not None
    assert second.tables.companies["moved"].notna().any()


def test_twice_is_the_same_bytes_and_so_is_another_folder(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = (copy_of(project, tmp_path / name) for name in ("one", "other"))

    run_command(one)
    once = contents(one)
    already = f"Delivery 1 of {WEEKS[1]}, which was delivered already: "
    assert already not in capsys.readouterr().out
    run_command(one)
    assert already in capsys.readouterr().out
    run_command(other)

    assert contents(one) == once
    for part in ("ledger", "data/published"):
        assert contents(one / part) == contents(other / part)


def test_another_list_is_refused_or_corrects(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    run_command(folder)
    before = contents(folder)
    set_params(folder, deliver__salt="another")

    with pytest.raises(DeliveryError, match="--correction WHY delivers it as number 2"):
        run_command(folder)
    changed = {name for name, content in contents(folder).items() if before.get(name) != content}
    assert changed == {"params.yaml"}
    run_command(folder, "--correction", "the draw was known")

    deliveries = read_deliveries(folder)
    assert [(f"{each.as_of}", each.number) for each in deliveries] == [
        (WEEKS[0], 1),
        (WEEKS[1], 1),
        (WEEKS[1], 2),
    ]
    assert deliveries[-1].manifest.reason == "the draw was known"
    where = current(folder)
    assert where is not None
    assert where.name == f"as_of={WEEKS[1]}_delivery=2"


def test_a_dry_run_writes_nothing(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(project, tmp_path / "project")
    before = contents(folder)

    run_command(folder, "--dry-run")

    assert contents(folder) == before
    out = capsys.readouterr().out
    assert "A dry run: nothing was written." in out
    assert "crm/excel.csv" in out


def test_the_gate_stops_with_3_and_leaves_what_was_published(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    set_params(folder, gate__drift={"watch": 0.0, "stop": 0.0}, gate__drift_features=0.0)
    before = contents(folder)

    with pytest.raises(SystemExit) as stopped:
        run_command(folder)

    assert stopped.value.code == 3
    assert json.loads((folder / "data/gate.json").read_text(encoding="utf-8"))["status"] == "stop"
    after = contents(folder)
    del after["data/gate.json"]
    assert after == {name: content for name, content in before.items() if name != "data/gate.json"}


def test_the_gate_has_said_nothing_of_a_list_that_cannot_go_out(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(project, tmp_path / "project")
    crm = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))["deliver"]["crm"]
    set_params(
        folder, deliver__formats=["hubspot"], deliver__crm=crm | {"hubspot": {**crm["hubspot"], "key": "x"}}
    )
    before = contents(folder)

    with pytest.raises(CrmError, match="given 'x'"):
        run_command(folder)

    assert contents(folder) == before
    assert "may go out" not in capsys.readouterr().out


def test_reps_split_the_calls_and_each_has_a_file(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    (folder / "reps.csv").write_text("rep,capacity\nAnn,3\nBob/West,4\n", encoding="utf-8")
    set_params(folder, deliver__reps="reps.csv")

    run_command(folder)

    delivery = read_deliveries(folder)[-1]
    companies = delivery.companies()
    assert companies["rep"].value_counts().to_dict() == {"Ann": 3, "Bob/West": 4}
    assert delivery.manifest.calls == 7
    names = {path.name for path in (folder / "data/published/current/reps").iterdir()}
    assert names == {"Ann.csv", "Bob%2FWest.csv"}
    leads = published(folder)
    assert leads["rep"].notna().sum() == 7


def test_no_week_is_delivered_for_the_first_time_after_a_later_one(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    run_command(folder)
    shutil.rmtree(folder / f"ledger/as_of={WEEKS[0]}")
    make_project(folder, WEEKS[0])
    before = contents(folder)

    with pytest.raises(DeliveryError, match=f"{WEEKS[0]}: the list of {WEEKS[1]} went out already"):
        run_command(folder)

    assert contents(folder) == before


def test_a_late_correction_is_kept_and_the_newer_list_stays_published(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    run_command(folder)
    newest = current(folder)
    make_project(folder, WEEKS[0], deliver__salt="another")

    run_command(folder, "--correction", "a fault  was\nfound")

    numbers = [(f"{each.as_of}", each.number) for each in read_deliveries(folder)]
    assert numbers == [(WEEKS[0], 1), (WEEKS[0], 2), (WEEKS[1], 1)]
    assert read_deliveries(folder)[1].manifest.reason == "a fault was found"
    assert current(folder) == newest


def test_a_correction_needs_a_reason(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command(project, "--correction", " ")
    assert stopped.value.code == 2
    assert "--correction: given nothing, should say why" in capsys.readouterr().err


def test_nothing_is_frozen_that_cannot_be_published(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    (folder / "data/track_record.json").unlink()
    before = contents(folder)

    with pytest.raises(InputError, match="the stage report writes it: run 'dvc repro report'"):
        run_command(folder)

    assert contents(folder) == before


@pytest.mark.parametrize("name", ["features/latest", "clean/usage"])
def test_tables_of_another_run_are_refused(project: Path, tmp_path: Path, name: str) -> None:
    folder = copy_of(project, tmp_path / "project")
    path = folder / f"data/{name}.parquet"
    pd.read_parquet(path).iloc[::-1].to_parquet(path, index=False)
    before = contents(folder)

    with pytest.raises(InputError, match=f"{name}.parquet: is not the one that data/leads was made from"):
        run_command(folder)

    assert contents(folder) == before


def test_two_at_once_are_refused(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    before = contents(folder)
    with one_at_a_time(folder), pytest.raises(DeliveryError, match="another process delivers"):
        run_command(folder)
    assert contents(folder) == before


# Each opens, renames, removes or makes a file below the ledger or the publications.
KILLER = """
import os, signal, sys
from commands import crm_files, deliver
from conversion.runtime.cli import run

at, count = int(sys.argv.pop(1)), 0
def hook(event, arguments):
    global count
    if event not in ("open", "os.rename", "os.mkdir", "os.symlink", "os.remove", "os.rmdir"):
        return
    if not any(part in str(each) for each in arguments for part in ("ledger", "published")):
        return
    count += 1
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
run(deliver.main)
print("events", count)
"""


def killed_at(folder: Path, event: int) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that is killed just before an event of its writing; 0: never."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", KILLER, str(event), "--correction", "why"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_killed_at_any_moment_the_ledger_and_what_is_published_are_whole(
    project: Path, tmp_path: Path
) -> None:
    begun = copy_of(project, tmp_path / "begun")
    run_command(begun)
    set_params(begun, deliver__salt="another")
    before = contents(begun / "ledger")
    before_published = current(begun)
    assert before_published is not None
    reference = copy_of(begun, tmp_path / "reference")
    ended = killed_at(reference, 0)
    assert ended.returncode == 0, ended.stderr
    events = int(ended.stdout.rsplit("events", 1)[1])
    whole = contents(reference / "ledger")
    after_published = current(reference)
    assert after_published is not None
    states = {
        before_published.name: contents(before_published),
        after_published.name: contents(after_published),
    }
    found = set()
    for event in sorted(random.Random(1).sample(range(1, events + 1), KILLS)):
        folder = copy_of(begun, tmp_path / "killed")
        killed = killed_at(folder, event)
        assert killed.returncode == -signal.SIGKILL, killed.stderr

        deliveries = read_deliveries(folder)
        where = current(folder)
        assert where is not None
        for delivery in deliveries:
            for name in delivery.manifest.files:
                delivery.verified(name)
        of_ledger = {name: each for name, each in contents(folder / "ledger").items() if name[0] != "."}
        assert of_ledger in (before, whole)
        assert contents(where) == states[where.name]
        assert where.name == before_published.name or of_ledger == whole
        found.add((len(deliveries), where.name))

        run_command(folder, "--correction", "why")
        assert contents(folder / "ledger") == whole
        assert current(folder) is not None
        assert contents(folder / "data/published/current") == states[after_published.name]
        assert not [path for path in (folder / "data/published").iterdir() if path.name.startswith(".")]
        shutil.rmtree(folder)
    assert len(found) > 1  # killed before the ledger had it, and after


def copied(folder: Path) -> dict[str, bytes]:
    """Return the files of the copies, but for their manifests."""
    return {name: each for name, each in contents(folder).items() if not name.endswith("/delivery.json")}


def test_a_delivery_is_copied_once_it_is_complete_and_the_second_run_copies_nothing(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, share = copy_of(project, tmp_path / "project"), tmp_path / "share"
    set_params(folder, deliver__copy_to=str(share))
    run_command(folder, "--dry-run")
    assert f"to copy to: {share}\n" in capsys.readouterr().out
    assert not share.exists()
    with caplog.at_level("INFO"):
        run_command(folder)
        once = contents(share)
        before = (share / WEEKS[1]).stat().st_ino
        run_command(folder)
    assert copied(share) == {
        f"{WEEKS[1]}/{name}": content for name, content in contents(folder / "data/published/current").items()
    }
    assert contents(share) == once
    assert (share / WEEKS[1]).stat().st_ino == before
    assert [each.message for each in caplog.records if "cop" in each.message] == [
        "copied",
        "the copy is there already",
    ]


def test_a_copy_that_fails_leaves_the_delivery_and_the_next_run_copies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, share = copy_of(project, tmp_path / "project"), tmp_path / "share"
    share.write_text("no folder", encoding="utf-8")
    set_params(folder, deliver__copy_to="../share")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["deliver"])
    with pytest.raises(SystemExit) as stopped:
        run(deliver.main)
    assert stopped.value.code == 1
    errors = [each.message for each in caplog.records if each.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].startswith(f"../share/{WEEKS[1]}: deliver.copy_to: the delivery was not copied")
    assert f"{read_deliveries(folder)[-1].as_of}" == WEEKS[1]
    where = current(folder)
    assert where is not None
    assert where.name == f"as_of={WEEKS[1]}_delivery=1"
    whole = contents(folder)
    share.unlink()
    run_command(folder)
    assert contents(folder) == whole
    assert (share / WEEKS[1] / "delivery.json").is_file()


def test_a_driver_that_is_missing_is_told_before_anything_is_delivered(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    set_params(folder, deliver__copy_to="gs://bucket/lists")
    before = contents(folder)
    with pytest.raises(ExportError, match=r"deliver\.copy_to: .*no driver of gs://; pip install gcsfs"):
        run_command(folder)
    assert contents(folder) == before


def test_the_files_of_reps_and_crms_are_copied_again_with_the_rest(project: Path, tmp_path: Path) -> None:
    folder, share = copy_of(project, tmp_path / "project"), tmp_path / "share"
    set_params(folder, deliver__copy_to=str(share))
    run_command(folder)
    set_params(folder, deliver__formats=["excel", "salesforce"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["crm_files"])
        crm_files.main()
    assert f"{WEEKS[1]}/crm/salesforce.csv" in copied(share)
    assert len(copied(share)) == len(contents(folder / "data/published/current"))
