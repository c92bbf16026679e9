"""Backtests of other contracts: text ids, no revenue, no users, other attributes."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conversion.config.data_contract import Contract
from conversion.evaluation.backtest import backtest
from conversion.evaluation.headline import headline_numbers
from conversion.evaluation.plots import PLOTS
from conversion.evaluation.prospect_slices import slice_names
from conversion.evaluation.ranking_metrics import weekly_measures
from conversion.evaluation.report import Evaluation, evaluate_backtest
from conversion.evaluation.summary import summary_text
from conversion.features.rules import rules
from conversion.runtime.errors import ExportError
from tests.contract_files import projects
from tests.exports import projects_export
from tests.pipeline import Pipeline, small_params

SETTINGS: dict[str, Any] = {
    "model__logistic_regression__quadratic": ["auto"],
    "evaluate__refit_weeks": 16,
    "evaluate__spacing_weeks": 2,
    "evaluate__cross_validation_folds": 2,
}


@functools.cache
def without_revenue_and_users() -> Contract:
    values = projects().model_dump(mode="json")
    values["companies"]["value"] = None
    for module in values["usage"]["modules"].values():
        module["users"] = None
    return Contract.model_validate(values)


@functools.cache
def pipeline(plain: bool) -> Pipeline:
    contract, tables = projects(), projects_export(companies=250, weeks=40)
    if plain:
        contract = without_revenue_and_users()
        tables["accounts"] = tables["accounts"].drop(columns="arr")
        tables["weekly_usage"] = tables["weekly_usage"].drop(columns=["projects_users", "invoices_users"])
    return Pipeline(tables, small_params(**SETTINGS), contract)


@functools.cache
def predictions(plain: bool) -> pd.DataFrame:
    made = pipeline(plain)
    return backtest(made.train, made.backtest, made.params, made.contract)


@functools.cache
def evaluation(plain: bool) -> Evaluation:
    made = pipeline(plain)
    return evaluate_backtest(predictions(plain), made.train, made.model, made.params, made.contract)


BOTH = pytest.mark.parametrize("plain", [False, True], ids=["with revenue and users", "without them"])


@BOTH
def test_predictions_have_what_the_contract_has(plain: bool) -> None:
    found = predictions(plain)
    revenue, users = ([], []) if plain else (["MRR"], ["users_rule"])
    assert list(found) == [
        "id", "as_of", "label", *revenue, "probability", "summary_only", *users, "actions_rule", "random",
        "fitted_as_of", "base_rate", "threshold", "usage_state", "tenure_group", "country_group",
        "plan_group", "log_head_count_group", "is_partner_group",
    ]  # fmt: skip
    assert list(rules(pipeline(plain).contract)) == [*users, "actions_rule"]
    assert found.notna().all(axis=None)
    assert all(isinstance(company, str) for company in found["id"])
    # The slices say what the snapshots have.
    snapshots = pipeline(plain).backtest.set_index(["id", "as_of"])
    rows = snapshots.loc[pd.MultiIndex.from_frame(found[["id", "as_of"]])]
    country = "country: " + rows["country"].astype(str).replace("Unknown", "x")
    assert (
        found["country_group"].astype(str).replace("country unknown", "country: x").tolist()
        == country.tolist()
    )


@BOTH
def test_measures_are_those_of_the_contract_and_no_other(plain: bool) -> None:
    metrics = evaluation(plain).metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    text = json.dumps(metrics)
    assert ("mrr_recall" in text) != plain
    assert ("users_rule" in text) != plain
    assert {"summary_only", "actions_rule", "random"} < set(metrics["ranking"])
    numbers = headline_numbers(metrics, (5, 10))
    assert ("average_precision_over_users_rule" in numbers) != plain
    assert ("mrr_recall_at_10" in numbers) != plain
    assert {"average_precision", "roc_auc", "log_loss"} < set(numbers)
    weekly = evaluation(plain).weekly
    assert any(name.startswith("mrr_recall") for name in weekly) != plain
    summary = summary_text({"as_of": "x"} | metrics, (5, 10))
    assert ("users_rule" in summary) != plain


def test_revenue_changes_no_other_measure() -> None:
    rows = predictions(False)
    whole = weekly_measures(rows, "probability", (5, 10))
    without = weekly_measures(rows.drop(columns="MRR"), "probability", (5, 10))
    assert [name for name in whole if name not in without] == ["mrr_recall_at_5", "mrr_recall_at_10"]
    pd.testing.assert_frame_equal(whole[list(without)], without)


def test_text_ids_are_measured_as_numbers_are() -> None:
    rows = predictions(False)
    codes = np.unique(rows["id"], return_inverse=True)[1]
    text, whole = (
        weekly_measures(each, "probability", (5, 10))[["roc_auc", "conversions"]]
        for each in (rows, rows.assign(id=codes))
    )
    pd.testing.assert_frame_equal(text, whole)


@BOTH
def test_slices_and_plots(plain: bool) -> None:
    made = evaluation(plain)
    assert list(dict.fromkeys(made.slices["by"])) == ["all", *slice_names(pipeline(plain).contract)]
    for by, rows in made.slices.groupby("by"):
        if by not in ("all", "tenure_group"):
            assert rows["prospects"].sum() == len(made.predictions), by
    for plot in PLOTS:
        plot.draw(plot.table(made), made.days)


def test_messages_name_the_contract_s_tables() -> None:
    made = pipeline(False)
    with pytest.raises(ExportError, match="accounts: no conversion follows any cutoff"):
        backtest(made.train, made.backtest.assign(label=0.0), made.params, made.contract)
