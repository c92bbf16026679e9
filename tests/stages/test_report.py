from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from markupsafe import escape

from conversion.leads.lead_files import FOLDER, MANIFEST
from conversion.pages.track_record import read_track_record
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import read_json, write_json
from conversion.runtime.seals import sealed
from stages import report
from tests.contract_files import ROOT
from tests.exports import projects_export, write_export
from tests.pipeline import dirty_export, run_stages, small_params

WRITTEN = ("data/report.html", "data/track_record.json", "models/model_card.md")
TOP = 7


def ran(folder: Path, **given: Any) -> Path:
    """Run the stages on the export in a folder; return the folder."""
    params = small_params(data__dir="export", score__top_n=TOP, **given)
    with contextlib.chdir(folder):
        stopped = run_stages(folder, params)
    assert stopped is None, stopped
    return folder


@pytest.fixture(scope="module")
def hubspot_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hubspot")
    write_export(dirty_export(companies=130), folder / "export", ".parquet")
    return ran(folder)


@pytest.fixture(scope="module")
def projects_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects")
    write_export(projects_export(companies=240, weeks=40), folder / "export", ".parquet")
    (folder / "contracts").mkdir()
    shutil.copy2(ROOT / "tests/contracts/projects.yaml", folder / "contracts")
    return ran(
        folder,
        data__contract="contracts/projects.yaml",
        model__logistic_regression__quadratic=["auto"],
        score__format="json",
    )


@pytest.fixture
def project(hubspot_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run, without what the stage wrote."""
    folder = Path(shutil.copytree(hubspot_run, tmp_path / "project"))
    for path in WRITTEN:
        (folder / path).unlink()
    monkeypatch.chdir(folder)
    return folder


def test_the_record_has_the_numbers_of_the_evaluation(hubspot_run: Path) -> None:
    record = read_track_record(hubspot_run)
    assert record is not None
    evaluation = json.loads((hubspot_run / "metrics/evaluation.json").read_text(encoding="utf-8"))
    ranking = evaluation["ranking"]
    assert [each.key for each in record.ranked] == list(ranking)
    assert record.ranked[0].precision["5"].model_dump() == ranking["probability"]["precision_at_5"]
    assert record.lists.count == len(pd.read_csv(hubspot_run / "metrics/backtest.csv"))
    assert record.lists.converters == evaluation["converters"]
    assert record.rule == "users_rule"
    assert record.about.model_sha256 == json.loads((hubspot_run / "models/model.json").read_text())["sha256"]
    assert sum(fact.share for fact in record.facts) == pytest.approx(1.0, abs=1e-4)
    assert all(fact.direction for fact in record.facts)
    assert [tier.key for tier in record.tiers] == list(evaluation["tiers"])
    weeks = record.weeks[0]
    assert weeks.length == 5
    assert len(weeks.model) == len(weeks.rule) == record.lists.count


def test_the_report_has_the_first_of_the_list_in_order(hubspot_run: Path) -> None:
    html = (hubspot_run / "data/report.html").read_text(encoding="utf-8")
    leads = pd.read_csv(hubspot_run / "data/leads/top_leads.csv")
    assert html.count('<li class="lead">') == TOP == len(leads)
    places = [html.index(f"Company {company}<") for company in leads["id"]]
    assert places == sorted(places)
    record = read_track_record(hubspot_run)
    assert record is not None
    assert f"{record.line}." in html


def test_names_are_in_the_report_of_reps_alone(projects_run: Path) -> None:
    html, record, card = ((projects_run / path).read_text(encoding="utf-8") for path in WRITTEN)
    leads = json.loads((projects_run / "data/leads/top_leads.json").read_text(encoding="utf-8"))
    names = [lead["name"] for lead in leads if lead["name"]]
    assert names
    for name in names:
        assert str(escape(name)) in html
        assert str(name) not in record + card


def test_words_are_those_of_the_contract(projects_run: Path) -> None:
    card = (projects_run / "models/model_card.md").read_text(encoding="utf-8")
    assert "Use of Invoices" in card
    assert "CRM" not in card
    assert "signed up and has not converted yet" in card


@pytest.mark.parametrize("which", ["hubspot_run", "projects_run"])
def test_the_same_results_give_the_same_bytes(
    which: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = request.getfixturevalue(which)
    before = {path: (folder / path).read_bytes() for path in WRITTEN}
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    report.main()
    assert {path: (folder / path).read_bytes() for path in WRITTEN} == before


def refuses(error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        report.main()
    assert not any(Path(path).exists() for path in WRITTEN)


@pytest.mark.usefixtures("project")
def test_without_a_list() -> None:
    shutil.rmtree(FOLDER)
    refuses(InputError, r"data/leads: has no list; the stage score writes it: run 'dvc repro score'")


@pytest.mark.usefixtures("project")
def test_a_list_of_another_model() -> None:
    path = Path(FOLDER) / MANIFEST
    manifest = read_json(path)
    del manifest["sha256"]
    write_json(path, sealed(manifest | {"model_sha256": "ab" * 32}))
    refuses(ArtifactError, "another model scored the list .*run 'dvc repro score'")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("metrics/evaluation.json", "evaluate"),
        ("metrics/drift.json", "score"),
        ("metrics/cleaning.json", "clean"),
        ("metrics/data_quality.json", "load"),
        ("plots/gains.csv", "evaluate"),
    ],
)
def test_a_file_that_is_missing_names_its_stage(path: str, stage: str) -> None:
    Path(path).unlink()
    refuses(InputError, f"{path}: not found; the stage {stage} writes it: run 'dvc repro {stage}'")


@pytest.mark.usefixtures("project")
def test_a_shorter_report() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["score"]["top_n"] = 2
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    report.main()
    assert Path("data/report.html").read_text(encoding="utf-8").count('<li class="lead">') == 2
