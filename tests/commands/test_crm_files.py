"""The command that writes the files of the last delivery again."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from conversion.delivery.crm_files import read_files
from conversion.delivery.crm_table import CrmError
from conversion.delivery.publish import current
from tests.deliveries import WEEKS, make_project, set_params


def run(folder: Path, command: str) -> None:
    """Run a command of the documentation in this process, in a folder."""
    _, _, module, *arguments = command.split()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [module, *arguments])
        importlib.import_module(module).main()


def test_the_last_delivery_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_project(tmp_path, WEEKS[0])
    with pytest.raises(CrmError, match=r"nothing was delivered yet; run 'python -m commands.deliver' first"):
        run(tmp_path, "python -m commands.crm_files")
    run(tmp_path, "python -m commands.deliver")
    set_params(tmp_path, deliver__formats=["excel", "salesforce"])
    capsys.readouterr()
    run(tmp_path, "python -m commands.crm_files --dry-run")
    out = capsys.readouterr().out
    assert "crm/salesforce.csv: new file, " in out
    assert "crm/excel.csv: unchanged, " in out
    folder = current(tmp_path)
    assert folder is not None
    assert "crm/salesforce.csv" not in read_files(folder)
    run(tmp_path, "python -m commands.crm_files")
    assert {"crm/excel.csv", "crm/salesforce.csv"} <= read_files(folder).keys()
    run(tmp_path, "python -m commands.crm_files --out for-the-team")
    assert read_files(tmp_path / "for-the-team") == read_files(folder)
    capsys.readouterr()
    run(tmp_path, "python -m commands.crm_files --dry-run")
    assert "crm/salesforce.csv: unchanged, " in capsys.readouterr().out


def test_the_files_of_one_delivery_do_not_go_into_the_publication_of_another(tmp_path: Path) -> None:
    make_project(tmp_path, WEEKS[0])
    run(tmp_path, "python -m commands.deliver")
    set_params(tmp_path, deliver__salt="another", deliver__holdout=0.5)
    link = tmp_path / "data/published/current"
    first = link.readlink()
    run(tmp_path, "python -m commands.deliver --correction why")
    link.unlink()
    link.symlink_to(first)
    before = read_files(link)
    with pytest.raises(CrmError, match="is not of the last delivery, 2 of "):
        run(tmp_path, "python -m commands.crm_files")
    assert read_files(link) == before
