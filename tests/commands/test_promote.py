from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow.entities.model_registry import ModelVersion

from commands import promote
from conversion.config.params import Registry
from conversion.evaluation.comparison import Comparison, Difference, Extent
from conversion.modelling.registered_versions import KEY, read_registered
from conversion.runtime.errors import ArtifactError, PromotionError, TrackingError
from conversion.runtime.files import write_json, write_parquet
from conversion.runtime.seals import unsealed
from conversion.tracking import model_registry
from tests.backtests import backtest
from tests.pipeline import small_params
from tests.tracked import Store, model_file, sha256_of

ROOT = Path(__file__).resolve().parents[2]
SKILL = {"poor": 0.5, "good": 4.0, "like_poor": 0.5}
ANSWER = {"poor": 0.1, "good": 0.2, "like_poor": 0.3, "later": 0.4, "unmeasured": 0.5, "other_columns": 0.6}

# What SQLAlchemy says of MLflow, where these tests ask the store themselves.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")

Runs = dict[str, str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.made_in(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def runs(store: Store) -> Runs:
    """Ids of tracked runs: better and worse ones, and some that cannot be compared or registered."""
    backtests: dict[str, pd.DataFrame | None] = {
        name: backtest(seed=1, skill=skill) for name, skill in SKILL.items()
    }
    later = backtest().assign(as_of=lambda table: table["as_of"] + pd.Timedelta(weeks=30))
    no_label = backtest().drop(columns="label")
    backtests |= {"later": later, "unmeasured": None, "other_columns": no_label, "unmodelled": backtest()}
    return {name: store.track(name, predictions, ANSWER.get(name)) for name, predictions in backtests.items()}


@dataclass
class Project:
    """A folder in which models are promoted, to a registered model of its own."""

    folder: Path
    name: str
    store: Store
    runs: Runs

    def promote(self, *arguments: str, run: str | None = None) -> None:
        """Run the command in this process."""
        chosen = ("--run", self.runs.get(run, run)) if run else ()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["promote", *chosen, *arguments])
            promote.main()

    def set_rule(self, **rule: object) -> None:
        """Change the rule in params.yaml."""
        path = self.folder / "params.yaml"
        values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        values["registry"] |= {"model_name": self.name} | rule
        values["evaluate"] |= {"bootstrap_samples": 100, "top_k": [5, 20, 40]}
        path.write_text(yaml.safe_dump(values), encoding="utf-8")

    def lay_model(self, name: str) -> None:
        """Put a run's model into the workspace."""
        (self.folder / "models").mkdir(exist_ok=True)
        (self.folder / "models/model.joblib").write_bytes(model_file(name))
        write_json(self.folder / "models/model.json", {"sha256": sha256_of(name)})

    def versions(self) -> list[ModelVersion]:
        """List what is registered."""
        found = self.store.client.search_model_versions(f"name = '{self.name}'")
        return sorted(found, key=lambda version: int(version.version))

    def champion(self) -> ModelVersion:
        """Give the version with the alias."""
        return self.store.client.get_model_version_by_alias(self.name, "champion")

    def written(self) -> object:
        """Read models/registered.json."""
        path = self.folder / "models/registered.json"
        if not path.exists():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        return unsealed(written, str(path), "")


@pytest.fixture
def project(store: Store, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    project = Project(tmp_path, tmp_path.name, store, runs)
    project.set_rule()
    return project


def test_the_first_model_is_promoted_without_a_comparison(
    project: Project, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    project.lay_model("poor")
    project.promote()
    printed = capsys.readouterr()
    assert printed.out == (
        f"{project.name} has no champion yet, nothing to compare with\n"
        f"promoted: run {runs['poor']} is now {project.name} version 1, the champion\n"
        f"to serve only this model: CONVERSION_MODEL_SHA256={sha256_of('poor')}\n"
    )
    assert printed.err == ""
    champion = project.champion()
    assert champion.run_id == runs["poor"]
    assert champion.tags == {
        "model_sha256": sha256_of("poor"),
        "git_commit": "commit of poor",
        "run_id": runs["poor"],
        "compared_with": "nothing",
    }
    assert project.written() == {
        "model_name": project.name,
        "versions": {
            sha256_of("poor"): {"version": "1", "aliases": ["champion"], "run_id": runs["poor"]},
        },
    }
    assert load_champion(project.name) == [ANSWER["poor"]]


def load_champion(name: str) -> list[float]:
    """Load and ask the champion as MLflow documents it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's, of the toy model
        return list(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict([1.0]))


def test_a_better_model_becomes_the_champion(
    project: Project, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    project.promote(run="poor")
    capsys.readouterr()
    project.promote(run="good")
    printed = capsys.readouterr().out
    assert f"A: {project.name} version 1, the champion\nB: run {runs['good']}\n" in printed
    assert "\nrecall at 20 " in printed
    assert "\nB is better on average precision, recall at 20 and log loss.\n" in printed
    assert printed.endswith(
        f"\npromoted: run {runs['good']} is now {project.name} version 2, the champion\n"
        f"to serve only this model: CONVERSION_MODEL_SHA256={sha256_of('good')}\n"
    )
    champion = project.champion()
    assert champion.run_id == runs["good"]
    assert champion.tags == {
        "model_sha256": sha256_of("good"),
        "git_commit": "commit of good",
        "run_id": runs["good"],
        "compared_with": "1",
        "measure": "average_precision",
        "probability_better": "1",
    }
    assert project.written() == {
        "model_name": project.name,
        "versions": {
            sha256_of("poor"): {"version": "1", "aliases": [], "run_id": runs["poor"]},
            sha256_of("good"): {"version": "2", "aliases": ["champion"], "run_id": runs["good"]},
        },
    }
    assert load_champion(project.name) == [ANSWER["good"]]


@pytest.mark.parametrize("measure", ["average_precision", "recall_at_30", "log_loss"])
def test_a_worse_model_is_not_promoted(
    project: Project, runs: Runs, measure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.set_rule(measure=measure)
    project.promote(run="good")
    before = project.written()
    with pytest.raises(PromotionError) as caught:
        project.promote(run="poor")
    words = measure.replace("_", " ")
    better = "lower" if measure == "log_loss" else "higher"
    assert str(caught.value) == (
        f"run {runs['poor']} is not promoted: probability of a {better} {words} 0.000, required 0.8 "
        '(registry.least_probability); --force "why" promotes it anyway'
    )
    assert words in capsys.readouterr().out
    assert [version.run_id for version in project.versions()] == [runs["good"]]
    assert project.champion().run_id == runs["good"]
    assert project.written() == before


def test_an_equal_backtest_is_not_better(project: Project) -> None:
    project.promote(run="poor")
    with pytest.raises(
        PromotionError, match=r"probability of a higher average precision 0\.500, required 0\.8 "
    ):
        project.promote(run="like_poor")
    project.set_rule(least_probability=0.5)
    project.promote(run="like_poor")
    assert project.champion().tags["probability_better"] == "0.5"


def test_force_says_and_keeps_why(project: Project, runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    project.promote(run="good")
    project.promote("--force", " a bug in the features ", run="poor")
    assert (
        "Forced: probability of a higher average precision 0.000, required 0.8 (registry.least_probability)\n"
        "Reason: a bug in the features\n"
    ) in capsys.readouterr().out
    champion = project.champion()
    assert champion.run_id == runs["poor"]
    assert champion.tags["forced"] == "a bug in the features"
    assert champion.tags["probability_better"] == "0"


def test_force_that_was_not_needed_is_not_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.promote("--force", "for the fun of it", run="poor")
    project.promote("--force", "for the fun of it", run="good")
    assert "forced" not in capsys.readouterr().out.lower()
    assert "forced" not in project.champion().tags


def test_force_needs_a_reason(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        project.promote("--force", " ", run="poor")
    assert "argument --force: given nothing, should say why" in capsys.readouterr().err
    assert project.versions() == []


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("later", "A and B have no list in common"),
        ("unmeasured", "its backtest/predictions.parquet: "),
        ("other_columns", "its backtest/predictions.parquet is not a backtest: No match for FieldRef"),
    ],
)
def test_what_cannot_be_compared_can_only_be_forced(
    project: Project, runs: Runs, other: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.promote(run="good")
    with pytest.raises(PromotionError, match=r"run \(B\) and version 1 \(A\) cannot be compared: ") as caught:
        project.promote(run=other)
    assert says in str(caught.value)
    project.promote("--force", "another export", run=other)
    assert "Forced: run (B) and version 1 (A) cannot be compared: " in capsys.readouterr().out
    champion = project.champion()
    assert champion.run_id == runs[other]
    assert champion.tags["forced"] == "another export"
    assert "probability_better" not in champion.tags


def test_the_champion_again_changes_nothing(
    project: Project, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    project.promote(run="poor")
    (project.folder / "models/registered.json").unlink()
    capsys.readouterr()
    project.promote("--force", "again", run="poor")
    assert capsys.readouterr().out == (
        f"run {runs['poor']} is the champion already: {project.name} version 1\n"
        f"to serve only this model: CONVERSION_MODEL_SHA256={sha256_of('poor')}\n"
    )
    assert len(project.versions()) == 1
    assert project.written() is not None, "the list of registered versions is written anew"


def test_an_earlier_version_can_come_back(project: Project, runs: Runs) -> None:
    project.promote(run="poor")
    project.promote(run="good")
    project.promote("--force", "the good one is broken", run="poor")
    assert [version.run_id for version in project.versions()] == [runs["poor"], runs["good"]]
    champion = project.champion()
    assert (str(champion.version), champion.tags["compared_with"]) == ("1", "2")
    project.promote(run="good")
    champion = project.champion()
    assert (str(champion.version), champion.tags["compared_with"]) == ("2", "1")
    assert "forced" not in champion.tags


def test_a_version_that_was_registered_by_hand_is_listed(project: Project, runs: Runs) -> None:
    client = project.store.client
    client.create_registered_model(project.name)
    model_id = client.get_run(runs["good"]).outputs.model_outputs[0].model_id
    client.create_model_version(project.name, f"models:/{model_id}", runs["good"], model_id=model_id)
    client.set_registered_model_alias(project.name, "challenger", "1")
    project.promote(run="poor")
    assert project.written() == {
        "model_name": project.name,
        "versions": {
            sha256_of("good"): {"version": "1", "aliases": ["challenger"], "run_id": runs["good"]},
            sha256_of("poor"): {"version": "2", "aliases": ["champion"], "run_id": runs["poor"]},
        },
    }


def test_with_a_key_the_list_is_signed(project: Project, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a key of sixteen")
    project.promote(run="poor")
    registered = read_registered(project.folder, b"a key of sixteen")
    assert registered is not None
    assert registered.versions[sha256_of("poor")].run_id == runs["poor"]
    with pytest.raises(ArtifactError, match="is not signed with this key"):
        read_registered(project.folder, b"another key of 17")


def test_with_a_short_key_nothing_is_promoted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "short")
    with pytest.raises(ArtifactError, match=f"{KEY}: has 5 characters"):
        project.promote(run="poor")
    assert project.versions() == []


# --- which run -------------------------------------------------------------------------------------------


def test_of_several_runs_of_one_model_it_is_the_latest(project: Project, store: Store) -> None:
    twice = [store.track("twice", backtest(), 0.6) for _ in range(2)]
    project.lay_model("twice")
    project.promote()
    assert project.champion().run_id == twice[1]


def test_a_model_that_no_run_tracked(project: Project) -> None:
    project.lay_model("nobody knows")
    with pytest.raises(TrackingError, match=f"no run has tracked .* {sha256_of('nobody knows')}; run 'dvc"):
        project.promote()


@pytest.mark.parametrize("name", ["0123abcd", "0" * 32, "no such run", "it's", 'say "hi"'])
def test_no_such_run(project: Project, name: str) -> None:
    with pytest.raises(
        TrackingError, match=f"^run {name}: not found: neither the id nor the name of a .* run"
    ):
        project.promote(run=name)


def test_a_name_that_cannot_be_asked_for(project: Project) -> None:
    with pytest.raises(TrackingError, match=r"a name with both kinds of quotes; name the run by its id"):
        project.promote(run='it\'s "both"')


def test_a_run_is_found_by_its_name_or_its_experiment_s(project: Project, store: Store) -> None:
    """The one by MLflow's name, the other by the tag that DVC's experiments have."""
    named = store.track("dvc's own words", backtest(), 0.1)
    experiment = store.track("renamed in MLflow", backtest(), 0.2)
    store.client.set_tag(experiment, "dvc_exp_name", "sixty-weir")
    project.promote("--force", "by name", "--run", "dvc's own words")
    assert project.champion().run_id == named
    project.promote("--force", "by experiment", "--run", "sixty-weir")
    assert project.champion().run_id == experiment


def test_of_several_runs_with_a_name_it_is_the_latest_unless_their_models_differ(
    project: Project, store: Store
) -> None:
    runs = [store.track("thrice", backtest(), 0.1) for _ in range(3)]
    store.client.set_terminated(runs[2], "FAILED")
    project.promote("--run", "thrice")
    assert project.champion().run_id == runs[1], "the latest that came to its end"

    store.client.set_tag(runs[0], "model_sha256", sha256_of("another"))
    with pytest.raises(
        TrackingError, match="run thrice: 2 runs with different models have this name"
    ) as error:
        project.promote("--run", "thrice")
    assert [run for run in runs if run in str(error.value)] == runs[:2]


def test_a_deleted_run_is_not_promoted_and_the_way_back_is_named(project: Project, store: Store) -> None:
    run = store.track("deleted", backtest(), 0.1)
    store.client.delete_run(run)
    for name in (run, "deleted"):
        with pytest.raises(TrackingError, match=f"'mlflow runs restore --run-id {run}'"):
            project.promote("--run", name)
    project.lay_model("deleted")
    with pytest.raises(TrackingError, match=f"run {run}: it was deleted in MLflow"):
        project.promote()
    assert project.versions() == []
    store.client.restore_run(run)
    project.promote("--run", "deleted")
    assert project.champion().run_id == run


def test_a_run_without_a_model(project: Project, runs: Runs) -> None:
    with pytest.raises(TrackingError, match=f"run {runs['unmodelled']}: it has no logged model"):
        project.promote(run="unmodelled")


# --- on the screen ---------------------------------------------------------------------------------------


def test_nothing_but_what_it_says_is_on_the_screen(project: Project, runs: Runs) -> None:
    def run(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "commands.promote", "--run", runs[name]],
            cwd=project.folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    first = run("good")
    assert (first.returncode, first.stderr) == (0, "")
    assert len(first.stdout.splitlines()) == 3
    second = run("poor")
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert f"promote ERROR run {runs['poor']} is not promoted: " in second.stderr
    assert second.stdout.startswith(f"A: {project.name} version 1, the champion\n")


# --- the rule --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "reached", "says"),
    [
        ("average_precision", 0.8, None),
        ("average_precision", 0.62, "probability of a higher average precision 0.620, required 0.8"),
        ("log_loss", 0.75, "probability of a lower log loss 0.750, required 0.8"),
        ("log_loss", 1.0, None),
    ],
)
def test_the_rule(measure: str, reached: float, says: str | None) -> None:
    size = Extent(1, 1, 1, 1)
    found = Difference(0.1, 0.2, 0.1, 0.0, 0.2, reached)
    comparison = Comparison(size, size, size, "2020-01-06", "2020-01-06", {measure: found})
    missed = promote.shortfall(comparison, Registry(model_name="m", measure=measure, least_probability=0.8))
    assert missed is None if says is None else says in str(missed)


@pytest.mark.parametrize(
    ("measure", "length"), [("recall_at_7", 7), ("average_precision", 10), ("log_loss", 10)]
)
def test_the_recall_that_is_shown_is_the_rule_s(measure: str, length: int) -> None:
    assert promote.recall_length(small_params(registry__measure=measure)) == length


def test_a_backtest_that_was_damaged_in_the_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_parquet(path, backtest())
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(data)
    store = Mock(download_artifacts=Mock(return_value=str(path)))
    says = r"run 7: its backtest/predictions\.parquet is not a backtest: .*CRC"
    with pytest.raises(TrackingError, match=says):
        model_registry.read_predictions(store, "7")
