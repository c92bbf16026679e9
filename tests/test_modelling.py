"""`make bench-modelling`: the tables of docs/explanation/modelling.md match the measurements."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import modelling, modelling_page
from conversion.evaluation import backtest
from conversion.evaluation.predictions import MODEL, ORACLE
from conversion.modelling.families import make_model
from conversion.runtime.errors import UserError
from conversion.runtime.files import read_json, write_json
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import PARAMS, Pipeline, small_params
from tests.predictions import evaluated
from tools.docs.markdown import BLOCK

SETTINGS: dict[str, Any] = {"evaluate__spacing_weeks": 4, "evaluate__refit_weeks": 8, "evaluate__jobs": 1}


@functools.cache
def pipeline() -> Pipeline:
    return Pipeline(tiny_export(companies=300), small_params(**SETTINGS))


@functools.cache
def data() -> modelling.Data:
    made = pipeline()
    truth = made.backtest[["id", "as_of"]].assign(
        probability=np.where(made.backtest["label"] == 1, 0.9, 0.01)
    )
    return modelling.Data(made.params, made.train, made.backtest, truth, hubspot())


def test_params_are_changed_where_they_are_named() -> None:
    params = pipeline().params
    changed = modelling.changed(params, {"model.xgboost.reg_lambda": 7.0, "model.type": "xgboost"})
    assert (changed.model.type, changed.model.xgboost.reg_lambda) == ("xgboost", 7.0)
    assert changed.model.random_forest == params.model.random_forest
    with pytest.raises(KeyError, match=r"model\.xgboost\.lambda"):
        modelling.changed(params, {"model.xgboost.lambda": 7.0})


def test_every_choice_can_be_made_and_the_bold_ones_are_those_of_the_params() -> None:
    params = modelling.load_params(PARAMS)
    for choice in modelling_page.CHOICES:
        make_model(modelling.changed(params, choice.changes), hubspot())
    by_key = {choice.key: choice.changes for choice in modelling_page.CHOICES}
    assert modelling.changed(params, by_key["ensemble"]) == params
    for key in ("lr_01", "xgb_columns", "rf"):
        tried = modelling.changed(params, by_key[key])
        assert tried.model.model_copy(update={"type": params.model.type}) == params.model


def test_a_block_is_predicted_from_what_was_mature_before_it() -> None:
    as_of = pd.Series(pd.date_range("2019-01-07", periods=24, freq="7D").repeat(2))
    blocks = modelling.later_blocks(as_of, 30)
    assert len(blocks) == 4
    # The later two thirds of 24 weeks are 16: four blocks of four weeks, of two rows each.
    assert [test.sum() for _, test in blocks] == [8, 8, 8, 8]
    assert np.sum([test for _, test in blocks], axis=0).tolist() == [0] * 16 + [1] * 32
    for learn, test in blocks:
        assert as_of[learn].max() + pd.Timedelta(days=30) <= as_of[test].min()
        assert as_of[learn].max() + pd.Timedelta(days=37) > as_of[test].min()


def test_log_loss_is_that_of_later_blocks_and_labels_without_a_pattern_are_no_better_than_the_base_rate() -> (
    None
):
    train, params = pipeline().train, pipeline().params
    found = modelling.pooled_ratio(train, params, hubspot())
    assert 0.3 < found < 1
    shuffled = train.assign(label=np.random.default_rng(0).permutation(train["label"]))
    assert modelling.pooled_ratio(shuffled, params, hubspot()) > max(found, 0.95)
    later = modelling.out_of_time(train, params, hubspot())[0].as_of
    assert later.min() > train["as_of"].min()


def test_calibrations_are_measured_against_none() -> None:
    found = modelling.calibration(pipeline().train, pipeline().params, hubspot())
    assert set(found) == {"sigmoid", "isotonic"}
    assert all(0.5 < value < 10 for value in found.values())
    train = pipeline().train
    half = pipeline().weeks[len(pipeline().weeks) // 2]
    nothing_to_judge_by = train.assign(label=train["label"].where(train["as_of"] < half, 0.0))
    assert modelling.calibration(nothing_to_judge_by, pipeline().params, hubspot()) == {
        "sigmoid": None,
        "isotonic": None,
    }


def test_a_recipe_is_measured_as_evaluate_does() -> None:
    made = data()
    found = modelling.measured(made, {"model.type": "random_forest", "features.groups": ["usage"]})
    params = modelling.changed(made.params, {"model.type": "random_forest", "features.groups": ["usage"]})
    result = evaluated(backtest.backtest(made.train, made.snapshots, params, hubspot()), params)
    ours = found["rankers"][MODEL]
    assert ours["average_precision"] == result["ranking"]["probability"]["average_precision"]
    assert ours["log_loss_ratio"] == result["probability"]["log_loss_ratio"]
    assert found["rankers"]["users_rule"]["roc_auc"] == result["ranking"]["users_rule"]["roc_auc"]
    assert found["rankers"][ORACLE]["average_precision"]["value"] == 1
    assert found["setting"]["converters"] == result["converters"]
    assert found["minus_rule"] == result["model_minus_baseline"]["users_rule"]["average_precision"]


# The page


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def recipe(value: float) -> dict[str, Any]:
    model = {name: interval(value) for name in modelling_page.MEASURES}
    rule = {name: interval(value / 2) for name in ("roc_auc", "average_precision")}
    return {
        "setting": {"lists": 37, "first": "2019-07-15", "companies": 5200, "converters": 89},
        "rankers": {MODEL: model, "users_rule": rule, ORACLE: {"average_precision": interval(0.8)}},
        "minus_rule": {"difference": 0.03, "low": -0.004, "high": 0.067},
    }


def test_tables_are_filled_and_the_prose_stays() -> None:
    text = (
        "Before.\n\n<!-- generated: modelling-types-sample -->\nold\n<!-- end -->\n\nBetween.\n\n"
        "<!-- generated: modelling-calibration -->\nold\n<!-- end -->\nAfter.\n"
    )
    results = {"types": {name: recipe(0.4) for name in modelling_page.TYPES}}
    filled = modelling_page.page(text, results)
    assert filled.startswith(
        "Before.\n\n<!-- generated: modelling-types-sample -->\n5,200 companies, 37 lists from 2019-07-15"
    )
    assert "| random forest | 0.400 | 0.400 | 0.400 | 0.400 | 0.400 | 0.400 | 0.400 | 0.50 |\n" in filled
    assert "| rule: most users, last 4 weeks | 0.200 | 0.200 | - | - | - | - | - | 0.25 |\n" in filled
    assert "| oracle | - | 0.800 | - | - | - | - | - | 1.00 |\n" in filled
    assert "gain in average precision over the rule: 0.030 (-0.004 to 0.067)." in filled
    assert filled.endswith(
        "Between.\n\n<!-- generated: modelling-calibration -->\nold\n<!-- end -->\nAfter.\n"
    )
    with pytest.raises(SystemExit, match=r"modelling\.md: unknown block nonsense; known: modelling-choices"):
        modelling_page.page("<!-- generated: nonsense -->\n<!-- end -->", {})


def test_groups_and_calibrations_stand_beside_those_of_an_export_where_there_is_one() -> None:
    ours = {
        "groups": dict.fromkeys(modelling_page.GROUPS, recipe(0.4)),
        "calibration": {name: {"sigmoid": 1.01, "isotonic": None} for name in modelling_page.SAMPLES},
    }
    assert "| usage | 0.400 | 0.400 | 0.400 | 0.400 |\n" in modelling_page.groups_block(ours)
    assert "| isotonic | - | - | - |\n" in modelling_page.calibration_block(ours)
    export = {
        "groups": dict.fromkeys(modelling_page.GROUPS, recipe(0.6)),
        "calibration": {"sigmoid": 1.2, "isotonic": 1.3},
    }
    both = ours | {"export": export}
    row = "| usage | 0.600 | 0.600 | 0.600 | 0.600 | 0.400 | 0.400 | 0.400 | 0.400 |\n"
    assert row in modelling_page.groups_block(both)
    assert "| sigmoid | 1.010 | 1.010 | 1.010 | 1.200 |\n" in modelling_page.calibration_block(both)


def test_the_committed_tables_are_those_of_the_committed_figures(root: Path) -> None:
    folder = root / "docs/explanation"
    text = (folder / modelling_page.PAGE).read_text(encoding="utf-8")
    assert [match["name"] for match in BLOCK.finditer(text)] == list(modelling_page.BLOCKS)
    results = read_json(folder / modelling_page.RESULTS)
    assert {"choices", "calibration", "types", "groups", "export"} <= set(results)
    assert text == modelling_page.page(text, results), "run: python -m benchmarks.modelling --of"
    assert not [line for line in BLOCK.sub("", text).splitlines() if line.startswith("|")], "no table by hand"


# The command


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = data()
    (tmp_path / "data/features").mkdir(parents=True)
    write_json(tmp_path / "data/contract.json", hubspot().model_dump(mode="json"))
    made.train.to_parquet(tmp_path / "data/features/train.parquet", index=False)
    made.snapshots.to_parquet(tmp_path / "data/features/backtest.parquet", index=False)
    assert made.truth is not None
    made.truth.to_parquet(tmp_path / "data/truth.parquet", index=False)
    values = made.params.model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    (tmp_path / "out").mkdir()
    blocks = "".join(f"<!-- generated: {name} -->\n<!-- end -->\n" for name in modelling_page.BLOCKS)
    (tmp_path / "out" / modelling_page.PAGE).write_text(blocks, encoding="utf-8")
    monkeypatch.setattr(modelling, "ROOT", tmp_path)
    monkeypatch.delenv("CRM_EXPORT_DIR", raising=False)
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["modelling", *options])
    modelling.main()


def test_the_command_measures_what_it_is_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = project / "out"
    command(monkeypatch, "--of", "types", "groups", "--out", str(out))
    results = read_json(out / modelling_page.RESULTS)
    assert set(results) == {"types", "groups"}
    text = (out / modelling_page.PAGE).read_text(encoding="utf-8")
    forest = results["types"]["random_forest"]["rankers"][MODEL]["roc_auc"]["value"]
    assert 0.5 < forest < 1
    assert f"| random forest | {forest:.3f} |" in text
    assert "<!-- generated: modelling-choices -->\n<!-- end -->" in text
    command(monkeypatch, "--of", "--out", str(out))
    assert (out / modelling_page.PAGE).read_text(encoding="utf-8") == text


def test_an_export_that_is_not_there_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--of export: no export is given"):
        command(monkeypatch, "--of", "export", "--out", str(project / "out"))
    (project / "data/features/train.parquet").unlink()
    with pytest.raises(UserError, match=r"train.parquet: not found; `make run` makes it"):
        command(monkeypatch, "--of", "types", "--out", str(project / "out"))
