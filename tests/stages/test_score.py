from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from conversion.leads.lead_columns import lead_columns
from conversion.leads.lead_files import read_lead_files
from conversion.leads.lead_tables import DECIMALS
from conversion.leads.lead_writers import write_leads
from conversion.modelling.artifact import save_model
from conversion.modelling.evidence import EVIDENCE
from conversion.runtime.errors import ArtifactError, InputError
from conversion.runtime.files import sha256, write_json, write_parquet
from stages import score
from tests.contract_files import hubspot, projects
from tests.exports import projects_export
from tests.pipeline import Pipeline, dirty_export, small_params


@functools.cache
def export() -> Pipeline:
    return Pipeline(dirty_export(), small_params(model__type="xgboost", data__as_of="2019-08-26"))


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        table = pd.read_csv(path)
    elif path.suffix == ".json":
        table = pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    else:
        table = pd.read_parquet(path)
    whole = {"last_week_actions": "Int64", "last_week_users": "Int64", "rank_before": "Int64"}
    decimal = dict.fromkeys(DECIMALS, "float64")
    return table.astype(object).astype(whole | decimal | {"rank": "int64", "id": "int64"})


def test_every_format_holds_the_same_rows(tmp_path: Path) -> None:
    leads = export().leads
    tables = {}
    for suffix in (".csv", ".json", ".parquet"):
        write_leads(leads, tmp_path / f"leads{suffix}")
        tables[suffix] = read(tmp_path / f"leads{suffix}")
        assert tuple(tables[suffix]) == lead_columns(hubspot())
        assert len(tables[suffix]) == len(leads)
    expected = tables[".parquet"]
    for suffix in (".csv", ".json"):
        for name in lead_columns(hubspot()):
            found, other = tables[suffix][name], expected[name]
            assert found.isna().tolist() == other.isna().tolist(), (suffix, name)
            assert found.dropna().tolist() == other.dropna().tolist(), (suffix, name)


def test_written_numbers_are_rounded(tmp_path: Path) -> None:
    leads = export().leads.head(1).assign(probability=0.1234567891234, expected_mrr=12.345678)
    write_leads(leads, tmp_path / "leads.csv")
    written = pd.read_csv(tmp_path / "leads.csv").iloc[0]
    assert written["probability"] == 0.123456789
    assert written["expected_mrr"] == 12.3457


def test_commas_and_letters_of_any_language_survive(tmp_path: Path) -> None:
    leads = export().leads.head(2).assign(INDUSTRY=['Comercio Electrónico, "B2B"', None])
    for suffix in (".csv", ".json", ".parquet"):
        write_leads(leads, tmp_path / f"leads{suffix}")
        industry = read(tmp_path / f"leads{suffix}")["INDUSTRY"]
        assert industry.iloc[0] == 'Comercio Electrónico, "B2B"'
        assert pd.isna(industry.iloc[1])
    assert b"\r" not in (tmp_path / "leads.csv").read_bytes()


# The stage


def lay_out(pipeline: Pipeline) -> None:
    """Put all that the stage reads, but for params and the model, into the working directory."""
    write_json("data/clean/export.json", {"as_of": f"{pipeline.as_of:%Y-%m-%d}"})
    write_json("data/contract.json", pipeline.contract.model_dump(mode="json"))
    write_json(EVIDENCE, pipeline.evidence.model_dump(by_alias=True))
    clean = pipeline.clean
    for name, table in (
        ("companies", clean.companies),
        ("usage", clean.usage),
        ("subscriptions", clean.periods),
    ):
        write_parquet(f"data/clean/{name}.parquet", table)
    for name in ("train", "latest", "previous"):
        write_parquet(f"data/features/{name}.parquet", getattr(pipeline, name))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the stage reads."""
    monkeypatch.chdir(tmp_path)
    pipeline = export()
    lay_out(pipeline)
    save_model(pipeline.model, {"model_type": "xgboost"})
    return tmp_path


@pytest.mark.parametrize("how", ["csv", "json", "parquet"])
def test_the_stage_writes_the_list_its_top_and_the_drift(how: str, project: Path) -> None:
    params = small_params(model__type="xgboost", score__format=how, score__top_n=7).model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    score.main()
    assert sorted(path.name for path in (project / "data/leads").iterdir()) == [
        "contributions.parquet",
        "converted.parquet",
        "converted_contributions.parquet",
        "evidence.json",
        f"leads.{how}",
        "manifest.json",
        "reason_facts.parquet",
        f"top_leads.{how}",
        "usage.parquet",
    ]
    leads, top = (read(project / f"data/leads/{name}.{how}") for name in ("leads", "top_leads"))
    assert leads["id"].tolist() == export().leads["id"].tolist()
    np.testing.assert_allclose(leads["probability"], export().leads["probability"], atol=1e-9)
    assert top["id"].tolist() == leads["id"].tolist()[:7]

    def cut(place: int) -> float:
        return float(leads["probability"].iloc[place])

    drift = json.loads((project / "metrics/drift.json").read_text())
    assert drift["as_of"] == "2019-08-26"
    assert set(drift) == {"as_of", "shifted_features", "population_stability_index", "against_training"}
    manifest = json.loads((project / "data/leads/manifest.json").read_text())
    assert manifest["as_of"] == "2019-08-26"
    assert manifest["model_sha256"] == sha256("models/model.joblib")
    assert manifest["tier_cuts"] == {"very_high": cut(0), "high": cut(6), "medium": cut(34)}
    made_from = (
        "backtest/evidence.json",
        "clean/companies.parquet",
        "clean/export.json",
        "clean/subscriptions.parquet",
        "clean/usage.parquet",
        "features/latest.parquet",
        "features/previous.parquet",
        "features/train.parquet",
    )
    assert manifest["inputs"] == {f"data/{name}": sha256(f"data/{name}") for name in made_from}


@pytest.mark.usefixtures("project")
def test_tiers_that_no_prospect_is_in_are_told(caplog: pytest.LogCaptureFixture) -> None:
    tiers = {"by": "probability", "probability__very_high": 1.0, "probability__high": 0.9999}
    changed = {f"score__tiers__{name}": value for name, value in tiers.items()}
    params = small_params(model__type="xgboost", **changed).model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    score.main()
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "no prospect is in some tiers" in warning.getMessage()
    assert warning.__dict__["tiers"] == "very_high, high"
    assert warning.__dict__["high"] == 0.9999


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "content", ["", "{}", '{"horizon_days": 30, "lists": 1, "bins": [], "summary_bins": []}']
)
def test_evidence_that_is_none_is_told_in_one_line(content: str) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    Path(EVIDENCE).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"{EVIDENCE}: not what the stage evaluate writes ") as told:
        score.main()
    assert "\n" not in str(told.value)
    assert not Path("data/leads").exists()


@pytest.mark.usefixtures("project")
def test_levels_that_the_model_has_not_seen_are_counted_in_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    params = small_params(model__logistic_regression__quadratic=["plan"])
    pipeline = Pipeline(projects_export(companies=150, weeks=40), params, projects())
    countries = ["AT", "AT", "CH", "AT", "CH", *pipeline.latest["country"].astype("str")[5:]]
    Path("params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")), encoding="utf-8")
    lay_out(pipeline)
    latest = pipeline.latest.assign(country=pd.Categorical(countries))
    latest.to_parquet("data/features/latest.parquet", index=False)
    save_model(pipeline.model, {"model_type": "logistic_regression"})
    score.main()
    (warning,) = [each for each in caplog.records if "has not seen" in each.getMessage()]
    assert warning.__dict__["unseen"] == "country of 5 rows: AT, CH"
    found = read_lead_files(Path(), projects())
    assert found is not None
    assert set(found.leads["id"]) == set(pipeline.latest["id"])


def test_without_a_model_nothing_is_listed(project: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    (project / "models/model.joblib").unlink()
    with pytest.raises(ArtifactError, match="not found; run 'dvc repro train'"):
        score.main()
    assert not (project / "data/leads").exists()


def test_snapshots_of_another_moment_than_the_export_are_refused(project: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    write_json("data/clean/export.json", {"as_of": "2019-09-02"})
    with pytest.raises(InputError) as told:
        score.main()
    assert str(told.value) == (
        "data/features/latest.parquet: its snapshots are of 2019-08-26, but data/clean/export.json says "
        "2019-09-02: they are of different runs; run 'dvc repro featurize'"
    )
    assert not (project / "data/leads").exists()


def test_a_moment_that_is_none_is_told(project: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    write_json("data/clean/export.json", {"as_of": "soon"})
    with pytest.raises(
        InputError, match=r"export\.json: not what .* \(as_of: given 'soon', should be a Monday"
    ):
        score.main()
    assert not (project / "data/leads").exists()


def test_a_model_of_another_contract_is_refused(project: Path) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(small_params().model_dump(mode="json")), encoding="utf-8")
    write_json("data/contract.json", projects().model_dump(mode="json"))
    with pytest.raises(
        ArtifactError, match=r"another data contract than data/contract\.json.*dvc repro train"
    ):
        score.main()
    assert not (project / "data/leads").exists()
