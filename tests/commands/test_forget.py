from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest

from commands import deliver, forget
from conversion.delivery.guards import one_at_a_time
from conversion.delivery.ledger import COMPANIES, FROZEN, read_deliveries
from conversion.delivery.publish import current
from conversion.forgetting import copies
from conversion.forgetting.deliveries import TOMBSTONES
from conversion.leads.lead_files import read_lead_files
from conversion.runtime import files
from conversion.runtime.errors import DeliveryError, ExportError
from conversion.runtime.seals import sha256_of
from tests.buckets import bucket
from tests.contract_files import hubspot
from tests.deliveries import WEEKS, copy_of, make_project, set_params


def run_command(folder: Path, main: Callable[[], None], *arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["command", *arguments])
        patch.setenv("DVC_NO_ANALYTICS", "1")
        main()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a delivered project with a cache, logs and MLflow's files; not to be changed."""
    folder: Path = tmp_path_factory.mktemp("project") / "project"
    folder.mkdir()
    make_project(folder, WEEKS[0])
    run_command(folder, deliver.main)
    company = first(folder)
    dvc(folder, "init", "--quiet", "--no-scm")
    dvc(folder, "remote", "add", "--default", "store", str(folder.parent / "store"))
    dvc(folder, "add", "--quiet", "export", "data/leads", "ledger")
    for name in ("mlartifacts/1/run/artifacts", "logs", ".dvc/tmp/exps/temp/data"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(folder / "data/leads/top_leads.csv", folder / "mlartifacts/1/run/artifacts/top_leads.csv")
    shutil.copy2(folder / "data/leads/leads.csv", folder / ".dvc/tmp/exps/temp/data/leads.csv")
    line = json.dumps({"input": {"id": company}, "probability": 0.5})
    (folder / "logs/data.log").write_text(f"{line}\n", "utf-8")
    (folder / "logs/data.log.1.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    return folder


def dvc(folder: Path, *arguments: str) -> None:
    program = Path(sys.executable).parent / "dvc"
    subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)


def first(folder: Path) -> int:
    """Return the first company of the call list."""
    companies = read_deliveries(folder)[-1].companies()
    return int(companies.loc[companies["place"] == 1, "id"].iloc[0])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not str(path.relative_to(folder)).startswith(".dvc/tmp/")
    }


def names(table: pd.DataFrame, company: int) -> bool:
    """Return whether a table has a company, whose id is ="7" in files for spreadsheets."""
    return "id" in table and bool(table["id"].astype(str).str.strip('="').eq(str(company)).any())


def named_in(folder: Path, company: int) -> list[str]:
    """List the tables that still have the company, read by pandas alone."""
    found = []
    for path in folder.rglob("*"):
        table: Any = None
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        elif path.suffix == ".csv":
            table = pd.read_csv(path)
        if table is not None and names(table, company):
            found.append(str(path))
    return found


def test_without_yes_it_shows_where_the_company_is_and_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(project)
    run_command(project, forget.main, str(first(project)))
    told = capsys.readouterr().out
    assert contents(project) == before
    assert "a table of objections in the contract keeps an id off every list" in told
    for place in (
        "export/usage_actions.csv",
        "data/leads/leads.csv",
        "logs/data.log",
        "delivery=1",
        ".dvc/cache",
    ):
        assert place in told
    assert "nothing was changed: --yes removes it" in told


def test_while_a_list_goes_out_nothing_is_removed(project: Path) -> None:
    before = contents(project)
    with one_at_a_time(project), pytest.raises(DeliveryError, match="another process delivers"):
        run_command(project, forget.main, str(first(project)), "--yes")
    assert contents(project) == before


def test_the_company_is_gone_and_the_counts_stay(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, company = copy_of(project, tmp_path / "project"), first(project)
    assert len(named_in(folder, company)) > 10
    before = read_deliveries(folder)[-1].companies()
    row = before.set_index("id").loc[company]
    model = (read_deliveries(folder)[-1].folder / FROZEN / "model.joblib").read_bytes()

    run_command(folder, forget.main, str(company), "--yes")

    told = capsys.readouterr().out
    assert named_in(folder, company) == []
    assert "a second search of all files found nothing" in told
    delivery = read_deliveries(folder)[-1]
    assert len(delivery.companies()) == len(delivery.features()) == len(before) - 1
    assert (delivery.folder / FROZEN / "model.joblib").read_bytes() == model
    counted = [{"status": row["status"], "tier": row["tier"], "companies": 1}]
    assert [each.model_dump() for each in delivery.manifest.forgotten] == counted
    tombstones = json.loads((folder / "ledger" / TOMBSTONES).read_text("utf-8"))
    assert tombstones == {f"as_of={WEEKS[0]}/delivery=1": counted}
    assert len(pd.read_parquet(folder / "ledger")) == len(delivery.companies())
    # Lists are readable, with places without a gap.
    for root in (folder, current(folder)):
        assert root is not None
        read = read_lead_files(root, hubspot())
        assert read is not None
        assert read.manifest.prospects == len(read.leads)
    assert not (folder / "data/report.html").exists()
    assert (folder / "logs/data.log").read_bytes() == b""
    # DVC's remote may have what its cache had; the ledger has to be added again.
    assert "dvc add ledger" in told
    assert "--remote store" in told
    assert "files/md5/" in told


def test_the_cache_keeps_what_does_not_name_the_company(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    before = {path for path in (folder / ".dvc/cache").rglob("*") if path.is_file()}
    run_command(folder, forget.main, str(first(folder)), "--yes")
    after = {path for path in (folder / ".dvc/cache").rglob("*") if path.is_file()}
    gone = before - after
    assert after < before
    # export, data/leads and the ledger list files that are gone
    assert sum(path.name.endswith(".dir") for path in gone) == 3
    assert not any(path.name.endswith(".dir") for path in after)
    # the model and the contract of the ledger
    assert any(path.read_bytes()[:2] == b"{\n" for path in after)


class StoppedError(Exception):
    """In place of a signal, which would end the tests."""


def stop_after(patch: pytest.MonkeyPatch, module: Any, name: str, calls: int) -> None:
    """Let a function of a module raise StoppedError after so many calls."""
    done, function = 0, getattr(module, name)

    def stop(*given: Any) -> None:
        nonlocal done
        if done == calls:
            raise StoppedError
        done += 1
        function(*given)

    patch.setattr(module, name, stop)


@pytest.mark.parametrize("writes", [0, 1, 3, 8, 14, 20, 24])
def test_stopped_in_the_middle_and_run_again_it_ends_the_same(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    whole, halved = copy_of(project, tmp_path / "whole"), copy_of(project, tmp_path / "halved")
    company = str(first(project))
    run_command(whole, forget.main, company, "--yes")

    with monkeypatch.context() as patch:
        stop_after(patch, files, "write_atomically", writes)
        with pytest.raises(StoppedError):
            run_command(halved, forget.main, company, "--yes")
    assert contents(halved) != contents(whole)

    run_command(halved, forget.main, company, "--yes")
    assert contents(halved) == contents(whole)


def test_a_second_company_adds_to_the_counts(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    for _ in range(2):
        run_command(folder, forget.main, str(first_left(folder)), "--yes")
    delivery = read_deliveries(folder)[-1]
    assert sum(each.companies for each in delivery.manifest.forgotten) == 2
    assert delivery.companies()["rank"].iloc[0] == 3


def first_left(folder: Path) -> int:
    return int(pd.read_parquet(read_deliveries(folder)[-1].folder / COMPANIES)["id"].iloc[0])


def test_an_unknown_company_is_in_no_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command(project, forget.main, "987654321", "--yes")
    assert "in no file of the project" in capsys.readouterr().out


def test_an_export_outside_of_the_project_is_left_and_named(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(project, tmp_path / "project")
    (folder / "export").rename(tmp_path / "outside")
    text = (folder / "params.yaml").read_text("utf-8")
    assert "dir: export" in text
    (folder / "params.yaml").write_text(text.replace("dir: export", f"dir: {tmp_path}/outside"), "utf-8")
    before = contents(tmp_path / "outside")
    run_command(folder, forget.main, str(first(project)), "--yes")
    assert contents(tmp_path / "outside") == before
    assert "outside (data.dir): outside of the project, unchanged" in capsys.readouterr().out


def copies_of(folder: Path, url: str) -> dict[str, bytes]:
    """Copy the delivery, and one of an earlier week, which no other file of the project has any more."""
    set_params(folder, deliver__copy_to=url)
    run_command(folder, deliver.main)
    system, path = fsspec.core.url_to_fs(url if "://" in url else str(folder / url))
    for name in system.find(f"{path}/{WEEKS[0]}"):
        to = name.replace(f"{path}/{WEEKS[0]}", f"{path}/2019-09-23")
        if "://" not in url:
            system.makedirs(to.rpartition("/")[0], exist_ok=True)
        system.pipe_file(to, system.cat_file(name))
    return read_copies(folder, url)


def read_copies(folder: Path, url: str) -> dict[str, bytes]:
    system, path = fsspec.core.url_to_fs(url if "://" in url else str(folder / url))
    return {name[len(path) + 1 :]: system.cat_file(name) for name in system.find(path)}


def has(name: str, content: bytes, company: int) -> bool:
    """Return whether a table has the company, read by pandas alone."""
    if not name.endswith((".csv", ".parquet")):
        return False
    table = pd.read_csv(BytesIO(content)) if name.endswith(".csv") else pd.read_parquet(BytesIO(content))
    return names(table, company)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with bucket() as url:
        yield url


@pytest.mark.parametrize("where", ["outbox", "{project}/outbox", "{project}/../share", "memory://", "{s3}/"])
def test_the_company_is_gone_from_copies_too(
    project: Path, tmp_path: Path, where: str, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, company = copy_of(project, tmp_path / "project"), first(project)
    url = where.format(project=folder, s3=s3) + ("lists" if where.endswith("/") else "")
    before = copies_of(folder, url)
    assert sum(has(name, content, company) for name, content in before.items()) > 5

    run_command(folder, forget.main, str(company))
    assert f"{url}/2019-09-23: its rows in " in capsys.readouterr().out
    assert read_copies(folder, url) == before
    run_command(folder, forget.main, str(company), "--yes")

    told = capsys.readouterr().out
    after = read_copies(folder, url)
    assert after.keys() == before.keys()
    assert not [name for name, content in after.items() if has(name, content, company)]
    assert f"{url}/{WEEKS[0]}: its rows in " in told
    assert "(deliver.copy_to): what others took from the copies" in told
    for week in (WEEKS[0], "2019-09-23"):
        of_week = {name.partition("/")[2]: each for name, each in after.items() if name.startswith(week)}
        hashes = json.loads(of_week.pop("delivery.json"))["files"]
        assert hashes == {name: sha256_of(content) for name, content in of_week.items()}
        # What is published here lost the same rows, so its copy is still the same.
        published = current(folder)
        assert published is not None
        assert of_week == contents(published)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 5])
def test_stopped_among_copies_and_run_again_it_ends_the_same(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    whole, halved = copy_of(project, tmp_path / "whole"), copy_of(project, tmp_path / "halved")
    company = str(first(project))
    for folder in (whole, halved):
        copies_of(folder, "outbox")
    run_command(whole, forget.main, company, "--yes")

    with monkeypatch.context() as patch:
        stop_after(patch, copies, "write_into", writes)
        with pytest.raises(StoppedError):
            run_command(halved, forget.main, company, "--yes")
    run_command(halved, forget.main, company, "--yes")
    assert contents(halved) == contents(whole)


def test_copies_out_of_reach_stop_it_before_anything_is_changed(project: Path, tmp_path: Path) -> None:
    folder = copy_of(project, tmp_path / "project")
    set_params(folder, deliver__copy_to="gs://bucket/lists")
    before = contents(folder)
    with pytest.raises(ExportError, match=r"deliver\.copy_to: .*no driver of gs://"):
        run_command(folder, forget.main, str(first(project)), "--yes")
    assert contents(folder) == before
