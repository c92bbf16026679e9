"""dvc.yaml against the code: modules by their imports, params by what the stages read, files by name."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from conversion.config.deliver_params import Deliver
from conversion.config.gate_params import Gate
from conversion.config.model_params import MemberType, model_types
from conversion.config.param_types import Section
from conversion.config.params import Params, Registry, Serve, Tracking
from conversion.config.params_file import load_params
from conversion.evaluation.curves import SLICE_TITLES
from conversion.evaluation.first_calls import RULES
from conversion.evaluation.predictions import MODEL, RANKER_NAMES
from conversion.runtime.files import WRITERS, writer_of
from conversion.serving.predictor import confidence_of
from conversion.serving.state import make_state
from conversion.tracking.mlflow_runs import MODEL_REQUIREMENTS
from tests.backtests import backtest
from tests.deliveries import WEEKS, make_project, set_params
from tests.exports import lay_out_contracts, tiny_export, write_export
from tests.pipeline import run_stages, small_params
from tests.serving import Client

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("conversion", "stages", "commands")
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
NAMES = tuple(STAGES)

MEMBERS = get_args(MemberType)
MEMBER = re.compile(r"\$\{model\.ensemble\.members\[(-?\d+)\]\}")

# Only with Dask is it read; a cluster for this alone would say no more.
DASK_ALONE = {"engine.address"}
SMALL: dict[str, Any] = {
    "data.part_rows": 2000,  # several parts: of one alone no engine is asked for
    "simulate.companies": 1000,
    "simulate.weeks": 60,
    "featurize.windows": [4],
    "featurize.half_lives": [2],
    "featurize.keep_negatives.seen": 0.5,
    "featurize.keep_negatives.never_seen": 0.2,
    "featurize.keep_negatives.shares_from": 10,
    "model.logistic_regression.quadratic": ["users_max_4w"],
    "model.random_forest.n_estimators": 3,
    "model.xgboost.n_estimators": 3,
    "evaluate.spacing_weeks": 4,
    "evaluate.refit_weeks": 40,
    "evaluate.bootstrap_samples": 20,
    "evaluate.jobs": 1,
    # what is off by default, and reads more params when it is on
    "train.calibration": "sigmoid",
    "train.threshold": "recall",
    "train.imputation": "constant",
    "train.search.trials": 2,
    "evaluate.cross_validation_folds": 2,
}


# Of no interest to DVC: git ignores them.
KEPT_BY_MLFLOW = ("mlflow.db", "mlartifacts/", ".tracking/")

MANY_ALIKE = ("gate.", "deliver.crm.")
"""Where in params.yaml the same kind of section stands under several names."""

# What no stage makes: the export, its contract, and the contracts with what they name.
GIVEN = ("${data.dir}", "${data.contract}", "contracts")


def module_path(name: str) -> Path | None:
    """Find the file of a project module; None for a package or what is not ours."""
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    return path if name.startswith(tuple(f"{package}." for package in PACKAGES)) and path.is_file() else None


@functools.cache
def imports(path: Path) -> frozenset[Path]:
    """List the project modules that a file imports itself, wherever in it and for whatever reason."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import is not followed here"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found for name in names if (found := module_path(name)))


def reached_from(path: Path) -> set[Path]:
    """List the project modules that a module imports, directly or not, and itself."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(imports(path))
    return seen


def wings_of_stage(stage: str) -> set[str]:
    """Name the folders of the modules that a stage imports, directly or not."""
    reached = reached_from(ROOT / "stages" / f"{stage}.py") - {ROOT / "stages" / f"{stage}.py"}
    return {path.parent.relative_to(ROOT).as_posix() for path in reached}


def project_modules(package: str) -> list[Path]:
    return sorted(path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py")


def outs(stage: str) -> set[str]:
    """List what a stage writes, whatever kind of output it is."""
    kinds = (STAGES[stage].get(kind, []) for kind in ("outs", "metrics", "plots"))
    return {next(iter(out)) if isinstance(out, dict) else out for kind in kinds for out in kind}


def files_read(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage]["deps"] if not dep.startswith(("stages/", "conversion/"))}


# --- modules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_depends_on_itself_and_exactly_the_wings_that_it_reaches(stage: str) -> None:
    listed = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("stages/", "conversion/"))]
    assert len(listed) == len(set(listed))
    assert set(listed) == {f"stages/{stage}.py", *wings_of_stage(stage)}


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_is_run_as_a_module(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"


def test_every_script_in_stages_is_a_stage() -> None:
    assert {path.stem for path in project_modules("stages")} == set(NAMES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_itself_holds_no_code_that_a_stage_could_depend_on(package: str) -> None:
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree.body)


IMPORTED = """
import importlib, sys
importlib.import_module("stages.{stage}")
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
"""


def packages_imported_by(stage: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(stage=stage)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("stage", ["simulate", "load", "clean", "featurize", "report"])
def test_a_stage_that_needs_no_model_imports_no_learning_library(stage: str) -> None:
    imported = packages_imported_by(stage)
    assert not imported & {
        "sklearn",
        "xgboost",
        "matplotlib",
        "scipy",
        "joblib",
        "mlflow",
        "bentoml",
        "optuna",
    }
    assert ("pandera" in imported) == (stage == "load")


def test_the_stage_that_tracks_imports_neither_mlflow_nor_a_learning_library_unless_it_logs() -> None:
    imported = packages_imported_by("track")
    assert not imported & {"mlflow", "sklearn", "xgboost", "matplotlib", "bentoml", "pandera"}


@pytest.mark.parametrize("stage", ["train", "evaluate", "score"])
def test_a_stage_from_training_on_imports_what_it_needs(stage: str) -> None:
    imported = packages_imported_by(stage)
    assert not imported & {"pandera", "xgboost", "optuna", "mlflow", "bentoml"}, (
        "xgboost and optuna only when params ask for them"
    )
    assert ("matplotlib" in imported) == (stage == "evaluate")


def test_whatever_reading_the_model_imports_is_pinned_beside_it_in_mlflow() -> None:
    imported: set[str] = set()
    for path in reached_from(ROOT / "conversion/tracking/pyfunc.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - set(PACKAGES)
    assert {"sklearn", "threadpoolctl"} <= packages
    named = packages_distributions()
    assert not {name for name in packages if not set(named[name]) & set(MODEL_REQUIREMENTS)}


# --- files -----------------------------------------------------------------------------------------------


def test_only_evaluate_may_read_the_truth() -> None:
    (truth,) = (out for out in outs("simulate") if "truth" in out)
    assert [stage for stage in NAMES if truth in files_read(stage)] == ["evaluate"]


def test_every_file_that_a_stage_reads_is_an_earlier_one_s_or_the_export() -> None:
    made: set[str] = set()
    for stage in NAMES:
        for dep in files_read(stage):
            inside_made = any(dep == out or dep.startswith(f"{out}/") for out in made)
            holds_made = any(out.startswith(f"{dep}/") for out in made)
            known = dep in GIVEN or inside_made or holds_made
            assert known, f"{stage}: {dep} is made by no earlier stage"
        made |= outs(stage)


def test_no_two_stages_write_the_same() -> None:
    written = [out for stage in NAMES for out in outs(stage)]
    assert len(written) == len(set(written))


@pytest.mark.parametrize("stage", NAMES)
def test_errors_name_the_stage_that_writes_a_file(stage: str) -> None:
    assert {writer_of(out) for out in outs(stage)} == {stage}


def test_every_path_of_which_errors_name_the_writer_is_an_out_or_holds_outs() -> None:
    for path, stage in WRITERS.items():
        assert any(out == path or out.startswith(f"{path}/") for out in outs(stage)), path


def test_dvc_can_restore_every_stage_but_the_last_from_its_run_cache() -> None:
    """DVC takes no stage from its run cache that has an output with persist; each run is to be tracked."""
    persistent = {
        stage
        for stage in NAMES
        for kind in ("outs", "metrics", "plots")
        for out in STAGES[stage].get(kind, [])
        if isinstance(out, dict) and any(options.get("persist") for options in out.values())
    }
    assert persistent == {"track"}


# --- plots -----------------------------------------------------------------------------------------------

PLOTS: dict[str, dict[str, Any]] = {
    title: plot
    for each in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    for title, plot in each.items()
}


@pytest.mark.parametrize("title", PLOTS)
def test_a_plot_draws_columns_of_an_out_with_a_template_of_ours(title: str) -> None:
    plot = PLOTS[title]
    assert plot["title"]
    assert {"x_label", "y_label"} < set(plot)
    template = json.loads((ROOT / f".dvc/plots/{plot['template']}.json").read_text(encoding="utf-8"))
    assert template["data"] == {"values": "<DVC_METRIC_DATA>"}
    for axis in ("x", "y"):
        ((path, columns),) = plot[axis].items()
        assert any(path in outs(stage) for stage in NAMES)
        header = (ROOT / path).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert set([columns] if isinstance(columns, str) else columns) <= set(header)


def test_every_template_is_used() -> None:
    templates = {path.stem for path in (ROOT / ".dvc/plots").glob("*.json")}
    assert templates == {plot["template"] for plot in PLOTS.values()}


def test_what_is_drawn_from_a_table_is_declared_once() -> None:
    """A table among a stage's plots would be drawn again, each column by its row number."""
    assert not any(stage.get("plots") for stage in STAGES.values())


def test_the_reliability_plot_has_the_intervals_of_its_table() -> None:
    layers = json.loads((ROOT / ".dvc/plots/reliability.json").read_text(encoding="utf-8"))["layer"]
    (rule,) = [layer for layer in layers if layer["mark"]["type"] == "rule"]
    ends = {each["as"]: each["calculate"] for each in rule["transform"] if "as" in each}
    assert "toNumber(datum.low)" in ends[rule["encoding"]["y"]["field"]]
    assert "toNumber(datum.high)" in ends[rule["encoding"]["y2"]["field"]]


def test_the_templates_name_the_rankers_as_their_tables_do() -> None:
    every = list(RANKER_NAMES.values())
    for name in ("ranker_gains", "ranker_lift"):
        template = json.loads((ROOT / f".dvc/plots/{name}.json").read_text(encoding="utf-8"))
        assert template["encoding"]["color"]["scale"]["domain"] == every
        assert len(template["encoding"]["color"]["scale"]["range"]) == len(every)
    weekly = json.loads((ROOT / ".dvc/plots/weekly_lines.json").read_text(encoding="utf-8"))
    assert set(weekly["spec"]["encoding"]["color"]["scale"]["domain"]) < set(every)
    gains = json.loads((ROOT / ".dvc/plots/ranker_gains.json").read_text(encoding="utf-8"))
    shaded = gains["layer"][0]["transform"][0]["filter"]["oneOf"]
    assert shaded == [RANKER_NAMES[name] for name in (MODEL, *RULES)]


def test_the_slices_plot_has_the_even_lines_of_its_measures() -> None:
    template = json.loads((ROOT / ".dvc/plots/slice_panels.json").read_text(encoding="utf-8"))
    even = template["spec"]["layer"][0]["transform"][0]["filter"]["oneOf"]
    assert even == [SLICE_TITLES[name] for name in ("expected_over_observed", "roc_auc")]


def test_titles_of_plots_have_the_horizon_of_the_params() -> None:
    titles = {title: plot["title"] for title, plot in PLOTS.items()}
    assert "${featurize.horizon_days} days" in titles["Gains"]
    assert not any(re.search(r"\b\d+ days", title) for title in titles.values())


def test_the_search_plot_says_when_no_search_was_run() -> None:
    layers = json.loads((ROOT / ".dvc/plots/search_lines.json").read_text(encoding="utf-8"))["layer"]
    (said,) = [layer for layer in layers if layer["mark"]["type"] == "text"]
    assert "train.search.trials is 0" in " ".join(said["mark"]["text"])
    # Of all revisions that are drawn: one with a search is drawn as ever.
    assert said["transform"][1]["aggregate"][0]["op"] == "sum"
    assert said["transform"][2] == {"filter": "datum.measured === 0"}


# --- params ----------------------------------------------------------------------------------------------


@functools.cache
def section_paths() -> dict[type[BaseModel], tuple[str, ...]]:
    """Map each section's class to where it stands in params.yaml: a bound's stands in many places."""
    paths: dict[type[BaseModel], tuple[str, ...]] = {}
    waiting: list[tuple[type[BaseModel], str]] = [(Params, "")]
    while waiting:
        section, path = waiting.pop()
        assert section not in paths or path.startswith(MANY_ALIKE), f"{section.__name__} stands twice"
        paths[section] = (*paths.get(section, ()), path)
        for name, field in section.model_fields.items():
            if is_section(field.annotation):
                waiting.append((field.annotation, f"{path}.{name}".strip(".")))  # type: ignore[arg-type]
    return paths


def is_section(annotation: Any) -> bool:
    assert not any(is_section(choice) for choice in get_args(annotation)), "not followed"
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def leaves_of(section: type[BaseModel]) -> set[str]:
    """List the dotted paths of all keys in a section that are no sections, wherever it stands."""
    return {leaf for path in section_paths()[section] for leaf in leaves_at(section, path)}


def leaves_at(section: type[BaseModel], path: str) -> set[str]:
    """List the dotted paths of all keys in a section that are no sections, where it stands."""
    found: set[str] = set()
    for name, field in section.model_fields.items():
        below = f"{path}.{name}".strip(".")
        found |= leaves_at(field.annotation, below) if is_section(field.annotation) else {below}  # type: ignore[arg-type]
    return found


def leaves_of_file() -> set[str]:
    """List the dotted paths of params.yaml itself."""

    def walk(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            for name, below in node.items():
                yield from walk(below, f"{path}.{name}".strip("."))
        else:
            yield path

    return set(walk(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")), ""))


def listed(stage: str, model_type: str, members: Sequence[str] = ()) -> set[str]:
    """List the keys that a stage's params in dvc.yaml cover, with what is in ``${}`` filled in.

    Without ``members`` the blocks of the ensemble's members are left out.
    """
    keys = dict.fromkeys(
        MEMBER.sub(lambda found: members[int(found[1])], key).replace("${model.type}", model_type)
        for key in STAGES[stage].get("params", [])
        if members or not MEMBER.search(key)
    )
    covered: set[str] = set()
    for key in keys:
        found = {leaf for leaf in leaves_of(Params) if leaf == key or leaf.startswith(f"{key}.")}
        assert found, f"{stage}: {key} is not in params.yaml"
        assert not found & covered, f"{stage}: {key} is listed twice"
        covered |= found
    return covered


class Recorder:
    """Notes which keys of params.yaml are read, checking them at load aside.

    Attributes
    ----------
    read : set of str
        Dotted paths of the keys that are no sections.
    """

    def __init__(self) -> None:
        self.read: set[str] = set()
        self._checking = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Look over the shoulder of every `Section` of params.yaml until the end of the block.

        Those of a contract are sections too, but their file is a dep as a whole.
        """
        look, dump, check = Section.__getattribute__, Section.model_dump, Params.model_validate

        def getattribute(section: Section, name: str) -> Any:
            fields = type(section).model_fields if type(section) in section_paths() else {}
            if not self._checking and name in fields and not is_section(fields[name].annotation):
                self.read |= {f"{path}.{name}".strip(".") for path in section_paths()[type(section)]}
            return look(section, name)

        def model_dump(section: Section, **options: Any) -> dict[str, Any]:
            values = dump(section, **options)
            if type(section) not in section_paths():
                return values
            self.read |= {
                leaf
                for path in section_paths()[type(section)]
                for leaf in leaves_at(type(section), path)
                if leaf.removeprefix(f"{path}.").split(".")[0] in values
            }
            return values

        def model_validate(*args: Any, **options: Any) -> Params:
            self._checking = True
            try:
                return check(*args, **options)
            finally:
                self._checking = False

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Section, "__getattribute__", getattribute)
            patch.setattr(Section, "model_dump", model_dump)
            patch.setattr(Params, "model_validate", model_validate)
            yield


def write_params(folder: Path, **changed: Any) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for path, value in changed.items():
        *sections, key = path.split(".")
        section = functools.reduce(dict.__getitem__, sections, values)
        assert key in section, path
        section[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


@dataclasses.dataclass
class Run:
    """What a stage read of the params and wrote, in a folder with nothing but what it depends on."""

    read: set[str]
    written: set[str]


def run_alone(stage: str, store: Path, room: Path) -> Run:
    """Run a stage in this process, in a folder with its deps alone, and put what it wrote into the store."""
    # The contract is in the folder contracts, which is a dep too.
    deps = [dep.replace("${data.dir}", "data/sample") for dep in files_read(stage) - {"${data.contract}"}]
    for dep in [*deps, "params.yaml"]:
        (room / dep).parent.mkdir(parents=True, exist_ok=True)
        (room / dep).symlink_to(store / dep)
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch, recorder.watch():
        patch.chdir(room)
        importlib.import_module(f"stages.{stage}").main()
    written = {path for path in room.rglob("*") if not path.is_symlink() and path.is_file()}
    for path in written:
        target = store / path.relative_to(room)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return Run(recorder.read, {path.relative_to(room).as_posix() for path in written})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Run]:
    """Run each stage for each model type, with all that params.yaml can switch on; by stage and type."""
    store = tmp_path_factory.mktemp("store")
    lay_out_contracts(store)
    done: dict[tuple[str, str], Run] = {}
    first, *others = model_types()
    for model_type in (first, *others):
        write_params(store, **SMALL, **{"model.type": model_type})
        for stage in NAMES:
            if model_type == first or any(key.startswith("model") for key in STAGES[stage].get("params", [])):
                done[stage, model_type] = run_alone(stage, store, tmp_path_factory.mktemp(stage))
            else:
                done[stage, model_type] = done[stage, first]
    return done


@pytest.mark.parametrize("model_type", model_types())
@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_lists_exactly_the_params_that_it_reads(
    stage: str, model_type: str, runs: dict[tuple[str, str], Run]
) -> None:
    members = load_params(ROOT / "params.yaml").model.ensemble.members if model_type == "ensemble" else ()
    read = runs[stage, model_type].read
    if stage == "track":
        # It tells MLflow of every param. Those of other stages make it run by what these write; what changes
        # no result, as an inactive family's params, need not be told of again.
        assert read == leaves_of(Params)
        read = leaves_of(Tracking)
    assert read == listed(stage, model_type, members) - DASK_ALONE


@pytest.mark.parametrize("members", [*permutations(MEMBERS, 2), *permutations(MEMBERS, 3)])
@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_every_member_of_the_ensemble_is_listed_and_no_other_family(
    stage: str, members: tuple[str, ...]
) -> None:
    keys = listed(stage, "ensemble", members)
    for family in MEMBERS:
        block = {key for key in leaves_of(Params) if key.startswith(f"model.{family}.")}
        assert block <= keys if family in members else not block & keys
    assert listed(stage, members[0], members) <= keys | {"model.ensemble.members"}


@pytest.mark.parametrize("stage", NAMES)
def test_a_stage_runs_on_its_deps_alone_and_writes_exactly_its_outs(
    stage: str, runs: dict[tuple[str, str], Run]
) -> None:
    written = {path for path in runs[stage, model_types()[0]].written if not path.startswith(KEPT_BY_MLFLOW)}
    for path in written:
        assert any(path == out or path.startswith(f"{out}/") for out in outs(stage)), f"{path} is no out"
    for out in outs(stage):
        assert any(path == out or path.startswith(f"{out}/") for path in written), f"{out} was not written"


def test_every_key_of_the_params_file_is_listed_by_some_stage_or_is_the_service_s_or_a_command_s() -> None:
    by_stages = {
        leaf for stage in NAMES for model_type in model_types() for leaf in listed(stage, model_type)
    }
    by_others = leaves_of(Serve) | leaves_of(Registry) | leaves_of(Deliver) | leaves_of(Gate)
    assert not by_stages & by_others, "no stage need rerun for how its results are served or delivered"
    assert leaves_of_file() == leaves_of(Params) == by_stages | by_others


def test_the_service_reads_every_key_of_its_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.chdir(tmp_path)
    export = write_export(tiny_export(), tmp_path / "export")
    assert run_stages(tmp_path, small_params(data__dir=str(export))) is None
    with recorder.watch():
        state = make_state(load_params(), token=None, version="test", log_predictions=None)
        assert confidence_of(0.05, 0.05, state.settings.confidence) == "low"
        client = Client(state)
        answers = [client.post("/predict", {"companies": [{"id": 1}]}), client.get("/leads")]
    assert [answer.status_code for answer in answers] == [200, 200]
    # Two are read where BentoML's monitoring and the worker are: in the service itself.
    in_service = {"serve.log_predictions", "serve.reload_seconds"}
    source = (ROOT / "conversion/serving/service.py").read_text(encoding="utf-8")
    assert all(f"params.{key}" in source for key in in_service)
    assert recorder.read >= leaves_of(Serve) - in_service


@pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SADeprecationWarning"
)  # where the test asks MLflow itself
def test_the_commands_read_every_key_of_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import promote
    from tests.tracked import Store

    recorder = Recorder()
    store = Store.made_in(tmp_path / "store")
    backtests = {name: backtest(seed) for seed, name in enumerate(("first", "second"))}
    runs = [store.track(name, predictions, answer=0.5) for name, predictions in backtests.items()]
    write_params(tmp_path, **SMALL, **{"registry.least_probability": 1.0})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    with recorder.watch():
        for run in runs:
            monkeypatch.setattr(sys, "argv", ["promote", "--run", run, "--force", "both are read"])
            promote.main()
    assert recorder.read >= leaves_of(Registry)


def test_a_delivery_reads_every_key_of_its_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from commands import deliver

    make_project(tmp_path, WEEKS[0])
    reps = tmp_path / "reps.csv"
    reps.write_text("rep,capacity\nAnn,4\nBen,3\n", encoding="utf-8")
    every = ["excel", "hubspot", "salesforce", "dynamics"]
    set_params(tmp_path, deliver__reps=str(reps), deliver__formats=every, deliver__explore=0.2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVERSION_GATE_WEBHOOK", "http://127.0.0.1:9/nobody")
    monkeypatch.setattr(sys, "argv", ["deliver"])
    recorder = Recorder()
    with recorder.watch():
        deliver.main()
    assert (leaves_of(Deliver) | leaves_of(Gate)) - recorder.read == set()


def test_the_recorder_sees_single_keys_and_dumps_but_not_the_checks(tmp_path: Path) -> None:
    write_params(tmp_path)
    recorder = Recorder()
    with recorder.watch():
        params = load_params(tmp_path / "params.yaml")
        assert not recorder.read
        _ = params.score.tiers
        assert not recorder.read
        _ = params.score.tiers.rank_share.high
        params.featurize.model_dump(include={"windows", "keep_negatives"})
    assert recorder.read == {
        "score.tiers.rank_share.high",
        "featurize.windows",
        "featurize.keep_negatives.seen",
        "featurize.keep_negatives.never_seen",
        "featurize.keep_negatives.shares_from",
    }
    assert load_params(tmp_path / "params.yaml").seed is not None
    assert "seed" not in recorder.read
