"""The ledger under DVC: added, pushed to a remote, and pulled in a fresh clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from conversion.delivery.ledger import Delivery, read_deliveries
from conversion.runtime.errors import ArtifactError
from tests.ledgers import deliver, small_design
from tests.serving import small_pipeline

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Repository:
    """A Git repository with DVC, and the commands to run in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))
        }
        private = {
            "HOME": str(home),
            "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_NO_ANALYTICS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]]),
            "no_proxy": "127.0.0.1",
        }
        for who in ("AUTHOR", "COMMITTER"):
            private |= {f"GIT_{who}_NAME": "Test", f"GIT_{who}_EMAIL": "test@example.com"}
        self.environment = inherited | private | KEYS

    def run(self, *command: str) -> str:
        """Run a command in the repository."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with the project's rules of what is ignored, and no commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    (tmp_path / "home").mkdir()
    repository = Repository(folder, tmp_path / "home")
    repository.run("git", "init", "--quiet")
    repository.run("dvc", "init", "--quiet")
    return repository


@pytest.fixture
def bucket() -> Iterator[str]:
    """Serve S3 on a free port; return the address of the server, which has a bucket named ledger."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="ledger")
        yield address
    finally:
        server.stop()


def pushed_and_pulled(repository: Repository, tmp_path: Path) -> None:
    """Deliver, push, correct, push again; pull in a fresh clone and deliver there."""
    pipeline = small_pipeline()
    deliver(repository.folder, pipeline)
    repository.run("dvc", "add", "--quiet", "ledger")
    repository.run("dvc", "push", "--quiet", "ledger.dvc")
    deliver(repository.folder, pipeline, small_design(6), correction="fewer reps")
    repository.run("dvc", "add", "--quiet", "ledger")
    repository.run("dvc", "push", "--quiet", "ledger.dvc")
    repository.run("git", "add", ".")
    repository.run("git", "commit", "--quiet", "--message", "Deliver")
    assert "ledger/" not in repository.run("git", "ls-files")

    repository.run("git", "clone", "--quiet", ".", str(tmp_path / "clone"))
    clone = Repository(tmp_path / "clone", tmp_path / "home")
    with pytest.raises(ArtifactError, match="dvc pull ledger"):
        deliver(clone.folder, pipeline)
    clone.run("dvc", "pull", "--quiet", "ledger.dvc")

    mine, theirs = (read_deliveries(each.folder) for each in (repository, clone))
    assert [each.manifest for each in mine] == [each.manifest for each in theirs]
    assert len(theirs) == 2
    for delivery in theirs:
        _read_all(delivery)
    again = deliver(clone.folder, pipeline, small_design(6), correction="fewer reps")
    assert again.number == 2


def _read_all(delivery: Delivery) -> None:
    for name in delivery.manifest.files:
        delivery.verified(name)


def test_the_ledger_goes_to_a_folder_and_back(repository: Repository, tmp_path: Path) -> None:
    repository.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))

    pushed_and_pulled(repository, tmp_path)


def test_the_ledger_goes_to_s3_and_back(repository: Repository, tmp_path: Path, bucket: str) -> None:
    repository.run("dvc", "remote", "add", "--default", "storage", "s3://ledger/conversion")
    repository.run("dvc", "remote", "modify", "storage", "endpointurl", bucket)

    pushed_and_pulled(repository, tmp_path)
