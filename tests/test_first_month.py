"""The guide "Your first month", run command by command: four Mondays, calls, a control group, a scorecard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from commands import deliver, scorecard, simulate_calls
from conversion.config.params import Params
from conversion.delivery.ledger import read_deliveries
from conversion.scorecard.results import read_scorecard
from stages import simulate
from tests.clone import ROOT, Clone
from tests.pipeline import run_stages, small_params
from tools.docs import session

PAGE = ROOT / "docs/how-to/first_month.md"
CONTACTS = ROOT / "docs/how-to/contacts.md"
MONDAYS = ["2020-02-24", "2020-03-02", "2020-03-09", "2020-03-16"]
SMALL = {
    # As many weeks as the sample has, since the page names its dates.
    "simulate.weeks": 82,
    "evaluate.spacing_weeks": 8,
    "evaluate.refit_weeks": 40,
    "model.logistic_regression.quadratic": ["auto"],
}


def commands(page: Path) -> list[str]:
    """The commands of a page, by their blocks."""
    return [step.command for step in session.steps(page.read_text(encoding="utf-8"))]


def run(clone: Clone, command: str) -> str:
    return clone.run("bash", "-euo", "pipefail", "-c", command)


def check_month(root: Path, said: str) -> None:
    """Check what four Mondays leave, and what the commands said."""
    deliveries = read_deliveries(root)
    assert [(str(each.as_of), each.number) for each in deliveries] == [(day, 1) for day in MONDAYS]
    assert said.count(" may go out") == 4
    lists = [each.companies() for each in deliveries]
    control: set[int] = set()
    for companies in lists:
        calls = companies[companies["place"].notna()]
        assert calls["rep"].value_counts().to_dict() == {"Ann": 30, "Ben": 20}
        control |= set(companies.loc[companies["status"] == "held_back", "id"])
        assert not control & set(calls["id"]), "nobody of the control group is ever called"
    assert lists[0]["moved"].isna().all()
    assert all(companies.loc[companies["place"].notna(), "moved"].notna().all() for companies in lists[1:])

    contacts = pd.read_csv(root / "data/called/contacts.csv", parse_dates=["when"])
    for before, after, delivery in zip(lists[:-1], lists[1:], deliveries[1:], strict=True):
        called = contacts[contacts["when"] < pd.Timestamp(delivery.as_of)]
        refused = set(called.loc[called["outcome"] == "not interested", "id"])
        assert refused & set(before["id"]), "the test needs a refusal"
        assert not refused & set(after.loc[after["place"].notna(), "id"])
        assert (after["status"] == "suppressed").any()

    results = read_scorecard(root)
    assert results is not None
    assert [str(each.as_of) for each in results.lists] == MONDAYS
    assert results.line in said
    truth = json.loads((root / "data/called/truth_of_calls.json").read_text(encoding="utf-8"))
    assert results.effect is not None
    assert results.effect.offered is not None
    found = results.effect.offered.difference
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth["effect"] <= found.high
    assert {part.name for part in results.reps} == {"Ann", "Ben"}


def test_four_mondays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same month, stages and commands in this process, without DVC."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reps.csv").write_text("rep,capacity\nAnn,30\nBen,20\n", encoding="utf-8")

    def params(**changed: Any) -> Params:
        return small_params(
            simulate__companies=1000, evaluate__spacing_weeks=8, evaluate__refit_weeks=40,
            deliver__reps="reps.csv", deliver__holdout=0.2, **changed,
        )  # fmt: skip

    def command(module: Any, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()

    called = {"data__dir": "data/called", "data__contract": "contracts/hubspot_contacts.yaml"}
    export = ("--export", "data/sample", "--out", "data/called", "--effect", "0.7")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params().model_dump(mode="json")), encoding="utf-8")
    simulate.main()
    for number, monday in enumerate(MONDAYS):
        if number:
            command(simulate_calls, *export)
        assert run_stages(tmp_path, params(data__as_of=monday, **(called if number else {}))) is None
        command(deliver)
    command(simulate_calls, *export)
    assert run_stages(tmp_path, params(**called)) is None
    command(scorecard)
    check_month(tmp_path, capsys.readouterr().out)


@pytest.mark.slow
def test_the_commands_of_the_month(tmp_path: Path) -> None:
    clone = Clone.of_project(tmp_path / "project", tmp_path / "home", SMALL)
    *month, power, back = commands(PAGE)
    said = "".join(run(clone, command) for command in month)
    check_month(clone.folder, said)

    assert "80 %" in run(clone, power)
    clone.git("add", "--all", "--", "dvc.lock", "metrics", "models", "plots")
    run(clone, back)
    assert not (clone.folder / "ledger").exists()


@pytest.mark.slow
def test_the_contacts_of_the_guide(tmp_path: Path) -> None:
    clone = Clone.of_project(tmp_path / "project", tmp_path / "home", SMALL)
    clone.dvc("repro", "--quiet", "simulate")
    for command in commands(CONTACTS):
        run(clone, command)
    contacts = pd.read_parquet(clone.folder / "data/clean/contacts.parquet")
    assert contacts["meaning"].tolist() == ["missed", "talking", "refused", "missed"]
