"""Each stage run alone before what it reads exists."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conversion.runtime.errors import UserError
from conversion.runtime.files import write_json
from conversion.tracking import run_record
from stages import clean, evaluate, featurize, score, track, train
from tests.contract_files import hubspot
from tests.pipeline import small_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh checkout, but for the code."""
    monkeypatch.chdir(tmp_path)
    params = small_params().model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return tmp_path


def message(stage: object, project: Path) -> str:
    before = sorted(project.rglob("*"))
    with pytest.raises(UserError) as error:
        stage.main()  # type: ignore[attr-defined]
    assert sorted(project.rglob("*")) == before, "nothing is written"
    return str(error.value)


@pytest.mark.parametrize(
    ("stage", "missing", "writer"),
    [
        (clean, "data/contract.json", "load"),
        (featurize, "data/clean/companies.parquet", "clean"),
        (train, "data/features/train.parquet", "featurize"),
        (evaluate, "data/features/train.parquet", "featurize"),
        (track, "models/model.json", "train"),
    ],
)
def test_a_stage_without_its_input_names_it_and_who_writes_it(
    stage: object, missing: str, writer: str, project: Path
) -> None:
    if missing != "data/contract.json":
        write_json("data/contract.json", hubspot().model_dump(mode="json"))
    assert message(stage, project) == (
        f"{missing}: not found; the stage {writer} writes it: run 'dvc repro {writer}'"
    )


def test_scoring_without_a_model(project: Path) -> None:
    assert message(score, project) == "models/model.joblib: not found; run 'dvc repro train' to make it"


def test_tracking_without_a_model_card(project: Path) -> None:
    write_json("metrics/evaluation.json", {})
    (project / "plots").mkdir()
    with pytest.raises(UserError) as error:
        run_record.fill(project / "run", [])
    assert str(error.value) == (
        "models/model_card.md: not found; the stage report writes it: run 'dvc repro report'"
    )


def test_tracking_without_a_lead_list(project: Path) -> None:
    write_json("metrics/evaluation.json", {})
    (project / "plots").mkdir()
    for made in (run_record.CARD, run_record.REPORT):
        (project / made).parent.mkdir(exist_ok=True)
        (project / made).write_text("made", encoding="utf-8")
    with pytest.raises(UserError) as error:
        run_record.fill(project / "run", [])
    assert str(error.value) == (
        "data/leads/top_leads.*: not found; the stage score writes it: run 'dvc repro score'"
    )
