from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
import yaml

from commands import simulate_calls
from conversion.runtime.cli import run
from conversion.runtime.files import read_json
from conversion.simulation.export import as_text
from conversion.simulation.sample import simulate
from conversion.stats.hashing import uniform_hash
from tests.pipeline import small_params
from tests.scorecards import delivery

FIRST = pd.Timestamp("2018-10-01")


def arguments(monkeypatch: pytest.MonkeyPatch, out: str, effect: float = 2.0) -> None:
    given = ["--export", "data/sample", "--out", out, "--effect", str(effect), "--spread", "0.3"]
    monkeypatch.setattr("sys.argv", ["simulate_calls", *given])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    drawn = simulate(800, 30, FIRST.date(), seed=4)
    for name, table in as_text(drawn).items():
        path = tmp_path / "data" / "sample" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(path, index=False)
    drawn.truth.to_parquet("data/truth.parquet")
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    as_of = FIRST + pd.Timedelta(weeks=12)
    rows = drawn.truth[drawn.truth["as_of"] == as_of].nlargest(200, "probability")
    held_back = uniform_hash(rows["id"].to_numpy(), seed=1) < 0.2
    listed = [
        {"id": each, "status": "held_back" if held else "listed", "rep": None if held else "Ann"}
        for each, held in zip(rows["id"].tolist(), held_back, strict=True)
    ]
    monkeypatch.setattr(simulate_calls, "read_deliveries", lambda _: (delivery(as_of.date(), listed),))
    return tmp_path


def hashes(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


def test_it_writes_an_export_and_the_truth_and_leaves_the_sample(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hashes(project / "data" / "sample")
    arguments(monkeypatch, "called")
    run(simulate_calls.main)
    assert hashes(project / "data" / "sample") == before
    found = hashes(project / "called")
    assert set(found) == {*before, "contacts.csv", "truth_of_calls.json"}
    assert found["usage_actions.csv"] == before["usage_actions.csv"]
    truth = read_json("called/truth_of_calls.json")
    assert truth["companies"] == 200
    assert truth["effect"] > 0
    contacts = pd.read_csv("called/contacts.csv")
    assert len(contacts) == truth["contacts"]
    assert set(contacts["rep"]) == {"Ann"}
    run(simulate_calls.main)
    assert hashes(project / "called") == found


def test_without_an_effect_the_companies_are_those_of_the_sample(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["simulate_calls", "--export", "data/sample", "--out", "called", "--effect", "0"]
    )
    run(simulate_calls.main)
    before, found = hashes(project / "data" / "sample"), hashes(project / "called")
    assert {name: found[name] for name in before} == before


def test_the_sample_itself_is_never_written_to(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = hashes(project / "data" / "sample")
    arguments(monkeypatch, "data/sample")
    with pytest.raises(SystemExit):
        run(simulate_calls.main)
    assert "give another folder" in caplog.text
    assert hashes(project / "data" / "sample") == before


def test_without_a_delivered_list_there_is_nobody_to_call(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(simulate_calls, "read_deliveries", lambda _: ())
    arguments(monkeypatch, "called")
    with pytest.raises(SystemExit):
        run(simulate_calls.main)
    assert "no list was delivered" in caplog.text
    assert not (project / "called").exists()


@pytest.mark.parametrize(
    ("effect", "spread"),
    [("nan", "0"), ("inf", "0"), ("1e6", "0"), ("much", "0"), ("1", "-0.1"), ("1", "nan")],
)
def test_an_effect_that_no_hazard_has_is_refused_before_anything_is_written(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    effect: str,
    spread: str,
) -> None:
    given = ["--export", "data/sample", "--out", "called", "--effect", effect, "--spread", spread]
    monkeypatch.setattr("sys.argv", ["simulate_calls", *given])
    with pytest.raises(SystemExit) as stopped:
        run(simulate_calls.main)
    assert stopped.value.code == 2
    assert "given" in capsys.readouterr().err
    assert not (project / "called").exists()
