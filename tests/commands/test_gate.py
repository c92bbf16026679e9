from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from commands import gate
from conversion.config.params import Params
from conversion.runtime.cli import run
from tests.gates import gate_pipeline, lay_out_gate, sound, sound_export
from tests.pipeline import Pipeline


def lay_out(folder: Path, pipeline: Pipeline, params: Params) -> None:
    lay_out_gate(folder, pipeline)
    (folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONVERSION_GATE_WEBHOOK", raising=False)
    monkeypatch.setattr("sys.argv", ["gate"])
    return tmp_path


def test_a_sound_list_may_go_out(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(root, sound(), sound().params)
    run(gate.main)
    written = json.loads((root / "data" / "gate.json").read_text(encoding="utf-8"))
    lines = capsys.readouterr().out.splitlines()
    assert written["status"] == "ok"
    assert written["as_of"] == f"{sound().as_of:%Y-%m-%d}"
    assert [line.split()[:2] for line in lines[:-1]] == [
        [each["status"], each["name"]] for each in written["checks"]
    ]
    assert lines[-1].endswith("may go out: all 25 checks are ok.")


def test_the_calls_are_those_of_the_reps(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver = sound().params.deliver.model_copy(update={"reps": "reps.csv"})
    lay_out(root, sound(), sound().params.model_copy(update={"deliver": deliver}))
    (root / "reps.csv").write_text("rep,capacity\nAnn,3\nBob,4\n", encoding="utf-8")
    run(gate.main)
    assert "Of the first 7, " in capsys.readouterr().out


def test_a_watched_list_may_go_out_whatever_the_webhook_does(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = sound().params
    spreads = params.gate.volume_spreads.model_copy(update={"watch": 0.0})
    narrow = params.gate.model_copy(update={"volume_spreads": spreads})
    lay_out(root, sound(), params.model_copy(update={"gate": narrow}))
    monkeypatch.setenv("CONVERSION_GATE_WEBHOOK", "not-a-url")
    run(gate.main)
    assert "may go out, but look at: usage_rows" in capsys.readouterr().out


def test_a_stopped_list_exits_with_3(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = sound_export()
    usage = tables["usage_actions"]
    last = usage["WHEN_TIMESTAMP"] == sound().as_of - pd.Timedelta(days=7)
    tables["usage_actions"] = usage[~last | (usage["id"] % 4 == 0)]
    lay_out(root, gate_pipeline(tables), sound().params)
    with pytest.raises(SystemExit) as stopped:
        run(gate.main)
    assert stopped.value.code == 3
    assert "must not go out: " in capsys.readouterr().out
    assert json.loads((root / "data" / "gate.json").read_text(encoding="utf-8"))["status"] == "stop"


def test_without_a_list_it_says_what_to_run(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    lay_out(root, sound(), sound().params)
    (root / "data" / "clean" / "export.json").unlink()
    with pytest.raises(SystemExit) as stopped:
        run(gate.main)
    assert stopped.value.code == 1
    assert "run 'dvc repro clean'" in caplog.text
    assert not (root / "data" / "gate.json").exists()
