"""What must hold before the ledger grows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conversion.delivery.guards import LOCK, one_at_a_time, require_pulled
from conversion.runtime.errors import ArtifactError, DeliveryError

HOLDER = """
import sys
from pathlib import Path
from conversion.delivery.guards import one_at_a_time

with one_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_holds_the_lock_until_it_ends_or_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DeliveryError, match=f"{LOCK}: another process delivers"), one_at_a_time(tmp_path):
            pass
        other.kill()
    with one_at_a_time(tmp_path):
        pass


def test_a_ledger_of_fewer_files_than_dvc_tracks_is_refused(tmp_path: Path) -> None:
    ledger, tracked = tmp_path / "ledger", tmp_path / "ledger.dvc"
    (ledger / "as_of=2020-04-27").mkdir(parents=True)
    (ledger / "as_of=2020-04-27" / "one").touch()
    (ledger / ".as_of=2020-05-04.1.tmp").mkdir()
    (ledger / ".as_of=2020-05-04.1.tmp" / "two").touch()
    require_pulled(ledger, tracked)
    tracked.write_text("outs:\n- md5: 0.dir\n  size: 1\n  nfiles: 1\n  path: ledger\n", encoding="utf-8")
    require_pulled(ledger, tracked)
    tracked.write_text("outs:\n- md5: 0.dir\n  size: 1\n  nfiles: 2\n  path: ledger\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"has 1 files, but .*ledger.dvc tracks 2: deliveries"):
        require_pulled(ledger, tracked)
