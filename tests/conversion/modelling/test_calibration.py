from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from conversion.modelling.calibration import METHODS, calibrated, choose_method, fit_calibrator, method_losses
from conversion.modelling.time_folds import OutOfTime, out_of_time_folds
from conversion.modelling.training import fit_at
from conversion.stats.losses import log_odds, weighted_log_loss
from tests.contract_files import hubspot
from tests.conversion.modelling.fits import export, fit_invented, invented, scores
from tests.pipeline import MODEL_TYPES, small_params

WEEKS = pd.Series(pd.date_range("2019-01-07", periods=40, freq="7D"))


def predictions(distort: str, rows: int = 24_000, seed: int = 0) -> OutOfTime:
    """Invent predictions: true probabilities, log-odds that are too sure, or a step instead of a line."""
    rng = np.random.default_rng(seed)
    score = rng.normal(-1.5, 1.5, rows)
    truth = {"none": score, "sigmoid": 0.4 * score - 1.0, "isotonic": np.where(score > -1.5, 1.0, -4.0)}[
        distort
    ]
    y = (rng.random(rows) < expit(truth)).astype(np.int64)
    as_of = pd.Series(rng.choice(WEEKS, rows))
    return OutOfTime(expit(score), y, rng.uniform(0.5, 2.0, rows), as_of)


# Folds


@pytest.mark.parametrize("folds", [1, 2, 3, 5])
@pytest.mark.parametrize("horizon", [1, 28, 30, 90])
def test_folds_learn_only_from_what_was_mature(folds: int, horizon: int) -> None:
    as_of = export().train["as_of"]
    cut = out_of_time_folds(as_of, folds, horizon)
    assert len(cut) == folds
    tested = np.zeros(len(as_of), dtype=int)
    for learn, test in cut:
        begins = as_of[test].min()
        assert not (learn & test).any()
        assert (as_of[learn] + pd.Timedelta(days=horizon) <= begins).all()
        left_out = as_of[~learn & (as_of < begins).to_numpy()]
        assert (left_out + pd.Timedelta(days=horizon) > begins).all(), "all that was mature is learned from"
        tested += test
    assert set(tested) == {0, 1}, "no snapshot is tested twice"
    weeks = np.sort(as_of.unique())
    assert (as_of[tested == 1] >= weeks[len(weeks) // 2]).all()


def test_folds_need_enough_weeks() -> None:
    weeks = pd.Series(pd.date_range("2020-01-06", periods=5, freq="7D"))
    assert out_of_time_folds(weeks, 3, 7) == []


# The choice


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("folds", [1, 2, 3])
def test_the_calibration_that_the_truth_needs_is_chosen(method: str, folds: int) -> None:
    assert choose_method(predictions(method), folds, 30) == method


@pytest.mark.parametrize("folds", [1, 2])
def test_losses_are_of_later_predictions_than_those_fitted_on(folds: int) -> None:
    made = predictions("sigmoid", 2000)
    expected = dict.fromkeys(METHODS, 0.0)
    weeks = np.sort(made.as_of.unique())
    for block in np.array_split(weeks[len(weeks) // 2 :], folds):
        learn = (made.as_of + pd.Timedelta(days=30) <= block[0]).to_numpy()
        test = made.as_of.isin(block).to_numpy()
        assert 0 < learn.sum() < len(made.y) - test.sum()
        for method in METHODS:
            calibrator = fit_calibrator(method, made.raw[learn], made.y[learn], made.weight[learn])
            probability = calibrated(calibrator, made.raw[test])
            expected[method] += weighted_log_loss(probability, made.y[test], made.weight[test])
    assert method_losses(made, folds, 30) == pytest.approx(expected)


def test_the_last_folds_own_labels_do_not_fit_its_calibrator() -> None:
    """Labels that are not mature when the only fold begins are not looked at."""
    made = predictions("none", 4000)
    begins = np.sort(made.as_of.unique())[20]
    between = ((made.as_of + pd.Timedelta(days=30) > begins) & (made.as_of < begins)).to_numpy()
    assert between.any()
    flipped = made._replace(y=np.where(between, 1 - made.y, made.y))
    assert method_losses(flipped, 1, 30) == method_losses(made, 1, 30)


def test_the_simpler_one_on_a_tie_and_where_there_is_too_little() -> None:
    made = predictions("isotonic", 400)
    assert choose_method(made._replace(y=np.zeros_like(made.y)), 2, 30) == "none"
    assert method_losses(made._replace(y=np.zeros_like(made.y)), 2, 30) == {}
    few = made._replace(as_of=pd.Series([WEEKS[0]] * len(made.y)))
    assert choose_method(few, 1, 30) == "none"
    # All predictions the same and right: nothing to correct.
    same = made._replace(
        raw=np.full(len(made.y), 0.5), y=np.arange(len(made.y)) % 2, weight=np.ones(len(made.y))
    )
    assert choose_method(same, 1, 30) in METHODS


@given(st.permutations(range(60)), st.integers(0, 99))
def test_the_order_of_predictions_is_of_no_account(order: list[int], seed: int) -> None:
    made = predictions("sigmoid", 60, seed)
    mixed = OutOfTime(made.raw[order], made.y[order], made.weight[order], made.as_of.iloc[order])
    assert method_losses(mixed, 1, 30) == pytest.approx(method_losses(made, 1, 30), rel=1e-3)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_model_calibrates_as_chosen(model_type: str) -> None:
    """With auto the model is, to the last bit, the one with the calibration that was chosen."""
    pipeline = export()
    auto = fit_at(
        pipeline.train,
        pipeline.as_of,
        small_params(model__type=model_type, train__calibration="auto"),
        hubspot(),
    )
    assert auto.calibration_ in METHODS
    named = fit_at(
        pipeline.train,
        pipeline.as_of,
        small_params(model__type=model_type, train__calibration=auto.calibration_),
        hubspot(),
    )
    assert named.calibration_ == auto.calibration_
    np.testing.assert_array_equal(named.predict_proba(pipeline.latest), auto.predict_proba(pipeline.latest))


def test_a_model_chooses_by_its_own_out_of_time_predictions() -> None:
    pipeline = export()
    train = pipeline.train
    model = fit_at(
        train, pipeline.as_of, small_params(model__type="xgboost", train__calibration="auto"), hubspot()
    )
    y, weight = train["label"].to_numpy(dtype=np.int64), train["weight"].to_numpy(dtype=np.float64)
    made = model.predict_out_of_time(model.values(train), y, weight, train["as_of"])
    assert made is not None
    losses = method_losses(made, 1, 30)
    assert model.calibration_ == min(METHODS, key=lambda method: losses[method])


# Log-odds and log loss


def test_log_odds_and_log_loss_by_hand() -> None:
    assert log_odds(np.array([0.5, 0.2, 0.0])).tolist() == pytest.approx([0.0, np.log(0.25), np.log(1e-9)])
    loss = weighted_log_loss(np.array([0.5, 0.2, 1.0]), np.array([1, 0, 0]), np.array([2.0, 1.0, 0.5]))
    assert loss == pytest.approx(2 * np.log(2) - np.log(0.8) - 0.5 * np.log(1e-9))


# In a model


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration_is_the_librarys(calibration: str) -> None:
    model = fit_invented(model__type="logistic_regression", train__calibration=calibration)
    raw = np.array([0.0, 1e-12, 0.01, 0.2, 0.5, 0.9, 1.0])
    if calibration == "sigmoid":
        clipped = np.clip(raw, 1e-9, 1 - 1e-9)
        expected = model.calibrator_.predict_proba(np.log(clipped / (1 - clipped))[:, None])[:, 1]
    else:
        expected = model.calibrator_.predict(raw)
    np.testing.assert_allclose(calibrated(model.calibrator_, raw), expected, rtol=1e-12)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_calibration_keeps_the_order(model_type: str, calibration: str) -> None:
    frame, label, _ = invented()
    raw = scores(fit_invented(model__type=model_type), frame)
    calibrated = scores(fit_invented(model__type=model_type, train__calibration=calibration), frame)
    assert (np.diff(calibrated[np.argsort(raw, kind="stable")]) >= -1e-12).all()
    assert roc_auc_score(label, calibrated) > 0.9
