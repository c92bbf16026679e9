from __future__ import annotations

import functools
import sys
import warnings
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss

from conversion.config.model_params import MemberType, search_space
from conversion.config.param_types import Section
from conversion.config.params import Params
from conversion.modelling.families import make_model
from conversion.modelling.search import Search, search
from conversion.modelling.time_folds import out_of_time_folds
from conversion.modelling.training import fit_at, known_training, search_and_fit_at
from conversion.runtime.errors import ExportError
from tests.contract_files import hubspot
from tests.exports import tiny_export
from tests.pipeline import Pipeline, cut_at, small_params

FAMILIES = get_args(MemberType)
TRIALS = 4
AS_OF = pd.Timestamp("2019-08-05")


def params_of(family: str = "logistic_regression", trials: int = TRIALS, **overrides: Any) -> Params:
    return small_params(model__type=family, train__search__trials=trials, **overrides)


@functools.cache
def snapshots() -> pd.DataFrame:
    return Pipeline(tiny_export(), small_params()).train


def rows() -> pd.DataFrame:
    """Training snapshots that are mature at `AS_OF`."""
    return snapshots()[known_training(snapshots(), AS_OF, 30, None)]


@functools.cache
def found(family: str) -> Search:
    return search(rows(), params_of(family), hubspot())


def block_of(params: Params) -> Section:
    block = getattr(params.model, params.model.type)
    assert isinstance(block, Section)
    return block


# --- off -------------------------------------------------------------------------------------------------


def test_a_search_that_is_off_changes_nothing_and_needs_no_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    params = params_of(trials=0)
    off = search(rows(), params, hubspot())
    assert off.params is params
    assert off.summary() == {}
    (row,) = off.history.to_dict("records")
    assert (row["family"], row["trial"], row["C"]) == (
        "logistic_regression", 0, params.model.logistic_regression.C
    )  # fmt: skip
    assert np.isnan(row["log_loss"])
    assert np.isnan(row["best_so_far"])
    with pytest.raises(ImportError, match="optuna"):
        search(rows(), params_of(trials=2), hubspot())


# --- what is found ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_given_hyperparameters_are_tried_first_and_the_best_are_taken(family: str) -> None:
    given, history = params_of(family), found(family).history
    names = list(search_space(family))
    assert list(history.columns) == ["family", "trial", "log_loss", "best_so_far", *names]
    assert history["trial"].tolist() == list(range(TRIALS))
    assert history.loc[0, names].to_dict() == block_of(given).model_dump(include=set(names))
    assert history["best_so_far"].tolist() == history["log_loss"].cummin().tolist()
    best = history.loc[history["log_loss"].idxmin(), names].to_dict()
    assert block_of(found(family).params).model_dump(include=set(names)) == best
    assert found(family).summary() == {
        family: {
            "trials": TRIALS,
            "given_log_loss": history.loc[0, "log_loss"],
            "best_log_loss": history["log_loss"].min(),
        }
    }


def test_better_hyperparameters_than_bad_ones_are_found() -> None:
    bad = params_of(trials=6, model__logistic_regression__C=0.0001)
    summary = search(rows(), bad, hubspot()).summary()["logistic_regression"]
    assert summary["best_log_loss"] < summary["given_log_loss"]


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_but_what_is_searched_is_replaced(family: str) -> None:
    given, taken = params_of(family).model_dump(), found(family).params.model_dump()
    for values in (given, taken):
        for name in search_space(family):
            del values["model"][family][name]
    assert taken == given


@pytest.mark.parametrize("family", FAMILIES)
def test_trials_differ_and_lie_in_the_search_space(family: str) -> None:
    history = found(family).history.iloc[1:]
    for name, span in search_space(family).items():
        assert history[name].between(span.low, span.high).all()
        if span.whole:
            assert (history[name] == history[name].round()).all()
    assert not history[list(search_space(family))].duplicated().any()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ends_of_every_search_space_are_values_that_params_allow(family: str) -> None:
    block = block_of(params_of(family))
    for name, span in search_space(family).items():
        assert span.low < span.high
        for end in (span.low, span.high):
            assert getattr(type(block).model_validate(block.model_dump() | {name: end}), name) == end


@pytest.mark.parametrize(
    ("family", "overrides"),
    [
        ("random_forest", {"model__random_forest__max_depth": None}),
        ("logistic_regression", {"model__logistic_regression__C": 50.0}),
    ],
)
def test_given_hyperparameters_may_lie_outside_the_search_space(
    family: str, overrides: dict[str, Any]
) -> None:
    params = params_of(family, 2, **overrides)
    name = next(iter(overrides)).rpartition("__")[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = search(rows(), params, hubspot()).history.astype(object)
    value = history.loc[0, name]
    assert (None if pd.isna(value) else value) == getattr(block_of(params), name)
    assert len(history) == 2


# --- how a trial is measured -----------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trial_s_measure_is_the_weighted_log_loss_of_what_came_later(family: str) -> None:
    known, params = rows(), params_of(family, 1, train__folds=2)
    label, weight, probability = [], [], []
    for learn, test in out_of_time_folds(known["as_of"], 2, 30):
        model = make_model(params, hubspot())
        model.fit(
            known[learn], known.loc[learn, "label"].to_numpy(), known.loc[learn, "weight"].to_numpy(),
            known.loc[learn, "as_of"],
        )  # fmt: skip
        probability.append(model.predict_proba(known[test])[:, 1])
        label.append(known.loc[test, "label"])
        weight.append(known.loc[test, "weight"])
    expected = log_loss(
        np.concatenate(label), np.concatenate(probability), sample_weight=np.concatenate(weight)
    )
    assert search(known, params, hubspot()).history.loc[0, "log_loss"] == pytest.approx(expected, abs=1e-8)


def test_a_fold_is_predicted_without_the_labels_that_were_immature_when_it_began() -> None:
    known, model = rows(), make_model(params_of(), hubspot()).learn_levels(rows())
    ((learn, test),) = out_of_time_folds(known["as_of"], 1, 30)
    start = known.loc[test, "as_of"].min()
    immature = (known["as_of"] + pd.Timedelta(days=30) > start).to_numpy()
    assert (immature & ~test).any()
    assert not (immature & learn).any()
    values, weight = model.values(known), known["weight"].to_numpy()
    label = known["label"].to_numpy()
    answers = [
        clone(model).learn_levels(known).predict_out_of_time(values, labels, weight, known["as_of"])
        for labels in (label, np.where(immature, 1 - label, label))
    ]
    ours, theirs = answers
    np.testing.assert_array_equal(ours.raw, theirs.raw)
    assert ours.as_of.tolist() == known.loc[test, "as_of"].tolist()


def test_too_little_history_is_said() -> None:
    first = rows()["as_of"].min()
    known = rows()[rows()["as_of"] == first]
    with pytest.raises(ExportError, match=r"too little history.*train\.search\.trials: 0"):
        search(known, params_of(), hubspot())


# --- what decides ----------------------------------------------------------------------------------------


def test_the_same_again_for_the_same_seed_alone() -> None:
    pd.testing.assert_frame_equal(
        search(rows(), params_of(), hubspot()).history, found("logistic_regression").history
    )
    other = search(rows(), params_of(seed=7), hubspot()).history
    assert (other["C"] != found("logistic_regression").history["C"]).tolist() == [
        False,
        *[True] * (TRIALS - 1),
    ]


def test_the_order_of_rows_decides_nothing() -> None:
    shuffled = rows().sample(frac=1.0, random_state=0)
    pd.testing.assert_frame_equal(
        search(shuffled, params_of(), hubspot()).history, found("logistic_regression").history
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_that_are_immature_have_no_say(family: str) -> None:
    immature = ~known_training(snapshots(), AS_OF, 30, None)
    assert snapshots().loc[immature, "label"].nunique() == 2
    others = [
        snapshots().assign(label=snapshots()["label"].where(~immature, 1 - snapshots()["label"])),
        snapshots()[~immature],
    ]
    for other in others:
        model, searched = search_and_fit_at(other, AS_OF, params_of(family), hubspot())
        pd.testing.assert_frame_equal(searched.history, found(family).history)
        assert model.hyperparameters == block_of(found(family).params).model_dump()


def test_each_fit_searches_anew_on_what_was_known_then() -> None:
    weeks = [AS_OF, AS_OF + pd.Timedelta(weeks=8)]
    for as_of in weeks:
        known = snapshots()[known_training(snapshots(), as_of, 30, None)]
        expected = block_of(search(known, params_of(trials=3), hubspot()).params).model_dump()
        assert fit_at(snapshots(), as_of, params_of(trials=3), hubspot()).hyperparameters == expected
    losses = [
        search_and_fit_at(snapshots(), week, params_of(trials=3), hubspot())[1].summary() for week in weeks
    ]
    assert losses[0] != losses[1]


def test_time_travel_finds_what_an_export_cut_at_that_date_would() -> None:
    tables = tiny_export()
    travelled = Pipeline(tables, params_of("xgboost", data__as_of=f"{AS_OF:%Y-%m-%d}"))
    cut = Pipeline(cut_at(tables, AS_OF), params_of("xgboost"))
    assert cut.as_of == travelled.as_of == AS_OF
    assert cut.model.hyperparameters == travelled.model.hyperparameters
    pd.testing.assert_frame_equal(cut.leads, travelled.leads)


# --- ensembles -------------------------------------------------------------------------------------------


def test_each_member_of_an_ensemble_is_searched_as_if_it_were_alone() -> None:
    members = ["logistic_regression", "xgboost"]
    both = search(rows(), params_of("ensemble", model__ensemble__members=members), hubspot())
    for member in members:
        alone = found(member)
        assert getattr(both.params.model, member) == getattr(alone.params.model, member)
        assert both.summary()[member] == alone.summary()[member]
    assert both.params.model.type == "ensemble"
    assert both.history["family"].tolist() == [member for member in members for _ in range(TRIALS)]


def test_a_search_may_use_a_group_of_features_alone() -> None:
    """Even if the given hyperparameters name features of other groups."""
    quadratic = ["size", "users_max_4w"]
    params = params_of(features__groups=["usage"], model__logistic_regression__quadratic=quadratic)
    assert len(search(rows(), params, hubspot()).history) == TRIALS
