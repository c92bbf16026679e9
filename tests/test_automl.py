"""`make bench-automl` with a worker that gives known answers instead of the libraries."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import automl
from benchmarks.automl_worker import TUNING_SHARE, in_tuning_weeks, weighted_log_loss
from conversion.config.data_contract import Contract
from conversion.config.params import Params
from conversion.config.params_file import load_params
from conversion.data.timeline import WEEK
from conversion.evaluation import backtest
from conversion.modelling import training
from conversion.modelling.kept_fits import KeptFits
from conversion.runtime.errors import UserError
from conversion.runtime.files import write_json
from conversion.stats.hashing import tie_break
from conversion.stats.losses import log_loss
from tests.contract_files import hubspot
from tests.exports import write_export
from tests.pipeline import Pipeline, dirty_export, small_params

HORIZON = pd.Timedelta(days=30)
NOT_FEATURES = {"id", "as_of", "label", "weight", "MRR", "CLOSEDATE"}

# Ranks like the users rule, and copies its input to the folder named first.
STUB = """
import json, shutil, sys
from pathlib import Path
import pandas as pd

record, library, folder, options = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:]
copy = record / library / str(len(list(record.glob(library + "/*"))))
shutil.copytree(folder, copy)
(copy / "options.json").write_text(json.dumps(options))
users = pd.read_parquet(folder / "prospects.parquet")["users_max_4w"]
probability = users / (users + 100) if library == "ruled" else users * 0 + 0.01
pd.DataFrame({"probability": probability}).to_parquet(folder / "probability.parquet")
run = {"version": "1.2", "seconds": 3.0, "cpu_seconds": 4.0}
(folder / "run.json").write_text(json.dumps(run))
"""


@functools.cache
def export(**overrides: Any) -> Pipeline:
    return Pipeline(dirty_export(), small_params(evaluate__refit_weeks=4, evaluate__jobs=1, **overrides))


def worker(folder: Path, program: str) -> list[str]:
    path = folder / "worker.py"
    path.write_text(program, encoding="utf-8")
    return [sys.executable, str(path)]


def compared(folder: Path, refits: int | None = None) -> automl.Comparison:
    command = [*worker(folder, STUB), str(folder / "record")]
    pipeline = export()
    return automl.compare(
        pipeline.train,
        pipeline.backtest,
        pipeline.params,
        hubspot(),
        dict.fromkeys(("ruled", "constant"), command),
        {"ruled": 5.0, "constant": 7.5},
        refits,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, automl.Comparison]:
    folder = tmp_path_factory.mktemp("automl")
    return folder / "record", compared(folder)


# The hand-over


def rows_of_our_fits(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Note what each model of the backtest is fitted on."""
    fits, make_model = [], training.make_model

    def noted(params: Params, contract: Contract, memory: KeptFits | None) -> Any:
        model = make_model(params, contract, memory)
        fit = model.fit_with_summary

        def noting(X: pd.DataFrame, y: np.ndarray, weight: np.ndarray, as_of: pd.Series, *more: Any) -> Any:
            fits.append(X.assign(label=y, weight=weight, as_of=as_of))
            return fit(X, y, weight, as_of, *more)

        monkeypatch.setattr(model, "fit_with_summary", noting)
        return model

    monkeypatch.setattr(training, "make_model", noted)
    return fits


@pytest.mark.parametrize("history_weeks", [None, 10])
def test_a_library_learns_from_the_rows_of_our_own_fits(
    history_weeks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = export(train__history_weeks=history_weeks)
    train, params = pipeline.train, pipeline.params
    fits = rows_of_our_fits(monkeypatch)
    predictions = backtest.backtest(train, pipeline.backtest, params, hubspot())
    refits = automl.refits_of(pipeline.backtest, params)
    assert refits == list(predictions["fitted_as_of"].unique())
    assert len(fits) == len(refits) == 4
    in_time_order = sorted(fits, key=lambda fit: fit["as_of"].max())
    for refit, fit in zip(refits, in_time_order, strict=True):
        ours = fit.iloc[np.lexsort((tie_break(fit["id"]), fit["as_of"]))].reset_index(drop=True)
        given = automl.hand_over(train, pipeline.backtest.head(), refit, params, hubspot())
        pd.testing.assert_frame_equal(given.train, ours[list(given.train)])
        for name in ("as_of", "label", "weight"):
            np.testing.assert_array_equal(given.targets[name], ours[name])
        assert (given.targets["as_of"] + HORIZON <= refit).all()
        assert given.targets["as_of"].is_monotonic_increasing


def test_a_library_sees_features_only(recorded: tuple[Path, automl.Comparison]) -> None:
    features = [feature.name for feature in export().model.features]
    assert not NOT_FEATURES & set(features)
    folders = list(recorded[0].glob("*/*"))
    assert len(folders) == 2 * 4
    for folder in folders:
        for name in ("train", "prospects"):
            assert list(pd.read_parquet(folder / f"{name}.parquet")) == features
        assert list(pd.read_parquet(folder / "targets.parquet")) == ["as_of", "label", "weight"]


def test_a_library_gets_its_budget_our_seed_and_our_cores(recorded: tuple[Path, automl.Comparison]) -> None:
    seed = export().params.seed
    for library, seconds in (("ruled", "5"), ("constant", "7.5")):
        options = yaml.safe_load((recorded[0] / library / "0/options.json").read_text())
        assert options == ["--seconds", seconds, "--seed", str(seed), "--cores", "1"]


def test_labels_that_are_not_known_yet_are_not_handed_over() -> None:
    pipeline = export()
    for refit in automl.refits_of(pipeline.backtest, pipeline.params):
        open_yet = pipeline.train["as_of"] + HORIZON > refit
        assert open_yet.any()
        other = pipeline.train.assign(label=pipeline.train["label"].mask(open_yet, 1.0))
        given, expected = (
            automl.hand_over(train, pipeline.backtest, refit, pipeline.params, hubspot())
            for train in (other, pipeline.train)
        )
        for changed, table in zip(given, expected, strict=True):
            pd.testing.assert_frame_equal(changed, table)


def test_order_of_snapshots_changes_nothing_that_is_handed_over() -> None:
    pipeline = export()
    (refit, *_) = automl.refits_of(pipeline.backtest, pipeline.params)
    shuffled = pipeline.train.sample(frac=1, random_state=0)
    for train, table in zip(
        automl.hand_over(shuffled, pipeline.backtest, refit, pipeline.params, hubspot()),
        automl.hand_over(pipeline.train, pipeline.backtest, refit, pipeline.params, hubspot()),
        strict=True,
    ):
        pd.testing.assert_frame_equal(train, table)


# The refits


@pytest.mark.parametrize(("count", "places"), [(1, [2]), (2, [1, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3])])
def test_few_refits_are_spread_over_the_backtest(count: int, places: list[int]) -> None:
    pipeline = export()
    refits = automl.refits_of(pipeline.backtest, pipeline.params)
    assert refits == [pipeline.cutoffs[0] + 4 * place * WEEK for place in range(4)]
    assert automl.refits_of(pipeline.backtest, pipeline.params, count) == [refits[place] for place in places]
    assert automl.refits_of(pipeline.backtest, pipeline.params, 9) == refits


def test_fewer_refits_give_the_same_predictions_of_their_weeks(
    recorded: tuple[Path, automl.Comparison], tmp_path: Path
) -> None:
    every, some = recorded[1].predictions, compared(tmp_path, refits=2).predictions
    same = every[every["fitted_as_of"].isin(some["fitted_as_of"])].reset_index(drop=True)
    assert some["fitted_as_of"].nunique() == 2
    pd.testing.assert_frame_equal(some, same)


# The table


def cells(text: str) -> dict[str, dict[str, str]]:
    """Read a Markdown table: by the first cell of a row and the column's head."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def test_the_table_has_what_the_workers_answered(recorded: tuple[Path, automl.Comparison]) -> None:
    _, comparison = recorded
    predictions, params = comparison.predictions, export().params
    users = predictions["users_rule"]
    np.testing.assert_allclose(predictions["ruled"], users / (users + 100), rtol=0, atol=1e-9)
    assert predictions["constant"].eq(0.01).all()
    our_columns = [name for name in predictions if name not in ("ruled", "constant")]
    pd.testing.assert_frame_equal(
        predictions[our_columns],
        backtest.backtest(export().train, export().backtest, params, hubspot()),
    )

    rows = cells(automl.table(comparison, params))
    ours, ruled, constant, rule = rows.values()
    assert list(rows) == [
        "**ours: `logistic_regression`**",
        "ruled 1.2",
        "constant 1.2",
        "rule: most users, last 4 weeks",
    ]
    for measure in automl.MEASURES.values():
        assert ruled[measure] == rule[measure] != "-"
    for measure in ("ours minus its average precision", "ours minus its recall at 50"):
        assert ruled[measure] == rule[measure]
        assert ours[measure] == "-"
    assert constant["ROC AUC"] == "0.500"
    label, base = predictions["label"], predictions["base_rate"]
    ratio = log_loss(label, np.full(len(label), 0.01)) / log_loss(label, base)
    assert constant["log loss over the base rate's"] == f"{ratio:.3f}"
    assert constant["expected over observed"] == f"{0.01 * len(label) / label.sum():.3f}"
    less = log_loss(label, predictions["probability"]) - log_loss(label, predictions["constant"])
    assert constant["ours minus its log loss"].startswith(f"{less:.4f} (")
    assert rule["ours minus its log loss"] == rule["seconds a refit"] == rule["log loss over the base rate's"]
    assert rule["seconds a refit"] == rule["CPU seconds a refit"] == "-"
    assert (ruled["seconds a refit"], ruled["CPU seconds a refit"]) == ("3.0", "4.0")
    assert float(ours["CPU seconds a refit"]) > 0


def test_the_page_says_what_was_run(recorded: tuple[Path, automl.Comparison]) -> None:
    text = automl.page(recorded[1], export().params, {"ruled": 5.0, "constant": 7.5}, "the sample")
    said = " ".join(text.split())
    assert "from the sample: 16 lists from 2019-05-27 to 2019-09-09" in said
    assert "At each of 4 refits" in said
    assert "Each recipe had 1 cores." in said
    assert "The time budgets for fitting at one refit were ruled 5 s and constant 7.5 s" in said
    assert automl.table(recorded[1], export().params) in text


# Workers that fail


def asked(command: list[str]) -> automl.Answer:
    pipeline = export()
    (refit, *_) = automl.refits_of(pipeline.backtest, pipeline.params)
    given = automl.hand_over(pipeline.train, pipeline.backtest.head(7), refit, pipeline.params, hubspot())
    return automl.ask("flaml", command, given, 5.0, pipeline.params)


FEWER = """
import pandas as pd, sys
pd.DataFrame({"probability": [0.5] * 6}).to_parquet(sys.argv[2] + "/probability.parquet")
"""


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise MemoryError('no more')", "flaml: the worker failed with exit code 1: MemoryError: no more"),
        ("raise SystemExit(3)", "flaml: the worker failed with exit code 3: it said nothing"),
        ("", "flaml: the worker should have given 7 probabilities, one a prospect"),
        (FEWER, "flaml: the worker should have given 7 probabilities, one a prospect"),
        (FEWER.replace("0.5] * 6", "float('nan')] * 7"), "flaml: the worker should have given 7 probab"),
        (FEWER.replace("0.5] * 6", "1.5] * 7"), "flaml: the worker should have given 7 probabilities"),
    ],
)
def test_a_worker_that_fails_gives_one_message(program: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        asked(worker(tmp_path, program))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_an_environment_that_is_not_there_gives_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"flaml: .*/bin/python not found; make bench-automl makes it"):
        asked([str(tmp_path / "bin/python")])


def test_a_worker_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automl, "PATIENCE", 0)
    monkeypatch.setattr(automl, "GRACE_SECONDS", 0.5)
    with pytest.raises(UserError, match=r"flaml: not done after 0.5 s, of a budget of 5 s"):
        asked(worker(tmp_path, "import time; time.sleep(600)"))


# The command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the command reads, and environments whose python runs the stub."""
    pipeline = export()
    (tmp_path / "data/features").mkdir(parents=True)
    write_json(tmp_path / "data/contract.json", hubspot().model_dump(mode="json"))
    pipeline.train.to_parquet(tmp_path / "data/features/train.parquet", index=False)
    pipeline.backtest.to_parquet(tmp_path / "data/features/backtest.parquet", index=False)
    set_data_dir(tmp_path, pipeline.params.data.dir)
    (stub,) = worker(tmp_path, STUB)[1:]
    for library in automl.SECONDS:
        python = tmp_path / f".venv-{library}/bin/python"
        python.parent.mkdir(parents=True)
        command = shlex.join([sys.executable, stub, str(tmp_path / "record")])
        python.write_text(f'#!/bin/sh\nshift\nexec {command} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
    monkeypatch.setattr(automl, "ROOT", tmp_path)
    monkeypatch.setattr(automl, "PAGE", tmp_path / "docs/explanation/automl.md")
    return tmp_path


def set_data_dir(project: Path, data_dir: str) -> None:
    params = export().params.model_dump(mode="json")
    params["data"]["dir"] = data_dir
    (project / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def command_prints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    monkeypatch.setattr(sys, "argv", ["automl", "--refits", "1", *options])
    automl.main()
    return capsys.readouterr().out


def test_the_command_prints_and_writes_the_page_of_the_sample(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = command_prints(monkeypatch, capsys)
    assert (project / "docs/explanation/automl.md").read_text(encoding="utf-8") == printed
    assert "FLAML 40 s and AutoGluon 60 s" in " ".join(printed.split())
    assert list(cells(printed))[1:3] == ["FLAML 1.2", "AutoGluon 1.2"]


def test_figures_of_another_export_are_written_only_where_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_data_dir(project, "elsewhere")
    printed = command_prints(monkeypatch, capsys, "--seconds", "3")
    assert "from an export of your own" in printed
    assert "FLAML 3 s and AutoGluon 3 s" in " ".join(printed.split())
    assert not (project / "docs").exists()
    told = project / "told.md"
    command_prints(monkeypatch, capsys, "--page", str(told))
    assert "from an export of your own" in told.read_text(encoding="utf-8")


def test_the_command_says_what_makes_the_snapshots(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data/features/train.parquet").unlink()
    with pytest.raises(UserError, match=r"train.parquet: not found; `make run` makes it"):
        command_prints(monkeypatch, capsys)


@pytest.mark.slow
def test_snapshots_are_made_of_an_export_without_touching_the_project(tmp_path: Path) -> None:
    export_dir = tmp_path / "it's an export"
    export_dir.mkdir()
    write_export(dirty_export(), export_dir, ".csv")
    copy = tmp_path / "copy"
    copy.mkdir()
    automl.make_snapshots(copy, export_dir, {})
    assert load_params(copy / "params.yaml").data.dir == str(export_dir)
    train, snapshots = automl.read_snapshots(copy)
    assert train["label"].notna().all()
    assert set(export().cutoffs) == set(snapshots["as_of"])


# The worker and its environments


def test_the_tuning_weeks_are_the_last() -> None:
    weeks = pd.date_range("2019-01-07", periods=20, freq="7D")
    as_of = pd.Series(weeks.repeat(3)).sample(frac=1, random_state=0)
    tuning = in_tuning_weeks(as_of)
    assert TUNING_SHARE == 0.2
    assert set(as_of[tuning]) == set(weeks[16:])
    assert in_tuning_weeks(as_of[as_of == weeks[0]]).all()


def test_the_weighted_log_loss_counts_a_row_as_often_as_its_weight() -> None:
    label, probability, weight = np.array([1, 0, 0]), np.array([0.3, 0.2, 0.0]), np.array([1, 3, 2])
    repeated = log_loss(label.repeat(weight), probability.repeat(weight))
    assert weighted_log_loss(label, probability, weight) == pytest.approx(repeated, rel=1e-9)


@pytest.mark.parametrize("library", list(automl.SECONDS))
def test_the_environments_are_locked_and_without_torch(root: Path, library: str) -> None:
    lock = (root / f"benchmarks/requirements-{library}.txt").read_text(encoding="utf-8")
    pins = re.findall(r"(?m)^([\w.\[\],-]+)==\S+", lock)
    assert len(pins) > 10
    assert lock.count("==") >= len(pins)
    assert all("--hash=sha256:" in block for block in re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:])
    assert not [name for name in pins if re.search("torch|nvidia|cuda", name)]
    assert "://" not in lock
