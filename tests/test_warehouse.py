"""An export in a bucket, as a warehouse unloads it, under DVC: read, kept, and read again once it changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pandas as pd
import pytest
import yaml

from tests.buckets import KEYS, s3_server
from tests.exports import USAGE_ACTIONS, tiny_export, write_export

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
LINKED = ("conversion", "stages", "commands", "contracts")


@pytest.fixture
def address() -> Iterator[str]:
    """Serve S3 on a free port."""
    with s3_server() as served:
        yield served


class Project:
    """A repository with the stage ``load`` alone, whose export is in a bucket.

    Parameters
    ----------
    folder
        Where it is made.
    address
        The server's.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_", "AWS_"))
        }
        self.environment = inherited | {
            "HOME": str(folder),
            "DVC_SITE_CACHE_DIR": str(folder / "site"),
            "DVC_NO_ANALYTICS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]]),
            "no_proxy": "127.0.0.1",
            "AWS_ENDPOINT_URL": address,
            **KEYS,
        }
        for name in LINKED:
            (self.folder / name).symlink_to(ROOT / name)
        shutil.copy(ROOT / "params.yaml", self.folder)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["data"]["dir"] = "s3://warehouse/export"
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["load"]
        stage["deps"] = ["${data.dir}", "${data.contract}"]
        (self.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"load": stage}}), encoding="utf-8")
        for command in (("git", "init", "--quiet"), ("dvc", "init", "--quiet")):
            self.run(*command)

    def run(self, *command: str) -> str:
        """Run a command; return what it printed."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def unload(tables: dict[str, pd.DataFrame], address: str, scratch: Path) -> None:
    """Put the tables into the bucket as two Parquet files each, beside a mark that all are there."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **keys)
    client.create_bucket(Bucket="warehouse")
    for name, table in tables.items():
        client.put_object(Bucket="warehouse", Key=f"export/{name}/_SUCCESS", Body=b"")
        for at, part in enumerate((table.iloc[: len(table) // 2], table.iloc[len(table) // 2 :])):
            path = scratch / "part.parquet"
            part.to_parquet(path, index=False)
            client.upload_file(str(path), "warehouse", f"export/{name}/data_0_0_{at}.snappy.parquet")


def test_an_export_in_a_bucket_is_a_dependency_of_load(tmp_path: Path, address: str) -> None:
    tables = tiny_export(companies=40, weeks=12)
    unload(tables, address, tmp_path)
    project = Project(tmp_path, address)
    assert "loaded table=usage_actions" in project.run("dvc", "repro")
    found = pd.read_parquet(project.folder / f"data/typed/{USAGE_ACTIONS}.parquet")
    pd.testing.assert_frame_equal(found, tables[USAGE_ACTIONS].reset_index(drop=True), check_dtype=False)
    assert "Stage 'load' didn't change, skipping" in project.run("dvc", "repro")

    unload({USAGE_ACTIONS: tables[USAGE_ACTIONS].iloc[:-7]}, address, tmp_path)
    assert "s3://warehouse/export" in project.run("dvc", "status")
    project.run("dvc", "repro")
    found = pd.read_parquet(project.folder / f"data/typed/{USAGE_ACTIONS}.parquet")
    assert len(found) == len(tables[USAGE_ACTIONS]) - 7


def test_load_reads_the_same_from_a_bucket_and_a_folder(tmp_path: Path, address: str) -> None:
    tables = tiny_export(companies=40, weeks=12)
    unload(tables, address, tmp_path)
    project = Project(tmp_path, address)
    load = (sys.executable, "-m", "stages.load")
    project.run(*load)
    typed = {path.name: path.read_bytes() for path in (project.folder / "data/typed").iterdir()}
    write_export(tables, project.folder / "export", ".parquet")
    params = project.folder / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("s3://warehouse/export", "export")
    params.write_text(text, encoding="utf-8")
    project.run(*load)
    assert {path.name: path.read_bytes() for path in (project.folder / "data/typed").iterdir()} == typed


def test_a_draft_from_a_bucket_is_that_of_one_file_a_table(tmp_path: Path, address: str) -> None:
    tables = tiny_export(companies=40, weeks=12)
    unload(tables, address, tmp_path)
    project = Project(tmp_path, address)
    write_export(tables, project.folder / "export", ".parquet")
    draft = (sys.executable, "-m", "commands.draft_contract")
    told = project.run(*draft, "s3://warehouse/export", "--out", "there.yaml")
    project.run(*draft, "export", "--out", "here.yaml")
    assert "draft written" in told
    texts = [(project.folder / f"{name}.yaml").read_text(encoding="utf-8") for name in ("there", "here")]
    assert texts[0] == texts[1]
    assert "usage_actions" in texts[0]
